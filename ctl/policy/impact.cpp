#include "ctl/policy/impact.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>
#include <variant>

#include "base/try.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/staged_policy.hpp"
#include "config/model/workload_endpoint.hpp"
#include "ctl/policy/ends.hpp"
#include "ctl/policy/trace.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"

// What a change would do: the calculation before and after, compared endpoint by endpoint, and connections judged by
// both.
namespace manul::ctl {

namespace {

using felix::Direction;
using felix::Verdict;

constexpr std::size_t kMostConnections = 200'000;
/// Stand for "a port that no rule names" and "an address that no rule names" (RFC 5737, RFC 3849).
constexpr std::uint16_t kUnnamedPort = 64999;
constexpr const char* kUnnamedAddress = "198.51.100.1";
constexpr const char* kUnnamedAddress6 = "2001:db8::1";
constexpr std::uint16_t kClientPort = 49152;
/// A set may have a million members besides workloads: so many addresses and so many prefixes stand for them.
constexpr std::size_t kMembersTried = 16;

std::string policy_name(const felix::PolicyId& id) {
    return std::string(to_string(id.kind)) + " " + (id.ns.empty() ? "" : id.ns + "/") + id.name;
}

template <class Visit>
void each_set(const felix::Rule& rule, Visit visit) {
    for (const felix::EntityMatch* end : {&rule.source, &rule.destination}) {
        for (const auto* list : {&end->sets, &end->not_sets, &end->named_ports, &end->not_named_ports}) {
            std::ranges::for_each(*list, visit);
        }
    }
}

/// Whether the policy does the same in that direction on both sides, the members of its sets included.
bool same_rules(const felix::Snapshot& before, const felix::Snapshot& after, const felix::PolicyId& id,
                Direction direction) {
    const auto old = before.policies.find(id);
    const auto now = after.policies.find(id);
    if (old == before.policies.end() || now == after.policies.end()) {
        return old == before.policies.end() && now == after.policies.end();
    }
    if (old->second->rules(direction) != now->second->rules(direction)) {
        return false;
    }
    bool same = true;
    for (const felix::Rule& rule : now->second->rules(direction)) {
        each_set(rule, [&](const felix::SetId& set) {
            const auto a = before.sets.find(set);
            const auto b = after.sets.find(set);
            same = same && a != before.sets.end() && b != after.sets.end() && a->second == b->second;
        });
    }
    return same;
}

std::vector<felix::PolicyId> flat(const felix::PolicyLists& lists) {
    std::vector<felix::PolicyId> all;
    for (const auto& tier : *lists) {
        all.insert(all.end(), tier->policies.begin(), tier->policies.end());
    }
    return all;
}

/// Nothing when the side is the same.
std::optional<ChangedEndpoint::Side> compare_side(const felix::Snapshot& before, const felix::Snapshot& after,
                                                  const felix::PolicyLists& old, const felix::PolicyLists& now,
                                                  Direction direction) {
    ChangedEndpoint::Side side{direction, std::nullopt, {}, {}, {}, false};
    const auto old_policies = flat(old);
    const auto new_policies = flat(now);
    const std::set<felix::PolicyId> had(old_policies.begin(), old_policies.end());
    const std::set<felix::PolicyId> has(new_policies.begin(), new_policies.end());
    for (const felix::PolicyId& id : new_policies) {
        if (!had.contains(id)) {
            side.added.push_back(policy_name(id));
        } else if (!same_rules(before, after, id, direction)) {
            side.edited.push_back(policy_name(id));
        }
    }
    for (const felix::PolicyId& id : old_policies) {
        if (!has.contains(id)) {
            side.removed.push_back(policy_name(id));
        }
    }
    side.reordered = side.added.empty() && side.removed.empty() && *old != *now;
    const bool changed = side.reordered || !side.added.empty() || !side.removed.empty() || !side.edited.empty();
    return changed ? std::optional(std::move(side)) : std::nullopt;
}

std::string label_of(const ClusterView& view, const felix::Endpoint& endpoint) {
    const auto* holder = endpoint.addresses.empty() ? nullptr : view.names().find(endpoint.addresses.front());
    return holder != nullptr ? holder->label : "workload " + endpoint.key.ns + "/" + endpoint.key.name;
}

constexpr std::array kStages{felix::HostStage::untracked, felix::HostStage::pre_dnat, felix::HostStage::forward,
                             felix::HostStage::normal};

/// The lists that a side of an endpoint speaks of; empty where the endpoint is not there.
felix::PolicyLists lists_of(const felix::Snapshot& snapshot, const felix::EndpointKey& key,
                            const ChangedEndpoint::Side& side) {
    if (side.stage) {
        const auto host = snapshot.host_endpoints.find(key);
        return host == snapshot.host_endpoints.end() ? felix::PolicyLists{}
                                                     : host->second->lists(*side.stage, side.direction);
    }
    const auto endpoint = snapshot.endpoints.find(key);
    return endpoint == snapshot.endpoints.end() ? felix::PolicyLists{} : endpoint->second->lists(side.direction);
}

void compare_hosts(const std::string& node, const felix::Snapshot& old, const felix::Snapshot& now,
                   std::vector<ChangedEndpoint>& changed) {
    std::set<felix::EndpointKey> keys;
    for (const auto* snapshot : {&old, &now}) {
        for (const auto& [key, endpoint] : snapshot->host_endpoints) {
            keys.insert(key);
        }
    }
    for (const felix::EndpointKey& key : keys) {
        const bool was = old.host_endpoints.contains(key);
        const bool is = now.host_endpoints.contains(key);
        ChangedEndpoint entry{node, key, "host endpoint " + key.name, {}, {}};
        entry.life = was == is ? ChangedEndpoint::Life::stays
                     : is      ? ChangedEndpoint::Life::comes
                               : ChangedEndpoint::Life::goes;
        for (const felix::HostStage stage : kStages) {
            for (const Direction direction : {Direction::ingress, Direction::egress}) {
                const ChangedEndpoint::Side asked{direction, stage, {}, {}, {}, false};
                auto side = compare_side(old, now, lists_of(old, key, asked), lists_of(now, key, asked), direction);
                // An endpoint that comes or goes changes what its interface lets through even without a policy.
                const bool opens_or_closes =
                    stage == felix::HostStage::normal &&
                    (was != is || old.host_endpoints.at(key)->profiles != now.host_endpoints.at(key)->profiles ||
                     old.host_endpoints.at(key)->interfaces != now.host_endpoints.at(key)->interfaces);
                if (!side && opens_or_closes) {
                    side = asked;
                }
                if (side) {
                    side->stage = stage;
                    entry.sides.push_back(*std::move(side));
                }
            }
        }
        if (!entry.sides.empty()) {
            changed.push_back(std::move(entry));
        }
    }
}

std::vector<ChangedEndpoint> compare_endpoints(ClusterView& before, ClusterView& after) {
    std::vector<ChangedEndpoint> changed;
    for (const std::string& node : after.node_names()) {
        const felix::Snapshot& old = before.node(node);
        const felix::Snapshot& now = after.node(node);
        for (const auto& [key, endpoint] : now.endpoints) {
            const auto was = old.endpoints.find(key);
            if (was == old.endpoints.end()) {
                continue;
            }
            ChangedEndpoint entry{node, key, label_of(after, *endpoint), {}, {}};
            for (const Direction direction : {Direction::ingress, Direction::egress}) {
                if (auto side =
                        compare_side(old, now, was->second->lists(direction), endpoint->lists(direction), direction)) {
                    entry.sides.push_back(*std::move(side));
                }
            }
            if (!entry.sides.empty()) {
                changed.push_back(std::move(entry));
            }
        }
        compare_hosts(node, old, now, changed);
    }
    return changed;
}

/// The settings that judge connections, as far as they differ.
std::vector<std::string> changed_settings(const felix::Snapshot& old, const felix::Snapshot& now) {
    const felix::Config& a = *old.config;
    const felix::Config& b = *now.config;
    std::vector<std::string> out;
    const auto look = [&out](bool differs, const char* name) {
        if (differs) {
            out.emplace_back(name);
        }
    };
    look(a.interface_prefixes != b.interface_prefixes, "interfacePrefix");
    look(a.excluded_interfaces != b.excluded_interfaces, "interfaceExclude");
    look(a.endpoint_to_host != b.endpoint_to_host, "defaultEndpointToHostAction");
    look(a.host_to_workload_policy != b.host_to_workload_policy, "hostToWorkloadPolicy");
    look(a.failsafe_inbound != b.failsafe_inbound, "failsafeInboundHostPorts");
    look(a.failsafe_outbound != b.failsafe_outbound, "failsafeOutboundHostPorts");
    look(a.allow_vxlan_from_workloads != b.allow_vxlan_from_workloads, "allowVXLANPacketsFromWorkloads");
    look(a.allow_ipip_from_workloads != b.allow_ipip_from_workloads, "allowIPIPPacketsFromWorkloads");
    look(a.vxlan_port != b.vxlan_port, "vxlanPort");
    look(a.service_loop != b.service_loop, "serviceLoopPrevention");
    look(old.tunnels.vxlan_v4 != now.tunnels.vxlan_v4 || old.tunnels.vxlan_v6 != now.tunnels.vxlan_v6, "vxlanEnabled");
    look(old.tunnels.ip_in_ip != now.tunnels.ip_in_ip, "ipipEnabled");
    look(old.tunnels.wireguard_v4 != now.tunnels.wireguard_v4, "wireguardEnabled");
    look(old.tunnels.wireguard_v6 != now.tunnels.wireguard_v6, "wireguardEnabledV6");
    look(a.external_nodes != b.external_nodes, "externalNodesList");
    return out;
}

std::vector<ChangedNode> compare_nodes(ClusterView& before, ClusterView& after) {
    std::vector<ChangedNode> changed;
    for (const std::string& node : after.node_names()) {
        if (auto settings = changed_settings(before.node(node), after.node(node)); !settings.empty()) {
            changed.push_back({node, std::move(settings)});
        }
    }
    return changed;
}

/// What rules speak of: the points at which verdicts can differ.
struct Points {
    std::set<std::pair<net::Protocol, std::uint16_t>> ports;
    std::set<net::Ip> addresses;

