// The parts of the calculation by themselves: last good versions, configuration, rule identity, batches.

#include <catch2/catch.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "config/codec/schema.hpp"
#include "config/model/admin_policy.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/kind.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/node.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/tables.hpp"
#include "felix/calc/config_plan.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/graph.hpp"
#include "felix/calc/last_good.hpp"
#include "felix/calc/rule_json.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/eval/evaluate.hpp"
#include "felix/model/config.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "test/felix/accumulator.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

namespace {

ResourceRefused refused(const model::ResourcePtr& resource, const std::string& revision,
                        const model::ResourcePtr& readable = nullptr) {
    return ResourceRefused{resource->key(), revision, "spec: wrong", readable};
}

}  // namespace

// --- last good versions ----------------------------------------------------------------------------------------------

TEST_CASE("a wrong version leaves the one before in force, and a later good one replaces it") {
    const auto good = with_revision(policy("ns1", {.name = "p", .ingress = {allow()}}), "5");
    World world{kWeb, good};
    world.flush();
    world.handle(refused(good, "6", policy("ns1", {.name = "p"})));
    CHECK(world.flush().empty());
    CHECK(world.allows_ingress(kWeb, to_web()));
    const std::vector<Report> reports = world.graph().reports();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0] == Report{good->key(), Report::Effect::kept, "spec: wrong", "6", "5"});

    world.put(with_revision(policy("ns1", {.name = "p", .ingress = {deny()}}), "7"));
    CHECK_FALSE(world.allows_ingress(kWeb, to_web()));
    CHECK(world.graph().reports().empty());
}

TEST_CASE("a version that is in force already changes nothing when it is listed again") {
    const auto good = with_revision(policy("ns1", {.name = "p", .ingress = {allow()}}), "5");
    World world{kWeb, good};
    world.flush();
    CHECK(world.graph().take_journal_changes().size() == 1);
    world.put(with_revision(policy("ns1", {.name = "p", .ingress = {allow()}}), "5"));
    CHECK(world.flush().empty());
    CHECK(world.graph().take_journal_changes().empty());
}

TEST_CASE("a policy that never was right denies the workloads it selects, where that can be read") {
    struct Row {
        const char* name;
        model::ResourcePtr stored;
        model::ResourcePtr readable;
        bool ingress;
        bool egress;
        Report::Effect effect;
    };
    const auto none = [] { return model::ResourcePtr(); };
    const auto np = policy("ns1", {.name = "p", .selector = "app == 'web'", .types = {kIngress}});
    const auto both = policy("ns1", {.name = "p", .types = {kIngress, kEgress}, .ingress = {allow()}});
    const auto passing_tier = policy("ns1", {.name = "p", .types = {kEgress}, .tier = "kube-baseline"});
    const auto elsewhere = policy("ns1", {.name = "p", .selector = "app == 'db'"});
    const auto gnp = global_policy({.name = "p", .selector = "app == 'web' || app == 'x'"});
    auto untracked = global_policy({.name = "p"});
    untracked->spec.do_not_track = true;
    auto knp = std::make_shared<model::KubernetesNetworkPolicy>();
    knp->metadata.name = "p";
    knp->metadata.ns = "ns1";
    knp->spec.ingress = {model::KubernetesIngressRule{}};
    auto cnp = std::make_shared<model::ClusterNetworkPolicy>();
    cnp->metadata.name = "p";
    cnp->spec.subject.namespaces.emplace();
    cnp->spec.egress.resize(2);
    cnp->spec.egress[0].action = model::ClusterAction::accept;
    auto anp = std::make_shared<model::AdminNetworkPolicy>();
    anp->metadata.name = "p";
    anp->spec.subject.namespaces.emplace();
    anp->spec.ingress.resize(1);
    anp->spec.ingress[0].action = model::AdminAction::allow;
    using Effect = Report::Effect;
    const auto row = GENERATE_COPY(values<Row>({
        {"not readable", np, none(), true, true, Effect::nothing},
        {"ingress", np, np, false, true, Effect::denies},
        {"both directions, rules not believed", both, both, false, false, Effect::denies},
        {"in a tier that passes", passing_tier, passing_tier, true, false, Effect::denies},
        {"selects others", elsewhere, elsewhere, true, true, Effect::denies},
        {"global", gnp, gnp, false, true, Effect::denies},
        {"for host endpoints alone", untracked, untracked, true, true, Effect::nothing},
        {"Kubernetes", knp, knp, false, true, Effect::denies},
        {"cluster-wide, one direction", cnp, cnp, true, false, Effect::denies},
        {"cluster-wide, the other", anp, anp, false, true, Effect::denies},
    }));
    CAPTURE(row.name);
    World world{kWeb};
    world.handle(refused(row.stored, "3", row.readable));
    CHECK(world.allows_ingress(kWeb, to_web()) == row.ingress);
    CHECK(world.allows_egress(kWeb, tcp("10.0.0.1", "192.0.2.1")) == row.egress);
    REQUIRE(world.graph().reports().size() == 1);
    CHECK(world.graph().reports()[0].effect == row.effect);
    CHECK(world.graph().take_journal_changes().empty());
    world.remove(row.stored);
    CHECK(world.allows_ingress(kWeb, to_web()));
    CHECK(world.graph().reports().empty());
}

