#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "config/model/checks.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/names.hpp"
#include "config/model/resource.hpp"
#include "config/model/staged_policy.hpp"
#include "net/port_range.hpp"

namespace manul::model {

namespace {

void check_ip_block(Checks& checks, const IpBlock& block, const std::string& path) {
    for (std::size_t i = 0; i < block.except.size(); ++i) {
        const bool inside = block.cidr.contains(block.except[i]) && block.cidr != block.except[i];
        checks.check(inside, indexed(path + ".except", i),
                     "must lie inside " + block.cidr.to_string() + " and be smaller");
    }
}

/// With `has_unknown_fields` in the rule a peer may be of a kind that this version does not know.
void check_peers(Checks& checks, const std::vector<KubernetesPeer>& peers, bool has_unknown_fields,
                 const std::string& path) {
    for (std::size_t i = 0; i < peers.size(); ++i) {
        const KubernetesPeer& peer = peers[i];
        const std::string at = indexed(path, i);
        const bool has_selector = peer.pod_selector.has_value() || peer.namespace_selector.has_value();
        checks.check(has_selector || peer.ip_block || has_unknown_fields, at,
                     "needs podSelector, namespaceSelector or ipBlock");
        checks.check(!has_selector || !peer.ip_block, at + ".ipBlock",
                     "cannot stand beside podSelector or namespaceSelector");
        if (peer.pod_selector) {
            check_label_selector(checks, *peer.pod_selector, at + ".podSelector");
        }
        if (peer.namespace_selector) {
            check_label_selector(checks, *peer.namespace_selector, at + ".namespaceSelector");
        }
        if (peer.ip_block) {
            check_ip_block(checks, *peer.ip_block, at + ".ipBlock");
        }
    }
}

void check_ports(Checks& checks, const std::vector<KubernetesPort>& ports, const std::string& path) {
    for (std::size_t i = 0; i < ports.size(); ++i) {
        const KubernetesPort& port = ports[i];
        const std::string at = indexed(path, i);
        checks.port_protocol(at + ".protocol", port.protocol.value_or(net::kTcp));
        if (port.end_port) {
            const auto* first = port.port ? std::get_if<std::uint16_t>(&*port.port) : nullptr;
            checks.check(first != nullptr, at + ".endPort", "needs a numeric port");
            checks.check(first == nullptr || *first <= *port.end_port, at + ".endPort", "must not be below port");
        }
    }
}

void check_policy(Checks& checks, const KubernetesNetworkPolicySpec& spec) {
    check_label_selector(checks, spec.pod_selector, "spec.podSelector");
    for (std::size_t i = 0; i < spec.ingress.size(); ++i) {
        const std::string path = indexed("spec.ingress", i);
        check_peers(checks, spec.ingress[i].from, spec.ingress[i].has_unknown_fields, path + ".from");
        check_ports(checks, spec.ingress[i].ports, path + ".ports");
    }
    for (std::size_t i = 0; i < spec.egress.size(); ++i) {
        const std::string path = indexed("spec.egress", i);
        check_peers(checks, spec.egress[i].to, spec.egress[i].has_unknown_fields, path + ".to");
        check_ports(checks, spec.egress[i].ports, path + ".ports");
    }
}

/// A staged deletion names the policy that would be gone, and says nothing else.
void check_staged(Checks& checks, const StagedKubernetesNetworkPolicySpec& spec) {
    const KubernetesNetworkPolicySpec& policy = spec;
    checks.check(spec.staged_action != StagedAction::delete_ || policy == KubernetesNetworkPolicySpec{}, "spec",
                 "must have no other field when stagedAction is Delete");
    check_policy(checks, policy);
}

}  // namespace

void check_label_selector(Checks& checks, const LabelSelector& selector, const std::string& path) {
    checks.labels(path + ".matchLabels", selector.match_labels);
    for (std::size_t i = 0; i < selector.match_expressions.size(); ++i) {
        const LabelRequirement& requirement = selector.match_expressions[i];
        const std::string at = indexed(path + ".matchExpressions", i);
        const bool is_set = requirement.op == LabelOperator::in || requirement.op == LabelOperator::not_in;
        checks.check(is_label_key(requirement.key), at + ".key", "expected a label key");
        checks.check(!is_set || !requirement.values.empty(), at + ".values", "required with In and NotIn");
        checks.check(is_set || requirement.values.empty(), at + ".values", "not with Exists and DoesNotExist");
        for (std::size_t k = 0; k < requirement.values.size(); ++k) {
            checks.check(is_label_value(requirement.values[k]), indexed(at + ".values", k), "expected a label value");
        }
    }
}

void check_kubernetes_kinds(Checks& checks, const Resource& resource) {
    if (const auto* policy = as<KubernetesNetworkPolicy>(resource)) {
        check_policy(checks, policy->spec);
    } else if (const auto* staged = as<StagedKubernetesNetworkPolicy>(resource)) {
        check_staged(checks, staged->spec);
    }
}

}  // namespace manul::model
