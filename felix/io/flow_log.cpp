#include "felix/io/flow_log.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/bytes.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "felix/render/denial.hpp"
#include "felix/render/ruleset.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"

namespace manul::felix::io {

namespace {

constexpr std::size_t kReceiveSize = std::size_t{128} << 10U;
constexpr int kReceiveRoom = 4 << 20U;

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
            if (errno == ENOBUFS) {
                ++overruns_;
                continue;  // lost packets are lost: logging must never slow the node down
            }
            if (errno == EINTR) {
                continue;
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

}  // namespace manul::felix::io
