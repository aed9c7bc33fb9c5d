#include "config/model/convert_admin_policy.hpp"

#include <cstddef>
#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/model/admin_policy.hpp"
#include "config/model/convert_kubernetes.hpp"
#include "config/model/finding.hpp"
#include "config/model/policy.hpp"
#include "config/model/port_criteria.hpp"
#include "config/model/selector.hpp"
#include "config/model/tier.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::model {

namespace {

/// Exactly one of the two must be there.
Result<EntityRule> pods_of(const std::optional<LabelSelector>& namespaces, const std::optional<NamespacedPods>& pods) {
    if (namespaces.has_value() == pods.has_value()) {
        return fail("exactly one of namespaces and pods is needed");
    }
    EntityRule entity;
    entity.selector = kubernetes_pods(pods ? pods->pod_selector : LabelSelector{});
    entity.namespace_selector = to_selector(pods ? pods->namespace_selector : *namespaces).to_string();
    return entity;
}

/// What one peer means; several entities where it needs several rules.
Result<std::vector<EntityRule>> entities_of(const AdminSubject& peer) {
    MANUL_TRY(EntityRule entity, pods_of(peer.namespaces, peer.pods));
    return std::vector{std::move(entity)};
}

Result<std::vector<EntityRule>> entities_of(const AdminEgressPeer& peer) {
    if (peer.nodes) {
        return fail("nodes are not supported");
    }
    if (!peer.domain_names.empty()) {
        return fail("domainNames are not supported");
    }
    if (peer.networks.empty()) {
        MANUL_TRY(EntityRule entity, pods_of(peer.namespaces, peer.pods));
        return std::vector{std::move(entity)};
    }
    if (peer.namespaces || peer.pods) {
        return fail("networks cannot stand beside namespaces or pods");
    }
    std::vector<EntityRule> entities;  // one for each family: a rule has addresses of one alone
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        EntityRule entity;
        for (const net::Prefix& network : peer.networks) {
            if (network.family() == family) {
                entity.nets.push_back(network);
            }
        }
        if (!entity.nets.empty()) {
            entities.push_back(std::move(entity));
        }
    }
    return entities;
}

Result<void> add(PortCriteria& criteria, const AdminPort& port) {
    if (!port.named_port.empty()) {
        return fail("namedPort is not supported");
    }
    if (port.port_number.has_value() == port.port_range.has_value()) {
        return fail("exactly one of portNumber and portRange is needed");
    }
    if (port.port_number) {
        return criteria.add(port.port_number->protocol.value_or(net::kTcp), port.port_number->port,
                            port.port_number->port);
    }
    return criteria.add(port.port_range->protocol.value_or(net::kTcp), port.port_range->start, port.port_range->end);
}

Result<void> add(PortCriteria& criteria, net::Protocol protocol, const ClusterPorts& ports) {
    if (!ports.destination_port) {
        criteria.add_all(protocol);
        return {};
    }
    const ClusterPort& port = *ports.destination_port;
    if (port.number.has_value() == port.range.has_value()) {
        return fail("exactly one of number and range is needed");
    }
    return port.number ? criteria.add(protocol, *port.number, *port.number)
                       : criteria.add(protocol, port.range->start, port.range->end);
}

Result<void> add(PortCriteria& criteria, const ClusterProtocol& protocol) {
    const int given = (protocol.tcp ? 1 : 0) + (protocol.udp ? 1 : 0) + (protocol.sctp ? 1 : 0) +
                      (protocol.destination_named_port.empty() ? 0 : 1);
    if (given != 1) {
        return fail("exactly one of tcp, udp, sctp and destinationNamedPort is needed");
    }
    if (protocol.tcp) {
        return add(criteria, net::kTcp, *protocol.tcp);
    }
    if (protocol.udp) {
        return add(criteria, net::kUdp, *protocol.udp);
    }
    if (protocol.sctp) {
        return add(criteria, net::kSctp, *protocol.sctp);
    }
    criteria.add_name_of_any_protocol(protocol.destination_named_port);
    return {};
}

Action action_of(AdminAction action) {
    return action == AdminAction::allow ? Action::allow : action == AdminAction::pass ? Action::pass : Action::deny;
}
Action action_of(ClusterAction action) {
    return action == ClusterAction::accept ? Action::allow
           : action == ClusterAction::pass ? Action::pass
                                           : Action::deny;
}

