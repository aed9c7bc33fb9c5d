#include "felix/io/flow_log.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sys/socket.h>

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

#include <fmt/format.h>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "felix/render/rule.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"
#include "net/port_range.hpp"

namespace manul::felix::io {

namespace {

constexpr std::size_t kReceiveSize = std::size_t{128} << 10U;
constexpr int kReceiveRoom = 4 << 20U;
constexpr std::uint8_t kFragmentHeader = 44;

Result<void> request(int fd, std::uint16_t attribute, ByteView payload) {
    netlink::RequestBuffer out;
    const nfgenmsg fixed{AF_UNSPEC, NFNETLINK_V0, htons(render::kLogGroup)};
    out.begin(NFNL_SUBSYS_ULOG << 8U | NFULNL_MSG_CONFIG, NLM_F_REQUEST | NLM_F_ACK, fixed);
    out.bytes(attribute, payload);
    out.end();
    std::array<std::uint8_t, 4096> answer{};
    if (::send(fd, out.view().data(), out.view().size(), 0) < 0) {
        return fail(std::strerror(errno));
    }
    const ssize_t count = ::recv(fd, answer.data(), answer.size(), 0);
    if (count < 0) {
        return fail(std::strerror(errno));
    }
    netlink::MessageWalk walk(ByteView(answer).first(static_cast<std::size_t>(count)));
    while (const auto message = walk.next()) {
        const auto ack = message->type == NLMSG_ERROR ? netlink::decode_ack(*message) : std::nullopt;
        if (ack && ack->code != 0) {
            return fail(std::strerror(ack->code));
        }
    }
    return {};
}

std::string interface_name(const netlink::Attribute& attribute) {
    std::array<char, IF_NAMESIZE> name{};
    const std::uint32_t index = attribute.payload.size() < 4 ? 0 : ntohl(attribute.u32().value_or(0));
    return ::if_indextoname(index, name.data()) != nullptr ? std::string(name.data()) : std::string{};
}

std::string ports_text(std::uint8_t protocol, ByteView transport) {
    const auto known = net::Protocol::make(protocol);
    std::string text = fmt::format("PROTO={}", known ? known->to_string() : fmt::to_string(protocol));
    if (known && known->has_ports() && transport.size() >= 4) {
        text += fmt::format(" SPT={} DPT={}", transport[0] << 8U | transport[1], transport[2] << 8U | transport[3]);
    } else if (known && (*known == net::kIcmp || *known == net::kIcmpv6) && transport.size() >= 2) {
        text += fmt::format(" TYPE={} CODE={}", transport[0], transport[1]);
    }
    return text;
}

std::string addresses_text(ByteView source, ByteView destination) {
    return fmt::format("SRC={} DST={} ", net::Ip::from_bytes(source).value_or(net::Ip{}).to_string(),
                       net::Ip::from_bytes(destination).value_or(net::Ip{}).to_string());
}

}  // namespace

FlowLog::FlowLog(boost::asio::io_context& io, UniqueFd fd, OnPacket on_packet)
    : fd_(std::move(fd)),
      on_packet_(std::move(on_packet)),
      buffer_(kReceiveSize),
      watch_(io, fd_.get(), [this] { on_readable(); }) {}

Result<std::unique_ptr<FlowLog>> FlowLog::open(boost::asio::io_context& io, OnPacket on_packet) {
    UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
        return fail(std::strerror(errno));
    }
    (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kReceiveRoom, sizeof(kReceiveRoom));
    const nfulnl_msg_config_cmd bind_command{NFULNL_CFG_CMD_BIND};
    MANUL_CHECK(request(fd.get(), NFULA_CFG_CMD,
                        ByteView(reinterpret_cast<const std::uint8_t*>(&bind_command), sizeof(bind_command))));
    nfulnl_msg_config_mode mode{};
    mode.copy_range = htonl(render::kLogSnapLength);
    mode.copy_mode = NFULNL_COPY_PACKET;
    MANUL_CHECK(
        request(fd.get(), NFULA_CFG_MODE, ByteView(reinterpret_cast<const std::uint8_t*>(&mode), sizeof(mode))));
    return std::unique_ptr<FlowLog>(new FlowLog(io, std::move(fd), std::move(on_packet)));
}

void FlowLog::on_readable() {
    for (;;) {
        const ssize_t count = ::recv(fd_.get(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
        if (count < 0) {
            if (errno == ENOBUFS || errno == EINTR) {
                continue;  // lost packets are lost: logging must never slow the node down
            }
            return;
        }
        netlink::MessageWalk walk(ByteView(buffer_).first(static_cast<std::size_t>(count)));
        while (const auto message = walk.next()) {
            if (message->type != (NFNL_SUBSYS_ULOG << 8U | NFULNL_MSG_PACKET) ||
                message->payload.size() < sizeof(nfgenmsg)) {
                continue;
            }
            Packet packet;
            netlink::AttributeWalk attributes(message->payload.subspan(sizeof(nfgenmsg)));
            while (const auto attribute = attributes.next()) {
                switch (attribute->type) {
                    case NFULA_PREFIX:
                        packet.prefix = attribute->text();
                        break;
                    case NFULA_IFINDEX_INDEV:
                        packet.in_interface = interface_name(*attribute);
                        break;
                    case NFULA_IFINDEX_OUTDEV:
                        packet.out_interface = interface_name(*attribute);
                        break;
                    case NFULA_PAYLOAD:
                        packet.payload.assign(attribute->payload.begin(), attribute->payload.end());
                        break;
                    default:
                        break;
                }
            }
            on_packet_(packet);
        }
    }
}

std::string describe_packet(ByteView payload) {
    constexpr std::size_t kIpv4Header = 20;
    constexpr std::size_t kIpv6Header = 40;
    if (payload.size() >= kIpv4Header && payload[0] >> 4U == 4) {
        const std::size_t header = std::min<std::size_t>((payload[0] & 0xfU) * 4U, payload.size());
        const bool first_fragment = ((payload[6] & 0x1fU) << 8U | payload[7]) == 0;
        return addresses_text(payload.subspan(12, 4), payload.subspan(16, 4)) +
               ports_text(payload[9], first_fragment ? payload.subspan(header) : ByteView{});
    }
    if (payload.size() >= kIpv6Header && payload[0] >> 4U == 6) {
        const std::uint8_t next = payload[6];
        return addresses_text(payload.subspan(8, 16), payload.subspan(24, 16)) +
               ports_text(next, next == kFragmentHeader ? ByteView{} : payload.subspan(kIpv6Header));
    }
    return {};
}

}  // namespace manul::felix::io
