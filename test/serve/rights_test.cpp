#include <catch2/catch.hpp>
#include <string>
#include <tuple>
#include <utility>

#include "base/base64.hpp"
#include "serve/rights.hpp"
#include "serve/tokens.hpp"
#include "test/serve/client.hpp"

namespace manul::test {

TEST_CASE("who is nobody is told nothing but that the server lives", "[serve]") {
    Client client;
    client.caller = {};
    CHECK(client.say("GET", kPolicies) == "401 Unauthorized Unauthorized");
    CHECK(client.say("GET", "/apis").starts_with("401"));
    CHECK(client.say("GET", "/no/such/path").starts_with("401"));
    CHECK(client.say("GET", "/healthz") == "200");
    CHECK(client.say("GET", "/version") == "200");
}

TEST_CASE("rights are judged before anything is told about an object", "[serve]") {
    Client client;
    REQUIRE(client.say("POST", kPolicies, policy("there")) == "201");
    client.caller = {.user = "eve", .uid = "", .groups = {}};
    const std::string refused = client.say("GET", kSets + "/a");
    CHECK(refused ==
          "403 Forbidden globalnetworksets.projectcalico.org \"a\" is forbidden: User \"eve\" cannot get resource "
          "\"globalnetworksets\" in API group \"projectcalico.org\" at the cluster scope");
    for (const char* name : {"there", "absent"}) {
        CAPTURE(name);
        for (const char* method : {"GET", "PUT", "DELETE"}) {
            CHECK(client.say(method, kPolicies + "/" + name, policy(name)).starts_with("403"));
        }
        CHECK(client.say("PATCH", kPolicies + "/" + name, "{}", "application/merge-patch+json").starts_with("403"));
    }
    CHECK(client.say("POST", kPolicies, policy("there")).starts_with("403"));
    CHECK(client.say("GET", kPolicies).starts_with("403"));
    CHECK(client.say("DELETE", kPolicies).starts_with("403"));
}

TEST_CASE("who may list or watch one object by its name asks by its field", "[serve]") {
    Client client;
    REQUIRE(client.say("POST", kSets, network_set("mine")) == "201");
    REQUIRE(client.say("POST", kSets, network_set("other")) == "201");
    client.grant("ann", R"([{"verbs":["get","list","watch"],"apiGroups":["projectcalico.org"],)"
                        R"("resources":["globalnetworksets"],"resourceNames":["mine"]}])");
    client.caller = {.user = "ann", .uid = "", .groups = {}};
    CHECK(client.say("GET", kSets).starts_with("403"));
    CHECK(client.say("GET", kSets + "?watch=1").starts_with("403"));
    CHECK(client.say("GET", kSets + "?fieldSelector=metadata.name%3Dother").starts_with("403"));
    CHECK(client.say("GET", kSets + "?fieldSelector=metadata.name%21%3Dother").starts_with("403"));
    const codec::Tree list = client.json("GET", kSets + "?fieldSelector=metadata.name%3Dmine");
    REQUIRE(list.find("items") != nullptr);
    CHECK(list.find("items")->children.size() == 1);
    CHECK(client.ask("GET", kSets + "?watch=1&fieldSelector=metadata.name%3Dmine").watches.size() == 1);
}

TEST_CASE("a reader reads, a namespace's role ends at its namespace", "[serve]") {
    Client client;
    client.bind("reader", "manul-view");
    client.caller = {.user = "reader", .uid = "", .groups = {}};
    CHECK(client.say("GET", kPolicies) == "200");
    CHECK(client.say("POST", kPolicies, policy("a")).starts_with("403"));
    CHECK(client.say("DELETE", kPolicies + "/a").starts_with("403"));
    client.roles.push_back(codec::decode(model::Kind::role,
                                         R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{)"
                                         R"("name":"r","namespace":"prod"},"rules":[{"verbs":["*"],"apiGroups":[""],)"
                                         R"("resources":["pods"],"resourceNames":["p"]}]})",
                                         codec::Mode::strict)
                               .resource);
    client.roles.push_back(
        codec::decode(model::Kind::role_binding,
                      R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{)"
                      R"("name":"r","namespace":"prod"},"subjects":[{"kind":"Group","name":"devs","apiGroup":)"
                      R"("rbac.authorization.k8s.io"}],"roleRef":{"kind":"Role","name":"r","apiGroup":)"
                      R"("rbac.authorization.k8s.io"}})",
                      codec::Mode::strict)
            .resource);
    client.caller = {.user = "dev", .uid = "", .groups = {"devs"}};
    CHECK(client.say("GET", "/api/v1/namespaces/prod/pods/p").starts_with("404"));
    CHECK(client.say("GET", "/api/v1/namespaces/prod/pods/q").starts_with("403"));
    CHECK(client.say("GET", "/api/v1/namespaces/test/pods/p").starts_with("403"));
    CHECK(client.say("GET", "/api/v1/namespaces/prod/pods").starts_with("403"));
}

TEST_CASE("who has one tier works in that tier and sees no other", "[serve]") {
    Client client;
    const std::string tiers = "/apis/projectcalico.org/v3/tiers";
    for (const char* name : {"sec", "ops"}) {
        REQUIRE(client.say("POST", tiers,
                           R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":")" +
                               std::string(name) + R"("},"spec":{}})") == "201");
    }
    REQUIRE(client.say("POST", kPolicies, policy("ops.x", R"({"tier":"ops"})")) == "201");
    client.grant(
        "sue", R"([{"verbs":["get"],"apiGroups":["projectcalico.org"],"resources":["tiers"],"resourceNames":["sec"]},)"
               R"({"verbs":["*"],"apiGroups":["projectcalico.org"],"resources":["tier.globalnetworkpolicies"],)"
               R"("resourceNames":["sec.*"]}])");
    client.caller = {.user = "sue", .uid = "", .groups = {}};
    CHECK(client.say("GET", kPolicies + "/sec.a").starts_with("404"));  // apply looks before it creates
    CHECK(client.say("POST", kPolicies, policy("sec.a", R"({"tier":"sec"})")) == "201");
    CHECK(client.say("GET", kPolicies + "/sec.a") == "200");
    CHECK(client.say("GET", kPolicies + "/ops.x").starts_with("403"));
    CHECK(client.say("GET", kPolicies + "/ops.absent").starts_with("403"));
    CHECK(client.say("POST", kPolicies, policy("sec.b", R"({"tier":"ops"})")).starts_with("403"));
    CHECK(client.say("PATCH", kPolicies + "/sec.a", R"({"spec":{"tier":"ops"}})", "application/merge-patch+json")
              .starts_with("403"));
    const codec::Tree list = client.json("GET", kPolicies);
    REQUIRE(list.find("items") != nullptr);
    CHECK(list.find("items")->children.size() == 1);
    const serve::Answer watch = client.ask("GET", kPolicies + "?watch=1&resourceVersion=1");
    REQUIRE(watch.watches.size() == 1);
    REQUIRE(watch.watches[0].visible);
    CHECK_FALSE(watch.watches[0].visible(*codec::parse_json(policy("ops.x", R"({"tier":"ops"})"))));
    CHECK(client.say("DELETE", kPolicies) == "200");
    client.caller = {.user = "admin", .uid = "", .groups = {serve::kAdminGroup}};
    CHECK(client.say("GET", kPolicies + "/ops.x") == "200");
    CHECK(client.say("GET", kPolicies + "/sec.a").starts_with("404"));
}

