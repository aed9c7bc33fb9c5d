#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/bfd/sessions.hpp"
#include "net/ip.hpp"

/// UDP sockets as RFC 5881 and 5883 want them. None of them blocks.
namespace manul::bgp::io {

inline constexpr std::uint16_t kBfdSingleHopPort = 3784;
inline constexpr std::uint16_t kBfdMultihopPort = 4784;

/// Receives on all addresses of one family, with the TTL of each datagram.
[[nodiscard]] Result<UniqueFd> open_bfd_receiver(net::Family family, bool single_hop);

/// Sends to one neighbour with TTL 255 from a source port of 49152 to 65535 that no other session uses (RFC 5881
/// section 4). The system's words in the error when the neighbour's address has no route yet.
[[nodiscard]] Result<UniqueFd> open_bfd_sender(const bfd::SessionConfig& session);

struct BfdDatagram {
    static constexpr std::size_t kCapacity = 128;  ///< more than any packet without authentication needs

    net::Ip source;
    std::uint8_t ttl = 0;
    std::array<std::uint8_t, kCapacity> data{};
    std::size_t size = 0;
};

/// Nothing when no datagram waits.
[[nodiscard]] std::optional<BfdDatagram> receive_bfd(int fd);

}  // namespace manul::bgp::io
