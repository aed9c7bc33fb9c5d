#include "test/bench/felix_probe.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include <fmt/format.h>

#include "base/unique_fd.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/message.hpp"
#include "net/netlink/netns.hpp"
#include "net/netlink/socket.hpp"

namespace manul::felix::bench {

namespace {

[[noreturn]] void fail(const std::string& what) {
    fmt::print(stderr, "{}\n", what);
    std::exit(1);  // NOLINT(concurrency-mt-unsafe): nothing to clean up
}

void run(const std::string& command) {
    if (std::system(command.c_str()) != 0) {  // NOLINT(concurrency-mt-unsafe): a benchmark
        fail(command);
    }
}

/// A namespace with one end of a pair in it; the other, called cali<name>, in the thread's namespace.
UniqueFd make_pod(const std::string& name, const std::string& address) {
    auto socket = netlink::Socket::open();
    UniqueFd inside;
    {
        const auto scope = netlink::NetnsScope::create();
        auto current = netlink::current_netns();
        if (!scope || !current) {
            fail("no namespace");
        }
        inside = *std::move(current);
    }
    netlink::RequestBuffer request;
    netlink::create_veth(request, {{"cali" + name, {}, {}, 0}, {"eth0", {}, inside.get(), 0}, 0, false});
    if (!socket || !socket->request(request)) {
        fail("no pair of links");
    }
    run(fmt::format("ip link set cali{} address ee:ee:ee:ee:ee:ee up", name));
    const auto scope = netlink::NetnsScope::enter(inside.get());
    run(
        fmt::format("ip addr add {}/32 dev eth0 && ip link set eth0 up && ip route add 169.254.1.1 dev eth0 && "
                    "ip route add default via 169.254.1.1 && "
                    "ip neigh add 169.254.1.1 lladdr ee:ee:ee:ee:ee:ee dev eth0 nud permanent",
                    address));
    return inside;
}

sockaddr_in endpoint(const char* address, std::uint16_t port) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    (void)::inet_pton(AF_INET, address, &at.sin_addr);
    return at;
}

}  // namespace

Probe::Probe() : client_netns_(make_pod("a", kClient)), server_netns_(make_pod("b", kServer)) {
    thread_ = std::jthread([this](const std::stop_token& stop) { keep_sending(stop); });
}

Probe::~Probe() {
    thread_.request_stop();
    sender_ = kNobody;
    sender_.notify_one();
    thread_.join();
}

std::chrono::nanoseconds Probe::now() {
    timespec time{};
    (void)::clock_gettime(CLOCK_REALTIME, &time);
    return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

void Probe::send_to(std::uint16_t port) {
    {
        const auto scope = netlink::NetnsScope::enter(server_netns_.get());
        receiver_ = UniqueFd(::socket(AF_INET, SOCK_DGRAM, 0));
        const sockaddr_in at = endpoint("0.0.0.0", port);
        const int on = 1;
        if (::bind(receiver_.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)) != 0 ||
            ::setsockopt(receiver_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)) != 0) {
            fail("the receiver cannot listen");
        }
    }
    const auto scope = netlink::NetnsScope::enter(client_netns_.get());
    UniqueFd next(::socket(AF_INET, SOCK_DGRAM, 0));
    const sockaddr_in to = endpoint(kServer, port);
    if (::connect(next.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
        fail("the sender cannot connect");
    }
    sender_ = next.get();
    sender_.notify_one();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the other thread is done with the old one
    sender_fd_ = std::move(next);
}

void Probe::keep_sending(const std::stop_token& stop) {
    (void)::prctl(PR_SET_TIMERSLACK, 1);
    while (!stop.stop_requested()) {
        sender_.wait(kIdle);
        (void)::send(sender_, "x", 1, MSG_DONTWAIT);  // refused while the policy says so
        std::this_thread::sleep_for(std::chrono::microseconds(1));
    }
}

std::chrono::nanoseconds Probe::first_arrival() {
    pollfd waiting{receiver_.get(), POLLIN, 0};
    const bool came = ::poll(&waiting, 1, 1000) == 1;
    sender_ = kIdle;
    if (!came) {
        fail("no packet came through");
    }
    std::array<char, 16> payload{};
    std::array<char, 256> control{};
    iovec piece{payload.data(), payload.size()};
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    if (::recvmsg(receiver_.get(), &message, 0) < 0) {
        fail("the packet cannot be read");
    }
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SO_TIMESTAMPNS) {
            timespec time{};
            std::memcpy(&time, CMSG_DATA(header), sizeof(time));
            return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
        }
    }
    fail("the packet has no time");
}

}  // namespace manul::felix::bench
