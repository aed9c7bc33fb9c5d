#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/admin_policy.hpp"
#include "config/model/checks.hpp"
#include "config/model/names.hpp"
#include "config/model/resource.hpp"
#include "net/port_range.hpp"

namespace manul::model {

namespace {

/// None of them is what a newer version may have written: the conversion closes such a rule.
void check_one_of(Checks& checks, int given, bool has_unknown_fields, const std::string& path, const char* choices) {
    checks.check(given == 1 || (given == 0 && has_unknown_fields), path,
                 std::string("expected exactly one of ") + choices);
}

void check_pods(Checks& checks, const std::optional<LabelSelector>& namespaces,
                const std::optional<NamespacedPods>& pods, const std::string& path) {
    if (namespaces) {
        check_label_selector(checks, *namespaces, path + ".namespaces");
    }
    if (pods) {
        check_label_selector(checks, pods->namespace_selector, path + ".pods.namespaceSelector");
        check_label_selector(checks, pods->pod_selector, path + ".pods.podSelector");
    }
}

void check_peer(Checks& checks, const AdminSubject& peer, bool has_unknown_fields, const std::string& path) {
    check_one_of(checks, (peer.namespaces ? 1 : 0) + (peer.pods ? 1 : 0), has_unknown_fields, path,
                 "namespaces and pods");
    check_pods(checks, peer.namespaces, peer.pods, path);
}

void check_peer(Checks& checks, const AdminEgressPeer& peer, bool has_unknown_fields, const std::string& path) {
    const int given = (peer.namespaces ? 1 : 0) + (peer.pods ? 1 : 0) + (peer.nodes ? 1 : 0) +
                      (peer.networks.empty() ? 0 : 1) + (peer.domain_names.empty() ? 0 : 1);
    check_one_of(checks, given, has_unknown_fields, path, "namespaces, pods, nodes, networks and domainNames");
    check_pods(checks, peer.namespaces, peer.pods, path);
    if (peer.nodes) {
        check_label_selector(checks, *peer.nodes, path + ".nodes");
        checks.warning(path + ".nodes",
                       "not supported: the rule denies all if it would deny or pass, else it is left out");
    }
    if (!peer.domain_names.empty()) {
        checks.warning(path + ".domainNames",
                       "not supported: the rule denies all if it would deny or pass, else it is left out");
    }
}

void check_range(Checks& checks, std::uint16_t start, std::uint16_t end, const std::string& path) {
    checks.check(start < end, path + ".end", "must be above start");
}

void check_port(Checks& checks, const AdminPort& port, bool has_unknown_fields, const std::string& path) {
    const int given = (port.port_number ? 1 : 0) + (port.named_port.empty() ? 0 : 1) + (port.port_range ? 1 : 0);
    check_one_of(checks, given, has_unknown_fields, path, "portNumber, namedPort and portRange");
    if (port.port_number) {
        checks.port_protocol(path + ".portNumber.protocol", port.port_number->protocol.value_or(net::kTcp));
    }
    if (port.port_range) {
        checks.port_protocol(path + ".portRange.protocol", port.port_range->protocol.value_or(net::kTcp));
        check_range(checks, port.port_range->start, port.port_range->end, path + ".portRange");
    }
    if (!port.named_port.empty()) {
        checks.warning(path + ".namedPort",
                       "not supported: the rule denies all if it would deny or pass, else it is left out");
    }
}

void check_port(Checks& checks, const ClusterProtocol& protocol, bool has_unknown_fields, const std::string& path) {
    const int given = (protocol.tcp ? 1 : 0) + (protocol.udp ? 1 : 0) + (protocol.sctp ? 1 : 0) +
                      (protocol.destination_named_port.empty() ? 0 : 1);
    check_one_of(checks, given, has_unknown_fields, path, "tcp, udp, sctp and destinationNamedPort");
    const auto ports = [&](const std::optional<ClusterPorts>& of_protocol, const char* name) {
        if (!of_protocol || !of_protocol->destination_port) {
            return;
        }
        const ClusterPort& port = *of_protocol->destination_port;
        const std::string at = path + name + ".destinationPort";
        check_one_of(checks, (port.number ? 1 : 0) + (port.range ? 1 : 0), has_unknown_fields, at, "number and range");
        if (port.range) {
            check_range(checks, port.range->start, port.range->end, at + ".range");
        }
    };
    ports(protocol.tcp, ".tcp");
    ports(protocol.udp, ".udp");
    ports(protocol.sctp, ".sctp");
    checks.check(protocol.destination_named_port.empty() || is_rule_port_name(protocol.destination_named_port),
                 path + ".destinationNamedPort", "expected the name of a port");
}

bool names_port(const AdminPort& port) { return !port.named_port.empty(); }
bool names_port(const ClusterProtocol& protocol) { return !protocol.destination_named_port.empty(); }
bool has_no_pods(const AdminSubject& /*peer*/) { return false; }
bool has_no_pods(const AdminEgressPeer& peer) {
    return peer.nodes || !peer.networks.empty() || !peer.domain_names.empty();
}

template <class Peer, class PortEntry>
void check_rule(Checks& checks, const std::vector<Peer>& peers, const char* peer_list,
                const std::vector<PortEntry>& ports, const char* port_list, bool has_unknown_fields,
                const std::string& path) {
    checks.check(!peers.empty(), path + peer_list, "expected at least one peer");
    bool without_pods = false;
    for (std::size_t i = 0; i < peers.size(); ++i) {
        check_peer(checks, peers[i], has_unknown_fields, indexed(path + peer_list, i));
        without_pods |= has_no_pods(peers[i]);
    }
    for (std::size_t i = 0; i < ports.size(); ++i) {
        const std::string at = indexed(path + port_list, i);
        check_port(checks, ports[i], has_unknown_fields, at);
        checks.check(!without_pods || !names_port(ports[i]), at, "only pods name their ports");
    }
}

void check_rules(Checks& checks, const BaselineAdminNetworkPolicySpec& spec, bool may_pass) {
    const auto action = [&](AdminAction given, const std::string& path) {
        checks.check(may_pass || given != AdminAction::pass, path + ".action",
                     "expected one of Allow, Deny: nothing comes after a baseline policy");
    };
    for (std::size_t i = 0; i < spec.ingress.size(); ++i) {
        const std::string path = indexed("spec.ingress", i);
        action(spec.ingress[i].action, path);
        check_rule(checks, spec.ingress[i].from, ".from", spec.ingress[i].ports, ".ports",
                   spec.ingress[i].has_unknown_fields, path);
    }
    for (std::size_t i = 0; i < spec.egress.size(); ++i) {
        const std::string path = indexed("spec.egress", i);
        action(spec.egress[i].action, path);
        check_rule(checks, spec.egress[i].to, ".to", spec.egress[i].ports, ".ports", spec.egress[i].has_unknown_fields,
                   path);
    }
}

void check_rules(Checks& checks, const ClusterNetworkPolicySpec& spec) {
    for (std::size_t i = 0; i < spec.ingress.size(); ++i) {
        check_rule(checks, spec.ingress[i].from, ".from", spec.ingress[i].protocols, ".protocols",
                   spec.ingress[i].has_unknown_fields, indexed("spec.ingress", i));
    }
    for (std::size_t i = 0; i < spec.egress.size(); ++i) {
        check_rule(checks, spec.egress[i].to, ".to", spec.egress[i].protocols, ".protocols",
                   spec.egress[i].has_unknown_fields, indexed("spec.egress", i));
    }
}

}  // namespace

void check_admin_policy_kinds(Checks& checks, const Resource& resource) {
    if (const auto* admin = as<AdminNetworkPolicy>(resource)) {
        check_peer(checks, admin->spec.subject, false, "spec.subject");
        check_rules(checks, admin->spec, true);
    } else if (const auto* baseline = as<BaselineAdminNetworkPolicy>(resource)) {
        check_peer(checks, baseline->spec.subject, false, "spec.subject");
        check_rules(checks, baseline->spec, false);
    } else if (const auto* cluster = as<ClusterNetworkPolicy>(resource)) {
        check_peer(checks, cluster->spec.subject, false, "spec.subject");
        check_rules(checks, cluster->spec);
    }
}

}  // namespace manul::model
