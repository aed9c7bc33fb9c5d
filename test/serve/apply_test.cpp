#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/codec/field_set.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/memory.hpp"
#include "config/store/memory_backend.hpp"
#include "config/store/object_store.hpp"
#include "config/store/store.hpp"
#include "test/serve/client.hpp"

namespace manul::test {

namespace {

const std::string kApplyType = "application/apply-patch+yaml";
const std::string kMergeType = "application/merge-patch+json";
const std::string kPolicyPath = kPolicies + "/a";
const std::string kServices = "/api/v1/namespaces/n/services";

std::string apply(Client& client, const std::string& manager, const std::string& document,
                  const std::string& path = kPolicyPath, const std::string& more = "") {
    return client.say("PATCH", path + "?fieldManager=" + manager + more, document, kApplyType);
}

std::string applied(const std::string& spec, const std::string& metadata = "") { return policy("a", spec, metadata); }

/// "Apply alice {fields}" of each owner, in order.
std::vector<std::string> owners(Client& client, const std::string& path = kPolicyPath) {
    const codec::Tree object = client.json("GET", path);
    const codec::Tree* list = object.find("metadata")->find("managedFields");
    std::vector<std::string> out;
    for (const codec::Tree& row : list == nullptr ? std::vector<codec::Tree>{} : list->children) {
        CHECK(row.text_at("fieldsType") == "FieldsV1");
        std::string text = std::string(row.text_at("operation")) + " " + std::string(row.text_at("manager"));
        for (const std::string& field : codec::FieldSet::parse(*row.find("fieldsV1")).paths()) {
            text += " " + field;
        }
        out.push_back(text);
    }
    return out;
}

std::string spec_of(Client& client, const std::string& path = kPolicyPath) {
    codec::Tree spec = *client.json("GET", path).find("spec");
    spec.erase("tier");  // written on create, owned by nobody
    spec.erase("types");
    return codec::to_json(spec);
}

std::string service(const std::string& ports, const std::string& more = "") {
    return R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"n"},"spec":{"ports":)" + ports +
           more + "}}";
}

using Owners = std::vector<std::string>;

}  // namespace

TEST_CASE("who applies owns what he sends, and what he sends no more is removed", "[apply]") {
    Client client;
    CHECK(apply(client, "alice",
                applied(R"({"order":1,"selector":"x == 'y'","types":["Ingress"]})",
                        R"(,"labels":{"x":"1","y":"2"})")) == "201");
    CHECK(owners(client) ==
          Owners{"Apply alice .metadata.labels.x .metadata.labels.y .spec.order .spec.selector .spec.types"});
    CHECK(apply(client, "alice", applied(R"({"selector":"x == 'y'","types":["Egress"]})", R"(,"labels":{"x":"1"})")) ==
          "200");
    CHECK(owners(client) == Owners{"Apply alice .metadata.labels.x .spec.selector .spec.types"});
    const codec::Tree object = client.json("GET", kPolicyPath);
    CHECK(object.find("spec")->find("order") == nullptr);
    CHECK(object.find("metadata")->find("labels")->find("y") == nullptr);
    CHECK(object.find("spec")->find("types")->children.size() == 1);

    const std::string before(object.text_at("metadata", "resourceVersion"));
    client.now += 100;
    CHECK(apply(client, "alice", applied(R"({"selector":"x == 'y'","types":["Egress"]})", R"(,"labels":{"x":"1"})")) ==
          "200");
    CHECK(client.json("GET", kPolicyPath).text_at("metadata", "resourceVersion") == before);  // nothing changed
}

