#pragma once

#include <cstdint>

namespace manul::bgp::policy {

/// Where a path was learned. `connected` and `kernel` are the host's own routes, which are there for export filters
/// alone: nobody is told about them unless a filter accepts them.
enum class SourceKind : std::uint8_t {
    local,
    external,
    internal,
    connected,  ///< the prefix of an interface
    kernel,     ///< the main table's routes that other programs made
};
[[nodiscard]] constexpr bool is_host_route(SourceKind kind) noexcept {
    return kind == SourceKind::connected || kind == SourceKind::kernel;
}

/// What rules ask about the origin of a path.
struct SourceTraits {
    SourceKind kind = SourceKind::local;
    bool reflector_client = false;  ///< an internal peer that this node reflects for
    bool is_node = false;           ///< a Node of this cluster
    bool local_workload = false;    ///< a workload of this node that speaks BGP

    bool operator==(const SourceTraits&) const = default;
};

/// Well-known communities of a path (RFC 1997, 9494).
struct RouteMarks {
    bool no_export = false;  ///< NO_EXPORT or NO_EXPORT_SUBCONFED
    bool no_advertise = false;
    bool llgr_stale = false;        ///< kept although its origin has been away for long
    bool no_llgr = false;           ///< not to be kept so long
    bool only_to_customer = false;  ///< RFC 9234
};

/// Why a received path is not used; kept with the path for `why`. Fits four bits.
enum class Refusal : std::uint8_t {
    none,
    martian,           ///< a prefix that must never be routed
    own_address,       ///< an address of this host
    as_loop,           ///< own AS in AS_PATH more often than allowed (RFC 4271 section 9)
    originator_loop,   ///< ORIGINATOR_ID is ours (RFC 4456 section 8)
    cluster_loop,      ///< our cluster is in CLUSTER_LIST (RFC 4456 section 8)
    wrong_first_as,    ///< an external peer's AS is not the first of the path (RFC 4271 section 6.3)
    own_next_hop,      ///< the next hop is this host (RFC 4271 section 6.3)
    invalid_next_hop,  ///< not an address that packets can be sent to
    filtered,          ///< an import filter says so
    as_set,            ///< AS_PATH has a set (RFC 9774)
    route_leak,        ///< OTC says that the peer must not have sent it to us (RFC 9234 section 5)
};

[[nodiscard]] const char* to_string(Refusal refusal) noexcept;

}  // namespace manul::bgp::policy
