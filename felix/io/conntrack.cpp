#include "felix/io/conntrack.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::io {

namespace {

constexpr std::size_t kReceiveSize = std::size_t{64} << 10U;
constexpr int kReceiveRoom = 4 << 20U;
constexpr std::uint16_t kGet = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_GET;
constexpr std::uint16_t kNew = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_NEW;
constexpr std::uint16_t kDelete = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_DELETE;

std::uint8_t family_number(net::Family family) { return family == net::Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6; }

ByteView find(ByteView attributes, std::uint16_t type) {
    netlink::AttributeWalk walk(attributes);
    while (const auto attribute = walk.next()) {
        if (attribute->type == type) {
            return attribute->payload;
        }
    }
    return {};
}

bool tuple_has(ByteView tuple, const std::set<net::Ip>& addresses) {
    const ByteView ip = find(tuple, CTA_TUPLE_IP);
    return std::ranges::any_of(std::array{CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST}, [&](auto type) {
        const auto address = net::Ip::from_bytes(find(ip, static_cast<std::uint16_t>(type)));
        return address && addresses.contains(*address);
    });
}

std::optional<std::uint8_t> number8(ByteView payload) {
    return payload.empty() ? std::nullopt : std::optional(payload.front());
}
std::optional<std::uint16_t> number16(ByteView payload) {
    return payload.size() < 2 ? std::nullopt : std::optional(static_cast<std::uint16_t>(payload[0] << 8U | payload[1]));
}

std::optional<net::Ip> address_of(ByteView tuple, std::uint16_t v4, std::uint16_t v6) {
    const ByteView ip = find(tuple, CTA_TUPLE_IP);
    const ByteView short_one = find(ip, v4);
    return net::Ip::from_bytes(short_one.empty() ? find(ip, v6) : short_one);
}

/// The first packet of the connection behind destination translation, which answers show.
std::optional<Packet> first_packet(ByteView attributes) {
    const ByteView original = find(attributes, CTA_TUPLE_ORIG);
    const ByteView reply = find(attributes, CTA_TUPLE_REPLY);
    const ByteView own = find(original, CTA_TUPLE_PROTO);
    const auto source = address_of(original, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
    const auto destination = address_of(reply, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
    const auto protocol = number8(find(own, CTA_PROTO_NUM));
    if (!source || !destination || !protocol) {
        return std::nullopt;
    }
    Packet packet;
    packet.source = *source;
    packet.destination = *destination;
    packet.protocol = net::Protocol::make(*protocol).value_or(net::kTcp);
    if (packet.protocol.has_ports()) {
        packet.source_port = number16(find(own, CTA_PROTO_SRC_PORT));
        packet.destination_port = number16(find(find(reply, CTA_TUPLE_PROTO), CTA_PROTO_SRC_PORT));
    }
    const bool v4 = source->is_v4();
    packet.icmp_type = number8(find(own, v4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE));
    packet.icmp_code = number8(find(own, v4 ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE));
    return packet;
}

/// The request to delete the entry that the attributes describe.
std::vector<std::uint8_t> deletion_of(net::Family family, ByteView attributes) {
    netlink::RequestBuffer out;
    const nfgenmsg fixed{family_number(family), NFNETLINK_V0, 0};
    out.begin(kDelete, NLM_F_REQUEST, fixed);
    out.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, find(attributes, CTA_TUPLE_ORIG));
    for (const std::uint16_t type : {CTA_ZONE, CTA_ID}) {
        if (const ByteView value = find(attributes, type); !value.empty()) {
            out.bytes(type, value);
        }
    }
    out.end();
    return {out.view().begin(), out.view().end()};
}

}  // namespace

ConntrackCleaner::ConntrackCleaner(UniqueFd fd) : fd_(std::move(fd)), buffer_(kReceiveSize) {}

Result<ConntrackCleaner> ConntrackCleaner::open() {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return fail(fmt::format("cannot open a conntrack netlink socket: {}", std::strerror(errno)));
    }
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveRoom, sizeof(kReceiveRoom));
    const timeval patience{10, 0};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return ConntrackCleaner(std::move(fd));
}

Result<void> ConntrackCleaner::send(const std::vector<std::uint8_t>& request) {
    if (::send(fd_.get(), request.data(), request.size(), 0) < 0) {
        return fail(std::strerror(errno));
    }
    return {};
}

Result<void> ConntrackCleaner::walk(net::Family family, const std::function<void(ByteView)>& visit) {
    netlink::RequestBuffer request;
    const nfgenmsg fixed{family_number(family), NFNETLINK_V0, 0};
    request.begin(kGet, NLM_F_REQUEST | NLM_F_DUMP, fixed);
    request.end();
    MANUL_CHECK(send({request.view().begin(), request.view().end()}));
    for (bool more = true; more;) {
        const ssize_t size = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
        if (size < 0) {
            return fail(fmt::format("cannot list connections: {}", std::strerror(errno)));
        }
        netlink::MessageWalk messages(ByteView(buffer_).first(static_cast<std::size_t>(size)));
        while (const auto message = messages.next()) {
            more = more && message->type != NLMSG_DONE && message->type != NLMSG_ERROR;
            if (message->type == kNew && message->payload.size() >= sizeof(nfgenmsg)) {
                visit(message->payload.subspan(sizeof(nfgenmsg)));
            }
        }
    }
    return {};
}

/// An entry that ended meanwhile is no failure, so no answers are asked for; errors that come are left unread until the
/// next dump, which skips them.
Result<void> ConntrackCleaner::remove(const std::vector<std::vector<std::uint8_t>>& deletions) {
    for (const auto& deletion : deletions) {
        MANUL_CHECK(send(deletion));
    }
    while (::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT) >= 0) {
    }
    return {};
}

Result<std::size_t> ConntrackCleaner::forget(const std::set<net::Ip>& addresses) {
    std::size_t count = 0;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (std::ranges::none_of(addresses, [family](const net::Ip& ip) { return ip.family() == family; })) {
            continue;
        }
        std::vector<std::vector<std::uint8_t>> deletions;
        MANUL_CHECK(walk(family, [&](ByteView attributes) {
            if (tuple_has(find(attributes, CTA_TUPLE_ORIG), addresses) ||
                tuple_has(find(attributes, CTA_TUPLE_REPLY), addresses)) {
                deletions.push_back(deletion_of(family, attributes));
            }
        }));
        MANUL_CHECK(remove(deletions));
        count += deletions.size();
    }
    return count;
}

Result<std::vector<ConntrackCleaner::Flow>> ConntrackCleaner::list() {
    std::vector<Flow> flows;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        MANUL_CHECK(walk(family, [&](ByteView attributes) {
            if (const auto packet = first_packet(attributes)) {
                flows.push_back({*packet, family, {attributes.begin(), attributes.end()}});
            }
        }));
    }
    return flows;
}

Result<void> ConntrackCleaner::forget(const std::vector<Flow>& flows) {
    std::vector<std::vector<std::uint8_t>> deletions;
    deletions.reserve(flows.size());
    for (const Flow& flow : flows) {
        deletions.push_back(deletion_of(flow.family, flow.entry));
    }
    return remove(deletions);
}

}  // namespace manul::felix::io
