#include "felix/render/renderer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/route.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/model/shared.hpp"
#include "felix/model/update.hpp"
#include "felix/render/by_family.hpp"
#include "felix/render/class_chains.hpp"
#include "felix/render/names.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

constexpr std::array kDirections{Direction::ingress, Direction::egress};

const std::string& class_of(const Groups::Pair& classes, Direction direction) {
    return direction == Direction::egress ? classes.first : classes.second;
}

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

Renderer::Renderer(DispatchLimits limits)
    : writer_(inputs_.sets),
      ingress_(Direction::ingress, limits, inputs_, writer_),
      egress_(Direction::egress, limits, inputs_, writer_) {}

Output Renderer::apply(const Batch& batch) {
    if (!std::exchange(started_, true)) {
        start();
    }
    follow_lists(batch);
    for (const Update& u : batch) {
        std::visit([this](const auto& known) { update(known); }, u);
    }
    for (const Direction direction : kDirections) {
        chains(direction).end_updates();
    }
    follow_families();
    render();
    drop_unused();
    // What went may leave a family without members, or a policy to one list only, in whose chain it stands then.
    follow_families();
    render();
    Output output{writer_.take_changes(), {}};
    for (const std::string& interface : std::exchange(touched_interfaces_, {})) {
        output.links.push_back({interface, group_of(interface)});
    }
    return output;
}

void Renderer::start() {
    for (const net::Family family : kFamilies) {
        for (const TableId table : kAllTables) {
            writer_.changes().emplace_back(PutTable{{family, table}});
        }
        for (const NamedSet& set : skeleton_sets()) {
            writer_.changes().emplace_back(PutSet{{family, set.table}, set.name, set.type});
        }
    }
    render_skeleton();
}

void Renderer::follow_lists(const Batch& batch) {
    for (const Direction direction : kDirections) {
        chains(direction).follow(batch, [this, direction](const EndpointKey& key) {
            const auto known = endpoints_.find(key);
            return known == endpoints_.end() ? nullptr : &class_of(known->second.classes, direction);
        });
    }
}

/// Where a family has neither pools nor members, rules that ask for a member match nothing and are left out: a cluster
/// of one family pays for one. With pools they stand there in any case, so that the first member is one element and no
/// rule.
void Renderer::follow_families() {
    for (const net::Family family : kFamilies) {
        const bool can_match =
            inputs_.sets.has_members(family) || std::ranges::any_of(inputs_.pools, [family](const IpPoolInfo& pool) {
                return pool.cidr.family() == family;
            });
        if (std::exchange(inputs_.sets_can_match[family], can_match) == can_match) {
            continue;
        }
        host_.touch_everything();
        for (const Direction direction : kDirections) {
            chains(direction).touch_all_rules();
        }
    }
}

void Renderer::render() {
    for (const Direction direction : kDirections) {
        chains(direction).render();
    }
    nat_.render(inputs_, writer_);
    raw_.render(inputs_, writer_);
    host_.render(inputs_, writer_);
    limits_.render(writer_.changes());
    dscp_.render(inputs_.pools, inputs_.tunnels, writer_.changes());
}

void Renderer::render_skeleton() {
    for (const net::Family family : kFamilies) {
        for (const NamedChain& named : skeleton_chains(family, *inputs_.config)) {
            writer_.put_chain({family, named.table}, named.name, named.chain);
        }
        if (!inputs_.config->host_to_workload_policy) {
            leave_own_traffic(family);
        }
    }
    raw_.touch();
    raw_.render(inputs_, writer_);
}

/// Emptied, not removed: removals come in a commit of their own, and until then no chain below may reject.
void Renderer::leave_own_traffic(net::Family family) {
    const TableKey table{family, TableId::ingress};
    for (const char* name : {"out_hook", "post_hook"}) {
        if (const ChainPtr known = writer_.find_chain(table, name)) {
            writer_.put_chain(table, name, Chain::make(std::vector<RulePtr>{}, known->hook()));
        }
    }
}

