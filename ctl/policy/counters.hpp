#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ctl/context.hpp"

namespace manul::ctl {

struct CountersOptions {
    std::string policy;  ///< "[KIND/][NAMESPACE/]NAME"; empty: all
    bool used = false;   ///< only rules that packets have matched
    std::string format;  ///< "", json, yaml
};

/// What a rule, the end of a tier, or a reason that is no rule has counted on this node.
struct RuleCount {
    std::string kind;  ///< empty for ends of tiers and other reasons
    std::string ns;
    std::string name;
    std::string tier;
    std::string direction;
    std::string action;
    std::string reason;     ///< where there is neither policy nor tier
    std::int64_t rule = 0;  ///< in the policy's list of that direction; -1: none
    std::string id;
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
};

/// `policy counters`: packets and bytes of each policy and rule, as this node's felix tells them.
[[nodiscard]] ExitCode policy_counters(const Context& context, const CountersOptions& options);

/// The table for people: a line for each policy with its sum, and one for each of its rules.
[[nodiscard]] std::string counters_table(std::vector<RuleCount> counts);

}  // namespace manul::ctl
