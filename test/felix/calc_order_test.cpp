// policy order and evaluation: which policies apply, in which order, and what the end of a tier and profiles do.

#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/tier.hpp"
#include "felix/calc/event.hpp"
#include "felix/eval/evaluate.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "test/felix/accumulator.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

namespace {

constexpr auto kPass = model::TierDefaultAction::pass;

}  // namespace

TEST_CASE("a policy applies to the endpoints that its selectors describe") {
    struct Row {
        const char* name;
        model::ResourcePtr policy;
        bool applies;
    };
    const auto row = GENERATE(values<Row>({
        {"namespaced, empty selector", policy("ns1", {.name = "p"}), true},
        {"namespaced, matching selector", policy("ns1", {.name = "p", .selector = "app == 'web'"}), true},
        {"namespaced, other label value", policy("ns1", {.name = "p", .selector = "app == 'db'"}), false},
        {"namespaced, other namespace", policy("ns2", {.name = "p"}), false},
        {"global, empty selector", global_policy({.name = "p"}), true},
        {"global, namespaceSelector all()", global_policy({.name = "p", .namespace_selector = "all()"}), true},
        {"global, namespace label", global_policy({.name = "p", .namespace_selector = "team == 'a'"}), true},
        {"global, other namespace label", global_policy({.name = "p", .namespace_selector = "team == 'b'"}), false},
        {"global, namespace by name",
         global_policy({.name = "p", .namespace_selector = "projectcalico.org/name == 'ns1'"}), true},
        {"global, namespace by Kubernetes' own label",
         global_policy({.name = "p", .namespace_selector = "kubernetes.io/metadata.name == 'ns1'"}), true},
        {"account selector", policy("ns1", {.name = "p", .account_selector = "role == 'front'"}), true},
        {"account selector all()", policy("ns1", {.name = "p", .account_selector = "all()"}), true},
        {"other account", policy("ns1", {.name = "p", .account_selector = "role == 'back'"}), false},
        {"an absent label is different", policy("ns1", {.name = "p", .selector = "tier != 'x'"}), true},
        {"not in an empty set", policy("ns1", {.name = "p", .selector = "app not in {}"}), true},
        {"in an empty set", policy("ns1", {.name = "p", .selector = "app in {}"}), false},
        {"the labels that say where it belongs",
         policy("ns1", {.name = "p",
                        .selector = "projectcalico.org/orchestrator == 'k8s' && "
                                    "projectcalico.org/serviceaccount == 'default'"}),
         true},
    }));
    CAPTURE(row.name);
    World world{kWeb, namespace_("ns1", {{"team", "a"}}), account("ns1", "default", {{"role", "front"}}), row.policy};
    CHECK((world.order(kWeb, Direction::ingress) != "") == row.applies);
    CHECK(world.order(kWeb, Direction::egress).empty());
    CHECK(world.state().policies.size() == (row.applies ? 1 : 0));
    CHECK(world.allows_ingress(kWeb, to_web()) == !row.applies);  // a policy without rules denies, a namespace allows
}

TEST_CASE("a pod without a service account is not selected by all() accounts") {
    const auto bare = pod({.name = "bare", .ips = {"10.0.0.2"}, .account = ""});
    World world{bare, policy("ns1", {.name = "p", .account_selector = "all()"})};
    CHECK(world.order(bare, Direction::ingress).empty());
}

TEST_CASE("a pod cannot pose as another namespace or account by its own labels") {
    const auto liar = pod({.name = "liar",
                           .ips = {"10.0.0.2"},
                           .labels = {{"pcns.team", "a"},
                                      {"pcsa.role", "admin"},
                                      {"projectcalico.org/namespace", "ns2"},
                                      {"projectcalico.org/serviceaccount", "admin"}},
                           .account = ""});
    World world{liar, global_policy({.name = "team", .namespace_selector = "team == 'a'"}),
                global_policy({.name = "role", .account_selector = "role == 'admin'"}),
                global_policy({.name = "name", .selector = "projectcalico.org/serviceaccount == 'admin'"}),
                policy("ns2", {.name = "other"})};
    CHECK(world.order(liar, Direction::ingress).empty());
}

