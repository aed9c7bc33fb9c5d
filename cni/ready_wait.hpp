#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "cni/error.hpp"
#include "net/ip.hpp"

namespace manul::cni {

/// What felix is to have in the kernel. A link alone does not tell: when a container id is used again at once, the new
/// link already has rules while the endpoint, and with it the addresses, is still the old one's.
struct Programmed {
    std::string container_id;
    std::uint32_t ifindex = 0;
    std::vector<net::Ip> addresses;
};

/// Waits until felix has the endpoint's rules, link group and host route in the kernel. Felix then writes
/// `<run_dir>/endpoints/<interface>` (JSON that names all of that, since a name outlives a sandbox) and sends one byte
/// to the datagram socket `<run_dir>/wait/<interface>`. Bind before the endpoint exists, so that no byte is missed. Not
/// inotify: closing a descriptor that had a watch takes the kernel 8 to 19 ms.
class ReadyWait {
public:
    using Clock = std::chrono::steady_clock;

    /// Binds the socket where that is possible; otherwise wait() polls.
    ReadyWait(const std::string& run_dir, const std::string& interface);
    ReadyWait(const ReadyWait&) = delete;
    ReadyWait& operator=(const ReadyWait&) = delete;
    ~ReadyWait();

    /// True as soon as the mark names this container, link and addresses; false at the deadline, and when the host
    /// interface is gone. An older link of the same container and name may have a mark still: a DEL that came late took
    /// it.
    [[nodiscard]] bool wait(const Programmed& wanted, Clock::time_point deadline) const;

    /// The same for `bound` from now; code 11 when it is over, or when a DEL took the link meanwhile. Zero: does not
    /// wait.
    [[nodiscard]] CniResult<void> wait_for_policy(const Programmed& wanted, std::chrono::seconds bound) const;

private:
    bool bind();

    std::string interface_;
    std::string mark_path_;
    std::string socket_path_;
    UniqueFd socket_;
    ino_t inode_ = 0;  ///< of the socket's name, which another sandbox of the same pod may take over
};

}  // namespace manul::cni
