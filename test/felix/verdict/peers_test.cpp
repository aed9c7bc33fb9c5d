#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "test/felix/builders.hpp"
#include "test/felix/verdict/situation.hpp"

// Several criteria about one end of the packet at once, in both directions.
namespace manul::felix::test {

namespace {

std::string network_set_of(const std::string& ns, const std::string& name, const std::string& nets) {
    return ns.empty() ? object("GlobalNetworkSet", "name: " + name + ", labels: {k: v}", "spec: {nets: [" + nets + "]}")
                      : object("NetworkSet", "namespace: " + ns + ", name: " + name + ", labels: {k: v}",
                               "spec: {nets: [" + nets + "]}");
}

std::string slice(const std::string& ns, const std::string& name, const std::string& service,
                  const std::string& addresses, const std::string& ports) {
    return "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {namespace: " + ns +
           ", name: " + name + ", labels: {kubernetes.io/service-name: " + service +
           "}}\naddressType: IPv4\nendpoints: [{addresses: [" + addresses + "]}]\nports: [" + ports + "]\n";
}

std::string admin(const std::string& version, const std::string& kind, const std::string& name,
                  const std::string& spec) {
    return "---\napiVersion: policy.networking.k8s.io/" + version + "\nkind: " + kind + "\nmetadata: {name: " + name +
           "}\nspec: {" + spec + "}\n";
}

std::string hep(const std::string& spec) {
    return object("HostEndpoint", "name: up, labels: {role: gate}",
                  "spec: {node: node1, interfaceName: uplink, " + spec + "}");
}

}  // namespace

// --- named ports ----------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(Situation, "a pod may have several ports of one name, of one protocol or of several") {
    change_pod("rw", [](model::WorkloadEndpoint& e) {
        e.spec.ports = {port("multi", 1001), port("multi", 1002, net::kUdp), port("multi", 1003, net::kSctp),
                        port("multi", 1004), port("other", 1005)};
    });
    const auto rule = [](const std::string& text) {
        return gnp("p",
                   "namespaceSelector: projectcalico.org/name == 'red', selector: app == 'web', types: [Ingress],"
                   " ingress: [" +
                       text + "]");
    };
    apply({rule("{action: Allow, destination: {ports: [multi]}}")});
    expect({"gw > rw tcp 1001 allow", "gw > rw tcp 1004 allow", "gw > rw udp 1002 allow", "gw > rw sctp 1003 allow",
            "gw > rw tcp 1002 deny", "gw > rw udp 1001 deny", "gw > rw sctp 1001 deny", "gw > rw tcp 1005 deny"});
    apply({rule("{action: Allow, protocol: UDP, destination: {ports: [multi, '1003:1004', 1005]}}")});
    expect({"gw > rw udp 1002 allow", "gw > rw udp 1003 allow", "gw > rw udp 1004 allow", "gw > rw udp 1005 allow",
            "gw > rw udp 1001 deny", "gw > rw tcp 1001 deny", "gw > rw udp 1006 deny"});
    apply(
        {rule("{action: Allow, protocol: TCP, destination: {ports: ['1000:1010', other], notPorts: [multi, 1006]}}")});
    expect({"gw > rw tcp 1001 deny", "gw > rw tcp 1004 deny", "gw > rw tcp 1002 allow", "gw > rw tcp 1005 allow",
            "gw > rw tcp 1006 deny", "gw > rw tcp 1010 allow", "gw > rw udp 1002 deny"});
    apply(
        {rule("{action: Deny, protocol: SCTP, destination: {ports: [multi]}}, {action: Log, destination: {ports:"
              " [multi, other]}}, {action: Allow}")});
    expect({"gw > rw sctp 1003 deny", "gw > rw sctp 1001 allow", "gw > rw tcp 1001 allow", "gw > rw ping allow"});
    // The same as a peer.
    site_.reset();
    change_pod("rw", [](model::WorkloadEndpoint& e) {
        e.spec.ports = {port("multi", 1001), port("multi", 1002, net::kUdp), port("multi", 1004)};
    });
    apply({np("green", "p",
              "types: [Egress], egress: [{action: Allow, destination: {namespaceSelector: all(), ports: [multi]}},"
              " {action: Allow, protocol: TCP, source: {ports: [5000, '5001:5003', http]}}]")});
    expect({"gw > rw tcp 1004 allow", "gw > rw udp 1002 allow", "gw > rw udp 1004 deny", "gw > rd tcp 1001 deny",
            "gw > rw,o1 tcp 7 from 5003 allow", "gw > o1 tcp 7 from 8888 allow", "ga > o1 tcp 7 from 8888 deny",
            "gw > o1 tcp 7 from 5004 deny", "gw > o1 udp 7 from 5000 deny"});
}

