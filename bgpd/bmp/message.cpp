#include "bgpd/bmp/message.hpp"

#include "net/scoped.hpp"

#include <algorithm>
#include <cstddef>

#include "bgpd/wire/message.hpp"

//  +---------------------------------------------------------------+
//  |    version    |           message length (4 octets)           |
//  +---------------+-----------------------------------------------+
//  |  length, end  |      type     |
//  +---------------+---------------+  then, but for Initiation and Termination:
//  |   peer type   |     flags     |   peer distinguisher (8)      |
//  +---------------+---------------+-------------------------------+
//  |  peer address (16, IPv4 in the last 4)                        |
//  +---------------------------------------------------------------+
//  |  peer AS (4)  |  peer BGP identifier (4)                      |
//  +---------------+-----------------------------------------------+
//  |  timestamp: seconds (4), microseconds (4)                     |
//  +---------------------------------------------------------------+

namespace manul::bgp::bmp {
namespace {

/// RFC 7854 sections 4.4 and 4.5.
constexpr std::uint16_t kInfoDescription = 1;
constexpr std::uint16_t kInfoName = 2;
constexpr std::uint16_t kTerminationText = 0;
constexpr std::uint16_t kTerminationReason = 1;
constexpr std::size_t kMostText = 4096;

/// Writes a message; the length is filled in when the writer goes away.
class Message {
public:
    Message(MessageType type, Bytes& out) : out_(out), start_(out.size()), writer_(out) {
        writer_.u8(kVersion);
        writer_.u32(0);
        writer_.u8(static_cast<std::uint8_t>(type));
    }
    Message(MessageType type, const PeerHeader& peer, Bytes& out) : Message(type, out) {
        const bool v6 = peer.address && peer.address->is_v6();
        writer_.u8(static_cast<std::uint8_t>(peer.type));
        writer_.u8(static_cast<std::uint8_t>(peer.flags | (v6 ? peer_flag::kIpv6 : 0)));
        writer_.u32(0);  // distinguisher: the global instance
        writer_.u32(0);
        address(peer.address.value_or(net::Ip(net::Ip4())));
        writer_.u32(peer.as);
        writer_.u32(peer.router_id);
        writer_.u32(peer.time.seconds);
        writer_.u32(peer.time.microseconds);
    }
    ~Message() {
        const std::size_t length = out_.size() - start_;
        for (std::size_t i = 0; i < 4; ++i) {
            out_[start_ + 1 + i] = static_cast<std::uint8_t>(length >> (24U - 8U * i));
        }
    }
    Message(const Message&) = delete;
    Message& operator=(const Message&) = delete;

    ByteWriter* operator->() { return &writer_; }

    /// 16 octets, an IPv4 address in the last four.
    void address(const net::Ip& address) {
        if (address.is_v4()) {
            for (int i = 0; i < 3; ++i) {
                writer_.u32(0);
            }
            writer_.u32(address.v4().value());
        } else {
            writer_.bytes(net::without_scope(address).v6().bytes());
        }
    }
    void text(std::uint16_t type, std::string_view text) {
        text = text.substr(0, kMostText);
        writer_.u16(type);
        writer_.u16(static_cast<std::uint16_t>(text.size()));
        out_.insert(out_.end(), text.begin(), text.end());
    }

private:
    Bytes& out_;
    std::size_t start_;
    ByteWriter writer_;
};

}  // namespace

void encode_initiation(std::string_view system_name, std::string_view description, Bytes& out) {
    Message message(MessageType::initiation, out);
    message.text(kInfoDescription, description);
    message.text(kInfoName, system_name);
}

void encode_termination(std::string_view text, Bytes& out) {
    Message message(MessageType::termination, out);
    message->u16(kTerminationReason);
    message->u16(2);
    message->u16(0);
    if (!text.empty()) {
        message.text(kTerminationText, text);
    }
}

void encode_peer_up(const PeerHeader& peer, const net::Ip& local, std::uint16_t local_port, std::uint16_t remote_port,
                    ByteView sent, ByteView received, Bytes& out) {
    Message message(MessageType::peer_up, peer, out);
    message.address(local);
    message->u16(local_port);
    message->u16(remote_port);
    message->bytes(sent);
    message->bytes(received);
}

void encode_peer_down(const PeerHeader& peer, DownReason reason, ByteView data, Bytes& out) {
    Message message(MessageType::peer_down, peer, out);
    message->u8(static_cast<std::uint8_t>(reason));
    message->bytes(data);
}

void encode_route_monitoring(const PeerHeader& peer, ByteView update, Bytes& out) {
    Message message(MessageType::route_monitoring, peer, out);
    message->bytes(update);
}

void encode_statistics(const PeerHeader& peer, std::span<const Statistics> statistics, Bytes& out) {
    Message message(MessageType::statistics_report, peer, out);
    message->u32(static_cast<std::uint32_t>(statistics.size()));
    for (const Statistics& each : statistics) {
        message->u16(static_cast<std::uint16_t>(each.type));
        if (each.family) {
            const wire::AfiSafi family = wire::AfiSafi::of(*each.family);
            message->u16(11);
            message->u16(family.afi);
            message->u8(family.safi);
        } else if (each.type == Statistic::updates_as_withdraw) {
            message->u16(4);
            message->u32(static_cast<std::uint32_t>(each.value));
            continue;
        } else {
            message->u16(8);
        }
        message->u64(each.value);
    }
}

}  // namespace manul::bgp::bmp
