#include <catch2/catch.hpp>
#include <span>
#include <string>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "serve/documents.hpp"
#include "test/serve/client.hpp"

namespace manul::test {

namespace {

std::string order_of(Client& client, const std::string& name) {
    const codec::Tree object = client.json("GET", kPolicies + "/" + name);
    const codec::Tree* spec = object.find("spec");
    const codec::Tree* order = spec == nullptr ? nullptr : spec->find("order");
    return order == nullptr ? "" : order->text;
}

}  // namespace

TEST_CASE("refusals are worded as Kubernetes words them", "[serve]") {
    Client client;
    CHECK(client.say("GET", kPolicies + "/a") ==
          "404 NotFound globalnetworkpolicies.projectcalico.org \"a\" not found");
    CHECK(client.say("POST", kPolicies, policy("a")) == "201");
    CHECK(client.say("POST", kPolicies, policy("a")) ==
          "409 AlreadyExists globalnetworkpolicies.projectcalico.org \"a\" already exists");
    CHECK(client.say("PUT", kPolicies + "/a", policy("a")) ==
          "422 Invalid GlobalNetworkPolicy.projectcalico.org \"a\" is invalid: metadata.resourceVersion: Invalid "
          "value: 0x0: must be specified for an update");
    CHECK(client.say("PUT", kPolicies + "/a", policy("a", "{}", R"(,"resourceVersion":"1")")) ==
          "409 Conflict Operation cannot be fulfilled on globalnetworkpolicies.projectcalico.org \"a\": the object has "
          "been modified; please apply your changes to the latest version and try again");
    CHECK(client.say("PUT", kPolicies + "/b", policy("a")).starts_with("404 NotFound"));
    CHECK(client.say("POST", kPolicies, policy("c", R"({"selectr":"a == 'b'"})")) ==
          "400 BadRequest GlobalNetworkPolicy in version \"v3\" cannot be handled as a GlobalNetworkPolicy: strict "
          "decoding error: unknown field \"spec.selectr\", did you mean \"selector\"?");
    CHECK(client.say("POST", kPolicies, policy("c", R"({"tier":"absent"})")).starts_with("422 Invalid"));
    CHECK(client.say("DELETE", "/apis/projectcalico.org/v3/tiers/default").starts_with("403 Forbidden"));
    CHECK(client.say("GET", "/apis/projectcalico.org/v3/nothing") ==
          "404 NotFound the server could not find the requested resource");
    CHECK(client.say("POST", kPolicies + "/a", policy("a")).starts_with("405 MethodNotAllowed"));
    CHECK(client.say("POST", "/apis/projectcalico.org/v3/ipamblocks", "{}").starts_with("405 MethodNotAllowed"));
    CHECK(client.say("PATCH", kPolicies + "/a", "{}", "application/strategic-merge-patch+json").starts_with("415 "));
}

TEST_CASE("every mistake of an object is a cause with its field", "[serve]") {
    Client client;
    const codec::Tree status =
        client.json("POST", kPolicies, policy("a", R"({"order":"x","ingress":[{"action":"Alow"}]})"));
    const codec::Tree* causes = status.find("details")->find("causes");
    REQUIRE(causes != nullptr);
    REQUIRE(causes->children.size() == 2);
    CHECK(causes->children[0].text_at("field") == "spec.order");
    CHECK(causes->children[1].text_at("field") == "spec.ingress[0].action");
    CHECK(causes->children[1].text_at("message").find("did you mean \"Allow\"") != std::string_view::npos);
}

TEST_CASE("a label without a value has the empty one; any other type is refused", "[serve]") {
    Client client;
    const codec::Tree set = client.json("POST", kSets, network_set("a", R"(,"labels":{"gateway":null})"));
    REQUIRE(set.find("metadata")->find("labels") != nullptr);
    CHECK(codec::to_json(*set.find("metadata")->find("labels")) == R"({"gateway":""})");
    CHECK(items(client.json("GET", kSets + "?labelSelector=gateway%3D")) == 1);
    CHECK_FALSE(client.say("POST", kSets, network_set("b", R"(,"labels":{"gateway":true})")).starts_with("201"));
}

TEST_CASE("fieldValidation decides about unknown fields", "[serve]") {
    Client client;
    const std::string unknown = policy("a", R"({"selector":"a == 'b'","later":1})");
    CHECK(client.say("POST", kPolicies + "?fieldValidation=Strict", unknown).starts_with("400"));
    CHECK(client.say("POST", kPolicies, unknown).starts_with("400"));  // older clients do not ask
    CHECK(client.say("POST", kPolicies + "?fieldValidation=Warn", unknown) == "201");
    REQUIRE(client.headers.size() == 1);
    CHECK(client.headers[0].second == R"(299 - "unknown field \"spec.later\"")");
    CHECK(client.json("GET", kPolicies + "/a").find("spec")->find("later") == nullptr);
    // Nobody owns what is not there.
    CHECK(client.say("PATCH", kPolicies + "/a?fieldValidation=Ignore&fieldManager=me&force=true", unknown,
                     "application/apply-patch+yaml") == "200");
    CHECK(client.say("PATCH", kPolicies + "/b?fieldValidation=Warn&fieldManager=me",
                     policy("b", R"({"selector":"a == 'b'","later":1})"), "application/apply-patch+yaml") == "201");
    CHECK(client.headers.size() == 1);
    CHECK(client.ask("GET", kPolicies).response.body.find("later") == std::string::npos);
}

TEST_CASE("what a newer version wrote stays through every change by clients of this one", "[serve]") {
    Client client;
    const std::string spec =
        R"({"order":1,"selector":"a == 'b'","later":{"x":[1]},"ingress":[{"action":"Allow","future":2}]})";
    const store::Op newer = store::Put{{model::Kind::global_network_policy, "", "a"}, policy("a", spec), std::nullopt};
    REQUIRE(client.store->transact(std::span(&newer, 1), store::Checks::own_fields_only));
    const auto kept = [&] {
        const std::string text = client.ask("GET", kPolicies + "/a").response.body;
        return text.find(R"("later":{"x":[1]})") != std::string::npos &&
               text.find(R"("future":2)") != std::string::npos;
    };
    const std::string merge = "application/merge-patch+json";
    const std::string json_patch = "application/json-patch+json";
    for (const std::string strictness :
         {"", "?fieldValidation=Strict", "?fieldValidation=Warn", "?fieldValidation=Ignore", "?dryRun=All"}) {
        CAPTURE(strictness);
        const std::string place = kPolicies + "/a" + strictness;
        CHECK(client.say("PATCH", place, R"({"metadata":{"labels":{"x":"1"}},"spec":{"order":2}})", merge) == "200");
        CHECK(kept());
        CHECK(client.say("PATCH", place, R"([{"op":"replace","path":"/spec/order","value":3}])", json_patch) == "200");
        CHECK(kept());
        CHECK(client.say("PUT", place, client.ask("GET", kPolicies + "/a").response.body) == "200");
        CHECK(kept());
    }
    CHECK(client.say("PATCH", kPolicies + "/a?fieldManager=me&force=true", policy("a", R"({"order":4})"),
                     "application/apply-patch+yaml") == "200");
    CHECK(kept());
    CHECK(order_of(client, "a") == "4");
    // New ones are made by nobody.
    const std::string misspelt = R"({"spec":{"latr":1}})";
    CHECK(client.say("PATCH", kPolicies + "/a", misspelt, merge).starts_with("400 BadRequest"));
    CHECK(client.say("PATCH", kPolicies + "/a", R"({"spec":{"later":{"x":[2]}}})", merge).starts_with("400 "));
    CHECK(client.say("PATCH", kPolicies + "/a?fieldValidation=Ignore", misspelt, merge) == "200");
    CHECK(client.json("GET", kPolicies + "/a").find("spec")->find("latr") == nullptr);
    CHECK(kept());
    CHECK(client.say("PATCH", kPolicies + "/a", R"({"spec":{"later":null}})", merge) == "200");  // who names it may
    CHECK_FALSE(kept());
}

TEST_CASE("a list comes in pages of one state, by selectors, or as a table", "[serve]") {
    Client client;
    for (const char* name : {"a", "b", "c", "d"}) {
        const std::string labels = *name < 'c' ? R"(,"labels":{"x":"1"})" : "";
        REQUIRE(client.say("POST", kSets, network_set(name, labels)) == "201");
    }
    CHECK(items(client.json("GET", kSets)) == 4);
    CHECK(items(client.json("GET", kSets + "?labelSelector=x%3D1")) == 2);
    CHECK(items(client.json("GET", kSets + "?labelSelector=!x")) == 2);
    CHECK(items(client.json("GET", kSets + "?fieldSelector=metadata.name%3Dc")) == 1);
    CHECK(client.say("GET", kSets + "?fieldSelector=spec.nets%3Dc") ==
          "400 BadRequest field label not supported: spec.nets");
    const codec::Tree first = client.json("GET", kSets + "?limit=3");
    CHECK(items(first) == 3);
    CHECK(first.find("metadata")->find("remainingItemCount")->text == "1");
    const std::string token(first.text_at("metadata", "continue"));
    REQUIRE(client.say("DELETE", kSets + "/d") == "200");  // the pages show what was
    const codec::Tree second = client.json("GET", kSets + "?limit=3&continue=" + token);
    CHECK(items(second) == 1);
    CHECK(second.text_at("metadata", "resourceVersion") == first.text_at("metadata", "resourceVersion"));
    client.now += 1000;
    CHECK(client.say("GET", kSets + "?limit=3&continue=" + token).starts_with("410 Expired"));
    CHECK(client.say("GET", kSets + "?continue=rubbish").starts_with("400 BadRequest"));
    CHECK(client.say("GET", kSets + "?resourceVersion=999999").starts_with("504 Timeout"));
    CHECK(client.say("GET", kSets + "?resourceVersion=abc").starts_with("400 BadRequest"));
    CHECK(client.say("GET", kSets + "?limit=x").starts_with("400 BadRequest"));
    CHECK(items(client.json("GET", kSets + "?limit=-1")) == 3);
    const codec::Tree pages = client.json("GET", kSets + "?limit=1");
    CHECK(client.say("GET", kSets + "?limit=1&resourceVersion=1&continue=" +
                                std::string(pages.text_at("metadata", "continue"))) ==
          "400 BadRequest specifying resource version is not allowed when using continue");
    client.accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json";
    const codec::Tree partial = client.json("GET", kSets + "?limit=1");
    CHECK(partial.text_at("kind") == "PartialObjectMetadataList");
    CHECK(partial.text_at("apiVersion") == "meta.k8s.io/v1");
    REQUIRE(items(partial) == 1);
    const codec::Tree& only = partial.find("items")->children.front();
    CHECK(only.text_at("kind") == "PartialObjectMetadata");
    CHECK(only.text_at("metadata", "name") == "a");
    CHECK(only.find("spec") == nullptr);
    client.accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    const codec::Tree table = client.json("GET", kPolicies.substr(0, kPolicies.rfind('/')) + "/tiers");
    CHECK(table.text_at("kind") == "Table");
    CHECK(table.find("rows")->children.size() == 3);
    CHECK(table.find("columnDefinitions")->children.front().text_at("name") == "Name");
}

TEST_CASE("patches change what they name, and only for who saw the newest version", "[serve]") {
    Client client;
    REQUIRE(client.say("POST", kPolicies, policy("a", R"({"order":1,"selector":"a == 'b'"})")) == "201");
    const std::string path = kPolicies + "/a";
    CHECK(client.say("PATCH", path, R"({"spec":{"order":2}})", "application/merge-patch+json") == "200");
    CHECK(order_of(client, "a") == "2");
    CHECK(client.say("PATCH", path, R"([{"op":"replace","path":"/spec/order","value":3}])",
                     "application/json-patch+json") == "200");
    CHECK(order_of(client, "a") == "3");
    CHECK(client.say("PATCH", path, R"([{"op":"test","path":"/spec/order","value":9}])", "application/json-patch+json")
              .starts_with("422 "));
    CHECK(client
              .say("PATCH", path, R"({"metadata":{"resourceVersion":"1"},"spec":{"order":4}})",
                   "application/merge-patch+json")
              .starts_with("409 Conflict"));
    CHECK(client.say("PATCH", path, R"({"metadata":{"name":"b"}})", "application/merge-patch+json").starts_with("400"));
    const std::string before(client.json("GET", path).text_at("metadata", "resourceVersion"));
    CHECK(client.say("PATCH", path, R"({"spec":{"order":3}})", "application/merge-patch+json") == "200");
    CHECK(client.json("GET", path).text_at("metadata", "resourceVersion") == before);  // nothing changed
}

TEST_CASE("who speaks YAML is understood and answered in it", "[serve]") {
    Client client;
    const std::string set =
        "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {name: a}\n"
        "spec: {nets: [10.0.0.0/8]}  # ours\n";
    CHECK(client.say("POST", kSets, set, "application/yaml; charset=utf-8") == "201");
    CHECK(client.say("POST", kSets, "a: [", "application/yaml").starts_with("400 BadRequest"));
    CHECK(client.say("POST", kSets, set, "text/plain").starts_with("415 UnsupportedMediaType"));
    for (const auto& [accept, is_yaml] :
         {std::pair("application/yaml", true), std::pair("text/x, application/yaml", true),
          std::pair("application/json, application/yaml", false), std::pair("*/*,application/yaml", true),
          std::pair("application/yaml;q=0.5, application/json", false),
          std::pair("application/json;q=0.1,Application/YAML ; q=0.2", true),
          std::pair("application/yaml;q=0,*/*", false)}) {
        CAPTURE(accept);
        client.accept = accept;
        const serve::Response response = client.ask("GET", kSets + "/a").response;
        CHECK(response.content_type == (is_yaml ? "application/yaml" : "application/json"));
        CHECK((response.body.find("nets:\n  - 10.0.0.0/8\n") != std::string::npos) == is_yaml);
    }
    client.accept = "application/yaml";
    CHECK(client.ask("GET", kSets + "/b").response.body.find("\nreason: NotFound\n") != std::string::npos);
    CHECK(client.say("GET", kSets + "?watch=1").starts_with("406"));
}

TEST_CASE("a dry run says what would be and does nothing", "[serve]") {
    Client client;
    CHECK(client.say("POST", kPolicies + "?dryRun=All", policy("a")) == "201");
    CHECK(client.say("GET", kPolicies + "/a").starts_with("404"));
    CHECK(client.say("POST", kPolicies + "?dryRun=All", policy("a", R"({"tier":"absent"})")).starts_with("422"));
    REQUIRE(client.say("POST", kPolicies, policy("a")) == "201");
    CHECK(client.say("POST", kPolicies + "?dryRun=All", policy("a")).starts_with("409 AlreadyExists"));
    CHECK(client.say("PATCH", kPolicies + "/a?dryRun=All", R"({"spec":{"order":2}})", "application/merge-patch+json") ==
          "200");
    CHECK(order_of(client, "a").empty());
    CHECK(client.say("DELETE", kPolicies + "/a?dryRun=All") == "200");
    CHECK(client.say("GET", kPolicies + "/a") == "200");
}

TEST_CASE("a delete may say which object it means", "[serve]") {
    Client client;
    REQUIRE(client.say("POST", kPolicies, policy("a")) == "201");
    CHECK(client.say("DELETE", kPolicies + "/a", R"({"preconditions":{"uid":"another"}})").starts_with("409 Conflict"));
    CHECK(client.say("DELETE", kPolicies + "/a", R"({"preconditions":{"resourceVersion":"1"}})")
              .starts_with("409 Conflict"));
    const std::string uid(client.json("GET", kPolicies + "/a").text_at("metadata", "uid"));
    CHECK(client.say("DELETE", kPolicies + "/a", R"({"preconditions":{"uid":")" + uid + "\"}}") == "200");
    REQUIRE(client.say("POST", kSets, network_set("x", R"(,"labels":{"k":"1"})")) == "201");
    REQUIRE(client.say("POST", kSets, network_set("y")) == "201");
    CHECK(items(client.json("DELETE", kSets + "?labelSelector=k")) == 1);
    CHECK(items(client.json("GET", kSets)) == 1);
}