TEST_CASE("who takes the last of his fields out of a map leaves what is nobody's there", "[apply]") {
    Client client;
    REQUIRE(apply(client, "alice", applied(R"({"order":1})", R"(,"labels":{"x":"1"})")) == "201");
    CHECK(apply(client, "alice", applied(R"({"order":1})")) == "200");
    const codec::Tree object = client.json("GET", kPolicyPath);
    CHECK(object.text_at("metadata", "name") == "a");
    CHECK(object.find("metadata")->find("labels")->find("x") == nullptr);
    CHECK(owners(client) == Owners{"Apply alice .spec.order"});

    REQUIRE(apply(client, "alice", service(R"([{"port":80}])"), kServices + "/s") == "201");
    const std::string held = R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s","finalizers":["x/one"]}})";
    REQUIRE(apply(client, "bob", held, kServices + "/s") == "200");
    CHECK(apply(client, "bob", R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s"}})", kServices + "/s") ==
          "200");
    CHECK(client.json("GET", kServices + "/s").find("metadata")->find("finalizers") == nullptr);
    CHECK(spec_of(client, kServices + "/s") == R"({"ports":[{"port":80}]})");
}

TEST_CASE("a field of somebody else with another value is a conflict that names him", "[apply]") {
    Client client;
    REQUIRE(apply(client, "alice", applied(R"({"order":1,"selector":"x == 'y'"})")) == "201");
    const serve::Response refused =
        client.ask("PATCH", kPolicyPath + "?fieldManager=bob", applied(R"({"order":2})"), kApplyType).response;
    CHECK(refused.status == 409);
    const codec::Tree status = *codec::parse_json(refused.body);
    CHECK(status.text_at("reason") == "Conflict");
    CHECK(status.text_at("message") == R"(Apply failed with 1 conflict: conflict with "alice": .spec.order)");
    const codec::Tree& cause = status.find("details")->find("causes")->children.front();
    CHECK(cause.text_at("reason") == "FieldManagerConflict");
    CHECK(cause.text_at("field") == ".spec.order");
    CHECK(spec_of(client) == R"({"order":1,"selector":"x == 'y'"})");

    CHECK(apply(client, "bob", applied(R"({"order":2})"), kPolicyPath, "&force=true") == "200");
    CHECK(owners(client) == Owners{"Apply alice .spec.selector", "Apply bob .spec.order"});
    CHECK(apply(client, "carol", applied(R"({"order":3,"selector":"z == 'y'"})")) ==
          "409 Conflict Apply failed with 2 conflicts: conflicts with \"alice\":\n- .spec.selector\n"
          "conflicts with \"bob\":\n- .spec.order");
}

TEST_CASE("who writes past the API, or by a transaction, owns what he changes, and nobody else does", "[apply]") {
    const auto database = store::make_memory_database();
    const model::Key key{model::Kind::global_network_policy, "", "a"};
    store::ObjectStore direct(std::make_unique<store::MemoryBackend>(database), "manulctl");
    for (const store::Checks checks : {store::Checks::full, store::Checks::own_fields_only}) {
        CAPTURE(checks == store::Checks::full);
        Client client;
        client.store = store::make_memory(database);
        const auto put = [&](const std::string& document) {
            const std::vector<store::Op> ops{store::Put{key, document, std::nullopt}};
            const auto done = direct.transact(ops, checks);
            REQUIRE(done);
            return *done;
        };
        REQUIRE(apply(client, "alice",
                      applied(R"({"tier":"default","types":["Ingress"],"order":1,"selector":"x == 'y'"})")) == "201");
        const Owners before = owners(client);
        // A file, which says nothing about owners.
        const std::string same = applied(R"({"tier":"default","types":["Ingress"],"order":1,"selector":"x == 'y'"})",
                                         R"(,"labels":{"projectcalico.org/tier":"default"})");
        put(same);
        CHECK(owners(client) == before);
        put(applied(R"({"tier":"default","types":["Ingress"],"order":2,"selector":"x == 'y'"})",
                    R"(,"labels":{"projectcalico.org/tier":"default"})"));
        CHECK(owners(client) ==
              Owners{"Apply alice .spec.selector .spec.tier .spec.types", "Update manulctl .spec.order"});
        CHECK(apply(client, "alice",
                    applied(R"({"tier":"default","types":["Ingress"],"order":1,"selector":"x == 'y'"})")) ==
              "409 Conflict Apply failed with 1 conflict: conflict with \"manulctl\" using projectcalico.org/v3: "
              ".spec.order");

        const std::string changed = applied(R"({"tier":"default","types":["Ingress"],"order":2,"selector":"z == 'y'"})",
                                            R"(,"labels":{"projectcalico.org/tier":"default"})");
        CHECK(client.say("POST", "/apis/manul.io/v1/transactions",
                         R"({"checks":"full","ops":[{"put":)" + changed + "}]}") == "200");
        CHECK(owners(client) == Owners{"Apply alice .spec.tier .spec.types", "Update manulctl .spec.order",
                                       "Update unknown .spec.selector"});
        REQUIRE(client.say("DELETE", kPolicyPath) == "200");
    }
}

