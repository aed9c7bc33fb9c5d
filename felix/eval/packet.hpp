#pragma once

#include <cstdint>
#include <optional>

#include "net/ip.hpp"
#include "net/port_range.hpp"

namespace manul::felix {

/// The first packet of a connection, as policy sees it: after destination NAT, before source NAT.
struct Packet {
    net::Ip source;
    net::Ip destination;  ///< of the same family as `source`
    net::Protocol protocol = net::kTcp;
    std::optional<std::uint16_t> source_port;  ///< absent: the protocol has none, or a later fragment
    std::optional<std::uint16_t> destination_port;
    std::optional<std::uint8_t> icmp_type;
    std::optional<std::uint8_t> icmp_code;

    [[nodiscard]] net::Family family() const noexcept { return source.family(); }
};

}  // namespace manul::felix
