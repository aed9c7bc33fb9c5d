#include "config/model/lint.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "config/model/workload_endpoint.hpp"

namespace manul::model {

namespace {

constexpr std::uint16_t kDns = 53;

std::string at(std::string_view list, std::size_t index) {
    return std::string(list) + "[" + std::to_string(index) + "]";
}

class Lint {
public:
    Findings take() { return std::move(findings_); }

    void check(const KubernetesNetworkPolicySpec& spec);
    void check(const PolicySpec& spec);
    void check(const GlobalNetworkPolicySpec& spec);
    void check_scope(const GlobalNetworkPolicySpec& spec);
    void check(const HostEndpointSpec& spec);
    void check(const BgpPeerSpec& spec);
    void check(const BgpConfiguration& configuration);
    void check(const FelixConfiguration& configuration);

private:
    void warn(std::string path, std::string message) {
        findings_.push_back(
            {.path = std::move(path), .message = std::move(message), .severity = Finding::Severity::warning});
    }

    void check_peers(const std::string& path, const std::vector<KubernetesPeer>& peers);
    void check_rules(std::string_view direction, const std::vector<Rule>& rules);
    void check_end(std::string_view direction, const std::vector<Rule>& rules, std::string_view tier);

    Findings findings_;
};

// --- Kubernetes -----------------------------------------------------------------------------------------------------

bool is_everything(const LabelSelector& selector) {
    return selector.match_labels.empty() && selector.match_expressions.empty();
}

bool has_port(const std::vector<KubernetesPort>& ports, net::Protocol protocol, std::uint16_t number) {
    return ports.empty() || std::ranges::any_of(ports, [&](const KubernetesPort& port) {
               if (port.protocol.value_or(net::kTcp) != protocol) {
                   return false;
               }
               const auto* first = port.port ? std::get_if<std::uint16_t>(&*port.port) : nullptr;
               return !port.port || (first != nullptr && *first <= number && number <= port.end_port.value_or(*first));
           });
}

bool leaves(const std::vector<PolicyType>& types, PolicyType direction) {
    return std::ranges::find(types, direction) != types.end();
}

void Lint::check_peers(const std::string& path, const std::vector<KubernetesPeer>& peers) {
    bool namespaces_alone = false;
    bool pods_alone = false;
    for (std::size_t i = 0; i < peers.size(); ++i) {
        const KubernetesPeer& peer = peers[i];
        if (peer.pod_selector && !peer.namespace_selector && is_everything(*peer.pod_selector)) {
            warn(at(path, i) + ".podSelector", "{} selects every pod of the policy's namespace, not none");
        }
        if (peer.namespace_selector && peer.namespace_selector->match_labels.contains("name")) {
            warn(at(path, i) + ".namespaceSelector",
                 "namespaces have no label 'name' by themselves; 'kubernetes.io/metadata.name' is always there");
        }
        namespaces_alone = namespaces_alone || (peer.namespace_selector && !peer.pod_selector);
        pods_alone = pods_alone || (peer.pod_selector && !peer.namespace_selector);
    }
    if (namespaces_alone && pods_alone) {
        warn(path,
             "these are alternatives: every pod of those namespaces, or those pods of the policy's own namespace. For "
             "such pods in such namespaces write podSelector into the same list item as namespaceSelector (no '-' in "
             "front of it)");
    }
}

void Lint::check(const KubernetesNetworkPolicySpec& spec) {
    for (std::size_t i = 0; i < spec.ingress.size(); ++i) {
        check_peers(at("spec.ingress", i) + ".from", spec.ingress[i].from);
        if (spec.ingress[i].from.empty() && spec.ingress[i].ports.empty()) {
            warn(at("spec.ingress", i), "a rule without 'from' and 'ports' allows everything to everybody");
        }
    }
    bool udp = false;
    bool tcp = false;
    for (std::size_t i = 0; i < spec.egress.size(); ++i) {
        const KubernetesEgressRule& rule = spec.egress[i];
        check_peers(at("spec.egress", i) + ".to", rule.to);
        // Pods of the own namespace are no name servers, as a rule.
        const bool elsewhere = rule.to.empty() || std::ranges::any_of(rule.to, [](const KubernetesPeer& peer) {
                                   return peer.namespace_selector || peer.ip_block;
                               });
        udp = udp || (elsewhere && has_port(rule.ports, net::kUdp, kDns));
        tcp = tcp || (elsewhere && has_port(rule.ports, net::kTcp, kDns));
    }
    if (!spec.egress.empty() && leaves(spec.policy_types, PolicyType::egress)) {
        if (!udp) {
            warn("spec.egress", "no rule allows DNS (UDP and TCP port 53): the pods cannot resolve names");
        } else if (!tcp) {
            warn("spec.egress", "DNS is allowed by UDP alone: long answers need TCP port 53 too");
        }
    }
    if (spec.policy_types.empty() && !spec.egress.empty()) {
        warn("spec.policyTypes",
             "left out: the policy covers Ingress alone, so its egress rules have no effect (a Kubernetes API server "
             "would write [Ingress, Egress] here)");
    }
}

// --- Calico ---------------------------------------------------------------------------------------------------------

bool includes(const std::vector<Port>& ports, std::uint16_t number) {
    return ports.empty() || std::ranges::any_of(ports, [number](const Port& port) {
               const auto* range = std::get_if<net::PortRange>(&port);
               return range != nullptr && range->contains(number);
           });
}

bool is_everything(std::string_view selector) { return selector.empty() || selector == "all()"; }

/// Whether the rule may let DNS through; a selector may select name servers, which nobody can tell from here.
bool may_be_dns(const Rule& rule, net::Protocol protocol) {
    const bool of_protocol = !rule.protocol || *rule.protocol == protocol;
    return (rule.action == Action::allow || rule.action == Action::pass) && of_protocol &&
           includes(rule.destination.ports, kDns);
}

bool matches_all(const Rule& rule) {
    return rule.source.empty() && rule.destination.empty() && !rule.protocol && !rule.not_protocol && !rule.icmp &&
           !rule.not_icmp && !rule.ip_version && !rule.http;
}

void Lint::check_rules(std::string_view direction, const std::vector<Rule>& rules) {
    const std::string path = "spec." + std::string(direction);
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const Rule& rule = rules[i];
        if (rule.not_icmp && !rule.protocol) {
            warn(at(path, i) + ".notICMP", "without 'protocol: ICMP' every packet that is not ICMP matches too");
        }
        if (rule.http) {
            warn(at(path, i) + ".http", "HTTP criteria are not enforced: a rule with them that allows matches nothing");
        }
        if (rule.action != Action::log && matches_all(rule) && i + 1 < rules.size()) {
            warn(at(path, i), "matches everything, so the rules after it are never reached");
            break;
        }
    }
}

/// Rules that only deny, and leave something for the end of the tier, which denies it too.
void Lint::check_end(std::string_view direction, const std::vector<Rule>& rules, std::string_view tier) {
    const bool only_denies = !rules.empty() && std::ranges::all_of(rules, [](const Rule& rule) {
        return rule.action == Action::log || (rule.action == Action::deny && !matches_all(rule));
    });
    if (only_denies) {
        warn("spec." + std::string(direction),
             "no rule allows or passes: what no rule matches is denied as well, at the end of tier " +
                 std::string(tier) + ". Add a rule with action Allow or Pass for the rest");
    }
}

void Lint::check(const GlobalNetworkPolicySpec& spec) {
    check_scope(spec);
    if (spec.do_not_track || spec.pre_dnat) {  // what these leave goes on to other policies
        check_rules("ingress", spec.ingress);
        check_rules("egress", spec.egress);
    } else {
        check(static_cast<const PolicySpec&>(spec));
    }
}

void Lint::check(const PolicySpec& spec) {
    check_rules("ingress", spec.ingress);
    check_rules("egress", spec.egress);
    check_end("ingress", spec.ingress, spec.tier);
    check_end("egress", spec.egress, spec.tier);
    if (spec.types.empty() && !spec.ingress.empty() && !spec.egress.empty()) {
        warn(
            "spec.types",
            "left out, and both rule lists are there: the policy covers Ingress and Egress, and denies in both what no "
            "rule allows");
    }
    const bool egress = leaves(effective_types(spec), PolicyType::egress);
    const bool allows = std::ranges::any_of(spec.egress, [](const Rule& rule) { return rule.action == Action::allow; });
    const auto dns = [&spec](net::Protocol protocol) {
        return std::ranges::any_of(spec.egress, [protocol](const Rule& rule) { return may_be_dns(rule, protocol); });
    };
    if (egress && allows && !dns(net::kUdp)) {
        warn("spec.egress", "no rule allows DNS (UDP and TCP port 53): the endpoints cannot resolve names");
    }
}

/// Whether a selector over namespaces or service accounts holds for what has neither. An empty one asks for nothing.
bool holds_without(const std::string& text, std::string_view label) {
    const auto selector = Selector::parse(text);
    return text.empty() || (selector && selector->with_all_as_has(label).matches(StringMap()));
}

void Lint::check_scope(const GlobalNetworkPolicySpec& spec) {
    if (!spec.namespace_selector.empty() && is_everything(spec.selector) && !spec.do_not_track && !spec.pre_dnat &&
        holds_without(spec.namespace_selector, kLabelNamespace) &&
        holds_without(spec.service_account_selector, kLabelServiceAccount)) {
        warn("spec.namespaceSelector",
             "host endpoints have no namespace, so it holds for them too; for pods alone add "
             "'has(projectcalico.org/name) && '");
    }
    if (!is_everything(spec.selector) || !spec.namespace_selector.empty() || !spec.service_account_selector.empty() ||
        spec.do_not_track || spec.pre_dnat) {
        return;
    }
    const auto allows_all = [](const std::vector<Rule>& rules) {
        return std::ranges::any_of(rules, [](const Rule& rule) {
            return rule.action != Action::deny && rule.action != Action::log && rule.source.empty() &&
                   rule.destination.empty() && !rule.protocol;
        });
    };
    const std::vector<PolicyType> types = effective_types(spec);
    const bool closes = (leaves(types, PolicyType::ingress) && !allows_all(spec.ingress)) ||
                        (leaves(types, PolicyType::egress) && !allows_all(spec.egress));
    const bool nothing = spec.ingress.empty() && spec.egress.empty();
    if (closes) {
        warn("spec.selector",
             std::string(nothing ? "denies everything to every pod, system pods and DNS included, and to "
                                 : "selects every pod of every namespace, and ") +
                 "host endpoints too (only failsafe ports stay open). For pods alone add 'namespaceSelector: all()'");
    }
}

void Lint::check(const HostEndpointSpec& spec) {
    if (spec.profiles.empty()) {
        warn("spec.profiles",
             "without a profile the host endpoint denies all that no policy allows, failsafe ports excepted; "
             "'projectcalico-default-allow' allows it");
    }
}

// Calico accepts these, so they may stand in files; they do nothing there either.

bool is_of_a_node_or_default(std::string_view name) { return name == "default" || name.starts_with("node."); }

void Lint::check(const BgpPeerSpec& spec) {
    if (!spec.peer_ip && spec.peer_selector.empty() && spec.local_workload_selector.empty() && !spec.listen_range &&
        spec.interface.empty()) {
        warn("spec",
             "names no peer and has no effect: give peerIP, peerSelector, localWorkloadSelector, listenRange or "
             "interface");
    }
}

void Lint::check(const BgpConfiguration& configuration) {
    if (!is_of_a_node_or_default(configuration.metadata.name)) {
        warn("metadata.name", R"(has no effect: only "default" and "node.<name of the node>" are read)");
    }
}

void Lint::check(const FelixConfiguration& configuration) {
    if (!is_of_a_node_or_default(configuration.metadata.name) &&
        configuration.spec.node_selector.value_or("").empty()) {
        warn("spec.nodeSelector",
             R"(missing, so this has no effect: only "default" and "node.<name of the node>" do without)");
    }
}

}  // namespace

Findings lint(const Resource& resource) {
    Lint lint;
    if (const auto* kubernetes = as<KubernetesNetworkPolicy>(resource)) {
        lint.check(kubernetes->spec);
    } else if (const auto* policy = as<NetworkPolicy>(resource)) {
        lint.check(policy->spec);
    } else if (const auto* global = as<GlobalNetworkPolicy>(resource)) {
        lint.check(global->spec);
    } else if (const auto* host = as<HostEndpoint>(resource)) {
        lint.check(host->spec);
    } else if (const auto* peer = as<BgpPeer>(resource)) {
        lint.check(peer->spec);
    } else if (const auto* bgp = as<BgpConfiguration>(resource)) {
        lint.check(*bgp);
    } else if (const auto* felix = as<FelixConfiguration>(resource)) {
        lint.check(*felix);
    }
    return lint.take();
}

}  // namespace manul::model