// The names of the parts of a rule in both generations.
const auto& ports_of(const AdminIngressRule& rule) { return rule.ports; }
const auto& ports_of(const AdminEgressRule& rule) { return rule.ports; }
const auto& ports_of(const ClusterIngressRule& rule) { return rule.protocols; }
const auto& ports_of(const ClusterEgressRule& rule) { return rule.protocols; }
const auto& peers_of(const AdminIngressRule& rule) { return rule.from; }
const auto& peers_of(const AdminEgressRule& rule) { return rule.to; }
const auto& peers_of(const ClusterIngressRule& rule) { return rule.from; }
const auto& peers_of(const ClusterEgressRule& rule) { return rule.to; }

/// The peers and ports of one rule.
struct Criteria {
    std::vector<EntityRule> entities;
    PortCriteria ports;
};

template <class AdminRule>
Result<Criteria> criteria_of(const AdminRule& rule) {
    Criteria criteria;
    if (peers_of(rule).empty()) {
        return fail("at least one peer is needed");
    }
    for (const auto& peer : peers_of(rule)) {
        MANUL_TRY(const std::vector<EntityRule> entities, entities_of(peer));
        criteria.entities.insert(criteria.entities.end(), entities.begin(), entities.end());
    }
    for (const auto& port : ports_of(rule)) {
        MANUL_CHECK(add(criteria.ports, port));
    }
    return criteria;
}

struct RuleSide {
    const char* name;
    EntityRule Rule::* entity;
};
constexpr RuleSide kIngressSide{"ingress", &Rule::source};
constexpr RuleSide kEgressSide{"egress", &Rule::destination};

template <class AdminRule>
void convert_rules(const RuleSide& side, const std::vector<AdminRule>& rules, std::vector<Rule>& out,
                   Findings& dropped) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
        Rule common;
        common.action = action_of(rules[i].action);
        common.has_unknown_fields = rules[i].has_unknown_fields;
        if (!rules[i].name.empty()) {
            common.metadata = RuleMetadata{{{kRuleNameAnnotation, rules[i].name}}};
        }
        const auto criteria = criteria_of(rules[i]);
        if (!criteria) {
            const bool allows = common.action == Action::allow;
            dropped.push_back({.path = std::string("spec.") + side.name + "[" + std::to_string(i) + "]",
                               .message = criteria.error().message +
                                          (allows ? "; the rule was left out" : "; the rule denies all instead")});
            if (!allows) {
                common.action = Action::deny;
                out.push_back(std::move(common));
            }
            continue;
        }
        for (const PortCriteria::Match& match : criteria->ports.matches()) {
            for (const EntityRule& entity : criteria->entities) {
                Rule rule = common;
                rule.protocol = match.protocol;
                rule.*side.entity = entity;
                rule.destination.ports = match.ports;
                out.push_back(std::move(rule));
            }
        }
    }
}

template <class Spec>
ConvertedGlobalPolicy convert_spec(const Spec& spec, const char* tier, double order) {
    ConvertedGlobalPolicy out;
    const auto subject = pods_of(spec.subject.namespaces, spec.subject.pods);
    if (!subject) {
        out.dropped.push_back(
            {.path = "spec.subject", .message = subject.error().message + "; the policy has no effect"});
        return out;
    }
    GlobalNetworkPolicySpec& policy = out.spec.emplace();
    policy.tier = tier;
    policy.order = order;
    policy.selector = subject->selector;
    policy.namespace_selector = subject->namespace_selector;
    // Without any rule it does nothing in either direction, since the tiers pass what no rule matches.
    if (!spec.ingress.empty() || spec.egress.empty()) {
        policy.types.push_back(PolicyType::ingress);
    }
    if (!spec.egress.empty()) {
        policy.types.push_back(PolicyType::egress);
    }
    convert_rules(kIngressSide, spec.ingress, policy.ingress, out.dropped);
    convert_rules(kEgressSide, spec.egress, policy.egress, out.dropped);
    return out;
}

}  // namespace

ConvertedGlobalPolicy convert(const AdminNetworkPolicy& policy) {
    return convert_spec(policy.spec, kAdminTier, policy.spec.priority);
}

ConvertedGlobalPolicy convert(const BaselineAdminNetworkPolicy& policy) {
    return convert_spec(policy.spec, kBaselineTier, kBaselinePolicyOrder);
}

ConvertedGlobalPolicy convert(const ClusterNetworkPolicy& policy) {
    const bool admin = policy.spec.tier == ClusterPolicyTier::admin;
    return convert_spec(policy.spec, admin ? kAdminTier : kBaselineTier, policy.spec.priority);
}

ConvertedPolicy convert(const StagedKubernetesNetworkPolicy& policy) { return convert(policy.spec); }

}  // namespace manul::model
