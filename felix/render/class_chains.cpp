#include "felix/render/class_chains.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "felix/model/endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/model/shared.hpp"
#include "felix/model/update.hpp"
#include "felix/render/by_family.hpp"
#include "felix/render/denial.hpp"
#include "felix/render/names.hpp"
#include "felix/render/rule.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/skeleton.hpp"
#include "felix/render/tier_chains.hpp"
#include "net/ip.hpp"

namespace manul::felix::render {

namespace {

std::vector<std::string> chains_of(const std::vector<TierChains::Node*>& tiers) {
    std::vector<std::string> chains;
    std::ranges::transform(tiers, std::back_inserter(chains), [](const auto* tier) { return tier->first; });
    return chains;
}

}  // namespace

ClassChains::ListKey::ListKey(const PolicyLists& of_lists, const std::vector<std::string>& of_profiles)
    : lists(&*of_lists), profiles(0) {
    for (const std::string& profile : of_profiles) {
        profiles = profiles * 31 + std::hash<std::string>{}(profile);
    }
}

// --- what changed in the inputs --------------------------------------------------------------------------------------

void ClassChains::touch(const std::string& profile) {
    if (profile_users_.contains(profile)) {
        dirty_profiles_.insert(profile);
    }
}

void ClassChains::touch_all_rules() {
    tiers_.touch_all_policies();
    for (const auto& [profile, users] : profile_users_) {
        dirty_profiles_.insert(profile);
    }
}

void ClassChains::touch_everything() {
    ends_ = {};
    touch_all_rules();
    tiers_.touch_everything();
    for (const auto& [chain, state] : classes_) {
        dirty_classes_.insert(chain);
    }
}

// --- which classes there are -----------------------------------------------------------------------------------------

void ClassChains::follow(const Batch& batch, const ClassOf& class_of) { tiers_.follow(moves(batch, class_of)); }

/// Which endpoints go from which list to which, those of a replaced class together.
std::vector<TierChains::Move> ClassChains::moves(const Batch& batch, const ClassOf& class_of) const {
    using Lists = std::vector<Shared<TierPolicies>>;
    std::vector<TierChains::Move> moves;
    std::unordered_map<const void*, std::vector<std::size_t>> moves_of;  // by the list that is left
    const auto goes = [&](const State& from, const Lists* now, std::size_t endpoints) {
        std::vector<std::size_t>& known = moves_of[&*from.lists];
        const auto same = std::ranges::find_if(known, [&](std::size_t move) { return moves[move].now == now; });
        if (same != known.end()) {
            moves[*same].endpoints += endpoints;
            return;
        }
        known.push_back(moves.size());
        moves.push_back({&*from.lists, &from.tiers, now, endpoints});
    };
    std::unordered_set<const State*> replaced_classes;
    for (const Update& u : batch) {
        const auto* replaced = std::get_if<ListsReplaced>(&u);
        if (replaced != nullptr && replaced->direction == direction_) {
            for (const std::string& chain : with_lists(*replaced)) {
                const State& from = classes_.at(chain);
                replaced_classes.insert(&from);
                goes(from, &*replaced->now, from.endpoints);
            }
        }
    }
    const auto leaves = [&](const EndpointKey& endpoint, const Lists* now) {
        const std::string* chain = class_of(endpoint);
        if (chain == nullptr) {
            return;
        }
        const State& from = classes_.at(*chain);
        if (!replaced_classes.contains(&from)) {
            goes(from, now, 1);
        } else if (now != nullptr) {
            goes(from, now, 0);  // counted with its class, but it may part from that
        }
    };
    for (const Update& u : batch) {
        if (const auto* updated = std::get_if<EndpointUpdated>(&u)) {
            leaves(updated->endpoint->key, &*updated->endpoint->lists(direction_));
        } else if (const auto* removed = std::get_if<EndpointRemoved>(&u)) {
            leaves(removed->key, nullptr);
        }
    }
    return moves;
}

std::vector<std::string> ClassChains::with_lists(const ListsReplaced& replaced) const {
    const auto known = classes_of_list_.find({replaced.before, replaced.profiles});
    if (known == classes_of_list_.end()) {
        return {};
    }
    std::vector<std::string> out = known->second;
    std::erase_if(out, [&](const std::string& chain) { return classes_.at(chain).profiles != replaced.profiles; });
    return out;
}

void ClassChains::replace_lists(const ListsReplaced& replaced) {
    for (const std::string& chain : with_lists(replaced)) {
        replace_lists(chain, replaced.now);
    }
}

/// The class stays what it is to its endpoints: a chain under its name, and its groups.
void ClassChains::replace_lists(const std::string& chain, const PolicyLists& now) {
    State& state = classes_.at(chain);
    std::vector<TierChains::Node*> tiers;
    tiers.reserve(now->size());
    for (const Shared<TierPolicies>& tier : *now) {
        const auto before =
            std::ranges::find_if(*state.lists, [&tier](const auto& other) { return other.same_as(tier); });
        tiers.push_back(before == state.lists->end()
                            ? tiers_.chain_for(tier)
                            : state.tiers[static_cast<std::size_t>(before - state.lists->begin())]);
    }
    set_lists(chain, now);
    if (tiers == state.tiers) {
        return;  // they were edited in place
    }
    for (TierChains::Node* tier : tiers) {
        tiers_.retain(*tier, state.endpoints);
    }
    for (TierChains::Node* tier : std::exchange(state.tiers, std::move(tiers))) {
        tiers_.release(*tier, state.endpoints);
    }
    chains_.erase(state.identity);
    state.identity = names::class_identity(chains_of(state.tiers), state.profiles);
    chains_.emplace(state.identity, chain);
    dirty_classes_.insert(chain);
}

void ClassChains::set_lists(const std::string& chain, const PolicyLists& now) {
    State& state = classes_.at(chain);
    if (state.lists.same_as(now)) {
        return;
    }
    forget_list(chain, state);
    classes_of_list_[{now, state.profiles}].push_back(chain);
    state.lists = now;
}

/// The class is no longer found by its list.
void ClassChains::forget_list(const std::string& chain, const State& state) {
    const auto known = classes_of_list_.find({state.lists, state.profiles});
    std::erase(known->second, chain);
    if (known->second.empty()) {
        classes_of_list_.erase(known);
    }
}

std::string ClassChains::chain_for(const Endpoint& endpoint) {
    const PolicyLists& lists = endpoint.lists(direction_);
    const auto [known, is_unknown] = class_of_list_.try_emplace({&*lists, endpoint.profiles});
    if (!is_unknown) {
        return known->second;
    }
    const std::vector<TierChains::Node*>& tiers = tiers_of(lists);
    std::string identity = names::class_identity(chains_of(tiers), endpoint.profiles);
    if (const auto named = chains_.find(identity); named != chains_.end()) {
        known->second = named->second;
        // Its tiers may have been edited in place, into what these lists say.
        set_lists(named->second, lists);
        return named->second;
    }
    // As with tiers: a class whose lists were replaced keeps its name.
    std::string chain = names::class_chain(identity);
    for (std::string text = identity; classes_.contains(chain);) {
        text += "\nanother";
        chain = names::class_chain(text);
    }
    known->second = chain;
    for (TierChains::Node* tier : tiers) {
        tiers_.retain(*tier, 0);
    }
    for (const std::string& profile : endpoint.profiles) {
        std::set<std::string>& users = profile_users_[profile];
        if (users.empty()) {
            dirty_profiles_.insert(profile);
        }
        users.insert(chain);
    }
    chains_.emplace(identity, chain);
    classes_of_list_[{lists, endpoint.profiles}].push_back(chain);
    classes_.emplace(chain, State{lists, tiers, endpoint.profiles, std::move(identity)});
    dirty_classes_.insert(chain);
    return chain;
}

const std::vector<TierChains::Node*>& ClassChains::tiers_of(const PolicyLists& lists) {
    const auto [known, is_new] = tiers_of_list_.try_emplace(&*lists);
    if (is_new) {
        for (const Shared<TierPolicies>& tier : *lists) {
            known->second.push_back(tiers_.chain_for(tier));
        }
    }
    return known->second;
}

void ClassChains::release(const std::string& chain) {
    if (--classes_.at(chain).users == 0) {
        idle_classes_.insert(chain);
    }
}

void ClassChains::count_endpoint(const std::string& chain, bool added) {
    State& state = classes_.at(chain);
    state.endpoints = added ? state.endpoints + 1 : state.endpoints - 1;
    for (TierChains::Node* tier : state.tiers) {
        TierChains::count_endpoint(*tier, added);
    }
}

void ClassChains::end_updates() {
    tiers_.end_updates();
    tiers_of_list_ = {};
    class_of_list_ = {};
}

void ClassChains::drop_unused() {
    for (const std::string& chain : std::exchange(idle_classes_, {})) {
        const auto state = classes_.find(chain);
        if (state != classes_.end() && state->second.users == 0) {
            drop(chain);
        }
    }
    tiers_.drop_unused();
}

void ClassChains::drop(const std::string& chain) {
    const auto state = classes_.find(chain);
    for (TierChains::Node* tier : state->second.tiers) {
        tiers_.release(*tier, state->second.endpoints);
    }
    for (const std::string& profile : state->second.profiles) {
        profile_users_[profile].erase(chain);
        render_profile(profile);
    }
    chains_.erase(state->second.identity);
    forget_list(chain, state->second);
    classes_.erase(state);
    for (const net::Family family : kFamilies) {
        writer_.remove_chain(policy_table(family, direction_), chain);
    }
}

// --- what they hold --------------------------------------------------------------------------------------------------

void ClassChains::render() {
    tiers_.render_policies();
    for (const std::string& profile : std::exchange(dirty_profiles_, {})) {
        render_profile(profile);
    }
    tiers_.render_tiers();
    for (const std::string& chain : std::exchange(dirty_classes_, {})) {
        render_class(chain);
    }
}

void ClassChains::render_profile(const std::string& profile) {
    const auto users = profile_users_.find(profile);
    const bool used = users != profile_users_.end() && !users->second.empty();
    const Profile* value = used ? inputs_.profile(profile) : nullptr;
    const std::string name = names::profile_chain(profile);
    bool classes_change = false;
    for (const net::Family family : kFamilies) {
        const TableKey table = policy_table(family, direction_);
        const bool had_chain = writer_.find_chain(table, name) != nullptr;
        std::vector<Rule> rules;
        if (value != nullptr) {
            rules = render_rules(value->rules(direction_), inputs_.rule_context(family, direction_));
        }
        classes_change = classes_change || had_chain != !rules.empty();
        writer_.put_rules(table, name, share(family, std::move(rules)));
    }
    if (classes_change && used) {
        dirty_classes_.insert(users->second.begin(), users->second.end());
    }
}

void ClassChains::render_class(const std::string& chain) {
    const auto state = classes_.find(chain);
    if (state == classes_.end()) {
        return;
    }
    for (const net::Family family : kFamilies) {
        writer_.put_chain(policy_table(family, direction_), chain, Chain::make(rules_of(state->second, family)));
    }
}

std::vector<RulePtr> ClassChains::rules_of(const State& state, net::Family family) {
    std::vector<RulePtr> rules;
    rules.reserve(state.tiers.size() + state.profiles.size());
    for (const TierChains::Node* tier : state.tiers) {
        rules.push_back(TierChains::jump_to(*tier));
    }
    for (const std::string& profile : state.profiles) {
        const std::string name = names::profile_chain(profile);
        if (writer_.find_chain(policy_table(family, direction_), name) != nullptr) {
            rules.push_back(share(family, Rule{{}, {jump(name)}}));
        }
    }
    const std::vector<RulePtr>& last = end(family);
    rules.insert(rules.end(), last.begin(), last.end());
    return rules;
}

/// Denies what neither a tier nor a profile has judged.
const std::vector<RulePtr>& ClassChains::end(net::Family family) {
    std::vector<RulePtr>& end = ends_[family];
    if (end.empty()) {
        std::vector<Rule> denied;
        append_denial(denied, {}, inputs_.denial(direction_, std::nullopt), no_profile_matched_id(), direction_,
                      *inputs_.config);
        end = share(family, std::move(denied));
    }
    return end;
}

}  // namespace manul::felix::render