TEST_CASE("a deny for want of anything better follows what can be read, and ends when nothing can") {
    const auto np = policy("ns1", {.name = "p"});
    World world{kWeb};
    world.handle(refused(np, "1", np));
    CHECK_FALSE(world.allows_ingress(kWeb, to_web()));
    world.handle(refused(np, "2", policy("ns1", {.name = "p", .selector = "app == 'db'"})));
    CHECK(world.allows_ingress(kWeb, to_web()));
    world.handle(refused(np, "3", np));
    world.handle(refused(np, "4"));
    CHECK(world.allows_ingress(kWeb, to_web()));
    world.put(policy("ns1", {.name = "p"}));
    CHECK_FALSE(world.allows_ingress(kWeb, to_web()));
}

TEST_CASE("last good versions of an earlier run are in force until the store says otherwise") {
    const auto kept = with_revision(policy("ns1", {.name = "kept", .types = {kIngress}}), "5");
    const auto replaced = with_revision(policy("ns1", {.name = "replaced", .types = {kEgress}}), "5");
    const auto gone = with_revision(policy("ns1", {.name = "gone", .types = {kEgress}}), "5");
    World world;
    world.graph().restore(kept);
    world.graph().restore(replaced);
    world.graph().restore(gone);
    world.put(kWeb);
    world.handle(refused(kept, "6"));
    world.put(with_revision(policy("ns1", {.name = "replaced", .types = {kIngress}}), "7"));
    world.handle(StoreInSync{});
    CHECK(world.state().in_sync);
    CHECK(world.order(kWeb, Direction::ingress) == "default: ns1/kept ns1/replaced");
    CHECK(world.order(kWeb, Direction::egress).empty());
    CHECK(world.graph().take_journal_changes() ==
          std::vector<JournalChange>{{gone->key(), std::nullopt}, {replaced->key(), "7"}});
    CHECK(world.graph().reports()[0].revision_in_force == "5");
}

TEST_CASE("a selector that does not parse is a wrong version like any other") {
    World world{kWeb, with_revision(policy("ns1", {.name = "p"}), "1")};
    world.put(with_revision(policy("ns1", {.name = "p", .selector = "app = 'web'"}), "2"));
    CHECK(world.order(kWeb, Direction::ingress) == "default: ns1/p");
    REQUIRE(world.graph().reports().size() == 1);
    CHECK(world.graph().reports()[0].refused_revision == "2");
    CHECK(world.graph().reports()[0].reason.starts_with("spec.selector: "));
    // In a rule it cannot be told which packets are meant: nothing is opened.
    world.put(policy("ns1", {.name = "p", .ingress = {allow({.source = {.selector = "("}})}}));
    CHECK_FALSE(world.allows_ingress(kWeb, to_web()));
}

