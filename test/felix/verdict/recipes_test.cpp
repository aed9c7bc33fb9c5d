#include <string>

#include <catch2/catch.hpp>

#include "test/felix/verdict/situation.hpp"

// What people write most: the situations of the public collection of Kubernetes network policy recipes, and the
// categories of Kubernetes' own network policy tests, in manifests of our own.
namespace manul::felix::test {

// --- recipes --------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(Situation, "recipes: an application closed, limited to some pods, and open to all") {
    only({knp("red", "deny", "podSelector: {matchLabels: {app: web}}, ingress: []")});
    expect({"rd,gw,o1 > rw tcp 80 deny", "rw > rd,o1 tcp 80 allow", "gw > rd tcp 80 allow"});
    only({knp("red", "limit",
              "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels:"
              " {app: db}}}]}]")});
    expect({"rd > rw tcp 80 allow", "bd,gw,o1 > rw tcp 80 deny"});
    only({knp("red", "deny", "podSelector: {matchLabels: {app: web}}, ingress: []"),
          knp("red", "all", "podSelector: {matchLabels: {app: web}}, ingress: [{}]")});
    expect({"rd,gw,o1 > rw tcp 80 allow", "o1 > rw udp 80 allow"});
}

TEST_CASE_METHOD(Situation, "recipes: a namespace closed by default, closed to others, open to all or to one") {
    only({knp("red", "default-deny-all", "podSelector: {}, ingress: []")});
    expect({"rd,gw,o1 > rw tcp 80 deny", "rw,gw > rd tcp 80 deny", "gw > bd tcp 80 allow"});
    only({knp("red", "deny-others", "podSelector: {matchLabels: {}}, ingress: [{from: [{podSelector: {}}]}]")});
    expect({"rd > rw tcp 80 allow", "gw,bd,o1 > rw,rd tcp 80 deny"});
    only({knp("red", "all-namespaces",
              "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector:"
              " {}}]}]")});
    expect({"rd,gw,bd > rw tcp 80 allow", "o1 > rw tcp 80 deny"});
    only({knp("red", "one",
              "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels:"
              " {env: test}}}]}]")});
    expect({"bd,bx > rw tcp 80 allow", "gw,rd,o1 > rw tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "recipes: some pods of another namespace, clients outside, one port, several selectors") {
    only({knp("red", "some",
              "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels:"
              " {team: blue}}, podSelector: {matchLabels: {app: db}}}]}]")});
    expect({"bd > rw tcp 80 allow", "bx,rd,gw,o1 > rw tcp 80 deny"});
    only({knp("red", "deny", "podSelector: {}, ingress: []"),
          knp("red", "external", "podSelector: {matchLabels: {app: web}}, ingress: [{from: []}]")});
    expect({"o1,gw,rd > rw tcp 80 allow", "o1 > rd tcp 80 deny"});
    only({knp("red", "port",
              "podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 5000}], from:"
              " [{podSelector: {matchLabels: {app: db}}}]}]")});
    expect({"rd > rw tcp 5000 allow", "rd > rw tcp 5001 deny", "rd > rw udp 5000 deny", "gw > rw tcp 5000 deny"});
    only({knp("red", "several",
              "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels:"
              " {app: db}}}, {podSelector: {matchLabels: {app: api}}}, {namespaceSelector:"
              " {matchLabels: {team: green}}, podSelector: {matchLabels: {app: api}}}]}]")});
    expect({"rd,ga > rw tcp 80 allow", "gw,bd,o1 > rw tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "recipes: egress closed, with DNS left, of a namespace, to one port, and to the outside") {
    only({knp("red", "deny", "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: []")});
    expect({"rw > rd,gw,o1 tcp 80 deny", "rw > o1 udp 53 deny", "o1,rd > rw tcp 80 allow"});
    only({knp("red", "dns",
              "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports: [{port: 53,"
              " protocol: UDP}, {port: 53, protocol: TCP}]}]")});
    expect({"rw > o1,gw udp 53 allow", "rw > o1,gw tcp 53 allow", "rw > o1 tcp 80 deny", "rw > o1 sctp 53 deny"});
    only({knp("red", "closed", "podSelector: {}, policyTypes: [Egress]")});
    expect({"rw,rd > o1,gw tcp 80 deny", "gw > rw tcp 80 allow"});
    only({knp("red", "to-port",
              "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{to:"
              " [{namespaceSelector: {matchLabels: {team: green}}, podSelector: {matchLabels: {app:"
              " api}}}], ports: [{port: 8080}]}]")});
    expect({"rw > ga tcp 8080 allow", "rw > ga tcp 80 deny", "rw > gw tcp 8080 deny"});
    only({knp("red", "no-outside",
              "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [{ports:"
              " [{port: 53, protocol: UDP}]}, {to: [{namespaceSelector: {}}]}]")});
    expect({"rw > rd,gw,bd tcp 80 allow", "rw > o1 tcp 80 deny", "rw > o1 udp 53 allow"});
}

// --- categories of Kubernetes' tests --------------------------------------------------------------------------------

TEST_CASE_METHOD(Situation, "kubernetes: expressions over namespaces and pods, by every operator") {
    only({knp("red", "p",
              "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector:"
              " {matchExpressions: [{key: team, operator: In, values: [green]}]}}, {namespaceSelector:"
              " {matchExpressions: [{key: kubernetes.io/metadata.name, operator: NotIn, values: [red,"
              " green]}]}, podSelector: {matchExpressions: [{key: app, operator: Exists}]}},"
              " {podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}]}]")});
    expect({"gw,ga,bd,rd > rw tcp 80 allow", "bx,o1 > rw tcp 80 deny"});
    only({knp("red", "p",
              "podSelector: {matchExpressions: [{key: app, operator: In, values: [web, api]}]}, ingress:"
              " [{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchExpressions:"
              " [{key: app, operator: DoesNotExist}]}}]}]")});
    expect({"bx > rw tcp 80 allow", "bd > rw tcp 80 deny", "bd > rd tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "kubernetes: policies stack, change and go, and so do labels of pods and namespaces") {
    const std::string select = "podSelector: {matchLabels: {app: web}}, ";
    apply({knp("red", "a", select + "ingress: [{ports: [{port: 80}]}]")});
    expect({"gw > rw tcp 80 allow", "gw > rw tcp 81 deny"});
    apply({knp("red", "b", select + "ingress: [{ports: [{port: 81}]}]")});
    expect({"gw > rw tcp 80 allow", "gw > rw tcp 81 allow", "gw > rw tcp 82 deny"});
    apply({knp("red", "a", select + "ingress: [{ports: [{port: 82}]}]")});
    expect({"gw > rw tcp 80 deny", "gw > rw tcp 81 allow", "gw > rw tcp 82 allow"});
    apply({knp("red", "c", "podSelector: {}, ingress: [{}]")});
    expect({"gw > rw tcp 80 allow"});
    remove({"NetworkPolicy/red/a", "NetworkPolicy/red/b", "NetworkPolicy/red/c"});
    expect({"gw > rw udp 80 allow"});
    apply({knp("red", "a",
               select + "ingress: [{from: [{namespaceSelector: {matchLabels: {team: green}}, podSelector:"
                        " {matchLabels: {app: api}}}]}]")});
    expect({"ga > rw tcp 80 allow", "gw,bx > rw tcp 80 deny"});
    change_pod("gw", [](model::WorkloadEndpoint& e) { e.metadata.labels["app"] = "api"; });
    apply({object("Namespace", "name: blue, labels: {team: green}", "")});
    change_pod("bx", [](model::WorkloadEndpoint& e) { e.metadata.labels["app"] = "api"; });
    expect({"ga,gw,bx > rw tcp 80 allow", "bd > rw tcp 80 deny"});
    change_pod("rw", [](model::WorkloadEndpoint& e) { e.metadata.labels["app"] = "other"; });
    expect({"bd > rw tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "kubernetes: ports by number, range and name, in every protocol, both ways") {
    only({knp("red", "p",
              "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress], ingress: [{ports:"
              " [{port: http}, {port: 90, endPort: 95, protocol: UDP}, {protocol: SCTP}]}], egress:"
              " [{ports: [{port: 1, endPort: 65535}]}, {ports: [{port: dns, protocol: UDP}]}]")});
    expect({"gw > rw tcp 8080 allow", "gw > rw tcp 80 deny", "gw > rw udp 90 allow", "gw > rw udp 95 allow",
            "gw > rw udp 96 deny", "gw > rw sctp 1 allow", "gw > rw ping deny", "rw > o1,gw tcp 65535 allow",
            "rw > rd udp 53 allow", "rw > bd udp 5353 allow", "rw > bd udp 53 deny", "rw > o1 udp 53 deny",
            "rw > gw sctp 1 deny"});
}

TEST_CASE_METHOD(Situation, "kubernetes: ingress and egress of one policy and of two, and address ranges with holes") {
    only({knp("red", "p",
              "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress], ingress: [{from:"
              " [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.0/25]}}]}], egress: [{to: [{ipBlock:"
              " {cidr: 10.65.0.0/24, except: [10.65.0.2/32, 10.65.0.4/32]}}]}]")});
    expect({"o2 > rw tcp 80 v4 allow", "o1 > rw tcp 80 v4 deny", "o2 > rw tcp 80 v6 deny", "rw > gw,bd tcp 80 v4 allow",
            "rw > rd,ga tcp 80 v4 deny", "rw > gw tcp 80 v6 deny", "gw > rw tcp 80 v4 deny"});
    // An exception in one policy may be allowed by another.
    apply({knp("red", "q",
               "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr:"
               " 192.0.2.10/32}}]}]")});
    expect({"o1 > rw tcp 80 v4 allow", "o2 > rw tcp 80 v4 allow"});
    only({knp("red", "all-but-all",
              "podSelector: {matchLabels: {app: web}}, ingress: [{from: [{ipBlock: {cidr:"
              " 192.0.2.0/24, except: [192.0.2.0/25, 192.0.2.128/25]}}]}]")});
    expect({"o1,o2 > rw tcp 80 deny"});
}

// --- corner cases that stand between the other tests ----------------------------------------------------------------

TEST_CASE_METHOD(Situation, "policies of a tier that does not exist deny at its end, behind all tiers that do") {
    force({gnp("lost",
               "tier: nowhere, selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol:"
               " UDP}]")});
    expect({"o1 > rw udp 80 allow", "o1 > rw tcp 80 deny", "rw > o1 tcp 80 allow"});
    apply({np("red", "first",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP},"
              " {action: Pass}]")});
    expect({"o1 > rw tcp 80 allow", "o1 > rw udp 80 allow", "o1 > rw sctp 80 deny"});
    apply({tier_of("nowhere", "order: 5, defaultAction: Pass")});
    expect({"o1 > rw udp 80 allow", "o1 > rw tcp 80 allow", "o1 > gw tcp 80 allow"});
}

}  // namespace manul::felix::test
