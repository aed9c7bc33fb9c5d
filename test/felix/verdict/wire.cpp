#include "test/felix/verdict/wire.hpp"

#include <algorithm>
#include <array>

#include "net/port_range.hpp"

namespace manul::felix::test {

namespace {

constexpr std::size_t kHeader4 = 20;
constexpr std::size_t kHeader6 = 40;
constexpr std::uint8_t kHops = 64;

using Bytes = std::vector<std::uint8_t>;

void put16(Bytes& out, std::uint16_t value) {
    out.push_back(static_cast<std::uint8_t>(value >> 8U));
    out.push_back(static_cast<std::uint8_t>(value));
}
void put32(Bytes& out, std::uint32_t value) {
    put16(out, static_cast<std::uint16_t>(value >> 16U));
    put16(out, static_cast<std::uint16_t>(value));
}
void set16(Bytes& out, std::size_t at, std::uint16_t value) {
    out[at] = static_cast<std::uint8_t>(value >> 8U);
    out[at + 1] = static_cast<std::uint8_t>(value);
}
std::uint16_t get16(std::span<const std::uint8_t> bytes, std::size_t at) {
    return static_cast<std::uint16_t>(std::uint32_t{bytes[at]} << 8U | bytes[at + 1]);
}

/// RFC 1071.
std::uint16_t internet_checksum(std::span<const std::uint8_t> bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        sum += i % 2 == 0 ? std::uint32_t{bytes[i]} << 8U : bytes[i];
    }
    while (sum > 0xffffU) {
        sum = (sum & 0xffffU) + (sum >> 16U);
    }
    return static_cast<std::uint16_t>(~sum);
}

/// RFC 9260 appendix A.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes) {
    std::uint32_t crc = ~0U;
    for (const std::uint8_t byte : bytes) {
        crc ^= byte;
        for (int bit = 0; bit < 8; ++bit) {
            crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
        }
    }
    return ~crc;
}

/// Checksum over the pseudo header (RFC 9293, RFC 8200) and the payload.
std::uint16_t transport_checksum(const Packet& packet, const Bytes& payload) {
    Bytes sum(packet.source.bytes().begin(), packet.source.bytes().end());
    sum.insert(sum.end(), packet.destination.bytes().begin(), packet.destination.bytes().end());
    put32(sum, static_cast<std::uint32_t>(payload.size()));
    put32(sum, packet.protocol.number());
    sum.insert(sum.end(), payload.begin(), payload.end());
    return internet_checksum(sum);
}

Bytes filler(std::uint16_t id, std::size_t size) {
    Bytes bytes;
    if (size >= 2) {
        put16(bytes, id);
    }
    bytes.resize(size);
    return bytes;
}

Bytes transport(const Packet& packet, std::uint16_t id, std::size_t payload) {
    Bytes out;
    const Bytes rest = filler(id, payload);
    const auto ports = [&] {
        put16(out, packet.source_port.value_or(0));
        put16(out, packet.destination_port.value_or(0));
    };
    if (packet.protocol == net::kTcp) {
        ports();
        put32(out, id);
        put32(out, 0);
        put16(out, 0x5002);  // five words of header, SYN
        put16(out, 1024);
        put32(out, 0);
        out.insert(out.end(), rest.begin(), rest.end());
        set16(out, 16, transport_checksum(packet, out));
    } else if (packet.protocol == net::kUdp) {
        ports();
        put16(out, static_cast<std::uint16_t>(8 + payload));
        put16(out, 0);
        out.insert(out.end(), rest.begin(), rest.end());
        const std::uint16_t sum = transport_checksum(packet, out);
        set16(out, 6, sum == 0 ? 0xffffU : sum);  // 0 means "none" (RFC 768)
    } else if (packet.protocol == net::kSctp) {
        ports();
        put32(out, 0);           // an INIT has no verification tag
        put32(out, 0);           // checksum
        put32(out, 0x01000014);  // INIT of 20 bytes
        put32(out, 0x10000U + id);
        put32(out, 65536);
        put32(out, 0x00010001);  // one stream each way
        put32(out, 1);
        const std::uint32_t crc = crc32c(out);
        for (std::size_t i = 0; i < 4; ++i) {
            out[8 + i] = static_cast<std::uint8_t>(crc >> (8 * i));
        }
    } else if (packet.protocol == net::kIcmp || packet.protocol == net::kIcmpv6) {
        out = {packet.icmp_type.value_or(0), packet.icmp_code.value_or(0), 0, 0};
        put16(out, id);
        put16(out, 1);
        out.insert(out.end(), rest.begin(), rest.end());
        set16(out, 2, packet.protocol == net::kIcmp ? internet_checksum(out) : transport_checksum(packet, out));
    } else {
        out = rest;
    }
    return out;
}