TEST_CASE("accounts and namespaces have their names as labels, with or without an object") {
    const auto by_account = global_policy({.name = "a", .account_selector = "projectcalico.org/name == 'default'"});
    const auto by_namespace = global_policy({.name = "n", .namespace_selector = "projectcalico.org/name == 'ns1'"});
    World world{kWeb, by_account, by_namespace};
    CHECK(world.order(kWeb, Direction::ingress) == "default: a n");
    world.put(account("ns1", "default")).put(namespace_("ns1"));
    CHECK(world.flush().empty());
    world.remove(account("ns1", "default")).remove(namespace_("ns1"));
    CHECK(world.flush().empty());

    // An account of a namespace with nothing in it does not exist.
    const auto stranger = pod({.name = "x", .ips = {"10.0.0.2"}, .profiles = {{"ksa.ns7.default"}}});
    world.put(stranger);
    CHECK(world.order(stranger, Direction::ingress).empty());
    world.put(namespace_("ns7"));
    CHECK(world.order(stranger, Direction::ingress) == "default: a");
}

TEST_CASE("an endpoint follows its labels and those it inherits at once") {
    World world{kWeb, namespace_("ns1"), policy("ns1", {.name = "p", .selector = "app == 'web'"}),
                global_policy({.name = "g", .namespace_selector = "team == 'a'"}),
                global_policy({.name = "s", .account_selector = "role == 'front'"})};
    CHECK(world.order(kWeb, Direction::ingress) == "default: ns1/p");
    world.put(namespace_("ns1", {{"team", "a"}}));
    CHECK(world.order(kWeb, Direction::ingress) == "default: g ns1/p");
    world.put(account("ns1", "default", {{"role", "front"}}));
    CHECK(world.order(kWeb, Direction::ingress) == "default: g ns1/p s");
    const auto relabelled = pod({.name = "web", .ips = {"10.0.0.1"}, .labels = {{"app", "db"}}});
    world.put(relabelled);
    CHECK(world.order(kWeb, Direction::ingress) == "default: g s");
    world.remove(namespace_("ns1")).remove(account("ns1", "default"));
    CHECK(world.order(kWeb, Direction::ingress).empty());
}

TEST_CASE("own labels win over inherited ones, and the first profile that lists one over later ones") {
    const auto both = pod({.name = "x", .ips = {"10.0.0.2"}, .labels = {{"a", "own"}}, .profiles = {{"p1", "p2"}}});
    World world{both, profile("p1", {}, {}, {{"a", "1"}, {"b", "1"}}),
                profile("p2", {}, {}, {{"a", "2"}, {"b", "2"}, {"c", "2"}})};
    const auto selects = [&](const std::string& selector) {
        world.put(global_policy({.name = "probe", .selector = selector}));
        return !world.order(both, Direction::ingress).empty();
    };
    CHECK(selects("a == 'own' && b == '1' && c == '2'"));
    world.remove(profile("p1", {}, {}));
    CHECK(selects("a == 'own' && b == '2' && c == '2'"));
}

TEST_CASE("profiles that pass on one label with two values are reported while an endpoint lists both") {
    const auto both = pod({.name = "x", .ips = {"10.0.0.2"}, .profiles = {{"p1", "kns.ns1", "p2"}}});
    World world{both, profile("p1", {}, {}, {{"a", "1"}, {"b", "1"}}),
                profile("p2", {}, {}, {{"a", "1"}, {"b", "2"}, {"c", "2"}})};
    const std::vector<Report> reports = world.graph().reports();
    REQUIRE(reports.size() == 1);
    CHECK(reports[0].key == model::Key{model::Kind::profile, {}, "p2"});
    CHECK(reports[0].reason.starts_with("label b has another value in profile p1"));
    world.put(profile("p2", {}, {}, {{"b", "1"}}));
    CHECK(world.graph().reports().empty());
    world.put(profile("p2", {}, {}, {{"b", "2"}}));
    CHECK(world.graph().reports().size() == 1);
    world.put(pod({.name = "x", .ips = {"10.0.0.2"}, .profiles = {{"p1"}}}));
    CHECK(world.graph().reports().empty());
}

