#include "felix/render/renderer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/route.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/model/update.hpp"
#include "felix/render/names.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

constexpr std::array kDirections{Direction::ingress, Direction::egress};

std::size_t at(Direction direction) { return static_cast<std::size_t>(direction); }

bool names_set(const EntityMatch& match, const SetId& id) {
    const auto has = [&id](const std::vector<SetId>& sets) { return std::ranges::find(sets, id) != sets.end(); };
    return has(match.sets) || has(match.not_sets);
}

bool names_set(const std::vector<felix::Rule>& rules, const SetId& id) {
    return std::ranges::any_of(rules, [&id](const felix::Rule& rule) {
        return names_set(rule.source, id) || names_set(rule.destination, id);
    });
}

}  // namespace

Output Renderer::apply(const Batch& batch) {
    if (!std::exchange(started_, true)) {
        start();
    }
    for (const Direction direction : kDirections) {
        follow_lists(batch, direction);
    }
    for (const Update& u : batch) {
        std::visit([this](const auto& known) { update(known); }, u);
    }
    tier_of_value_ = {};
    tiers_of_list_ = {};
    class_of_list_ = {};
    follow_families();
    render_dirty();
    drop_unused();
    // What went may leave a family without members, or a policy to one list only, in whose chain it stands then.
    follow_families();
    render_dirty();
    Output output{std::exchange(changes_, {}), {}};
    for (const std::string& interface : std::exchange(touched_interfaces_, {})) {
        output.links.push_back({interface, group_of(interface)});
    }
    return output;
}

std::optional<std::uint32_t> Renderer::group_of(const std::string& interface) const {
    const auto owner = interfaces_.find(interface);
    return owner == interfaces_.end() ? std::nullopt
                                      : std::optional(groups_.group_of(endpoints_.at(owner->second).classes));
}

void Renderer::start() {
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        for (const TableId table : kAllTables) {
            changes_.emplace_back(PutTable{{family, table}});
        }
        for (const NamedSet& set : skeleton_sets()) {
            changes_.emplace_back(PutSet{{family, set.table}, set.name, set.type});
        }
    }
    render_skeleton();
    nat_dirty_ = true;
}

// --- updates --------------------------------------------------------------------------------------------------------

void Renderer::update(const ConfigChanged& u) {
    config_ = u.config;
    ends_.clear();
    class_ends_ = {};
    render_skeleton();
    host_.touch_everything();
    nat_dirty_ = true;
    for (const Direction direction : kDirections) {
        for (const auto& [id, state] : policies_) {
            dirty_policies_[at(direction)].insert(id);
        }
        for (const auto& [profile, state] : profiles_) {
            dirty_profiles_[at(direction)].insert(profile);
        }
        for (TierNode& tier : tiers_[at(direction)]) {
            touch_tier(direction, tier);
        }
        for (const auto& [chain, state] : classes_[at(direction)]) {
            dirty_classes_[at(direction)].insert(chain);
        }
    }
}

void Renderer::change_ranges(const TableKey& table, std::string_view set, const std::vector<Element>& before,
                             const std::vector<Element>& now) {
    ChangeElements change{table, std::string(set), {}, {}};
    for (const Element& element : before) {
        if (!std::ranges::binary_search(now, element)) {
            change.remove.push_back(element.key);
        }
    }
    std::ranges::set_difference(now, before, std::back_inserter(change.add));
    if (!change.remove.empty() || !change.add.empty()) {
        changes_.emplace_back(std::move(change));
    }
}

void Renderer::update(const PoolsChanged& u) {
    const auto ranges = [](const std::vector<IpPoolInfo>& pools, net::Family family, bool only_nat) {
        std::vector<net::Prefix> prefixes;
        for (const IpPoolInfo& pool : pools) {
            if (pool.cidr.family() == family && (pool.nat_outgoing || !only_nat)) {
                prefixes.push_back(pool.cidr);
            }
        }
        std::ranges::sort(prefixes);
        return ranges_of(prefixes);
    };
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        for (const bool only_nat : {true, false}) {
            change_ranges({family, TableId::nat}, only_nat ? names::kNatPools : names::kAllPools,
                          ranges(pools_, family, only_nat), ranges(u.pools, family, only_nat));
        }
    }
    pools_ = u.pools;
    nat_dirty_ = true;
}