TEST_CASE("who wants the same value owns it too, and it stays until the last of them goes", "[apply]") {
    Client client;
    REQUIRE(apply(client, "alice", applied(R"({"order":1,"selector":"x == 'y'"})")) == "201");
    REQUIRE(apply(client, "bob", applied(R"({"order":1})")) == "200");
    CHECK(owners(client) == Owners{"Apply alice .spec.order .spec.selector", "Apply bob .spec.order"});
    CHECK(apply(client, "bob", applied(R"({"order":7})")).starts_with("409 "));
    REQUIRE(apply(client, "alice", applied(R"({"selector":"x == 'y'"})")) == "200");
    CHECK(spec_of(client) == R"({"order":1,"selector":"x == 'y'"})");
    CHECK(apply(client, "bob", applied(R"({"order":7})")) == "200");
    REQUIRE(apply(client, "bob", applied(R"({"selector":"x == 'y'"})")) == "200");
    CHECK(spec_of(client) == R"({"selector":"x == 'y'"})");
    CHECK(owners(client) == Owners{"Apply alice .spec.selector", "Apply bob .spec.selector"});
}

TEST_CASE("other writes are recorded under their manager, and take over what they change", "[apply]") {
    Client client;
    REQUIRE(client.say("POST", kPolicies + "?fieldManager=kubectl-create",
                       policy("a", R"({"order":1,"selector":"x == 'y'"})")) == "201");
    CHECK(owners(client) == Owners{"Update kubectl-create .spec.order .spec.selector"});
    REQUIRE(client.say("PATCH", kPolicyPath + "?fieldManager=kubectl-edit", R"({"spec":{"order":2}})", kMergeType) ==
            "200");
    CHECK(owners(client) == Owners{"Update kubectl-create .spec.selector", "Update kubectl-edit .spec.order"});
    CHECK(apply(client, "alice", applied(R"({"order":3,"selector":"x == 'y'"})")) ==
          "409 Conflict Apply failed with 1 conflict: conflict with \"kubectl-edit\" using projectcalico.org/v3: "
          ".spec.order");
    REQUIRE(apply(client, "alice", applied(R"({"order":3,"selector":"x == 'y'"})"), kPolicyPath, "&force=1") == "200");
    CHECK(owners(client) == Owners{"Apply alice .spec.order .spec.selector", "Update kubectl-create .spec.selector"});

    // A PUT of what was read, with one field less and one changed.
    codec::Tree object = client.json("GET", kPolicyPath);
    object.find("spec")->erase("selector");
    object.find("spec")->make("order").assign(codec::Tree::of_number("4"));
    REQUIRE(client.say("PUT", kPolicyPath + "?fieldManager=tool", codec::to_json(object)) == "200");
    CHECK(owners(client) == Owners{"Update tool .spec.order"});
    // Nothing is owned that is not there: who applies now gets no conflict for the selector.
    CHECK(apply(client, "alice", applied(R"({"selector":"z == 'y'"})")) == "200");
}

