#include <catch2/catch.hpp>

#include "test/felix/verdict/situation.hpp"

// Whom selectors select: the endpoints that a policy covers, and the peers and ports that its rules name.
namespace manul::felix::test {

namespace {

/// A namespaced policy that lets these sources reach the web pods of red.
std::string namespaced(const std::string& source) {
    return np("red", "p",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {" + source + "}}]");
}
/// The same as a global policy.
std::string global(const std::string& source) {
    return gnp("p",
               "namespaceSelector: projectcalico.org/name == 'red', selector: app == 'web', types: [Ingress],"
               " ingress: [{action: Allow, source: {" +
                   source + "}}]");
}

}  // namespace

TEST_CASE_METHOD(Situation, "a global policy covers the pods that all of its selectors select") {
    const std::string rest = "types: [Ingress]";
    SECTION("labels") {
        apply({gnp("p", "selector: \"app in {'web', 'api'} && !has(zone)\", " + rest)});
        expect({"o2 > rw tcp 1 deny", "o2 > gw,ga,rd,bd,bx tcp 1 allow"});
    }
    SECTION("namespaces") {
        apply({gnp("p", "namespaceSelector: env == 'prod', " + rest)});
        expect({"o2 > rw,rd,gw,ga tcp 1 deny", "o2 > bd,bx tcp 1 allow"});
    }
    SECTION("a namespace by its name") {
        apply({gnp("p", "namespaceSelector: projectcalico.org/name == 'blue', " + rest)});
        expect({"o2 > bd,bx tcp 1 deny", "o2 > rw,gw tcp 1 allow"});
    }
    SECTION("service accounts, by labels and by name") {
        apply({gnp("p", "serviceAccountSelector: role == 'front', " + rest)});
        expect({"o2 > rw tcp 1 deny", "o2 > rd,ga,gw,bx tcp 1 allow"});
        apply({gnp("p", "serviceAccountSelector: projectcalico.org/name == 'front', " + rest)});
        expect({"o2 > rw,ga tcp 1 deny", "o2 > rd,gw tcp 1 allow"});
        apply({gnp("p", "serviceAccountSelector: all(), " + rest)});
        expect({"o2 > rw,ga,rd,bx tcp 1 deny"});
    }
    SECTION("all of them together") {
        apply({gnp(
            "p",
            "serviceAccountSelector: has(role), namespaceSelector: team != 'green', selector: app == 'web', " + rest)});
        expect({"o2 > rw tcp 1 deny", "o2 > rd,ga,gw,bd tcp 1 allow"});
    }
}