// --- configuration ---------------------------------------------------------------------------------------------------

namespace {

std::shared_ptr<model::FelixConfiguration> configuration(const std::string& name, const std::string& created = {}) {
    auto out = std::make_shared<model::FelixConfiguration>();
    out->metadata.name = name;
    out->metadata.creation_timestamp = created;
    return out;
}

}  // namespace

TEST_CASE(
    "the node's own FelixConfiguration wins over selected ones, the oldest of those over newer, all over default") {
    auto by_default = configuration("default");
    by_default->spec.log_prefix = "default";
    by_default->spec.vxlan_port = 1;
    by_default->spec.failsafe_inbound_host_ports.emplace();
    auto older = configuration("older", "2024-01-01T00:00:00Z");
    older->spec.node_selector = "rack == 'a'";
    older->spec.log_prefix = "older";
    auto newer = configuration("newer", "2025-01-01T00:00:00Z");
    newer->spec.node_selector = "rack == 'a'";
    newer->spec.log_prefix = "newer";
    newer->spec.vxlan_port = 2;
    auto own = configuration("node.node1");
    own->spec.log_prefix = "own";
    own->spec.device_route_protocol = 3;  // Calico's default stands for felix's own
    auto other = configuration("node.node2");
    other->spec.log_prefix = "other";
    auto node = std::make_shared<model::Node>();
    node->metadata.name = kNode;
    node->metadata.labels = {{"rack", "a"}};

    World world{newer, older};
    CHECK(world.state().config->log_prefix == "calico-packet");
    CHECK(world.state().config->failsafe_inbound == default_failsafe_inbound());
    world.put(by_default);
    CHECK(world.state().config->log_prefix == "default");
    CHECK(world.state().config->failsafe_inbound.empty());  // given, and empty
    world.put(node);
    CHECK(world.state().config->log_prefix == "older");
    CHECK(world.state().config->vxlan_port == 2);
    world.put(other).put(own);
    CHECK(world.state().config->log_prefix == "own");
    CHECK(world.state().config->route_protocol == 177);
    world.remove(own).remove(node);
    CHECK(world.state().config->log_prefix == "default");
}

TEST_CASE("what felix does without a FelixConfiguration is what the field table calls the default") {
    for (const model::Field& field : model::felix_table().fields) {
        CAPTURE(field.name, field.default_text);
        if (field.default_text.empty()) {
            continue;
        }
        model::FelixConfigurationSpec spec;
        model::Findings findings;
        codec::decode_value(*field.type, field.member(&spec), codec::default_tree(field), "", codec::Mode::strict,
                            findings);
        CHECK(findings.empty());
        Config config;
        overlay(config, spec);
        CHECK(config == Config{});
    }
}

TEST_CASE("configuration and pools are told at the first flush and then only when they change") {
    World world{pool("b", "10.1.0.0/16", false), pool("a", "10.0.0.0/16", true)};
    const Batch first = world.flush();
    REQUIRE(first.size() == 3);
    CHECK(std::holds_alternative<ConfigChanged>(first[0]));
    CHECK(std::get<TunnelsChanged>(first[2]).tunnels == Tunnels{});
    CHECK(std::get<PoolsChanged>(first[1]).pools ==
          std::vector<IpPoolInfo>{{"a", cidr("10.0.0.0/16"), true}, {"b", cidr("10.1.0.0/16"), false}});
    world.put(pool("a", "10.0.0.0/16", true)).put(configuration("default"));
    CHECK(world.flush().empty());
    world.remove(pool("a", "10.0.0.0/16", true));
    CHECK(world.flush().size() == 1);
}

// --- identity of rules and sets --------------------------------------------------------------------------------------

