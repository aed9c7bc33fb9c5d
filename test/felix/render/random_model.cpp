#include "test/felix/render/random_model.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "felix/model/address_set.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

namespace manul::felix::test {

namespace {

constexpr std::size_t kSets = 4;
constexpr std::size_t kPolicies = 6;
constexpr std::size_t kEndpoints = 6;

std::string set_name(std::size_t n) { return fmt::format("set == {}", n); }

template <class List>
List missing_in(const List& from, const List& other) {
    List result;
    std::ranges::set_difference(from, other, std::back_inserter(result));
    return result;
}

SetMembers minus(const SetMembers& a, const SetMembers& b) {
    SetMembers result;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        result.of(family).addresses = missing_in(a.of(family).addresses, b.of(family).addresses);
        result.of(family).prefixes = missing_in(a.of(family).prefixes, b.of(family).prefixes);
    }
    return result;
}

}  // namespace

void RandomModel::change_set() {
    const std::string name = set_name(upto(kSets - 1));
    std::vector<std::string> texts;
    for (std::size_t i = upto(4); i > 0; --i) {
        texts.push_back(fmt::format("10.0.0.{}", upto(5)));
        if (upto(2) == 0) {
            texts.push_back(fmt::format("192.0.2.{}/{}", upto(3) * 64, upto(1) == 0 ? 26 : 27));
        }
        if (upto(3) == 0) {
            texts.push_back(fmt::format("fd00::{}", upto(3)));
        }
    }
    std::ranges::sort(texts);
    texts.erase(std::unique(texts.begin(), texts.end()), texts.end());
    AddressSet set = address_set(name, std::vector<std::string_view>(texts.begin(), texts.end()));
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        std::ranges::sort(set.members.of(family).addresses);
        std::ranges::sort(set.members.of(family).prefixes);
    }
    all_.sets[set.id] = set;
}

void RandomModel::change_policy() {
    const std::string name = fmt::format("p{}", upto(kPolicies - 1));
    PolicyBuilder builder(name, "default", "default");
    const auto rule = [&](felix::Rule& r) {
        if (upto(1) == 0) {
            r.protocol = net::kTcp;
            const auto first = static_cast<std::uint16_t>(80 + upto(3));
            r.destination.ports = {ports(first, static_cast<std::uint16_t>(first + (upto(5) == 0 ? 100 : 0)))};
        }
        if (upto(1) == 0) {
            r.source.sets = {selector(set_name(upto(kSets - 1)))};
        } else if (upto(3) == 0) {
            r.source.not_sets = {selector(set_name(upto(kSets - 1)))};
        } else if (upto(3) == 0) {
            r.source.nets = {net("fd00::/8")};
        }
    };
    constexpr std::array kActions{Action::allow, Action::allow, Action::deny, Action::log, Action::pass};
    for (std::size_t i = upto(2); i > 0; --i) {
        builder.in(kActions[upto(kActions.size() - 1)], rule);
    }
    for (std::size_t i = upto(2); i > 0; --i) {
        builder.out(kActions[upto(kActions.size() - 1)], rule);
    }
    all_.policies[builder.id()] = builder.policy;
}

std::vector<Shared<TierPolicies>> RandomModel::lists(Direction direction) {
    std::vector<Shared<TierPolicies>> result;
    for (const std::string_view name : {"first", "default"}) {
        std::vector<PolicyId> ids;
        for (const auto& [id, policy] : all_.policies) {
            if (policy.applies(direction) && upto(2) == 0) {
                ids.push_back(id);
            }
        }
        if (!ids.empty()) {
            result.push_back(tier(name, ids, name == "first" ? TierEnd::pass : TierEnd::deny));
        }
    }
    return result;
}

/// Equal lists are one object, as the calculation has them.
PolicyLists RandomModel::shared(std::vector<Shared<TierPolicies>> tiers) {
    const auto known = std::ranges::find_if(lists_, [&tiers](const PolicyLists& lists) { return *lists == tiers; });
    return known != lists_.end() ? *known : lists_.emplace_back(std::move(tiers));
}

