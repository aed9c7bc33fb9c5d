#pragma once

#include <cstdint>

/// How many bytes each encapsulation adds to an IP packet: a tunnel's MTU is smaller by as much than that of the link
/// below.
namespace manul::model {

inline constexpr std::uint32_t kIpv4Header = 20;  // RFC 791
inline constexpr std::uint32_t kIpv6Header = 40;  // RFC 8200

/// RFC 2003: the outer IPv4 header.
inline constexpr std::uint32_t kIpipOverhead = kIpv4Header;
/// RFC 7348, section 5: the inner packet's Ethernet header (14), the VXLAN header (8), UDP (8) and the outer IP header.
inline constexpr std::uint32_t kVxlanOverhead = 14 + 8 + 8 + kIpv4Header;
inline constexpr std::uint32_t kVxlanV6Overhead = 14 + 8 + 8 + kIpv6Header;
/// WireGuard's data message (header 16, authentication tag 16), UDP (8) and the outer IP header.
inline constexpr std::uint32_t kWireguardOverhead = 16 + 16 + 8 + kIpv4Header;
inline constexpr std::uint32_t kWireguardV6Overhead = 16 + 16 + 8 + kIpv6Header;

static_assert(kIpipOverhead == 20 && kVxlanOverhead == 50 && kVxlanV6Overhead == 70);
static_assert(kWireguardOverhead == 60 && kWireguardV6Overhead == 80);

}  // namespace manul::model