TEST_CASE("nobody gives rights that he does not have", "[serve]") {
    Client client;
    client.grant(
        "clerk",
        R"([{"verbs":["*"],"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles",)"
        R"("clusterrolebindings"],"resourceNames":[]},{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])");
    // The verb * on roles would hold escalate and bind as well.
    client.roles.clear();
    client.grant("clerk",
                 R"([{"verbs":["get","create","update"],"apiGroups":["rbac.authorization.k8s.io"],"resources":)"
                 R"(["clusterroles","clusterrolebindings"]},{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])");
    client.caller = {.user = "clerk", .uid = "", .groups = {}};
    const std::string roles = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
    const auto role = [](const std::string& rules) {
        return R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"n"},"rules":)" +
               rules + "}";
    };
    CHECK(client.say("POST", roles, role(R"([{"verbs":["*"],"apiGroups":["*"],"resources":["*"]}])"))
              .find("attempting to grant rights not currently held") != std::string::npos);
    CHECK(client.say("POST", roles, role(R"([{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}])")) == "201");
    const std::string binding =
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"b"},)"
        R"("subjects":[{"kind":"User","name":"clerk","apiGroup":"rbac.authorization.k8s.io"}],"roleRef":{"kind":)"
        R"("ClusterRole","name":"manul-admin","apiGroup":"rbac.authorization.k8s.io"}})";
    const std::string bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    CHECK(client.say("POST", bindings, binding).starts_with("403"));
    // `bind` is a right on the role: whoever has every verb on bindings has none to give.
    client.grant("clerk", R"([{"verbs":["*"],"apiGroups":["rbac.authorization.k8s.io"],)"
                          R"("resources":["clusterrolebindings","rolebindings"]}])");
    CHECK(client.say("POST", bindings, binding).starts_with("403"));
    client.grant("clerk", R"([{"verbs":["bind"],"apiGroups":["rbac.authorization.k8s.io"],)"
                          R"("resources":["clusterroles"],"resourceNames":["manul-admin"]}])");
    CHECK(client.say("POST", bindings, binding) == "201");
}

