#include <catch2/catch.hpp>

#include "test/felix/verdict/situation.hpp"

// NetworkPolicy of Kubernetes, as its own documentation describes it.
namespace manul::felix::test {

namespace {

/// A policy over the web pods of red with these ingress rules.
std::string to_web(const std::string& rules) {
    return knp("red", "p", "podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [" + rules + "]");
}
/// The same for egress.
std::string from_web(const std::string& rules) {
    return knp("red", "p", "podSelector: {matchLabels: {app: web}}, policyTypes: [Egress], egress: [" + rules + "]");
}

}  // namespace

TEST_CASE_METHOD(Situation, "an empty pod selector is every pod of the namespace, and no types mean ingress") {
    apply({knp("red", "p", "podSelector: {}")});
    expect({"o2,gw > rw,rd tcp 1 deny", "rw > rd tcp 1 deny", "rw,rd > o2,gw tcp 1 allow", "o2 > gw tcp 1 allow"});
    apply({knp("red", "p", "podSelector: {}, egress: [{to: [{podSelector: {}}]}]")});
    expect({"o2 > rw tcp 1 deny", "rw > gw,o2 tcp 1 allow"});
    apply({knp("red", "p", "podSelector: {}, policyTypes: [Egress]")});
    expect({"o2 > rw tcp 1 allow", "rw > rd,gw,o2 tcp 1 deny"});
    apply({knp("red", "p", "podSelector: {}, policyTypes: [Ingress, Egress]")});
    expect({"o2 > rw tcp 1 deny", "rw > gw,o2 tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "rules of a direction that is not among the policy types have no effect") {
    apply({knp("red", "p", "podSelector: {}, policyTypes: [Egress], ingress: [], egress: [{}]")});
    expect({"o2 > rw tcp 1 allow", "rw > o2 tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "pod selectors take labels and expressions, all of which must hold") {
    const auto over = [](const std::string& selector) { return knp("green", "p", "podSelector: {" + selector + "}"); };
    apply({over("matchLabels: {app: web, zone: a}")});
    expect({"o2 > gw tcp 1 deny", "o2 > ga tcp 1 allow"});
    apply({over("matchLabels: {app: web, zone: b}")});
    expect({"o2 > gw,ga tcp 1 allow"});
    apply({over("matchExpressions: [{key: app, operator: In, values: [api, db]}]")});
    expect({"o2 > gw tcp 1 allow", "o2 > ga tcp 1 deny"});
    apply(
        {over("matchExpressions: [{key: app, operator: NotIn, values: [api]},"
              " {key: other, operator: NotIn, values: [x]}]")});
    expect({"o2 > gw tcp 1 deny", "o2 > ga tcp 1 allow"});
    apply({over("matchLabels: {app: web}, matchExpressions: [{key: zone, operator: Exists}]")});
    expect({"o2 > gw tcp 1 deny", "o2 > ga tcp 1 allow"});
    apply({over("matchExpressions: [{key: zone, operator: DoesNotExist}]")});
    expect({"o2 > gw,ga tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "a rule without peers allows anybody; one without ports any port") {
    apply({to_web("{}")});
    expect({"o2,gw,rd > rw tcp 1 allow", "o2 > rw ping allow", "o2 > rw proto 99 allow"});
    apply({to_web("{from: [], ports: [{port: 80}]}")});
    expect({"o2,gw,rd > rw tcp 80 allow", "o2,gw > rw tcp 81 deny", "o2 > rw udp 80 deny"});
    apply({from_web("{ports: [{protocol: UDP, port: 53}]}")});
    expect({"rw > o2,gw udp 53 allow", "rw > o2 tcp 53 deny"});
    apply({from_web("{to: [{podSelector: {}}], ports: []}")});
    expect({"rw > rd sctp 7 allow", "rw > rd ping allow", "rw > gw,o2,o3 tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "a pod selector is of the own namespace and means pods alone") {
    apply({to_web("{from: [{podSelector: {}}]}")});
    expect({"rd,rr > rw tcp 1 allow", "gw,bx,o1,o2,o3,oh > rw tcp 1 deny"});
    apply({to_web("{from: [{podSelector: {matchLabels: {app: db}}}]}")});
    expect({"rd > rw tcp 1 allow", "rr,bd,o3 > rw tcp 1 deny"});
    apply({to_web("{from: [{podSelector: {matchLabels: {kind: supplier}}}]}")});
    expect({"o3 > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "a namespace selector means all pods of those namespaces") {
    apply({to_web("{from: [{namespaceSelector: {}}]}")});
    expect({"rd,gw,bx,rr > rw tcp 1 allow", "o1,o2,o3,oh > rw tcp 1 deny"});
    apply({to_web("{from: [{namespaceSelector: {matchLabels: {env: prod}}}]}")});
    expect({"rd,gw,ga > rw tcp 1 allow", "bd,bx,o3,o1 > rw tcp 1 deny"});
    apply({to_web("{from: [{namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [red]}]}}]}")});
    expect({"gw,bx > rw tcp 1 allow", "rd,rr,o1 > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "selectors of one peer must both hold, of several peers any") {
    apply({to_web(
        "{from: [{namespaceSelector: {matchLabels: {team: green}}, podSelector: {matchLabels: {app: web}}}]}")});
    expect({"gw > rw tcp 1 allow", "ga,rr,rd > rw tcp 1 deny"});
    apply({to_web(
        "{from: [{namespaceSelector: {matchLabels: {team: green}}}, {podSelector: {matchLabels: {app: web}}}]}")});
    expect({"gw,ga,rr > rw tcp 1 allow", "rd,bd,bx > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "an ipBlock is its range without the exceptions") {
    apply({to_web("{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.0/28, 192.0.2.192/26]}}]}")});
    expect({"o1 > rw tcp 1 v4 deny", "o2 > rw tcp 1 v4 deny", "rd > rw tcp 1 deny", "o1 > rw tcp 1 v6 deny"});
    apply(
        {to_web("{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.192/26]}},"
                " {ipBlock: {cidr: '2001:db8::/32', except: ['2001:db8:1::/64']}}]}")});
    expect({"o1 > rw tcp 1 v4 allow", "o2 > rw tcp 1 v4 deny", "o2,o3 > rw tcp 1 v6 allow", "o1 > rw tcp 1 v6 deny"});
    apply({to_web("{from: [{ipBlock: {cidr: 192.0.2.10/24}}]}")});
    expect({"o1,o2 > rw tcp 1 v4 allow", "o3 > rw tcp 1 v4 deny"});
    apply({to_web("{from: [{ipBlock: {cidr: 192.0.2.0/24, except: [192.0.2.0/25, 192.0.2.128/25]}}]}")});
    expect({"o1,o2 > rw tcp 1 deny"});
    apply({to_web("{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [10.0.0.0/8]}}]}")});
    expect({"o1,o2 > rw tcp 1 v4 allow", "rd > rw tcp 1 v4 deny", "o1,rd > rw tcp 1 v6 deny"});
    apply({from_web("{to: [{ipBlock: {cidr: 10.65.0.0/24}}], ports: [{port: 80}]}")});
    expect({"rw > rd,gw tcp 80 v4 allow", "rw > o1 tcp 80 v4 deny", "rw > rr tcp 80 v4 allow", "rw > rd tcp 80 v6 deny",
            "rw > rd udp 80 deny"});
}

TEST_CASE_METHOD(Situation,
                 "ports default to TCP, end with endPort, and a protocol without a port is all of its ports") {
    apply({to_web(
        "{ports: [{port: 80}, {port: 90, endPort: 99}, {protocol: UDP, port: 53}, {protocol: SCTP, port: 7}]}")});
    expect({"o2 > rw tcp 80 allow", "o2 > rw tcp 90 allow", "o2 > rw tcp 99 allow", "o2 > rw tcp 100 deny",
            "o2 > rw tcp 53 deny", "o2 > rw udp 53 allow", "o2 > rw udp 80 deny", "o2 > rw sctp 7 allow",
            "o2 > rw sctp 80 deny", "o2 > rw ping deny"});
    apply({to_web("{ports: [{protocol: UDP}, {protocol: UDP, port: 53}, {protocol: TCP, port: 1, endPort: 65535}]}")});
    expect({"o2 > rw udp 53 allow", "o2 > rw udp 54 allow", "o2 > rw tcp 65535 allow", "o2 > rw sctp 53 deny"});
    apply({to_web("{ports: [{port: 79}, {port: 80}, {port: 81}, {port: 81, endPort: 81}]}")});
    expect({"o2 > rw tcp 79 allow", "o2 > rw tcp 81 allow", "o2 > rw tcp 82 deny", "o2 > rw tcp 78 deny"});
}

TEST_CASE_METHOD(Situation, "a port by name is the destination's") {
    apply({knp("red", "p", "podSelector: {}, ingress: [{ports: [{port: http}, {protocol: UDP, port: dns}]}]")});
    expect({"o2 > rw tcp 8080 allow", "o2 > rd tcp 80 allow", "o2 > rw tcp 80 deny", "o2 > rd udp 53 allow",
            "o2 > rd udp 80 deny", "o2 > rd tcp 53 deny"});
    apply({from_web("{to: [{namespaceSelector: {}}], ports: [{port: http}]}")});
    expect({"rw > rd,bd tcp 80 allow", "rw > gw tcp 8888 allow", "rw > gw,ga tcp 80 deny", "rw > o1 tcp 80 deny"});
    apply({from_web("{to: [{podSelector: {matchLabels: {app: db}}}], ports: [{port: http}, {port: 25}]}")});
    expect({"rw > rd tcp 80 allow", "rw > rd tcp 25 allow", "rw > bd tcp 80 deny", "rw > rr tcp 8080 deny"});
}

TEST_CASE_METHOD(Situation, "a policy that is not valid covers its pods without its rules, or as it was before") {
    const std::string wrong = to_web("{ports: [{port: 81}]}, {ports: [{port: http, endPort: 90}]}");
    SECTION("new") {
        force({wrong});
        expect({"o2 > rw tcp 81 deny", "o2 > rw tcp 80 deny", "o2 > rw tcp 8080 deny", "o2 > rd tcp 80 allow"});
        apply({to_web("{ports: [{port: 81}]}")});
        expect({"o2 > rw tcp 81 allow", "o2 > rw tcp 80 deny"});
    }
    SECTION("edited") {
        apply({to_web("{ports: [{port: 80}]}")});
        force({wrong});
        expect({"o2 > rw tcp 80 allow", "o2 > rw tcp 81 deny"});
    }
}

TEST_CASE_METHOD(Situation, "several policies over a pod allow together what any of them allows") {
    apply({to_web("{ports: [{port: 80}]}"), knp("red", "q", "podSelector: {}, ingress: [{from: [{podSelector: {}}]}]"),
           knp("red", "r", "podSelector: {matchLabels: {app: none}}, ingress: [{}]")});
    expect({"o2 > rw tcp 80 allow", "o2 > rw tcp 81 deny", "rd > rw tcp 81 allow", "o2 > rd tcp 80 deny",
            "rw > rd tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "between pods the sender's egress and the receiver's ingress must both allow") {
    apply({to_web("{from: [{podSelector: {}}]}"),
           knp("red", "out",
               "podSelector: {matchLabels: {app: db}}, policyTypes: [Egress], egress: [{ports:"
               " [{port: 80}]}]")});
    expect({"rd > rw tcp 80 allow", "rd > rw tcp 81 deny", "rd > gw tcp 80 allow", "gw > rw tcp 80 deny"});
}

}  // namespace manul::felix::test
