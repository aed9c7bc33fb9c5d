#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "base/unique_fd.hpp"

namespace manul::test {

/// A way to a server on loopback on which answers trickle: few bytes at a time, with a pause behind each.
class SlowLink {
public:
    SlowLink(int server_port, std::size_t bytes, int pause_us);
    ~SlowLink();
    SlowLink(const SlowLink&) = delete;
    SlowLink& operator=(const SlowLink&) = delete;

    [[nodiscard]] int port() const noexcept { return port_; }

private:
    void accept_all();
    void carry(int client) const;

    int server_port_;
    std::size_t bytes_;
    int pause_us_;
    int port_ = 0;
    UniqueFd listener_;
    std::atomic<bool> stopping_ = false;
    std::vector<std::thread> carriers_;
    std::thread acceptor_;  // last: it uses the others
};

/// A connection to a port of loopback.
[[nodiscard]] UniqueFd connect_to(int port);

}  // namespace manul::test