TEST_CASE("an object from before owners were kept belongs to nobody who applies", "[apply]") {
    Client client;
    REQUIRE(client.store->create({model::Kind::global_network_policy, "", "a"},
                                 policy("a", R"({"order":1,"selector":"x == 'y'"})")));
    CHECK(owners(client).empty());
    CHECK(apply(client, "alice", applied(R"({"order":2})"))
              .starts_with("409 Conflict Apply failed with 1 conflict: conflict with \"before-first-apply\" using "));
    REQUIRE(apply(client, "alice", applied(R"({"order":1})")) == "200");
    REQUIRE(owners(client).size() == 2);
    CHECK(owners(client).front() == "Apply alice .spec.order");
}

TEST_CASE("a client hands fields over by writing the owners, or forgets them", "[apply]") {
    Client client;
    REQUIRE(client.say("POST", kPolicies + "?fieldManager=old", policy("a", R"({"order":1,"selector":"x == 'y'"})")) ==
            "201");
    // What kubectl does to go over to server-side apply.
    REQUIRE(client.say("PATCH", kPolicyPath,
                       R"([{"op":"replace","path":"/metadata/managedFields/0/operation","value":"Apply"},)"
                       R"({"op":"replace","path":"/metadata/managedFields/0/manager","value":"kubectl"}])",
                       "application/json-patch+json") == "200");
    CHECK(owners(client) == Owners{"Apply kubectl .spec.order .spec.selector"});
    CHECK(apply(client, "kubectl", applied(R"({"order":5})")) == "200");
    CHECK(spec_of(client) == R"({"order":5})");
    REQUIRE(client.say("PATCH", kPolicyPath, R"({"metadata":{"managedFields":[{}]}})", kMergeType) == "200");
    CHECK(owners(client).empty());
}

TEST_CASE("lists with keys are owned item by item, other lists as a whole", "[apply]") {
    Client client;
    const std::string path = kServices + "/s";
    const std::string base = R"(,"selector":{"app":"x"}})";
    REQUIRE(apply(client, "alice",
                  service(R"([{"name":"a","port":80,"protocol":"TCP"}])", base.substr(0, base.size() - 1)),
                  path) == "201");
    REQUIRE(apply(client, "bob", service(R"([{"name":"b","port":81,"protocol":"TCP"}])"), path) == "200");
    CHECK(owners(client, path) ==
          Owners{"Apply alice .spec.ports[port=80,protocol=\"TCP\"] .spec.ports[port=80,protocol=\"TCP\"].name "
                 ".spec.ports[port=80,protocol=\"TCP\"].port .spec.ports[port=80,protocol=\"TCP\"].protocol "
                 ".spec.selector",
                 "Apply bob .spec.ports[port=81,protocol=\"TCP\"] .spec.ports[port=81,protocol=\"TCP\"].name "
                 ".spec.ports[port=81,protocol=\"TCP\"].port .spec.ports[port=81,protocol=\"TCP\"].protocol"});
    CHECK(apply(client, "bob", service(R"([{"name":"c","port":80}])"), path)
              .find("conflict with \"alice\": .spec.ports[port=80,protocol=\"TCP\"].name") != std::string::npos);
    REQUIRE(apply(client, "alice", service("[]", base.substr(0, base.size() - 1)), path) == "200");
    const codec::Tree object = client.json("GET", path);
    const codec::Tree* ports = object.find("spec")->find("ports");
    REQUIRE(ports);
    REQUIRE(ports->children.size() == 1);
    CHECK(ports->children[0].text_at("name") == "b");

    REQUIRE(apply(client, "alice", network_set("a"), kSets + "/a") == "201");
    CHECK(apply(client, "bob", network_set("a", "", "11.0.0.0/8"), kSets + "/a") ==
          "409 Conflict Apply failed with 1 conflict: conflict with \"alice\": .spec.nets");
}