TEST_CASE("a rule as canonical JSON") {
    model::Rule rule = deny({.protocol = net::kTcp,
                             .source = {.selector = "a == \"b\"", .nets = {"10.0.0.0/8"}},
                             .destination = {.not_nets = {"10.1.0.0/16"}, .ports = {"80", "1:2", "http"}}});
    rule.metadata.emplace().annotations = {{"z", "1"}, {"a", "tab\there"}};
    rule.ip_version = net::Family::v4;
    rule.not_protocol = net::Protocol::make(50);
    rule.not_icmp = model::IcmpMatch{8, 0};
    rule.source.service_accounts = model::ServiceAccountMatch{{"sa"}, "x"};
    rule.source.services = model::ServiceMatch{"s", "n"};
    rule.http = model::HttpMatch{{"GET"}, {model::HttpPath{"/a", {}}, model::HttpPath{{}, "/b"}}};
    rule.deny_action = model::DenyAction::reject;
    CHECK(canonical_json(rule) ==
          R"({"action":"Deny","metadata":{"annotations":{"a":"tab\u0009here","z":"1"}},"ipVersion":4,"protocol":"TCP",)"
          R"("notProtocol":50,"notICMP":{"type":8,"code":0},"source":{"nets":["10.0.0.0/8"],"selector":"a == \"b\"",)"
          R"("services":{"name":"s","namespace":"n"},"serviceAccounts":{"names":["sa"],"selector":"x"}},)"
          R"("destination":{"notNets":["10.1.0.0/16"],"ports":[80,"1:2","http"]},)"
          R"("http":{"methods":["GET"],"paths":[{"exact":"/a"},{"prefix":"/b"}]},"denyAction":"Reject"})");
    CHECK(canonical_json(allow()) == R"({"action":"Allow"})");
}

TEST_CASE("a rule keeps its id wherever it stands, and equal rules of one policy have different ones") {
    const model::Rule eighty = allow({.protocol = net::kTcp, .destination = {.ports = {"80"}}});
    const auto ids = [](const std::vector<model::Rule>& rules) {
        World world{kWeb, policy("ns1", {.name = "p", .ingress = rules})};
        std::vector<RuleId> out;
        for (const Rule& rule : world.state().policies.begin()->second->ingress) {
            out.push_back(rule.id);
        }
        return out;
    };
    const std::vector<RuleId> before = ids({eighty, eighty});
    const std::vector<RuleId> after = ids({deny(), eighty, eighty});
    CHECK(before[0] != before[1]);
    CHECK(after[1] == before[0]);
    CHECK(after[2] == before[1]);
    CHECK(before[0] == rule_id(PolicyId{PolicyKind::network_policy, "ns1", "p"}, Direction::ingress,
                               R"({"action":"Allow","protocol":"TCP","destination":{"ports":[80]}})", 0));
    // `printf '%s' 'NetworkPolicy/ns1/p/ingress/{"action":"Allow"}/0' | sha256sum`
    CHECK(ids({allow()})[0] == RuleId(0x5eb0a981c96893a6ULL));
}

// --- batches ---------------------------------------------------------------------------------------------------------

TEST_CASE("inside a batch nothing refers to what is not there yet or any more") {
    const auto from_db = policy("ns1", {.name = "p", .ingress = {allow({.source = {.selector = "app == 'db'"}})}});
    World world{kWeb, from_db};
    const auto names = [](const Batch& batch) {
        std::vector<std::size_t> out;
        for (const Update& update : batch) {
            out.push_back(update.index());
        }
        return out;
    };
    const auto index = [](const auto& update) { return Update(update).index(); };
    world.handle(StoreInSync{});
    CHECK(names(world.flush()) == std::vector<std::size_t>{index(ConfigChanged{}), index(PoolsChanged{}),
                                                           index(TunnelsChanged{}), index(SetAdded{}),
                                                           index(ProfileUpdated{}), index(ProfileUpdated{}),
                                                           index(PolicyUpdated{}), index(EndpointUpdated{}),
                                                           index(RouteUpdated{}), index(InSync{})});
    const auto moved = pod({.name = "other", .ips = {"10.0.0.1"}, .interface = "calins1web"});
    world.remove(kWeb).put(moved).remove(from_db);
    CHECK(names(world.flush()) == std::vector<std::size_t>{index(EndpointRemoved{}), index(EndpointUpdated{}),
                                                           index(PolicyRemoved{}), index(SetRemoved{})});
}

