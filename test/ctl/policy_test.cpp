#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/store/memory.hpp"
#include "ctl/node/calico_remains.hpp"
#include "ctl/node/checksystem.hpp"
#include "ctl/policy/counters.hpp"
#include "ctl/policy/impact.hpp"
#include "ctl/policy/trace.hpp"
#include "ctl/verbs/verbs.hpp"

using namespace manul;
using namespace manul::ctl;

namespace {

struct Tool {
    std::unique_ptr<store::Store> store = store::make_memory();
    std::string input;
    std::string out;
    std::string err;

    Context context() {
        return Context{.settings = {},
                       .store = store.get(),
                       .out = [this](std::string_view text) { out += text; },
                       .err = [this](std::string_view text) { err += text; },
                       .read_standard_input = [this] { return input; },
                       .out_is_terminal = false};
    }
    void apply(std::string text) {
        input = std::move(text);
        INFO(err);
        REQUIRE(write_objects(context(), WriteVerb::apply, WriteOptions{.input = {.paths = {"-"}}}) == ExitCode::ok);
        out.clear();
        err.clear();
    }
    std::string trace(TraceOptions options) {
        out.clear();
        err.clear();
        options.short_ = true;
        return policy_trace(context(), options) == ExitCode::ok ? out : err;
    }
};

std::string endpoint(const std::string& pod, const std::string& node, const std::string& address) {
    return "---\napiVersion: projectcalico.org/v3\nkind: WorkloadEndpoint\nmetadata: {name: " + node + "-k8s-" + pod +
           "-eth0, namespace: default, labels: {app: " + pod +
           ", projectcalico.org/orchestrator: k8s}}\nspec: {orchestrator: k8s, node: " + node + ", pod: " + pod +
           ", endpoint: eth0, interfaceName: cali" + pod + ", ipNetworks: [" + address +
           "/32], profiles: [kns.default]}\n";
}

constexpr const char* kWeb = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: default}
spec: {podSelector: {matchLabels: {app: b}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}], ports: [{port: 80}]}]}
)";

Tool cluster() {
    Tool tool;
    tool.apply(std::string("{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: n1}, spec: {bgp: "
                           "{ipv4Address: 192.0.2.1/24}}}\n") +
               endpoint("a", "n1", "10.65.0.2") + endpoint("b", "n2", "10.65.1.3") + endpoint("c", "n1", "10.65.0.4") +
               kWeb);
    return tool;
}

TraceOptions options(std::string source, std::string destination, std::uint16_t port) {
    TraceOptions out;
    out.source = std::move(source);
    out.destination = std::move(destination);
    out.port = port;
    return out;
}

}  // namespace

TEST_CASE("trace judges each end on its own node and says what decided") {
    Tool tool = cluster();
    const std::string allowed = tool.trace(options("default/a", "default/b", 80));
    CHECK(allowed.find("egress of pod default/a, on node n1: Allow\n  => allowed by rule 0 of profile kns.default") !=
          std::string::npos);
    CHECK(allowed.find("ingress of pod default/b, on node n2: Allow\n  => allowed by rule 0 of "
                       "KubernetesNetworkPolicy default/web in tier default") != std::string::npos);
    CHECK(allowed.ends_with("ALLOWED\n"));
    const std::string denied = tool.trace(options("default/c", "10.65.1.3", 80));
    CHECK(denied.find("denied at the end of tier default: no rule matched of KubernetesNetworkPolicy default/web") !=
          std::string::npos);
    CHECK(denied.ends_with("DENIED\n"));
    CHECK(tool.trace(options("198.51.100.1", "default/a", 22)).ends_with("ALLOWED\n"));
    CHECK(tool.trace(options("node/n1", "default/a", 22)).find("meets no policy") != std::string::npos);
    CHECK(tool.trace(options("default/a", "node/n1", 22)).find("defaultEndpointToHostAction: Drop") !=
          std::string::npos);
    CHECK(tool.trace(options("default/a", "default/a", 22)).find("the same workload") != std::string::npos);
}