    void add(const felix::Snapshot& snapshot, const felix::Rule& rule);
    void add(const felix::Snapshot& snapshot);  // its settings
    /// Addresses of which `is_tried` says that they are tried anyway are left out.
    template <class IsTried>
    void add_members(const felix::SetSnapshot& set, const felix::SetSnapshot& without, IsTried is_tried);
};

void Points::add(const felix::Snapshot& snapshot, const felix::Rule& rule) {
    const auto add_port = [&](net::Protocol protocol, std::uint16_t port) { ports.insert({protocol, port}); };
    const auto add_number = [&](std::uint16_t port) {
        if (rule.protocol) {
            if (rule.protocol->has_ports()) {
                add_port(*rule.protocol, port);
            }
        } else {
            add_port(net::kTcp, port);
            add_port(net::kUdp, port);
        }
    };
    for (const auto* list : {&rule.destination.ports, &rule.destination.not_ports}) {
        for (const net::PortRange& range : *list) {
            add_number(range.first());
            add_number(range.last());
        }
    }
    for (const auto* list : {&rule.destination.named_ports, &rule.destination.not_named_ports}) {
        for (const felix::SetId& id : *list) {
            if (const auto set = snapshot.sets.find(id); set != snapshot.sets.end()) {
                for (const felix::PortMember& member : set->second.ports) {
                    add_port(member.protocol, member.port);
                }
            }
        }
    }
    for (const felix::EntityMatch* end : {&rule.source, &rule.destination}) {
        for (const auto* list : {&end->nets, &end->not_nets}) {
            for (const net::Prefix& net : *list) {
                addresses.insert(net.address());
            }
        }
    }
}

void Points::add(const felix::Snapshot& snapshot) {
    const felix::Config& config = *snapshot.config;
    for (const auto* list : {&config.failsafe_inbound, &config.failsafe_outbound}) {
        for (const felix::FailsafePort& port : *list) {
            ports.insert({port.protocol, port.port});
            if (port.net) {
                addresses.insert(port.net->address());
            }
        }
    }
    ports.insert({net::kUdp, config.vxlan_port});
    for (const auto& port : {snapshot.tunnels.wireguard_v4, snapshot.tunnels.wireguard_v6}) {
        if (port) {
            ports.insert({net::kUdp, *port});
        }
    }
    for (const net::Prefix& node : config.external_nodes) {
        addresses.insert(node.address());
    }
    for (const net::Prefix& range : config.service_ranges) {
        addresses.insert(range.address());
    }
}

template <class IsTried>
void Points::add_members(const felix::SetSnapshot& set, const felix::SetSnapshot& without, IsTried is_tried) {
    std::size_t left = kMembersTried;
    for (auto member = set.addresses.begin(); member != set.addresses.end() && left != 0; ++member) {
        if (!without.addresses.contains(*member) && !is_tried(*member)) {
            addresses.insert(*member);
            --left;
        }
    }
    left = kMembersTried;
    for (auto member = set.prefixes.begin(); member != set.prefixes.end() && left != 0; ++member) {
        if (!without.prefixes.contains(*member)) {
            addresses.insert(member->address());
            --left;
        }
    }
}

void add_unnamed(Points& points) {
    points.ports.insert({net::kTcp, kUnnamedPort});
    points.ports.insert({net::kUdp, kUnnamedPort});
    points.addresses.insert(*net::Ip::parse(kUnnamedAddress));
    points.addresses.insert(*net::Ip::parse(kUnnamedAddress6));
}

Points points_of(ClusterView& before, ClusterView& after, const std::vector<ChangedEndpoint>& changed) {
    Points points;
    const auto is_workload = [&after](const net::Ip& address) {
        const auto* holder = after.names().find(address);
        return holder != nullptr && holder->key.kind == model::Kind::workload_endpoint;
    };
    static const felix::SetSnapshot nothing;
    std::set<felix::SetId> seen;
    for (ClusterView* view : {&before, &after}) {
        ClusterView& other = view == &before ? after : before;
        seen.clear();
        for (const ChangedEndpoint& entry : changed) {
            const felix::Snapshot& snapshot = view->node(entry.node);
            const felix::Snapshot& opposite = other.node(entry.node);
            const auto add_set = [&](const felix::SetId& id) {
                const auto set = snapshot.sets.find(id);
                if (set == snapshot.sets.end() || !seen.insert(id).second) {
                    return;
                }
                const auto there = opposite.sets.find(id);
                points.add_members(set->second, nothing, is_workload);
                if (there != opposite.sets.end()) {  // what comes or goes is what the change is about
                    points.add_members(set->second, there->second, is_workload);
                }
            };
            for (const ChangedEndpoint::Side& side : entry.sides) {
                for (const felix::PolicyId& id : flat(lists_of(snapshot, entry.key, side))) {
                    if (const auto policy = snapshot.policies.find(id); policy != snapshot.policies.end()) {
                        for (const felix::Rule& rule : policy->second->rules(side.direction)) {
                            points.add(snapshot, rule);
                            each_set(rule, add_set);
                        }
                    }
                }
            }
        }
    }
    add_unnamed(points);
    return points;
}

Points points_of(ClusterView& before, ClusterView& after, const ChangedNode& changed) {
    Points points;
    points.add(before.node(changed.node));
    points.add(after.node(changed.node));
    add_unnamed(points);
    return points;
}

/// Judges connections on both sides of the change, each once.
class Comparison {
public:
    Comparison(ClusterView& before, ClusterView& after, Impact& impact)
        : before_(before), after_(after), impact_(impact) {
        for (const auto& endpoint : after.all<model::WorkloadEndpoint>()) {
            for (const net::Prefix& net : endpoint->spec.ip_networks) {
                remember(net.address());
            }
        }
    }

