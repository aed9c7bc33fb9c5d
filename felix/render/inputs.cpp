#include "felix/render/inputs.hpp"

#include <optional>
#include <string>

#include "felix/model/address_set.hpp"
#include "felix/model/config.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/render/rule.hpp"
#include "net/ip.hpp"

namespace manul::felix::render {

const Policy* Inputs::policy(const PolicyId& id) const {
    const auto found = policies.find(id);
    return found == policies.end() ? nullptr : &*found->second;
}

const Profile* Inputs::profile(const std::string& name) const {
    const auto found = profiles.find(name);
    return found == profiles.end() ? nullptr : &*found->second;
}

RuleContext Inputs::rule_context(net::Family family, Direction direction) const {
    RuleContext context{family, direction, &*config,
                        [this, family](const SetId& id) { return sets.has_prefixes(id, family); }};
    context.can_reject = can_reject(direction);
    context.sets_can_match = sets_can_match[family];
    return context;
}

DenyAction Inputs::denial(Direction direction, std::optional<DenyAction> own) const {
    return can_reject(direction) ? own.value_or(config->deny_action) : DenyAction::drop;
}

/// Ingress chains that are reached from postrouting as well must not reject: the kernel refuses that.
bool Inputs::can_reject(Direction direction) const {
    return direction == Direction::egress || !config->host_to_workload_policy;
}

}  // namespace manul::felix::render