void Renderer::update(const TunnelsChanged& u) {
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        const auto ranges = [family](const std::vector<net::Prefix>& peers) {
            std::vector<net::Prefix> own;
            std::ranges::copy_if(peers, std::back_inserter(own),
                                 [family](const net::Prefix& peer) { return peer.family() == family; });
            return ranges_of(own);
        };
        change_ranges({family, TableId::host}, names::kNodes, ranges(tunnels_.peers), ranges(u.tunnels.peers));
    }
    tunnels_ = u.tunnels;
    spoofing_dirty_ = true;
    nat_dirty_ = true;
    host_.touch_hooks();
}

void Renderer::update(const SetAdded& u) {
    if (sets_.add(u.set, changes_)) {
        mark_users_of(u.set.id);
    }
}
void Renderer::update(const SetMembersChanged& u) {
    if (sets_.change(u.id, u.added, u.removed, changes_)) {
        mark_users_of(u.id);
    }
}
void Renderer::update(const SetRemoved& u) { gone_sets_.push_back(u.id); }

void Renderer::mark_users_of(const SetId& id) {
    for (const Direction direction : kDirections) {
        for (const auto& [policy, state] : policies_) {
            if (state.policy && names_set((*state.policy)->rules(direction), id)) {
                dirty_policies_[at(direction)].insert(policy);
                host_.touch(policy);
            }
        }
        for (const auto& [profile, state] : profiles_) {
            if (state.profile && names_set((*state.profile)->rules(direction), id)) {
                dirty_profiles_[at(direction)].insert(profile);
                host_.touch(profile);
            }
        }
    }
}

void Renderer::update(const PolicyUpdated& u) {
    policies_[u.policy->id].policy = u.policy;
    gone_policies_.erase(u.policy->id);
    host_.touch(u.policy->id);
    for (const Direction direction : kDirections) {
        dirty_policies_[at(direction)].insert(u.policy->id);
    }
}
void Renderer::update(const PolicyRemoved& u) { gone_policies_.insert(u.id); }

void Renderer::update(const ProfileUpdated& u) {
    profiles_[u.profile->name].profile = u.profile;
    gone_profiles_.erase(u.profile->name);
    host_.touch(u.profile->name);
    for (const Direction direction : kDirections) {
        dirty_profiles_[at(direction)].insert(u.profile->name);
    }
}
void Renderer::update(const ProfileRemoved& u) { gone_profiles_.insert(u.name); }

void Renderer::update(const EndpointUpdated& u) {
    const Endpoint& endpoint = *u.endpoint;
    Groups::Pair classes{acquire_class(Direction::egress, endpoint), acquire_class(Direction::ingress, endpoint)};
    acquire_pair(classes);
    count_endpoint(classes, true);
    const auto known = endpoints_.find(endpoint.key);
    if (known != endpoints_.end()) {
        const std::string& interface = known->second.endpoint->interface;
        touched_interfaces_.insert(interface);
        if (const auto owner = interfaces_.find(interface);
            owner != interfaces_.end() && owner->second == endpoint.key) {
            interfaces_.erase(owner);
        }
        count_endpoint(known->second.classes, false);
        release_pair(known->second.classes);
    }
    touched_interfaces_.insert(endpoint.interface);
    interfaces_.insert_or_assign(endpoint.interface, endpoint.key);
    const bool was_translated = with_translations_.erase(endpoint.key) != 0;
    const bool is_translated = !endpoint.host_ports.empty() || !endpoint.floating.empty();
    if (is_translated) {
        with_translations_.insert(endpoint.key);
    }
    nat_dirty_ = nat_dirty_ || was_translated || is_translated;
    const bool was_exempt = with_spoofing_.erase(endpoint.key) != 0;
    if (!endpoint.allowed_source_prefixes.empty()) {
        with_spoofing_.insert(endpoint.key);
    }
    spoofing_dirty_ = spoofing_dirty_ || was_exempt || !endpoint.allowed_source_prefixes.empty();
    limits_of_endpoints_.put(endpoint);
    dscp_.put(endpoint.key, endpoint.dscp, endpoint.addresses);
    endpoints_.insert_or_assign(endpoint.key, EndpointState{u.endpoint, std::move(classes)});
}

void Renderer::update(const EndpointRemoved& u) {
    const auto known = endpoints_.find(u.key);
    if (known == endpoints_.end()) {
        return;
    }
    const std::string& interface = known->second.endpoint->interface;
    touched_interfaces_.insert(interface);
    if (const auto owner = interfaces_.find(interface); owner != interfaces_.end() && owner->second == u.key) {
        interfaces_.erase(owner);
    }
    nat_dirty_ = with_translations_.erase(u.key) != 0 || nat_dirty_;
    spoofing_dirty_ = with_spoofing_.erase(u.key) != 0 || spoofing_dirty_;
    limits_of_endpoints_.remove(u.key);
    dscp_.put(u.key, std::nullopt, {});
    count_endpoint(known->second.classes, false);
    release_pair(known->second.classes);
    endpoints_.erase(known);
}