    void try_between(const ChangedEndpoint& entry, const Points& points) {
        std::set<net::Ip> others = points.addresses;
        for (const auto& [address, end] : ends_) {
            others.insert(address);
        }
        if (entry.key.kind == felix::EndpointKind::workload) {
            // Nobody else's way is like that between a workload and its node: past every host endpoint.
            if (const auto node = find_end(after_, "node/" + entry.node)) {
                others.insert(node->addresses.begin(), node->addresses.end());
            }
        }
        for (const ChangedEndpoint::Side& side : entry.sides) {
            const bool in = side.direction == Direction::ingress;
            for (const net::Ip& own : own_addresses(entry, side)) {
                for (const net::Ip& other : others) {
                    if (other.family() == own.family() && other != own) {
                        try_ports(in ? other : own, in ? own : other, points);
                    }
                }
            }
        }
    }

    /// Workloads among themselves are left out: what settings say of them, they say of all the world.
    void try_node(const ChangedNode& changed, const Points& points) {
        std::set<net::Ip> own;
        if (const auto end = find_end(after_, "node/" + changed.node)) {
            own.insert(end->addresses.begin(), end->addresses.end());
        }
        std::set<net::Ip> workloads;
        for (const auto& [key, endpoint] : after_.node(changed.node).endpoints) {
            workloads.insert(endpoint->addresses.begin(), endpoint->addresses.end());
        }
        const auto try_both = [&](const net::Ip& here, const net::Ip& there) {
            if (here.family() == there.family() && here != there) {
                try_ports(here, there, points);
                try_ports(there, here, points);
            }
        };
        for (const net::Ip& address : own) {
            std::ranges::for_each(workloads, [&](const net::Ip& there) { try_both(address, there); });
            std::ranges::for_each(points.addresses, [&](const net::Ip& there) { try_both(address, there); });
        }
        for (const net::Ip& address : workloads) {
            std::ranges::for_each(points.addresses, [&](const net::Ip& there) { try_both(address, there); });
        }
    }