TEST_CASE_METHOD(Situation, "a list of ports may be long, mixed, repeated and full of ranges that touch") {
    std::string list = "http, http, metrics, none, '65530:65535', 65535, 1, '2:3', '3:4', '6:7', '5:8', 80, 80";
    for (int number = 100; number < 160; number += 3) {
        list += ", " + std::to_string(number);
    }
    for (const std::string way : {"Ingress", "Egress"}) {
        const bool in = way == "Ingress";
        const std::string rules = in ? "ingress" : "egress";
        only({np("red", "p",
                 "selector: app == 'web', types: [" + way + "], " + rules +
                     ": [{action: Allow, protocol: TCP, destination: {ports: [" + list + "]}}]")});
        const std::string ends = in ? "gw > rw " : "rw > gw ";
        for (const char* open : {"1", "4", "5", "8", "80", "100", "103", "157", "65530", "65535"}) {
            expect({ends + "tcp " + open + " allow", ends + "udp " + open + " deny"});
        }
        for (const char* closed : {"9", "79", "81", "101", "160", "65529"}) {
            expect({ends + "tcp " + closed + " deny"});
        }
        expect({in ? "gw > rw tcp 8080 allow" : "rw > gw tcp 8888 allow",
                in ? "gw > rw tcp 8888 deny" : "rw > gw tcp 8080 deny"});
        only({np("red", "p",
                 "selector: app == 'web', types: [" + way + "], " + rules +
                     ": [{action: Deny, protocol: TCP, destination: {notPorts: [" + list + "]}}, {action: Allow}]")});
        expect({ends + "tcp 4 allow", ends + "tcp 9 deny", ends + "udp 9 allow", ends + "ping allow"});
    }
}

// --- sets, accounts, services ---------------------------------------------------------------------------------------

