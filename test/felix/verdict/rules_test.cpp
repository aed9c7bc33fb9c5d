#include <catch2/catch.hpp>

#include "test/felix/verdict/situation.hpp"

// The criteria of one rule: addresses, protocols, ports, ICMP, families.
namespace manul::felix::test {

namespace {

/// A policy for ingress of the web pods of red that consists of these rules.
std::string to_web(const std::string& rules) {
    return np("red", "p", "selector: app == 'web', types: [Ingress], ingress: [" + rules + "]");
}
/// The same for their egress.
std::string from_web(const std::string& rules) {
    return np("red", "p", "selector: app == 'web', types: [Egress], egress: [" + rules + "]");
}

}  // namespace

TEST_CASE_METHOD(Situation, "a rule with a protocol matches that protocol alone, by name or number") {
    apply({to_web("{action: Allow, protocol: TCP}, {action: Allow, protocol: 132}, {action: Allow, protocol: 99}")});
    expect({"rd,o1 > rw tcp 80 allow", "rd,o1 > rw udp 80 deny", "rd,o1 > rw sctp 80 allow", "rd > rw ping deny",
            "rd > rw proto 99 allow", "rd > rw proto 99 bare allow", "rd > rw proto 253 deny"});
    apply({to_web("{action: Allow, protocol: ICMP}")});
    expect({"rd,o1 > rw icmp 8 allow", "rd,o1 > rw icmp6 128 deny", "rd > rw tcp 80 deny", "rd > rw proto 1 v6 deny"});
    apply({to_web("{action: Allow, protocol: ICMPv6}")});
    expect({"rd,o1 > rw icmp 8 deny", "rd,o1 > rw icmp6 128 allow", "rd > rw proto 58 v4 deny"});
}

TEST_CASE_METHOD(Situation, "a protocol by number takes ports where its name would") {
    apply(
        {to_web("{action: Allow, protocol: 132, destination: {ports: [80, '5000:5010']}}, {action: Allow, protocol: 6,"
                " source: {ports: [1000]}}")});
    expect({"gw > rw sctp 80 allow", "gw > rw sctp 5005 allow", "gw > rw sctp 81 deny", "gw > rw udp 80 deny",
            "gw > rw tcp 7 from 1000 allow", "gw > rw tcp 7 from 1001 deny"});
}

TEST_CASE_METHOD(Situation, "a rule with notProtocol matches every other protocol") {
    apply({to_web("{action: Allow, notProtocol: UDP}")});
    expect({"rd,o1 > rw tcp 80 allow", "rd,o1 > rw udp 80 deny", "rd > rw ping allow", "rd > rw proto 99 bare allow"});
    apply({to_web("{action: Deny, notProtocol: ICMP}, {action: Allow}")});
    expect({"rd > rw icmp 8 allow", "rd > rw icmp6 128 deny", "rd > rw tcp 80 deny"});
    apply({to_web("{action: Allow, protocol: TCP, notProtocol: TCP}, {action: Allow, protocol: UDP, notProtocol: 6}")});
    expect({"rd > rw tcp 80 deny", "rd > rw udp 80 allow"});
}

TEST_CASE_METHOD(Situation, "a rule with ipVersion matches that family alone") {
    apply({to_web("{action: Allow, ipVersion: 4, protocol: TCP}, {action: Allow, ipVersion: 6, protocol: UDP}")});
    expect({"rd,o1 > rw tcp 80 v4 allow", "rd,o1 > rw tcp 80 v6 deny", "rd,o1 > rw udp 80 v4 deny",
            "rd,o1 > rw udp 80 v6 allow", "rd > rw ping deny"});
    apply({to_web("{action: Deny, ipVersion: 6}, {action: Allow}")});
    expect({"rd > rw tcp 80 v4 allow", "rd > rw tcp 80 v6 deny", "rd > rw ping v4 allow", "rd > rw ping v6 deny"});
}

TEST_CASE_METHOD(Situation, "nets are any of them, and of one family say nothing about the other") {
    apply({to_web("{action: Allow, source: {nets: [192.0.2.0/24, 10.65.0.2/32]}}")});
    expect({"o1,o2,rd > rw tcp 80 v4 allow", "o3,gw > rw tcp 80 v4 deny", "o1,o2,rd,gw > rw tcp 80 v6 deny"});
    apply({to_web("{action: Allow, source: {nets: ['2001:db8::/32', 'fd65::2/127']}}")});
    expect({"o1,rd > rw tcp 80 v6 allow", "o2,o3,gw > rw udp 80 v6 allow", "o1,rd > rw tcp 80 v4 deny"});
}

TEST_CASE_METHOD(Situation, "a net of length zero is every address of its family") {
    apply({to_web("{action: Allow, source: {nets: [0.0.0.0/0]}}")});
    expect({"o1,rd > rw tcp 80 v4 allow", "o1,rd > rw tcp 80 v6 deny"});
    apply({to_web("{action: Allow, source: {nets: ['::/0', 'fd65::/64']}}")});
    expect({"o1,rd > rw tcp 80 v4 deny", "o1,rd > rw tcp 80 v6 allow"});
    apply({to_web("{action: Allow, source: {nets: [10.65.0.0/24, 0.0.0.0/0], notNets: [10.65.0.2/31]}}")});
    expect({"o1,ga > rw tcp 80 v4 allow", "rd,gw > rw tcp 80 v4 deny", "ga > rw tcp 80 v6 deny"});
}

TEST_CASE_METHOD(Situation, "notNets are none of them, and leave the rule to their family") {
    apply({to_web("{action: Allow, source: {notNets: [192.0.2.0/25, 10.65.0.3/32]}}")});
    expect({"o2,o3,rd > rw tcp 80 v4 allow", "o1,gw > rw tcp 80 v4 deny", "o2,rd > rw tcp 80 v6 deny"});
    apply({to_web("{action: Deny, source: {notNets: ['2001:db8:1::/64']}}, {action: Allow}")});
    expect({"o1 > rw tcp 80 v6 allow", "o2,rd > rw tcp 80 v6 deny", "o2,rd > rw tcp 80 v4 allow"});
    apply({to_web("{action: Allow, source: {nets: [192.0.2.0/24], notNets: [192.0.2.0/28, 192.0.2.0/26]}}")});
    expect({"o2 > rw tcp 80 v4 allow", "o1,rd > rw tcp 80 v4 deny", "o2 > rw tcp 80 v6 deny"});
    apply({to_web("{action: Allow, ipVersion: 6, source: {notNets: ['fd65::/64']}}")});
    expect({"o2 > rw tcp 80 v6 allow", "rd > rw tcp 80 v6 deny", "o2,rd > rw tcp 80 v4 deny"});
}

TEST_CASE_METHOD(Situation, "notNets that exclude everything match nothing, even if a newer version let them pass") {
    force({to_web("{action: Allow, source: {notNets: [0.0.0.0/0]}}")});
    expect({"o1,rd > rw tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "nets of the destination are those that the packet has on the wire") {
    apply({from_web("{action: Allow, destination: {nets: [192.0.2.0/25, 10.65.0.4/30], notNets: [10.65.0.5/32]}}")});
    expect({"rw > o1,ga,bx tcp 80 v4 allow", "rw > o2,bd,gw tcp 80 v4 deny", "rw > o1,ga tcp 80 v6 deny"});
    apply(
        {to_web("{action: Allow, destination: {nets: [10.65.0.1/32]}},"
                " {action: Allow, destination: {nets: ['fd65::2/128']}}")});
    expect({"o1 > rw tcp 80 v4 allow", "o1 > rw tcp 80 v6 deny"});
}

TEST_CASE_METHOD(Situation, "ports are numbers and ranges of the destination or the source") {
    apply(
        {to_web("{action: Allow, protocol: TCP, destination: {ports: [80, 90, '100:200', '200:300', '301:302']}},"
                " {action: Allow, protocol: UDP, source: {ports: ['1000:1999']}, destination: {ports: [53]}},"
                " {action: Allow, protocol: SCTP, destination: {ports: ['1:65535']}}")});
    expect({"rd > rw tcp 80 allow", "rd > rw tcp 90 allow", "rd > rw tcp 100 allow", "rd > rw tcp 302 allow",
            "rd > rw tcp 81 deny", "rd > rw tcp 99 deny", "rd > rw tcp 303 deny", "rd > rw udp 80 deny",
            "o1 > rw udp 53 from 1000 allow", "o1 > rw udp 53 from 1999 allow", "o1 > rw udp 53 from 999 deny",
            "o1 > rw udp 53 from 2000 deny", "o1 > rw udp 54 from 1500 deny", "rd > rw sctp 1 allow",
            "rd > rw sctp 65535 allow", "rd > rw ping deny", "rd > rw proto 99 deny"});
}

TEST_CASE_METHOD(Situation, "notPorts are none of them") {
    apply(
        {to_web("{action: Allow, protocol: TCP, destination: {notPorts: [80, '90:100']}},"
                " {action: Allow, protocol: UDP, source: {notPorts: ['1:1023']}}")});
    expect({"rd > rw tcp 79 allow", "rd > rw tcp 80 deny", "rd > rw tcp 95 deny", "rd > rw tcp 101 allow",
            "o1 > rw udp 53 from 1023 deny", "o1 > rw udp 53 from 1024 allow", "rd > rw sctp 79 deny",
            "rd > rw ping deny"});
    apply({to_web("{action: Allow, protocol: TCP, destination: {ports: ['1:100'], notPorts: [50]}}")});
    expect({"rd > rw tcp 49 allow", "rd > rw tcp 50 deny", "rd > rw tcp 101 deny"});
}

TEST_CASE_METHOD(Situation, "a list of many ports is one criterion") {
    std::string ports;
    for (int port = 1000; port < 1100; port += 2) {
        ports += (ports.empty() ? "" : ", ") + std::to_string(port);
    }
    apply({to_web("{action: Allow, protocol: TCP, source: {nets: [192.0.2.0/24, 10.0.0.0/8]}, destination: {ports: [" +
                  ports + "]}}")});
    expect({"o1,rd > rw tcp 1000 v4 allow", "o1 > rw tcp 1098 v4 allow", "o1 > rw tcp 1001 v4 deny",
            "o3 > rw tcp 1000 v4 deny"});
}

TEST_CASE_METHOD(Situation, "icmp matches the type, and the code where one is given") {
    apply(
        {to_web("{action: Allow, protocol: ICMP, icmp: {type: 8}}, {action: Allow, protocol: ICMP,"
                " icmp: {type: 13, code: 0}}, {action: Allow, protocol: ICMPv6, icmp: {type: 128, code: 3}}")});
    expect({"rd,o1 > rw icmp 8/0 allow", "rd > rw icmp 8/7 allow", "rd > rw icmp 13/0 allow", "rd > rw icmp 13/1 deny",
            "rd > rw icmp 17/0 deny", "rd > rw icmp6 128/3 allow", "rd > rw icmp6 128/0 deny",
            "rd > rw icmp6 139/3 deny", "rd > rw tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "icmp type and code 0 are criteria like others") {
    // An echo reply without a request is no connection that could be judged, so let what tracking calls invalid pass.
    apply({felix_config("disableConntrackInvalidCheck: true"),
           to_web("{action: Allow, protocol: ICMP, icmp: {type: 0, code: 0}},"
                  " {action: Allow, protocol: ICMPv6, icmp: {type: 1, code: 0}}")});
    expect({"rd > rw icmp 0/0 allow", "rd > rw icmp 0/1 deny", "rd > rw icmp 8/0 deny", "rd > rw icmp 3/0 deny",
            "rd > rw icmp6 1/0 allow", "rd > rw icmp6 1/1 deny", "rd > rw icmp6 0/0 deny", "rd > rw icmp6 128/0 deny"});
}

TEST_CASE_METHOD(Situation, "what connection tracking calls invalid is dropped unless configured otherwise") {
    expect_of_kernel(
        {"rd > rw icmp 0/0 deny", "rd > rw icmp6 129/0 deny", "rd > o1 icmp 0/0 deny", "o1 > rw icmp 0/0 deny"});
    apply({felix_config("disableConntrackInvalidCheck: true")});
    expect({"rd > rw icmp 0/0 allow", "rd > rw icmp6 129/0 allow", "rd > o1 icmp 0/0 allow", "o1 > rw icmp 0/0 allow"});
}

TEST_CASE_METHOD(Situation, "icmp of the other family's protocol matches nothing") {
    // Without an endpoint's own stack in the way, both numbers can be sent in both families.
    apply({to_web("{action: Allow, protocol: ICMP, icmp: {type: 8}}")});
    expect({"rd > rw icmp 8 allow", "rd > rw icmp6 128 deny", "rd > rw proto 1 v6 deny"});
    apply({to_web("{action: Allow, protocol: ICMPv6, icmp: {type: 0}}")});
    expect({"rd > rw proto 58 v4 deny"});
}

TEST_CASE_METHOD(Situation, "notICMP is the negation of type and code together") {
    apply(
        {to_web("{action: Allow, protocol: ICMP, notICMP: {type: 8, code: 1}},"
                " {action: Allow, protocol: ICMPv6, notICMP: {type: 128}}")});
    expect({"rd > rw icmp 8/0 allow", "rd > rw icmp 8/1 deny", "rd > rw icmp 13/1 allow", "rd > rw icmp 13/0 allow",
            "rd > rw icmp6 128/0 deny", "rd > rw icmp6 128/5 deny", "rd > rw icmp6 139/0 allow", "rd > rw tcp 80 deny",
            "rd > rw proto 99 deny"});
    apply({to_web("{action: Allow, protocol: ICMP, icmp: {type: 8}, notICMP: {type: 8, code: 3}}")});
    expect({"rd > rw icmp 8/0 allow", "rd > rw icmp 8/3 deny", "rd > rw icmp 13/0 deny"});
}

TEST_CASE_METHOD(Situation, "notICMP without a protocol holds for every packet that is not ICMP") {
    apply({to_web("{action: Allow, notICMP: {type: 8}}")});
    expect({"rd > rw icmp 8/0 deny", "rd > rw icmp 13/0 allow", "rd > rw tcp 80 allow", "rd > rw udp 80 allow",
            "rd > rw proto 99 allow", "rd > rw icmp6 128 allow"});
    apply({to_web("{action: Allow, protocol: TCP, notICMP: {type: 8}}")});
    expect({"rd > rw tcp 80 allow", "rd > rw udp 80 deny", "rd > rw icmp 13 deny"});
    apply({to_web("{action: Deny, notICMP: {type: 8, code: 0}}, {action: Allow}")});
    expect({"rd > rw icmp 8/0 allow", "rd > rw icmp 8/1 deny", "rd > rw tcp 80 deny"});
}

TEST_CASE_METHOD(Situation, "all criteria of a rule must hold at once") {
    apply(
        {to_web("{action: Allow, protocol: TCP, ipVersion: 4, source: {nets: [10.65.0.0/24], notNets: [10.65.0.3/32],"
                " selector: has(app), notSelector: app == 'api', namespaceSelector: has(env), ports: ['1000:2000']},"
                " destination: {nets: [10.65.0.1/32], ports: [80, http], notPorts: [81]}}")});
    expect({"rd > rw tcp 80 from 1500 v4 allow", "rd > rw tcp 8080 from 1500 v4 allow",
            "rd > rw tcp 8080 from 1500 v6 deny", "rd > rw tcp 80 from 2500 v4 deny", "gw > rw tcp 80 from 1500 deny",
            "ga > rw tcp 80 from 1500 deny", "bx > rw tcp 80 from 1500 deny", "bd > rw tcp 80 from 1500 v4 allow",
            "o1 > rw tcp 80 from 1500 deny", "rd > rw udp 80 from 1500 deny"});
}

TEST_CASE_METHOD(Situation, "a rule that allows more than can be enforced matches nothing; a deny does what it can") {
    force(
        {to_web("{action: Allow, protocol: TCP, http: {methods: [GET]}}, {action: Allow, protocol: UDP,"
                " source: {services: {name: s, namespace: red}}}, {action: Allow, protocol: SCTP, fromTheFuture: 1},"
                " {action: Deny, protocol: ICMP, fromTheFuture: 1}, {action: Allow, protocol: ICMP}")});
    expect({"rd > rw tcp 80 deny", "rd > rw udp 80 deny", "rd > rw sctp 80 deny", "rd > rw icmp 8 deny"});
    force({to_web("{action: Pass, protocol: SCTP, fromTheFuture: 1}, {action: Allow, protocol: ICMP}")});
    expect({"rd > rw sctp 80 deny", "rd > rw icmp 8 allow"});
}

TEST_CASE_METHOD(Situation, "ports and types are found behind options and extension headers, and in fragments") {
    const std::string rules =
        "{action: Deny, protocol: UDP, SIDE: {ports: [81]}}, {action: Allow, protocol: UDP, SIDE: {ports: ['80:89']}},"
        " {action: Allow, protocol: TCP, SIDE: {ports: [80]}}, {action: Allow, protocol: SCTP, SIDE: {ports: [80]}},"
        " {action: Allow, protocol: ICMP, icmp: {type: 8}}, {action: Allow, protocol: ICMPv6, icmp: {type: 128}}";
    const auto about = [&rules](const std::string& side) {
        std::string text = rules;
        for (std::size_t at = 0; (at = text.find("SIDE", at)) != std::string::npos;) {
            text.replace(at, 4, side);
        }
        return text;
    };
    apply({to_web(about("destination"))});
    for (const std::string form : {"options", "fragments", "shuffled"}) {
        expect({"rd,o1 > rw udp 80 " + form + " allow", "rd,o1 > rw udp 81 " + form + " deny",
                "rd,o1 > rw udp 90 " + form + " deny", "rd,o1 > rw tcp 80 " + form + " allow",
                "rd,o1 > rw tcp 81 " + form + " deny", "rd > rw sctp 80 " + form + " allow",
                "rd > rw sctp 81 " + form + " deny", "rd,o1 > rw ping " + form + " allow",
                "rd > rw icmp 13 " + form + " deny", "rd > rw icmp6 139 " + form + " deny",
                "rd > rw proto 99 " + form + " deny"});
    }
    apply({from_web(about("source"))});
    for (const std::string form : {"options", "fragments", "shuffled"}) {
        expect({"rw > rd,o1 udp 7 from 80 " + form + " allow", "rw > rd,o1 udp 7 from 81 " + form + " deny",
                "rw > o1 tcp 80 from 79 " + form + " deny", "rw > o1,node icmp 13 " + form + " deny"});
    }
}

TEST_CASE_METHOD(Situation, "a fragment without the first one goes nowhere, whatever policy allows") {
    expect_of_kernel({"rd,o1 > rw udp 80 rest deny", "rw > o1,gw tcp 80 rest deny", "rw > node udp 80 rest deny"});
}

}  // namespace manul::felix::test
