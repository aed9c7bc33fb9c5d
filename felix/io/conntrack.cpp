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

using netlink::find_payload;

constexpr std::size_t kReceiveSize = std::size_t{64} << 10U;
constexpr int kReceiveRoom = 4 << 20U;
constexpr std::uint16_t kGet = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_GET;
constexpr std::uint16_t kNew = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_NEW;
constexpr std::uint16_t kDelete = NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_DELETE;

std::uint8_t family_number(net::Family family) { return family == net::Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6; }

bool tuple_has(ByteView tuple, const std::set<net::Ip>& addresses) {
    const ByteView ip = find_payload(tuple, CTA_TUPLE_IP);
    return std::ranges::any_of(std::array{CTA_IP_V4_SRC, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST}, [&](auto type) {
        const auto address = net::Ip::from_bytes(find_payload(ip, static_cast<std::uint16_t>(type)));
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
    const ByteView ip = find_payload(tuple, CTA_TUPLE_IP);
    const ByteView short_one = find_payload(ip, v4);
    return net::Ip::from_bytes(short_one.empty() ? find_payload(ip, v6) : short_one);
}

/// What the attributes of one entry describe; nothing for protocols that are no protocol of policy.
std::optional<Flow> flow_of(net::Family family, ByteView attributes) {
    const ByteView original = find_payload(attributes, CTA_TUPLE_ORIG);
    const ByteView reply = find_payload(attributes, CTA_TUPLE_REPLY);
    const ByteView own = find_payload(original, CTA_TUPLE_PROTO);
    const auto source = address_of(original, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
    // Who answers is who was reached: the reply's source.
    const auto destination = address_of(reply, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
    const auto protocol = net::Protocol::make(number8(find_payload(own, CTA_PROTO_NUM)).value_or(0));
    if (!source || !destination || !protocol) {
        return std::nullopt;
    }
    Flow flow{.packet = {.source = *source, .destination = *destination, .protocol = *protocol},
              .before_dnat = std::nullopt,
              .family = family,
              .entry = {attributes.begin(), attributes.end()}};
    Packet& packet = flow.packet;
    if (protocol->has_ports()) {
        packet.source_port = number16(find_payload(own, CTA_PROTO_SRC_PORT));
        packet.destination_port = number16(find_payload(find_payload(reply, CTA_TUPLE_PROTO), CTA_PROTO_SRC_PORT));
    } else if (*protocol == net::kIcmp) {
        packet.icmp_type = number8(find_payload(own, CTA_PROTO_ICMP_TYPE));
        packet.icmp_code = number8(find_payload(own, CTA_PROTO_ICMP_CODE));
    } else if (*protocol == net::kIcmpv6) {
        packet.icmp_type = number8(find_payload(own, CTA_PROTO_ICMPV6_TYPE));
        packet.icmp_code = number8(find_payload(own, CTA_PROTO_ICMPV6_CODE));
    }
    Packet dialed = packet;
    dialed.destination = address_of(original, CTA_IP_V4_DST, CTA_IP_V6_DST).value_or(packet.destination);
    if (protocol->has_ports()) {
        dialed.destination_port = number16(find_payload(own, CTA_PROTO_DST_PORT));
    }
    if (dialed.destination != packet.destination || dialed.destination_port != packet.destination_port) {
        flow.before_dnat = dialed;
    }
    return flow;
}

/// The request to delete the entry that the attributes describe.
std::vector<std::uint8_t> deletion_of(net::Family family, ByteView attributes) {
    netlink::RequestBuffer out;
    const nfgenmsg fixed{family_number(family), NFNETLINK_V0, 0};
    out.begin(kDelete, NLM_F_REQUEST, fixed);
    out.bytes(CTA_TUPLE_ORIG | NLA_F_NESTED, find_payload(attributes, CTA_TUPLE_ORIG));
    for (const std::uint16_t type : {CTA_ZONE, CTA_ID}) {
        if (const ByteView value = find_payload(attributes, type); !value.empty()) {
            out.bytes(type, value);
        }
    }
    out.end();
    return {out.view().begin(), out.view().end()};
}

}  // namespace

Conntrack::Conntrack(UniqueFd fd) : fd_(std::move(fd)), buffer_(kReceiveSize) {}

Result<Conntrack> Conntrack::open() {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return fail(fmt::format("cannot open a conntrack netlink socket: {}", std::strerror(errno)));
    }
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveRoom, sizeof(kReceiveRoom));
    const timeval patience{10, 0};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return Conntrack(std::move(fd));
}

Result<void> Conntrack::send(const std::vector<std::uint8_t>& request) {
    if (::send(fd_.get(), request.data(), request.size(), 0) < 0) {
        return fail(std::strerror(errno));
    }
    return {};
}

Result<void> Conntrack::walk(net::Family family, const std::function<void(ByteView)>& visit) {
    netlink::RequestBuffer request;
    const nfgenmsg fixed{family_number(family), NFNETLINK_V0, 0};
    request.begin(kGet, NLM_F_REQUEST | NLM_F_DUMP, fixed);
    request.end();
    MANUL_CHECK(send({request.view().begin(), request.view().end()}));
    for (bool more = true; more;) {
        const ssize_t size = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            return fail(fmt::format("cannot list connections: {}", std::strerror(errno)));
        }
        netlink::MessageWalk messages(ByteView(buffer_).first(static_cast<std::size_t>(size)));
        while (const auto message = messages.next()) {
            if (message->type == NLMSG_ERROR) {
                const auto ack = netlink::decode_ack(*message);
                return fail(fmt::format("cannot list connections: {}", std::strerror(ack ? ack->code : EBADMSG)));
            }
            more = more && message->type != NLMSG_DONE;
            if (message->type == kNew && message->payload.size() >= sizeof(nfgenmsg)) {
                visit(message->payload.subspan(sizeof(nfgenmsg)));
            }
        }
    }
    return {};
}