// o3 is in another set of red as well, which has no label k.
TEST_CASE_METHOD(Situation, "sets of the same labels in namespaces and outside are told apart by where they are") {
    const std::vector<std::string> sets{network_set_of("", "s", "192.0.2.200, '2001:db8:2::/64'"),
                                        network_set_of("red", "s", "198.51.100.7/24, '2001:db8:3::7/64'"),
                                        network_set_of("green", "s", "192.0.2.10/25, '2001:db8:1::10'")};
    const auto situation = [&](const std::string& policy) {
        std::vector<std::string> documents = sets;
        documents.push_back(policy);
        only(documents);
    };
    const auto in = [](const std::string& source) {
        return np("red", "p",
                  "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {" + source + "}}]");
    };
    const auto out = [](const std::string& destination) {
        return np(
            "red", "p",
            "selector: app == 'web', types: [Egress], egress: [{action: Allow, destination: {" + destination + "}}]");
    };
    struct Row {
        std::string selectors;
        std::string open;
        std::string closed;
    };
    for (const Row& row : std::vector<Row>{
             {"selector: k == 'v'", "o3", "o1,o2,rd,gw"},
             {"namespaceSelector: team == 'green', selector: k == 'v'", "o1", "o2,o3,gw"},
             {"namespaceSelector: all(), selector: k == 'v'", "o1,o3", "o2,gw,rd"},
             {"namespaceSelector: global(), selector: k == 'v'", "o2", "o1,o3,oh"},
             {"namespaceSelector: \"team != 'red'\", selector: k == 'v'", "o1,o2", "o3,gw"},
             {"notSelector: k == 'v'", "rd,rr,o3", "o1,o2,gw,oh"},
             {"namespaceSelector: all(), notSelector: k == 'v'", "rd,gw,bx,o3", "o1,o2,oh"},
         }) {
        INFO(row.selectors);
        situation(in(row.selectors));
        expect({row.open + " > rw tcp 1 allow", row.closed + " > rw tcp 1 deny"});
        situation(out(row.selectors));
        expect({"rw > " + row.open + " tcp 1 allow", "rw > " + row.closed + " tcp 1 deny"});
    }
    const auto everywhere = [](const std::string& entity) {
        return gnp("p", "selector: app == 'web', types: [Ingress, Egress], ingress: [{action: Allow, source: {" +
                            entity + "}}], egress: [{action: Allow, destination: {" + entity + "}}]");
    };
    for (const Row& row : std::vector<Row>{
             {"selector: k == 'v'", "o1,o2,o3", "oh,rd"},
             {"namespaceSelector: all(), selector: k == 'v'", "o1,o3", "o2,oh,rd"},
             {"namespaceSelector: global(), selector: k == 'v'", "o2", "o1,o3,oh,rd"},
             {"notSelector: k == 'v'", "oh,rd,bx", "o1,o2,o3"},
             {"namespaceSelector: global(), notSelector: k == 'v'", "oh", "o2,o3,rd"},
         }) {
        INFO(row.selectors);
        situation(everywhere(row.selectors));
        expect({row.open + " > rw tcp 1 allow", row.closed + " > rw tcp 1 deny", "rw > " + row.open + " tcp 1 allow",
                "rw > " + row.closed + " tcp 1 deny"});
    }
}

TEST_CASE_METHOD(Situation, "selectors, namespaces, accounts, nets and ports of one peer must all hold, both ways") {
    const auto out = [](const std::string& destination) {
        return np("red", "p",
                  "selector: app == 'web', types: [Egress], egress: [{action: Allow, protocol: TCP, destination: {" +
                      destination + "}}]");
    };
    only({out("serviceAccounts: {names: [front, back]}")});
    expect({"rw > rd,rr tcp 1 allow", "rw > gw,ga,o1,o3 tcp 1 deny"});
    only(
        {out("namespaceSelector: env == 'prod', serviceAccounts: {names: [front, default]}, selector: has(app),"
             " notSelector: app == 'api'")});
    expect({"rw > gw,rr tcp 1 allow", "rw > ga,rd,bd,o3 tcp 1 deny"});
    only(
        {out("namespaceSelector: all(), serviceAccounts: {selector: has(role)}, notNets: [10.65.0.2/32], ports:"
             " [http, 25]")});
    expect({"rw > ga tcp 25 v4 allow", "rw > rr tcp 8080 v4 allow", "rw > rr tcp 25 v4 allow", "rw > rd tcp 80 v4 deny",
            "rw > ga tcp 25 v6 deny", "rw > gw tcp 25 deny", "rw > ga tcp 9100 deny", "rw > ga udp 25 deny"});
    only({gnp(
        "p",
        "serviceAccountSelector: role == 'front', namespaceSelector: team == 'red', types: [Ingress], ingress:"
        " [{action: Allow, source: {serviceAccounts: {names: [default], selector: '!has(role)'}, namespaceSelector:"
        " \"team in {'green', 'blue'}\", selector: has(app)}}]")});
    expect({"gw,bd > rw tcp 1 allow", "bx,ga,rd,o1 > rw tcp 1 deny", "bx > rd tcp 1 allow"});
}

