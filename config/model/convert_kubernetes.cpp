#include "config/model/convert_kubernetes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/model/finding.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/policy.hpp"
#include "config/model/selector.hpp"
#include "config/model/workload_endpoint.hpp"
#include "net/port_range.hpp"

namespace manul::model {

namespace {

Selector orchestrator_term() { return Selector::equals(kLabelOrchestrator, "k8s"); }

/// Pods with these labels, nothing else that has labels.
std::string pods(const LabelSelector& selector) {
    return Selector::conjunction({orchestrator_term(), to_selector(selector)}).to_string();
}

/// Port criteria of one protocol; `everything` wins over the listed ones.
struct ProtocolPorts {
    bool everything = false;
    std::vector<net::PortRange> numbers;
    std::vector<std::string> names;
};

/// What is wrong with a port entry, or nothing when it was added. Keyed by the protocol's name, since rules come out in
/// alphabetical order.
std::string add_port(std::map<std::string, ProtocolPorts>& ports, const KubernetesPort& entry) {
    const net::Protocol protocol = entry.protocol.value_or(net::kTcp);
    ProtocolPorts& of_protocol = ports[protocol.to_string()];
    if (!entry.port) {
        if (entry.end_port) {
            return "endPort needs a port";
        }
        of_protocol.everything = true;
        return {};
    }
    if (const auto* name = std::get_if<std::string>(&*entry.port)) {
        if (entry.end_port) {
            return "endPort needs a port number, not the name \"" + *name + "\"";
        }
        of_protocol.names.push_back(*name);
        return {};
    }
    const std::uint16_t first = std::get<std::uint16_t>(*entry.port);
    const auto range = net::PortRange::make(first, entry.end_port.value_or(first));
    if (!range) {
        return "the ports " + std::to_string(first) + " to " + std::to_string(entry.end_port.value_or(first)) +
               " are not a range";
    }
    of_protocol.numbers.push_back(*range);
    return {};
}

/// Overlapping and adjacent ranges become one.
std::vector<Port> merged(ProtocolPorts ports) {
    std::vector<Port> out;
    std::ranges::sort(ports.numbers);
    std::vector<net::PortRange> ranges;
    for (const net::PortRange& next : ports.numbers) {
        if (!ranges.empty() && next.first() <= std::uint32_t{ranges.back().last()} + 1) {
            ranges.back() = *net::PortRange::make(ranges.back().first(), std::max(ranges.back().last(), next.last()));
        } else {
            ranges.push_back(next);
        }
    }
    out.assign(ranges.begin(), ranges.end());
    std::ranges::sort(ports.names);
    const auto repeated = std::ranges::unique(ports.names);
    ports.names.erase(repeated.begin(), repeated.end());
    out.insert(out.end(), ports.names.begin(), ports.names.end());
    return out;
}

/// What is wrong with a peer, or nothing when it was written to `entity`.
std::string set_peer(EntityRule& entity, const KubernetesPeer& peer) {
    if (peer.ip_block) {
        if (peer.pod_selector || peer.namespace_selector) {
            return "ipBlock cannot stand beside podSelector or namespaceSelector";
        }
        entity.nets = {peer.ip_block->cidr};
        entity.not_nets = peer.ip_block->except;
        return {};
    }
    if (!peer.pod_selector && !peer.namespace_selector) {
        return "a peer needs podSelector, namespaceSelector or ipBlock";
    }
    entity.selector = pods(peer.pod_selector.value_or(LabelSelector{}));
    if (peer.namespace_selector) {
        entity.namespace_selector = to_selector(*peer.namespace_selector).to_string();
    }
    return {};
}

struct Direction {
    const char* name;
    const char* peer_list;
    EntityRule Rule::* peer_side;
};
constexpr Direction kIngress{"ingress", "from", &Rule::source};
constexpr Direction kEgress{"egress", "to", &Rule::destination};

/// One rule for each protocol and peer; none at all when any part of the rule cannot be converted (fewer allows).
void convert_rule(const Direction& direction, std::size_t index, const std::vector<KubernetesPeer>& peers,
                  const std::vector<KubernetesPort>& ports, bool has_unknown_fields, std::vector<Rule>& out,
                  Findings& dropped) {
    const std::string path = std::string("spec.") + direction.name + "[" + std::to_string(index) + "]";
    const auto drop = [&](const std::string& list, std::size_t at, const std::string& why) {
        dropped.push_back(
            {.path = path + "." + list + "[" + std::to_string(at) + "]", .message = why + "; the rule was left out"});
    };
    std::map<std::string, ProtocolPorts> by_protocol;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        if (const std::string why = add_port(by_protocol, ports[i]); !why.empty()) {
            return drop("ports", i, why);
        }
    }
    std::vector<EntityRule> entities(std::max<std::size_t>(peers.size(), 1));
    for (std::size_t i = 0; i < peers.size(); ++i) {
        if (const std::string why = set_peer(entities[i], peers[i]); !why.empty()) {
            return drop(direction.peer_list, i, why);
        }
    }
    const auto add = [&](std::optional<net::Protocol> protocol, const std::vector<Port>& to_ports) {
        for (const EntityRule& entity : entities) {
            Rule rule;
            rule.action = Action::allow;
            rule.protocol = protocol;
            rule.*direction.peer_side = entity;
            rule.destination.ports = to_ports;
            rule.has_unknown_fields = has_unknown_fields;
            out.push_back(std::move(rule));
        }
    };
    if (by_protocol.empty()) {
        add(std::nullopt, {});
    }
    for (const auto& [protocol, of_protocol] : by_protocol) {
        add(net::Protocol::parse(protocol), of_protocol.everything ? std::vector<Port>{} : merged(of_protocol));
    }
}

}  // namespace

Selector to_selector(const LabelSelector& selector) {
    std::vector<Selector> terms;
    for (const auto& [key, value] : selector.match_labels) {
        terms.push_back(Selector::equals(key, value));
    }
    for (const LabelRequirement& requirement : selector.match_expressions) {
        switch (requirement.op) {
            case LabelOperator::in:
                terms.push_back(Selector::in(requirement.key, requirement.values));
                break;
            case LabelOperator::not_in:
                terms.push_back(Selector::not_in(requirement.key, requirement.values));
                break;
            case LabelOperator::exists:
                terms.push_back(Selector::has(requirement.key));
                break;
            case LabelOperator::does_not_exist:
                terms.push_back(Selector::negate(Selector::has(requirement.key)));
                break;
        }
    }
    return Selector::conjunction(terms);
}

ConvertedPolicy convert(const KubernetesNetworkPolicy& policy) {
    ConvertedPolicy out;
    out.spec.order = kKubernetesPolicyOrder;
    out.spec.selector = pods(policy.spec.pod_selector);
    out.spec.types = policy.spec.policy_types;
    if (out.spec.types.empty()) {
        out.spec.types = {PolicyType::ingress};
    }
    for (std::size_t i = 0; i < policy.spec.ingress.size(); ++i) {
        const KubernetesIngressRule& rule = policy.spec.ingress[i];
        convert_rule(kIngress, i, rule.from, rule.ports, rule.has_unknown_fields, out.spec.ingress, out.dropped);
    }
    for (std::size_t i = 0; i < policy.spec.egress.size(); ++i) {
        const KubernetesEgressRule& rule = policy.spec.egress[i];
        convert_rule(kEgress, i, rule.to, rule.ports, rule.has_unknown_fields, out.spec.egress, out.dropped);
    }
    return out;
}

}  // namespace manul::model
