#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/unique_fd.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/socket.hpp"

namespace manul::netlink {

/// Changes that the kernel announces, in order. Wait until fd() is readable, then take(). Start the monitor first and
/// list afterwards: then nothing is missed. On Overrun list again.
///
/// The kernel is silent about IPv4 routes and nexthop objects that it drops because a link went down: whoever owns
/// such objects must look again at each link and address event.
class Monitor {
public:
    struct Options {
        bool links = false;
        bool addresses = false;
        bool routes = false;
        bool neighbours = false;
        bool nexthops = false;
        bool rules = false;
        /// What the socket with this port asked for is not announced (one's own routes, by the million): the kernel
        /// drops it. 0 = nothing is dropped.
        std::uint32_t ignore_requests_of = 0;
        std::size_t receive_buffer = std::size_t{16} << 20U;  ///< bytes, beyond the system limit
    };

    [[nodiscard]] static SocketResult<Monitor> open(const Options& options);

    /// From now on removals of routes of this protocol are announced, and nothing else about routes: the kernel drops
    /// it. Takes the place of an earlier call and of `ignore_requests_of`.
    [[nodiscard]] SocketResult<void> hear_removed_routes(std::uint8_t protocol);

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }
    /// Everything that is there; never blocks; at most about 1,000 events a call, so that a flood leaves room for
    /// others (the descriptor stays readable). An error means that the socket is unusable.
    [[nodiscard]] SocketResult<std::vector<Event>> take();

private:
    explicit Monitor(UniqueFd fd);

    UniqueFd fd_;
    std::unique_ptr<std::uint8_t[]> buffer_;
};

}  // namespace manul::netlink
