#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/bytes.hpp"
#include "bgpd/policy/route.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/update.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "net/prefix_ranges.hpp"

/// What may go to whom, and with which attributes.
///
/// Routes that start here go to everybody. iBGP to iBGP is reflection alone (RFC 4456). Routes of external peers go to
/// internal ones, and routes of internal peers to external ones, where they lie inside the ranges that may be relayed:
/// a router's default route stays on its node. Between external peers only a route reflector relays, and only from Node
/// to Node: a node is not transit between its routers. This is the policy that RFC 8212 asks for.
///
/// Split horizon (never to the peer that a route came from) is not decided here: routes are encoded once for all peers
/// that share a target, and parts of the result are marked as not for that peer (rib/chunk.hpp).
namespace manul::bgp::policy {

/// BGPPeer nextHopMode. `automatic` is RFC 4271 section 5.1.3.
enum class NextHopMode : std::uint8_t { automatic, self, keep };

/// What decides about sending to a peer. Peers with equal targets share an update group.
struct ExportTarget {
    bool external = false;
    bool reflector_client = false;
    bool is_node = false;
    NextHopMode next_hop_mode = NextHopMode::automatic;
    net::Asn local_as = *net::Asn::make(1);
    std::optional<std::uint32_t> cluster_id;             ///< set: this node is a route reflector
    net::Ip self;                                        ///< our address as next hop, in the family of the routes
    std::optional<net::Prefix> shared_link;              ///< the subnet that we share with the peer
    std::shared_ptr<const net::PrefixRanges> relayable;  ///< never null in use; compared by value

    bool operator==(const ExportTarget& other) const noexcept;

    /// Members of one group: all but `relayable`, which may change during a session.
    [[nodiscard]] bool same_group(const ExportTarget& other) const noexcept;
};

/// The part of the answer that needs no prefix.
enum class Permission : std::uint8_t { never, inside_ranges, always };
[[nodiscard]] Permission permission(const ExportTarget& target, const SourceTraits& source,
                                    const RouteMarks& marks) noexcept;

template <class Key>
[[nodiscard]] bool may_export(const ExportTarget& target, const SourceTraits& source, const RouteMarks& marks,
                              const Key& key) noexcept {
    switch (permission(target, source, marks)) {
        case Permission::never:
            return false;
        case Permission::inside_ranges:
            return target.relayable->contains(key);
        case Permission::always:
            return true;
    }
    return false;
}

/// The next hop to send (RFC 4271 section 5.1.3, RFC 4456 section 10). `received` is meaningless for local routes.
[[nodiscard]] wire::NextHop export_next_hop(const ExportTarget& target, const SourceTraits& source,
                                            const wire::NextHop& received) noexcept;

/// Appends the canonical attributes to send, made of the canonical attributes received. `source_router_id` becomes the
/// ORIGINATOR_ID of a reflected route that has none.
void export_attributes(const ExportTarget& target, const SourceTraits& source, std::uint32_t source_router_id,
                       ByteView received, Bytes& out);

/// MED towards external peers: a router that hears a block from its node and from a reflector takes the node.
inline constexpr std::uint32_t kMedOwn = 0;
inline constexpr std::uint32_t kMedRelayed = 100;
/// LOCAL_PREF of routes that come without one.
inline constexpr std::uint32_t kDefaultLocalPref = 100;

}  // namespace manul::bgp::policy