TEST_CASE("options of lists and watches that contradict each other are refused", "[serve]") {
    Client client;
    REQUIRE(client.say("POST", kSets, network_set("a")) == "201");
    struct Row {
        const char* query;
        const char* field;  ///< of the cause
    };
    for (const Row& row :
         {Row{"resourceVersionMatch=Exact", "resourceVersionMatch"},
          Row{"resourceVersion=0&resourceVersionMatch=Exact", "resourceVersionMatch"},
          Row{"resourceVersion=1&resourceVersionMatch=Some", "resourceVersionMatch"},
          Row{"resourceVersion=1&resourceVersionMatch=Exact&continue=x", "resourceVersionMatch"},
          Row{"sendInitialEvents=true", "sendInitialEvents"},
          Row{"watch=1&sendInitialEvents=true", "resourceVersionMatch"},
          Row{"watch=1&sendInitialEvents=false&resourceVersionMatch=Exact", "resourceVersionMatch"},
          Row{"watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan", "resourceVersionMatch"}}) {
        CAPTURE(row.query);
        const codec::Tree status = client.json("GET", kSets + "?" + row.query);
        CHECK(status.text_at("reason") == "Invalid");
        const codec::Tree* details = status.find("details");
        const codec::Tree* causes = details == nullptr ? nullptr : details->find("causes");
        REQUIRE(causes != nullptr);
        CHECK(causes->children.front().text_at("field") == row.field);
    }
    CHECK(client.say("GET", kSets + "?watch=1&timeoutSeconds=x").starts_with("400 BadRequest"));
    const auto watch = [&](const std::string& more) {
        serve::Answer answer =
            client.ask("GET", kSets + "?watch=1&resourceVersionMatch=NotOlderThan&sendInitialEvents=" + more);
        REQUIRE(answer.watches.size() == 1);
        return std::move(answer.watches.front());
    };
    const serve::WatchRequest whole = watch("true&allowWatchBookmarks=1&resourceVersion=1");
    CHECK(whole.initial.size() == 1);
    CHECK(whole.marks_initial_end);
    CHECK_FALSE(watch("true").marks_initial_end);
    CHECK(watch("false").initial.empty());
}

