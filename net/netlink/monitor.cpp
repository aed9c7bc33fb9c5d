#include "net/netlink/monitor.hpp"

#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/unique_fd.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"
#include "net/netlink/socket.hpp"

namespace manul::netlink {

namespace {

constexpr std::size_t kEventsPerCall = 1000;

bool join(int fd, bool wanted, std::initializer_list<int> groups) {
    for (const int group : groups) {
        if (wanted && ::setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) != 0) {
            return false;
        }
    }
    return true;
}

/// Loads of the filter machine are big endian, netlink is host order.
template <class T>
std::uint32_t as_loaded(T value) {
    return std::endian::native == std::endian::little ? std::byteswap(value) : value;
}

bool attach(int fd, std::span<sock_filter> program) {
    const sock_fprog attached{static_cast<unsigned short>(program.size()), program.data()};
    return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &attached, sizeof attached) == 0;
}

/// A socket filter over the netlink header: drops what was caused by requests of one port.
bool ignore_requests(int fd, std::uint32_t port) {
    std::array<sock_filter, 4> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(nlmsghdr, nlmsg_pid)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, as_loaded(port), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffffU),
    }};
    return attach(fd, program);
}

/// Of messages about routes, lets pass removals of one protocol's.
bool hear_only_removed(int fd, std::uint8_t protocol) {
    constexpr std::uint32_t kProtocolAt = NLMSG_HDRLEN + offsetof(rtmsg, rtm_protocol);
    std::array<sock_filter, 7> program{{
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(nlmsghdr, nlmsg_type)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, as_loaded(std::uint16_t{RTM_NEWROUTE}), 3, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, as_loaded(std::uint16_t{RTM_DELROUTE}), 0, 3),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, kProtocolAt),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, protocol, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, 0xffffffffU),
    }};
    return attach(fd, program);
}

}  // namespace

Monitor::Monitor(UniqueFd fd)
    : fd_(std::move(fd)), buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(kReceiveSize)) {}

SocketResult<Monitor> Monitor::open(const Options& options) {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    if (!fd) {
        return std::unexpected(SocketError::from_errno("cannot open a netlink monitor"));
    }
    const int size = static_cast<int>(options.receive_buffer);
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) != 0) {
        (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    }
    if (options.ignore_requests_of != 0 && !ignore_requests(fd.get(), options.ignore_requests_of)) {
        return std::unexpected(SocketError::from_errno("cannot filter a netlink monitor"));
    }
    sockaddr_nl own{};
    own.nl_family = AF_NETLINK;
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) != 0 ||
        !join(fd.get(), options.links, {RTNLGRP_LINK}) ||
        !join(fd.get(), options.addresses, {RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR}) ||
        !join(fd.get(), options.routes, {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE}) ||
        !join(fd.get(), options.neighbours, {RTNLGRP_NEIGH}) || !join(fd.get(), options.nexthops, {RTNLGRP_NEXTHOP}) ||
        !join(fd.get(), options.rules, {RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE})) {
        return std::unexpected(SocketError::from_errno("cannot subscribe to kernel events"));
    }
    return Monitor(std::move(fd));
}

SocketResult<void> Monitor::hear_removed_routes(std::uint8_t protocol) {
    if (!hear_only_removed(fd_.get(), protocol)) {
        return std::unexpected(SocketError::from_errno("cannot filter a netlink monitor"));
    }
    if (!join(fd_.get(), true, {RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE})) {
        return std::unexpected(SocketError::from_errno("cannot subscribe to kernel events"));
    }
    return {};
}

SocketResult<std::vector<Event>> Monitor::take() {
    std::vector<Event> events;
    while (events.size() < kEventsPerCall) {
        const ssize_t got = ::recv(fd_.get(), buffer_.get(), kReceiveSize, MSG_DONTWAIT);
        if (got < 0) {
            if (errno == ENOBUFS) {
                events.emplace_back(Overrun{});
                continue;
            }
            if (errno == EINTR) {
                continue;
            }
            if (errno == EAGAIN) {
                break;
            }
            return std::unexpected(SocketError::from_errno("cannot read kernel events"));
        }
        MessageWalk walk(ByteView(buffer_.get(), static_cast<std::size_t>(got)));
        while (auto message = walk.next()) {
            if (auto event = decode_event(*message)) {
                events.push_back(*std::move(event));
            }
        }
    }
    return events;
}

}  // namespace manul::netlink
