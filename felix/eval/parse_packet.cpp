#include "felix/eval/parse_packet.hpp"

#include <cstddef>
#include <cstdint>

#include "net/ip.hpp"
#include "net/port_range.hpp"

namespace manul::felix {

namespace {

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;

// IPv6 extension headers (RFC 8200 4.3 to 4.6, RFC 4302).
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint8_t kDestination = 60;

std::uint16_t number_at(ByteView bytes, std::size_t offset) {
    return static_cast<std::uint16_t>(bytes[offset] << 8U | bytes[offset + 1]);
}

/// Length of the extension header at the beginning of `bytes` (at least two bytes); nothing for any other header.
std::optional<std::size_t> extension_length(std::uint8_t header, ByteView bytes) {
    switch (header) {
        case kHopByHop:
        case kRouting:
        case kDestination:
            return (std::size_t{bytes[1]} + 1) * 8;
        case kFragment:
            return 8;
        case kAuthentication:
            return (std::size_t{bytes[1]} + 2) * 4;
        default:
            return std::nullopt;
    }
}

void read_transport(Packet& packet, ByteView bytes) {
    if (packet.protocol.has_ports() && bytes.size() >= 4) {
        packet.source_port = number_at(bytes, 0);
        packet.destination_port = number_at(bytes, 2);
    } else if ((packet.protocol == net::kIcmp || packet.protocol == net::kIcmpv6) && bytes.size() >= 2) {
        packet.icmp_type = bytes[0];
        packet.icmp_code = bytes[1];
    }
}

std::optional<Packet> parse_v4(ByteView bytes) {
    const auto source = net::Ip::from_bytes(bytes.subspan(12, 4));
    const auto destination = net::Ip::from_bytes(bytes.subspan(16, 4));
    const auto protocol = net::Protocol::make(bytes[9]);
    if (!source || !destination || !protocol) {
        return std::nullopt;
    }
    Packet packet{.source = *source, .destination = *destination, .protocol = *protocol};
    const std::size_t header = std::size_t{bytes[0] & 0xfU} * 4;
    const bool first_fragment = (number_at(bytes, 6) & 0x1fffU) == 0;
    if (first_fragment && header >= kIpv4Header && header <= bytes.size()) {
        read_transport(packet, bytes.subspan(header));
    }
    return packet;
}

std::optional<Packet> parse_v6(ByteView bytes) {
    const auto source = net::Ip::from_bytes(bytes.subspan(8, 16));
    const auto destination = net::Ip::from_bytes(bytes.subspan(24, 16));
    if (!source || !destination) {
        return std::nullopt;
    }
    std::uint8_t next = bytes[6];
    ByteView rest = bytes.subspan(kIpv6Header);
    bool first_fragment = true;
    while (rest.size() >= 8) {
        const auto length = extension_length(next, rest);
        if (!length) {
            break;
        }
        if (next == kFragment && (number_at(rest, 2) & 0xfff8U) != 0) {
            first_fragment = false;
        }
        next = rest[0];
        rest = rest.subspan(*length < rest.size() ? *length : rest.size());
    }
    const auto protocol = net::Protocol::make(next);
    if (!protocol) {
        return std::nullopt;
    }
    Packet packet{.source = *source, .destination = *destination, .protocol = *protocol};
    if (first_fragment) {
        read_transport(packet, rest);
    }
    return packet;
}

}  // namespace

std::optional<Packet> parse_packet(ByteView bytes) {
    if (bytes.size() >= kIpv4Header && bytes[0] >> 4U == 4) {
        return parse_v4(bytes);
    }
    if (bytes.size() >= kIpv6Header && bytes[0] >> 4U == 6) {
        return parse_v6(bytes);
    }
    return std::nullopt;
}

std::string describe(const Packet& packet) {
    std::string text = "SRC=" + packet.source.to_string() + " DST=" + packet.destination.to_string() +
                       " PROTO=" + packet.protocol.to_string();
    const auto add = [&text](const char* name, const auto& number) {
        if (number) {
            text += name + std::to_string(*number);
        }
    };
    add(" SPT=", packet.source_port);
    add(" DPT=", packet.destination_port);
    add(" TYPE=", packet.icmp_type);
    add(" CODE=", packet.icmp_code);
    return text;
}

}  // namespace manul::felix
