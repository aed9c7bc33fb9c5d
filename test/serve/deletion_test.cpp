#include <catch2/catch.hpp>
#include <string>

#include "config/codec/tree.hpp"
#include "test/serve/client.hpp"

namespace manul::test {

namespace {

constexpr const char* kMerge = "application/merge-patch+json";

std::string deletion_of(Client& client, const std::string& path) {
    return std::string(client.json("GET", path).text_at("metadata", "deletionTimestamp"));
}

}  // namespace

TEST_CASE("an object goes with its last finalizer", "[serve]") {
    Client client;
    const std::string path = kSets + "/a";
    REQUIRE(client.say("POST", kSets, network_set("a", R"(,"finalizers":["x/one","x/two"])")) == "201");
    CHECK(client.say("DELETE", path + "?dryRun=All") == "200");
    CHECK(client.say("DELETE", path, R"({"preconditions":{"resourceVersion":"1"}})").starts_with("409 Conflict"));
    CHECK(deletion_of(client, path).empty());
    const codec::Tree marked = client.json("DELETE", path);
    CHECK(marked.text_at("kind") == "GlobalNetworkSet");
    CHECK(marked.text_at("metadata", "deletionTimestamp") == "2027-01-15T08:00:00Z");
    CHECK(client.audit.back().verb == "delete");
    CHECK(client.audit.back().after.find("deletionTimestamp") != std::string::npos);

    client.now += 60;  // asked again: it stays as it was
    CHECK(client.json("DELETE", path).text_at("metadata", "resourceVersion") ==
          marked.text_at("metadata", "resourceVersion"));
    CHECK(client.say("POST", kSets, network_set("a")).starts_with("409 AlreadyExists"));
    CHECK(client.say("PATCH", path, R"({"metadata":{"deletionTimestamp":null,"labels":{"a":"b"}}})", kMerge) == "200");
    CHECK(deletion_of(client, path) == "2027-01-15T08:00:00Z");
    CHECK(client.say("PATCH", path, R"({"metadata":{"finalizers":["x/two","x/three"]}})", kMerge) ==
          "422 Invalid GlobalNetworkSet.projectcalico.org \"a\" is invalid: metadata.finalizers: Forbidden: no new "
          "finalizers can be added if the object is being deleted, found new finalizers []string{\"x/three\"}");
    CHECK(client.say("PATCH", path, R"({"metadata":{"finalizers":["x/two"]}})", kMerge) == "200");
    CHECK(deletion_of(client, path) == "2027-01-15T08:00:00Z");
    CHECK(client.say("PATCH", path + "?dryRun=All", R"({"metadata":{"finalizers":null}})", kMerge) == "200");
    const codec::Tree last = client.json("PATCH", path, R"({"metadata":{"finalizers":[]}})", kMerge);
    CHECK(last.text_at("metadata", "name") == "a");
    CHECK(client.say("GET", path).starts_with("404"));
}

TEST_CASE("a collection is deleted but for what is held", "[serve]") {
    Client client;
    REQUIRE(client.say("POST", kSets, network_set("held", R"(,"finalizers":["x/one"])")) == "201");
    REQUIRE(client.say("POST", kSets, network_set("free")) == "201");
    REQUIRE(client.say("POST", kSets, network_set("calico", R"(,"finalizers":["projectcalico.org/pool"])")) == "201");
    CHECK(client.say("DELETE", kSets) == "200");
    CHECK_FALSE(deletion_of(client, kSets + "/held").empty());
    CHECK(client.say("GET", kSets + "/free").starts_with("404"));
    CHECK(client.say("GET", kSets + "/calico").starts_with("404"));  // Calico's controllers are not here
}

TEST_CASE("one request deletes what is in one namespace, and no namespace but the one that it names", "[serve]") {
    Client client;
    const std::string spaces = "/api/v1/namespaces";
    REQUIRE(client.say("POST", spaces, R"({"metadata":{"name":"a"}})") == "201");
    REQUIRE(client.say("POST", spaces + "/a/secrets", R"({"metadata":{"name":"s"}})") == "201");
    CHECK(client.say("DELETE", spaces).starts_with("405 MethodNotAllowed"));
    CHECK(client.say("DELETE", "/api/v1/secrets").starts_with("405 MethodNotAllowed"));
    CHECK(client.say("POST", "/api/v1/secrets", R"({"metadata":{"name":"t"}})").starts_with("405 MethodNotAllowed"));
    CHECK(client.say("GET", spaces + "/a/secrets/s") == "200");
    const codec::Tree discovery = client.json("GET", "/api/v1");
    for (const codec::Tree& resource : discovery.find("resources")->children) {
        if (resource.text_at("name") == "namespaces") {
            CHECK(codec::to_json(*resource.find("verbs")).find("deletecollection") == std::string::npos);
        }
    }
}

TEST_CASE("a delete with an option that means nothing deletes nothing", "[serve]") {
    Client client;
    REQUIRE(client.say("POST", kSets, network_set("a")) == "201");
    REQUIRE(client.say("POST", kSets, network_set("b")) == "201");
    for (const std::string& target : {kSets + "/a", kSets}) {
        CHECK(client.say("DELETE", target, R"({"propagationPolicy":"Sideways"})") ==
              "422 Invalid DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: "
              "\"Sideways\": supported values: \"Foreground\", \"Background\", \"Orphan\"");
        CHECK(client.say("DELETE", target, R"({"dryRun":["Some"]})").starts_with("422 Invalid"));
        CHECK(client.say("DELETE", target, R"({"propagationPolicy":"Orphan","orphanDependents":true})")
                  .starts_with("422 Invalid"));
        CHECK(client.say("DELETE", target + "?propagationPolicy=Sideways").starts_with("422 Invalid DeleteOptions"));
        for (const char* typed : {R"({"dryRun":"All"})", R"({"dryRun":{}})", R"({"preconditions":"x"})", "[]", "\"x\"",
                                  R"({"preconditions":{"uid":5}})", R"({"preconditions":{"resourceVersion":5}})",
                                  R"({"gracePeriodSeconds":"x"})", R"({"orphanDependents":"x"})"}) {
            CAPTURE(typed);
            CHECK(client.say("DELETE", target, typed).starts_with("400 BadRequest"));
        }
        CHECK(client.say("DELETE", target + "?gracePeriodSeconds=x").starts_with("400 BadRequest"));
        CHECK(client.say("DELETE", target, R"({"preconditions":{"uid":""}})").starts_with("409 Conflict"));
        CHECK(client.say("DELETE", target, network_set("a")).starts_with("400 BadRequest"));
        CHECK(client.say("DELETE", target + "?limit=x").starts_with(target == kSets ? "400" : "200"));
        client.say("POST", kSets, network_set("a"));
    }
    CHECK(client.say("DELETE", kSets + "?continue=abc").starts_with("400 BadRequest"));
    CHECK(client.say("DELETE", kSets + "?resourceVersionMatch=Exact").starts_with("422 Invalid ListOptions"));
    CHECK(items(client.json("GET", kSets)) == 2);
    CHECK(client.say("DELETE", kSets + "/a", R"({"dryRun":["All"],"propagationPolicy":"Foreground"})") == "200");
    CHECK(items(client.json("DELETE", kSets + "?limit=1")) == 1);  // one page
    CHECK(items(client.json("GET", kSets)) == 1);
}

TEST_CASE("what may not be deleted is not marked either", "[serve]") {
    Client client;
    const std::string tiers = "/apis/projectcalico.org/v3/tiers";
    REQUIRE(client.say("POST", tiers,
                       R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"t","finalizers":)"
                       R"(["x/one"]},"spec":{"order":5}})") == "201");
    REQUIRE(client.say("POST", kPolicies, policy("t.p", R"({"tier":"t","selector":"x == 'y'"
})")) == "201");
    CHECK(client.say("DELETE", tiers + "/t").starts_with("403 Forbidden tiers"));
    CHECK(deletion_of(client, tiers + "/t").empty());
}

TEST_CASE("a secret that is held stays masked", "[serve]") {
    Client client;
    const std::string secrets = "/api/v1/namespaces/default/secrets";
    REQUIRE(client.say("POST", secrets,
                       R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","finalizers":["x/one"]},)"
                       R"("stringData":{"password":"hunter2"}})") == "201");
    const codec::Tree marked = client.json("DELETE", secrets + "/s");
    CHECK_FALSE(marked.text_at("metadata", "deletionTimestamp").empty());
    CHECK(marked.text_at("data", "password") == "Kioq");
}

}  // namespace manul::test