TEST_CASE("subjects are judged as Kubernetes judges them", "[serve]") {
    const auto has_rights = [](const std::string& subject, const serve::Caller& caller) {
        const auto binding = codec::decode(
            model::Kind::role_binding,
            R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"b","namespace":)"
            R"("prod"},"subjects":[)" +
                subject +
                R"(],"roleRef":{"kind":"ClusterRole","name":"manul-view","apiGroup":"rbac.authorization.k8s.io"}})",
            codec::Mode::strict);
        REQUIRE(binding.ok());
        return serve::Rights::make({binding.resource})
            ->allows(caller, {.verb = "get", .group = "", .resource = "pods", .ns = "prod", .name = "p", .path = {}});
    };
    const serve::Caller ann{.user = "ann", .uid = "", .groups = {"devs", serve::kEveryoneGroup}};
    const serve::Caller account{.user = "system:serviceaccount:prod:ci", .uid = "", .groups = {}};
    CHECK(has_rights(R"({"kind":"User","name":"ann"})", ann));
    CHECK(has_rights(R"({"kind":"Group","name":"system:authenticated"})", ann));
    CHECK_FALSE(has_rights(R"({"kind":"Group","name":"ann"})", ann));
    CHECK_FALSE(has_rights(R"({"kind":"Group","name":"*"})", ann));
    CHECK_FALSE(has_rights(R"({"kind":"User","name":"*"})", ann));
    CHECK(has_rights(R"({"kind":"User","name":"system:serviceaccount:prod:ci"})", account));
    CHECK(has_rights(R"({"kind":"ServiceAccount","name":"ci","namespace":"prod"})", account));
    CHECK(has_rights(R"({"kind":"ServiceAccount","name":"ci"})", account));
    CHECK_FALSE(has_rights(R"({"kind":"ServiceAccount","name":"ci","namespace":"test"})", account));
    CHECK_FALSE(has_rights(R"({"kind":"ServiceAccount","name":"prod:ci","namespace":"system"})", account));
}

TEST_CASE("roles that add up others may be added up themselves", "[serve]") {
    Client client;
    const auto role = [&](const std::string& name, const std::string& label, const std::string& rules,
                          const std::string& selected = "") {
        const std::string rule =
            selected.empty()
                ? ""
                : R"(,"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"to":")" + selected + "\"}}]}";
        client.roles.push_back(codec::decode(model::Kind::cluster_role,
                                             R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole",)"
                                             R"("metadata":{"name":")" +
                                                 name + R"(","labels":{"to":")" + label + R"("}},"rules":)" + rules +
                                                 rule + "}",
                                             codec::Mode::strict)
                                   .resource);
    };
    const std::string sets =
        R"([{"verbs":["get"],"apiGroups":["projectcalico.org"],"resources":["globalnetworksets"]}])";
    const std::string pools = R"([{"verbs":["get"],"apiGroups":["projectcalico.org"],"resources":["ippools"]}])";
    role("admin", "", "[]", "admin");
    role("view", "edit", pools, "view");  // its own rules count for nothing
    role("edit", "admin", "[]", "edit");
    role("view-sets", "view", sets);
    role("circle", "circle", "[]", "circle");
    client.bind("ann", "admin");
    client.bind("bob", "circle");
    client.caller = {.user = "ann", .uid = "", .groups = {}};
    CHECK(client.say("GET", kSets + "/a").starts_with("404"));
    CHECK(client.say("GET", "/apis/projectcalico.org/v3/ippools/a").starts_with("403"));
    client.caller.user = "bob";
    CHECK(client.say("GET", kSets + "/a").starts_with("403"));
}