TEST_CASE("a namespace is deleted with what is in it", "[serve]") {
    Client client;
    const auto in_space = [](const std::string& kind, const std::string& name, const std::string& metadata = "") {
        return R"({"apiVersion":"projectcalico.org/v3","kind":")" + kind + R"(","metadata":{"name":")" + name +
               R"(","namespace":"prod")" + metadata + R"(},"spec":{}})";
    };
    const std::string spaces = "/api/v1/namespaces";
    const std::string sets = "/apis/projectcalico.org/v3/namespaces/prod/networksets";
    const std::string space = R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"prod"}})";
    REQUIRE(client.say("POST", spaces, space) == "201");
    REQUIRE(client.say("POST", sets, in_space("NetworkSet", "a")) == "201");
    REQUIRE(client.store->create({model::Kind::workload_endpoint, "prod", "n1-k8s-web-eth0"},
                                 R"({"apiVersion":"projectcalico.org/v3","kind":"WorkloadEndpoint","metadata":{"name":)"
                                 R"("n1-k8s-web-eth0","namespace":"prod","annotations":{"manul.io/boot-id":"b"}},)"
                                 R"("spec":{"node":"n1","orchestrator":"k8s","pod":"web","endpoint":"eth0",)"
                                 R"("interfaceName":"cali12345678901"}})"));
    CHECK(client.say("DELETE", spaces + "/prod?dryRun=All") == "200");
    CHECK(client.json("GET", spaces + "/prod").text_at("status", "phase") == "Active");
    const codec::Tree answer = client.json("DELETE", spaces + "/prod");
    CHECK(answer.text_at("kind") == "Namespace");
    CHECK(answer.text_at("status", "phase") == "Terminating");
    CHECK_FALSE(answer.text_at("metadata", "deletionTimestamp").empty());
    CHECK(client.say("DELETE", spaces + "/prod") == "200");  // once more does no harm

    const codec::Tree refused = client.json("POST", sets, in_space("NetworkSet", "b"));
    CHECK(refused.find("code")->text == "403");
    CHECK(refused.text_at("reason") == "Forbidden");
    CHECK(refused.text_at("message") ==
          "networksets.projectcalico.org \"b\" is forbidden: unable to create new content in namespace prod because it "
          "is being terminated");
    CHECK(refused.find("details")->find("causes")->children.front().text_at("reason") == "NamespaceTerminating");
    CHECK(client.say("POST", sets + "?dryRun=All", in_space("NetworkSet", "b")).starts_with("403 Forbidden"));
    CHECK(client.say("PATCH", spaces + "/prod", R"({"metadata":{"deletionTimestamp":null}})",
                     "application/merge-patch+json") == "200");
    CHECK(client.json("GET", spaces + "/prod").text_at("status", "phase") == "Terminating");
    client.accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
    CHECK(client.ask("GET", spaces).response.body.find("Terminating") != std::string::npos);
    client.accept = "application/json";

    REQUIRE(client.store->remove({model::Kind::workload_endpoint, "prod", "n1-k8s-web-eth0"}, std::nullopt));
    client.audit.clear();
    CHECK(client.say("DELETE", spaces + "/prod") == "200");
    CHECK(client.say("GET", spaces + "/prod").starts_with("404"));
    CHECK(client.say("GET", sets + "/a").starts_with("404"));
    CHECK(client.audit.size() == 2);  // the set, and the namespace
    CHECK(client.say("POST", sets, in_space("NetworkSet", "b")) == "201");
    REQUIRE(client.say("POST", spaces, R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"}})") ==
            "201");
    CHECK(client.say("DELETE", spaces + "/default") ==
          "403 Forbidden namespaces \"default\" is forbidden: this namespace may not be deleted");
}

