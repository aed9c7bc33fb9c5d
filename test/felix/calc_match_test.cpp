// What rules match: criteria of a rule, selectors of either end, named ports, Kubernetes policies.

#include <catch2/catch.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/model/kubernetes.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "felix/eval/evaluate.hpp"
#include "felix/eval/packet.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/snapshot.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "test/felix/accumulator.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

namespace {

const model::ResourcePtr kDualWeb = pod({.name = "web", .ips = {"10.0.0.1", "fd00::1"}, .labels = {{"app", "web"}}});

/// Whether an ingress rule with these criteria matches the packet.
bool rule_matches(const model::Rule& rule, const Packet& packet) {
    World world{kDualWeb, global_policy({.name = "p", .ingress = {rule}})};
    return world.evaluate(kDualWeb, Direction::ingress, packet).decided_by == DecidedBy::policy_rule;
}

model::Rule icmp_rule(std::optional<net::Protocol> protocol, std::optional<model::IcmpMatch> icmp_match,
                      std::optional<model::IcmpMatch> not_icmp) {
    model::Rule rule = allow({.protocol = protocol});
    rule.icmp = icmp_match;
    rule.not_icmp = not_icmp;
    return rule;
}

}  // namespace

TEST_CASE("every criterion of a rule must hold") {
    struct Row {
        const char* name;
        model::Rule rule;
        Packet packet;
        bool matches;
    };
    const Packet v4 = tcp("192.0.2.1", "10.0.0.1", 80, 4000);
    const Packet v6 = tcp("2001:db8::1", "fd00::1", 80, 4000);
    const auto row = GENERATE_COPY(values<Row>({
        {"nothing given", allow(), v4, true},
        {"nothing given, IPv6", allow(), v6, true},
        {"protocol", allow({.protocol = net::kTcp}), v4, true},
        {"other protocol", allow({.protocol = net::kUdp}), v4, false},
        {"a net", allow({.source = {.nets = {"192.0.2.0/24"}}}), v4, true},
        {"any of several nets", allow({.source = {.nets = {"198.51.100.0/24", "192.0.2.1/32"}}}), v4, true},
        {"none of the nets", allow({.source = {.nets = {"198.51.100.0/24"}}}), v4, false},
        {"all addresses as a net", allow({.source = {.nets = {"0.0.0.0/0"}}}), v4, true},
        {"nets of the other family", allow({.source = {.nets = {"0.0.0.0/0"}}}), v6, false},
        {"outside notNets", allow({.source = {.not_nets = {"198.51.100.0/24"}}}), v4, true},
        {"inside notNets", allow({.source = {.not_nets = {"192.0.2.0/24"}}}), v4, false},
        {"notNets of the other family are not any", allow({.source = {.not_nets = {"192.0.2.0/24"}}}), v6, false},
        {"notNets of everything", allow({.source = {.not_nets = {"0.0.0.0/0"}}}), v4, false},
        {"a block without a part of it", allow({.source = {.nets = {"192.0.2.0/24"}, .not_nets = {"192.0.2.0/30"}}}),
         v4, false},
        {"a block whose exception covers it",
         allow({.source = {.nets = {"192.0.2.0/24"}, .not_nets = {"192.0.0.0/16"}}}), v4, false},
        {"destination net", allow({.destination = {.nets = {"10.0.0.1/32"}}}), v4, true},
        {"a port", allow({.protocol = net::kTcp, .destination = {.ports = {"80"}}}), v4, true},
        {"a range", allow({.protocol = net::kTcp, .destination = {.ports = {"1", "79:81"}}}), v4, true},
        {"the full range", allow({.protocol = net::kTcp, .destination = {.ports = {"1:65535"}}}), v4, true},
        {"other ports", allow({.protocol = net::kTcp, .destination = {.ports = {"81", "443"}}}), v4, false},
        {"source port", allow({.protocol = net::kTcp, .source = {.ports = {"4000"}}}), v4, true},
        {"outside notPorts", allow({.protocol = net::kTcp, .destination = {.not_ports = {"443"}}}), v4, true},
        {"inside notPorts", allow({.protocol = net::kTcp, .destination = {.not_ports = {"80"}}}), v4, false},
        {"SCTP by number with ports", allow({.protocol = net::Protocol::make(132), .destination = {.ports = {"80"}}}),
         v4, false},
    }));
    CAPTURE(row.name);
    CHECK(rule_matches(row.rule, row.packet) == row.matches);
}

