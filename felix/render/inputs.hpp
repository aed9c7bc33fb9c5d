#pragma once

#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "felix/model/config.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/route.hpp"
#include "felix/model/shared.hpp"
#include "felix/render/by_family.hpp"
#include "felix/render/rule.hpp"
#include "felix/render/sets.hpp"
#include "net/ip.hpp"

namespace manul::felix::render {

/// What chains are made of, endpoints and their lists excepted: held once, by the Renderer, and read by its parts.
struct Inputs {
    Shared<Config> config;
    std::vector<IpPoolInfo> pools;
    Tunnels tunnels;
    std::unordered_map<PolicyId, Shared<Policy>> policies;
    std::map<std::string, Shared<Profile>> profiles;  ///< by name
    Sets sets;
    /// False where a family has neither pools nor members of sets: rules that ask for a member match nothing there.
    ByFamily<bool> sets_can_match;

    /// Null when it is not there.
    [[nodiscard]] const Policy* policy(const PolicyId& id) const;
    [[nodiscard]] const Profile* profile(const std::string& name) const;

    /// How rules of policies and profiles of workloads are rendered in this direction. `this` outlives the context.
    [[nodiscard]] RuleContext rule_context(net::Family family, Direction direction) const;
    /// How the end of a list of workloads denies, which may have an action of its own.
    [[nodiscard]] DenyAction denial(Direction direction, std::optional<DenyAction> own) const;

private:
    [[nodiscard]] bool can_reject(Direction direction) const;
};

}  // namespace manul::felix::render