    void judge_recorded(const std::vector<felix::io::Flow>& flows) {
        for (const felix::io::Flow& flow : flows) {
            judge(flow.packet, flow.before_dnat, true);
        }
    }

private:
    void remember(const net::Ip& address) {
        if (auto end = find_end(after_, address.to_string())) {
            ends_.insert_or_assign(address, *std::move(end));
        }
    }
    /// The addresses at which the changed policy stands: the endpoint's own, or, where it judges what passes a host
    /// endpoint, also those of the workloads behind it.
    std::set<net::Ip> own_addresses(const ChangedEndpoint& entry, const ChangedEndpoint::Side& side) {
        std::set<net::Ip> own;
        const felix::Snapshot& snapshot = after_.node(entry.node);
        if (entry.key.kind == felix::EndpointKind::workload) {
            const auto& list = snapshot.endpoints.at(entry.key)->addresses;
            own.insert(list.begin(), list.end());
            return own;
        }
        ClusterView& view = entry.life == ChangedEndpoint::Life::goes ? before_ : after_;
        if (const auto end = find_end(view, "host/" + entry.key.name)) {
            own.insert(end->addresses.begin(), end->addresses.end());
        }
        if (side.stage != felix::HostStage::normal) {
            for (const auto& [key, endpoint] : snapshot.endpoints) {
                own.insert(endpoint->addresses.begin(), endpoint->addresses.end());
            }
        }
        return own;
    }

