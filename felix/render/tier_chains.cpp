#include "felix/render/tier_chains.hpp"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "felix/model/endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/model/shared.hpp"
#include "felix/render/by_family.hpp"
#include "felix/render/denial.hpp"
#include "felix/render/dispatch.hpp"
#include "felix/render/names.hpp"
#include "felix/render/rule.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"

namespace manul::felix::render {

namespace {

bool has_pass(const std::vector<felix::Rule>& rules) {
    return std::ranges::any_of(rules, [](const felix::Rule& rule) { return rule.action == felix::Action::pass; });
}

}  // namespace

std::size_t TierChains::ValueHash::operator()(const Shared<TierPolicies>& list) const {
    std::size_t hash = std::hash<std::string>{}(list->tier);
    for (const PolicyId& policy : list->policies) {
        hash = (hash ^ std::hash<PolicyId>{}(policy)) * 0x9e3779b97f4a7c15ULL;
    }
    return hash;
}

// --- what changed in the inputs --------------------------------------------------------------------------------------

void TierChains::touch(const PolicyId& policy) {
    if (policies_.contains(policy)) {
        dirty_policies_.insert(policy);
    }
}

void TierChains::touch_all_policies() {
    for (const auto& [id, state] : policies_) {
        dirty_policies_.insert(id);
    }
}

void TierChains::touch_everything() {
    ends_.clear();
    touch_all_policies();
    for (Node& tier : tiers_) {
        touch_tier(tier);
    }
}

void TierChains::forget(const PolicyId& policy) {
    const auto found = policies_.find(policy);
    if (found != policies_.end() && found->second.users.empty()) {
        policies_.erase(found);
    }
}

// --- which chains there are ------------------------------------------------------------------------------------------

void TierChains::follow(const std::vector<Move>& moves) {
    struct Fate {
        const Shared<TierPolicies>* now = nullptr;
        std::size_t endpoints = 0;
        bool stays = false;  ///< some endpoint keeps the list, or they part
    };
    std::unordered_map<Node*, Fate> fates;
    std::vector<Node*> in_order;
    for (const Move& move : moves) {
        for (std::size_t i = 0; i < move.before->size(); ++i) {
            const Shared<TierPolicies>& before = (*move.before)[i];
            const auto [known, is_new] = fates.try_emplace((*move.chains)[i]);
            if (is_new) {
                in_order.push_back(known->first);
            }
            Fate& fate = known->second;
            fate.endpoints += move.endpoints;
            if (move.now == nullptr) {
                continue;
            }
            const auto now = std::ranges::find_if(
                *move.now, [&before](const Shared<TierPolicies>& tier) { return tier->tier == before->tier; });
            if (now == move.now->end()) {
                continue;
            }
            fate.stays = fate.stays || *now == before || (fate.now != nullptr && *fate.now != *now);
            fate.now = &*now;
        }
    }
    for (Node* tier : in_order) {
        const Fate& fate = fates.at(tier);
        if (fate.now != nullptr && !fate.stays && fate.endpoints == tier->second.endpoints &&
            !tiers_by_value_.contains(*fate.now)) {
            edit(*tier, *fate.now);
        }
    }
}

void TierChains::edit(Node& tier, const Shared<TierPolicies>& now) {
    State& state = tier.second;
    // The lists mostly differ in one policy.
    const std::vector<PolicyId>& before = state.value->policies;
    const std::vector<PolicyId>& after = now->policies;
    const auto first = std::ranges::mismatch(before, after);
    const auto last = std::mismatch(before.rbegin(), std::make_reverse_iterator(first.in1), after.rbegin(),
                                    std::make_reverse_iterator(first.in2));
    const auto begin = state.policies.begin() + (first.in1 - before.begin());
    const auto end = state.policies.begin() + (last.first.base() - before.begin());
    const std::vector<PolicyState*> gone(begin, end);
    const std::unordered_set<const PolicyState*> gone_ones(begin, end);
    std::vector<PolicyState*> come;
    std::transform(first.in2, last.second.base(), std::back_inserter(come),
                   [this](const PolicyId& id) { return &listed(id); });
    const std::unordered_set<const PolicyState*> come_ones(come.begin(), come.end());
    bool moved = false;
    for (auto id = first.in1; id != last.first.base(); ++id) {
        PolicyState* policy = gone[static_cast<std::size_t>(id - first.in1)];
        if (come_ones.contains(policy)) {
            moved = true;
            continue;
        }
        state.gone.push_back({policy->inlined, policy->chain, policy->reach});
        policy->users.erase(&tier);
        dirty_policies_.insert(*id);
    }
    for (auto id = first.in2; id != last.second.base(); ++id) {
        PolicyState* policy = come[static_cast<std::size_t>(id - first.in2)];
        if (!gone_ones.contains(policy)) {
            state.come.push_back(policy);
            policy->users.insert(&tier);
            dirty_policies_.insert(*id);
        }
    }
    const bool other_end = state.value->end != now->end || state.value->deny_action != now->deny_action;
    const bool other_length = is_short(*state.value) != is_short(*now);
    if (other_length) {
        dirty_policies_.insert(after.begin(), after.end());
    }
    if (moved || other_end || other_length) {
        touch_tier(tier);
    }
    edited_tiers_.push_back(&tier);
    state.policies.insert(state.policies.erase(begin, end), come.begin(), come.end());
    tiers_by_value_.erase(state.value);
    tiers_by_value_.emplace(now, &tier);
    state.value = now;
}

void TierChains::touch_tier(Node& tier) {
    if (!std::exchange(tier.second.whole, true)) {
        dirty_tiers_.insert(tier.first);
    }
}

/// A policy that it lists is another now.
void TierChains::touch_tier(Node& tier, const PolicyState& policy, const GonePolicy& before) {
    constexpr std::size_t kFew = 16;  // one by one
    State& state = tier.second;
    if (state.whole || std::ranges::find(state.come, &policy) != state.come.end()) {
        return;
    }
    if (state.come.size() >= kFew) {
        touch_tier(tier);
        return;
    }
    state.gone.push_back(before);
    state.come.push_back(&policy);
    edited_tiers_.push_back(&tier);
}

TierChains::Node* TierChains::chain_for(const Shared<TierPolicies>& list) {
    Node*& known = chain_of_value_[&*list];
    if (known == nullptr) {
        const auto found = tiers_by_value_.find(list);
        known = found != tiers_by_value_.end() ? found->second : make(list);
    }
    return known;
}

TierChains::Node* TierChains::make(const Shared<TierPolicies>& list) {
    const std::string identity = names::tier_identity(*list);
    // A list that was edited in place may have the name that this one would get.
    std::string chain = names::tier_chain(list->tier, identity);
    for (std::string text = identity; tiers_.contains(chain);) {
        text += "\nanother";
        chain = names::tier_chain(list->tier, text);
    }
    Node& tier = *tiers_.try_emplace(std::move(chain)).first;
    tier.second.value = list;
    tier.second.jump = share(net::Family::v4, Rule{{}, {jump(tier.first)}});  // the same in both families
    tiers_by_value_.emplace(list, &tier);
    tier.second.policies.reserve(list->policies.size());
    for (const PolicyId& id : list->policies) {
        PolicyState& policy = listed(id);
        if (policy.users.size() < 2) {  // it may stand in the list of its only user
            dirty_policies_.insert(id);
        }
        policy.users.insert(&tier);
        tier.second.policies.push_back(&policy);
    }
    touch_tier(tier);
    idle_tiers_.insert(tier.first);
    return &tier;
}

TierChains::PolicyState& TierChains::listed(const PolicyId& id) {
    const auto [known, is_new] = policies_.try_emplace(id);
    PolicyState& policy = known->second;
    if (is_new) {
        policy.chain = names::policy_chain(id);
        policy.jump = share(net::Family::v4, Rule{{}, {jump(policy.chain)}});  // the same in both families
    }
    return policy;
}

void TierChains::retain(Node& chain, std::size_t endpoints) {
    ++chain.second.users;
    chain.second.endpoints += endpoints;
}

void TierChains::release(Node& chain, std::size_t endpoints) {
    chain.second.endpoints -= endpoints;
    if (--chain.second.users == 0) {
        idle_tiers_.insert(chain.first);
    }
}

void TierChains::count_endpoint(Node& chain, bool added) noexcept {
    std::size_t& endpoints = chain.second.endpoints;
    endpoints = added ? endpoints + 1 : endpoints - 1;
}

std::vector<Shared<TierPolicies>> TierChains::lists() const {
    std::vector<Shared<TierPolicies>> all;
    all.reserve(tiers_.size());
    for (const auto& [chain, state] : tiers_) {
        all.push_back(state.value);
    }
    return all;
}

void TierChains::drop_unused() {
    for (const std::string& chain : std::exchange(idle_tiers_, {})) {
        if (tiers_.at(chain).users == 0) {
            drop(chain);
        }
    }
}

void TierChains::drop(const std::string& chain) {
    const auto tier = tiers_.find(chain);
    const std::vector<PolicyId>& policies = tier->second.value->policies;
    for (std::size_t i = 0; i < policies.size(); ++i) {
        tier->second.policies[i]->users.erase(&*tier);
        render_policy(policies[i]);
    }
    tiers_by_value_.erase(tier->second.value);
    std::erase(edited_tiers_, &*tier);
    tiers_.erase(tier);
    for (const net::Family family : kFamilies) {
        writer_.put_list(policy_table(family, direction_), chain, {});
    }
}

// --- what they hold --------------------------------------------------------------------------------------------------

void TierChains::render_policies() {
    for (const PolicyId& id : std::exchange(dirty_policies_, {})) {
        render_policy(id);
    }
}

void TierChains::render_tiers() {
    for (const std::string& chain : std::exchange(dirty_tiers_, {})) {
        const auto tier = tiers_.find(chain);
        if (tier != tiers_.end()) {
            render_tier(*tier);
        }
    }
    for (Node* tier : std::exchange(edited_tiers_, {})) {
        if (!tier->second.come.empty() || !tier->second.gone.empty()) {  // else it has been rendered
            render_tier(*tier);
        }
    }
}

/// A policy has a chain in a family while a tier chain lists it, it has rules there, and they do not stand in the
/// tier's chain itself.
void TierChains::render_policy(const PolicyId& id) {
    const auto found = policies_.find(id);
    if (found == policies_.end()) {
        return;
    }
    PolicyState& state = found->second;
    const Policy* policy = state.users.empty() ? nullptr : inputs_.policy(id);
    const GonePolicy before{state.inlined, state.chain, state.reach};
    state.has_pass = policy != nullptr && has_pass(policy->rules(direction_));
    state.inlined = policy != nullptr && (state.has_pass || stands_alone(state, *policy));
    bool tiers_change = state.inlined || before.inlined;
    for (const net::Family family : kFamilies) {
        std::vector<RulePtr> rules;
        if (policy != nullptr) {
            rules = share(family, render_rules(policy->rules(direction_), inputs_.rule_context(family, direction_)));
        }
        tiers_change = set_rules(state, family, std::move(rules)) || tiers_change;
    }
    if (tiers_change) {
        for (Node* tier : state.users) {
            touch_tier(*tier, state, before);
        }
    }
}

/// Puts the rules where they belong. True when the chain came or went, or can match other packets than before.
bool TierChains::set_rules(PolicyState& policy, net::Family family, std::vector<RulePtr> rules) {
    std::vector<RulePtr>& inlined_rules = policy.rules[family];
    inlined_rules.clear();
    if (policy.inlined) {
        inlined_rules.swap(rules);
    }
    std::shared_ptr<const Reach>& reach = policy.reach[family];
    const bool had_chain = reach != nullptr;
    const bool has_chain = !rules.empty();
    Reach now = Reach::of(rules);
    const bool differs = had_chain != has_chain || (had_chain && *reach != now);
    if (differs) {
        reach = has_chain ? std::make_shared<const Reach>(std::move(now)) : nullptr;
    }
    if (had_chain || has_chain) {
        writer_.put_list(policy_table(family, direction_), policy.chain,
                         dispatch_rules(family, policy.chain, std::move(rules), limits_));
    }
    return differs;
}

/// One short list alone has the policy: its few rules stand in the tier's chain, where a packet meets them without a
/// jump and the kernel validates no chain for them.
bool TierChains::stands_alone(const PolicyState& state, const Policy& policy) const {
    return state.users.size() == 1 && is_short(*(*state.users.begin())->second.value) &&
           policy.rules(direction_).size() <= limits_.port_rules;
}

void TierChains::render_tier(Node& tier) {
    for (const net::Family family : kFamilies) {
        if (tier.second.whole || !edit_list(tier, family)) {
            render_list(tier, family);
        }
    }
    tier.second.whole = false;
    tier.second.come.clear();
    tier.second.gone.clear();
}

/// Only those policies that came or went. False: the list must be rendered.
bool TierChains::edit_list(const Node& tier, net::Family family) {
    std::vector<ListEntry> gone;
    std::vector<ListEntry> come;
    for (const GonePolicy& policy : tier.second.gone) {
        if (policy.inlined) {
            return false;
        }
        if (const auto& reach = policy.reach[family]) {
            gone.push_back({reach.get(), policy.chain, nullptr});
        }
    }
    for (const PolicyState* policy : tier.second.come) {
        if (policy->inlined) {
            return false;
        }
        if (const auto& reach = policy->reach[family]) {
            come.push_back({reach.get(), policy->chain, &policy->jump});
        }
    }
    return writer_.edit_list(policy_table(family, direction_), tier.first, gone, come, limits_.entries);
}

void TierChains::render_list(const Node& tier, net::Family family) {
    const TableKey table = policy_table(family, direction_);
    Dispatched list = dispatched(tier, family);
    if (list.rules.empty()) {  // class chains name it in any case
        writer_.put_list(table, tier.first, {});
        writer_.put_chain(table, tier.first, Chain::make(std::vector<RulePtr>{}));
    } else {
        writer_.put_list(table, tier.first, std::move(list));
    }
}

Dispatched TierChains::dispatched(const Node& tier, net::Family family) {
    const auto& [chain, state] = tier;
    std::vector<ListEntry> entries;
    entries.reserve(state.policies.size());
    DispatchLimits limits = limits_;
    for (const PolicyState* policy : state.policies) {
        if (policy->inlined) {
            const std::vector<RulePtr>& rules = policy->rules[family];
            if (!policy->has_pass && !rules.empty()) {
                limits.entries += rules.size() - 1;  // it counts as one entry
            }
            for (const RulePtr& rule : rules) {
                entries.push_back({nullptr, {}, &rule});
            }
        } else if (const auto& reach = policy->reach[family]) {
            entries.push_back({reach.get(), policy->chain, &policy->jump});
        }
    }
    std::deque<Reach> own_reach;  // entries point into it
    if (entries.size() > limits.entries) {
        for (ListEntry& entry : entries) {
            if (entry.reach == nullptr) {
                entry.reach = &own_reach.emplace_back(Reach::of((*entry.rule)->rule));
            }
        }
    }
    return dispatch_tier(family, chain, entries, end_of(*state.value, family), limits);
}

const std::vector<RulePtr>& TierChains::end_of(const TierPolicies& list, net::Family family) {
    static const std::vector<RulePtr> none;
    if (list.end != TierEnd::deny) {
        return none;
    }
    const auto [known, is_new] = ends_.try_emplace({family, list.tier, list.deny_action});
    if (is_new) {
        std::vector<Rule> end;
        append_denial(end, {}, inputs_.denial(direction_, list.deny_action), tier_end_id(list.tier, direction_),
                      direction_, *inputs_.config);
        known->second = share(family, std::move(end));
    }
    return known->second;
}

}  // namespace manul::felix::render