TEST_CASE("ipVersion and notProtocol restrict a rule") {
    model::Rule rule = allow();
    rule.ip_version = net::Family::v6;
    CHECK_FALSE(rule_matches(rule, tcp("192.0.2.1", "10.0.0.1")));
    CHECK(rule_matches(rule, tcp("2001:db8::1", "fd00::1")));
    rule = allow();
    rule.not_protocol = net::kUdp;
    CHECK(rule_matches(rule, tcp("192.0.2.1", "10.0.0.1")));
    CHECK_FALSE(rule_matches(rule, udp("192.0.2.1", "10.0.0.1", 53)));
}

TEST_CASE("a later fragment satisfies no criterion about ports") {
    Packet fragment = tcp("192.0.2.1", "10.0.0.1");
    fragment.source_port.reset();
    fragment.destination_port.reset();
    CHECK_FALSE(rule_matches(allow({.protocol = net::kTcp, .destination = {.ports = {"1:65535"}}}), fragment));
    CHECK_FALSE(rule_matches(allow({.protocol = net::kTcp, .destination = {.not_ports = {"443"}}}), fragment));
    CHECK(rule_matches(allow({.protocol = net::kTcp}), fragment));
}

TEST_CASE("what has no ports has none of those that are excluded") {
    const Packet echo = icmp("192.0.2.1", "10.0.0.1", 8, 0);
    CHECK(rule_matches(allow({.destination = {.not_ports = {"http"}}}), echo));
    CHECK_FALSE(rule_matches(allow({.destination = {.ports = {"http"}}}), echo));
}

TEST_CASE("ICMP type and code, and their true negation") {
    using Icmp = model::IcmpMatch;
    struct Row {
        const char* name;
        model::Rule rule;
        Packet packet;
        bool matches;
    };
    const Packet echo = icmp("192.0.2.1", "10.0.0.1", 8, 0);
    const Packet zero = icmp("192.0.2.1", "10.0.0.1", 0, 0);
    const Packet unreachable = icmp("192.0.2.1", "10.0.0.1", 3, 1);
    const Packet echo6 = icmp("2001:db8::1", "fd00::1", 128, 0);
    const Packet not_icmp = tcp("192.0.2.1", "10.0.0.1");
    Packet stray = echo6;  // the other family's protocol
    stray.protocol = net::kIcmp;
    const auto row = GENERATE_COPY(values<Row>({
        {"ICMP is of IPv4", icmp_rule(net::kIcmp, {}, {}), stray, false},
        {"type", icmp_rule(net::kIcmp, Icmp{8, {}}, {}), echo, true},
        {"type zero and code zero", icmp_rule(net::kIcmp, Icmp{0, 0}, {}), zero, true},
        {"type zero is not any type", icmp_rule(net::kIcmp, Icmp{0, {}}, {}), echo, false},
        {"other code", icmp_rule(net::kIcmp, Icmp{3, 2}, {}), unreachable, false},
        {"ICMPv6", icmp_rule(net::kIcmpv6, Icmp{128, {}}, {}), echo6, true},
        {"ICMP does not mean ICMPv6", icmp_rule(net::kIcmp, {}, {}), echo6, false},
        {"type on TCP", icmp_rule({}, Icmp{8, {}}, {}), not_icmp, false},
        {"not that type", icmp_rule(net::kIcmp, {}, Icmp{8, {}}), echo, false},
        {"not: other type", icmp_rule(net::kIcmp, {}, Icmp{8, {}}), zero, true},
        {"not: same type, other code", icmp_rule(net::kIcmp, {}, Icmp{3, 2}), unreachable, true},
        {"not, protocol ICMP, TCP packet", icmp_rule(net::kIcmp, {}, Icmp{8, {}}), not_icmp, false},
        {"not, no protocol, TCP packet", icmp_rule({}, {}, Icmp{8, {}}), not_icmp, true},
    }));
    CAPTURE(row.name);
    CHECK(rule_matches(row.rule, row.packet) == row.matches);
}