void Renderer::update(const HostEndpointUpdated& u) {
    host_.put(u.endpoint);
    dscp_.put(u.endpoint->key, u.endpoint->dscp, u.endpoint->addresses);
}

void Renderer::update(const HostEndpointRemoved& u) {
    host_.remove(u.key);
    dscp_.put(u.key, std::nullopt, {});
}

// --- sharing --------------------------------------------------------------------------------------------------------

void Renderer::count_endpoint(const Groups::Pair& classes, bool added) {
    for (const auto& [direction, chain] :
         {std::pair{Direction::egress, &classes.first}, std::pair{Direction::ingress, &classes.second}}) {
        ClassState& state = classes_[at(direction)].at(*chain);
        state.endpoints = added ? state.endpoints + 1 : state.endpoints - 1;
        for (TierNode* tier : state.tiers) {
            std::size_t& endpoints = tier->second.endpoints;
            endpoints = added ? endpoints + 1 : endpoints - 1;
        }
    }
}

/// The class chain of the endpoint, made (with its tiers) when it is new. Not yet counted: acquire_pair() does.
std::string Renderer::acquire_class(Direction direction, const Endpoint& endpoint) {
    const PolicyLists& lists = endpoint.lists(direction);
    const auto [known, is_unknown] = class_of_list_[at(direction)].try_emplace({&*lists, endpoint.profiles});
    if (!is_unknown) {
        return known->second;
    }
    const std::vector<TierNode*>& tiers = tiers_of(direction, lists);
    std::string identity = names::class_identity(chains_of(tiers), endpoint.profiles);
    auto& classes = classes_[at(direction)];
    if (const auto named = class_names_[at(direction)].find(identity); named != class_names_[at(direction)].end()) {
        known->second = named->second;
        // Its tiers may have been edited in place, into what these lists say.
        set_lists(direction, named->second, lists);
        return named->second;
    }
    // As with tiers: a class whose lists were replaced keeps its name.
    std::string chain = names::class_chain(identity);
    for (std::string text = identity; classes.contains(chain);) {
        text += "\nanother";
        chain = names::class_chain(text);
    }
    known->second = chain;
    for (TierNode* tier : tiers) {
        ++tier->second.users;
    }
    for (const std::string& profile : endpoint.profiles) {
        if (profiles_[profile].users[at(direction)].empty()) {
            dirty_profiles_[at(direction)].insert(profile);
        }
        profiles_[profile].users[at(direction)].insert(chain);
    }
    class_names_[at(direction)].emplace(identity, chain);
    classes_of_list_[at(direction)][{lists, endpoint.profiles}].push_back(chain);
    classes.emplace(chain, ClassState{lists, tiers, endpoint.profiles, std::move(identity)});
    dirty_classes_[at(direction)].insert(chain);
    return chain;
}

void Renderer::acquire_pair(const Groups::Pair& pair) {
    const Groups::Taken taken = groups_.acquire(pair);
    if (!taken.first) {
        return;
    }
    ++classes_[at(Direction::egress)].at(pair.first).users;
    ++classes_[at(Direction::ingress)].at(pair.second).users;
    const ElementKey key = ElementKey::group(taken.group);
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        changes_.emplace_back(ChangeElements{
            {family, TableId::egress}, std::string(names::kClassMap), {}, {{key, {}, go_to(pair.first)}}});
        changes_.emplace_back(ChangeElements{
            {family, TableId::ingress}, std::string(names::kClassMap), {}, {{key, {}, go_to(pair.second)}}});
    }
}

void Renderer::release_pair(const Groups::Pair& pair) {
    const ElementKey key = ElementKey::group(groups_.group_of(pair));
    if (!groups_.release(pair)) {
        return;
    }
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        for (const TableId table : {TableId::egress, TableId::ingress}) {
            changes_.emplace_back(ChangeElements{{family, table}, std::string(names::kClassMap), {key}, {}});
        }
    }
    for (const auto& [direction, chain] :
         {std::pair{Direction::egress, &pair.first}, std::pair{Direction::ingress, &pair.second}}) {
        if (--classes_[at(direction)].at(*chain).users == 0) {
            idle_classes_[at(direction)].insert(*chain);
        }
    }
}