TEST_CASE("reviews tell what one may do and who one is", "[serve]") {
    Client client;
    client.bind("reader", "manul-view");
    client.caller = {.user = "reader", .uid = "7", .groups = {"g"}};
    const auto may = [&](const std::string& verb) {
        return client
            .json("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                  R"({"spec":{"resourceAttributes":{"verb":")" + verb + R"(","resource":"pods"}}})")
            .find("status")
            ->find("allowed")
            ->text;
    };
    CHECK(may("list") == "true");
    CHECK(may("delete") == "false");
    const auto rules = [&](const std::string& ns) {
        const codec::Tree review = client.json("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
                                               R"({"spec":{"namespace":")" + ns + "\"}}");
        return codec::to_json(*review.find("status"));
    };
    CHECK(rules("default") == R"({"resourceRules":[{"verbs":["get","list","watch"],"apiGroups":["*"],"resources":)"
                              R"(["*"]}],"nonResourceRules":[],"incomplete":false})");
    client.caller.groups = {serve::kAdminGroup};
    CHECK(rules("default").find(R"({"verbs":["*"],"nonResourceURLs":["*"]})") != std::string::npos);
    client.caller.groups = {"g"};
    const codec::Tree self = client.json("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", "{}");
    CHECK(self.find("status")->text_at("userInfo", "username") == "reader");
}

TEST_CASE("a host's daemons write what is theirs, and nothing that people make", "[serve]") {
    Client client;
    client.bind("host", "manul-node");
    client.caller = {.user = "host", .uid = "", .groups = {}};
    const std::string calico = "/apis/projectcalico.org/v3/";
    for (const auto& [plural, kind, spec, answer] :
         {std::tuple("nodes", "Node", "{}", "201"), std::tuple("tiers", "Tier", "{}", "403"),
          std::tuple("ippools", "IPPool", R"({"cidr":"10.0.0.0/24"})", "403"),
          std::tuple("globalnetworksets", "GlobalNetworkSet", "{}", "403")}) {
        CAPTURE(plural);
        const std::string document = std::string(R"({"apiVersion":"projectcalico.org/v3","kind":")") + kind +
                                     R"(","metadata":{"name":"x"},"spec":)" + spec + "}";
        CHECK(client.say("POST", calico + plural, document).starts_with(answer));
    }
    for (const auto& [plural, name] : {std::pair("tiers", "default"), std::pair("ipamconfigurations", "default"),
                                       std::pair("clusterinformations", "default")}) {
        CAPTURE(plural);
        CHECK(client
                  .say("PATCH", calico + plural + "/" + name, R"({"metadata":{"labels":{"a":"b"}}})",
                       "application/merge-patch+json")
                  .starts_with("403"));
    }
}

TEST_CASE("a host sees the values of the secrets that are referred to, and no other", "[serve]") {
    Client client;
    const auto put = [&](const std::string& path, const std::string& document) {
        CAPTURE(path, document);
        REQUIRE(client.say("POST", path, document) == "201");
    };
    const auto put_secret = [&](const std::string& ns, const std::string& name, const std::string& value) {
        put("/api/v1/namespaces/" + ns + "/secrets",
            R"({"metadata":{"name":")" + name + R"("},"data":{"p":")" + value + "\"}}");
    };
    const auto refer = [&](const std::string& peer, const std::string& secret) {
        put("/apis/projectcalico.org/v3/bgppeers",
            R"({"apiVersion":"projectcalico.org/v3","kind":"BGPPeer","metadata":{"name":")" + peer +
                R"("},"spec":{"peerIP":"10.0.0.9","asNumber":65000,"password":{"secretKeyRef":{"name":")" + secret +
                R"(","key":"p"}}}})");
    };
    put_secret("manul-system", "used", "dXNlZA==");
    put_secret("manul-system", "mesh", "bWVzaA==");
    put_secret("manul-system", "other", "b3RoZXI=");
    put_secret("default", "used", "ZWxzZXdoZXJl");
    refer("a", "used");
    put("/apis/projectcalico.org/v3/bgpconfigurations",
        R"({"apiVersion":"projectcalico.org/v3","kind":"BGPConfiguration","metadata":{"name":"default"},"spec":)"
        R"({"nodeMeshPassword":{"secretKeyRef":{"name":"mesh","key":"p"}}}})");

    client.bind("host", "manul-node");
    serve::Caller admin = std::exchange(client.caller, {.user = "host", .uid = "", .groups = {}});
    const auto seen = [&](const std::string& path) {
        const std::string body = client.ask("GET", path + "?reveal=true").response.body;
        std::string out;
        for (const char* value : {"dXNlZA==", "bWVzaA==", "b3RoZXI=", "ZWxzZXdoZXJl"}) {
            out += body.find(value) != std::string::npos ? "+" : "-";
        }
        return out;
    };
    CHECK(seen("/api/v1/secrets") == "++--");
    CHECK(seen("/api/v1/namespaces/manul-system/secrets/used") == "+---");
    CHECK(seen("/api/v1/namespaces/manul-system/secrets/other") == "----");
    CHECK(seen("/api/v1/namespaces/default/secrets/used") == "----");
    CHECK(client.ask("GET", "/api/v1/secrets").response.body.find("dXNlZA==") == std::string::npos);

    // What is referred to since the list was read was not shown in it.
    const std::string listed(client.json("GET", "/api/v1/secrets").text_at("metadata", "resourceVersion"));
    const std::string watch = "/apis/manul.io/v1/watches?reveal=true&starts=secrets:" + listed;
    REQUIRE(client.ask("GET", watch).watches.size() == 1);
    CHECK_FALSE(client.ask("GET", watch).watches[0].outdated);
    std::swap(client.caller, admin);
    refer("b", "other");
    std::swap(client.caller, admin);
    CHECK(client.ask("GET", watch).watches[0].outdated);
    CHECK(seen("/api/v1/secrets") == "+++-");
}

