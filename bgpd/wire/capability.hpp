#pragma once

#include <bitset>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"

/// Capabilities of the OPEN message (RFC 5492).
namespace manul::bgp::wire {

namespace capability_code {
inline constexpr std::uint8_t kMultiprotocol = 1;
inline constexpr std::uint8_t kRouteRefresh = 2;
inline constexpr std::uint8_t kExtendedNextHop = 5;
inline constexpr std::uint8_t kExtendedMessage = 6;
inline constexpr std::uint8_t kRole = 9;
inline constexpr std::uint8_t kGracefulRestart = 64;
inline constexpr std::uint8_t kFourOctetAs = 65;
inline constexpr std::uint8_t kAddPath = 69;
inline constexpr std::uint8_t kEnhancedRouteRefresh = 70;
inline constexpr std::uint8_t kLongLivedGracefulRestart = 71;
inline constexpr std::uint8_t kFqdn = 73;
inline constexpr std::uint8_t kSoftwareVersion = 75;
}  // namespace capability_code

/// RFC 4724, with the NOTIFICATION bit of RFC 8538.
struct GracefulRestart {
    struct Entry {
        AfiSafi family;
        bool forwarding_kept = false;  ///< F bit
        bool operator==(const Entry&) const = default;
    };

    bool restarting = false;      ///< R bit: the speaker has just restarted
    bool notification = false;    ///< N bit: a NOTIFICATION does not end graceful restart
    std::uint16_t seconds = 120;  ///< restart time, 0-4095
    std::vector<Entry> families;

    [[nodiscard]] bool has(net::Family family) const noexcept;
    [[nodiscard]] bool forwarding_kept(net::Family family) const noexcept;
    bool operator==(const GracefulRestart&) const = default;
};

/// RFC 9494. A side that only keeps the routes of others names no family.
struct LongLivedRestart {
    struct Entry {
        AfiSafi family;
        bool forwarding_kept = false;  ///< F bit
        std::uint32_t seconds = 0;     ///< long-lived stale time, 24 bits
        bool operator==(const Entry&) const = default;
    };

    std::vector<Entry> families;

    /// The entry of a family; null: the side does not ask for its routes to be kept.
    [[nodiscard]] const Entry* find(net::Family family) const noexcept;
    bool operator==(const LongLivedRestart&) const = default;
};

/// RFC 7911: what a side wants to do with several paths of one prefix.
struct AddPath {
    AfiSafi family;
    bool receive = false;
    bool send = false;
    bool operator==(const AddPath&) const = default;
};

/// RFC 8950: routes of the family may have a next hop of another one.
struct ExtendedNextHop {
    AfiSafi family;
    std::uint16_t next_hop_afi = 0;
    bool operator==(const ExtendedNextHop&) const = default;
};
/// The one that we know: IPv4 unicast over IPv6.
[[nodiscard]] ExtendedNextHop ipv4_over_ipv6() noexcept;

/// What a side is to the other one (RFC 9234); the values are those on the wire.
enum class Role : std::uint8_t { provider = 0, route_server = 1, route_server_client = 2, customer = 3, peer = 4 };
[[nodiscard]] const char* to_string(Role role) noexcept;
/// Provider and customer, route server and its client, peer and peer.
[[nodiscard]] bool roles_match(Role ours, std::uint8_t theirs) noexcept;

/// Host and domain name for display (draft-walton-bgp-hostname-capability).
struct Fqdn {
    std::string host;
    std::string domain;
    bool operator==(const Fqdn&) const = default;
};

/// One that we do not use; kept for display.
struct UnknownCapability {
    std::uint8_t code = 0;
    Bytes value;
    bool operator==(const UnknownCapability&) const = default;
};

/// What one side announces.
struct Capabilities {
    std::vector<AfiSafi> multiprotocol;  ///< also families that we do not speak
    bool route_refresh = false;
    std::vector<ExtendedNextHop> extended_next_hop;
    bool extended_message = false;
    bool enhanced_route_refresh = false;
    std::optional<std::uint32_t> four_octet_as;
    std::optional<GracefulRestart> graceful_restart;
    std::optional<LongLivedRestart> long_lived_restart;
    std::vector<AddPath> add_path;
    std::vector<std::uint8_t> roles;  ///< one; a peer that sends several different ones is in error
    std::optional<Fqdn> fqdn;
    std::optional<std::string> software_version;  ///< draft-ietf-idr-bgp-software-version, for display
    std::vector<UnknownCapability> others;

    [[nodiscard]] bool has(const ExtendedNextHop& wanted) const noexcept;
    [[nodiscard]] AddPath add_path_of(net::Family family) const noexcept;

    /// The families of unicast that this side speaks: IPv4 alone when it names none (RFC 4760 section 8).
    [[nodiscard]] FamilySet families() const noexcept;
    bool operator==(const Capabilities&) const = default;
};

/// Reads the value of one capabilities parameter and adds to `into`. Capabilities with an impossible length are kept as
/// unknown ones, except where the session would mean something else without them: then the NOTIFICATION to send.
/// Repeated ones add families; otherwise the last one counts.
std::expected<void, Notification> decode_capabilities(ByteView parameter, Capabilities& into);

/// Appends code, length and value of all of them, in ascending order of codes.
void encode_capabilities(const Capabilities& capabilities, Bytes& out);

/// Capabilities that a peer does not want to hear of: by code, those of multiprotocol by family.
struct Omission {
    std::bitset<256> codes;
    FamilySet families;

    [[nodiscard]] static Omission everything() noexcept;
    /// Those that stand in the bytes, which are capabilities as in an OPEN; others than whole ones are not read.
    [[nodiscard]] static Omission of(ByteView capabilities) noexcept;

    [[nodiscard]] bool none() const noexcept { return codes.none() && families.empty(); }
    [[nodiscard]] Omission operator&(const Omission& other) const noexcept;
    [[nodiscard]] Omission operator|(const Omission& other) const noexcept;
    bool operator==(const Omission&) const = default;
};
[[nodiscard]] Capabilities without(Capabilities capabilities, const Omission& left_out);

}  // namespace manul::bgp::wire