void Renderer::drop_unused() {
    for (const Direction direction : kDirections) {
        chains(direction).drop_unused();
    }
    for (const PolicyId& id : std::exchange(gone_policies_, {})) {
        inputs_.policies.erase(id);
        for (const Direction direction : kDirections) {
            chains(direction).tiers().forget(id);
        }
    }
    for (const std::string& profile : std::exchange(gone_profiles_, {})) {
        inputs_.profiles.erase(profile);
        for (const Direction direction : kDirections) {
            chains(direction).forget(profile);
        }
    }
    for (const SetId& id : std::exchange(gone_sets_, {})) {
        inputs_.sets.remove(id);
    }
}

// --- inputs ---------------------------------------------------------------------------------------------------------

void Renderer::update(const ConfigChanged& u) {
    inputs_.config = u.config;
    render_skeleton();
    host_.touch_everything();
    nat_.touch();
    for (const Direction direction : kDirections) {
        chains(direction).touch_everything();
    }
}

void Renderer::update(const PoolsChanged& u) {
    NatChains::change_pools(inputs_.pools, u.pools, writer_);
    inputs_.pools = u.pools;
    nat_.touch();
}

void Renderer::update(const TunnelsChanged& u) {
    for (const net::Family family : kFamilies) {
        const auto ranges = [family](const std::vector<net::Prefix>& peers) {
            std::vector<net::Prefix> own;
            std::ranges::copy_if(peers, std::back_inserter(own),
                                 [family](const net::Prefix& peer) { return peer.family() == family; });
            return ranges_of(own);
        };
        writer_.change_ranges({family, TableId::host}, names::kNodes, ranges(inputs_.tunnels.peers),
                              ranges(u.tunnels.peers));
    }
    inputs_.tunnels = u.tunnels;
    raw_.touch();
    nat_.touch();
    host_.touch_hooks();
}

void Renderer::update(const SetAdded& u) {
    if (inputs_.sets.add(u.set, writer_.changes())) {
        touch_users_of(u.set.id);
    }
}
void Renderer::update(const SetMembersChanged& u) {
    if (inputs_.sets.change(u.id, u.added, u.removed, writer_.changes())) {
        touch_users_of(u.id);
    }
}
void Renderer::update(const SetRemoved& u) { gone_sets_.push_back(u.id); }

void Renderer::touch_users_of(const SetId& id) {
    for (const Direction direction : kDirections) {
        for (const auto& [policy, value] : inputs_.policies) {
            if (names_set(value->rules(direction), id)) {
                chains(direction).tiers().touch(policy);
                host_.touch(policy);
            }
        }
        for (const auto& [profile, value] : inputs_.profiles) {
            if (names_set(value->rules(direction), id)) {
                chains(direction).touch(profile);
                host_.touch(profile);
            }
        }
    }
}

void Renderer::update(const PolicyUpdated& u) {
    const PolicyId& id = u.policy->id;
    inputs_.policies.insert_or_assign(id, u.policy);
    gone_policies_.erase(id);
    host_.touch(id);
    for (const Direction direction : kDirections) {
        chains(direction).tiers().touch(id);
    }
}
void Renderer::update(const PolicyRemoved& u) { gone_policies_.insert(u.id); }

void Renderer::update(const ProfileUpdated& u) {
    const std::string& name = u.profile->name;
    inputs_.profiles.insert_or_assign(name, u.profile);
    gone_profiles_.erase(name);
    host_.touch(name);
    for (const Direction direction : kDirections) {
        chains(direction).touch(name);
    }
}
void Renderer::update(const ProfileRemoved& u) { gone_profiles_.insert(u.name); }

// --- endpoints ------------------------------------------------------------------------------------------------------

void Renderer::update(const ListsReplaced& u) { chains(u.direction).replace_lists(u); }