TEST_CASE("status is written through its own path alone", "[serve]") {
    Client client;
    const std::string pods = "/api/v1/namespaces/prod/pods";
    const std::string pod = R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"status":{"phase":"Running"}})";
    REQUIRE(client.say("POST", pods, pod) == "201");
    CHECK(client.json("GET", pods + "/p").find("status") == nullptr);
    CHECK(client.say("PATCH", pods + "/p/status", R"({"status":{"phase":"Running"},"metadata":{"labels":{"a":"b"}}})",
                     "application/merge-patch+json") == "200");
    const codec::Tree written = client.json("GET", pods + "/p");
    CHECK(written.text_at("status", "phase") == "Running");
    CHECK(written.find("metadata")->find("labels") == nullptr);
    CHECK(client.say("PUT", kPolicies + "/a/status", "{}").starts_with("404"));
    for (const char* method : {"PATCH", "PUT"}) {
        CAPTURE(method);
        for (const char* other : {R"("uid":"another")", R"("resourceVersion":"1")"}) {
            CHECK(client
                      .say(method, pods + "/p/status",
                           std::string(R"({"metadata":{"name":"p",)") + other + R"(},"status":{"phase":"Failed"}})",
                           method == std::string("PUT") ? "application/json" : "application/merge-patch+json")
                      .starts_with("409 Conflict"));
        }
    }
}