TEST_CASE("questions that cannot be answered are refused with the reason") {
    Tool tool = cluster();
    CHECK(tool.trace(options("default/none", "default/b", 80)).find("no pod or workload 'none'") != std::string::npos);
    CHECK(tool.trace(options("other/a", "default/b", 80)).find("in namespace 'other', but in 'default'") !=
          std::string::npos);
    CHECK(tool.trace(options("a", "default/b", 80)).find("neither an address nor") != std::string::npos);
    TraceOptions wrong = options("default/a", "default/b", 80);
    wrong.protocol = "carrier-pigeon";
    CHECK(tool.trace(wrong).find("is no protocol") != std::string::npos);
    wrong = options("default/a", "default/b", 80);
    wrong.v6 = true;
    CHECK(tool.trace(wrong).find("no addresses of one family") != std::string::npos);
    wrong.v6 = false;
    wrong.port = std::nullopt;
    CHECK(tool.trace(wrong).find("needs a port") != std::string::npos);
}

TEST_CASE("impact tells which endpoints change and which connections flip, staged or not") {
    Tool tool = cluster();
    const auto impact_of = [&tool](const std::string& text, ImpactOptions wanted) {
        tool.input = text;
        tool.out.clear();
        wanted.input.paths = text.empty() ? std::vector<std::string>{} : std::vector<std::string>{"-"};
        REQUIRE(policy_impact(tool.context(), wanted) == ExitCode::ok);
        return tool.out;
    };
    std::string other = kWeb;
    other.replace(other.find("app: a}"), 7, "app: c}");
    const std::string told = impact_of(other, {});
    CHECK(told.find("1 endpoints have other policies\npod default/b on n2\n  ingress: has other rules or members in "
                    "KubernetesNetworkPolicy default/web") != std::string::npos);
    CHECK(told.find("pod default/a -> pod default/b: TCP 80: allowed -> DENIED") != std::string::npos);
    CHECK(told.find("pod default/c -> pod default/b: TCP 80: denied -> ALLOWED") != std::string::npos);
    CHECK(impact_of(kWeb, {}).starts_with("0 endpoints"));
    const std::string gone = impact_of(kWeb, {.remove = true});
    CHECK(gone.find("loses KubernetesNetworkPolicy default/web") != std::string::npos);
    CHECK(gone.find("pod default/c -> pod default/b: TCP 80, TCP 64999, UDP 64999, ICMP type 8: denied -> ALLOWED") !=
          std::string::npos);

    tool.apply(R"({apiVersion: projectcalico.org/v3, kind: StagedKubernetesNetworkPolicy,
  metadata: {name: web, namespace: default}, spec: {stagedAction: Delete}})");
    CHECK(impact_of("", {.staged = true}) == gone);
}

TEST_CASE("impact tries members of the network sets that rules select, those that come or go, and the own node") {
    Tool tool = cluster();
    const auto impact_of = [&tool](const std::string& text) {
        tool.input = text;
        tool.out.clear();
        ImpactOptions wanted;
        wanted.input.paths = {"-"};
        REQUIRE(policy_impact(tool.context(), wanted) == ExitCode::ok);
        return tool.out;
    };
    const auto feed = [](const std::string& last) {
        std::string nets;
        for (int i = 1; i <= 40; ++i) {
            nets += "203.0.113." + std::to_string(i) + "/32, ";
        }
        return "{apiVersion: projectcalico.org/v3, kind: GlobalNetworkSet, metadata: {name: feed, labels: {list: "
               "bad}}, "
               "spec: {nets: [" +
               nets + last + "]}}";
    };
    const std::string policy = R"({apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: feed},
  spec: {selector: app == 'a', types: [Egress], egress: [
    {action: Deny, destination: {selector: list == 'bad'}}, {action: Allow}]}})";
    tool.apply(feed("203.0.113.96/28"));
    const std::string told = impact_of(policy);
    CHECK(told.find("pod default/a -> 203.0.113.1: TCP 64999, UDP 64999, ICMP type 8: allowed -> DENIED") !=
          std::string::npos);
    CHECK(told.find("pod default/a -> 203.0.113.96: TCP 64999") != std::string::npos);
    tool.apply(policy);
    const std::string edited = impact_of(feed("203.0.113.96/28, 203.0.113.200/32"));
    CHECK(edited.find("pod default/a -> 203.0.113.200: TCP 64999, UDP 64999, ICMP type 8: allowed -> DENIED") !=
          std::string::npos);
    CHECK(edited.find("203.0.113.1:") == std::string::npos);
    // Its own node, which no rule speaks of.
    tool.apply(R"({apiVersion: projectcalico.org/v3, kind: FelixConfiguration, metadata: {name: default},
  spec: {defaultEndpointToHostAction: Accept}})");
    const std::string shut = impact_of(R"({apiVersion: projectcalico.org/v3, kind: NetworkPolicy, metadata: {name: shut,
  namespace: default}, spec: {selector: app == 'c', types: [Egress]}})");
    CHECK(shut.find("pod default/c -> node n1: TCP 64999, UDP 64999, ICMP type 8: allowed -> DENIED") !=
          std::string::npos);
}

