#pragma once

#include <cstdint>
#include <map>
#include <unordered_map>

#include "base/error.hpp"
#include "base/metrics.hpp"
#include "felix/io/dataplane.hpp"
#include "felix/render/renderer.hpp"

namespace manul::felix::io {

/// What every rule has counted, summed over both families and all chains that hold it; rules that no packet has matched
/// are included with zero.
struct RuleCounts {
    struct Sum {
        std::uint64_t packets = 0;
        std::uint64_t bytes = 0;
    };
    std::map<std::uint64_t, Sum> sums;  ///< by rule id
    std::unordered_map<std::uint64_t, render::RuleOrigin> origins;
};

[[nodiscard]] Result<RuleCounts> rule_counts(Dataplane& dataplane);

/// As `manul_felix_policy_rule_packets_total` and `..._bytes_total`, with tier, kind, namespace, policy, direction,
/// rule_index (-1: end of the tier) and action.
void add_rule_metrics(metrics::Registry& registry, const RuleCounts& counts);

}  // namespace manul::felix::io
