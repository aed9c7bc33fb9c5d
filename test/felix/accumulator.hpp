#pragma once

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/graph.hpp"
#include "felix/eval/evaluate.hpp"
#include "felix/eval/packet.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/model/update.hpp"
#include "net/port_range.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

/// A dataplane in memory that refuses what a real one could not do: nothing may refer to what is not there, nothing may
/// go that is referred to, and nothing may be told that is not a change.
class Accumulator {
public:
    void apply(const Batch& batch) {
        for (const Update& update : batch) {
            std::visit(overloaded{
                           [this](const SetAdded& u) { CHECK_FALSE(state_.sets.contains(u.set.id)); },
                           [this](const SetMembersChanged& u) { check_members(u); },
                           [this](const SetRemoved& u) {
                               CHECK(state_.sets.contains(u.id));
                               CHECK_FALSE(is_used(u.id));
                           },
                           [this](const PolicyUpdated& u) {
                               check_sets(u.policy->ingress);
                               check_sets(u.policy->egress);
                               const auto known = state_.policies.find(u.policy->id);
                               CHECK((known == state_.policies.end() || !(known->second == u.policy)));
                           },
                           [this](const PolicyRemoved& u) {
                               CHECK(state_.policies.contains(u.id));
                               CHECK_FALSE(is_used(u.id));
                           },
                           [this](const ProfileUpdated& u) {
                               check_sets(u.profile->ingress);
                               check_sets(u.profile->egress);
                           },
                           [this](const ProfileRemoved& u) {
                               CHECK(state_.profiles.contains(u.name));
                               CHECK_FALSE(is_used(u.name));
                           },
                           [this](const ListsReplaced& u) { check_replaced(u); },
                           [this](const EndpointUpdated& u) { check_endpoint(*u.endpoint); },
                           [this](const EndpointRemoved& u) { CHECK(state_.endpoints.contains(u.key)); },
                           [this](const RouteRemoved& u) { CHECK(state_.routes.contains(u.prefix)); },
                           [](const auto&) {},
                       },
                       update);
            state_.apply(update);
        }
        std::set<std::string> interfaces;
        for (const auto& [key, endpoint] : state_.endpoints) {
            CHECK(interfaces.insert(endpoint->interface).second);
        }
    }

    [[nodiscard]] const Snapshot& state() const noexcept { return state_; }

private:
    void check_set(const SetId& id, SetKind kind) const {
        const auto set = state_.sets.find(id);
        CHECK((set != state_.sets.end() && set->second.kind == kind));
    }

    void check_sets(const std::vector<Rule>& rules) const {
        for (const Rule& rule : rules) {
            for (const EntityMatch* match : {&rule.source, &rule.destination}) {
                for (const auto* list : {&match->sets, &match->not_sets}) {
                    for (const SetId& id : *list) {
                        check_set(id, SetKind::addresses);
                    }
                }
                for (const auto* list : {&match->named_ports, &match->not_named_ports}) {
                    for (const SetId& id : *list) {
                        check_set(id, SetKind::ports);
                    }
                }
            }
        }
    }

    void check_lists(const PolicyLists& lists) const {
        for (const auto& tier : *lists) {
            CHECK_FALSE(tier->policies.empty());
            for (const PolicyId& id : tier->policies) {
                CHECK(state_.policies.contains(id));
            }
        }
    }

    void check_replaced(const ListsReplaced& change) const {
        check_lists(change.now);
        CHECK_FALSE(change.before == change.now);
        for (const auto& [key, endpoint] : state_.endpoints) {
            CHECK_FALSE((endpoint->profiles == change.profiles && endpoint->lists(change.direction) == change.now));
        }
    }

    void check_endpoint(const Endpoint& endpoint) const {
        check_lists(endpoint.ingress);
        check_lists(endpoint.egress);
        for (const std::string& name : endpoint.profiles) {
            CHECK(state_.profiles.contains(name));
        }
        const auto known = state_.endpoints.find(endpoint.key);
        CHECK((known == state_.endpoints.end() || !(*known->second == endpoint)));
    }

    template <class Set, class List>
    static void check_each(const Set& set, const List& list, bool is_member) {
        for (const auto& member : list) {
            CHECK(set.contains(member) == is_member);
        }
    }

    void check_members(const SetMembersChanged& change) const {
        const auto found = state_.sets.find(change.id);
        REQUIRE(found != state_.sets.end());
        CHECK_FALSE((change.added.empty() && change.removed.empty()));
        for (const net::Family family : {net::Family::v4, net::Family::v6}) {
            const FamilyMembers& added = change.added.of(family);
            const FamilyMembers& removed = change.removed.of(family);
            check_each(found->second.addresses, added.addresses, false);
            check_each(found->second.prefixes, added.prefixes, false);
            check_each(found->second.ports, added.ports, false);
            check_each(found->second.addresses, removed.addresses, true);
            check_each(found->second.prefixes, removed.prefixes, true);
            check_each(found->second.ports, removed.ports, true);
        }
    }

    static bool mentions(const std::vector<Rule>& rules, const SetId& id) {
        const auto has = [&id](const std::vector<SetId>& list) {
            return std::find(list.begin(), list.end(), id) != list.end();
        };
        return std::any_of(rules.begin(), rules.end(), [&](const Rule& rule) {
            return has(rule.source.sets) || has(rule.source.not_sets) || has(rule.source.named_ports) ||
                   has(rule.source.not_named_ports) || has(rule.destination.sets) || has(rule.destination.not_sets) ||
                   has(rule.destination.named_ports) || has(rule.destination.not_named_ports);
        });
    }