TEST_CASE("trace asks host endpoints at every stage, wherever the packet passes them") {
    Tool tool = cluster();
    tool.apply(R"(---
{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: n2}, spec: {bgp: {ipv4Address: 192.0.2.2/24}}}
---
{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: up2, labels: {role: gate}},
 spec: {node: n2, interfaceName: eth0, expectedIPs: [192.0.2.2]}}
---
{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: side2, labels: {role: side}},
 spec: {node: n2, expectedIPs: [198.18.0.2]}}
---
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: pre}, spec: {selector: role == 'gate',
 preDNAT: true, applyOnForward: true, types: [Ingress], ingress: [{action: Deny, protocol: TCP,
 source: {nets: [203.0.113.0/24]}, destination: {ports: [30080]}}]}}
---
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: fwd}, spec: {selector: role == 'gate',
 applyOnForward: true, types: [Ingress], ingress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}]}}
---
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: raw}, spec: {selector: role == 'gate',
 doNotTrack: true, applyOnForward: true, types: [Ingress], ingress: [{action: Allow, protocol: UDP,
 destination: {ports: [7000]}}]}}
)");
    // The node itself: normal policy, failsafe ports, what is accepted untracked.
    const std::string web = tool.trace(options("203.0.113.7", "node/n2", 80));
    CHECK(web.find("untracked ingress of host endpoint up2 at eth0, on node n2: no decision\n  => left to what comes "
                   "next: no rule decided") != std::string::npos);
    CHECK(web.find("preDNAT ingress of host endpoint up2 at eth0, on node n2: no decision") != std::string::npos);
    CHECK(web.find("normal ingress of host endpoint up2 at eth0, on node n2: Allow\n  => allowed by rule 0 of "
                   "GlobalNetworkPolicy fwd in tier default") != std::string::npos);
    CHECK(web.ends_with("ALLOWED\n"));
    const std::string closed = tool.trace(options("203.0.113.7", "192.0.2.2", 81));
    CHECK(closed.find("=> denied at the end of tier default: no rule matched of GlobalNetworkPolicy fwd") !=
          std::string::npos);
    CHECK(closed.ends_with("DENIED\n"));
    CHECK(tool.trace(options("203.0.113.7", "host/up2", 22)).find("=> allowed: a failsafe port") != std::string::npos);
    TraceOptions untracked = options("203.0.113.7", "host/up2", 7000);
    untracked.protocol = "udp";
    const std::string raw = tool.trace(untracked);
    CHECK(raw.find("untracked ingress of host endpoint up2 at eth0, on node n2: Allow") != std::string::npos);
    CHECK(raw.find("normal") == std::string::npos);
    // By address alone, and an interface that the question names.
    CHECK(tool.trace(options("203.0.113.7", "host/side2", 80))
              .find("normal ingress of host endpoint side2 at (interface of 198.18.0.2)") != std::string::npos);
    TraceOptions elsewhere = options("203.0.113.7", "node/n2", 80);
    elsewhere.interface = "eth7";
    CHECK(tool.trace(elsewhere).find("No workload or host endpoint of the cluster is judged") != std::string::npos);
    // What is forwarded to a pod: the host endpoint's word, then the pod's own.
    const std::string pod = tool.trace(options("default/a", "default/b", 80));
    CHECK(pod.find("forward ingress of host endpoint up2 at eth0, on node n2: Allow") < pod.find("ingress of pod "));
    CHECK(pod.ends_with("ALLOWED\n"));
    CHECK(tool.trace(options("203.0.113.7", "default/b", 80)).ends_with("DENIED\n"));
    // A node port: preDNAT policy sees what was dialed.
    TraceOptions port = options("203.0.113.7", "default/b", 80);
    port.dialed = "192.0.2.2:30080";
    const std::string dialed = tool.trace(port);
    CHECK(dialed.find("(dialed 192.0.2.2:30080)") != std::string::npos);
    CHECK(dialed.find("preDNAT ingress of host endpoint up2 at eth0, on node n2: Deny\n  => denied by rule 0 of "
                      "GlobalNetworkPolicy pre in tier default") != std::string::npos);
    // Dialed at another node, which translates and passes it on.
    port = options("203.0.113.7", "default/a", 80);
    port.dialed = "192.0.2.2:30080";
    CHECK(tool.trace(port).find("preDNAT ingress of host endpoint up2 at eth0, on node n2: Deny") != std::string::npos);
    port.dialed = "192.0.2.2";
    CHECK(tool.trace(port).find("ADDRESS:PORT") != std::string::npos);
    // From one node to another: egress here, ingress there.
    tool.apply(R"({apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: all1},
 spec: {node: n1, interfaceName: '*', profiles: [projectcalico-default-allow]}})");
    const std::string nodes = tool.trace(options("node/n1", "node/n2", 80));
    CHECK(nodes.find("normal egress of host endpoint all1 at (unknown), on node n1: Allow\n  => allowed by rule 0 of "
                     "profile projectcalico-default-allow") != std::string::npos);
    CHECK(nodes.find("normal ingress of host endpoint up2 at eth0, on node n2: Allow") != std::string::npos);
    CHECK(tool.trace(options("node/n1", "host/all1", 80)).find("both ends are the same node") != std::string::npos);
    untracked = options("203.0.113.7", "host/up2", 80);
    untracked.format = "json";
    CHECK(tool.trace(untracked).find("\"stage\": \"normal\"") != std::string::npos);
}