TEST_CASE("secrets leave masked, and what was masked keeps its value", "[serve]") {
    Client client;
    const std::string path = "/api/v1/namespaces/manul-system/secrets";
    REQUIRE(client.say("POST", path,
                       R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"p":"hidden"}})") ==
            "201");
    const std::string real = "aGlkZGVu";
    for (const std::string& target : std::vector<std::string>{path, path + "/s", "/api/v1/secrets?watch=1"}) {
        const serve::Answer answer = client.ask("GET", target);
        CHECK(answer.response.body.find(real) == std::string::npos);
        if (!answer.watches.empty()) {
            CHECK_FALSE(answer.watches[0].rendering.secrets.is_everything());
        }
    }
    CHECK(client.ask("GET", path + "/s?reveal=true").response.body.find(real) != std::string::npos);
    CHECK(client.say("PATCH", path + "/s", R"({"data":{"p":"Kioq"},"metadata":{"labels":{"a":"b"}}})",
                     "application/merge-patch+json") == "200");
    CHECK(client.ask("GET", path + "/s?reveal=true").response.body.find(real) != std::string::npos);
    for (const serve::AuditEntry& entry : client.audit) {
        CHECK(audit_line(entry, {}, client.caller, "id", 0).find(real) == std::string::npos);
    }
    client.caller = {.user = "reader", .uid = "", .groups = {}};
    client.bind("reader", "manul-view");
    CHECK(client.ask("GET", path + "/s?reveal=true").response.body.find(real) == std::string::npos);
}