    const End& end_of(const net::Ip& address) {
        if (!ends_.contains(address) && !outside_.contains(address)) {
            outside_.emplace(address, find_end(after_, address.to_string()).value_or(End{}));
        }
        const auto known = ends_.find(address);
        return known != ends_.end() ? known->second : outside_.at(address);
    }

    void try_ports(const net::Ip& source, const net::Ip& destination, const Points& points) {
        felix::Packet packet{.source = source, .destination = destination};
        packet.source_port = kClientPort;
        for (const auto& [protocol, port] : points.ports) {
            packet.protocol = protocol;
            packet.destination_port = port;
            judge(packet, std::nullopt, false);
        }
        constexpr std::uint8_t kEcho = 8;
        constexpr std::uint8_t kEchoV6 = 128;
        const bool v4 = source.family() == net::Family::v4;
        felix::Packet echo{.source = source, .destination = destination};
        echo.protocol = v4 ? net::kIcmp : net::kIcmpv6;
        echo.icmp_type = v4 ? kEcho : kEchoV6;
        echo.icmp_code = 0;
        judge(echo, std::nullopt, false);
    }

    void judge(const felix::Packet& packet, const std::optional<felix::Packet>& before_dnat, bool recorded) {
        if (!recorded && !seen_
                              .insert(std::tuple(packet.source, packet.destination, packet.protocol,
                                                 packet.destination_port.value_or(0)))
                              .second) {
            return;
        }
        if (!recorded && impact_.judged >= kMostConnections) {
            impact_.cut_short = true;
            return;
        }
        ++impact_.judged;
        Trace old = make_trace(end_of(packet.source), end_of(packet.destination), packet);
        old.before_dnat = before_dnat;
        Trace now = old;
        ctl::judge(before_, old);
        ctl::judge(after_, now);
        if (old.verdict == now.verdict) {
            return;
        }
        const std::string because = now.judgements.empty() ? (now.notes.empty() ? std::string{} : now.notes.back())
                                                           : decision_text(now.judgements.back().evaluation);
        impact_.flips.push_back(
            {now.source.label, now.destination.label, packet, now.verdict != Verdict::deny, because, recorded});
    }

