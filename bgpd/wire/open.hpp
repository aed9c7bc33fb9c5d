#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.hpp"
#include "bgpd/wire/capability.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"
#include "net/asn.hpp"

namespace manul::bgp::wire {

/// OPEN (RFC 4271 section 4.2). The AS number is the real one: capability 65 when present, else the two-octet field.
struct Open {
    net::Asn as;
    net::RouterId identifier;
    std::uint16_t hold_time = 90;  ///< seconds: 0 or at least 3
    Capabilities capabilities;     ///< encode: `four_octet_as` is taken from `as` when the member is set

    bool operator==(const Open&) const = default;
};

/// Reads an OPEN with parameters in the classic and the extended form (RFC 9072). Errors are those of RFC 4271 section
/// 6.2 that need no configuration: version, AS 0, identifier 0, hold time 1 or 2, unknown parameter, broken lengths.
[[nodiscard]] std::expected<Open, Notification> decode_open(ByteView body);

/// Appends the whole message; uses the extended form when the parameters need it.
void encode_open(const Open& open, Bytes& out);

/// What both sides' OPENs amount to.
struct Negotiated {
    net::Asn peer_as;
    net::RouterId peer_identifier;
    bool internal = false;                  ///< iBGP: both sides have one AS
    bool four_octet_as = false;             ///< AS_PATH has 4-octet numbers both ways (RFC 6793)
    std::uint16_t hold_time = 0;            ///< seconds; the smaller of the two, 0 = no keepalives
    FamilySet families;                     ///< what both speak
    bool route_refresh = false;             ///< the peer answers ROUTE-REFRESH (RFC 2918)
    bool enhanced_route_refresh = false;    ///< with begin and end marks (RFC 7313), both sides
    std::size_t max_send = kMaxMessage;     ///< largest message that the peer takes (RFC 8654)
    std::size_t max_receive = kMaxMessage;  ///< largest message that we announced to take
    /// What the peer announced, if both sides announced graceful restart (RFC 4724).
    std::optional<GracefulRestart> peer_graceful_restart;
    bool notification_restart = false;  ///< N bit on both sides (RFC 8538)
    /// What the peer announced, if both sides announced it beside graceful restart (RFC 9494).
    std::optional<LongLivedRestart> peer_long_lived_restart;
    FamilySet add_path_receive;   ///< the peer's prefixes have path identifiers (RFC 7911)
    FamilySet add_path_send;      ///< ours have
    bool ipv6_next_hops = false;  ///< of IPv4 routes, both ways (RFC 8950)

    bool operator==(const Negotiated&) const = default;
};

/// Compares the peer's OPEN with ours. `expected_as` empty: any AS is taken. Errors: 2/2 other AS than expected, 2/3
/// the identifier of an internal peer equals ours (RFC 6286), 2/7 no common family, 2/11 roles that do not match
/// (RFC 9234), or no role where `needs_role` (its strict mode) asks for one.
[[nodiscard]] std::expected<Negotiated, Notification> negotiate(const Open& ours, const Open& peers,
                                                                std::optional<net::Asn> expected_as,
                                                                bool needs_role = false);

}  // namespace manul::bgp::wire