void Renderer::update(const EndpointUpdated& u) {
    const Endpoint& endpoint = *u.endpoint;
    Groups::Pair classes{egress_.chain_for(endpoint), ingress_.chain_for(endpoint)};
    acquire_pair(classes);
    count_endpoint(classes, true);
    if (const auto known = endpoints_.find(endpoint.key); known != endpoints_.end()) {
        leave_interface(known->second);
        count_endpoint(known->second.classes, false);
        release_pair(known->second.classes);
    }
    touched_interfaces_.insert(endpoint.interface);
    interfaces_.insert_or_assign(endpoint.interface, endpoint.key);
    nat_.put(u.endpoint);
    raw_.put(u.endpoint);
    limits_.put(endpoint);
    dscp_.put(endpoint.key, endpoint.dscp, endpoint.addresses);
    endpoints_.insert_or_assign(endpoint.key, EndpointState{u.endpoint, std::move(classes)});
}

void Renderer::update(const EndpointRemoved& u) {
    const auto known = endpoints_.find(u.key);
    if (known == endpoints_.end()) {
        return;
    }
    leave_interface(known->second);
    nat_.remove(u.key);
    raw_.remove(u.key);
    limits_.remove(u.key);
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

/// Another endpoint may have the interface already.
void Renderer::leave_interface(const EndpointState& endpoint) {
    const std::string& interface = endpoint.endpoint->interface;
    touched_interfaces_.insert(interface);
    if (const auto owner = interfaces_.find(interface);
        owner != interfaces_.end() && owner->second == endpoint.endpoint->key) {
        interfaces_.erase(owner);
    }
}

void Renderer::count_endpoint(const Groups::Pair& classes, bool added) {
    for (const Direction direction : kDirections) {
        chains(direction).count_endpoint(class_of(classes, direction), added);
    }
}

void Renderer::acquire_pair(const Groups::Pair& pair) {
    const Groups::Taken taken = groups_.acquire(pair);
    if (!taken.first) {
        return;
    }
    egress_.retain(pair.first);
    ingress_.retain(pair.second);
    const ElementKey key = ElementKey::group(taken.group);
    for (const net::Family family : kFamilies) {
        writer_.changes().emplace_back(ChangeElements{
            {family, TableId::egress}, std::string(names::kClassMap), {}, {{key, {}, go_to(pair.first)}}});
        writer_.changes().emplace_back(ChangeElements{
            {family, TableId::ingress}, std::string(names::kClassMap), {}, {{key, {}, go_to(pair.second)}}});
    }
}

void Renderer::release_pair(const Groups::Pair& pair) {
    const ElementKey key = ElementKey::group(groups_.group_of(pair));
    if (!groups_.release(pair)) {
        return;
    }
    for (const net::Family family : kFamilies) {
        for (const TableId table : {TableId::egress, TableId::ingress}) {
            writer_.changes().emplace_back(ChangeElements{{family, table}, std::string(names::kClassMap), {key}, {}});
        }
    }
    egress_.release(pair.first);
    ingress_.release(pair.second);
}

// --- for readers ----------------------------------------------------------------------------------------------------

std::optional<std::uint32_t> Renderer::group_of(const std::string& interface) const {
    const auto owner = interfaces_.find(interface);
    return owner == interfaces_.end() ? std::nullopt
                                      : std::optional(groups_.group_of(endpoints_.at(owner->second).classes));
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
        for (const auto& [id, policy] : inputs_.policies) {
            add(policy->rules(direction), id.to_string(), policy->tier, direction);
        }
        for (const auto& [name, profile] : inputs_.profiles) {
            add(profile->rules(direction), "Profile//" + name, {}, direction);
        }
        for (const Shared<TierPolicies>& list : chains(direction).tiers().lists()) {
            if (list->end == TierEnd::deny) {
                all.try_emplace(tier_end_id(list->tier, direction).value(),
                                RuleOrigin{{}, list->tier, direction, 0, felix::Action::deny});
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
    for (const Shared<TierPolicies>& list : *chains(direction).lists_of(class_of(state->second.classes, direction))) {
        if (list->tier == tier) {
            return list->policies;
        }
    }
    return {};
}

}  // namespace manul::felix::render
