#include <string>

#include <catch2/catch.hpp>

#include "test/felix/verdict/situation.hpp"

// Services in rules, cluster-wide policies of Kubernetes, and staged policies.
namespace manul::felix::test {

namespace {

std::string policy_document(const std::string& version, const std::string& kind, const std::string& name,
                            const std::string& spec) {
    return "---\napiVersion: policy.networking.k8s.io/" + version + "\nkind: " + kind + "\nmetadata: {name: " + name +
           "}\nspec: {" + spec + "}\n";
}
std::string anp(const std::string& name, const std::string& spec) {
    return policy_document("v1alpha1", "AdminNetworkPolicy", name, spec);
}
std::string banp(const std::string& spec) {
    return policy_document("v1alpha1", "BaselineAdminNetworkPolicy", "default", spec);
}
std::string cnp(const std::string& name, const std::string& spec) {
    return policy_document("v1alpha2", "ClusterNetworkPolicy", name, spec);
}

std::string slice(const std::string& ns, const std::string& name, const std::string& service, const std::string& type,
                  const std::string& endpoints, const std::string& ports) {
    return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {namespace: " + ns +
           ", name: " + name + ", labels: {kubernetes.io/service-name: " + service + "}}\naddressType: " + type +
           "\nendpoints: [" + endpoints + "]\nports: [" + ports + "]\n";
}

const std::string kRedNamespace = "matchLabels: {kubernetes.io/metadata.name: red}";

}  // namespace

TEST_CASE_METHOD(Situation, "a service as destination is the addresses and ports of its slices, ready or not") {
    apply({np("red", "p",
              "selector: app == 'web', types: [Egress], egress: [{action: Allow, destination: {services:"
              " {name: api}}}]")});
    expect({"rw > gw,o1 tcp 80 deny"});
    apply({slice("red", "api-1", "api", "IPv4",
                 "{addresses: [10.65.0.3], conditions: {ready: false}}, {addresses: [192.0.2.10]}",
                 "{name: a, protocol: TCP, port: 80}, {name: b, protocol: UDP, port: 53}, {name: c}")});
    expect({"rw > gw,o1 tcp 80 v4 allow", "rw > gw udp 53 v4 allow", "rw > gw tcp 53 v4 deny", "rw > gw tcp 80 v6 deny",
            "rw > ga,o2 tcp 80 deny", "rw > gw ping deny"});
    apply({slice("red", "api-2", "api", "IPv6", "{addresses: ['fd65::3']}", "{port: 80}"),
           slice("red", "other", "web", "IPv4", "{addresses: [10.65.0.4]}", "{port: 80}"),
           slice("green", "api-1", "api", "IPv4", "{addresses: [10.65.0.4]}", "{port: 80}")});
    expect({"rw > gw tcp 80 allow", "rw > ga tcp 80 deny"});
    remove({"EndpointSlice/red/api-1"});
    expect({"rw > gw tcp 80 v4 deny", "rw > gw tcp 80 v6 allow"});
    // Of another namespace.
    only({slice("green", "api-1", "api", "IPv4", "{addresses: [10.65.0.4]}", "{port: 80}"),
          gnp("p",
              "selector: app == 'web', types: [Egress], egress: [{action: Allow, destination: {services:"
              " {name: api, namespace: green}}}]")});
    expect({"rw,gw > ga tcp 80 v4 allow", "rw > ga tcp 81 deny", "rd > o1 tcp 1 allow"});
    // A slice is nobody to other selectors.
    only({slice("red", "api-1", "api", "IPv4", "{addresses: [192.0.2.10]}", "{port: 80}"),
          gnp("p",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {selector: all()}},"
              " {action: Allow, source: {selector: service == 'red/api'}}, {action: Allow, source: {selector:"
              " has(service)}}]")});
    expect({"rd,bx > rw tcp 80 allow", "o2 > rw tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "a service as source is the addresses behind it, whatever their ports") {
    apply({np("red", "p",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP, source: {services:"
              " {name: clients}}, destination: {ports: [80]}}]"),
           slice("red", "clients-1", "clients", "IPv4", "{addresses: [10.65.0.3]}, {addresses: [192.0.2.10]}",
                 "{port: 9999}"),
           slice("red", "clients-2", "clients", "IPv4", "{addresses: [10.65.0.3]}", "{port: 1}")});
    expect({"gw,o1 > rw tcp 80 v4 allow", "gw > rw tcp 81 v4 deny", "gw > rw tcp 80 v6 deny", "ga > rw tcp 80 deny"});
    remove({"EndpointSlice/red/clients-2"});
    expect({"gw > rw tcp 80 v4 allow"});
    remove({"EndpointSlice/red/clients-1"});
    expect({"gw > rw tcp 80 v4 deny"});
}

TEST_CASE_METHOD(Situation, "an AdminNetworkPolicy comes before the policies of namespaces, in order of priority") {
    apply({anp("b", "priority: 20, subject: {namespaces: {" + kRedNamespace +
                        "}}, ingress: [{action: Allow, from: [{namespaces: {matchLabels: {team: green}}}]},"
                        " {action: Deny, from: [{namespaces: {}}]}]"),
           np("red", "open", "types: [Ingress], ingress: [{action: Allow, source: {nets: [192.0.2.0/25]}}]")});
    expect({"gw,ga > rw tcp 80 allow", "bd,rd > rw tcp 80 deny", "o1 > rw tcp 80 v4 allow", "o2 > rw tcp 80 deny",
            "bd > gw tcp 80 allow", "rw > bd tcp 80 allow"});
    apply({anp("a", "priority: 10, subject: {pods: {namespaceSelector: {" + kRedNamespace +
                        "}, podSelector: {matchLabels: {app: web}}}}, ingress: [{name: no-http, action: Deny, from:"
                        " [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}}], ports:"
                        " [{portNumber: {protocol: TCP, port: 80}}, {portRange: {protocol: UDP, start: 50, end: 60}}]},"
                        " {action: Pass, from: [{namespaces: {matchLabels: {team: blue}}}]}]")});
    expect({"gw > rw tcp 80 deny", "gw > rw tcp 81 allow", "gw > rw udp 53 deny", "gw > rd tcp 80 allow",
            "ga > rw tcp 80 allow", "bd > rw tcp 81 deny", "bd > rd tcp 81 deny"});
    remove({"NetworkPolicy/red/open"});
    expect({"bd > rw tcp 81 allow", "bd > rd tcp 81 deny", "o2 > rw tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "what an admin policy asks for and cannot be enforced denies, or allows nothing") {
    const std::string subject = "subject: {namespaces: {" + kRedNamespace + "}}, ";
    apply({anp("a", "priority: 1, " + subject + "egress: [{action: Deny, to: [{nodes: {}}]}]")});
    expect({"rw > o1,gw tcp 80 deny", "o1 > rw tcp 80 allow", "gw > o1 tcp 80 allow"});
    apply({anp("a", "priority: 1, " + subject +
                        "egress: [{action: Allow, to: [{nodes: {}}]}, {action: Deny, to: [{networks: [192.0.2.0/25]}],"
                        " ports: [{portNumber: {protocol: TCP, port: 80}}]}]")});
    expect({"rw > o1 tcp 80 v4 deny", "rw > o1 tcp 81 allow", "rw > o2,gw tcp 80 allow"});
    apply({anp("a", "priority: 1, " + subject +
                        "ingress: [{action: Deny, from: [{namespaces: {matchLabels: {team: none}}}], ports:"
                        " [{namedPort: http}]}]")});
    expect({"o1,gw > rw tcp 80 deny", "rw > o1 tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "peers and protocols of a newer version close their rule and leave the others alone") {
    const std::string subject = "subject: {namespaces: {" + kRedNamespace + "}}, ";
    const std::string rest = "{action: Deny, to: [{networks: [192.0.2.0/25]}]}]";
    const auto newer = [&](const std::string& rule) {
        force({cnp("a", "tier: Admin, priority: 1, " + subject + "egress: [" + rule + ", " + rest)});
    };
    newer("{action: Accept, to: [{cities: [Rome]}]}");
    expect({"rw > o1 tcp 80 v4 deny", "rw > o2,gw tcp 80 allow"});
    newer("{action: Accept, to: [{namespaces: {}}], protocols: [{quic: {}}]}");
    expect({"rw > o1 tcp 80 v4 deny", "rw > o2,gw tcp 80 allow"});
    newer("{action: Deny, to: [{cities: [Rome]}]}");
    expect({"rw > o2,gw tcp 80 deny", "o1 > rw tcp 80 allow", "gw > o2 tcp 80 allow"});
    site_.reset();
    force({anp("a", "priority: 1, " + subject +
                        "ingress: [{action: Pass, from: [{namespaces: {}}], ports: [{portSet: x}]}]")});
    expect({"gw,o1 > rw tcp 80 deny", "rw > o1 tcp 80 allow"});
    // What is wrong in any version of it closes every direction that has rules.
    site_.reset();
    force({cnp("a", "tier: Admin, priority: 1, " + subject +
                        "egress: [{action: Accept, to: [{namespaces: {}}]}, {action: Deny, to: [{networks:"
                        " [10.2402.0.0/16]}]}]")});
    expect({"rw > gw,o1 tcp 80 deny", "gw > rw tcp 80 allow", "gw > o1 tcp 80 allow"});
    site_.reset();
    force({knp("red", "p", "podSelector: {}, ingress: [{from: [{cities: [Rome]}]}, {ports: [{port: 80}]}]")});
    expect({"o1 > rw tcp 80 allow", "o1 > rw tcp 81 deny"});
}

TEST_CASE_METHOD(Situation, "the baseline is asked where no policy of the namespace decides") {
    apply({banp(
        "subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {matchLabels: {team: red}}}]},"
        " {action: Deny, from: [{namespaces: {}}]}], egress: [{action: Deny, to: [{networks: [192.0.2.0/25]}]}]")});
    expect({"rw > gw,rd tcp 80 allow", "bd > gw tcp 80 deny", "gw > o1 tcp 80 v4 deny", "gw > o2 tcp 80 v4 allow",
            "o1 > gw tcp 80 allow"});
    apply({np("green", "p",
              "types: [Ingress], ingress: [{action: Allow, protocol: UDP}, {action: Pass, protocol: SCTP}]")});
    expect({"bd > gw udp 80 allow", "rw > gw tcp 80 deny", "bd > gw sctp 80 deny", "rw > gw sctp 80 allow",
            "bd > rw tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "a ClusterNetworkPolicy stands in the tier that it names") {
    apply({cnp("a",
               "tier: Admin, priority: 5, subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels:"
               " {app: web}}}}, ingress: [{action: Accept, from: [{namespaces: {matchLabels: {team: blue}}}],"
               " protocols: [{tcp: {destinationPort: {number: 80}}}, {udp: {destinationPort: {range: {start: 50,"
               " end: 60}}}}, {destinationNamedPort: metrics}]}, {action: Deny, from: [{namespaces: {matchLabels:"
               " {team: blue}}}]}], egress: [{action: Deny, to: [{networks: ['192.0.2.0/25',"
               " '2001:db8:1::/64']}]}]"),
           cnp("b",
               "tier: Baseline, priority: 5, subject: {namespaces: {}}, ingress: [{action: Deny, from:"
               " [{namespaces: {}}]}]"),
           np("red", "closed", "selector: app == 'web', types: [Ingress]")});
    expect({"bd > rw,gw tcp 80 allow", "bd > rw,gw tcp 81 deny", "bd > rw,gw udp 55 allow", "bd > rw tcp 9100 allow",
            "bd > gw tcp 9100 deny", "rd > rw,gw tcp 80 deny", "rw > rd tcp 80 deny", "o1 > gw tcp 80 allow",
            "o1 > rw tcp 80 deny", "rw,gw > o1 tcp 80 deny", "rw,gw > o2 tcp 80 allow", "rd > o1 tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "staged policies touch no packet") {
    apply({object("StagedNetworkPolicy", "namespace: red, name: s", "spec: {types: [Ingress, Egress]}"),
           object("StagedGlobalNetworkPolicy", "name: s", "spec: {types: [Ingress, Egress]}"),
           object("StagedKubernetesNetworkPolicy", "namespace: red, name: s", "spec: {podSelector: {}}"),
           object("StagedNetworkPolicy", "namespace: red, name: p", "spec: {stagedAction: Delete}"),
           np("red", "p", "selector: app == 'db', types: [Ingress], ingress: [{action: Allow, protocol: TCP}]")});
    expect({"o1,gw > rw tcp 80 allow", "rw > o1,gw tcp 80 allow", "o1 > rd tcp 80 allow", "o1 > rd udp 80 deny"});
}

TEST_CASE_METHOD(Situation, "what the node sends to its pods is judged where the configuration asks for it") {
    apply({np("red", "p",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP},"
              " {action: Deny, protocol: UDP, denyAction: Reject}]")});
    expect({"node > rw tcp 80 allow", "node > rw udp 80 allow", "o1 > rw udp 80 reject"});
    apply({felix_config("hostToWorkloadPolicy: Enabled")});
    expect({"node > rw tcp 80 allow", "node > rw udp 80 deny", "node > rd udp 80 allow", "node > rw ping deny",
            "o1 > rw udp 80 deny", "o1 > rw tcp 80 allow", "node > o1 udp 80 allow"});
    apply({felix_config("hostToWorkloadPolicy: Disabled")});
    expect({"node > rw udp 80 allow", "o1 > rw udp 80 reject"});
}

TEST_CASE_METHOD(Situation, "what is sent to an address of services that no service translated is not routed on") {
    const auto ranges = [](const std::string& spec) {
        return object("BGPConfiguration", "name: default", "spec: {" + spec + "}");
    };
    expect({"rw,s1 > o3 tcp 80 allow"});
    apply(
        {ranges("serviceClusterIPs: [{cidr: 198.51.100.0/24}], serviceLoadBalancerIPs: [{cidr: '2001:db8:3::/64'}]")});
    expect({"rw,gw,s1 > o3 tcp 80 deny", "rw > o3 ping deny", "rw > o1,o2 tcp 80 allow", "o3 > rw,s1 tcp 80 allow",
            "node > o3 udp 80 allow"});
    apply({felix_config("serviceLoopPrevention: Reject")});
    expect({"rw,s1 > o3 udp 80 reject", "rw > o1 udp 80 allow"});
    // The pod's policy comes first.
    apply({np("red", "p",
              "selector: app == 'web', types: [Egress], egress: [{action: Deny, protocol: SCTP},"
              " {action: Allow}]")});
    expect({"rw > o3 sctp 80 deny", "rw > o3 tcp 80 reject", "rw > o1 tcp 80 allow"});
    apply({felix_config("serviceLoopPrevention: Disabled")});
    expect({"gw,s1 > o3 udp 80 allow", "rw > o3 tcp 80 allow"});
    apply({felix_config("logPrefix: x"), ranges("serviceExternalIPs: [{cidr: 192.0.2.200/32}]")});
    expect({"gw > o3 udp 80 allow", "gw > o2 udp 80 v4 deny", "gw > o2 udp 80 v6 allow"});
    remove({"BGPConfiguration/default"});
    expect({"gw > o2 udp 80 allow"});
}

}  // namespace manul::felix::test
