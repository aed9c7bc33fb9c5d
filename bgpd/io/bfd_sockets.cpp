#include "bgpd/io/bfd_sockets.hpp"

#include <netinet/in.h>
#include <netinet/ip.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/bfd/sessions.hpp"
#include "bgpd/io/tcp.hpp"
#include "bgpd/speaker/event.hpp"
#include "net/ip.hpp"

namespace manul::bgp::io {
namespace {

constexpr int kTtl = 255;
constexpr int kNetworkControl = 0xc0;  // class selector 6: not to be queued behind data
constexpr std::uint16_t kFirstSourcePort = 49152;
constexpr std::uint32_t kSourcePorts = 65536 - kFirstSourcePort;

Error failed(const char* what) {
    return Error{std::string(what) + ": " + std::strerror(errno)};
}  // NOLINT(concurrency-mt-unsafe)

bool set(int fd, int level, int option, int value) {
    return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

Result<UniqueFd> open_socket(net::Family family) {
    const bool v4 = family == net::Family::v4;
    UniqueFd fd(::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_UDP));
    if (!fd) {
        return std::unexpected(failed("BFD socket"));
    }
    const bool done = v4 ? set(fd.get(), IPPROTO_IP, IP_TTL, kTtl) && set(fd.get(), IPPROTO_IP, IP_TOS, kNetworkControl)
                         : set(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1) &&
                               set(fd.get(), IPPROTO_IPV6, IPV6_UNICAST_HOPS, kTtl) &&
                               set(fd.get(), IPPROTO_IPV6, IPV6_TCLASS, kNetworkControl);
    if (!done) {
        return std::unexpected(failed("BFD socket"));
    }
    return fd;
}

net::Ip any(net::Family family) { return family == net::Family::v4 ? net::Ip(net::Ip4()) : net::Ip(net::Ip6()); }

}  // namespace

Result<UniqueFd> open_bfd_receiver(net::Family family, bool single_hop) {
    auto fd = open_socket(family);
    if (!fd) {
        return fd;
    }
    const bool v4 = family == net::Family::v4;
    const bool done =
        v4 ? set(fd->get(), IPPROTO_IP, IP_RECVTTL, 1) : set(fd->get(), IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
    if (!done) {
        return std::unexpected(failed("BFD socket"));
    }
    const std::uint16_t port = single_hop ? kBfdSingleHopPort : kBfdMultihopPort;
    const SocketAddress address = to_socket_address({any(family), port});
    if (::bind(fd->get(), address.get(), address.size) != 0) {
        return std::unexpected(failed(("BFD port " + std::to_string(port)).c_str()));
    }
    return fd;
}

Result<UniqueFd> open_bfd_sender(const bfd::SessionConfig& session) {
    auto fd = open_socket(session.remote.family());
    if (!fd) {
        return fd;
    }
    const net::Ip local = session.local.value_or(any(session.remote.family()));
    // Where to start looking for a free port differs between neighbours; every port is tried before giving up.
    const auto start = static_cast<std::uint32_t>(std::hash<net::Ip>{}(session.remote));
    bool bound = false;
    for (std::uint32_t i = 0; i < kSourcePorts && !bound; ++i) {
        const auto port = static_cast<std::uint16_t>(kFirstSourcePort + (start + i) % kSourcePorts);
        const SocketAddress address = to_socket_address({local, port});
        bound = ::bind(fd->get(), address.get(), address.size) == 0;
        if (!bound && errno != EADDRINUSE) {
            return std::unexpected(failed(("BFD source address " + local.to_string()).c_str()));
        }
    }
    const std::uint16_t port = session.single_hop ? kBfdSingleHopPort : kBfdMultihopPort;
    const SocketAddress remote = to_socket_address({session.remote, port});
    if (::connect(fd->get(), remote.get(), remote.size) != 0) {
        return std::unexpected(failed(("BFD neighbour " + session.remote.to_string()).c_str()));
    }
    return fd;
}

std::optional<BfdDatagram> receive_bfd(int fd) {
    BfdDatagram datagram;
    SocketAddress from;
    from.size = sizeof from.storage;
    iovec part{datagram.data.data(), datagram.data.size()};
    alignas(cmsghdr) std::array<char, 256> control{};
    msghdr message{};
    message.msg_name = &from.storage;
    message.msg_namelen = from.size;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(fd, &message, 0);
    if (size < 0) {
        return std::nullopt;
    }
    from.size = message.msg_namelen;
    datagram.source = to_endpoint(from).address;
    datagram.size = static_cast<std::size_t>(size);
    for (cmsghdr* part_of = CMSG_FIRSTHDR(&message); part_of != nullptr; part_of = CMSG_NXTHDR(&message, part_of)) {
        if ((part_of->cmsg_level == IPPROTO_IP && part_of->cmsg_type == IP_TTL) ||
            (part_of->cmsg_level == IPPROTO_IPV6 && part_of->cmsg_type == IPV6_HOPLIMIT)) {
            int ttl = 0;
            std::memcpy(&ttl, CMSG_DATA(part_of), sizeof ttl);
            datagram.ttl = static_cast<std::uint8_t>(ttl);
        }
    }
    return datagram;
}

}  // namespace manul::bgp::io