TEST_CASE("of a change that waits to be confirmed a host sees the policies, not the secrets", "[serve]") {
    Client client;
    const std::string changes =
        R"({"withinSeconds":60,"objects":[{"apiVersion":"v1","kind":"Secret","namespace":"x","name":"s","before":"hidden"},)"
        R"({"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkPolicy","namespace":"","name":"g","before":"{}"}]})";
    REQUIRE(client.say("POST", "/api/v1/namespaces/manul-system/secrets",
                       R"({"metadata":{"name":"manul-rollback"},"type":"manul.io/rollback","data":{"changes":")" +
                           base64_encode(changes) + "\"}}") == "201");
    const std::string path = "/api/v1/namespaces/manul-system/secrets/manul-rollback?reveal=true";
    const auto shown = [&] {
        const codec::Tree record = client.json("GET", path);
        return base64_decode(record.text_at("data", "changes")).value_or("");
    };
    CHECK(shown() == changes);
    client.bind("host", "manul-node");
    client.caller = {.user = "host", .uid = "", .groups = {}};
    CHECK(shown().find("hidden") == std::string::npos);
    CHECK(shown().find("GlobalNetworkPolicy") != std::string::npos);
    CHECK(client.json("GET", path).text_at("metadata", "resourceVersion").empty() == false);
}

TEST_CASE("tokens are read as Kubernetes writes them", "[serve]") {
    const auto tokens = serve::Tokens::parse("# people\nabc,ann,1,\"g1,g2\"\nxyz,bob,2\n");
    REQUIRE(tokens);
    CHECK(tokens->find("abc").user == "ann");
    CHECK(tokens->find("abc").groups == std::vector<std::string>{"g1", "g2", serve::kEveryoneGroup});
    CHECK(tokens->find("xyz").user == "bob");
    CHECK(tokens->find("ab").user.empty());
    CHECK(tokens->find("").user.empty());
    const auto wrong = serve::Tokens::parse("secret-token\n,u,1\na,\"b,c\n");
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().message.find("secret-token") == std::string::npos);
    CHECK(wrong.error().message.find("line 3") != std::string::npos);
}

TEST_CASE("the record of a change that undoes itself is for who may write everything", "[serve]") {
    Client client;
    const std::string record =
        R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"manul-rollback","namespace":"manul-system"}})";
    const std::string path = "/api/v1/namespaces/manul-system/secrets";
    client.caller = {.user = "ann", .uid = "", .groups = {}};
    client.grant("ann", R"([{"apiGroups":[""],"resources":["secrets"],"verbs":["*"]}])");
    CHECK(client.say("POST", path, record).find("attempting to grant rights not currently held") != std::string::npos);
    CHECK(client.say("POST", path, R"({"metadata":{"name":"other"}})") == "201");
    client.grant("ann", R"([{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}])");
    CHECK(client.say("POST", path, record) == "201");
    CHECK(client.say("DELETE", path + "/manul-rollback") == "200");
}

}  // namespace manul::test