TEST_CASE("an immutable secret changes in its metadata alone, no secret its type", "[serve]") {
    Client client;
    const std::string secrets = "/api/v1/namespaces/default/secrets";
    constexpr const char* kMerge = "application/merge-patch+json";
    REQUIRE(client.say("POST", secrets,
                       R"({"metadata":{"name":"s"},"immutable":true,"stringData":{"a":"b"},"type":"x/y"})") == "201");
    const std::string path = secrets + "/s";
    CHECK(client.say("PATCH", path, R"({"data":{"a":"Yg==","c":"Yg=="}})", kMerge) ==
          "422 Invalid Secret \"s\" is invalid: data: cannot change: the secret is immutable; make another one");
    CHECK(client.say("PATCH", path, R"({"immutable":null})", kMerge).starts_with("422"));
    CHECK(client.say("PATCH", path, R"({"type":"Opaque"})", kMerge).ends_with("type: cannot change"));
    const std::string shown = client.ask("GET", path).response.body;  // with masks
    CHECK(client.say("PUT", path, shown) == "200");
    CHECK(client.say("PATCH", path, R"({"metadata":{"labels":{"k":"v"}}})", kMerge) == "200");
    REQUIRE(client.say("POST", secrets, R"({"metadata":{"name":"t"},"data":{"a":"Yg=="}})") == "201");
    CHECK(client.say("PATCH", secrets + "/t", R"({"type":"Opaque"})", kMerge) == "200");
    CHECK(client.say("PATCH", secrets + "/t", R"({"data":{"a":"YQ=="},"immutable":true})", kMerge) == "200");
}

