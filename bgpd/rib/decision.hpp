#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <vector>

#include "bgpd/rib/attribute_pool.hpp"
#include "bgpd/rib/source.hpp"

/// The decision process (RFC 4271 section 9.1, with RFC 4456 section 9 and RFC 6286).
///
/// Of the paths of a prefix those that are accepted and whose next hop is reachable compete. compare() below is the
/// list of tie-breakers in order; select() applies it.
///
/// Invariant: two paths of different sessions never tie, because their peers have different addresses. The result does
/// not depend on the order in which paths arrived: MED counts only among paths of one neighbouring AS, so paths are
/// first compared within their AS, then the winners with each other ("deterministic MED"). Deviation: RFC 5004 (keep
/// the older of two external paths) would break exactly this and is not done.
namespace manul::bgp::rib {

/// The tie-breakers, in order.
enum class Step : std::uint8_t {
    none,                 ///< nothing differs
    origination,          ///< starts here, then a connected prefix, then learned ones, then other kernel routes (all
                          ///< speakers have such an order; RFC 4271 does not speak of it)
    long_lived_stale,     ///< not LLGR_STALE, RFC 9494 section 4.3
    local_preference,     ///< higher LOCAL_PREF, RFC 4271 section 9.1.1
    as_path_length,       ///< shorter AS_PATH, 9.1.2.2 a
    origin,               ///< lower ORIGIN, b
    multi_exit_disc,      ///< lower MED from one neighbouring AS, missing counts as 0, c
    external_first,       ///< learned from an external peer, d
    next_hop_metric,      ///< lower metric to the next hop, e; what is equal up to here may share the traffic
    router_id,            ///< lower BGP identifier, or ORIGINATOR_ID, f and RFC 4456 section 9
    cluster_list_length,  ///< shorter CLUSTER_LIST, RFC 4456 section 9
    peer_address,         ///< lower address of the peer, g
    path_identifier,      ///< lower path identifier of one peer, RFC 7911
};

[[nodiscard]] const char* to_string(Step step) noexcept;

/// A path that takes part.
struct Candidate {
    const AttributeSet* attributes = nullptr;
    const Source* source = nullptr;
    std::uint32_t metric = 0;  ///< to the next hop
    std::uint32_t index = 0;   ///< the caller's
};

struct Comparison {
    std::strong_ordering order = std::strong_ordering::equal;  ///< less: the first path is better
    Step step = Step::none;                                    ///< that decided
};

/// Compares two paths tie-breaker by tie-breaker.
[[nodiscard]] Comparison compare(const Candidate& a, const Candidate& b) noexcept;

struct DecisionOptions {
    std::uint16_t multipath_max = 64;  ///< most next hops of one prefix
    bool multipath_relax = true;       ///< AS paths of equal length count as equal whatever their content

    bool operator==(const DecisionOptions&) const = default;
};

/// The best of the candidates (index into the span; at least one is given). `scratch` is reused between calls.
[[nodiscard]] std::size_t select(std::span<const Candidate> candidates, std::vector<std::size_t>& scratch);

/// Whether `other` may carry traffic beside `best`: equal up to the metric of the next hop, of the same kind, and with
/// the same AS path unless relaxed.
[[nodiscard]] bool shares_traffic(const Candidate& best, const Candidate& other,
                                  const DecisionOptions& options) noexcept;

/// Like shares_traffic, but a path that loses by MED inside its own neighbouring AS does not count.
[[nodiscard]] bool in_multipath(std::span<const Candidate> candidates, std::size_t best, std::size_t other,
                                const DecisionOptions& options) noexcept;

}  // namespace manul::bgp::rib
