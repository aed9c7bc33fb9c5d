#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/render/denial.hpp"
#include "felix/render/names.hpp"
#include "felix/render/nat.hpp"
#include "felix/render/renderer.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

// The contents of the chains; renderer.cpp decides which chains there are.
namespace manul::felix::render {

namespace {

constexpr std::array kDirections{Direction::ingress, Direction::egress};
constexpr std::array kFamilies{net::Family::v4, net::Family::v6};

std::size_t at(Direction direction) { return static_cast<std::size_t>(direction); }
std::size_t at(net::Family family) { return family == net::Family::v4 ? 0 : 1; }

TableKey policy_table(net::Family family, Direction direction) {
    return {family, direction == Direction::egress ? TableId::egress : TableId::ingress};
}

bool has_pass(const Policy& policy, Direction direction) {
    return std::ranges::any_of(policy.rules(direction),
                               [](const felix::Rule& rule) { return rule.action == felix::Action::pass; });
}

}  // namespace

void Renderer::render_dirty() {
    for (const Direction direction : kDirections) {
        for (const PolicyId& id : std::exchange(dirty_policies_[at(direction)], {})) {
            render_policy(direction, id);
        }
        for (const std::string& profile : std::exchange(dirty_profiles_[at(direction)], {})) {
            render_profile(direction, profile);
        }
        for (const std::string& chain : std::exchange(dirty_tiers_[at(direction)], {})) {
            const auto tier = tiers_[at(direction)].find(chain);
            if (tier != tiers_[at(direction)].end()) {
                render_tier(direction, *tier);
            }
        }
        for (TierNode* tier : std::exchange(edited_tiers_[at(direction)], {})) {
            if (!tier->second.come.empty() || !tier->second.gone.empty()) {  // else it has been rendered
                render_tier(direction, *tier);
            }
        }
        for (const std::string& chain : std::exchange(dirty_classes_[at(direction)], {})) {
            render_class(direction, chain);
        }
    }
    if (std::exchange(nat_dirty_, false)) {
        render_nat();
    }
    if (std::exchange(spoofing_dirty_, false)) {
        render_spoofing();
    }
    render_host();
    limits_of_endpoints_.render(changes_);
    dscp_.render(pools_, tunnels_, changes_);
}

/// Where a family has neither pools nor members, rules that ask for a member match nothing and are left out: a cluster
/// of one family pays for one. With pools they stand there in any case, so that the first member is one element and no
/// rule.
void Renderer::follow_families() {
    for (const net::Family family : kFamilies) {
        const bool can_match =
            sets_.has_members(family) ||
            std::ranges::any_of(pools_, [family](const IpPoolInfo& pool) { return pool.cidr.family() == family; });
        if (std::exchange(sets_can_match_[at(family)], can_match) == can_match) {
            continue;
        }
        host_.touch_everything();
        for (const Direction direction : kDirections) {
            for (const auto& [id, state] : policies_) {
                dirty_policies_[at(direction)].insert(id);
            }
            for (const auto& [profile, state] : profiles_) {
                dirty_profiles_[at(direction)].insert(profile);
            }
        }
    }
}

/// One short list alone has the policy: its few rules stand in the tier's chain, where a packet meets them without a
/// jump and the kernel validates no chain for them.
bool Renderer::stands_alone(Direction direction, const PolicyState& state) const {
    const FlatSet<TierNode*>& users = state.users[at(direction)];
    return users.size() == 1 && is_short(*(*users.begin())->second.value) &&
           (*state.policy)->rules(direction).size() <= limits_.port_rules;
}

bool Renderer::is_short(const TierPolicies& tier) const { return tier.policies.size() <= limits_.entries; }

/// A policy has a chain in a family while a tier chain lists it, it has rules there, and they do not stand in the
/// tier's chain itself.
void Renderer::render_policy(Direction direction, const PolicyId& id) {
    const auto found = policies_.find(id);
    if (found == policies_.end()) {
        return;
    }
    PolicyState& state = found->second;
    const bool used = state.policy && !state.users[at(direction)].empty();
    const bool inlined = used && (has_pass(**state.policy, direction) || stands_alone(direction, state));
    bool tiers_change = inlined || state.inlined[at(direction)];
    const GonePolicy before{state.inlined[at(direction)], state.chain, state.reach[at(direction)]};
    state.inlined[at(direction)] = inlined;
    if (state.chain.empty()) {
        state.chain = names::policy_chain(id);
        state.jump = share(net::Family::v4, Rule{{}, {jump(state.chain)}});  // the same in both families
    }
    for (const net::Family family : kFamilies) {
        const TableKey table = policy_table(family, direction);
        std::vector<RulePtr> rules;
        if (used) {
            rules = share(family, rules_of((*state.policy)->rules(direction), family, direction));
        }
        std::vector<RulePtr>& inlined_rules = state.rules[at(direction)][at(family)];
        inlined_rules.clear();
        if (inlined) {
            inlined_rules.swap(rules);
        }
        std::shared_ptr<const Reach>& reach = state.reach[at(direction)][at(family)];
        const bool had_chain = reach != nullptr;
        const bool has_chain = !rules.empty();
        Reach now = Reach::of(rules);
        if (had_chain != has_chain || (had_chain && *reach != now)) {
            tiers_change = true;
            reach = has_chain ? std::make_shared<const Reach>(std::move(now)) : nullptr;
        }
        if (had_chain || has_chain) {
            put_list(table, state.chain, dispatch_rules(family, state.chain, std::move(rules), limits_));
        }
    }
    if (!tiers_change) {
        return;
    }
    for (TierNode* tier : state.users[at(direction)]) {
        touch_tier(direction, *tier, state, before);
    }
}

void Renderer::render_profile(Direction direction, const std::string& profile) {
    const ProfileState& state = profiles_[profile];
    const std::string name = names::profile_chain(profile);
    bool classes_change = false;
    for (const net::Family family : kFamilies) {
        const TableKey table = policy_table(family, direction);
        const bool had_chain = chain_of(table, name) != nullptr;
        std::vector<Rule> rules;
        if (state.profile && !state.users[at(direction)].empty()) {
            rules = rules_of((*state.profile)->rules(direction), family, direction);
        }
        classes_change = classes_change || had_chain != !rules.empty();
        put_or_remove(table, name, share(family, std::move(rules)));
    }
    if (classes_change) {
        dirty_classes_[at(direction)].insert(state.users[at(direction)].begin(), state.users[at(direction)].end());
    }
}

void Renderer::render_tier(Direction direction, TierNode& tier) {
    for (const net::Family family : kFamilies) {
        if (tier.second.whole || !edit_list(direction, tier, policy_table(family, direction))) {
            render_tier(direction, tier, family);
        }
    }
    tier.second.whole = false;
    tier.second.come.clear();
    tier.second.gone.clear();
}

void Renderer::render_tier(Direction direction, const TierNode& tier, net::Family family) {
    const TableKey table = policy_table(family, direction);
    const std::string& chain = tier.first;
    Dispatched list = tier_list(tier, family, direction);
    if (list.rules.empty()) {  // class chains name it in any case
        put_list(table, chain, {});
        put_chain(table, chain, Chain::make(std::vector<RulePtr>{}));
    } else {
        put_list(table, chain, std::move(list));
    }
}

void Renderer::render_class(Direction direction, const std::string& chain) {
    const auto state = classes_[at(direction)].find(chain);
    if (state == classes_[at(direction)].end()) {
        return;
    }
    for (const net::Family family : kFamilies) {
        put_chain(policy_table(family, direction), chain, Chain::make(class_rules(state->second, family, direction)));
    }
}

std::vector<Rule> Renderer::rules_of(const std::vector<felix::Rule>& rules, net::Family family,
                                     Direction direction) const {
    RuleContext context{family, direction, &*config_,
                        [this, family](const SetId& id) { return sets_.has_prefixes(id, family); }};
    context.can_reject = can_reject(direction);
    context.sets_can_match = sets_can_match_[at(family)];
    std::vector<Rule> result;
    for (const felix::Rule& rule : rules) {
        std::ranges::move(render_rule(rule, context), std::back_inserter(result));
    }
    return result;
}

Dispatched Renderer::tier_list(const TierNode& tier, net::Family family, Direction direction) {
    const auto& [chain, state] = tier;
    std::vector<ListEntry> entries;
    entries.reserve(state.policies.size());
    DispatchLimits limits = limits_;
    for (const PolicyState* policy : state.policies) {
        if (!policy->policy) {
            continue;
        }
        if (policy->inlined[at(direction)]) {
            const std::vector<RulePtr>& rules = policy->rules[at(direction)][at(family)];
            if (!has_pass(**policy->policy, direction) && !rules.empty()) {
                limits.entries += rules.size() - 1;  // it counts as one entry
            }
            for (const RulePtr& rule : rules) {
                entries.push_back({nullptr, {}, &rule});
            }
        } else if (const auto& reach = policy->reach[at(direction)][at(family)]) {
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
    return dispatch_tier(family, chain, entries, tier_end(*state.value, family, direction), limits);
}

const std::vector<RulePtr>& Renderer::tier_end(const TierPolicies& tier, net::Family family, Direction direction) {
    static const std::vector<RulePtr> none;
    if (tier.end != TierEnd::deny) {
        return none;
    }
    const auto [known, is_new] = ends_.try_emplace({direction, family, tier.tier, tier.deny_action});
    if (is_new) {
        std::vector<Rule> end;
        append_denial(end, {}, denial(direction, tier.deny_action), tier_end_id(tier.tier, direction), direction,
                      *config_);
        known->second = share(family, std::move(end));
    }
    return known->second;
}

/// Ingress chains that are reached from postrouting as well must not reject: the kernel refuses that.
bool Renderer::can_reject(Direction direction) const {
    return direction == Direction::egress || !config_->host_to_workload_policy;
}

DenyAction Renderer::denial(Direction direction, std::optional<DenyAction> own) const {
    return can_reject(direction) ? own.value_or(config_->deny_action) : DenyAction::drop;
}

std::vector<RulePtr> Renderer::class_rules(const ClassState& state, net::Family family, Direction direction) {
    std::vector<RulePtr> rules;
    rules.reserve(state.tiers.size() + state.profiles.size());
    for (const TierNode* tier : state.tiers) {
        rules.push_back(tier->second.jump);
    }
    for (const std::string& profile : state.profiles) {
        const std::string name = names::profile_chain(profile);
        if (chain_of(policy_table(family, direction), name) != nullptr) {
            rules.push_back(share(family, Rule{{}, {jump(name)}}));
        }
    }
    std::vector<RulePtr>& end = class_ends_[at(direction)][at(family)];
    if (end.empty()) {
        std::vector<Rule> denied;
        append_denial(denied, {}, denial(direction, std::nullopt), no_profile_matched_id(), direction, *config_);
        end = share(family, std::move(denied));
    }
    rules.insert(rules.end(), end.begin(), end.end());
    return rules;
}

void Renderer::render_skeleton() {
    for (const net::Family family : kFamilies) {
        for (const NamedChain& named : skeleton_chains(family, *config_)) {
            put_chain({family, named.table}, named.name, named.chain);
        }
        if (!config_->host_to_workload_policy) {
            leave_own_traffic(family);
        }
    }
    render_spoofing();
}

/// Emptied, not removed: removals come in a commit of their own, and until then no chain below may reject.
void Renderer::leave_own_traffic(net::Family family) {
    const TableKey table{family, TableId::ingress};
    for (const char* name : {"out_hook", "post_hook"}) {
        if (const ChainPtr known = chain_of(table, name)) {
            put_chain(table, name, Chain::make(std::vector<RulePtr>{}, known->hook()));
        }
    }
}

void Renderer::render_spoofing() {
    std::vector<SpoofExemption> exemptions;
    if (config_->allow_spoofed_sources) {
        for (const EndpointKey& key : with_spoofing_) {
            const Endpoint& endpoint = *endpoints_.at(key).endpoint;
            exemptions.push_back({endpoint.interface, endpoint.allowed_source_prefixes});
        }
    }
    for (const net::Family family : kFamilies) {
        put_chain({family, TableId::raw}, "pre", spoofing_chain(family, *config_, tunnels_, exemptions));
        if (tunnels_.vxlan(family)) {
            put_chain({family, TableId::raw}, kTunnelOut, untracked_tunnels(family, *config_));
        } else if (chain_of({family, TableId::raw}, kTunnelOut) != nullptr) {
            remove_chain({family, TableId::raw}, kTunnelOut);
        }
    }
}

void Renderer::render_host() {
    const HostChains::World world{
        &*config_,
        &tunnels_,
        [this](const PolicyId& id) -> const Policy* {
            const auto found = policies_.find(id);
            return found == policies_.end() || !found->second.policy ? nullptr : &**found->second.policy;
        },
        [this](const std::string& name) -> const Profile* {
            const auto found = profiles_.find(name);
            return found == profiles_.end() || !found->second.profile ? nullptr : &**found->second.profile;
        },
        [this](const SetId& id, net::Family family) { return sets_.has_prefixes(id, family); },
        [this](net::Family family) { return sets_can_match_[at(family)]; }};
    for (const HostChains::Change& change : host_.render(world)) {
        if (change.chain != nullptr) {
            put_chain(change.table, change.name, change.chain);
        } else {
            remove_chain(change.table, change.name);
        }
    }
}

void Renderer::render_nat() {
    std::vector<PortForward> forwards;
    std::vector<FloatingAddress> floating;
    for (const EndpointKey& key : with_translations_) {
        const Endpoint& endpoint = *endpoints_.at(key).endpoint;
        floating.insert(floating.end(), endpoint.floating.begin(), endpoint.floating.end());
        for (const HostPort& port : endpoint.host_ports) {
            for (const net::Ip& address : endpoint.addresses) {
                forwards.push_back({port, address});
            }
        }
    }
    for (const net::Family family : kFamilies) {
        const TableKey table{family, TableId::nat};
        const bool masquerades = std::ranges::any_of(
            pools_, [family](const IpPoolInfo& pool) { return pool.nat_outgoing && pool.cidr.family() == family; });
        // While there is such a chain the kernel makes a translation, if of nothing, for each new connection; without
        // any it stops to translate the connections that it has. So it comes with the first rule, and stays.
        const ChainPtr post = nat_postrouting(family, *config_, tunnels_, masquerades, forwards, floating);
        if (!post->rules().empty() || chain_of(table, kPostChain) != nullptr) {
            put_chain(table, kPostChain, post);
        }
        const bool ports =
            std::ranges::any_of(forwards, [family](const auto& f) { return f.target.family() == family; });
        const bool any = ports || std::ranges::any_of(floating, [family](const auto& address) {
                             return address.external.family() == family;
                         });
        const std::array<std::pair<const char*, Hook::Point>, 2> bases{
            {{"dnat_pre", Hook::Point::prerouting}, {"dnat_out", Hook::Point::output}}};
        if (ports) {
            put_chain(table, kHostPortChain, nat_host_ports(family, forwards));
        }
        for (const auto& [name, point] : bases) {
            if (any) {
                put_chain(table, name, nat_base(family, point, floating, ports));
            } else {
                remove_chain(table, name);
            }
        }
        if (!ports) {
            remove_chain(table, kHostPortChain);
        }
    }
}

// --- chains ---------------------------------------------------------------------------------------------------------

ChainPtr Renderer::chain_of(const TableKey& table, const std::string& name) const {
    const auto chains = chains_.find(table);
    if (chains == chains_.end()) {
        return nullptr;
    }
    const auto chain = chains->second.find(name);
    return chain == chains->second.end() ? nullptr : chain->second;
}

/// A rule more, or less, looks into its sets.
void Renderer::use_sets(const TableKey& table, const Rule& rule, bool used) {
    for (const Match& match : rule.matches) {
        // Sets of the skeleton (pools) are not the calculation's.
        if (const auto* lookup = std::get_if<MatchSet>(&match); lookup != nullptr && lookup->set[1] == '_') {
            if (used) {
                sets_.acquire(table, lookup->set, changes_);
            } else {
                sets_.release(table, lookup->set, changes_);
            }
        }
    }
}

void Renderer::put_chain(const TableKey& table, const std::string& name, const ChainPtr& chain) {
    ChainPtr& known = chains_[table][name];
    if (known && *known == *chain) {
        return;
    }
    static const std::vector<RulePtr> none;
    const std::vector<RulePtr>& before = known ? known->shared_rules() : none;
    const std::vector<RulePtr>& now = chain->shared_rules();
    const auto same = [](const RulePtr& a, const RulePtr& b) { return a->fingerprint == b->fingerprint; };
    const auto first = std::ranges::mismatch(before, now, same);
    const auto last = std::mismatch(before.rbegin(), std::make_reverse_iterator(first.in1), now.rbegin(),
                                    std::make_reverse_iterator(first.in2), same);
    // New references first: a set that both contents name must not vanish in between.
    for (auto rule = first.in2; rule != last.second.base(); ++rule) {
        use_sets(table, (*rule)->rule, true);
    }
    for (auto rule = first.in1; rule != last.first.base(); ++rule) {
        use_sets(table, (*rule)->rule, false);
    }
    known = chain;
    changes_.emplace_back(PutChain{table, name, chain});
}

void Renderer::remove_chain(const TableKey& table, const std::string& name) {
    const ChainPtr chain = chain_of(table, name);
    if (chain == nullptr) {
        return;
    }
    for (const Rule& rule : chain->rules()) {
        use_sets(table, rule, false);
    }
    chains_[table].erase(name);
    changes_.emplace_back(RemoveChain{table, name});
}

void Renderer::put_or_remove(const TableKey& table, const std::string& name, std::vector<RulePtr> rules) {
    if (rules.empty()) {
        remove_chain(table, name);
    } else {
        put_chain(table, name, Chain::make(std::move(rules)));
    }
}

void Renderer::put_list(const TableKey& table, const std::string& name, Dispatched list) {
    std::unordered_map<std::string, ListParts>& lists = lists_[table];
    const auto known = lists.find(name);
    ListParts before;
    if (known != lists.end()) {
        before = std::exchange(known->second, {});
    }
    ListParts now;
    now.direct = list.direct;
    for (auto& [map, elements] : list.maps) {
        const auto old = before.maps.find(map);
        put_map(table, map, old == before.maps.end() ? nullptr : &old->second, elements);
        now.maps.emplace(map, std::move(elements));
    }
    for (auto& [chain, rules] : list.chains) {
        put_chain(table, chain, Chain::make(std::move(rules)));
        now.chains.insert(chain);
    }
    put_or_remove(table, name, std::move(list.rules));
    for (const auto& [map, elements] : before.maps) {
        if (!now.maps.contains(map)) {
            changes_.emplace_back(RemoveSet{table, map});
        }
    }
    for (const std::string& chain : before.chains) {
        if (!now.chains.contains(chain)) {
            remove_chain(table, chain);
        }
    }
    const bool is_plain = now.chains.empty() && now.maps.empty();
    if (known != lists.end() && is_plain) {
        lists.erase(known);
    } else if (known != lists.end()) {
        known->second = std::move(now);
    } else if (!is_plain) {
        lists.emplace(name, std::move(now));
    }
}

void Renderer::put_map(const TableKey& table, const std::string& map, const std::vector<Element>* before,
                       const std::vector<Element>& now) {
    if (before == nullptr) {
        changes_.emplace_back(PutSet{table, map, port_map_type()});
    }
    static const std::vector<Element> none;
    ChangeElements change{table, map, {}, {}};
    auto old = (before == nullptr ? none : *before).begin();
    const auto end = (before == nullptr ? none : *before).end();
    for (const Element& element : now) {  // both are in the order of keys
        for (; old != end && old->key < element.key; ++old) {
            change.remove.push_back(old->key);
        }
        const bool was_there = old != end && old->key == element.key;
        if (!was_there || old->verdict != element.verdict) {
            if (was_there) {
                change.remove.push_back(element.key);
            }
            change.add.push_back(element);
        }
        old += was_there ? 1 : 0;
    }
    for (; old != end; ++old) {
        change.remove.push_back(old->key);
    }
    if (!change.remove.empty() || !change.add.empty()) {
        changes_.emplace_back(std::move(change));
    }
}

}  // namespace manul::felix::render