void Renderer::drop_class(Direction direction, const std::string& chain) {
    const auto state = classes_[at(direction)].find(chain);
    for (TierNode* tier : state->second.tiers) {
        leave_tier(direction, *tier);
    }
    for (const std::string& profile : state->second.profiles) {
        profiles_[profile].users[at(direction)].erase(chain);
        render_profile(direction, profile);
    }
    class_names_[at(direction)].erase(state->second.identity);
    forget_list(direction, chain, state->second);
    classes_[at(direction)].erase(state);
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        remove_chain({family, direction == Direction::egress ? TableId::egress : TableId::ingress}, chain);
    }
}

void Renderer::drop_tier(Direction direction, const std::string& chain) {
    const auto state = tiers_[at(direction)].find(chain);
    const std::vector<PolicyId>& policies = state->second.value->policies;
    for (std::size_t i = 0; i < policies.size(); ++i) {
        state->second.policies[i]->users[at(direction)].erase(&*state);
        render_policy(direction, policies[i]);
    }
    tiers_by_value_[at(direction)].erase(state->second.value);
    std::erase(edited_tiers_[at(direction)], &*state);
    tiers_[at(direction)].erase(state);
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        put_list({family, direction == Direction::egress ? TableId::egress : TableId::ingress}, chain, {});
    }
}

void Renderer::drop_unused() {
    for (const Direction direction : kDirections) {
        for (const std::string& chain : std::exchange(idle_classes_[at(direction)], {})) {
            const auto state = classes_[at(direction)].find(chain);
            if (state != classes_[at(direction)].end() && state->second.users == 0) {
                drop_class(direction, chain);
            }
        }
        for (const std::string& chain : std::exchange(idle_tiers_[at(direction)], {})) {
            if (tiers_[at(direction)].at(chain).users == 0) {
                drop_tier(direction, chain);
            }
        }
    }
    for (const PolicyId& id : std::exchange(gone_policies_, {})) {
        const auto found = policies_.find(id);
        if (found != policies_.end() && std::ranges::all_of(found->second.users, &FlatSet<TierNode*>::empty)) {
            policies_.erase(found);
        } else if (found != policies_.end()) {
            found->second.policy.reset();  // lists point to it
        }
    }
    for (const std::string& profile : std::exchange(gone_profiles_, {})) {
        profiles_.erase(profile);
    }
    for (const SetId& id : std::exchange(gone_sets_, {})) {
        sets_.remove(id);
    }
}

std::unordered_map<std::uint64_t, RuleOrigin> Renderer::origins() const {
    std::unordered_map<std::uint64_t, RuleOrigin> all;
    const auto add = [&all](const std::vector<felix::Rule>& rules, const std::string& owner, const std::string& tier,
                            Direction direction) {
        for (std::size_t i = 0; i < rules.size(); ++i) {
            all.try_emplace(rules[i].id.value(), RuleOrigin{owner, tier, direction, i, rules[i].action});
        }
    };
    for (const Direction direction : kDirections) {
        for (const auto& [id, state] : policies_) {
            if (state.policy) {
                add((*state.policy)->rules(direction), id.to_string(), (*state.policy)->tier, direction);
            }
        }
        for (const auto& [profile, state] : profiles_) {
            if (state.profile) {
                add((*state.profile)->rules(direction), "Profile//" + profile, {}, direction);
            }
        }
        for (const auto& [chain, state] : tiers_[at(direction)]) {
            const std::string& tier = state.value->tier;
            if (state.value->end == TierEnd::deny) {
                all.try_emplace(tier_end_id(tier, direction).value(),
                                RuleOrigin{{}, tier, direction, 0, felix::Action::deny});
            }
        }
    }
    return all;
}

std::vector<PolicyId> Renderer::policies_of(const std::string& interface, const std::string& tier,
                                            Direction direction) const {
    const auto key = interfaces_.find(interface);
    const auto state = key == interfaces_.end() ? endpoints_.end() : endpoints_.find(key->second);
    if (state == endpoints_.end()) {
        return {};
    }
    const Groups::Pair& classes = state->second.classes;
    const std::string& chain = direction == Direction::egress ? classes.first : classes.second;
    for (const Shared<TierPolicies>& list : *classes_[at(direction)].at(chain).lists) {
        if (list->tier == tier) {
            return list->policies;
        }
    }
    return {};
}

}  // namespace manul::felix::render