TEST_CASE("an endpoint says what the dataplane needs to know of its workload") {
    auto web = std::make_shared<model::WorkloadEndpoint>(
        *model::as<model::WorkloadEndpoint>(*pod({.name = "web", .ips = {"10.0.0.1", "fd00::1"}, .revision = "17"})));
    model::WorkloadEndpointPort published = port("http", 8080);
    published.host_port = 80;
    published.host_ip = ip("192.0.2.1");
    web->spec.ports = {published, port("plain", 9000)};
    web->spec.allow_spoofed_source_prefixes = {cidr("10.9.0.0/16")};
    World world{web};
    const Endpoint& told = world.endpoint(web);
    CHECK(told.interface == "calins1web");
    CHECK(told.container_id == "c-web");
    CHECK(told.resource_version == "17");
    CHECK(told.addresses == std::vector{ip("10.0.0.1"), ip("fd00::1")});
    CHECK(told.profiles == std::vector<std::string>{"kns.ns1", "ksa.ns1.default"});
    CHECK(told.allowed_source_prefixes == std::vector{cidr("10.9.0.0/16")});
    CHECK(told.host_ports == std::vector<HostPort>{{net::kTcp, 80, ip("192.0.2.1"), 8080}});
    CHECK(world.state().routes.size() == 2);
}

TEST_CASE("a policy that comes to all workloads of a namespace is told of their lists, and not of each workload") {
    const auto a = pod({.ns = "ns1", .name = "a", .ips = {"10.0.0.1"}});
    const auto b = pod({.ns = "ns1", .name = "b", .ips = {"10.0.0.2"}, .labels = {{"app", "b"}}});
    const auto other = pod({.ns = "ns2", .name = "a", .ips = {"10.0.0.3"}});
    const auto late = pod({.ns = "ns1", .name = "c", .ips = {"10.0.0.4"}});
    World world{a, b, other, global_policy({.name = "all"}),
                global_policy({.name = "owned", .namespace_selector = "owner == 'red'"})};
    world.flush();
    const Batch come = world.put(namespace_("ns1", {{"owner", "red"}})).flush();
    const auto told = [](const Batch& batch, const auto& kind) {
        return std::ranges::count(batch, Update(kind).index(), [](const Update& update) { return update.index(); });
    };
    CHECK(told(come, ListsReplaced{}) == 1);
    CHECK(told(come, EndpointUpdated{}) == 0);
    CHECK(world.order(a, Direction::ingress) == world.order(b, Direction::ingress));
    CHECK(world.order(a, Direction::ingress) != world.order(other, Direction::ingress));
    // With the lists of the first namespace there already, those of the second still change as a whole.
    const Batch second = world.put(namespace_("ns2", {{"owner", "red"}})).flush();
    CHECK(told(second, ListsReplaced{}) == 1);
    CHECK(told(second, EndpointUpdated{}) == 0);
    CHECK(world.endpoint(a).ingress.same_as(world.endpoint(other).ingress));
    const Batch gone = world.put(namespace_("ns1", {})).put(late).flush();
    CHECK(told(gone, ListsReplaced{}) == 1);
    CHECK(told(gone, EndpointUpdated{}) == 1);  // the new pod
    CHECK(world.order(late, Direction::ingress) == world.order(a, Direction::ingress));
}

TEST_CASE("endpoints with equal lists share them") {
    const auto a = pod({.name = "a", .ips = {"10.0.0.1"}});
    const auto b = pod({.name = "b", .ips = {"10.0.0.2"}});
    World world{a, policy("ns1", {.name = "p"})};
    const PolicyLists before = world.endpoint(a).ingress;
    world.put(b);
    CHECK(world.endpoint(b).ingress.same_as(before));
    CHECK(world.endpoint(a).egress.same_as(world.endpoint(b).egress));
}

}  // namespace manul::felix::test