    ClusterView& before_;
    ClusterView& after_;
    Impact& impact_;
    std::map<net::Ip, End> ends_;     ///< workloads of the cluster
    std::map<net::Ip, End> outside_;  ///< everything else that was asked about
    std::set<std::tuple<net::Ip, net::Ip, net::Protocol, std::uint16_t>> seen_;
};

/// The real policy that a staged one stands for.
template <class Real, class Staged>
felix::Event as_enforced(const Staged& staged, model::Kind kind) {
    auto real = std::make_shared<Real>();
    real->metadata = staged.metadata;
    real->spec = staged.spec;  // all but the staged action
    if (staged.spec.staged_action == model::StagedAction::delete_) {
        return felix::ResourceRemoved{{kind, staged.metadata.ns, staged.metadata.name}};
    }
    return felix::ResourcePut{std::move(real)};
}

bool counts(model::StagedAction action) {
    return action == model::StagedAction::set || action == model::StagedAction::delete_;
}

}  // namespace

std::vector<felix::Event> enforced(const std::vector<felix::Event>& staged) {
    std::vector<felix::Event> out;
    for (const felix::Event& event : staged) {
        const auto* put = std::get_if<felix::ResourcePut>(&event);
        if (put == nullptr) {
            out.push_back(event);
            continue;
        }
        if (const auto policy = model::as<model::StagedNetworkPolicy>(put->resource)) {
            if (counts(policy->spec.staged_action)) {
                out.push_back(as_enforced<model::NetworkPolicy>(*policy, model::Kind::network_policy));
            }
        } else if (const auto global = model::as<model::StagedGlobalNetworkPolicy>(put->resource)) {
            if (counts(global->spec.staged_action)) {
                out.push_back(as_enforced<model::GlobalNetworkPolicy>(*global, model::Kind::global_network_policy));
            }
        } else if (const auto kubernetes = model::as<model::StagedKubernetesNetworkPolicy>(put->resource)) {
            if (counts(kubernetes->spec.staged_action)) {
                out.push_back(
                    as_enforced<model::KubernetesNetworkPolicy>(*kubernetes, model::Kind::kubernetes_network_policy));
            }
        } else {
            out.push_back(event);
        }
    }
    return out;
}

Impact compare(ClusterView& before, ClusterView& after, const std::vector<felix::io::Flow>& recorded) {
    Impact impact;
    impact.endpoints = compare_endpoints(before, after);
    impact.nodes = compare_nodes(before, after);
    const Points points = points_of(before, after, impact.endpoints);
    Comparison comparison(before, after, impact);
    comparison.judge_recorded(recorded);
    for (const ChangedEndpoint& entry : impact.endpoints) {
        comparison.try_between(entry, points);
    }
    for (const ChangedNode& node : impact.nodes) {
        comparison.try_node(node, points_of(before, after, node));
    }
    return impact;
}

}  // namespace manul::ctl
