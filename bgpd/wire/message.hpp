#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>

#include "base/bytes.hpp"
#include "net/ip.hpp"

/// bgpd/wire: BGP messages between bytes and values. Pure: no state that outlives a call except reused buffers, no I/O,
/// no clock. Bytes come in as spans and results refer into them; on the path of an UPDATE nothing is allocated.
///
///   byte stream -> framer.hpp -> open.hpp | update.hpp | notification.hpp | route_refresh.hpp -> values
///   values -> encode_* of the same files and update_writer.hpp -> bytes
///
/// Path attributes travel between the modules in one canonical byte form (attribute.hpp): ascending types, 4-octet AS
/// numbers, without next hop and NLRI. It can be compared, hashed and interned as it is, and is decoded on demand
/// (path_attributes.hpp).
///
/// RFC 4271 section 4, 4760, 5492, 6793, 7606, 8654.
namespace manul::bgp::wire {

inline constexpr std::size_t kMarkerSize = 16;
inline constexpr std::size_t kHeaderSize = 19;
inline constexpr std::size_t kMaxMessage = 4096;
inline constexpr std::size_t kMaxExtendedMessage = 65535;  // RFC 8654
inline constexpr std::uint8_t kVersion = 4;
inline constexpr std::uint16_t kAsTrans = 23456;  // RFC 6793
inline constexpr std::uint16_t kPort = 179;

enum class MessageType : std::uint8_t { open = 1, update = 2, notification = 3, keepalive = 4, route_refresh = 5 };

inline constexpr std::uint16_t kAfiIpv4 = 1;
inline constexpr std::uint16_t kAfiIpv6 = 2;
inline constexpr std::uint8_t kSafiUnicast = 1;

/// An address family as it stands on the wire; may be one that we do not speak.
struct AfiSafi {
    std::uint16_t afi = 0;
    std::uint8_t safi = 0;

    /// The unicast family, if it is one that we speak.
    [[nodiscard]] constexpr std::optional<net::Family> family() const noexcept {
        if (safi != kSafiUnicast || (afi != kAfiIpv4 && afi != kAfiIpv6)) {
            return std::nullopt;
        }
        return afi == kAfiIpv4 ? net::Family::v4 : net::Family::v6;
    }
    [[nodiscard]] static constexpr AfiSafi of(net::Family family) noexcept {
        return {family == net::Family::v4 ? kAfiIpv4 : kAfiIpv6, kSafiUnicast};
    }

    auto operator<=>(const AfiSafi&) const = default;
};

/// A set of the two unicast families.
class FamilySet {
public:
    constexpr FamilySet() noexcept = default;
    constexpr FamilySet(std::initializer_list<net::Family> families) noexcept {
        for (const net::Family family : families) {
            add(family);
        }
    }

    constexpr void add(net::Family family) noexcept { bits_ = static_cast<std::uint8_t>(bits_ | bit(family)); }
    constexpr void remove(net::Family family) noexcept { bits_ = static_cast<std::uint8_t>(bits_ & ~bit(family)); }
    [[nodiscard]] constexpr bool has(net::Family family) const noexcept { return (bits_ & bit(family)) != 0; }
    [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return (bits_ & 1U) + (bits_ >> 1U); }
    [[nodiscard]] constexpr FamilySet operator&(FamilySet other) const noexcept {
        FamilySet both;
        both.bits_ = static_cast<std::uint8_t>(bits_ & other.bits_);
        return both;
    }

    bool operator==(const FamilySet&) const = default;

private:
    static constexpr std::uint8_t bit(net::Family family) noexcept { return family == net::Family::v4 ? 1 : 2; }

    std::uint8_t bits_ = 0;
};

inline constexpr net::Family kFamilies[] = {net::Family::v4, net::Family::v6};

/// Appends marker, a length to be patched and the type; returns where the message starts. `finish_message` writes the
/// length when the body is complete.
std::size_t begin_message(Bytes& out, MessageType type);
void finish_message(Bytes& out, std::size_t start);

/// Appends a KEEPALIVE.
void encode_keepalive(Bytes& out);

}  // namespace manul::bgp::wire