TEST_CASE("rules that cannot be enforced open nothing, and still deny by what is known") {
    model::Rule open = allow();
    model::Rule skip = pass();
    model::Rule close = deny({.source = {.nets = {"192.0.2.0/24"}}});
    SECTION("unknown fields") { open.has_unknown_fields = skip.has_unknown_fields = close.has_unknown_fields = true; }
    SECTION("http") { open.http = skip.http = close.http = model::HttpMatch{{"GET"}, {}}; }
    SECTION("services") {
        open.destination.services = skip.destination.services = close.destination.services =
            model::ServiceMatch{"s", "ns1"};
    }
    const Packet packet = tcp("192.0.2.1", "10.0.0.1");
    CHECK_FALSE(rule_matches(open, packet));
    CHECK_FALSE(rule_matches(skip, packet));
    CHECK(rule_matches(close, packet));
    CHECK_FALSE(rule_matches(close, tcp("198.51.100.1", "10.0.0.1")));
    World world{kDualWeb, global_policy({.name = "p", .ingress = {open, close}})};
    world.flush();
    const std::vector<Report> reports = world.graph().reports();
    REQUIRE(reports.size() == 2);
    CHECK(reports[0].effect == Report::Effect::partly);
    CHECK(reports[0].reason.starts_with("spec.ingress[0]: "));
}

// --- selectors -------------------------------------------------------------------------------------------------------

