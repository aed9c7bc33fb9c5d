#include "felix/io/rule_counts.hpp"

#include <cstddef>
#include <string>

#include "base/try.hpp"
#include "felix/eval/explain.hpp"

namespace manul::felix::io {

Result<RuleCounts> rule_counts(Dataplane& dataplane) {
    MANUL_TRY(const auto counters, dataplane.counters());
    RuleCounts counts;
    counts.origins = dataplane.renderer().origins();
    for (const auto& [id, origin] : counts.origins) {
        counts.sums[id];
    }
    for (const nft::RuleCounter& counter : counters) {
        RuleCounts::Sum& sum = counts.sums[counter.id];
        sum.packets += counter.packets;
        sum.bytes += counter.bytes;
    }
    return counts;
}

void add_rule_metrics(metrics::Registry& registry, const RuleCounts& counts) {
    for (const auto& [id, sum] : counts.sums) {
        const auto origin = counts.origins.find(id);
        if (origin == counts.origins.end()) {
            continue;
        }
        const std::string& owner = origin->second.owner;  // kind/namespace/name
        const bool end = owner.empty();
        const std::size_t kind_end = owner.find('/');
        const std::size_t ns_end = end ? kind_end : owner.find('/', kind_end + 1);
        const metrics::Labels labels{
            {"tier", origin->second.tier},
            {"kind", end ? "" : owner.substr(0, kind_end)},
            {"namespace", end ? "" : owner.substr(kind_end + 1, ns_end - kind_end - 1)},
            {"policy", end ? "" : owner.substr(ns_end + 1)},
            {"direction", std::string(to_string(origin->second.direction))},
            {"rule_index", end ? "-1" : std::to_string(origin->second.index)},
            {"action", std::string(to_string(origin->second.action))},
        };
        registry.counter("manul_felix_policy_rule_packets_total", "Packets that a rule decided or logged.", labels)
            .add(sum.packets);
        registry.counter("manul_felix_policy_rule_bytes_total", "Bytes of these packets.", labels).add(sum.bytes);
    }
}

}  // namespace manul::felix::io