    [[nodiscard]] bool is_used(const SetId& id) const {
        for (const auto& [key, policy] : state_.policies) {
            if (mentions(policy->ingress, id) || mentions(policy->egress, id)) {
                return true;
            }
        }
        for (const auto& [name, profile] : state_.profiles) {
            if (mentions(profile->ingress, id) || mentions(profile->egress, id)) {
                return true;
            }
        }
        return false;
    }

    [[nodiscard]] bool is_used_by_host(const PolicyId& id) const {
        for (const auto& [key, endpoint] : state_.host_endpoints) {
            for (const HostEndpoint::Lists& both : endpoint->stages) {
                for (const PolicyLists& lists : {both.ingress, both.egress}) {
                    for (const auto& tier : *lists) {
                        if (std::find(tier->policies.begin(), tier->policies.end(), id) != tier->policies.end()) {
                            return true;
                        }
                    }
                }
            }
        }
        return false;
    }

    [[nodiscard]] bool is_used(const PolicyId& id) const {
        if (is_used_by_host(id)) {
            return true;
        }
        for (const auto& [key, endpoint] : state_.endpoints) {
            for (const PolicyLists& lists : {endpoint->ingress, endpoint->egress}) {
                for (const auto& tier : *lists) {
                    if (std::find(tier->policies.begin(), tier->policies.end(), id) != tier->policies.end()) {
                        return true;
                    }
                }
            }
        }
        return false;
    }

    [[nodiscard]] bool is_used(const std::string& profile) const {
        for (const auto& [key, endpoint] : state_.endpoints) {
            if (std::find(endpoint->profiles.begin(), endpoint->profiles.end(), profile) != endpoint->profiles.end()) {
                return true;
            }
        }
        return false;
    }

    Snapshot state_;
};

/// A graph with an in-memory dataplane behind it.
class World {
public:
    World() : graph_({kNode, {}}) {}
    World(std::initializer_list<model::ResourcePtr> resources) : World() {
        for (const model::ResourcePtr& resource : resources) {
            put(resource);
        }
    }

    World& put(const model::ResourcePtr& resource) {
        graph_.handle(ResourcePut{resource});
        return *this;
    }
    World& remove(const model::ResourcePtr& resource) {
        graph_.handle(ResourceRemoved{resource->key()});
        return *this;
    }
    World& handle(const Event& event) {
        graph_.handle(event);
        return *this;
    }
    /// The batch of one flush, applied and checked.
    Batch flush() {
        Batch batch = graph_.flush();
        dataplane_.apply(batch);
        return batch;
    }
    const Snapshot& state() {
        flush();
        return dataplane_.state();
    }
    Graph& graph() noexcept { return graph_; }

    /// The endpoint of the pod; flushes first.
    const Endpoint& endpoint(const model::ResourcePtr& pod) {
        const Snapshot& snapshot = state();
        const auto found =
            snapshot.endpoints.find(EndpointKey{EndpointKind::workload, pod->metadata.ns, pod->metadata.name});
        REQUIRE(found != snapshot.endpoints.end());
        return *found->second;
    }
    Evaluation evaluate(const model::ResourcePtr& pod, Direction direction, const Packet& packet) {
        const Endpoint& judged = endpoint(pod);
        return felix::evaluate(dataplane_.state(), judged, direction, packet);
    }
    bool allows(const model::ResourcePtr& pod, Direction direction, const Packet& packet) {
        return evaluate(pod, direction, packet).verdict == Verdict::allow;
    }
    bool allows_ingress(const model::ResourcePtr& pod, const Packet& packet) {
        return allows(pod, Direction::ingress, packet);
    }
    bool allows_egress(const model::ResourcePtr& pod, const Packet& packet) {
        return allows(pod, Direction::egress, packet);
    }
    /// "tier: policy, policy; tier: ..." in the order of evaluation.
    std::string order(const model::ResourcePtr& pod, Direction direction) {
        std::string out;
        for (const auto& tier : *endpoint(pod).lists(direction)) {
            out += out.empty() ? "" : "; ";
            out += tier->tier + ":";
            for (const PolicyId& id : tier->policies) {
                out += " " + (id.ns.empty() ? id.name : id.ns + "/" + id.name);
            }
        }
        return out;
    }

private:
    Graph graph_;
    Accumulator dataplane_;
};

inline Packet tcp(std::string_view source, std::string_view destination, std::uint16_t port = 80,
                  std::uint16_t source_port = 40000) {
    Packet packet;
    packet.source = ip(source);
    packet.destination = ip(destination);
    packet.protocol = net::kTcp;
    packet.source_port = source_port;
    packet.destination_port = port;
    return packet;
}
/// From outside to the pod kWeb.
inline Packet to_web() { return tcp("192.0.2.1", "10.0.0.1"); }

inline Packet udp(std::string_view source, std::string_view destination, std::uint16_t port) {
    Packet packet = tcp(source, destination, port);
    packet.protocol = net::kUdp;
    return packet;
}

inline Packet icmp(std::string_view source, std::string_view destination, std::uint8_t type, std::uint8_t code) {
    Packet packet;
    packet.source = ip(source);
    packet.destination = ip(destination);
    packet.protocol = packet.family() == net::Family::v4 ? net::kIcmp : net::kIcmpv6;
    packet.icmp_type = type;
    packet.icmp_code = code;
    return packet;
}

}  // namespace manul::felix::test