TEST_CASE("a watch begins where its list ended, or with everything there is", "[serve]") {
    Client client;
    REQUIRE(client.say("POST", kSets, network_set("a")) == "201");
    const serve::Answer all = client.ask("GET", kSets + "?watch=true");
    REQUIRE(all.watches.size() == 1);
    CHECK(all.watches[0].initial.size() == 1);
    const serve::Answer from = client.ask("GET", kSets + "?watch=1&resourceVersion=1&allowWatchBookmarks=true");
    REQUIRE(from.watches.size() == 1);
    CHECK(from.watches[0].initial.empty());
    CHECK(from.watches[0].revision == "1");
    CHECK(from.watches[0].bookmarks);
    CHECK(client.say("GET", kSets + "?watch=1&resourceVersion=x").starts_with("400"));
}

TEST_CASE("every write has an entry with before and after", "[serve]") {
    Client client;
    client.say("POST", kSets, network_set("a"));
    client.say("PATCH", kSets + "/a", R"({"metadata":{"labels":{"x":"y"}}})", "application/merge-patch+json");
    client.say("DELETE", kSets + "/a");
    client.say("POST", kSets, network_set("Bad Name"));
    REQUIRE(client.audit.size() == 4);
    CHECK(client.audit[0].before.empty());
    CHECK_FALSE(client.audit[0].after.empty());
    CHECK(client.audit[1].before.find("\"x\"") == std::string::npos);
    CHECK(client.audit[1].after.find("\"x\"") != std::string::npos);
    CHECK(client.audit[2].verb == "delete");
    CHECK(client.audit[2].after.empty());
    CHECK(client.audit[3].code == 422);
    const std::string line = audit_line(client.audit[1], {.target = "/x"}, client.caller, "id", 1'800'000'000'000'001);
    const auto event = codec::parse_json(line);
    REQUIRE(event);
    CHECK(event->text_at("user", "username") == "admin");
    CHECK(event->text_at("stageTimestamp") == "2027-01-15T08:00:00.000001Z");
    CHECK(event->text_at("objectRef", "name") == "a");
}

TEST_CASE("several writes are one transaction", "[serve]") {
    Client client;
    const std::string path = "/apis/manul.io/v1/transactions";
    const auto op = [](const std::string& document, const std::string& precondition) {
        return R"({"put":)" + document + R"(,"precondition":)" + precondition + "}";
    };
    const std::string absent = R"({"absent":true})";
    CHECK(client.say("POST", path,
                     R"({"ops":[)" + op(network_set("a"), absent) + "," + op(network_set("b"), absent) + "]}") ==
          "200");
    CHECK(
        client
            .say("POST", path, R"({"ops":[)" + op(network_set("c"), absent) + "," + op(network_set("b"), absent) + "]}")
            .starts_with("409"));
    CHECK(client.say("GET", kSets + "/c").starts_with("404"));
    client.caller = {.user = "someone", .uid = "", .groups = {}};
    CHECK(client.say("POST", path, R"({"ops":[]})").starts_with("403"));
    client.bind("someone", "manul-node");
    CHECK(client.say("POST", path, R"({"ops":[)" + op(network_set("d"), absent) + "]}").starts_with("403"));
}

TEST_CASE("no request is too strange to be answered", "[serve]") {
    Client client;
    REQUIRE(client.say("POST", kPolicies, policy("a")) == "201");
    const std::vector<std::string> targets{"",
                                           "x",
                                           "/%",
                                           "/%zz",
                                           "/%00",
                                           "/..",
                                           "//",
                                           "/api//v1",
                                           "/apis/",
                                           "/apis/a/b/c/d/e/f/g",
                                           "/api/v1/namespaces/x",
                                           "/api/v1/namespaces//pods",
                                           "/?a&b=&=c&%",
                                           "/?%ff=1",
                                           "/apis/projectcalico.org/v3/tiers?limit=-1",
                                           "/apis/projectcalico.org/v3/tiers?limit=99999999999999999999",
                                           kPolicies + "?labelSelector=((((",
                                           kPolicies + "?labelSelector=a%20in%20(",
                                           kPolicies + "?labelSelector=%2C%2C",
                                           kPolicies + "?fieldSelector=%3D",
                                           kPolicies + "?watch=1&timeoutSeconds=-5",
                                           kPolicies + "?continue=eyJydiI6MX0=",
                                           "/openapi/v3/apis/x/y",
                                           std::string(9000, '/'),
                                           "/" + std::string(9000, 'a'),
                                           kPolicies + "/" + std::string(300, 'a'),
                                           kPolicies + "/a"};
    const std::vector<std::string> bodies{
        "",
        "{",
        "[]",
        "null",
        "1",
        "\"x\"",
        "{}",
        R"({"metadata":1})",
        R"({"metadata":{"name":1}})",
        R"({"metadata":{"name":"a","labels":[]},"spec":[]})",
        R"({"a":1,"a":2})",
        std::string(10'000, '['),
        "\xff\xfe",
        R"([{"op":"add"}])",
        R"([{"op":"move","from":"","path":"/a"}])",
        R"([{"op":"remove","path":""}])",
        R"([{"op":"add","path":"/spec/-","value":1},{"op":"copy","from":"/nowhere","path":"/x"}])",
        R"([{"op":"test","path":"/~2"}])",
        R"({"ops":[{}]})",
        R"({"ops":[{"put":1}]})",
        R"({"spec":{"$patch":"x"}})",
        policy("a", R"({"order":1e999})"),
        std::string("k8s\0\x0a\xff", 6),
        std::string("k8s\0\x12\x02\x0a\x7f", 8)};
    const std::vector<std::string> types{"application/json",
                                         "application/merge-patch+json",
                                         "application/json-patch+json",
                                         "application/strategic-merge-patch+json",
                                         "application/vnd.kubernetes.protobuf",
                                         "application/yaml",
                                         ""};
    for (const std::string& target : targets) {
        for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW"}) {
            for (const std::string& body : bodies) {
                for (const std::string& type : types) {
                    const serve::Answer answer = client.ask(method, target, body, type);
                    const unsigned code = answer.response.status;
                    const bool answered = code >= 200 && code < 600;
                    if (!answered || (code >= 400 && !codec::parse_json(answer.response.body))) {
                        FAIL(method << " " << target.substr(0, 100) << " " << body.substr(0, 50) << " " << code);
                    }
                    if (code == 200 && std::string(method) == "DELETE" && target == kPolicies + "/a") {
                        client.say("POST", kPolicies, policy("a"));
                    }
                }
                if (std::string(method) == "GET") {
                    break;
                }
            }
        }
    }
    CHECK(client.say("GET", kPolicies) == "200");
}

TEST_CASE("the documents about the API are whole", "[serve]") {
    Client client;
    for (const char* target : {"/api", "/apis", "/api/v1", "/apis/projectcalico.org", "/apis/projectcalico.org/v3",
                               "/apis/authorization.k8s.io/v1", "/openapi/v3", "/openapi/v3/api/v1",
                               "/openapi/v3/apis/projectcalico.org/v3", "/version"}) {
        CAPTURE(target);
        const serve::Response response = client.ask("GET", target).response;
        CHECK(response.status == 200);
        CHECK(codec::parse_json(response.body));
    }
    CHECK(client.ask("GET", "/openapi/v2").response.body.starts_with(std::string("\x0a\x03", 2) + "2.0"));
    client.accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    CHECK(client.json("GET", "/apis").text_at("kind") == "APIGroupDiscoveryList");
    for (const model::KindInfo& info : model::all_kinds()) {
        const auto& versions = serve::group_versions();
        CAPTURE(info.name);
        CHECK(std::find(versions.begin(), versions.end(),
                        serve::GroupVersion{std::string(info.group), std::string(info.version)}) != versions.end());
    }
}

}  // namespace manul::test
