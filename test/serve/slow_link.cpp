#include "test/serve/slow_link.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <cstdint>
#include <utility>

namespace manul::test {

namespace {

sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// False when either end is gone.
bool pass_on(int from, int to, std::size_t most) {
    std::array<char, 4096> buffer{};
    const ssize_t count = ::recv(from, buffer.data(), std::min(most, buffer.size()), 0);
    return count > 0 && ::send(to, buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) == count;
}

}  // namespace

UniqueFd connect_to(int port) {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = loopback(port);
    return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? std::move(socket)
                                                                                                     : UniqueFd();
}

SlowLink::SlowLink(int server_port, std::size_t bytes, int pause_us)
    : server_port_(server_port),
      bytes_(bytes),
      pause_us_(pause_us),
      listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_.get(), 16) == 0);
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_all(); });
}

SlowLink::~SlowLink() {
    stopping_ = true;
    acceptor_.join();
    for (std::thread& carrier : carriers_) {
        carrier.join();
    }
}

void SlowLink::accept_all() {
    while (!stopping_) {
        pollfd ready{listener_.get(), POLLIN, 0};
        if (::poll(&ready, 1, 50) > 0) {
            const int client = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
            carriers_.emplace_back([this, client] { carry(client); });
        }
    }
}

void SlowLink::carry(int socket) const {
    const UniqueFd client(socket);
    const UniqueFd server = connect_to(server_port_);
    while (!stopping_) {
        std::array<pollfd, 2> ready{{{client.get(), POLLIN, 0}, {server.get(), POLLIN, 0}}};
        ::poll(ready.data(), ready.size(), 50);
        if (ready[0].revents != 0 && !pass_on(client.get(), server.get(), 4096)) {
            return;
        }
        if (ready[1].revents != 0) {
            if (!pass_on(server.get(), client.get(), bytes_)) {
                return;
            }
            ::usleep(static_cast<useconds_t>(pause_us_));
        }
    }
}

}  // namespace manul::test