TEST_CASE("what a selector of a rule covers depends on the policy it stands in") {
    struct Row {
        const char* name;
        bool global;
        EntitySpec source;
        std::string matching;  ///< letters of the sources below
    };
    // a: pod app=x in ns1; b: pod app=y in ns1; c: pod app=x in ns2; h: host endpoint app=x; n: NetworkSet app=x in
    // ns1; g: GlobalNetworkSet app=x; e: an address that nobody knows.
    const auto row = GENERATE(values<Row>({
        {"namespaced: nothing", false, {}, "abchnge"},
        {"namespaced: selector", false, {.selector = "app == 'x'"}, "an"},
        {"namespaced: all()", false, {.selector = "all()"}, "abn"},
        {"namespaced: namespaceSelector", false, {.namespace_selector = "team == 'b'"}, "c"},
        {"namespaced: namespaceSelector all()", false, {.namespace_selector = "all()"}, "abcn"},
        {"namespaced: both", false, {.selector = "app == 'x'", .namespace_selector = "has(team)"}, "acn"},
        {"namespaced: global()", false, {.selector = "app == 'x'", .namespace_selector = "global()"}, "hg"},
        {"namespaced: global() alone", false, {.namespace_selector = "global()"}, "hg"},
        {"namespaced: notSelector only", false, {.not_selector = "app == 'x'"}, "b"},
        {"namespaced: both kinds", false, {.selector = "has(app)", .not_selector = "app == 'y'"}, "an"},
        {"namespaced: account", false, {.accounts = model::ServiceAccountMatch{{"sa1"}, ""}}, "a"},
        {"namespaced: account selector", false, {.accounts = model::ServiceAccountMatch{{}, "role == 'r'"}}, "a"},
        {"namespaced: any account", false, {.accounts = model::ServiceAccountMatch{{}, "all()"}}, "ab"},
        {"namespaced: empty accounts", false, {.accounts = model::ServiceAccountMatch{}}, "ab"},
        {"namespaced: account in other namespaces",
         false,
         {.namespace_selector = "all()", .accounts = model::ServiceAccountMatch{{"sa1"}, ""}},
         "ac"},
        {"global: nothing", true, {}, "abchnge"},
        {"global: selector", true, {.selector = "app == 'x'"}, "achng"},
        {"global: all()", true, {.selector = "all()"}, "abchng"},
        {"global: namespaceSelector", true, {.namespace_selector = "team == 'a'"}, "abn"},
        {"global: namespaceSelector all()", true, {.namespace_selector = "all()"}, "abcn"},
        {"global: global()", true, {.namespace_selector = "global()"}, "hg"},
        {"global: notSelector only", true, {.not_selector = "app == 'x'"}, "be"},
        {"global: both kinds", true, {.selector = "has(app)", .not_selector = "app == 'x'"}, "b"},
        {"global: account", true, {.accounts = model::ServiceAccountMatch{{"sa1"}, ""}}, "ac"},
        {"global: any account", true, {.accounts = model::ServiceAccountMatch{}}, "abc"},
        {"nets and selector", true, {.selector = "app == 'x'", .nets = {"10.1.0.0/16"}}, "ac"},
    }));
    CAPTURE(row.name);
    const model::StringMap x = {{"app", "x"}};
    const model::Rule rule = allow({.source = row.source});
    World world{kDualWeb,
                namespace_("ns1", {{"team", "a"}}),
                namespace_("ns2", {{"team", "b"}}),
                account("ns1", "sa1", {{"role", "r"}}),
                pod({.ns = "ns1", .name = "a", .ips = {"10.1.0.1"}, .labels = x, .account = "sa1"}),
                pod({.ns = "ns1", .name = "b", .ips = {"10.1.0.2"}, .labels = {{"app", "y"}}, .node = "node2"}),
                pod({.ns = "ns2", .name = "c", .ips = {"10.1.0.3"}, .labels = x, .node = "node2", .account = "sa1"}),
                host_endpoint("h", {"10.2.0.1"}, x),
                network_set("ns1", "n", {"10.3.0.0/16"}, x),
                network_set("", "g", {"10.4.0.1/32"}, x)};
    if (row.global) {
        world.put(global_policy({.name = "p", .selector = "app == 'web'", .ingress = {rule}}));
    } else {
        world.put(policy("ns1", {.name = "p", .selector = "app == 'web'", .ingress = {rule}}));
    }
    struct Source {
        char letter;
        const char* address;
    };
    std::string matching;
    for (const Source& source :
         {Source{'a', "10.1.0.1"}, Source{'b', "10.1.0.2"}, Source{'c', "10.1.0.3"}, Source{'h', "10.2.0.1"},
          Source{'n', "10.3.7.7"}, Source{'g', "10.4.0.1"}, Source{'e', "192.0.2.1"}}) {
        if (world.allows_ingress(kDualWeb, tcp(source.address, "10.0.0.1"))) {
            matching += source.letter;
        }
    }
    CHECK(matching == row.matching);
}

TEST_CASE("equal selectors of different policies share one set, which stays until the last is gone") {
    const auto from_db = allow({.source = {.selector = "app == 'db'"}});
    const auto spelled = allow({.source = {.selector = "( app  ==  \"db\" )"}});
    World world{kDualWeb, policy("ns1", {.name = "one", .ingress = {from_db}}),
                policy("ns1", {.name = "two", .ingress = {spelled}})};
    CHECK(world.state().sets.size() == 1);
    world.remove(policy("ns1", {.name = "one"}));
    CHECK(world.state().sets.size() == 1);
    world.remove(policy("ns1", {.name = "two"}));
    CHECK(world.state().sets.empty());
}

TEST_CASE("an address that several objects stand for stays until the last one goes") {
    const auto db = pod({.name = "db", .ips = {"10.0.0.5"}, .labels = {{"app", "db"}}, .node = "node2"});
    const auto successor = pod({.name = "db2", .ips = {"10.0.0.5"}, .labels = {{"app", "db"}}, .node = "node2"});
    World world{kDualWeb, db,
                policy("ns1", {.name = "p", .ingress = {allow({.source = {.selector = "app == 'db'"}})}})};
    world.flush();
    world.put(successor);
    CHECK(world.flush().empty());  // nothing changed for the dataplane
    world.remove(db);
    CHECK(world.flush().empty());
    CHECK(world.allows_ingress(kDualWeb, tcp("10.0.0.5", "10.0.0.1")));
    world.remove(successor);
    CHECK_FALSE(world.allows_ingress(kDualWeb, tcp("10.0.0.5", "10.0.0.1")));
}