TEST_CASE_METHOD(Situation,
                 "labels that come with the place may be asked for by their own keys, and nobody can pose as another") {
    const auto source = [](const std::string& selector) {
        return gnp("p",
                   "selector: \"pcns.team == 'red' && projectcalico.org/serviceaccount == 'front'\", types: [Ingress],"
                   " ingress: [{action: Allow, source: {selector: \"" +
                       selector + "\"}}]");
    };
    only({source("pcns.team == 'blue' || pcsa.role == 'api'")});
    expect({"bd,bx,ga > rw tcp 1 allow", "rd,gw,rr,o1,o3 > rw tcp 1 deny", "o1 > rd,gw tcp 1 allow"});
    only({source("projectcalico.org/namespace in {'green', 'blue'} && projectcalico.org/serviceaccount == 'default'")});
    expect({"gw,bd,bx > rw tcp 1 allow", "ga,rd,o1,o3 > rw tcp 1 deny"});
    only({source("has(projectcalico.org/orchestrator)")});
    expect({"rd,rr,gw,bx > rw tcp 1 allow", "o1,o3,oh > rw tcp 1 deny"});
    only({source("pcns.kubernetes.io/metadata.name == 'red' && pcns.projectcalico.org/name == 'red'")});
    expect({"rd,rr,o3 > rw tcp 1 allow", "gw,o1 > rw tcp 1 deny"});
    only({source("pcns.team == 'red'")});
    change_pod("bx", [](model::WorkloadEndpoint& e) {
        e.metadata.labels["pcns.team"] = "red";
        e.metadata.labels["projectcalico.org/namespace"] = "red";
        e.metadata.labels["projectcalico.org/serviceaccount"] = "front";
    });
    apply({object("NetworkSet", "namespace: blue, name: s, labels: {pcns.team: red}", "spec: {nets: [192.0.2.200]}")});
    expect({"rd,o3 > rw tcp 1 allow", "bx,o2,o1 > rw tcp 1 deny", "o1 > bx tcp 1 allow"});
    // A namespace whose object goes keeps its name while anything is in it.
    only({source("pcns.projectcalico.org/name == 'green' || pcns.team == 'green'")});
    remove({"Namespace/green"});
    expect({"gw,ga > rw tcp 1 allow", "o1 > gw tcp 1 allow"});
    apply({source("pcns.team == 'green'")});
    expect({"gw,ga > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "an endpoint is all of its addresses, with all of its ports") {
    apply({np("red", "p",
              "selector: app == 'db', types: [Ingress, Egress], ingress: [{action: Allow, source: {selector: app =="
              " 'web'}}], egress: [{action: Allow, protocol: TCP, destination: {selector: app == 'web', ports:"
              " [http]}}]")});
    expect({"rr,rw > rd tcp 1 allow", "o2 > rd tcp 1 deny", "rd > rr tcp 8080 allow", "rd > o2 tcp 8080 deny"});
    change_pod("rr", [](model::WorkloadEndpoint& e) {
        e.spec.ip_networks.push_back(cidr("192.0.2.200/32"));
        e.spec.ip_networks.push_back(cidr("2001:db8:2::200/128"));
    });
    expect({"rr,rw,o2 > rd tcp 1 allow", "o1 > rd tcp 1 deny", "rd > rr,o2 tcp 8080 allow", "rd > o2 tcp 8081 deny"});
    change_pod("rr", [](model::WorkloadEndpoint& e) { e.spec.ip_networks = cidrs({"192.0.2.200/32"}); });
    expect({"o2 > rd tcp 1 v4 allow", "o2 > rd tcp 1 v6 deny", "rr > rd tcp 1 deny", "rd > rr tcp 8080 deny"});
    change_pod("rr", [](model::WorkloadEndpoint& e) { e.spec.ip_networks = {}; });
    expect({"o2,rr > rd tcp 1 deny", "rw > rd tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "services beside a protocol, to deny, of sources with ports, and when they change") {
    apply({slice("red", "api-1", "api", "192.0.2.10, 10.65.0.3",
                 "{name: a, protocol: TCP, port: 80}, {name: b, protocol: UDP, port: 53}, {name: c, protocol: SCTP,"
                 " port: 99}"),
           gnp("p",
               "selector: app == 'web', types: [Egress], egress: [{action: Deny, protocol: UDP, destination:"
               " {services: {name: api, namespace: red}}}, {action: Deny, protocol: 132, destination: {services:"
               " {name: api, namespace: red}}}, {action: Pass, destination: {services: {name: api, namespace: red}}},"
               " {action: Deny, protocol: TCP, destination: {ports: [80]}}, {action: Allow}]")});
    expect({"rw > o1,gw udp 53 v4 deny", "rw > o1,gw tcp 80 v4 allow", "rw > o2,ga tcp 80 v4 deny",
            "rw > o1 tcp 80 v6 deny", "rw > o1 tcp 53 v4 allow", "rw > gw sctp 99 v4 deny", "rw > gw udp 80 v4 allow"});
    apply({slice("red", "api-1", "api", "192.0.2.200", "{protocol: TCP, port: 80}")});
    expect({"rw > o1 udp 53 v4 allow", "rw > o1 tcp 80 v4 deny", "rw > o2 tcp 80 v4 allow"});
    apply({slice("red", "api-1", "other", "192.0.2.200", "{protocol: TCP, port: 80}")});
    expect({"rw > o2 tcp 80 v4 deny"});
    only({slice("green", "c-1", "clients", "192.0.2.10, 10.65.0.3", "{port: 1}"),
          slice("red", "c-1", "clients", "192.0.2.200", ""),
          np("red", "p",
             "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: UDP, source: {services:"
             " {name: clients, namespace: green}, ports: ['1000:1999']}}, {action: Allow, protocol: TCP, source:"
             " {services: {name: clients}, notPorts: [1000]}, destination: {ports: [http]}}, {action: Deny, source:"
             " {services: {name: clients}}}, {action: Allow, protocol: SCTP}]")});
    expect({"o1,gw > rw udp 7 from 1500 v4 allow", "o1,gw > rw udp 7 from 2000 v4 deny", "o2 > rw udp 7 from 1500 deny",
            "o2 > rw tcp 8080 from 1001 v4 allow", "o2 > rw tcp 8080 from 1000 v4 deny", "o1 > rw tcp 8080 deny",
            "o2 > rw sctp 1 v4 deny", "o2 > rw sctp 1 v6 allow", "o1 > rw sctp 1 allow"});
}

// --- protocols ------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(Situation, "ICMP by number and type, in both families and directions") {
    apply({np("red", "p",
              "selector: app == 'web', types: [Ingress, Egress], ingress: [{action: Allow, protocol: 58, icmp: {type:"
              " 128}}, {action: Allow, protocol: 1, icmp: {type: 8, code: 0}}], egress: [{action: Allow, protocol:"
              " ICMPv6, notICMP: {type: 128, code: 0}}, {action: Allow, protocol: ICMP, notICMP: {type: 13}},"
              " {action: Allow, ipVersion: 6, notProtocol: ICMPv6}]")});
    expect({"o1,gw > rw icmp6 128/9 allow", "o1 > rw icmp6 139 deny", "o1 > rw icmp 8/0 allow", "o1 > rw icmp 8/1 deny",
            "o1 > rw tcp 1 deny", "rw > o1,gw icmp6 128/1 allow", "rw > o1 icmp6 128/0 deny", "rw > o1 icmp6 139 allow",
            "rw > o1 icmp 8/0 allow", "rw > o1 icmp 13/0 deny", "rw > o1 tcp 1 v6 allow", "rw > o1 tcp 1 v4 deny",
            "rw > o1 proto 99 v6 allow"});
}

TEST_CASE_METHOD(Situation, "protocols of every number are told apart, with notProtocol beside protocol") {
    apply({np("red", "p",
              "selector: app == 'web', types: [Egress], egress: [{action: Deny, protocol: 255}, {action: Allow,"
              " protocol: 89}, {action: Allow, protocol: '47'}, {action: Allow, protocol: 1, ipVersion: 4},"
              " {action: Allow, notProtocol: 17, ipVersion: 6}]")});
    expect({"rw > o1 proto 255 deny", "rw > o1 proto 89 allow", "rw > o1 proto 47 allow", "rw > o1 icmp 8 allow",
            "rw > o1 tcp 1 v4 deny", "rw > o1 tcp 1 v6 allow", "rw > o1 udp 1 deny", "rw > o1 proto 254 v6 allow"});
}

TEST_CASE_METHOD(Situation,
                 "a pod's router advertisements and packets too big are for its node's configuration to take") {
    apply({felix_config("disableConntrackInvalidCheck: true")});
    expect({"rw > node icmp6 134 deny", "rw > node icmp6 2 deny", "rw > node icmp6 133 allow",
            "rw > node icmp6 135 allow", "rw > node icmp6 128 deny"});
    apply({felix_config("disableConntrackInvalidCheck: true, defaultEndpointToHostAction: Accept"),
           np("red", "p", "selector: app == 'db', types: [Egress]")});
    expect({"rw > node icmp6 134 allow", "rw > node icmp6 128 allow", "rd > node icmp6 134 deny",
            "rd > node icmp6 135 allow"});
    // Of others the node takes them, whatever host policy says.
    apply({hep("profiles: []")});
    expect({"o1 > node icmp6 134 allow", "o1 > node icmp6 2 allow", "o1 > node icmp6 128 deny"});
}

// --- hosts ----------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(Situation, "rules of profiles decide at host endpoints too, but not about forwarded traffic") {
    apply(
        {object("Profile", "name: gate",
                "spec: {ingress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}, {action: Pass, protocol:"
                " UDP}, {action: Deny, protocol: UDP}], egress: [{action: Allow, protocol: UDP}]}"),
         object("Profile", "name: gate2", "spec: {ingress: [{action: Allow, protocol: UDP}]}"),
         hep("profiles: [gate, gate2]")});
    expect({"o1 > node tcp 80 allow", "o1 > node tcp 81 deny", "o1 > node udp 7000 allow", "node > o1 udp 80 allow",
            "node > o1 tcp 80 deny", "o1 > rw,s1 tcp 81 allow", "rw > o1 tcp 80 allow"});
    // Every tier passes: the profile for the node, nobody for what is forwarded.
    apply(
        {tier_of("first", "order: 1, defaultAction: Pass"),
         gnp("first.p",
             "tier: first, selector: role == 'gate', applyOnForward: true, types: [Ingress, Egress], ingress: [{action:"
             " Deny, protocol: SCTP}]"),
         gnp("p", "selector: role == 'gate', applyOnForward: true, types: [Ingress], ingress: [{action: Pass}]")});
    expect({"o1 > node tcp 80 allow", "o1 > node tcp 81 deny", "o1 > rw,s1 tcp 81 allow", "o1 > rw,node sctp 80 deny",
            "node > o1 tcp 80 deny", "rw > o1 tcp 80 allow"});
    apply({hep("profiles: [missing, gate]")});
    expect({"o1 > node tcp 80 deny", "o1 > node tcp 22 allow", "o1 > rw tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "untracked and preDNAT policies are no business of pods, whatever they select") {
    apply({gnp("u",
               "namespaceSelector: all(), doNotTrack: true, applyOnForward: true, types: [Ingress, Egress], ingress:"
               " [{action: Deny}], egress: [{action: Deny}]"),
           gnp("d",
               "selector: app == 'web', preDNAT: true, applyOnForward: true, types: [Ingress], ingress: [{action:"
               " Deny}]"),
           gnp("e", "selector: all(), doNotTrack: true, applyOnForward: true, ingress: [{action: Deny}]")});
    expect({"o1,rd > rw tcp 1 allow", "rw > o1,gw udp 1 allow", "o1 > node tcp 1 allow"});
    apply({gnp("f",
               "selector: app == 'web', applyOnForward: true, types: [Ingress], ingress: [{action: Allow, protocol:"
               " TCP}]")});
    expect({"o1,rd > rw tcp 1 allow", "o1,rd > rw udp 1 deny", "rw > o1 udp 1 allow", "o1 > rd udp 1 allow"});
}

// --- policies of the cluster's administrators -----------------------------------------------------------------------

TEST_CASE_METHOD(Situation, "policies of administrators select pods alone, on both sides") {
    const std::string others = "matchExpressions: [{key: team, operator: NotIn, values: [none]}]";
    apply(
        {hep("profiles: [projectcalico-default-allow]"),
         admin("v1alpha1", "AdminNetworkPolicy", "a",
               "priority: 1, subject: {namespaces: {" + others + "}}, ingress: [{action: Deny, from: [{namespaces: {" +
                   others + "}}]}], egress: [{action: Deny, to: [{pods: {namespaceSelector: {" + others +
                   "}, podSelector: {matchExpressions: [{key: zone, operator: DoesNotExist}]}}}]}]")});
    expect({"o1 > node tcp 80 allow", "o1,o3,oh > rw,gw tcp 80 allow", "rd > rw tcp 80 deny",
            "rw > o1,o3,oh tcp 80 allow", "node > o1 tcp 80 allow"});
    only({hep("profiles: [projectcalico-default-allow]"),
          admin("v1alpha2", "ClusterNetworkPolicy", "a",
                "tier: Baseline, priority: 1, subject: {namespaces: {" + others +
                    "}}, ingress: [{action: Deny, from: [{namespaces: {" + others +
                    "}}], protocols: [{tcp: {}},"
                    " {udp: {destinationPort: {number: 53}}}]}]")});
    expect({"o1 > node tcp 80 allow", "o1,o3 > rw tcp 80 allow", "rd > rw tcp 80 deny", "rd > rw udp 53 deny",
            "rd > rw udp 54 allow", "rd > rw sctp 53 allow"});
}

TEST_CASE_METHOD(Situation, "policies of administrators of one priority stand in the order of their names") {
    const auto policy = [](const std::string& name, const std::string& action) {
        return admin("v1alpha1", "AdminNetworkPolicy", name,
                     "priority: 7, subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}},"
                     " ingress: [{action: " +
                         action + ", from: [{namespaces: {}}]}]");
    };
    apply({policy("b", "Deny"), policy("a", "Allow")});
    expect({"rd > rw tcp 1 allow"});
    apply({policy("a", "Pass"), np("red", "p", "types: [Ingress], ingress: [{action: Allow, protocol: UDP}]")});
    expect({"rd > rw udp 1 allow", "rd > rw tcp 1 deny", "rd > gw tcp 1 allow"});
    const auto cluster = [](const std::string& name, const std::string& priority, const std::string& action) {
        return admin("v1alpha2", "ClusterNetworkPolicy", name,
                     "tier: Admin, priority: " + priority + ", subject: {namespaces: {}}, egress: [{action: " + action +
                         ", to: [{networks: [192.0.2.0/24, '2001:db8:1::/64']}], protocols: [{tcp: {destinationPort:"
                         " {range: {start: 80, end: 90}}}}]}]");
    };
    apply({cluster("y", "0", "Deny"), cluster("x", "1000", "Accept")});
    expect({"rw > o1 tcp 85 deny", "rw > o1 tcp 91 allow", "rw > o1 udp 85 allow", "rw > o2 tcp 85 v4 deny",
            "rw > o2 tcp 85 v6 allow", "rw > o3 tcp 85 allow"});
    apply({cluster("x", "0", "Accept"), np("red", "q", "selector: app == 'web', types: [Egress]")});
    expect({"rw > o1 tcp 85 allow", "rw > o1 tcp 91 deny", "gw > o1 tcp 91 allow"});
    // A policy of ours may stand among them.
    apply(
        {gnp("w",
             "tier: kube-admin, order: 0, namespaceSelector: all(), types: [Egress], egress: [{action: Deny, protocol:"
             " TCP, destination: {ports: [85]}}]")});
    expect({"rw > o1 tcp 85 deny", "rw > o1 tcp 86 allow"});
}

}  // namespace manul::felix::test
