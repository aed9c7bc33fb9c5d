#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/policy/filter.hpp"
#include "bgpd/policy/marking.hpp"
#include "bgpd/policy/route.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/capability.hpp"
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
/// to Node, and routes of the node's own workloads go out: a node is not transit between its routers. This is the
/// policy that RFC 8212 asks for.
///
/// A peer's export filters stand before this policy, but behind what the protocol itself forbids (reflection, NO_EXPORT
/// and its kind). They alone can let out the host's own routes (connected prefixes, other programs' kernel routes) and
/// routes from one external peer to another.
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
    bool knows_llgr = false;  ///< the peer knows LLGR_STALE (RFC 9494)
    NextHopMode next_hop_mode = NextHopMode::automatic;
    net::Asn local_as = *net::Asn::make(1);
    std::optional<wire::Role> role;           ///< ours towards the peer (RFC 9234)
    std::optional<std::uint32_t> cluster_id;  ///< set: this node is a route reflector
    net::Ip self;  ///< our address as next hop: in the family of the routes, or IPv6 for IPv4 routes (RFC 8950)
    std::optional<net::Ip6> self_link_local;  ///< on the link with the peer (RFC 2545)
    std::optional<net::Prefix> shared_link;   ///< the subnet that we share with the peer
    std::vector<std::string> filters;         ///< names of the BGPFilters
    // What may change during a session.
    std::shared_ptr<const net::PrefixRanges> relayable;  ///< never null in use
    std::shared_ptr<const Markings> markings;            ///< null: none
    FilterPtr filter;                                    ///< what `filters` say now; null: nothing

    /// Members of one group: all but what may change during a session.
    [[nodiscard]] bool same_group(const ExportTarget& other) const noexcept;
};

/// RFC 9234 section 5, egress 2.
[[nodiscard]] inline bool towards_no_customer(const std::optional<wire::Role>& ours) noexcept {
    return ours == wire::Role::customer || ours == wire::Role::peer || ours == wire::Role::route_server_client;
}

/// The part of the answer that needs no prefix. (Here because a full table asks millions of times.)
enum class Permission : std::uint8_t { never, by_filter, inside_ranges, always };
[[nodiscard]] inline Permission permission(const ExportTarget& target, const SourceTraits& source,
                                           const RouteMarks& marks) noexcept {
    // RFC 9494 section 4.3: who does not know the mark would take the route for a fresh one.
    if (marks.no_advertise || (marks.no_export && target.external) || (marks.llgr_stale && !target.knows_llgr)) {
        return Permission::never;
    }
    if (marks.only_to_customer && target.external && towards_no_customer(target.role)) {
        return Permission::never;
    }
    switch (source.kind) {
        case SourceKind::local:
            return Permission::always;
        case SourceKind::internal:
            if (target.external) {
                return Permission::inside_ranges;
            }
            // RFC 4456 section 6: from a client to all, from a non-client to clients.
            return target.cluster_id && (source.reflector_client || target.reflector_client) ? Permission::always
                                                                                             : Permission::never;
        case SourceKind::external:
            if (!target.external) {
                return Permission::inside_ranges;
            }
            return source.local_workload || (target.cluster_id && source.is_node && target.is_node)
                       ? Permission::inside_ranges
                       : Permission::by_filter;
        case SourceKind::connected:
        case SourceKind::kernel:
            return Permission::by_filter;
    }
    return Permission::never;
}

/// What changes the attributes of a route that is sent: numbers, so that routes can be compared and packed together.
struct Treatment {
    std::uint32_t rule = 0;     ///< of the target's filter, plus 1; 0: no filter decided
    std::uint16_t marking = 0;  ///< of the target's markings; 0: none

    bool operator==(const Treatment&) const = default;
};

/// Whether a route is sent, and what decided.
struct ExportVerdict {
    bool accepted = false;
    Treatment treatment;

    bool operator==(const ExportVerdict&) const = default;
};

template <class Key>
[[nodiscard]] bool built_in_export(const ExportTarget& target, Permission permission, const Key& key) noexcept {
    return permission == Permission::always ||
           (permission == Permission::inside_ranges && target.relayable->contains(key));
}

/// `route` gives the route as filters see it; called only when a filter is asked.
template <class Key, class Route>
[[nodiscard]] ExportVerdict judge_export(const ExportTarget& target, const SourceTraits& source,
                                         const RouteMarks& marks, const Key& key, Route&& route) {
    const Permission allowed = permission(target, source, marks);
    if (allowed == Permission::never) {
        return {};
    }
    const auto verdict = [&](bool accepted, std::uint32_t rule) -> ExportVerdict {
        const bool marked = accepted && target.markings != nullptr;
        return {accepted, {rule, marked ? target.markings->of(key) : std::uint16_t{0}}};
    };
    if (target.filter) {
        const auto rule = target.filter->match(key, target.external ? PeerType::external : PeerType::internal,
                                               target.filter->asks_for_route() ? route() : FilterRoute{});
        if (rule != FilterProgram::kNoMatch) {
            return verdict((*target.filter)[rule].action == FilterAction::accept, static_cast<std::uint32_t>(rule + 1));
        }
    }
    return verdict(built_in_export(target, allowed, key), 0);
}

/// What the accepting rule does to the attributes, and what the marking then adds; null: nothing.
struct Operations {
    const std::vector<FilterOperation>* of_rule = nullptr;
    const std::vector<FilterOperation>* of_marking = nullptr;

    [[nodiscard]] bool any() const noexcept { return of_rule != nullptr || of_marking != nullptr; }
};
[[nodiscard]] bool same_operations(const Operations& a, const Operations& b);
/// Canonical attributes with the operations applied.
[[nodiscard]] Bytes with_operations(const Operations& operations, ByteView canonical);

/// (While a filter is replaced by a shorter one, what was told by it may still be asked for; markings alike.)
[[nodiscard]] inline Operations operations_of(const ExportTarget& target, Treatment treatment) noexcept {
    Operations out;
    if (treatment.rule != 0 && target.filter && treatment.rule <= target.filter->rules().size()) {
        const auto& operations = (*target.filter)[treatment.rule - 1].operations;
        out.of_rule = operations.empty() ? nullptr : &operations;
    }
    if (treatment.marking != 0 && target.markings && treatment.marking <= target.markings->size()) {
        out.of_marking = &(*target.markings)[treatment.marking];
    }
    return out;
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
/// LOCAL_PREF of routes that come without one; 0 when their community says that the sender is about to go away
/// (RFC 8326 section 4.2).
inline constexpr std::uint32_t kDefaultLocalPref = 100;
[[nodiscard]] std::uint32_t local_preference(const wire::AttributeFacts& facts) noexcept;

}  // namespace manul::bgp::policy
