#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/felix/verdict/situation.hpp"

// One policy, written in the many ways that the language has: spelling of selectors, fields that are there and say
// nothing, names that several objects share.
namespace manul::felix::test {

namespace {

/// What may reach the web pods of red; `selector` is YAML.
std::string from(const std::string& selector) {
    return gnp("p",
               "namespaceSelector: projectcalico.org/name == 'red', selector: app == 'web', types: [Ingress],"
               " ingress: [{action: Allow, source: {selector: " +
                   selector + "}}]");
}

}  // namespace

TEST_CASE_METHOD(Situation, "selectors may be spaced, quoted, nested and negated in many ways") {
    const auto label = [](model::WorkloadEndpoint& e) {
        e.metadata.labels["example.com/my.role_x"] = "A-b.c";
        e.metadata.labels["in"] = "x";
        e.metadata.labels["contains"] = "y";
        e.metadata.labels["not"] = "z";
        e.metadata.labels["has"] = "";
    };
    const std::vector<std::string> those_of_rd{
        R"~('example.com/my.role_x=="A-b.c"')~",
        R"~("\t  example.com/my.role_x \t==\t 'A-b.c' ")~",
        R"~("has(\texample.com/my.role_x )")~",
        R"~('! ( ! ( has(example.com/my.role_x) ) )')~",
        R"~('!!has(example.com/my.role_x)')~",
        R"~("in in {'x'}")~",
        R"~("in in{'q',\"x\",}")~",
        R"~("in == 'x' && contains contains 'y'")~",
        R"~("has(not) && not not in {'q'} && not notin{}")~",
        R"~("has == ''")~",
        R"~("example.com/my.role_x starts with 'A-' && in startswith ''")~",
        R"~("example.com/my.role_x ends  with 'c' && in endswith 'x'")~",
        R"~("example.com/my.role_x contains '-b.'")~",
        R"~("(app == 'db' && (in == \"x\" || in == 'other')) && !(app == 'web')")~",
        R"~("app == 'web' && app == 'db' || in == 'x'")~",
        R"~("all( ) && in == 'x'")~",
        R"~("!(app == 'web' || in != 'x')")~",
        R"~("in != 'y' && has(in)")~",
    };
    for (const std::string& selector : those_of_rd) {
        INFO(selector);
        only({from(selector)});
        change_pod("rd", label);
        expect({"rd > rw tcp 1 allow", "gw,bx,o1,o2 > rw tcp 1 deny"});
    }
    for (const char* selector :
         {R"~("in in {}")~", R"~("app == 'DB'")~", R"~("app contains 'Db'")~", "has(In)", "'!all()'", "'! (all())'",
          R"~("app == 'db' && !has(app)")~", R"~("!(app != 'none')")~"}) {
        INFO(selector);
        only({from(selector)});
        expect({"rd,gw,bx,o1 > rw tcp 1 deny", "o1 > gw tcp 1 allow"});
    }
}

TEST_CASE_METHOD(Situation, "all() over namespaces means having one, wherever it stands in the expression") {
    const std::string host =
        object("HostEndpoint", "name: up, labels: {role: gate}",
               "spec: {node: node1, interfaceName: uplink, profiles: [projectcalico-default-allow]}");
    const auto over = [&](const std::string& selectors) { only({host, gnp("p", selectors + ", types: [Ingress]")}); };
    over("namespaceSelector: '!all()'");
    expect({"o1 > node tcp 80 deny", "o1 > rw,bx tcp 80 allow"});
    over("namespaceSelector: all() || has(none)");
    expect({"o1 > node tcp 80 allow", "o1 > rw,bx tcp 80 deny"});
    over("namespaceSelector: \"all() && team != 'red'\"");
    expect({"o1 > node tcp 80 allow", "o1 > rw tcp 80 allow", "o1 > gw,bx tcp 80 deny"});
    over("namespaceSelector: \"team != 'red'\"");
    expect({"o1 > node tcp 80 deny", "o1 > rw tcp 80 allow", "o1 > gw,bx tcp 80 deny"});
    over("serviceAccountSelector: '!all()'");
    expect({"o1 > node tcp 80 deny", "o1 > rw,bx tcp 80 allow"});
    const auto source = [](const std::string& selector) {
        return np("red", "p",
                  "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {" + selector + "}}]");
    };
    only({source("namespaceSelector: '!all()'")});
    expect({"o1,oh > rw tcp 1 allow", "o2,o3,rd,gw > rw tcp 1 deny"});
    only({source("namespaceSelector: all() || has(none)")});
    expect({"rd,gw,o3 > rw tcp 1 allow", "o1,oh,o2 > rw tcp 1 deny"});
    only({source("namespaceSelector: all( )")});
    expect({"rd,gw,o3 > rw tcp 1 allow", "o1,oh,o2 > rw tcp 1 deny"});
    only({source("namespaceSelector: global( )")});
    expect({"o1,oh > rw tcp 1 allow", "o2,o3,rd,gw > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "fields that are empty or null say nothing") {
    apply(
        {np("red", "p",
            "tier: null, order: null, selector: app == 'web', types: [], serviceAccountSelector: '', egress: [],"
            " performanceHints: [AssumeNeededOnEveryNode], ingress: [{action: Allow, protocol: TCP, http: null,"
            " ipVersion: null, notProtocol: null, metadata: {annotations: {why: so}}, source: {nets: [], notNets:"
            " [], selector: '', notSelector: '', namespaceSelector: '', ports: [], notPorts: [], services: null,"
            " serviceAccounts: null}, destination: {ports: [80], notPorts: []}}, {action: Allow, protocol: ICMP,"
            " icmp: {}, source: null, destination: {}}, {action: Allow, protocol: ICMPv6, icmp: null, notICMP: {}}]")});
    expect({"o1,rd > rw tcp 80 allow", "o1,rd > rw tcp 81 deny", "rw > o1,rd tcp 1 allow", "o1 > rw ping allow",
            "o1 > rw udp 80 deny"});
    apply({np("red", "p", "types: null, ingress: null, egress: null, selector: null")});
    expect({"o1 > rw,rd tcp 80 deny", "rw > o1 tcp 1 allow"});
    site_.reset();
    apply(
        {"---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {namespace: red, name: p,"
         " creationTimestamp: null, managedFields: [{manager: kubectl}], selfLink: ''}\nspec: {podSelector: null,"
         " policyTypes: [Ingress], ingress: [{from: null, ports: null}], egress: null}\nstatus: {}\n"});
    expect({"o1 > rw,rd tcp 80 allow", "rw > o1 tcp 1 allow"});
    apply({knp("red", "p", "podSelector: {matchLabels: null, matchExpressions: []}, policyTypes: [], ingress: []")});
    expect({"o1 > rw,rd tcp 80 deny", "rw > o1 tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "policies may share a name: of other namespaces, kinds and scopes") {
    apply({gnp("p",
               "order: 1, namespaceSelector: all(), types: [Ingress], ingress: [{action: Deny, protocol: UDP},"
               " {action: Allow, protocol: TCP, destination: {ports: [9]}}]"),
           knp("red", "p", "podSelector: {}, ingress: [{ports: [{port: 1}]}]"),
           np("red", "p",
              "types: [Ingress], ingress: [{action: Allow, protocol: TCP, destination: {ports: [2]}}, {action: Allow,"
              " protocol: UDP}]"),
           np("green", "p", "types: [Ingress], ingress: [{action: Allow, protocol: TCP, destination: {ports: [3]}}]"),
           object("StagedNetworkPolicy", "namespace: green, name: p", "spec: {types: [Egress]}"),
           object("NetworkSet", "namespace: green, name: p", "spec: {nets: [192.0.2.10]}")});
    expect({"o1 > rw,rd tcp 1 allow", "o1 > rw tcp 2 allow", "o1 > rw tcp 3 deny", "o1 > gw tcp 3 allow",
            "o1 > gw tcp 1 deny", "o1 > gw tcp 2 deny", "o1 > rw,gw,bd udp 1 deny", "o1 > rw,gw,bd tcp 9 allow",
            "o1 > bd tcp 1 deny", "gw > o1 udp 1 allow"});
    remove({"GlobalNetworkPolicy/p"});
    expect({"o1 > rw udp 1 allow", "o1 > gw udp 1 deny", "o1 > bd udp 1 allow", "o1 > rw tcp 9 deny"});
}

TEST_CASE_METHOD(Situation, "a name with a tier's prefix is a name like others") {
    const auto policy = [](const std::string& name, const std::string& tier, const std::string& action) {
        return gnp(name,
                   "tier: " + tier + ", selector: app == 'web', types: [Ingress], ingress: [{action: " + action + "}]");
    };
    apply({policy("default.web", "default", "Allow"), policy("web", "default", "Deny")});
    expect({"o1 > rw tcp 1 allow"});
    apply({policy("default.web", "default", "Deny"), policy("a", "default", "Allow")});
    expect({"o1 > rw tcp 1 allow"});
    apply(
        {tier_of("security", "order: 1"), policy("web", "security", "Deny"), policy("security.x", "default", "Allow")});
    expect({"o1 > rw tcp 1 deny"});
    apply({policy("default.web", "security", "Allow")});
    expect({"o1 > rw tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "orders may be fractions, negative, zero, and written as any number") {
    const auto policy = [](const std::string& name, const std::string& order, const std::string& action) {
        return gnp(name, order + "selector: app == 'web', types: [Egress], egress: [{action: " + action + "}]");
    };
    apply({policy("z", "order: -0.5, ", "Allow"), policy("a", "order: 0, ", "Deny"), policy("b", "", "Deny")});
    expect({"rw > o1 tcp 1 allow"});
    apply({policy("z", "order: 1e3, ", "Allow"), policy("a", "order: 1000.25, ", "Deny")});
    expect({"rw > o1 tcp 1 allow"});
    apply({policy("z", "order: 1000000000000, ", "Allow"), policy("a", "", "Deny")});
    expect({"rw > o1 tcp 1 allow"});
    apply({policy("y", "order: 1000000000000.0, ", "Deny")});
    expect({"rw > o1 tcp 1 deny"});
}

}  // namespace manul::felix::test
