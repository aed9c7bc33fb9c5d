#include "bgpd/io/router_discovery.hpp"

#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/tcp.hpp"
#include "net/ip.hpp"
#include "net/router_discovery.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::int64_t kRoundUs = 1'000'000;
constexpr int kEarlyRounds = 4;          // a link that comes up may lose the first packets
constexpr int kRoundsBetween = 10;       // then as often as others do: RFC 4861 allows down to three seconds
constexpr std::size_t kMostABatch = 64;  // the rest waits for the next turn of the loop
constexpr std::size_t kLargest = 1500;
const net::Ip kAllNodes = *net::Ip::parse("ff02::1");
const net::Ip kAllRouters = *net::Ip::parse("ff02::2");

Result<void> set(int fd, int level, int option, const void* value, socklen_t size) {
    if (::setsockopt(fd, level, option, value, size) != 0) {
        return fail(::strerror(errno));  // NOLINT(concurrency-mt-unsafe): one thread
    }
    return {};
}
Result<void> set(int fd, int option, int value) { return set(fd, IPPROTO_IPV6, option, &value, sizeof value); }

in6_addr raw(const net::Ip& address) {
    in6_addr out{};
    std::ranges::copy(address.bytes(), out.s6_addr);
    return out;
}

}  // namespace

RouterDiscovery::RouterDiscovery(boost::asio::io_context& io, OnRouter on_router)
    : io_(io), on_router_(std::move(on_router)), round_(io, [this] { send_round(); }) {}

void RouterDiscovery::watch(std::vector<std::uint32_t> links) {
    std::erase_if(links_, [&](const auto& link) { return std::ranges::find(links, link.first) == links.end(); });
    bool more = false;
    for (const std::uint32_t link : links) {
        more = links_.try_emplace(link).second || more;
    }
    if (links_.empty()) {
        round_.cancel();
        readable_.reset();
        fd_.reset();
    } else if (more) {
        round_.after_us(0);
    }
}

Result<void> RouterDiscovery::open() {
    UniqueFd fd(::socket(AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_ICMPV6));
    if (!fd) {
        return fail(::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
    }
    icmp6_filter filter{};
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ND_ROUTER_SOLICIT, &filter);
    ICMP6_FILTER_SETPASS(ND_ROUTER_ADVERT, &filter);
    MANUL_CHECK(set(fd.get(), IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter));
    MANUL_CHECK(set(fd.get(), IPV6_RECVHOPLIMIT, 1));
    MANUL_CHECK(set(fd.get(), IPV6_MULTICAST_HOPS, 255));
    MANUL_CHECK(set(fd.get(), IPV6_MULTICAST_LOOP, 0));
    fd_ = std::move(fd);
    readable_ = std::make_unique<ReadableWatch>(io_, fd_.get(), [this] { receive(); });
    for (auto& [index, link] : links_) {
        link.joined = false;
    }
    return {};
}

/// One second apart while a link is new, each ten seconds then.
void RouterDiscovery::send_round() {
    round_.after_us(kRoundUs);
    if (!fd_) {
        if (const auto opened = open(); !opened) {
            if (!std::exchange(complained_, true)) {
                log::emit(kRouterDiscovery, opened.error().message);
            }
            return;
        }
    }
    rounds_ = (rounds_ + 1) % kRoundsBetween;
    for (auto& [index, link] : links_) {
        if (!link.joined) {
            ipv6_mreq group{raw(kAllRouters), index};
            link.joined = set(fd_.get(), IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof group).has_value();
        }
        const bool early = link.early_rounds < kEarlyRounds;
        if (early) {
            ++link.early_rounds;
            send(index, net::RouterMessage::solicitation);
        }
        if (early || rounds_ == 0) {
            send(index, net::RouterMessage::advertisement);
        }
    }
}

/// What cannot be sent now (no link-local address yet, link down) is sent with the next round.
void RouterDiscovery::send(std::uint32_t link, net::RouterMessage message) const {
    const net::Ip& group = message == net::RouterMessage::advertisement ? kAllNodes : kAllRouters;
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_addr = raw(group);
    to.sin6_scope_id = link;
    const Bytes data = net::encode_router_message(message);
    static_cast<void>(::sendto(fd_.get(), data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                               reinterpret_cast<const sockaddr*>(&to), sizeof to));
}

void RouterDiscovery::receive() {
    bool more = true;
    for (std::size_t i = 0; i < kMostABatch && more; ++i) {
        receive_one(more);
    }
}

void RouterDiscovery::receive_one(bool& more) {
    std::array<std::uint8_t, kLargest> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by recvmsg
    alignas(cmsghdr) std::array<char, 128> control{};
    SocketAddress from;
    iovec part{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_name = &from.storage;
    message.msg_namelen = sizeof from.storage;
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(fd_.get(), &message, 0);
    if (size < 0) {
        more = errno == EINTR;
        return;
    }
    int hop_limit = 0;
    for (cmsghdr* each = CMSG_FIRSTHDR(&message); each != nullptr; each = CMSG_NXTHDR(&message, each)) {
        if (each->cmsg_level == IPPROTO_IPV6 && each->cmsg_type == IPV6_HOPLIMIT) {
            std::memcpy(&hop_limit, CMSG_DATA(each), sizeof hop_limit);
        }
    }
    const net::Ip source = to_endpoint(from).address;
    const auto link = links_.find(net::scope_of(source));
    const auto kind = net::parse_router_message(ByteView(buffer).first(static_cast<std::size_t>(size)),
                                                static_cast<std::uint8_t>(hop_limit), net::without_scope(source).v6());
    if (link == links_.end() || !kind) {
        return;
    }
    if (*kind == net::RouterMessage::solicitation) {
        // Answered with the next round, a second from now at most: RFC 4861 section 6.2.6 wants answers rate-limited.
        link->second.early_rounds = std::min(link->second.early_rounds, kEarlyRounds - 1);
        return;
    }
    on_router_(source);
}

}  // namespace manul::bgp::io