TEST_CASE("of overlapping nets in two sets the inner one stays when the outer goes") {
    const model::StringMap x = {{"kind", "x"}};
    const auto outer = network_set("", "outer", {"10.8.0.0/16"}, x);
    World world{kDualWeb, outer, network_set("", "inner", {"10.8.1.0/24"}, x),
                global_policy({.name = "p", .ingress = {allow({.source = {.selector = "kind == 'x'"}})}})};
    CHECK(world.allows_ingress(kDualWeb, tcp("10.8.2.1", "10.0.0.1")));
    world.remove(outer);
    CHECK_FALSE(world.allows_ingress(kDualWeb, tcp("10.8.2.1", "10.0.0.1")));
    CHECK(world.allows_ingress(kDualWeb, tcp("10.8.1.1", "10.0.0.1")));
}

TEST_CASE("a net of length 0 in a NetworkSet becomes its two halves") {
    World world{kDualWeb, network_set("", "all", {"0.0.0.0/0", "::/0"}, {{"kind", "x"}}),
                global_policy({.name = "p", .ingress = {allow({.source = {.selector = "kind == 'x'"}})}})};
    REQUIRE(world.state().sets.size() == 1);
    const SetSnapshot& set = world.state().sets.begin()->second;
    CHECK(set.prefixes == std::set{cidr("0.0.0.0/1"), cidr("128.0.0.0/1"), cidr("::/1"), cidr("8000::/1")});
    CHECK(world.allows_ingress(kDualWeb, tcp("203.0.113.1", "10.0.0.1")));
    CHECK(world.allows_ingress(kDualWeb, tcp("fe80::1", "fd00::1")));
}

// --- named ports -----------------------------------------------------------------------------------------------------

TEST_CASE("a named port means what each endpoint declares under that name") {
    const auto a = pod({.name = "a", .ips = {"10.1.0.1", "fd01::1"}, .ports = {port("http", 8080)}});
    const auto b = pod({.ns = "ns2",
                        .name = "b",
                        .ips = {"10.1.0.2"},
                        .node = "node2",
                        .ports = {port("http", 9090), port("http", 9091, net::kUdp), port("dns", 53, net::kUdp)}});
    struct Row {
        const char* name;
        model::ResourcePtr policy;
        Packet packet;
        bool allowed;
    };
    const auto egress_to = [](const EntitySpec& destination, std::optional<net::Protocol> protocol) {
        return global_policy({.name = "p",
                              .selector = "app == 'web'",
                              .types = {kEgress},
                              .egress = {allow({.protocol = protocol, .destination = destination})}});
    };
    const auto any_http = egress_to({.ports = {"http"}}, net::kTcp);
    const auto row = GENERATE_COPY(values<Row>({
        {"its own number", any_http, tcp("10.0.0.1", "10.1.0.1", 8080), true},
        {"IPv6", any_http, tcp("fd00::1", "fd01::1", 8080), true},
        {"another endpoint's number", any_http, tcp("10.0.0.1", "10.1.0.1", 9090), false},
        {"the other endpoint, another node and namespace", any_http, tcp("10.0.0.1", "10.1.0.2", 9090), true},
        {"the same name in another protocol", any_http, udp("10.0.0.1", "10.1.0.2", 9091), false},
        {"no protocol: every one", egress_to({.ports = {"http"}}, {}), udp("10.0.0.1", "10.1.0.2", 9091), true},
        {"no endpoint of that address", any_http, tcp("10.0.0.1", "10.1.0.9", 8080), false},
        {"host endpoints have named ports", any_http, tcp("10.0.0.1", "10.2.0.1", 7070), true},
        {"numbers beside names", egress_to({.ports = {"http", "22"}}, net::kTcp), tcp("10.0.0.1", "192.0.2.1", 22),
         true},
        {"within a selector",
         egress_to({.namespace_selector = "projectcalico.org/name == 'ns2'", .ports = {"http"}}, net::kTcp),
         tcp("10.0.0.1", "10.1.0.1", 8080), false},
        {"within a selector, matching",
         egress_to({.namespace_selector = "projectcalico.org/name == 'ns2'", .ports = {"http"}}, net::kTcp),
         tcp("10.0.0.1", "10.1.0.2", 9090), true},
        {"numbers within a selector",
         egress_to({.namespace_selector = "projectcalico.org/name == 'ns2'", .ports = {"http", "22"}}, net::kTcp),
         tcp("10.0.0.1", "10.1.0.1", 22), false},
        {"not the named port", egress_to({.not_ports = {"http"}}, net::kTcp), tcp("10.0.0.1", "10.1.0.1", 8080), false},
        {"another than the named port", egress_to({.not_ports = {"http"}}, net::kTcp),
         tcp("10.0.0.1", "10.1.0.1", 9090), true},
    }));
    CAPTURE(row.name);
    World world{kDualWeb, a, b, host_endpoint("h", {"10.2.0.1"}, {}, {{"http", net::kTcp, 7070}}), row.policy};
    CHECK(world.allows_egress(kDualWeb, row.packet) == row.allowed);
}