/// One header and what follows; ports and the like are not looked at.
struct Header {
    Received received;
    std::uint8_t protocol = 0;
    std::size_t size = 0;
};

std::optional<Header> decode_header(std::span<const std::uint8_t> bytes) {
    const bool with_options = bytes.size() >= kHeader4 + 4 && bytes[0] == 0x46;
    if (with_options || (bytes.size() >= kHeader4 && bytes[0] == 0x45)) {
        return Header{{get16(bytes, 4), *net::Ip::from_bytes(bytes.subspan(12, 4)),
                       *net::Ip::from_bytes(bytes.subspan(16, 4)), false},
                      bytes[9],
                      with_options ? kHeader4 + 4 : kHeader4};
    }
    if (bytes.size() >= kHeader6 && bytes[0] >> 4U == 6) {
        return Header{{get16(bytes, 2), *net::Ip::from_bytes(bytes.subspan(8, 16)),
                       *net::Ip::from_bytes(bytes.subspan(24, 16)), false},
                      bytes[6],
                      kHeader6};
    }
    return std::nullopt;
}

}  // namespace

std::vector<std::uint8_t> encode(const Packet& packet, std::uint16_t id, std::size_t payload) {
    const Bytes inner = transport(packet, id, payload);
    Bytes out;
    if (packet.family() == net::Family::v4) {
        out = {0x45, 0};
        put16(out, static_cast<std::uint16_t>(kHeader4 + inner.size()));
        put16(out, id);
        put16(out, 0x4000);  // do not fragment
        out.push_back(kHops);
        out.push_back(packet.protocol.number());
        put16(out, 0);
    } else {
        put32(out, 0x60000000U | id);
        put16(out, static_cast<std::uint16_t>(inner.size()));
        out.push_back(packet.protocol.number());
        out.push_back(kHops);
    }
    out.insert(out.end(), packet.source.bytes().begin(), packet.source.bytes().end());
    out.insert(out.end(), packet.destination.bytes().begin(), packet.destination.bytes().end());
    if (packet.family() == net::Family::v4) {
        set16(out, 10, internet_checksum(out));
    }
    out.insert(out.end(), inner.begin(), inner.end());
    return out;
}

