#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "felix/eval/packet.hpp"
#include "net/ip.hpp"

/// Test packets as bytes: what a pod's own stack would send to open a connection, with a number that tells them apart.
namespace manul::felix::test {

/// The IP packet, with right checksums: a TCP SYN, a UDP datagram, an SCTP INIT, an ICMP message; of other protocols
/// the payload alone. `id` stands in the IPv4 identification or the IPv6 flow label, and begins the payload where it
/// has room; absent ports are written as 0.
[[nodiscard]] std::vector<std::uint8_t> encode(const Packet& packet, std::uint16_t id, std::size_t payload);

/// How a packet is sent.
enum class Form : std::uint8_t {
    whole,
    options,    ///< with IP options, or IPv6 headers for hops and for the destination, before the transport's
    fragments,  ///< in three fragments: eight bytes of the transport's header, eight more, the rest
    shuffled,   ///< the same, the last one first
    rest,       ///< the same without the first one, which alone has ports
};
[[nodiscard]] std::vector<std::vector<std::uint8_t>> encode(const Packet& packet, std::uint16_t id, std::size_t payload,
                                                            Form form);

/// What arrived somewhere.
struct Received {
    std::uint16_t id = 0;
    net::Ip source;
    net::Ip destination;
    bool refusal = false;  ///< a "port unreachable" about the packet of that id, not the packet itself
};
/// Nothing when it cannot be one of ours.
[[nodiscard]] std::optional<Received> decode(std::span<const std::uint8_t> bytes);

}  // namespace manul::felix::test