TEST_CASE("a port that is renamed or renumbered moves in its sets") {
    const auto egress = global_policy({.name = "p",
                                       .types = {kEgress},
                                       .egress = {allow({.protocol = net::kTcp, .destination = {.ports = {"http"}}})}});
    const auto with_port = [](const char* name, std::uint16_t number) {
        return pod({.name = "a", .ips = {"10.1.0.1"}, .ports = {port(name, number)}});
    };
    World world{kDualWeb, egress, with_port("http", 8080)};
    CHECK(world.allows_egress(kDualWeb, tcp("10.0.0.1", "10.1.0.1", 8080)));
    world.put(with_port("http", 8081));
    CHECK_FALSE(world.allows_egress(kDualWeb, tcp("10.0.0.1", "10.1.0.1", 8080)));
    CHECK(world.allows_egress(kDualWeb, tcp("10.0.0.1", "10.1.0.1", 8081)));
    world.put(with_port("web", 8081));
    CHECK_FALSE(world.allows_egress(kDualWeb, tcp("10.0.0.1", "10.1.0.1", 8081)));
}

// --- Kubernetes ------------------------------------------------------------------------------------------------------

namespace {

struct KubernetesSpec {
    std::optional<model::LabelSelector> peer_pods = {};
    std::optional<model::LabelSelector> peer_namespaces = {};
    std::vector<model::KubernetesPort> ports = {};
    bool any_peer = false;
};

model::ResourcePtr kubernetes_policy(const KubernetesSpec& spec) {
    auto out = std::make_shared<model::KubernetesNetworkPolicy>();
    out->metadata.name = "knp";
    out->metadata.ns = "ns1";
    out->spec.pod_selector.match_labels = {{"app", "web"}};
    model::KubernetesIngressRule rule;
    rule.ports = spec.ports;
    if (!spec.any_peer) {
        model::KubernetesPeer peer;
        peer.pod_selector = spec.peer_pods;
        peer.namespace_selector = spec.peer_namespaces;
        rule.from = {peer};
    }
    out->spec.ingress = {rule};
    return out;
}

}  // namespace

