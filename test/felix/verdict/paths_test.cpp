#include <memory>

#include <catch2/catch.hpp>

#include "test/felix/builders.hpp"
#include "test/felix/verdict/situation.hpp"

// Where packets go that policy alone does not decide: the node, connections, profiles, interfaces, and what changes
// while packets flow.
namespace manul::felix::test {

namespace {

const std::string kDenyAll = gnp("deny", "namespaceSelector: all(), types: [Ingress, Egress]");

using Endpoint = model::WorkloadEndpoint;

}  // namespace

TEST_CASE_METHOD(Situation, "an interface named like a workload's without an endpoint is closed both ways") {
    expect_of_kernel(
        {"stray > rw,o1 tcp 1 deny", "rw,o1 > stray tcp 1 deny", "stray > node udp 7000 deny", "stray > rw ping deny"});
    remove({"WorkloadEndpoint/green/node1-k8s-gw-eth0"});
    expect({"gw > rw,o1 tcp 1 deny"});
    site_.reset();
    expect({"gw > rw,o1 tcp 1 allow", "rw > gw tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "a pod cannot send with the address of somebody else") {
    expect_of_kernel({"rw as rd > gw,o1 tcp 1 deny", "rw as o2 > gw,o1 udp 1 deny", "rw as rr > rd tcp 1 deny",
                      "rw as node > rd tcp 1 deny", "rw as rw > gw,o1 tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "the node reaches its own pods whatever their policy says") {
    apply({kDenyAll});
    expect_of_kernel({"node > rw,gw tcp 80 allow", "node > rw udp 53 allow", "node > rw ping allow"});
    expect({"o2 > rw tcp 80 deny", "gw > rw tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "a pod reaches its own node as configured, if its egress policy allows") {
    expect_of_kernel({"rw > node udp 7000 deny", "o1 > node udp 7000 allow"});
    for (const char* action : {"Accept", "Return"}) {
        apply({felix_config(std::string("defaultEndpointToHostAction: ") + action)});
        expect_of_kernel({"rw,gw > node udp 7000 allow", "rw > o1 udp 7000 allow"});
    }
    apply({np("red", "p",
              "selector: app == 'web', types: [Egress], egress: [{action: Deny, protocol: UDP},"
              " {action: Allow}]")});
    expect_of_kernel({"rw > node udp 7000 deny", "gw > node udp 7000 allow"});
    apply({felix_config("defaultEndpointToHostAction: Drop")});
    expect_of_kernel({"gw > node udp 7000 deny"});
}

TEST_CASE_METHOD(Situation, "pods cannot make tunnels of their own unless they may") {
    expect_of_kernel({"rw > o1,rd udp 4789 deny", "rw > o1,rd proto 4 deny", "o1 > rw udp 4789 allow",
                      "o1 > rw proto 4 allow", "rw > o1 udp 4790 allow"});
    apply({np("red", "p", "types: [Egress], egress: [{action: Allow}]"), felix_config("vxlanPort: 4790")});
    expect_of_kernel({"rw > o1 udp 4789 allow", "rw > o1 udp 4790 deny", "rw > o1 proto 4 deny"});
    apply({felix_config("allowVXLANPacketsFromWorkloads: true, allowIPIPPacketsFromWorkloads: true")});
    expect_of_kernel({"rw > o1 udp 4789 allow", "rw > o1 udp 4790 allow", "rw > o1 proto 4 allow"});
}

TEST_CASE_METHOD(Situation, "answers of a connection pass, whatever policy says about their direction and later on") {
    apply({np("red", "p", "selector: app == 'web', types: [Ingress]")});
    expect({"o1,rd > rw udp 4000 from 53 deny"});
    expect({"rw > o1,rd udp 53 from 4000 allow", "rw > o1 tcp 80 from 4001 allow", "rw > gw sctp 80 from 4002 allow"});
    expect_later({"rw > o1,rd udp 53 from 4000 answer allow", "rw > o2 udp 53 from 4000 answer deny",
                  "rw > o1 udp 54 from 4000 answer deny", "rw > o1 tcp 80 from 4001 answer allow"});
    apply({kDenyAll});
    expect_later({"rw > o1,rd udp 53 from 4000 allow", "rw > o1,rd udp 53 from 4000 answer allow",
                  "rw > o1,rd udp 53 from 4009 deny"});
    expect({"rw > o1,rd udp 53 from 4000 deny"});
}

TEST_CASE_METHOD(Situation, "packets that connection tracking leaves alone are judged like others") {
    // Neighbour solicitations are untracked; one towards another pod is no business of the link.
    expect({"rw > rd,o1 icmp6 135 allow", "o1 > rw icmp6 135 allow"});
    apply({np("red", "p",
              "types: [Ingress, Egress], ingress: [{action: Allow, protocol: ICMPv6, icmp: {type: 135}}],"
              " egress: [{action: Allow, protocol: ICMPv6}]")});
    expect({"rw > rd,o1 icmp6 135 allow", "o1 > rw icmp6 135 allow", "o1 > rw icmp6 133 deny"});
    apply({np("red", "p",
              "types: [Ingress, Egress], ingress: [{action: Allow, protocol: TCP}],"
              " egress: [{action: Allow, protocol: TCP}]")});
    expect({"rw > o1 icmp6 135 deny", "o1 > rw icmp6 135 deny", "gw > rw icmp6 135 deny", "gw > o1 icmp6 135 allow"});
}

// --- profiles -------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(Situation, "an endpoint without profiles and policies neither sends nor receives") {
    change_pod("rw", [](Endpoint& e) { e.spec.profiles = {}; });
    expect({"rw > o1,rd tcp 1 deny", "o1,rd > rw tcp 1 deny"});
    apply({np("red", "p",
              "selector: app == 'web', types: [Egress], egress: [{action: Allow, protocol: TCP},"
              " {action: Pass}]")});
    expect({"rw > o1,rd tcp 1 allow", "rw > o1 udp 1 deny", "o1,rd > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "a listed profile that does not exist denies, and those behind it are not asked") {
    change_pod("rw", [](Endpoint& e) { e.spec.profiles = {"none", "kns.red"}; });
    change_pod("rd", [](Endpoint& e) { e.spec.profiles = {"kns.red", "none"}; });
    expect({"rw > o1 tcp 1 deny", "o1 > rw tcp 1 deny", "rd > o1 tcp 1 allow", "o1 > rd tcp 1 allow"});
    apply({object("Profile", "name: none", "spec: {}")});
    expect({"rw > o1 tcp 1 allow", "o1 > rw tcp 1 allow"});
    remove({"Profile/none"});
    expect({"rw > o1 tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "rules of profiles decide in the order of the list; Pass leaves one profile") {
    apply({object("Profile", "name: one",
                  "spec: {ingress: [{action: Deny, protocol: TCP, destination: {ports: [1]}}, {action: Pass,"
                  " protocol: TCP, destination: {ports: [2]}}, {action: Allow, protocol: TCP, source: {selector:"
                  " app == 'db'}}, {action: Log}, {action: Deny, protocol: SCTP}], egress: [{action: Allow}]}"),
           object("Profile", "name: two",
                  "spec: {ingress: [{action: Deny, protocol: TCP}, {action: Allow, protocol: UDP}]}")});
    change_pod("rw", [](Endpoint& e) { e.spec.profiles = {"one", "two"}; });
    expect({"rd > rw tcp 1 deny", "rd > rw tcp 2 deny", "rd,bd > rw tcp 3 allow", "gw > rw tcp 3 deny",
            "gw > rw udp 3 allow", "gw > rw sctp 3 deny", "gw > rw ping deny", "rw > o1 tcp 1 allow"});
    change_pod("rw", [](Endpoint& e) { e.spec.profiles = {"two", "one", "projectcalico-default-allow"}; });
    expect({"rd > rw tcp 3 deny", "gw > rw udp 1 allow", "gw > rw sctp 1 deny", "gw > rw ping allow"});
    apply({object("Profile", "name: one", "spec: {}")});
    expect({"gw > rw sctp 1 allow", "rd > rw tcp 3 deny"});
}

TEST_CASE_METHOD(Situation, "labels of a profile are inherited, and the endpoint's own win") {
    apply({object("Profile", "name: one", "spec: {labelsToApply: {app: api, extra: 'yes'}}"),
           gnp("p",
               "selector: extra == 'yes' && app == 'web', types: [Ingress], ingress: [{action: Allow, source:"
               " {selector: extra == 'yes'}}]")});
    expect({"rd > rw tcp 1 allow"});
    change_pod("rw", [](Endpoint& e) { e.spec.profiles.emplace_back("one"); });
    expect({"rd,gw > rw tcp 1 deny", "rd > gw tcp 1 allow"});
    change_pod("bx", [](Endpoint& e) { e.spec.profiles.emplace_back("one"); });
    expect({"bx > rw tcp 1 allow", "rd > rw tcp 1 deny", "rw > bx tcp 1 allow"});
    apply({object("Profile", "name: one", "spec: {labelsToApply: {extra: 'no'}}")});
    expect({"rd > rw tcp 1 allow"});
}

// --- changes --------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(Situation, "labels of pods, namespaces and accounts move pods in and out of policies and sets") {
    apply({gnp("p",
               "namespaceSelector: env == 'prod', serviceAccountSelector: role == 'front', selector: app == 'web',"
               " types: [Ingress], ingress: [{action: Allow, source: {namespaceSelector: team == 'blue',"
               " selector: app == 'db'}}, {action: Allow, source: {serviceAccounts: {selector: role == 'x'}}}]")});
    expect({"bd > rw tcp 1 allow", "bx,ga,o1 > rw tcp 1 deny", "o1 > rd tcp 1 allow"});
    change_pod("bx", [](Endpoint& e) { e.metadata.labels["app"] = "db"; });
    change_pod("rd", [](Endpoint& e) { e.metadata.labels["app"] = "web"; });
    expect({"bx > rw tcp 1 allow", "o1 > rd tcp 1 allow"});
    apply({object("ServiceAccount", "namespace: red, name: back, labels: {role: front}", ""),
           object("ServiceAccount", "namespace: green, name: front, labels: {role: x}", "")});
    expect({"o1 > rd tcp 1 deny", "bx,ga > rd,rw tcp 1 allow", "gw > rw tcp 1 deny"});
    apply({object("Namespace", "name: blue, labels: {team: other}", "")});
    expect({"bx,bd > rd,rw tcp 1 deny", "ga > rw tcp 1 allow"});
    apply({object("Namespace", "name: red, labels: {env: test}", "")});
    expect({"bx,o1 > rd,rw tcp 1 allow"});
}

TEST_CASE_METHOD(Situation, "an address that passes from one pod to another belongs to the set as long as one has it") {
    const auto other = [](const std::string& name, const std::string& app) {
        PodSpec spec;
        spec.ns = "red";
        spec.name = name;
        spec.ips = {"192.0.2.200/32", "2001:db8:2::200/128"};
        spec.labels = {{"app", app}, {"projectcalico.org/orchestrator", "k8s"}};
        spec.node = "node2";
        return pod(spec);
    };
    apply({np("red", "p",
              "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, source: {selector:"
              " app == 'job'}}]")});
    const model::ResourcePtr first = other("first", "job");
    const model::ResourcePtr second = other("second", "job");
    site_.write({first}, {});
    expect({"o2 > rw tcp 1 allow"});
    site_.write({second}, {});
    site_.write({}, {first->key()});
    expect({"o2 > rw tcp 1 allow"});
    site_.write({other("second", "none")}, {});
    expect({"o2 > rw tcp 1 deny"});
}

TEST_CASE_METHOD(Situation, "named ports follow the pods that declare them") {
    apply({gnp("p",
               "selector: app == 'db', types: [Ingress], ingress: [{action: Allow, protocol: TCP, destination:"
               " {ports: [http]}}]")});
    expect({"o2 > rd,bd tcp 80 allow", "o2 > rd tcp 81 deny"});
    change_pod("rd", [](Endpoint& e) { e.spec.ports = {port("http", 81)}; });
    expect({"o2 > rd tcp 81 allow", "o2 > rd tcp 80 deny", "o2 > bd tcp 80 allow"});
    change_pod("rd", [](Endpoint& e) { e.spec.ports = {port("http", 81), port("web", 80)}; });
    expect({"o2 > rd tcp 81 allow", "o2 > rd tcp 80 deny"});
    change_pod("rd", [](Endpoint& e) { e.spec.ports = {port("http", 81), port("http", 80)}; });
    expect({"o2 > rd tcp 81 allow", "o2 > rd tcp 80 allow"});
    change_pod("rd", [](Endpoint& e) { e.spec.ports = {port("http", 81, net::kUdp)}; });
    expect({"o2 > rd tcp 81 deny", "o2 > rd udp 81 deny", "o2 > bd tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "a restart changes no verdict, and what changed meanwhile holds afterwards") {
    apply({np("red", "p", "selector: app == 'web', types: [Ingress], ingress: [{action: Allow, protocol: TCP}]"),
           knp("blue", "q", "podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 192.0.2.0/24}}]}]")});
    const std::vector<std::string> verdicts{"o1 > rw tcp 1 allow", "gw > rw udp 1 deny", "o1 > bd tcp 1 v4 allow",
                                            "o3 > bx tcp 1 deny",  "gw > bx tcp 1 deny", "gw > rd tcp 1 allow"};
    expect(verdicts);
    site_.restart();
    expect(verdicts);
    remove({"NetworkPolicy/red/p"});
    site_.restart();
    expect({"gw > rw udp 1 allow", "o3 > bx tcp 1 deny", "gw > rd tcp 1 allow"});
}

}  // namespace manul::felix::test