namespace {

constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::uint8_t kDestinationOptions = 60;

/// Of a whole packet of encode(): its header with another next protocol and length behind it.
Bytes header_for(const Bytes& whole, bool v4, std::uint8_t next, std::size_t rest) {
    Bytes out(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(v4 ? kHeader4 : kHeader6));
    if (v4) {
        set16(out, 2, static_cast<std::uint16_t>(kHeader4 + rest));
    } else {
        set16(out, 4, static_cast<std::uint16_t>(rest));
        out[6] = next;
    }
    return out;
}

void finish_header4(Bytes& packet, std::size_t header) {
    set16(packet, 10, 0);
    set16(packet, 10, internet_checksum(std::span(packet).first(header)));
}

/// RFC 791: no-operation options; RFC 8200 4.2: PadN in both headers.
Bytes with_options(const Bytes& whole, const Bytes& inner, bool v4, std::uint8_t protocol) {
    if (v4) {
        Bytes out = header_for(whole, v4, protocol, inner.size() + 4);
        out[0] = 0x46;
        out.insert(out.end(), {1, 1, 1, 0});
        finish_header4(out, kHeader4 + 4);
        out.insert(out.end(), inner.begin(), inner.end());
        return out;
    }
    Bytes out = header_for(whole, v4, kHopByHop, inner.size() + 16);
    out.insert(out.end(), {kDestinationOptions, 0, 1, 4, 0, 0, 0, 0});
    out.insert(out.end(), {protocol, 0, 1, 4, 0, 0, 0, 0});
    out.insert(out.end(), inner.begin(), inner.end());
    return out;
}

Bytes fragment(const Bytes& whole, const Bytes& inner, bool v4, const Packet& packet, std::uint16_t id,
               std::size_t from, std::size_t to) {
    const std::size_t size = to - from;
    const bool more = to != inner.size();
    Bytes out = header_for(whole, v4, kFragmentHeader, v4 ? size : size + 8);
    if (v4) {
        set16(out, 6, static_cast<std::uint16_t>(from / 8 | (more ? 0x2000U : 0U)));
        finish_header4(out, kHeader4);
    } else {
        out.insert(out.end(), {packet.protocol.number(), 0});
        put16(out, static_cast<std::uint16_t>(from | (more ? 1U : 0U)));
        put32(out, 0xabc00000U + id);
    }
    out.insert(out.end(), inner.begin() + static_cast<std::ptrdiff_t>(from),
               inner.begin() + static_cast<std::ptrdiff_t>(to));
    return out;
}

}  // namespace

std::vector<std::vector<std::uint8_t>> encode(const Packet& packet, std::uint16_t id, std::size_t payload, Form form) {
    const bool v4 = packet.family() == net::Family::v4;
    // A transport's header of eight bytes would leave nothing for the second fragment.
    const bool cut = form != Form::whole && form != Form::options;
    const Bytes whole = encode(packet, id, cut ? std::max<std::size_t>(payload, 40) : payload);
    if (form == Form::whole) {
        return {whole};
    }
    const Bytes inner(whole.begin() + static_cast<std::ptrdiff_t>(v4 ? kHeader4 : kHeader6), whole.end());
    if (form == Form::options) {
        return {with_options(whole, inner, v4, packet.protocol.number())};
    }
    // RFC 8200 4.5: of IPv6 a first fragment without the whole header of its transport is discarded.
    const std::size_t first = v4 ? 8 : 24;
    std::vector<Bytes> pieces;
    for (const auto& [from, to] : {std::pair{std::size_t{0}, first}, {first, first + 8}, {first + 8, inner.size()}}) {
        if (from < to) {
            pieces.push_back(fragment(whole, inner, v4, packet, id, from, to));
        }
    }
    if (form == Form::shuffled) {
        std::ranges::reverse(pieces);
    } else if (form == Form::rest) {
        pieces.erase(pieces.begin());
    }
    return pieces;
}

std::optional<Received> decode(std::span<const std::uint8_t> bytes) {
    const auto header = decode_header(bytes);
    if (!header) {
        return std::nullopt;
    }
    const auto rest = bytes.subspan(header->size);
    constexpr std::size_t kIcmpHeader = 8;
    const bool v4 = header->protocol == net::kIcmp.number() && rest.size() > kIcmpHeader && rest[0] == 3;
    const bool v6 = header->protocol == net::kIcmpv6.number() && rest.size() > kIcmpHeader && rest[0] == 1;
    if (v4 || v6) {
        const auto about = decode_header(rest.subspan(kIcmpHeader));
        if (about && rest[1] == (v4 ? 3 : 4)) {
            Received refusal = about->received;
            refusal.refusal = true;
            return refusal;
        }
    }
    return header->received;
}

}  // namespace manul::felix::test
