#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <optional>
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
#include "felix/render/dispatch.hpp"
#include "felix/render/names.hpp"
#include "felix/render/renderer.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"

// Lists of policies, and the tier chains that stand for them.
namespace manul::felix::render {

namespace {

std::size_t at(Direction direction) { return static_cast<std::size_t>(direction); }

}  // namespace

/// Which endpoints go from which list to which, those of a replaced class together.
std::vector<Renderer::ListMove> Renderer::list_moves(const Batch& batch, Direction direction) {
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
    return moves;
}

/// Finds the lists that all their endpoints leave for the same new list, before the endpoints are looked at one by one.
void Renderer::follow_lists(const Batch& batch, Direction direction) {
    struct Fate {
        const Shared<TierPolicies>* now = nullptr;
        std::size_t endpoints = 0;
        bool stays = false;  ///< some endpoint keeps the list, or they part
    };
    std::unordered_map<TierNode*, Fate> fates;
    std::vector<TierNode*> in_order;
    for (const ListMove& move : list_moves(batch, direction)) {
        for (std::size_t i = 0; i < move.before->size(); ++i) {
            const Shared<TierPolicies>& before = (*move.before)[i];
            const auto [known, is_new] = fates.try_emplace((*move.tiers)[i]);
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
    for (TierNode* tier : in_order) {
        const Fate& fate = fates.at(tier);
        if (fate.now != nullptr && !fate.stays && fate.endpoints == tier->second.endpoints &&
            !tiers_by_value_[at(direction)].contains(*fate.now)) {
            edit_tier(direction, *tier, *fate.now);
        }
    }
}

void Renderer::edit_tier(Direction direction, TierNode& tier, const Shared<TierPolicies>& now) {
    TierState& state = tier.second;
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
                   [this](const PolicyId& id) { return &policies_[id]; });
    const std::unordered_set<const PolicyState*> come_ones(come.begin(), come.end());
    bool moved = false;
    for (auto id = first.in1; id != last.first.base(); ++id) {
        PolicyState* policy = gone[static_cast<std::size_t>(id - first.in1)];
        if (come_ones.contains(policy)) {
            moved = true;
            continue;
        }
        state.gone.push_back({policy->inlined[at(direction)], policy->chain, policy->reach[at(direction)]});
        policy->users[at(direction)].erase(&tier);
        dirty_policies_[at(direction)].insert(*id);
    }
    for (auto id = first.in2; id != last.second.base(); ++id) {
        PolicyState* policy = come[static_cast<std::size_t>(id - first.in2)];
        if (!gone_ones.contains(policy)) {
            state.come.push_back(policy);
            policy->users[at(direction)].insert(&tier);
            dirty_policies_[at(direction)].insert(*id);
        }
    }
    const bool other_end = state.value->end != now->end || state.value->deny_action != now->deny_action;
    const bool other_length = is_short(*state.value) != is_short(*now);
    if (other_length) {
        dirty_policies_[at(direction)].insert(after.begin(), after.end());
    }
    if (moved || other_end || other_length) {
        touch_tier(direction, tier);
    }
    edited_tiers_[at(direction)].push_back(&tier);
    state.policies.insert(state.policies.erase(begin, end), come.begin(), come.end());
    tiers_by_value_[at(direction)].erase(state.value);
    tiers_by_value_[at(direction)].emplace(now, &tier);
    state.value = now;
}

void Renderer::touch_tier(Direction direction, TierNode& tier) {
    if (!std::exchange(tier.second.whole, true)) {
        dirty_tiers_[at(direction)].insert(tier.first);
    }
}

/// A policy that it lists is another now.
void Renderer::touch_tier(Direction direction, TierNode& tier, const PolicyState& policy, const GonePolicy& before) {
    constexpr std::size_t kFew = 16;  // one by one
    TierState& state = tier.second;
    if (state.whole || std::ranges::find(state.come, &policy) != state.come.end()) {
        return;
    }
    if (state.come.size() >= kFew) {
        touch_tier(direction, tier);
        return;
    }
    state.gone.push_back(before);
    state.come.push_back(&policy);
    edited_tiers_[at(direction)].push_back(&tier);
}

/// A long list whose map leads straight to policies gets or loses their elements, and stays as it is otherwise: what
/// that costs does not depend on its length. False: it must be rendered.
bool Renderer::edit_list(Direction direction, const TierNode& tier, const TableKey& table) {
    const std::size_t family = table.family == net::Family::v4 ? 0 : 1;
    std::unordered_map<std::string, ListParts>& lists = lists_[table];
    const auto known = lists.find(tier.first);
    if (known == lists.end() || known->second.direct == 0) {
        return false;
    }
    ListParts& parts = known->second;
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
        if (policy->inlined[at(direction)]) {
            return false;
        }
        if (const auto& reach = policy->reach[at(direction)][family]) {
            come.push_back({reach.get(), policy->chain, &policy->jump});
        }
    }
    const std::size_t entries = parts.direct + come.size() - gone.size();
    auto& [map, elements] = *parts.maps.begin();
    std::optional<MapEdit> edit = edit_direct(elements, gone, come);
    if (entries <= limits_.entries || !edit) {
        return false;
    }
    parts.direct = entries;
    for (const ElementKey& key : edit->remove) {
        elements.erase(std::ranges::lower_bound(elements, key, {}, &Element::key));
    }
    for (const Element& element : edit->add) {
        elements.insert(std::ranges::lower_bound(elements, element.key, {}, &Element::key), element);
    }
    if (!edit->remove.empty() || !edit->add.empty()) {
        changes_.emplace_back(ChangeElements{table, map, std::move(edit->remove), std::move(edit->add)});
    }
    return true;
}

std::size_t Renderer::TierHash::operator()(const Shared<TierPolicies>& tier) const {
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
    std::vector<TierNode*> tiers;
    tiers.reserve(now->size());
    for (const Shared<TierPolicies>& tier : *now) {
        const auto before =
            std::ranges::find_if(*state.lists, [&tier](const auto& other) { return other.same_as(tier); });
        tiers.push_back(before == state.lists->end()
                            ? tier_of(direction, tier)
                            : state.tiers[static_cast<std::size_t>(before - state.lists->begin())]);
    }
    set_lists(direction, chain, now);
    if (tiers == state.tiers) {
        return;  // they were edited in place
    }
    for (TierNode* tier : tiers) {
        ++tier->second.users;
        tier->second.endpoints += state.endpoints;
    }
    for (TierNode* tier : std::exchange(state.tiers, std::move(tiers))) {
        tier->second.endpoints -= state.endpoints;
        leave_tier(direction, *tier);
    }
    class_names_[at(direction)].erase(state.identity);
    state.identity = names::class_identity(chains_of(state.tiers), state.profiles);
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

/// A tier's list without users yet: somebody's, or gone at the end of the batch.
Renderer::TierNode* Renderer::make_tier(Direction direction, const Shared<TierPolicies>& value) {
    auto& tiers = tiers_[at(direction)];
    const std::string identity = names::tier_identity(*value);
    // A list that was edited in place may have the name that this one would get.
    std::string chain = names::tier_chain(value->tier, identity);
    for (std::string text = identity; tiers.contains(chain);) {
        text += "\nanother";
        chain = names::tier_chain(value->tier, text);
    }
    TierNode& tier = *tiers.try_emplace(std::move(chain)).first;
    tier.second.value = value;
    tier.second.jump = share(net::Family::v4, Rule{{}, {jump(tier.first)}});  // the same in both families
    tiers_by_value_[at(direction)].emplace(value, &tier);
    tier.second.policies.reserve(value->policies.size());
    for (const PolicyId& id : value->policies) {
        PolicyState& policy = policies_[id];
        if (policy.users[at(direction)].size() < 2) {  // it may stand in the list of its only user
            dirty_policies_[at(direction)].insert(id);
        }
        policy.users[at(direction)].insert(&tier);
        tier.second.policies.push_back(&policy);
    }
    touch_tier(direction, tier);
    idle_tiers_[at(direction)].insert(tier.first);
    return &tier;
}

/// A class less calls it. It goes at the end of the batch, when nobody came instead.
void Renderer::leave_tier(Direction direction, TierNode& tier) {
    if (--tier.second.users == 0) {
        idle_tiers_[at(direction)].insert(tier.first);
    }
}

/// The one for such a list, made when it is new.
Renderer::TierNode* Renderer::tier_of(Direction direction, const Shared<TierPolicies>& value) {
    TierNode*& known = tier_of_value_[at(direction)][&*value];
    if (known == nullptr) {
        const auto found = tiers_by_value_[at(direction)].find(value);
        known = found != tiers_by_value_[at(direction)].end() ? found->second : make_tier(direction, value);
    }
    return known;
}

const std::vector<Renderer::TierNode*>& Renderer::tiers_of(Direction direction, const PolicyLists& lists) {
    const auto [known, is_new] = tiers_of_list_[at(direction)].try_emplace(&*lists);
    if (is_new) {
        for (const Shared<TierPolicies>& tier : *lists) {
            known->second.push_back(tier_of(direction, tier));
        }
    }
    return known->second;
}

std::vector<std::string> Renderer::chains_of(const std::vector<TierNode*>& tiers) {
    std::vector<std::string> chains;
    std::ranges::transform(tiers, std::back_inserter(chains), &TierNode::first);
    return chains;
}

}  // namespace manul::felix::render