/// An entry that ended meanwhile is no failure, so no answers are asked for, and the errors that come are thrown away:
/// the kernel has queued them all by the time that send() returns.
Result<void> Conntrack::remove(const std::vector<std::vector<std::uint8_t>>& deletions) {
    for (const auto& deletion : deletions) {
        MANUL_CHECK(send(deletion));
    }
    while (::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT) >= 0) {
    }
    return {};
}

Result<std::size_t> Conntrack::forget(const std::set<net::Ip>& addresses) {
    std::size_t count = 0;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        if (std::ranges::none_of(addresses, [family](const net::Ip& ip) { return ip.family() == family; })) {
            continue;
        }
        std::vector<std::vector<std::uint8_t>> deletions;
        MANUL_CHECK(walk(family, [&](ByteView attributes) {
            if (tuple_has(find_payload(attributes, CTA_TUPLE_ORIG), addresses) ||
                tuple_has(find_payload(attributes, CTA_TUPLE_REPLY), addresses)) {
                deletions.push_back(deletion_of(family, attributes));
            }
        }));
        MANUL_CHECK(remove(deletions));
        count += deletions.size();
    }
    return count;
}

Result<std::vector<Flow>> Conntrack::list() {
    std::vector<Flow> flows;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        MANUL_CHECK(walk(family, [&](ByteView attributes) {
            if (auto flow = flow_of(family, attributes)) {
                flows.push_back(*std::move(flow));
            }
        }));
    }
    return flows;
}

Result<void> Conntrack::forget(const std::vector<Flow>& flows) {
    std::vector<std::vector<std::uint8_t>> deletions;
    deletions.reserve(flows.size());
    for (const Flow& flow : flows) {
        deletions.push_back(deletion_of(flow.family, flow.entry));
    }
    return remove(deletions);
}

}  // namespace manul::felix::io
