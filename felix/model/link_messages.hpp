#pragma once

#include <array>
#include <cstdint>

/// Types of ICMPv6 that links live on, so no policy stops them.
namespace manul::felix {

/// Between the node and its links: packet too big, multicast listeners, routers, neighbours (RFC 4443, 2710, 4861).
inline constexpr std::array<std::uint8_t, 8> kLinkMessages{2, 130, 131, 132, 133, 134, 135, 136};
/// RFC 3810; the node only sends it.
inline constexpr std::uint8_t kMldReport2 = 143;
/// Of the link messages, what a workload may send to its node: all but a router's advertisement and packet too big.
inline constexpr std::array<std::uint8_t, 6> kWorkloadMessages{130, 131, 132, 133, 135, 136};

}  // namespace manul::felix