void RandomModel::change_endpoint() {
    const std::size_t n = upto(kEndpoints - 1);
    EndpointBuilder builder(fmt::format("e{}", n), fmt::format("10.65.0.{}", n + 2));
    if (upto(3) == 0) {
        all_.endpoints.erase(builder.endpoint.key);
        return;
    }
    builder.endpoint.ingress = shared(lists(Direction::ingress));
    builder.endpoint.egress = shared(lists(Direction::egress));
    builder.profile(fmt::format("kns.{}", upto(1)));
    if (upto(5) == 0) {
        builder.endpoint.host_ports = {{net::kTcp, static_cast<std::uint16_t>(8000 + n), std::nullopt, 80}};
    }
    if (upto(2) == 0) {
        builder.endpoint.to_workload = limits();
        builder.endpoint.from_workload = limits();
    }
    all_.endpoints[builder.endpoint.key] = builder.endpoint;
}

/// One for an interface, and one for all others.
void RandomModel::change_host() {
    HostEndpoint host;
    host.wildcard = upto(2) == 0;
    host.key = {EndpointKind::host, {}, host.wildcard ? "all" : "uplink"};
    if (upto(5) == 0) {
        all_.hosts.erase(host.key);
        return;
    }
    if (!host.wildcard) {
        host.interfaces = {"up0"};
    }
    for (HostEndpoint::Lists& both : host.stages) {
        both.ingress = shared(lists(Direction::ingress));
        both.egress = shared(lists(Direction::egress));
    }
    host.profiles = {fmt::format("kns.{}", upto(1))};
    all_.hosts[host.key] = host;
}

TrafficLimits RandomModel::limits() {
    TrafficLimits limits;
    if (upto(1) == 0) {
        limits.packet_rate = static_cast<std::uint32_t>(10 + upto(2));
    }
    if (upto(1) == 0) {
        limits.max_connections = static_cast<std::uint32_t>(1 + upto(1));
    }
    return limits;
}

void RandomModel::change_tunnels() {
    Tunnels& tunnels = all_.tunnels;
    tunnels.vxlan_v4 = upto(1) == 0;
    tunnels.vxlan_v6 = upto(1) == 0;
    tunnels.ip_in_ip = upto(1) == 0;
    tunnels.peers.clear();
    for (std::size_t i = 1; i < 6; ++i) {
        if (upto(1) == 0) {
            tunnels.peers.push_back(net(fmt::format("192.0.2.{}/32", i)));
        }
    }
    if (upto(2) == 0) {
        tunnels.peers.push_back(net("fd99::/64"));
    }
}

/// The calculation tells only what endpoints of the node need.
RandomModel::State RandomModel::in_use() const {
    State used;
    used.endpoints = all_.endpoints;
    used.hosts = all_.hosts;
    used.tunnels = all_.tunnels;
    const auto use = [this, &used](const PolicyLists& lists) {
        for (const auto& tier_policies : *lists) {
            for (const PolicyId& id : tier_policies->policies) {
                used.policies[id] = all_.policies.at(id);
            }
        }
    };
    const auto use_profiles = [&used](const std::vector<std::string>& profiles) {
        for (const std::string& profile : profiles) {
            used.profiles[profile] = *allow_all_profile(profile).profile;
        }
    };
    for (const auto& [key, endpoint] : all_.endpoints) {
        use_profiles(endpoint.profiles);
        use(endpoint.ingress);
        use(endpoint.egress);
    }
    for (const auto& [key, host] : all_.hosts) {
        use_profiles(host.profiles);
        for (const HostEndpoint::Lists& both : host.stages) {
            use(both.ingress);
            use(both.egress);
        }
    }
    for (const auto& [id, policy] : used.policies) {
        for (const Direction direction : {Direction::ingress, Direction::egress}) {
            for (const felix::Rule& rule : policy.rules(direction)) {
                for (const auto& sets : {rule.source.sets, rule.source.not_sets}) {
                    for (const SetId& set : sets) {
                        const auto known = all_.sets.find(set);
                        used.sets[set] =
                            known == all_.sets.end() ? AddressSet{set, SetKind::addresses, {}, {}} : known->second;
                    }
                }
            }
        }
    }
    return used;
}

