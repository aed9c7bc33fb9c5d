#include "config/model/convert_kubernetes.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/model/finding.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/policy.hpp"
#include "config/model/port_criteria.hpp"
#include "config/model/selector.hpp"
#include "config/model/workload_endpoint.hpp"
#include "net/port_range.hpp"

namespace manul::model {

namespace {

/// What is wrong with a port entry, or nothing when it was added.
std::string add_port(PortCriteria& criteria, const KubernetesPort& entry) {
    const net::Protocol protocol = entry.protocol.value_or(net::kTcp);
    if (!entry.port) {
        if (entry.end_port) {
            return "endPort needs a port";
        }
        criteria.add_all(protocol);
        return {};
    }
    if (const auto* name = std::get_if<std::string>(&*entry.port)) {
        if (entry.end_port) {
            return "endPort needs a port number, not the name \"" + *name + "\"";
        }
        criteria.add_name(protocol, *name);
        return {};
    }
    const std::uint16_t first = std::get<std::uint16_t>(*entry.port);
    const auto added = criteria.add(protocol, first, entry.end_port.value_or(first));
    return added ? std::string() : added.error().message;
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
    entity.selector = kubernetes_pods(peer.pod_selector.value_or(LabelSelector{}));
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
    PortCriteria criteria;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        if (const std::string why = add_port(criteria, ports[i]); !why.empty()) {
            return drop("ports", i, why);
        }
    }
    std::vector<EntityRule> entities(std::max<std::size_t>(peers.size(), 1));
    for (std::size_t i = 0; i < peers.size(); ++i) {
        if (const std::string why = set_peer(entities[i], peers[i]); !why.empty()) {
            return drop(direction.peer_list, i, why);
        }
    }
    for (const PortCriteria::Match& match : criteria.matches()) {
        for (const EntityRule& entity : entities) {
            Rule rule;
            rule.action = Action::allow;
            rule.protocol = match.protocol;
            rule.*direction.peer_side = entity;
            rule.destination.ports = match.ports;
            rule.has_unknown_fields = has_unknown_fields;
            out.push_back(std::move(rule));
        }
    }
}

}  // namespace

std::string kubernetes_pods(const LabelSelector& selector) {
    return Selector::conjunction({Selector::equals(kLabelOrchestrator, "k8s"), to_selector(selector)}).to_string();
}

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

ConvertedPolicy convert(const KubernetesNetworkPolicySpec& policy) {
    ConvertedPolicy out;
    out.spec.order = kKubernetesPolicyOrder;
    out.spec.selector = kubernetes_pods(policy.pod_selector);
    for (const PolicyType type : policy.policy_types) {  // Kubernetes takes and keeps one that is given twice
        if (std::ranges::find(out.spec.types, type) == out.spec.types.end()) {
            out.spec.types.push_back(type);
        }
    }
    if (out.spec.types.empty()) {
        out.spec.types = {PolicyType::ingress};
    }
    for (std::size_t i = 0; i < policy.ingress.size(); ++i) {
        const KubernetesIngressRule& rule = policy.ingress[i];
        convert_rule(kIngress, i, rule.from, rule.ports, rule.has_unknown_fields, out.spec.ingress, out.dropped);
    }
    for (std::size_t i = 0; i < policy.egress.size(); ++i) {
        const KubernetesEgressRule& rule = policy.egress[i];
        convert_rule(kEgress, i, rule.to, rule.ports, rule.has_unknown_fields, out.spec.egress, out.dropped);
    }
    return out;
}

}  // namespace manul::model
