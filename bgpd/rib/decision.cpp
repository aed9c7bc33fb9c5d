#include "bgpd/rib/decision.hpp"

#include <algorithm>
#include <cassert>

namespace manul::bgp::rib {

const char* to_string(Step step) noexcept {
    switch (step) {
        case Step::none:
            return "equal";
        case Step::origination:
            return "the best is this node's own";
        case Step::long_lived_stale:
            return "kept for long without its origin";
        case Step::local_preference:
            return "lower local preference";
        case Step::as_path_length:
            return "longer AS path";
        case Step::origin:
            return "higher origin";
        case Step::multi_exit_disc:
            return "higher MED";
        case Step::external_first:
            return "internal, the best is external";
        case Step::next_hop_metric:
            return "next hop is farther";
        case Step::router_id:
            return "higher router id";
        case Step::cluster_list_length:
            return "longer cluster list";
        case Step::peer_address:
            return "higher peer address";
        case Step::path_identifier:
            return "higher path identifier";
    }
    return "";
}

namespace {

std::uint32_t identifier(const Candidate& path) noexcept {
    return path.attributes->has_originator_id ? path.attributes->originator_id : path.source->router_id;
}

bool is_external(const Candidate& path) noexcept { return path.source->traits.kind == policy::SourceKind::external; }

/// Lower is better.
int origination(const Candidate& path) noexcept {
    switch (path.source->traits.kind) {
        case policy::SourceKind::local:
            return 0;
        case policy::SourceKind::connected:
            return 1;
        case policy::SourceKind::external:
        case policy::SourceKind::internal:
            return 2;
        case policy::SourceKind::kernel:
            return 3;
    }
    return 3;
}
bool is_learned(const Candidate& path) noexcept { return origination(path) == 2; }

/// Tie-breakers up to the metric of the next hop.
Comparison compare_cost(const Candidate& a, const Candidate& b) noexcept {
    const AttributeSet& left = *a.attributes;
    const AttributeSet& right = *b.attributes;
    // 1. A route that starts here.
    if (const auto order = origination(a) <=> origination(b); order != 0) {
        return {order, Step::origination};
    }
    // 2. Of an origin that is there before one that has long been away (RFC 9494 section 4.3).
    if (const auto order = left.marks.llgr_stale <=> right.marks.llgr_stale; order != 0) {
        return {order, Step::long_lived_stale};
    }
    // 3. Higher LOCAL_PREF (9.1.1).
    if (const auto order = right.local_pref <=> left.local_pref; order != 0) {
        return {order, Step::local_preference};
    }
    // 4. Shorter AS_PATH (9.1.2.2 a); a set counts 1.
    if (const auto order = left.as_path_length <=> right.as_path_length; order != 0) {
        return {order, Step::as_path_length};
    }
    // 5. Lower ORIGIN (b).
    if (const auto order = left.origin <=> right.origin; order != 0) {
        return {order, Step::origin};
    }
    // 6. Lower MED, only between paths of one neighbouring AS (c).
    if (left.neighbour_as == right.neighbour_as) {
        if (const auto order = left.med <=> right.med; order != 0) {
            return {order, Step::multi_exit_disc};
        }
    }
    // 7. External before internal (d).
    if (const auto order = is_external(b) <=> is_external(a); order != 0) {
        return {order, Step::external_first};
    }
    // 8. Lower metric to the next hop (e).
    if (const auto order = a.metric <=> b.metric; order != 0) {
        return {order, Step::next_hop_metric};
    }
    return {};
}

}  // namespace

Comparison compare(const Candidate& a, const Candidate& b) noexcept {
    if (const Comparison cost = compare_cost(a, b); cost.order != 0) {
        return cost;
    }
    // 9. Lower BGP identifier (f), ORIGINATOR_ID in its place (RFC 4456 section 9).
    if (const auto order = identifier(a) <=> identifier(b); order != 0) {
        return {order, Step::router_id};
    }
    // 10. Shorter CLUSTER_LIST (RFC 4456 section 9).
    if (const auto order = a.attributes->cluster_list_length <=> b.attributes->cluster_list_length; order != 0) {
        return {order, Step::cluster_list_length};
    }
    // 11. Lower address of the peer (g).
    if (const auto order = a.source->address <=> b.source->address; order != 0) {
        return {order, Step::peer_address};
    }
    // 12. Several paths of one peer (RFC 7911).
    if (const auto order = a.attributes->path_id <=> b.attributes->path_id; order != 0) {
        return {order, Step::path_identifier};
    }
    return {};
}

std::size_t select(std::span<const Candidate> candidates, std::vector<std::size_t>& scratch) {
    assert(!candidates.empty());
    if (candidates.size() == 1) {
        return 0;
    }
    if (candidates.size() == 2) {
        return compare(candidates[0], candidates[1]).order <= 0 ? 0 : 1;
    }
    // The best of each neighbouring AS first.
    scratch.clear();
    for (std::size_t i = 0; i < candidates.size(); ++i) {
        const std::uint32_t as = candidates[i].attributes->neighbour_as;
        const auto winner = std::find_if(scratch.begin(), scratch.end(), [&](std::size_t other) {
            return candidates[other].attributes->neighbour_as == as;
        });
        if (winner == scratch.end()) {
            scratch.push_back(i);
        } else if (compare(candidates[i], candidates[*winner]).order < 0) {
            *winner = i;
        }
    }
    std::size_t best = scratch.front();
    for (const std::size_t winner : scratch) {
        if (compare(candidates[winner], candidates[best]).order < 0) {
            best = winner;
        }
    }
    return best;
}

bool shares_traffic(const Candidate& best, const Candidate& other, const DecisionOptions& options) noexcept {
    if (!is_learned(best) || !is_learned(other) || compare_cost(best, other).order != 0) {
        return false;
    }
    if (options.multipath_relax) {
        return true;
    }
    const ByteView left = wire::attribute_facts(best.attributes->canonical()).as_path.bytes();
    const ByteView right = wire::attribute_facts(other.attributes->canonical()).as_path.bytes();
    return std::equal(left.begin(), left.end(), right.begin(), right.end());
}

bool in_multipath(std::span<const Candidate> candidates, std::size_t best, std::size_t other,
                  const DecisionOptions& options) noexcept {
    if (!shares_traffic(candidates[best], candidates[other], options)) {
        return false;
    }
    return std::none_of(candidates.begin(), candidates.end(), [&](const Candidate& mate) {
        return mate.attributes->neighbour_as == candidates[other].attributes->neighbour_as &&
               compare_cost(mate, candidates[other]).step == Step::multi_exit_disc &&
               mate.attributes->med < candidates[other].attributes->med;
    });
}

}  // namespace manul::bgp::rib