TEST_CASE("trace knows the address by which a masquerading node is seen at the next one") {
    Tool tool = cluster();
    tool.apply(R"(---
{apiVersion: projectcalico.org/v3, kind: Node, metadata: {name: n2}, spec: {bgp: {ipv4Address: 192.0.2.2/24}}}
---
{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: up2, labels: {role: gate}},
 spec: {node: n2, interfaceName: eth0, expectedIPs: [192.0.2.2]}}
---
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: gate}, spec: {selector: role == 'gate',
 types: [Ingress], ingress: [{action: Deny, source: {nets: [192.0.2.1/32]}}, {action: Allow}]}}
---
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: pods}, spec: {namespaceSelector: all(),
 order: 1, types: [Ingress], ingress: [{action: Deny, source: {nets: [192.0.2.2/32]}}, {action: Allow}]}}
)");
    CHECK(tool.trace(options("default/a", "node/n2", 80)).ends_with("ALLOWED\n"));
    tool.apply(
        "{apiVersion: projectcalico.org/v3, kind: IPPool, metadata: {name: four}, spec: {cidr: 10.65.0.0/16, "
        "natOutgoing: true}}");
    const std::string leaving = tool.trace(options("default/a", "node/n2", 80));
    CHECK(leaving.find("denied by rule 0 of GlobalNetworkPolicy gate") != std::string::npos);
    CHECK(leaving.find("beyond node n1 it comes from 192.0.2.1: natOutgoing") != std::string::npos);
    const std::string inside = tool.trace(options("default/a", "default/b", 80));
    CHECK(inside.find("beyond") == std::string::npos);
    CHECK(inside.ends_with("ALLOWED\n"));
    // A node port that leads to a pod of another node; to one of its own the client stays who it is for policy.
    TraceOptions port = options("203.0.113.7", "default/a", 80);
    port.dialed = "192.0.2.2:30080";
    const std::string passed_on = tool.trace(port);
    CHECK(passed_on.find("denied by rule 0 of GlobalNetworkPolicy pods") != std::string::npos);
    CHECK(passed_on.find("beyond node n2 it comes from 192.0.2.2: a service's proxy") != std::string::npos);
    port.dialed = "192.0.2.1:30080";
    CHECK(tool.trace(port).ends_with("ALLOWED\n"));
    // A pod that dials a service's own address stays who it is; one that dials another node is masqueraded twice.
    port = options("default/a", "default/b", 80);
    port.dialed = "10.96.0.1:80";
    CHECK(tool.trace(port).find("beyond") == std::string::npos);
    port.destination = "default/c";
    port.dialed = "192.0.2.2:30080";
    const std::string twice = tool.trace(port);
    CHECK(twice.find("beyond node n1 it comes from 192.0.2.1: natOutgoing") != std::string::npos);
    CHECK(twice.find("beyond node n2 it comes from 192.0.2.2") != std::string::npos);
    CHECK(twice.find("denied by rule 0 of GlobalNetworkPolicy pods") != std::string::npos);
    tool.apply(
        "{apiVersion: projectcalico.org/v3, kind: FelixConfiguration, metadata: {name: default}, spec: "
        "{natOutgoingAddress: 192.0.2.99}}");
    CHECK(tool.trace(options("default/a", "node/n2", 80)).find("comes from 192.0.2.99") != std::string::npos);
}