TEST_CASE("what is applied is judged like every other write", "[apply]") {
    Client client;
    struct Row {
        std::string target;
        std::string body;
        std::string answer;
    };
    const std::vector<Row> rows{
        {"", applied(R"({"order":1})"),
         "422 Invalid PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply "
         "patch"},
        {"?fieldManager=m", "{}", "400 BadRequest the applied configuration lacks its apiVersion"},
        {"?fieldManager=m", "[]", "400 BadRequest the applied configuration is no object"},
        {"?fieldManager=m", "a: [", "400 BadRequest the body of the request cannot be read: "},
        {"?fieldManager=m", "a: {b: 1,\n  b: 2}",
         "400 BadRequest the body of the request cannot be read: line 2: a.b: "},
        {"?fieldManager=m", "a: 1\n---\nb: 1\n", "400 BadRequest the body of the request cannot be read: "},
        {"?fieldManager=m", policy("b"), "400 BadRequest the name of the object (b) does not match"},
        {"?fieldManager=m", applied(R"({"order":1})", R"(,"managedFields":[])"),
         "400 BadRequest metadata.managedFields must be nil"},
        {"?fieldManager=m", applied(R"({"order":"x"})"), "422 Invalid "},
        {"?fieldManager=m", applied(R"({"ordr":1})"), "400 BadRequest "},
        {"?fieldManager=m", applied(R"({"order":1})", R"(,"uid":"one")"), "409 Conflict "},
        {"?fieldManager=m&dryRun=All", applied(R"({"order":1})", R"(,"resourceVersion":"5")"), "201"},
        {"?fieldManager=m&dryRun=All", applied(R"({"order":1})"), "201"},
        {"?fieldManager=m&force=true", applied(R"({"order":1})"), "201"},
        {"?fieldManager=m", applied(R"({"order":2})", R"(,"resourceVersion":"1")"), "409 Conflict "},
        {"?fieldManager=m", applied(R"({"order":2})", R"(,"uid":"another")"), "409 Conflict "},
    };
    for (const Row& row : rows) {
        CAPTURE(row.target, row.body);
        CHECK(client.say("PATCH", kPolicyPath + row.target, row.body, kApplyType).starts_with(row.answer));
    }
    CHECK(client.say(
              "PATCH", kPolicyPath + "?fieldManager=m",
              "apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: a}\nspec: {order: 3}\n",
              kApplyType) == "200");
    CHECK(spec_of(client) == R"({"order":3})");
    CHECK(client.say("PATCH", kPolicyPath + "?force=true", "{}", kMergeType).starts_with("422 "));

    client.caller = {.user = "ann", .uid = "", .groups = {}};
    CHECK(apply(client, "m", applied(R"({"order":4})")).starts_with("403 "));
    client.grant("ann", R"([{"apiGroups":["projectcalico.org"],"resources":["globalnetworksets"],"verbs":["patch"]}])");
    CHECK(apply(client, "m", network_set("x"), kSets + "/x").starts_with("403 "));  // it would create
    client.grant("ann",
                 R"([{"apiGroups":["projectcalico.org"],"resources":["globalnetworksets"],"verbs":["create"]}])");
    CHECK(apply(client, "m", network_set("x"), kSets + "/x") == "201");
}

TEST_CASE("values of secrets stay whose they are when the mask is written back", "[apply]") {
    Client client;
    const std::string path = "/api/v1/namespaces/n/secrets/s";
    const std::string secret =
        R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"n"},"stringData":{"k":"v"}})";
    REQUIRE(apply(client, "alice", secret, path) == "201");
    CHECK(owners(client, path) == Owners{"Apply alice .data.k"});
    const std::string masked = codec::to_json(client.json("GET", path));
    CHECK(masked.find("Kioq") != std::string::npos);
    REQUIRE(client.say("PUT", path + "?fieldManager=edit", masked) == "200");
    CHECK(owners(client, path) == Owners{"Apply alice .data.k"});
}

}  // namespace manul::test