TEST_CASE_METHOD(Situation, "a namespaced policy covers pods of its namespace alone") {
    apply({np("green", "p", "types: [Ingress]")});
    expect({"o2 > gw,ga tcp 1 deny", "o2 > rw,bd tcp 1 allow"});
    apply({np("green", "p", "selector: zone == 'a', types: [Ingress]"),
           np("red", "q", "serviceAccountSelector: role == 'back', types: [Egress]")});
    expect({"o2 > gw tcp 1 deny", "o2 > ga tcp 1 allow", "rd > o2 tcp 1 deny", "rw > o2 tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "a peer without criteria is anybody, inside and outside the cluster") {
    only({namespaced("")});
    expect({"rd,gw,bx,rr,o1,o2,oh > rw tcp 1 allow"});
    only({global("")});
    expect({"rd,gw,bx,rr,o1,o2,oh > rw tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "a selector in a namespaced policy means what is in the namespace") {
    only({namespaced("selector: has(app)")});
    expect({"rd,rr > rw tcp 1 allow", "gw,bd,o1,o2,o3,oh > rw tcp 1 deny"});
    only({namespaced("selector: kind == 'supplier'")});
    expect({"o3 > rw tcp 1 allow", "rd,o1 > rw tcp 1 deny"});
    only({namespaced("selector: kind == 'partner' || role == 'router'")});
    expect({"o1,oh > rw tcp 1 deny"});
    only({namespaced("selector: all()")});
    expect({"rd,rr,o3 > rw tcp 1 allow", "gw,bx,o1,o2,oh > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "a namespace selector in a namespaced policy reaches into other namespaces") {
    only({namespaced("namespaceSelector: env == 'prod'")});
    expect({"rd,rr,gw,ga,o3 > rw tcp 1 allow", "bd,bx,o1,o2,oh > rw tcp 1 deny"});
    only({namespaced("namespaceSelector: env == 'prod', selector: app == 'web'")});
    expect({"rr,gw > rw tcp 1 allow", "rd,ga,bd,o3 > rw tcp 1 deny"});
    only({namespaced("namespaceSelector: all()")});
    expect({"rd,gw,bx,rr,o3 > rw tcp 1 allow", "o1,o2,oh > rw tcp 1 deny"});
    only({namespaced("namespaceSelector: all(), selector: app == 'db'")});
    expect({"rd,bd > rw tcp 1 allow", "gw,bx,o1 > rw tcp 1 deny"});
    only({namespaced("namespaceSelector: team != 'green'")});
    expect({"rd,bd,bx,o3 > rw tcp 1 allow", "gw,ga > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "global() means what has no namespace: global sets and hosts") {
    only({namespaced("namespaceSelector: global(), selector: kind == 'partner'")});
    expect({"o1 > rw tcp 1 allow", "o2,o3,oh,rd > rw tcp 1 deny"});
    only({namespaced("namespaceSelector: global(), selector: role == 'router'")});
    expect({"oh > rw tcp 1 allow", "o1,rd > rw tcp 1 deny"});
    only({namespaced("namespaceSelector: global()")});
    expect({"o1,oh > rw tcp 1 allow", "o2,o3,rd,gw > rw tcp 1 deny"});
    only({global("namespaceSelector: global(), selector: '!has(role)'")});
    expect({"o1 > rw tcp 1 allow", "oh,o2,o3,bx > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation,
                 "notSelector alone: in a namespaced policy the rest of the namespace, in a global the world") {
    only({namespaced("notSelector: app == 'db'")});
    expect({"rr,o3 > rw tcp 1 allow", "rd,gw,bx,o1,o2,oh > rw tcp 1 deny"});
    only({global("notSelector: app == 'db'")});
    expect({"rr,gw,bx,o1,o2,o3,oh > rw tcp 1 allow", "rd,bd > rw tcp 1 deny"});
    only({global("notSelector: kind == 'partner'")});
    expect({"o2,o3,rd > rw tcp 1 allow", "o1 > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "notSelector beside others takes away from what they select") {
    only({namespaced("namespaceSelector: all(), notSelector: app == 'db'")});
    expect({"rr,gw,bx,o3 > rw tcp 1 allow", "rd,bd,o1,o2 > rw tcp 1 deny"});
    only({global("selector: has(app), notSelector: has(zone)")});
    expect({"rd,rr,bd > rw tcp 1 allow", "gw,ga,bx,o2 > rw tcp 1 deny"});
    only({global("namespaceSelector: env == 'prod', notSelector: app == 'web' || has(kind)")});
    expect({"rd,ga > rw tcp 1 allow", "rr,gw,o3,bd,o2 > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "a selector in a global policy means everything that has the labels") {
    only({global("selector: app == 'db'")});
    expect({"rd,bd > rw tcp 1 allow", "gw,bx,o1 > rw tcp 1 deny"});
    only({global("selector: has(kind)")});
    expect({"o1,o3 > rw tcp 1 allow", "o2,oh,rd > rw tcp 1 deny"});
    only({global("selector: role == 'router'")});
    expect({"oh > rw tcp 1 allow", "o1 > rw tcp 1 deny"});
    only({global("selector: all()")});
    expect({"rd,bx,rr,o1,o3,oh > rw tcp 1 allow", "o2 > rw tcp 1 deny"});
    only({global("selector: projectcalico.org/namespace == 'green'")});
    expect({"gw,ga > rw tcp 1 allow", "rd,bx,o1 > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "operators on labels that are not there") {
    only({global("selector: app != 'web'")});
    expect({"rd,ga,bx,o1,o3,oh > rw tcp 1 allow", "rr,gw,o2 > rw tcp 1 deny"});
    only({global("selector: \"app not in {'web', 'api'}\"")});
    expect({"rd,bd,bx,o1 > rw tcp 1 allow", "rr,gw,ga,o2 > rw tcp 1 deny"});
    only({global("selector: \"app not in {}\"")});
    expect({"rd,bx,o1 > rw tcp 1 allow", "o2 > rw tcp 1 deny"});
    only({global("selector: \"app in {}\"")});
    expect({"rd,bx,o1 > rw tcp 1 deny"});
    only({global("selector: \"app contains 'b' && app starts with 'w' || zone ends with 'b'\"")});
    expect({"gw,rr,ga > rw tcp 1 allow", "rd,bx > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "service accounts as peers, by name and by labels") {
    only({namespaced("serviceAccounts: {names: [back, other]}")});
    expect({"rd > rw tcp 1 allow", "rr,gw,o1,o2 > rw tcp 1 deny"});
    only({namespaced("serviceAccounts: {names: [front]}")});
    expect({"rr > rw tcp 1 allow", "ga,rd > rw tcp 1 deny"});
    only({global("serviceAccounts: {names: [front]}")});
    expect({"rr,ga > rw tcp 1 allow", "rd,gw,o1 > rw tcp 1 deny"});
    only({global("serviceAccounts: {names: [front], selector: role == 'api'}")});
    expect({"ga > rw tcp 1 allow", "rr,rd > rw tcp 1 deny"});
    only({global("serviceAccounts: {selector: has(role)}, selector: app != 'db'")});
    expect({"ga,rr > rw tcp 1 allow", "rd,gw,bx > rw tcp 1 deny"});
    only({global("serviceAccounts: {}")});
    expect({"rd,gw,bx,rr > rw tcp 1 allow", "o1,o2,o3,oh > rw tcp 1 deny"});
    only({namespaced("namespaceSelector: team == 'green', serviceAccounts: {selector: role == 'api'}")});
    expect({"ga > rw tcp 1 allow", "rr,rd,gw > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "selectors of the destination work like those of the source") {
    apply({np("red", "p",
              "selector: app == 'web', types: [Egress], egress: [{action: Allow, destination:"
              " {namespaceSelector: team == 'green', selector: has(zone), notSelector: zone == 'b'}},"
              " {action: Allow, destination: {selector: kind == 'supplier'}}]")});
    expect({"rw > gw,o3 tcp 1 allow", "rw > ga,rd,rr,o1,o2 tcp 1 deny"});
    apply({gnp("q",
               "order: 1, selector: app == 'web', types: [Egress], egress: [{action: Deny, source: {selector:"
               " has(zone)}, destination: {notSelector: has(app)}}, {action: Pass}]")});
    expect({"rw > o1,o3,bx tcp 1 allow", "gw > rd,bd tcp 1 allow", "gw > bx,o1,o2 tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "nets and a selector of one peer must both hold") {
    only({global("selector: has(kind), nets: [192.0.2.0/24, 198.51.0.0/16, 10.0.0.0/8]")});
    expect({"o1,o3 > rw tcp 1 v4 allow", "o2,rd > rw tcp 1 v4 deny", "o1,o3 > rw tcp 1 v6 deny"});
    only({global("selector: has(app), notNets: [10.65.0.2/32]")});
    expect({"gw,bd > rw tcp 1 v4 allow", "rd,o1 > rw tcp 1 v4 deny", "gw > rw tcp 1 v6 deny"});
}

TEST_CASE_METHOD(Situation, "sets of any size, overlapping ones and whole families") {
    const auto set = [](const std::string& name, const std::string& nets) {
        return object("GlobalNetworkSet", "name: " + name + ", labels: {many: 'yes'}", "spec: {nets: [" + nets + "]}");
    };
    only({global("selector: many == 'yes'"), set("s", "192.0.2.0/24, 192.0.2.0/25, 192.0.2.10/32, '2001:db8::/32'"),
          set("t", "192.0.2.0/28, 192.0.2.128/25, '2001:db8:1::10/128'")});
    expect({"o1,o2 > rw tcp 1 allow", "o3,oh > rw tcp 1 v4 deny", "o3,oh > rw tcp 1 v6 allow"});
    remove({"GlobalNetworkSet/s"});
    expect({"o1,o2 > rw tcp 1 v4 allow", "o1 > rw tcp 1 v6 allow", "o2,o3 > rw tcp 1 v6 deny"});
    apply({set("t", "192.0.2.200/32")});
    expect({"o1 > rw tcp 1 deny", "o2 > rw tcp 1 v4 allow", "o2 > rw tcp 1 v6 deny"});
    apply({set("t", "0.0.0.0/0")});
    expect({"o1,rd,oh > rw tcp 1 v4 allow", "o1,rd,oh > rw tcp 1 v6 deny"});
    apply({set("u", "'::/0', 'fd65::/64'")});
    expect({"o1,rd,oh > rw tcp 1 allow"});
    remove({"GlobalNetworkSet/t"});
    expect({"o1,rd,oh > rw tcp 1 v4 deny", "o1,rd,oh > rw tcp 1 v6 allow"});
    apply({object("GlobalNetworkSet", "name: u, labels: {many: 'no'}", "spec: {nets: ['::/0']}")});
    expect({"o1,rd > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "an address that several objects carry stays until the last of them goes") {
    const auto set = [](const std::string& name) {
        return object("GlobalNetworkSet", "name: " + name + ", labels: {twice: 'yes'}",
                      "spec: {nets: [192.0.2.200/32, 192.0.2.200/32, '2001:db8:2::/64']}");
    };
    only({global("selector: twice == 'yes'"), set("s"), set("t")});
    expect({"o2 > rw tcp 1 allow", "o1 > rw tcp 1 deny"});
    remove({"GlobalNetworkSet/s"});
    expect({"o2 > rw tcp 1 allow"});
    remove({"GlobalNetworkSet/t"});
    expect({"o2 > rw tcp 1 deny"});
}

// --- named ports ----------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(Situation, "a named port is the number that each pod gives it, in the rule's protocol") {
    const std::string everybody = "namespaceSelector: all(), types: [Ingress], ingress: ";
    apply({gnp("p", everybody + "[{action: Allow, protocol: TCP, destination: {ports: [http]}}]")});
    expect({"o2 > rw tcp 8080 allow", "o2 > rd,bd tcp 80 allow", "o2 > gw tcp 8888 allow", "o2 > rw,ga,bx tcp 80 deny",
            "o2 > rd,gw tcp 8080 deny", "o2 > ga udp 80 deny", "o2 > rd udp 80 deny", "o2 > rd ping deny"});
    apply({gnp("p", everybody + "[{action: Allow, protocol: UDP, destination: {ports: [http, dns]}}]")});
    expect({"o2 > ga udp 80 allow", "o2 > rd udp 53 allow", "o2 > bd udp 5353 allow", "o2 > rd udp 80 deny",
            "o2 > bd udp 53 deny", "o2 > rd tcp 53 deny"});
    apply({gnp("p", everybody + "[{action: Allow, protocol: 132, destination: {ports: [signal]}}]")});
    expect({"o2 > rd sctp 5060 allow", "o2 > rd sctp 5061 deny", "o2 > rd tcp 5060 deny"});
    apply({gnp("p", everybody + "[{action: Allow, destination: {ports: [http]}}]")});
    expect({"o2 > rw tcp 8080 allow", "o2 > ga udp 80 allow", "o2 > ga tcp 80 deny", "o2 > rd ping deny",
            "o2 > rd proto 99 deny"});
    apply(
        {gnp("p", everybody + "[{action: Allow, protocol: TCP, destination: {ports: [http, '90:99', metrics, no]}}]")});
    expect({"o2 > rw tcp 8080 allow", "o2 > rw,rd tcp 95 allow", "o2 > ga tcp 9100 allow", "o2 > rd tcp 9100 deny",
            "o2 > bx tcp 90 allow", "o2 > bx tcp 80 deny"});
    apply({gnp("p", everybody + "[{action: Allow, protocol: TCP, notProtocol: UDP, destination: {ports: [absent]}}]")});
    expect({"o2 > rw tcp 8080 deny"});
}

TEST_CASE_METHOD(Situation, "named ports of an egress rule are those of the peers that the rule selects") {
    apply({np("red", "p",
              "selector: app == 'web', types: [Egress], egress: [{action: Allow, protocol: TCP,"
              " destination: {selector: app == 'db', ports: [http]}}]")});
    expect({"rw > rd tcp 80 allow", "rw > bd tcp 80 deny", "rw > rr tcp 8080 deny", "rw > rd tcp 8080 deny"});
    apply({np("red", "p",
              "selector: app == 'web', types: [Egress], egress: [{action: Allow, protocol: TCP,"
              " destination: {namespaceSelector: all(), selector: has(app), ports: [http, 25]}}]")});
    expect({"rw > rd,bd tcp 80 allow", "rw > gw tcp 8888 allow", "rw > rr tcp 8080 allow", "rw > gw,ga tcp 25 allow",
            "rw > bx,o1 tcp 25 deny", "rw > ga tcp 80 deny"});
    apply({np("red", "p",
              "selector: app == 'web', types: [Egress], egress: [{action: Allow, protocol: TCP,"
              " destination: {notSelector: app == 'db', ports: [http]}}]")});
    expect({"rw > rr tcp 8080 allow", "rw > rd tcp 80 deny", "rw > gw tcp 8888 deny"});
    apply({gnp("p",
               "order: 1, selector: app == 'web', types: [Egress], egress: [{action: Deny, protocol: TCP,"
               " destination: {notSelector: app == 'db', ports: [http]}}, {action: Allow}]")});
    expect({"rw > rr tcp 8080 deny", "rw > rd,bd tcp 80 allow", "rw > gw tcp 8888 deny", "rw > gw tcp 80 allow",
            "rw > o1 tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "named ports of the source are looked up with the source's address and port") {
    apply({gnp("p",
               "namespaceSelector: all(), types: [Ingress], ingress: [{action: Allow, protocol: TCP,"
               " source: {ports: [http]}}]")});
    expect({"rd > rw tcp 1 from 80 allow", "rd > rw tcp 80 from 8080 deny", "rw > rd tcp 1 from 8080 allow",
            "o1 > rw tcp 1 from 80 deny", "rr > bx tcp 1 from 8080 allow"});
}

TEST_CASE_METHOD(Situation, "named ports in notPorts exclude those numbers") {
    const std::string everybody = "namespaceSelector: all(), types: [Ingress], ingress: ";
    apply({gnp("p", everybody + "[{action: Allow, protocol: TCP, destination: {notPorts: [http, 7]}}]")});
    expect({"o2 > rw tcp 80 allow", "o2 > rw tcp 8080 deny", "o2 > rd tcp 80 deny", "o2 > rd tcp 8080 allow",
            "o2 > rd tcp 7 deny", "o2 > bx tcp 80 allow", "o2 > rd udp 53 deny"});
    apply({gnp("p", everybody + "[{action: Allow, protocol: TCP, destination: {ports: ['1:100'], selector: app == 'db',"
                                " notPorts: [http]}}]")});
    expect({"o2 > rd,bd tcp 79 allow", "o2 > rd,bd tcp 80 deny", "o2 > rw tcp 79 deny", "o2 > rd tcp 101 deny"});
}

TEST_CASE_METHOD(Situation, "named ports in notPorts without a protocol let pass what has no ports") {
    apply({gnp("p",
               "namespaceSelector: all(), types: [Ingress], ingress: [{action: Allow, destination:"
               " {notPorts: [http]}}]")});
    expect({"o2 > rw tcp 80 allow", "o2 > rw tcp 8080 deny", "o2 > rw udp 8080 allow", "o2 > ga udp 80 deny",
            "o2 > ga tcp 80 allow", "o2 > rw ping allow", "o2 > rw proto 99 allow", "o2 > rw proto 99 bare allow"});
    apply({gnp("p",
               "namespaceSelector: all(), types: [Ingress], ingress: [{action: Deny, source:"
               " {notPorts: [http]}}, {action: Allow}]")});
    expect({"rw > rd tcp 80 from 8080 allow", "rw > rd tcp 80 from 80 deny", "rw > rd ping deny",
            "rw > rd proto 99 bare deny"});
}

}  // namespace manul::felix::test