TEST_CASE("impact tells what a host endpoint and its policies would close and open") {
    Tool tool = cluster();
    const auto impact_of = [&tool](const std::string& text, ImpactOptions wanted) {
        tool.input = text;
        tool.out.clear();
        wanted.input.paths = {"-"};
        REQUIRE(policy_impact(tool.context(), wanted) == ExitCode::ok);
        return tool.out;
    };
    const std::string host = R"(---
{apiVersion: projectcalico.org/v3, kind: HostEndpoint, metadata: {name: up1, labels: {role: gate}},
 spec: {node: n1, interfaceName: eth0, expectedIPs: [192.0.2.1]}}
)";
    const std::string closing = impact_of(host, {});
    CHECK(closing.find("host endpoint up1 on n1: new, closes the node's interface") != std::string::npos);
    CHECK(closing.find("198.51.100.1 -> host endpoint up1: TCP 64999, UDP 64999, ICMP type 8: allowed -> DENIED\n    "
                       "denied: no policy applies and no profile allows it") != std::string::npos);
    tool.apply(host);
    CHECK(impact_of(host, {}).starts_with("0 endpoints"));
    CHECK(impact_of(host, {.remove = true}).find("host endpoint up1 on n1: goes") != std::string::npos);
    const std::string forward = impact_of(R"(
{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {name: fwd}, spec: {selector: role == 'gate',
 applyOnForward: true, types: [Ingress], ingress: [{action: Allow, protocol: TCP, destination: {ports: [80]}}]}})",
                                          {});
    CHECK(forward.find("  forward ingress: gains GlobalNetworkPolicy fwd\n  normal ingress: gains") !=
          std::string::npos);
    CHECK(forward.find("198.51.100.1 -> pod default/a: TCP 64999, UDP 64999, ICMP type 8: allowed -> DENIED") !=
          std::string::npos);
    CHECK(forward.find("198.51.100.1 -> host endpoint up1: TCP 80: denied -> ALLOWED") != std::string::npos);
    const std::string settings = impact_of(R"(
{apiVersion: projectcalico.org/v3, kind: FelixConfiguration, metadata: {name: node.n1}, spec: {
 defaultEndpointToHostAction: Accept, failsafeInboundHostPorts: [{protocol: TCP, port: 2222}]}})",
                                           {});
    CHECK(
        settings.starts_with("0 endpoints have other policies\n"
                             "n1 judges otherwise: defaultEndpointToHostAction, failsafeInboundHostPorts\n"));
    CHECK(settings.find("198.51.100.1 -> host endpoint up1: TCP 2222: denied -> ALLOWED") != std::string::npos);
    CHECK(settings.find("pod default/a -> host endpoint up1: ") != std::string::npos);
    CHECK(impact_of(R"({apiVersion: projectcalico.org/v3, kind: FelixConfiguration, metadata: {name: default}, spec: {
 logPrefix: other}})",
                    {})
              .find("otherwise") == std::string::npos);
}