TEST_CASE("tiers come by order, then name; missing tiers last; policies by order, then name/namespace/kind") {
    World world{kWeb, tier("zz", -5.5), tier("early", 10), tier("tie-a", 1000), tier("none", std::nullopt)};
    const auto put = [&world](const std::string& tier_name, const std::string& name, std::optional<double> order) {
        world.put(global_policy({.name = name, .order = order, .tier = tier_name}));
    };
    put("none", "n", 1);
    put("missing-b", "mb", 1);
    put("missing-a", "ma", 1);
    put("kube-baseline", "b", 1);
    put("default", "d", 1);
    put("kube-admin", "k", 1);
    put("tie-a", "t", 1);
    put("early", "e", 1);
    put("zz", "z", 1);
    CHECK(world.order(kWeb, Direction::ingress) ==
          "zz: z; early: e; kube-admin: k; tie-a: t; default: d; kube-baseline: b; none: n; missing-a: ma; "
          "missing-b: mb");

    put("default", "a-last", std::nullopt);
    put("default", "b-neg", -1);
    put("default", "c-frac", 0.5);
    CHECK(world.order(kWeb, Direction::ingress).find("default: b-neg c-frac d a-last;") != std::string::npos);
}

TEST_CASE("policies of equal order are sorted by the text name/namespace/kind") {
    const auto web = pod({.ns = "z", .name = "web", .ips = {"10.0.0.1"}});
    World world{web, policy("z", {.name = "a"}), global_policy({.name = "a"}), policy("z", {.name = "a.b"}),
                global_policy({.name = "a.b"})};
    // '.' sorts before '/', and the global one has an empty namespace.
    CHECK(world.order(web, Direction::ingress) == "default: a.b z/a.b a z/a");
}

TEST_CASE("what decides a packet follows tiers, their end, then profiles") {
    struct Row {
        const char* name;
        std::vector<model::ResourcePtr> objects;
        bool allowed;
        DecidedBy by;
    };
    const auto by_web = [](const std::string& tier_name, std::vector<model::Rule> rules,
                           std::vector<model::PolicyType> types = {kIngress}) {
        return global_policy(
            {.name = "in-" + tier_name, .types = types, .ingress = std::move(rules), .tier = tier_name});
    };
    const model::ResourcePtr admin = tier("first", 10);
    const model::ResourcePtr passing = tier("first", 10, kPass);
    const std::vector<model::Rule> other_port = {allow({.protocol = net::kTcp, .destination = {.ports = {"443"}}})};
    const auto row = GENERATE_COPY(values<Row>({
        {"no policy: the namespace's profile allows", {}, true, DecidedBy::profile_rule},
        {"a policy without rules denies at the end of its tier", {by_web("default", {})}, false, DecidedBy::tier_end},
        {"no rule matches: profiles are not asked", {by_web("default", other_port)}, false, DecidedBy::tier_end},
        {"a rule allows", {by_web("default", {allow()})}, true, DecidedBy::policy_rule},
        {"a rule denies before a later one allows",
         {by_web("default", {deny(), allow()})},
         false,
         DecidedBy::policy_rule},
        {"types of the other direction leave the tier out",
         {admin, by_web("first", {}, {kEgress})},
         true,
         DecidedBy::profile_rule},
        {"an allow in the first tier is final",
         {admin, by_web("first", {allow()}), by_web("default", {deny()})},
         true,
         DecidedBy::policy_rule},
        {"pass goes on with the next tier although its own would deny at its end",
         {admin, by_web("first", {pass(), deny()}), by_web("default", {allow()})},
         true,
         DecidedBy::policy_rule},
        {"pass in the last tier leads to the profiles", {by_web("default", {pass()})}, true, DecidedBy::profile_rule},
        {"pass in the first tier, nothing matches in default: denied, not profiles",
         {admin, by_web("first", {pass()}), by_web("default", {})},
         false,
         DecidedBy::tier_end},
        {"a tier that passes at its end goes on", {passing, by_web("first", {})}, true, DecidedBy::profile_rule},
        {"a policy of only Log rules denies at the end", {by_web("default", {log()})}, false, DecidedBy::tier_end},
        {"the baseline is reached where nothing else applies",
         {by_web("kube-baseline", {deny()})},
         false,
         DecidedBy::policy_rule},
        {"a policy in default shuts the baseline out",
         {by_web("default", {allow()}), by_web("kube-baseline", {deny()})},
         true,
         DecidedBy::policy_rule},
        {"a missing tier denies at its end, after the baseline",
         {by_web("kube-baseline", {}), by_web("nowhere", {})},
         false,
         DecidedBy::tier_end},
    }));
    CAPTURE(row.name);
    World world{kWeb};
    for (const model::ResourcePtr& object : row.objects) {
        world.put(object);
    }
    const Evaluation got = world.evaluate(kWeb, Direction::ingress, to_web());
    CHECK((got.verdict == Verdict::allow) == row.allowed);
    CHECK(got.decided_by == row.by);
    CHECK(world.allows_egress(kWeb, tcp("10.0.0.1", "10.9.9.9")) == world.order(kWeb, Direction::egress).empty());
}