TEST_CASE("a Kubernetes policy covers pods alone, with its own idea of peers") {
    const model::LabelSelector everything;
    model::LabelSelector x;
    x.match_labels = {{"app", "x"}};
    struct Row {
        const char* name;
        model::ResourcePtr policy;
        std::string matching;
    };
    // a: pod app=x in ns1; b: pod app=y in ns1; c: pod app=x in ns2; i: attachment of another orchestrator, app=x in
    // ns1; n: NetworkSet app=x in ns1; e: unknown address.
    const auto row = GENERATE_COPY(values<Row>({
        {"anybody", kubernetes_policy({.any_peer = true}), "abcine"},
        {"pods of the namespace", kubernetes_policy({.peer_pods = everything}), "ab"},
        {"some pods of the namespace", kubernetes_policy({.peer_pods = x}), "a"},
        {"pods of all namespaces", kubernetes_policy({.peer_namespaces = everything}), "abc"},
        {"some pods of all namespaces", kubernetes_policy({.peer_pods = x, .peer_namespaces = everything}), "ac"},
    }));
    CAPTURE(row.name);
    const model::StringMap labels = {{"app", "x"}};
    const auto other = pod({.name = "i", .ips = {"10.1.0.4"}, .labels = {{"app", "web"}}, .orchestrator = "cni"});
    World world{kDualWeb,
                pod({.name = "a", .ips = {"10.1.0.1"}, .labels = labels}),
                pod({.name = "b", .ips = {"10.1.0.2"}, .labels = {{"app", "y"}}}),
                pod({.ns = "ns2", .name = "c", .ips = {"10.1.0.3"}, .labels = labels}),
                other,
                network_set("ns1", "n", {"10.3.0.0/16"}, labels),
                row.policy};
    CHECK(world.order(other, Direction::ingress).empty());  // not a pod of Kubernetes
    CHECK(world.order(kDualWeb, Direction::ingress) == "default: ns1/knp");
    std::string matching;
    for (const auto& [letter, address] :
         {std::pair('a', "10.1.0.1"), std::pair('b', "10.1.0.2"), std::pair('c', "10.1.0.3"),
          std::pair('i', "10.1.0.4"), std::pair('n', "10.3.7.7"), std::pair('e', "192.0.2.1")}) {
        if (world.allows_ingress(kDualWeb, tcp(address, "10.0.0.1"))) {
            matching += letter;
        }
    }
    CHECK(matching == row.matching);
}

TEST_CASE("a named port of a Kubernetes ingress rule is the selected pod's own") {
    model::KubernetesPort named;
    named.port = std::string("http");
    const auto web =
        pod({.name = "web", .ips = {"10.0.0.1"}, .labels = {{"app", "web"}}, .ports = {port("http", 8080)}});
    World world{web, kubernetes_policy({.ports = {named}, .any_peer = true})};
    CHECK(world.allows_ingress(web, tcp("192.0.2.1", "10.0.0.1", 8080)));
    CHECK_FALSE(world.allows_ingress(web, tcp("192.0.2.1", "10.0.0.1", 80)));
    CHECK_FALSE(world.allows_ingress(web, udp("192.0.2.1", "10.0.0.1", 8080)));
}

TEST_CASE("Kubernetes policies of one namespace add up, and stand among Calico's by their order") {
    auto knp = std::make_shared<model::KubernetesNetworkPolicy>();
    knp->metadata.name = "allow-80";
    knp->metadata.ns = "ns1";
    model::KubernetesPort eighty;
    eighty.port = std::uint16_t{80};
    model::KubernetesIngressRule rule;
    rule.ports = {eighty};
    knp->spec.ingress = {rule};
    auto deny_all = std::make_shared<model::KubernetesNetworkPolicy>();
    deny_all->metadata.name = "default-deny";
    deny_all->metadata.ns = "ns1";
    World world{kDualWeb, knp, deny_all, policy("ns1", {.name = "early", .order = 999}),
                policy("ns1", {.name = "late", .order = 1001})};
    CHECK(world.order(kDualWeb, Direction::ingress) == "default: ns1/early ns1/allow-80 ns1/default-deny ns1/late");
    CHECK(world.allows_ingress(kDualWeb, tcp("192.0.2.1", "10.0.0.1", 80)));
    CHECK_FALSE(world.allows_ingress(kDualWeb, tcp("192.0.2.1", "10.0.0.1", 81)));
    CHECK(world.order(kDualWeb, Direction::egress).find("knp") == std::string::npos);
    world.remove(knp);
    CHECK_FALSE(world.allows_ingress(kDualWeb, tcp("192.0.2.1", "10.0.0.1", 80)));
}

}  // namespace manul::felix::test
