#pragma once

#include <string_view>

#include "base/bytes.hpp"
#include "bgpd/wire/message.hpp"
#include "test/bgpd/hex.hpp"

namespace manul::test {

/// Body of an UPDATE from its three parts, given in hexadecimal.
inline Bytes update_body(std::string_view withdrawn, std::string_view attributes, std::string_view nlri) {
    Bytes body;
    ByteWriter writer(body);
    for (const Bytes& section : {hex(withdrawn), hex(attributes)}) {
        writer.u16(static_cast<std::uint16_t>(section.size()));
        writer.bytes(section);
    }
    writer.bytes(hex(nlri));
    return body;
}

/// A whole message around a body.
inline Bytes message(bgp::wire::MessageType type, ByteView body) {
    Bytes out;
    const std::size_t start = bgp::wire::begin_message(out, type);
    out.insert(out.end(), body.begin(), body.end());
    bgp::wire::finish_message(out, start);
    return out;
}

// Attributes of a plain IPv4 route: AS_PATH 64513, NEXT_HOP 192.0.2.1.
inline constexpr std::string_view kOrigin = "40 01 01 00 ";
inline constexpr std::string_view kAsPath = "40 02 06 02 01 0000fc01 ";
inline constexpr std::string_view kAsPath2 = "40 02 04 02 01 fc01 ";  // from a peer with 2-octet AS numbers
inline constexpr std::string_view kNextHop = "40 03 04 c0000201 ";

}  // namespace manul::test
