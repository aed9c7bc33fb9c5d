#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "felix/model/endpoint.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/shared.hpp"
#include "felix/model/update.hpp"
#include "felix/render/names.hpp"
#include "felix/render/renderer.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"

// Lists of policies, and the tier chains that stand for them.
namespace manul::felix::render {

namespace {

std::size_t at(Direction direction) { return static_cast<std::size_t>(direction); }

}  // namespace

/// Finds the lists that all their endpoints leave for the same new list, before the endpoints are looked at one by one.
void Renderer::follow_lists(const Batch& batch, Direction direction) {
    using Lists = std::vector<Shared<TierPolicies>>;
    std::vector<ListMove> moves;
    std::unordered_map<const void*, std::vector<std::size_t>> moves_of;  // by the list that is left
    const auto goes = [&](const ClassState& from, const Lists* now, std::size_t endpoints) {
        std::vector<std::size_t>& known = moves_of[&*from.lists];
        const auto same = std::ranges::find_if(known, [&](std::size_t move) { return moves[move].now == now; });
        if (same != known.end()) {
            moves[*same].endpoints += endpoints;
            return;
        }
        known.push_back(moves.size());
        moves.push_back({&*from.lists, &from.tiers, now, endpoints});
    };
    std::unordered_set<const ClassState*> replaced_classes;
    for (const Update& u : batch) {
        const auto* replaced = std::get_if<ListsReplaced>(&u);
        if (replaced != nullptr && replaced->direction == direction) {
            for (const std::string& chain : classes_of(*replaced)) {
                const ClassState& from = classes_[at(direction)].at(chain);
                replaced_classes.insert(&from);
                goes(from, &*replaced->now, from.endpoints);
            }
        }
    }
    const auto leaves = [&](const EndpointState& state, const Lists* now) {
        const ClassState& from =
            classes_[at(direction)].at(direction == Direction::egress ? state.classes.first : state.classes.second);
        if (!replaced_classes.contains(&from)) {
            goes(from, now, 1);
        } else if (now != nullptr) {
            goes(from, now, 0);  // counted with its class, but it may part from that
        }
    };
    for (const Update& u : batch) {
        if (const auto* updated = std::get_if<EndpointUpdated>(&u)) {
            const auto known = endpoints_.find(updated->endpoint->key);
            if (known != endpoints_.end()) {
                leaves(known->second, &*updated->endpoint->lists(direction));
            }
        } else if (const auto* removed = std::get_if<EndpointRemoved>(&u)) {
            const auto known = endpoints_.find(removed->key);
            if (known != endpoints_.end()) {
                leaves(known->second, nullptr);
            }
        }
    }
    struct Fate {
        const Shared<TierPolicies>* now = nullptr;
        std::size_t endpoints = 0;
        bool stays = false;  ///< some endpoint keeps the list, or they part
    };
    std::unordered_map<std::string_view, Fate> fates;
    std::vector<std::string_view> in_order;
    for (const ListMove& move : moves) {
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
    for (const std::string_view name : in_order) {
        const Fate& fate = fates.at(name);
        const std::string chain(name);
        if (fate.now != nullptr && !fate.stays && fate.endpoints == tiers_[at(direction)].at(chain).endpoints &&
            !tier_names_[at(direction)].contains(*fate.now)) {
            edit_tier(direction, chain, *fate.now);
        }
    }
}

void Renderer::edit_tier(Direction direction, const std::string& chain, const Shared<TierPolicies>& now) {
    TierState& state = tiers_[at(direction)].at(chain);
    // The lists mostly differ in one policy.
    const std::vector<PolicyId>& before = state.value->policies;
    const std::vector<PolicyId>& after = now->policies;
    const auto first = std::ranges::mismatch(before, after);
    const auto last = std::mismatch(before.rbegin(), std::make_reverse_iterator(first.in1), after.rbegin(),
                                    std::make_reverse_iterator(first.in2));
    const std::set<PolicyId> gone(first.in1, last.first.base());
    const std::set<PolicyId> come(first.in2, last.second.base());
    for (const PolicyId& policy : gone) {
        if (!come.contains(policy)) {
            policies_[policy].users[at(direction)].erase(chain);
            dirty_policies_[at(direction)].insert(policy);
        }
    }
    for (const PolicyId& policy : come) {
        if (!gone.contains(policy)) {
            policies_[policy].users[at(direction)].insert(chain);
            dirty_policies_[at(direction)].insert(policy);
        }
    }
    if (is_short(*state.value) != is_short(*now)) {
        dirty_policies_[at(direction)].insert(after.begin(), after.end());
    }
    tier_names_[at(direction)].erase(state.value);
    tier_names_[at(direction)].emplace(now, chain);
    state.value = now;
    dirty_tiers_[at(direction)].insert(chain);
}

std::size_t Renderer::TierHash::operator()(const Shared<TierPolicies>& tier) const noexcept {
    std::size_t hash = std::hash<std::string>{}(tier->tier);
    for (const PolicyId& policy : tier->policies) {
        hash = (hash ^ std::hash<PolicyId>{}(policy)) * 0x9e3779b97f4a7c15ULL;
    }
    return hash;
}

std::vector<std::string> Renderer::classes_of(const ListsReplaced& replaced) const {
    const auto& with_list = classes_of_list_[at(replaced.direction)];
    const auto known = with_list.find({replaced.before, replaced.profiles});
    if (known == with_list.end()) {
        return {};
    }
    std::vector<std::string> out = known->second;
    std::erase_if(out, [&](const std::string& chain) {
        return classes_[at(replaced.direction)].at(chain).profiles != replaced.profiles;
    });
    return out;
}

Renderer::ListKey::ListKey(const PolicyLists& of_lists, const std::vector<std::string>& of_profiles)
    : lists(&*of_lists), profiles(0) {
    for (const std::string& profile : of_profiles) {
        profiles = profiles * 31 + std::hash<std::string>{}(profile);
    }
}

void Renderer::forget_list(Direction direction, const std::string& chain, const ClassState& state) {
    auto& with_list = classes_of_list_[at(direction)];
    const auto known = with_list.find({state.lists, state.profiles});
    std::erase(known->second, chain);
    if (known->second.empty()) {
        with_list.erase(known);
    }
}

void Renderer::update(const ListsReplaced& u) {
    for (const std::string& chain : classes_of(u)) {
        replace_lists(u.direction, chain, u.now);
    }
}

/// The class stays what it is to its endpoints: a chain under its name, and its groups.
void Renderer::replace_lists(Direction direction, const std::string& chain, const PolicyLists& now) {
    ClassState& state = classes_[at(direction)].at(chain);
    std::vector<std::string> tiers;
    for (const Shared<TierPolicies>& tier : *now) {
        const auto before = std::ranges::find(*state.lists, tier);
        tiers.push_back(before == state.lists->end()
                            ? tier_chain_of(direction, tier)
                            : state.tiers[static_cast<std::size_t>(before - state.lists->begin())]);
    }
    set_lists(direction, chain, now);
    if (tiers == state.tiers) {
        return;  // they were edited in place
    }
    for (std::size_t i = 0; i < tiers.size(); ++i) {
        use_tier(direction, tiers[i], (*now)[i]);
        tiers_[at(direction)].at(tiers[i]).endpoints += state.endpoints;
    }
    const std::vector<std::string> before = std::exchange(state.tiers, std::move(tiers));
    for (const std::string& tier : before) {
        tiers_[at(direction)].at(tier).endpoints -= state.endpoints;
        leave_tier(direction, tier);
    }
    class_names_[at(direction)].erase(state.identity);
    state.identity = names::class_identity(state.tiers, state.profiles);
    class_names_[at(direction)].emplace(state.identity, chain);
    dirty_classes_[at(direction)].insert(chain);
}

void Renderer::set_lists(Direction direction, const std::string& chain, const PolicyLists& now) {
    ClassState& state = classes_[at(direction)].at(chain);
    if (state.lists.same_as(now)) {
        return;
    }
    forget_list(direction, chain, state);
    classes_of_list_[at(direction)][{now, state.profiles}].push_back(chain);
    state.lists = now;
}

/// A class more calls the tier's chain, which is made when it is new.
void Renderer::use_tier(Direction direction, const std::string& chain, const Shared<TierPolicies>& value) {
    const auto [tier, is_new] = tiers_[at(direction)].try_emplace(chain);
    ++tier->second.users;
    if (!is_new) {
        return;
    }
    tier->second.value = value;
    tier->second.jump = share(net::Family::v4, Rule{{}, {jump(chain)}});  // the same in both families
    tier_names_[at(direction)].emplace(value, chain);
    for (const PolicyId& policy : value->policies) {
        if (policies_[policy].users[at(direction)].size() < 2) {  // it may stand in the list of its only user
            dirty_policies_[at(direction)].insert(policy);
        }
        policies_[policy].users[at(direction)].insert(chain);
    }
    dirty_tiers_[at(direction)].insert(chain);
}

/// A class less calls it. It goes at the end of the batch, when nobody came instead.
void Renderer::leave_tier(Direction direction, const std::string& chain) {
    if (--tiers_[at(direction)].at(chain).users == 0) {
        idle_tiers_[at(direction)].insert(chain);
    }
}

/// The chain of such a tier list, also when it is still to be made.
const std::string& Renderer::tier_chain_of(Direction direction, const Shared<TierPolicies>& tier) {
    const auto [known, is_new] = chain_of_tier_[at(direction)].try_emplace(&*tier);
    if (!is_new) {
        return known->second;
    }
    const auto named = tier_names_[at(direction)].find(tier);
    if (named != tier_names_[at(direction)].end()) {
        return known->second = named->second;
    }
    const std::string identity = names::tier_identity(*tier);
    // A list that was edited in place may have the name that this one would get.
    std::string chain = names::tier_chain(tier->tier, identity);
    for (std::string text = identity; tiers_[at(direction)].contains(chain);) {
        text += "\nanother";
        chain = names::tier_chain(tier->tier, text);
    }
    return known->second = std::move(chain);
}

/// Chains of the lists' tiers, those that are still to be made too.
const std::vector<std::string>& Renderer::tier_chains(Direction direction, const PolicyLists& lists) {
    const auto [known, is_new] = chains_of_list_[at(direction)].try_emplace(&*lists);
    if (is_new) {
        for (const Shared<TierPolicies>& tier : *lists) {
            known->second.push_back(tier_chain_of(direction, tier));
        }
    }
    return known->second;
}

}  // namespace manul::felix::render