TEST_CASE("counters are summed by policy, and rules stand below them") {
    std::vector<RuleCount> counts(3);
    counts[0] = {"NetworkPolicy", "default", "web", "default", "ingress", "Allow", "", 1, "2", 5, 300};
    counts[1] = {"NetworkPolicy", "default", "web", "default", "ingress", "Deny", "", 0, "1", 2, 120};
    counts[2] = {"", "", "", "default", "ingress", "Deny", "", -1, "3", 7, 420};
    const std::string table = counters_table(counts);
    CHECK(table.find("NetworkPolicy default/web") < table.find("ingress     0"));
    CHECK(table.find("          7     420") != std::string::npos);
    CHECK(table.find("(end of tier)") != std::string::npos);
}

TEST_CASE("what Calico left behind is named with the command that removes it") {
    CHECK(judge_calico_remains({}).front().level == SystemCheck::Level::ok);
    const auto checks =
        judge_calico_remains({.tables = {"arp calico-arp", "ip filter", "ip nat", "ip6 calico", "ip6 nat"},
                              .legacy_tables = {"ip filter", "ip6 raw"},
                              .ip_sets = 2,
                              .links = {"vxlan.calico", "bpfin.cali"},
                              .shapers = {"bwcali0123"},
                              .bird_routes = 3,
                              .felix_routes = 1});
    const std::vector<std::pair<std::string, std::string>> expected{
        {"rules in ip6 raw (legacy)", "ip6tables-legacy-restore --noflush"},
        {"rules in ip6 nat", "ip6tables-nft-restore --noflush"},
        {"rules in ip filter (legacy)", "iptables-legacy-restore --noflush"},
        {"rules in ip filter, ip nat", "iptables-nft-restore --noflush"},
        {"rules in arp calico-arp", "nft delete table arp calico-arp"},
        {"rules in ip6 calico", "nft delete table ip6 calico"},
        {"2 sets of ipset", "xargs -rn1 ipset destroy"},
        {"vxlan.calico", "ip link del vxlan.calico"},
        {"bpfin.cali", "bpfEnabled: false"},
        {"1 limits of what pods send", "ingress; done; ip link del bwcali0123"},
        {"3 routes of protocol bird", "ip route flush proto bird"},
        {"1 routes of protocol 80", "ip route flush proto 80"}};
    REQUIRE(checks.size() == expected.size());
    for (std::size_t i = 0; i < checks.size(); ++i) {
        CHECK(checks[i].level == SystemCheck::Level::warning);
        CHECK(checks[i].name == "left by Calico: " + expected[i].first);
        CHECK(checks[i].detail.find(expected[i].second) != std::string::npos);
    }
}

TEST_CASE("only chains of others that drop what is forwarded are warned about") {
    using Point = felix::render::Hook::Point;
    const auto judged = [](felix::nft::ForeignChain chain) { return judge_foreign_chains({std::move(chain)}).front(); };
    const SystemCheck docker = judged({2, "filter", "FORWARD", Point::forward, 0, true, false});
    CHECK(docker.level == SystemCheck::Level::warning);
    CHECK(docker.name == "rules of others: ip filter FORWARD");
    CHECK(docker.detail.find("Docker") != std::string::npos);
    CHECK(judged({1, "firewalld", "filter_FORWARD", Point::forward, 10, false, true}).detail.find("firewalld") !=
          std::string::npos);
    CHECK(judged({2, "filter", "INPUT", Point::input, 0, true, false}).level == SystemCheck::Level::ok);
    CHECK(judged({2, "filter", "FORWARD", Point::forward, 0, false, false}).level == SystemCheck::Level::ok);
}