TEST_CASE("a tier that is switched, created later or removed acts at once") {
    World world{kWeb, global_policy({.name = "p", .tier = "t"}), global_policy({.name = "d", .ingress = {allow()}})};
    // Missing: after default, whose policy allows.
    CHECK(world.order(kWeb, Direction::ingress) == "default: d; t: p");
    CHECK(world.allows_ingress(kWeb, to_web()));
    world.put(tier("t", 5));
    CHECK(world.order(kWeb, Direction::ingress) == "t: p; default: d");
    CHECK_FALSE(world.allows_ingress(kWeb, to_web()));
    world.put(tier("t", 5, kPass));
    CHECK(world.allows_ingress(kWeb, to_web()));
    world.put(tier("t", 5));
    CHECK_FALSE(world.allows_ingress(kWeb, to_web()));
    world.remove(tier("t", 5));
    CHECK(world.allows_ingress(kWeb, to_web()));
}

TEST_CASE("order and default action of the built-in tiers cannot be changed by what is stored") {
    World world{kWeb, tier("default", 1, kPass), tier("early", 500), global_policy({.name = "d"}),
                global_policy({.name = "e", .ingress = {pass()}, .tier = "early"})};
    CHECK(world.order(kWeb, Direction::ingress) == "early: e; default: d");
    CHECK_FALSE(world.allows_ingress(kWeb, to_web()));
    world.remove(tier("default", 1));
    CHECK_FALSE(world.allows_ingress(kWeb, to_web()));
}

TEST_CASE("policies for host endpoints alone do not touch workloads") {
    auto untracked = global_policy({.name = "u"});
    untracked->spec.do_not_track = true;
    auto pre_dnat = global_policy({.name = "d"});
    pre_dnat->spec.pre_dnat = true;
    World world{kWeb, untracked, pre_dnat};
    CHECK(world.order(kWeb, Direction::ingress).empty());
    CHECK(world.state().policies.empty());
    world.put(global_policy({.name = "u"}));  // becomes an ordinary one
    CHECK(world.order(kWeb, Direction::ingress) == "default: u");
}

