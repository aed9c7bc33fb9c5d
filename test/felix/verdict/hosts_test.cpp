#include <string>

#include <catch2/catch.hpp>

#include "test/felix/verdict/situation.hpp"

// Host endpoints: what the node itself receives, sends and forwards.
namespace manul::felix::test {

namespace {

std::string hep(const std::string& name, const std::string& spec, const std::string& labels = "role: gate") {
    return object("HostEndpoint", "name: " + name + ", labels: {" + labels + "}", "spec: {node: node1, " + spec + "}");
}

const std::string kUplink = hep("up", "interfaceName: uplink");
const std::string kOpenUplink = hep("up", "interfaceName: uplink, profiles: [projectcalico-default-allow]");

}  // namespace

TEST_CASE_METHOD(Situation, "a host endpoint without profile closes the node but for failsafe ports") {
    expect({"o1 > node tcp 80 allow", "node > o1 tcp 80 allow", "o1,s1 > node ping allow"});
    apply({kUplink});
    expect({"o1,o2 > node tcp 80 deny", "o1 > node udp 7000 deny", "o1 > node sctp 80 deny", "o1 > node ping deny",
            "o1 > node proto 99 deny", "node > o1,o2 tcp 80 deny", "node > o1 ping deny"});
    expect({"o1,o2 > node tcp 22 allow", "o1 > node tcp 179 allow", "o1 > node udp 68 allow", "o1 > node udp 22 deny",
            "o1 > node tcp 68 deny", "node > o1 udp 53 allow", "node > o1 udp 67 allow", "node > o1 tcp 6443 allow",
            "node > o1 tcp 22 deny", "o1 > node tcp 80 from 22 deny"});
    // Other interfaces, what passes through, and the node's pods are not its business.
    expect({"s1 > node tcp 80 allow", "node > s1 tcp 80 allow", "o1 > rw tcp 80 allow", "rw > o1 tcp 80 allow",
            "o1 > s1 tcp 80 allow", "s1 > o1 udp 80 allow", "node > rw tcp 80 allow", "rw > node tcp 80 deny"});
    // Links of IPv6 live on.
    expect({"o1 > node icmp6 135 allow", "o1 > node icmp6 136 allow", "o1 > node icmp6 2 allow",
            "node > o1 icmp6 135 allow", "o1 > node icmp6 129 deny"});
    remove({"HostEndpoint/up"});
    expect({"o1 > node tcp 80 allow", "node > o1 tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "failsafe lists are what the configuration says: absent, empty, or with nets") {
    apply({kUplink, felix_config("failsafeInboundHostPorts: [], failsafeOutboundHostPorts: []")});
    expect({"o1 > node tcp 22 deny", "node > o1 udp 53 deny", "o1 > node udp 68 deny", "o1 > node tcp 179 deny"});
    apply(
        {felix_config("failsafeInboundHostPorts: [{protocol: TCP, port: 7, net: 192.0.2.0/25},"
                      " {protocol: SCTP, port: 8}, {protocol: TCP, port: 7, net: '2001:db8:2::/64'}]")});
    expect({"o1 > node tcp 7 v4 allow", "o1 > node tcp 7 v6 deny", "o2 > node tcp 7 v4 deny",
            "o2 > node tcp 7 v6 allow", "o1,o2 > node sctp 8 allow", "o1 > node tcp 22 deny",
            "node > o1 udp 53 allow"});
    apply({felix_config("failsafeOutboundHostPorts: [{protocol: UDP, port: 9, net: 192.0.2.0/25}]")});
    expect({"node > o1 udp 9 v4 allow", "node > o2 udp 9 v4 deny", "node > o1 udp 9 v6 deny", "node > o1 udp 53 deny",
            "o1 > node tcp 22 allow"});
}

TEST_CASE_METHOD(Situation, "policy and profiles decide what the node receives and sends") {
    apply({kOpenUplink});
    expect({"o1 > node tcp 80 allow", "node > o1 tcp 80 allow", "o1 > node ping allow"});
    apply({gnp("p",
               "selector: role == 'gate', types: [Ingress], ingress: [{action: Allow, protocol: TCP, source:"
               " {selector: kind == 'partner'}, destination: {ports: [80]}}, {action: Deny, protocol: UDP,"
               " denyAction: Reject}]")});
    expect({"o1 > node tcp 80 allow", "o2 > node tcp 80 deny", "o1 > node tcp 81 deny", "o1 > node udp 7 v4 reject",
            "node > o2 tcp 80 allow", "s1 > node tcp 81 allow", "o2 > node tcp 22 allow", "o2 > rw tcp 81 allow"});
    apply({gnp("q",
               "selector: role == 'gate', order: 1, types: [Egress], egress: [{action: Pass, protocol: TCP},"
               " {action: Deny, destination: {nets: [192.0.2.0/25]}}, {action: Allow, protocol: UDP}]")});
    expect({"node > o1,o2 tcp 80 allow", "node > o1 udp 80 v4 deny", "node > o2 udp 80 v4 allow",
            "node > o1 ping v6 deny"});
    // Policies for pods alone.
    site_.reset();
    apply({kOpenUplink, gnp("all", "namespaceSelector: all(), types: [Ingress, Egress]"),
           np("red", "mine", "types: [Ingress, Egress]"), knp("red", "k", "podSelector: {}")});
    expect({"o1 > node tcp 80 allow", "node > o1 tcp 80 allow", "o1 > rw tcp 80 deny"});
    apply({gnp("every", "types: [Ingress]")});
    expect({"o1 > node tcp 80 deny", "node > o1 tcp 80 allow", "o1 > node tcp 22 allow"});
}

TEST_CASE_METHOD(Situation, "an interface has one endpoint: named before all, by name or address, the lowest first") {
    const std::string deny = "types: [Ingress, Egress], ingress: [{action: Deny}], egress: [{action: Deny}]";
    apply({hep("any", "interfaceName: '*', profiles: [projectcalico-default-allow]", "role: any"),
           gnp("any", "selector: role == 'any', types: [Ingress], ingress: [{action: Allow, protocol: TCP}]")});
    expect({"o1,s1 > node tcp 80 allow", "o1,s1 > node udp 80 deny", "node > o1,s1 udp 80 allow",
            "node > rw udp 80 allow", "rw > node tcp 80 deny", "rw > o1 udp 80 allow", "o1 > rw udp 80 allow"});
    apply({hep("b", "interfaceName: uplink, profiles: [projectcalico-default-allow]", "role: b")});
    expect({"o1 > node udp 80 allow", "s1 > node udp 80 deny"});
    apply({hep("a", "expectedIPs: [10.99.0.1]", "role: a"), gnp("a", "selector: role == 'a', " + deny)});
    expect({"o1 > node udp 80 deny", "o1 > node tcp 80 deny", "o1 > node tcp 22 allow", "s1 > node tcp 80 allow"});
    apply({hep("c", "expectedIPs: [10.99.0.1, 'fd99::1']", "role: c")});
    expect({"o1 > node udp 80 deny", "o1 > node tcp 80 deny"});
    remove({"HostEndpoint/a"});
    expect({"o1 > node udp 80 allow"});
    remove({"HostEndpoint/b"});
    expect({"o1 > node udp 80 deny", "o1 > node tcp 80 deny", "s1 > node tcp 80 allow"});
    remove({"HostEndpoint/c"});
    expect({"o1 > node tcp 80 allow", "o1 > node udp 80 deny"});
    // Another node's, and one that no interface fits.
    apply({object("HostEndpoint", "name: a0", "spec: {node: node2, interfaceName: uplink}"),
           hep("a1", "expectedIPs: [203.0.113.99]"), hep("a2", "interfaceName: calirw")});
    expect({"o1 > node tcp 80 allow", "o1 > rw tcp 80 allow", "rw > o1 tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "excluded interfaces have no endpoint of their own, by names or patterns") {
    apply({kUplink, felix_config("interfaceExclude: 'kube-ipvs0,uplink'")});
    expect({"o1 > node tcp 80 allow", "node > o1 tcp 80 allow"});
    apply({felix_config("interfaceExclude: '/^upl.*k$/'")});
    expect({"o1 > node tcp 80 allow"});
    apply({felix_config("interfaceExclude: '/^link/,up,/(/'")});
    expect({"o1 > node tcp 80 deny"});
    apply({hep("up", "expectedIPs: [10.99.0.1]")});
    expect({"o1 > node tcp 80 deny"});
    apply({felix_config("interfaceExclude: uplink")});
    expect({"o1 > node tcp 80 allow"});
    apply({hep("any", "interfaceName: '*'")});
    expect({"o1,s1 > node tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "forwarded traffic is judged from the first policy with applyOnForward on, by direction") {
    const std::string web =
        "selector: role == 'gate', applyOnForward: true, types: [Ingress], ingress:"
        " [{action: Allow, protocol: TCP, destination: {ports: [80]}}]";
    apply({kUplink, gnp("fwd", web)});
    expect({"o1 > rw,s1 tcp 80 allow", "o1 > rw,s1 tcp 81 deny", "rw,s1 > o1 udp 81 allow", "s1 > rw udp 81 allow",
            "o1 > node tcp 80 allow", "o1 > node tcp 81 deny"});
    // Failsafe ports are for the node itself.
    expect({"o1 > rw tcp 22 deny", "o1 > node tcp 22 allow"});
    // An Allow on the way does not speak for the pod.
    apply({np("red", "closed", "selector: app == 'web', types: [Ingress]")});
    expect({"o1 > rw tcp 80 deny", "o1 > rd tcp 80 allow"});
    apply({np("red", "closed", "selector: app == 'web', types: [Egress]"),
           gnp("out", "selector: role == 'gate', applyOnForward: true, types: [Egress], egress: [{action: Allow}]")});
    expect({"rw > o1 tcp 80 deny", "rd,s1 > o1 tcp 80 allow", "o1 > rw tcp 80 allow"});
    apply({gnp("out",
               "selector: role == 'gate', applyOnForward: true, types: [Egress], egress: [{action: Deny,"
               " protocol: UDP, denyAction: Reject}, {action: Pass}]")});
    expect({"rd,s1 > o1 udp 80 reject", "rd > o1 tcp 80 allow", "node > o1 tcp 80 deny"});
    // Without the flag only the node itself.
    apply({gnp("fwd", "selector: role == 'gate', types: [Ingress]")});
    expect({"o1 > rw,s1 tcp 81 allow", "o1 > node tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "forward policy of an endpoint of all interfaces acts at workloads' interfaces too") {
    apply({hep("any", "interfaceName: '*', profiles: [projectcalico-default-allow]"),
           gnp("fwd",
               "selector: role == 'gate', applyOnForward: true, types: [Ingress], ingress:"
               " [{action: Allow, protocol: TCP}]")});
    expect({"o1,rw > rd tcp 80 allow", "o1,rw,rd > gw udp 80 deny", "rw > o1 udp 80 deny", "rw > o1 tcp 80 allow",
            "o1 > node udp 80 deny", "node > rw udp 80 allow"});
    apply({gnp("fwd",
               "selector: role == 'gate', applyOnForward: true, types: [Egress], egress:"
               " [{action: Deny, protocol: TCP}, {action: Allow}]")});
    expect({"o1,rw > rd tcp 80 deny", "rw > gw,o1 udp 80 allow", "rw > o1 tcp 80 deny", "node > o1 tcp 80 deny",
            "node > rw tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "between two host endpoints the first one's ingress and the second one's egress decide") {
    const std::string side = hep("side", "interfaceName: side0", "role: back");
    const auto in = [](const std::string& rules) {
        return gnp("in", "selector: role == 'gate', applyOnForward: true, types: [Ingress], ingress: [" + rules + "]");
    };
    const auto out = [](const std::string& rules) {
        return gnp("out", "selector: role == 'back', applyOnForward: true, types: [Egress], egress: [" + rules + "]");
    };
    apply({kUplink, side, in("{action: Allow, protocol: TCP, destination: {ports: [80, 82]}}"),
           out("{action: Allow, protocol: TCP, destination: {ports: [80, 81]}}, {action: Allow, protocol: UDP}")});
    expect({"o1 > s1 tcp 80 allow", "o1 > s1 tcp 81 deny", "o1 > s1 tcp 82 deny", "o1 > s1 udp 80 deny",
            "o1 > rw tcp 82 allow", "o1 > rw tcp 81 deny", "rw > s1 tcp 81 allow", "rw > s1 tcp 82 deny",
            "s1 > o1,rw tcp 99 allow", "o1 > node tcp 82 allow", "o1 > node tcp 81 deny", "node > s1 tcp 81 allow",
            "node > s1 tcp 82 deny"});
    apply({in("{action: Pass}, {action: Deny}"), out("{action: Deny, protocol: TCP, denyAction: Reject}")});
    expect({"o1 > s1 tcp 80 reject", "o1 > s1 udp 80 deny", "o1 > rw udp 80 allow"});
    // What preDNAT or untracked policy of the first one allows, the second one is asked about nevertheless.
    const std::string allow = ", applyOnForward: true, types: [Ingress], ingress: [{action: Allow}]";
    apply(
        {in(""), out("{action: Allow, protocol: UDP}"), gnp("pre", "selector: role == 'gate', preDNAT: true" + allow)});
    expect({"o1 > s1 tcp 90 deny", "o1 > s1 udp 90 allow", "o1 > rw tcp 90 allow", "rw > s1 tcp 90 deny"});
    remove({"GlobalNetworkPolicy/pre"});
    apply({gnp("raw", "selector: role == 'gate', doNotTrack: true" + allow)});
    expect({"o1 > s1 tcp 90 deny", "o1 > s1 udp 90 allow", "o1 > rw tcp 90 allow", "rw > s1 tcp 90 deny"});
}

TEST_CASE_METHOD(Situation, "options, extension headers and fragments make no difference at host endpoints") {
    apply({kUplink, gnp("fwd",
                        "selector: role == 'gate', applyOnForward: true, types: [Ingress], ingress:"
                        " [{action: Allow, protocol: TCP, destination: {ports: [80]}}]")});
    for (const std::string form : {"options", "fragments", "shuffled"}) {
        expect({"o1 > node tcp 22 " + form + " allow", "o1 > node tcp 80 " + form + " allow",
                "o1 > node tcp 81 " + form + " deny", "o1 > rw,s1 tcp 80 " + form + " allow",
                "o1 > rw,s1 tcp 22 " + form + " deny"});
    }
    apply({gnp("raw",
               "selector: role == 'gate', doNotTrack: true, applyOnForward: true, types: [Ingress], ingress:"
               " [{action: Allow, protocol: UDP, destination: {ports: [80]}}, {action: Deny, protocol: UDP}]")});
    for (const std::string form : {"options", "fragments", "shuffled"}) {
        expect({"o1 > node,rw udp 80 " + form + " allow", "o1 > node,rw udp 81 " + form + " deny"});
    }
}

TEST_CASE_METHOD(Situation, "preDNAT policy comes first; what it allows no host policy judges again, but pods do") {
    apply({kUplink,
           gnp("pre",
               "selector: role == 'gate', preDNAT: true, applyOnForward: true, types: [Ingress], ingress:"
               " [{action: Allow, protocol: TCP, destination: {ports: [80]}}, {action: Deny, protocol: TCP}]"),
           gnp("fwd",
               "selector: role == 'gate', applyOnForward: true, types: [Ingress], ingress: [{action: Allow,"
               " protocol: UDP}]")});
    expect({"o1 > node tcp 80 allow", "o1 > node tcp 81 deny", "o1 > node udp 81 allow", "o1 > node sctp 81 deny",
            "o1 > rw,s1 tcp 80 allow", "o1 > rw tcp 81 deny", "o1 > rw udp 81 allow", "o1 > rw,s1 sctp 81 deny",
            "o1 > node tcp 22 allow", "s1 > node tcp 81 allow"});
    apply({np("red", "closed", "selector: app == 'web', types: [Ingress]")});
    expect({"o1 > rw tcp 80 deny", "o1 > rd tcp 80 allow"});
    // Its end closes nothing, whatever the tier says; without failsafe ports it closes these too.
    apply({gnp("pre",
               "selector: role == 'gate', preDNAT: true, applyOnForward: true, types: [Ingress], ingress:"
               " [{action: Deny, protocol: TCP}]"),
           felix_config("failsafeInboundHostPorts: []")});
    expect({"o1 > node tcp 22 deny", "o1 > rd tcp 80 deny", "o1 > node udp 80 allow"});
    // Of an endpoint of all interfaces it acts on pods as well.
    remove({"HostEndpoint/up"});
    apply({hep("any", "interfaceName: '*', profiles: [projectcalico-default-allow]")});
    expect({"rd > o1,gw tcp 80 deny", "o1 > rd tcp 80 deny", "rd > o1 udp 80 allow", "node > rd tcp 80 allow"});
}

TEST_CASE_METHOD(Situation, "untracked policy allows without connections, so answers need rules of their own") {
    const std::string in =
        "selector: role == 'gate', doNotTrack: true, applyOnForward: true, types: [Ingress], ingress:"
        " [{action: Allow, protocol: UDP, destination: {ports: [7000]}}, {action: Deny, protocol:"
        " SCTP}]";
    apply({kUplink, gnp("u", in)});
    expect({"o1 > node udp 7000 from 4000 allow", "o1 > node udp 7001 deny", "o1 > node sctp 80 deny",
            "s1 > node sctp 80 allow", "o1 > node tcp 22 allow", "o1 > rw udp 7000 allow", "o1 > rw sctp 80 deny",
            "o1 > rw tcp 80 allow"});
    expect_later({"o1 > node udp 7000 from 4000 answer deny"});
    apply({gnp("u2",
               "selector: role == 'gate', doNotTrack: true, applyOnForward: true, types: [Egress], egress:"
               " [{action: Allow, protocol: UDP, source: {ports: [7000]}}]")});
    expect_later({"o1 > node udp 7000 from 4000 answer allow", "o1 > node udp 7001 from 4000 answer deny"});
    // Failsafe ports work tracked, answers included.
    apply({gnp("u3",
               "selector: role == 'gate', order: 1, doNotTrack: true, applyOnForward: true, types: [Ingress,"
               " Egress], ingress: [{action: Deny, protocol: UDP}], egress: [{action: Deny, protocol: UDP}]")});
    expect({"o1 > node udp 68 from 4001 allow", "o1 > node udp 7000 deny", "node > o1 udp 53 from 4002 allow"});
    expect_later({"o1 > node udp 68 from 4001 answer allow", "node > o1 udp 53 from 4002 answer allow"});
    remove({"GlobalNetworkPolicy/u3"});
    // A pod's own policy still judges what host policy let pass untracked.
    apply({np("red", "closed", "selector: app == 'web', types: [Ingress]")});
    expect({"o1 > rw udp 7000 deny", "o1 > rd udp 7000 allow"});
    // It comes before forward policy and preDNAT, and has no effect on an endpoint of all interfaces.
    apply({gnp("fwd", "selector: role == 'gate', applyOnForward: true, types: [Ingress]"),
           gnp("pre",
               "selector: role == 'gate', preDNAT: true, applyOnForward: true, types: [Ingress], ingress:"
               " [{action: Deny, protocol: UDP}]")});
    expect({"o1 > rd udp 7000 allow", "o1 > rd udp 7001 deny", "o1 > node udp 7000 allow"});
    remove({"HostEndpoint/up"});
    apply({hep("any", "interfaceName: '*'")});
    expect({"o1 > node udp 7000 deny", "o1 > rd udp 7000 deny"});
}

TEST_CASE_METHOD(Situation, "rules of every stage look up members, ranges, named ports and services") {
    const std::string set = object("GlobalNetworkSet", "name: s, labels: {k: v}",
                                   "spec: {nets: [192.0.2.200, 192.0.2.16/28, '2001:db8:2::/64']}");
    const std::string slice =
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {namespace: red, name: s, labels:"
        " {kubernetes.io/service-name: s}}\naddressType: IPv4\nendpoints: [{addresses: [192.0.2.200]}]\nports:"
        " [{port: 80}]\n";
    const std::string gate = hep("up",
                                 "interfaceName: uplink, profiles: [projectcalico-default-allow], expectedIPs:"
                                 " [10.99.0.1, 'fd99::1'], ports: [{name: api, protocol: TCP, port: 6444}]");
    const std::string rules =
        "[{action: Deny, protocol: TCP, source: {selector: k == 'v'}, destination: {ports: [api, 81]}}, {action: Deny,"
        " protocol: UDP, source: {notSelector: k == 'v'}, destination: {notPorts: [53]}}, {action: Deny, protocol: "
        "SCTP,"
        " source: {services: {name: s, namespace: red}}}]";
    const std::vector<std::string> verdicts{
        "o2 > node tcp 6444 deny",  "o2 > node tcp 81 deny",    "o1 > node tcp 6444 allow",
        "o2 > node tcp 6445 allow", "o1 > node udp 7000 deny",  "o2 > node udp 7000 allow",
        "o1 > node udp 53 allow",   "o2 > node sctp 1 v4 deny", "o2 > node sctp 1 v6 allow"};
    for (const char* stage : {"doNotTrack: true, applyOnForward: true", "preDNAT: true, applyOnForward: true",
                              "applyOnForward: true", "applyOnForward: false"}) {
        INFO(stage);
        only({set, slice, gate, tier_of("early", "order: 1, defaultAction: Pass"),
              gnp("p", std::string("tier: early, selector: role == 'gate', ") + stage +
                           ", types: [Ingress], ingress: " + rules)});
        expect(verdicts);
    }
    only({set, slice, gate, tier_of("early", "order: 1, defaultAction: Pass"),
          gnp("p",
              "tier: early, selector: role == 'gate', applyOnForward: true, types: [Egress], egress: [{action: Deny,"
              " destination: {services: {name: s, namespace: red}}}, {action: Deny, protocol: UDP, destination:"
              " {selector: k == 'v'}}]")});
    expect({"node > o2 tcp 80 v4 deny", "node > o2 tcp 81 v4 allow", "node > o2 udp 7 deny", "node > o1 udp 7 allow",
            "rw,s1 > o2 tcp 80 v4 deny", "rw,s1 > o2 tcp 80 v6 allow", "rw > o2 udp 7 deny", "rw > o1 udp 7 allow"});
}

TEST_CASE_METHOD(Situation, "an endpoint of all interfaces leaves those alone that have one of their own") {
    apply(
        {hep("any", "interfaceName: '*', profiles: [projectcalico-default-allow]", "role: any"),
         hep("up", "interfaceName: uplink, profiles: [projectcalico-default-allow]"),
         gnp("out",
             "selector: role == 'any', applyOnForward: true, types: [Egress], egress: [{action: Deny, protocol: TCP},"
             " {action: Allow}]"),
         gnp("pre",
             "selector: role == 'any', preDNAT: true, applyOnForward: true, types: [Ingress], ingress: [{action: Deny,"
             " protocol: SCTP}]")});
    expect({"o1 > rd,s1 tcp 80 deny", "rw,s1 > o1 tcp 80 allow", "rw > rd tcp 80 deny", "node > s1 tcp 80 deny",
            "node > o1 tcp 80 allow", "o1 > rd udp 80 allow", "o1 > rd sctp 80 allow", "s1,rw > rd sctp 80 deny",
            "s1 > node sctp 80 deny", "o1 > node sctp 80 allow", "node > rd tcp 80 allow"});
    // Labels say whose policies those are.
    apply({hep("up", "interfaceName: uplink, profiles: [projectcalico-default-allow]", "role: any")});
    expect({"rw,s1 > o1 tcp 80 deny", "o1 > rd,node sctp 80 deny", "node > o1 tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "tunnels between nodes pass host policy, and end at a node for nodes alone") {
    const std::string other =
        object("Node", "name: node2", "spec: {bgp: {ipv4Address: 192.0.2.10/24, ipv6Address: '2001:db8:1::10/64'}}");
    apply({other, hep("any", "interfaceName: '*'")});
    expect({"o1 > node udp 4789 deny", "node > o1 udp 4789 deny"});
    apply({felix_config("vxlanEnabled: true")});
    expect({"o1 > node udp 4789 v4 allow", "node > o1 udp 4789 v4 allow", "o2 > node udp 4789 v4 deny",
            "node > o2 udp 4789 v4 deny", "o1 > node udp 4790 deny", "o1 > node udp 4789 v6 deny",
            "rw > node udp 4789 v4 deny", "o1 > node tcp 4789 deny"});
    // Neither way has a connection that would let it pass, and policy of either direction is not asked.
    expect_later({"o1 > node udp 4789 v4 allow", "o1 > node udp 4789 v4 allow", "o2 > node udp 4789 v4 deny"});
    apply({gnp("shut", "selector: role == 'gate', types: [Ingress, Egress]")});
    expect({"o1 > node udp 4789 v4 allow", "node > o1 udp 4789 v4 allow"});
    // A pool that uses it switches it on, for its family; other machines may take part.
    apply({object("IPPool", "name: six", "spec: {cidr: 'fd66::/64', vxlanMode: CrossSubnet}"),
           felix_config("externalNodesList: [192.0.2.200], vxlanPort: 4700, wireguardEnabled: true")});
    expect({"o1 > node udp 4700 v6 allow", "o2 > node udp 4700 v6 deny", "o1,o2 > node udp 4700 v4 deny",
            "o1 > node udp 4789 v6 deny", "o1,o2 > node udp 51820 v4 allow", "o3 > node udp 51820 v4 deny",
            "node > o2 udp 51820 v4 allow"});
    // Without a host endpoint only what comes from strangers is refused.
    remove({"HostEndpoint/any"});
    expect({"o1 > node udp 4700 v6 allow", "o2 > node udp 4700 v6 deny", "o2 > node udp 4701 v6 allow",
            "node > o2 udp 4700 v6 allow"});
    // What untracked policy denies does not get as far.
    apply({hep("up", "interfaceName: uplink"),
           gnp("raw",
               "selector: role == 'gate', doNotTrack: true, applyOnForward: true, types: [Ingress], ingress:"
               " [{action: Deny, protocol: UDP}]")});
    expect({"o1 > node udp 4700 v6 deny", "o1 > node tcp 4700 v6 deny", "o1 > node tcp 22 v6 allow"});
}

TEST_CASE_METHOD(Situation, "rules about hosts: their expected addresses, ports and labels") {
    apply({hep("up",
               "interfaceName: uplink, profiles: [projectcalico-default-allow], expectedIPs: [10.99.0.1,"
               " 'fd99::1'], ports: [{name: api, protocol: TCP, port: 6443}]"),
           gnp("p",
               "selector: role == 'gate', types: [Ingress], ingress: [{action: Allow, protocol: TCP, source:"
               " {selector: role == 'router'}, destination: {ports: [api]}}]"),
           np("red", "q",
              "selector: app == 'web', types: [Egress], egress: [{action: Allow, destination:"
              " {namespaceSelector: global(), selector: role == 'gate'}}]"),
           felix_config("defaultEndpointToHostAction: Accept, failsafeInboundHostPorts: []")});
    expect({"oh > node tcp 6443 allow", "o1 > node tcp 6443 deny", "oh > node tcp 80 deny", "rw > node udp 7 allow",
            "rw > o1 udp 7 deny", "rd > node udp 7 allow"});
}

}  // namespace manul::felix::test
