#include "felix/io/flows.hpp"

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::io {

namespace {

constexpr std::size_t kReceiveSize = std::size_t{64} << 10U;

ByteView find(ByteView attributes, std::uint16_t type) {
    netlink::AttributeWalk walk(attributes);
    while (const auto attribute = walk.next()) {
        if (attribute->type == type) {
            return attribute->payload;
        }
    }
    return {};
}

std::optional<std::uint16_t> port_of(ByteView transport, std::uint16_t type) {
    const ByteView bytes = find(transport, type);
    return bytes.size() < 2 ? std::nullopt : std::optional(static_cast<std::uint16_t>(bytes[0] << 8U | bytes[1]));
}

std::optional<std::uint8_t> number_of(ByteView transport, std::uint16_t type) {
    const ByteView bytes = find(transport, type);
    return bytes.empty() ? std::nullopt : std::optional(bytes[0]);
}

std::optional<Flow> flow_of(net::Family family, ByteView attributes) {
    const bool v4 = family == net::Family::v4;
    const ByteView original = find(attributes, CTA_TUPLE_ORIG);
    const ByteView reply = find(attributes, CTA_TUPLE_REPLY);
    const auto source = net::Ip::from_bytes(find(find(original, CTA_TUPLE_IP), v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC));
    // Who answers is who was reached: the reply's source.
    const auto destination = net::Ip::from_bytes(find(find(reply, CTA_TUPLE_IP), v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC));
    const auto dialed = net::Ip::from_bytes(find(find(original, CTA_TUPLE_IP), v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST));
    const ByteView transport = find(original, CTA_TUPLE_PROTO);
    const auto protocol = net::Protocol::make(number_of(transport, CTA_PROTO_NUM).value_or(0));
    if (!source || !destination || !protocol) {
        return std::nullopt;
    }
    Packet packet{.source = *source, .destination = *destination, .protocol = *protocol};
    if (protocol->has_ports()) {
        packet.source_port = port_of(transport, CTA_PROTO_SRC_PORT);
        packet.destination_port = port_of(find(reply, CTA_TUPLE_PROTO), CTA_PROTO_SRC_PORT);
    } else if (*protocol == net::kIcmp) {
        packet.icmp_type = number_of(transport, CTA_PROTO_ICMP_TYPE);
        packet.icmp_code = number_of(transport, CTA_PROTO_ICMP_CODE);
    } else if (*protocol == net::kIcmpv6) {
        packet.icmp_type = number_of(transport, CTA_PROTO_ICMPV6_TYPE);
        packet.icmp_code = number_of(transport, CTA_PROTO_ICMPV6_CODE);
    }
    Packet first = packet;
    first.destination = dialed.value_or(packet.destination);
    if (protocol->has_ports()) {
        first.destination_port = port_of(transport, CTA_PROTO_DST_PORT);
    }
    const bool translated =
        first.destination != packet.destination || first.destination_port != packet.destination_port;
    return Flow{packet, translated ? std::optional(first) : std::nullopt};
}

/// Reads one dump to its end.
Result<void> read_dump(int fd, net::Family family, std::vector<Flow>& flows) {
    std::vector<std::uint8_t> buffer(kReceiveSize);
    for (;;) {
        const ssize_t size = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (size < 0 && errno == EINTR) {
            continue;
        }
        if (size < 0) {
            return fail(std::string("cannot list connections: ") + std::strerror(errno));
        }
        netlink::MessageWalk walk(ByteView(buffer).first(static_cast<std::size_t>(size)));
        while (const auto message = walk.next()) {
            if (message->type == NLMSG_DONE) {
                return {};
            }
            if (message->type == NLMSG_ERROR) {
                const auto ack = netlink::decode_ack(*message);
                return fail(std::string("cannot list connections: ") + std::strerror(ack ? ack->code : EBADMSG));
            }
            if (message->type == (NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_NEW) &&
                message->payload.size() >= sizeof(nfgenmsg)) {
                if (auto flow = flow_of(family, message->payload.subspan(sizeof(nfgenmsg)))) {
                    flows.push_back(*std::move(flow));
                }
            }
        }
    }
}

}  // namespace

Result<std::vector<Flow>> read_flows() {
    const UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (!fd) {
        return fail(std::string("cannot open a conntrack netlink socket: ") + std::strerror(errno));
    }
    const timeval patience{10, 0};
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    std::vector<Flow> flows;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        netlink::RequestBuffer request;
        const nfgenmsg fixed{static_cast<std::uint8_t>(family == net::Family::v4 ? NFPROTO_IPV4 : NFPROTO_IPV6),
                             NFNETLINK_V0, 0};
        request.begin(NFNL_SUBSYS_CTNETLINK << 8U | IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP, fixed);
        request.end();
        if (::send(fd.get(), request.view().data(), request.view().size(), 0) < 0) {
            return fail(std::string("cannot list connections: ") + std::strerror(errno));
        }
        MANUL_CHECK(read_dump(fd.get(), family, flows));
    }
    return flows;
}

}  // namespace manul::felix::io