TEST_CASE("a policy without an endpoint here costs nothing unless it asks to be everywhere") {
    const auto elsewhere = pod({.name = "far", .ips = {"10.0.1.1"}, .labels = {{"app", "far"}}, .node = "node2"});
    auto far = policy(
        "ns1", {.name = "p", .selector = "app == 'far'", .ingress = {allow({.source = {.selector = "app == 'web'"}})}});
    World world{kWeb, elsewhere, far};
    CHECK(world.state().policies.empty());
    CHECK(world.state().sets.empty());
    auto everywhere = policy(
        "ns1", {.name = "p", .selector = "app == 'far'", .ingress = {allow({.source = {.selector = "app == 'web'"}})}});
    everywhere->spec.performance_hints = {model::PerformanceHint::assume_needed_on_every_node};
    world.put(everywhere);
    CHECK(world.state().policies.size() == 1);
    CHECK(world.state().sets.size() == 1);
    world.put(far);
    CHECK(world.state().policies.empty());
    CHECK(world.state().sets.empty());
}

TEST_CASE("profiles decide in their order, and a missing one denies") {
    struct Row {
        const char* name;
        std::vector<std::string> profiles;
        bool allowed;
        DecidedBy by;
    };
    const auto row = GENERATE(values<Row>({
        {"none", {}, false, DecidedBy::no_profile},
        {"allowing", {"open"}, true, DecidedBy::profile_rule},
        {"built in", {"projectcalico-default-allow"}, true, DecidedBy::profile_rule},
        {"denying first", {"closed", "open"}, false, DecidedBy::profile_rule},
        {"no match, then allowing", {"none", "open"}, true, DecidedBy::profile_rule},
        {"passing, then allowing", {"passing", "open"}, true, DecidedBy::profile_rule},
        {"missing before allowing", {"gone", "open"}, false, DecidedBy::missing_profile},
        {"missing after allowing is not reached", {"open", "gone"}, true, DecidedBy::profile_rule},
        {"of a namespace with nothing in it", {"kns.empty"}, false, DecidedBy::missing_profile},
        {"of the own namespace, without a Namespace object", {"kns.ns1"}, true, DecidedBy::profile_rule},
        {"of an account has no rules", {"ksa.ns1.default"}, false, DecidedBy::no_profile},
    }));
    CAPTURE(row.name);
    const auto web = pod({.name = "web", .ips = {"10.0.0.1"}, .profiles = row.profiles});
    World world{web, profile("open", {allow()}, {}), profile("closed", {deny()}, {}), profile("none", {}, {}),
                profile("passing", {pass(), deny()}, {})};
    const Evaluation got = world.evaluate(web, Direction::ingress, to_web());
    CHECK((got.verdict == Verdict::allow) == row.allowed);
    CHECK(got.decided_by == row.by);
}

TEST_CASE("a profile that comes and goes opens and closes at once") {
    const auto web = pod({.name = "web", .ips = {"10.0.0.1"}, .profiles = {{"p"}}});
    World world{web};
    CHECK_FALSE(world.allows_ingress(web, to_web()));
    world.put(profile("p", {allow()}, {}));
    CHECK(world.allows_ingress(web, to_web()));
    world.remove(profile("p", {}, {}));
    CHECK_FALSE(world.allows_ingress(web, to_web()));
    const auto other = pod({.name = "web", .ips = {"10.0.0.1"}, .profiles = {{"kns.ns9"}}});
    world.put(other);
    CHECK_FALSE(world.allows_ingress(web, to_web()));
    world.put(network_set("ns9", "s", {}, {}));  // a namespace exists as soon as anything is in it
    CHECK(world.allows_ingress(web, to_web()));
    world.remove(network_set("ns9", "s", {}, {}));
    CHECK_FALSE(world.allows_ingress(web, to_web()));
    world.put(namespace_("ns9"));
    CHECK(world.allows_ingress(web, to_web()));
}

TEST_CASE("endpoints without an address or interface, and those of other nodes, are not told") {
    World world{pod({.name = "a", .ips = {}}), pod({.name = "b", .ips = {"10.0.0.2"}, .node = "node2"}), kWeb};
    CHECK(world.state().endpoints.size() == 1);
    CHECK(world.state().routes.size() == 1);
    world.put(pod({.name = "web", .ips = {}}));  // finished: its address was taken away
    CHECK(world.state().endpoints.empty());
    CHECK(world.state().routes.empty());
    CHECK(world.state().profiles.empty());
}