/// Tells lists that all who had one, with the same profiles, left for the same one, which none of them had, and brings
/// `before` up to that.
void RandomModel::replace_lists(State& before, const State& after, Direction direction, Batch& batch) {
    for (const auto& [key, endpoint] : State(before).endpoints) {
        const PolicyLists old = endpoint.lists(direction);
        const auto has = [&](const Endpoint& other, const PolicyLists& lists) {
            return other.profiles == endpoint.profiles && other.lists(direction) == lists;
        };
        const auto next = after.endpoints.find(key);
        if (next == after.endpoints.end() || std::ranges::any_of(before.endpoints, [&](const auto& entry) {
                return has(entry.second, next->second.lists(direction));
            })) {
            continue;
        }
        const PolicyLists now = next->second.lists(direction);
        const auto stays = [&](const auto& entry) {
            const auto other = after.endpoints.find(entry.first);
            return has(entry.second, old) &&
                   (other == after.endpoints.end() || !(other->second.lists(direction) == now));
        };
        if (std::ranges::any_of(before.endpoints, stays)) {
            continue;
        }
        batch.emplace_back(ListsReplaced{direction, old, now, endpoint.profiles});
        for (auto& [other, changed] : before.endpoints) {
            if (has(changed, old)) {
                (direction == Direction::ingress ? changed.ingress : changed.egress) = now;
            }
        }
    }
}

Batch RandomModel::difference(State before, const State& after) {
    Batch batch;
    if (before.tunnels != after.tunnels) {
        batch.emplace_back(TunnelsChanged{after.tunnels});
    }
    for (const auto& [key, endpoint] : before.endpoints) {
        if (!after.endpoints.contains(key)) {
            batch.emplace_back(EndpointRemoved{key});
        }
    }
    for (const auto& [key, host] : before.hosts) {
        if (!after.hosts.contains(key)) {
            batch.emplace_back(HostEndpointRemoved{key});
        }
    }
    for (const auto& [id, set] : after.sets) {
        const auto known = before.sets.find(id);
        if (known == before.sets.end()) {
            batch.emplace_back(SetAdded{set});
        } else if (known->second.members != set.members) {
            batch.emplace_back(SetMembersChanged{id, minus(set.members, known->second.members),
                                                 minus(known->second.members, set.members)});
        }
    }
    for (const auto& [name, profile] : after.profiles) {
        if (!before.profiles.contains(name)) {
            batch.emplace_back(ProfileUpdated{Shared<Profile>(profile)});
        }
    }
    for (const auto& [id, policy] : after.policies) {
        const auto known = before.policies.find(id);
        if (known == before.policies.end() || known->second != policy) {
            batch.emplace_back(PolicyUpdated{Shared<Policy>(policy)});
        }
    }
    for (const auto& [key, endpoint] : State(before).endpoints) {
        if (!after.endpoints.contains(key)) {
            before.endpoints.erase(key);
        }
    }
    replace_lists(before, after, Direction::ingress, batch);
    replace_lists(before, after, Direction::egress, batch);
    for (const auto& [key, endpoint] : after.endpoints) {
        const auto known = before.endpoints.find(key);
        if (known == before.endpoints.end() || known->second != endpoint) {
            batch.emplace_back(EndpointUpdated{Shared<Endpoint>(endpoint)});
        }
    }
    for (const auto& [key, host] : after.hosts) {
        const auto known = before.hosts.find(key);
        if (known == before.hosts.end() || known->second != host) {
            batch.emplace_back(HostEndpointUpdated{Shared<HostEndpoint>(host)});
        }
    }
    for (const auto& [id, policy] : before.policies) {
        if (!after.policies.contains(id)) {
            batch.emplace_back(PolicyRemoved{id});
        }
    }
    for (const auto& [name, profile] : before.profiles) {
        if (!after.profiles.contains(name)) {
            batch.emplace_back(ProfileRemoved{name});
        }
    }
    for (const auto& [id, set] : before.sets) {
        if (!after.sets.contains(id)) {
            batch.emplace_back(SetRemoved{id});
        }
    }
    return batch;
}

Batch RandomModel::step() {
    for (std::size_t i = upto(3) + 1; i > 0; --i) {
        switch (upto(2)) {
            case 0:
                change_set();
                break;
            case 1:
                change_policy();
                break;
            default:
                change_endpoint();
                break;
        }
    }
    if (upto(5) == 0) {
        change_tunnels();
    }
    if (upto(3) == 0) {
        change_host();
    }
    State now = in_use();
    Batch batch = difference(told_, now);
    told_ = std::move(now);
    return batch;
}

Batch RandomModel::everything() const { return difference({}, told_); }

std::vector<std::string> RandomModel::interfaces() const {
    std::vector<std::string> names;
    for (const auto& [key, endpoint] : told_.endpoints) {
        names.push_back(endpoint.interface);
    }
    return names;
}

}  // namespace manul::felix::test