TEST_CASE("of two endpoints with one interface or address the lower key counts until it goes") {
    const auto first = pod({.name = "a", .ips = {"10.0.0.1"}, .interface = "cali0"});
    const auto second = pod({.name = "b", .ips = {"10.0.0.2"}, .interface = "cali0"});
    const auto third = pod({.name = "c", .ips = {"10.0.0.1"}, .interface = "cali1"});
    World world{second, third, first};
    CHECK(world.state().endpoints.size() == 2);
    CHECK(world.state().routes.at(cidr("10.0.0.1/32")).interface == "cali0");
    const std::vector<Report> reports = world.graph().reports();
    REQUIRE(reports.size() == 2);
    CHECK(reports[0].key == second->key());
    CHECK(reports[0].reason == "interface cali0 belongs to " + first->key().to_string());
    CHECK(reports[1].reason == "address 10.0.0.1/32 belongs to another endpoint of this node");
    world.remove(first);
    CHECK(world.endpoint(second).interface == "cali0");
    CHECK(world.state().routes.at(cidr("10.0.0.1/32")).interface == "cali1");
    CHECK(world.graph().reports().empty());
}

TEST_CASE("an evaluation tells every tier, policy and rule that was looked at") {
    World world{kWeb, tier("first", 1), global_policy({.name = "f", .ingress = {log(), pass()}, .tier = "first"}),
                policy("ns1", {.name = "one", .ingress = {allow({.source = {.nets = {"198.51.100.0/24"}}})}}),
                policy("ns1", {.name = "two", .ingress = {deny(), allow()}})};
    const Evaluation got = world.evaluate(kWeb, Direction::ingress, to_web());
    REQUIRE(got.tiers.size() == 2);
    CHECK(got.tiers[0].outcome == TierStep::Outcome::passed);
    REQUIRE(got.tiers[1].policies.size() == 2);
    CHECK(got.tiers[1].outcome == TierStep::Outcome::denied);
    CHECK_FALSE(got.tiers[1].policies[0].rules[0].matched);
    CHECK(got.tiers[1].policies[1].rules.size() == 1);  // the rule after the deciding one is not looked at
    CHECK(got.rule == got.tiers[1].policies[1].rules[0].id);
    CHECK(got.logged == std::vector<RuleId>{got.tiers[0].policies[0].rules[0].id});
    CHECK(got.profiles.empty());
}

TEST_CASE("how a packet is denied: the rule says, else its policy, else its tier, else the node") {
    auto p = policy("ns1", {.name = "p", .ingress = {deny()}});
    World world{kWeb, p};
    CHECK(world.evaluate(kWeb, Direction::ingress, to_web()).deny_action == std::nullopt);
    auto reject_tier = std::make_shared<model::Tier>();
    reject_tier->metadata.name = "default";
    reject_tier->spec.deny_action = model::DenyAction::reject;
    world.put(reject_tier);
    CHECK(world.evaluate(kWeb, Direction::ingress, to_web()).deny_action == DenyAction::reject);
    p = policy("ns1", {.name = "p", .ingress = {deny()}});
    p->spec.deny_action = model::DenyAction::drop;
    world.put(p);
    CHECK(world.evaluate(kWeb, Direction::ingress, to_web()).deny_action == DenyAction::drop);
    p = policy("ns1", {.name = "p", .ingress = {deny()}});
    p->spec.deny_action = model::DenyAction::drop;
    p->spec.ingress[0].deny_action = model::DenyAction::reject;
    world.put(p);
    CHECK(world.evaluate(kWeb, Direction::ingress, to_web()).deny_action == DenyAction::reject);
    world.put(policy("ns1", {.name = "p"}));
    CHECK(world.evaluate(kWeb, Direction::ingress, to_web()).deny_action == DenyAction::reject);  // the tier's end
}

}  // namespace manul::felix::test
