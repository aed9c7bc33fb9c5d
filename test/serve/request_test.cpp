#include <catch2/catch.hpp>
#include <string>

#include "config/codec/tree.hpp"
#include "test/serve/client.hpp"

/// What is said to a request before it is looked at what it is about.
namespace manul::test {

TEST_CASE("who accepts nothing that is written here is told what is", "[serve]") {
    Client client;
    client.accept = "application/xml, text/html;q=0.9";
    CHECK(client.say("POST", kSets, network_set("a")) ==
          "406 NotAcceptable only the following media types are accepted: application/json, application/yaml");
    for (const char* accept :
         {"application/vnd.kubernetes.protobuf", "application/json;q=0", "application/json;as=Table;v=v1;g=apps",
          "application/json;as=Chair;v=v1;g=meta.k8s.io"}) {
        CAPTURE(accept);
        client.accept = accept;
        CHECK(client.say("GET", kSets).starts_with("406 NotAcceptable"));
        CHECK(client.say("GET", kSets + "?watch=1").starts_with("406 NotAcceptable"));
        CHECK(client.say("GET", "/version") == "200");
    }
    client.accept =
        "application/json;as=Table;v=v2;g=meta.k8s.io, application/json;as=Table;v=v1;g=meta.k8s.io;q=0.8, */*;q=0.1";
    CHECK(client.json("GET", kSets).text_at("kind") == "Table");
    CHECK(client.json("GET", kSets + "/a").text_at("reason") == "NotFound");  // nothing was written
}

TEST_CASE("a method that is not offered is answered with those that are", "[serve]") {
    Client client;
    const auto allowed = [&](const std::string& method, const std::string& target) {
        CHECK(client.say(method, target, "{}").starts_with("405 MethodNotAllowed"));
        return client.headers.empty() ? std::string()
                                      : client.headers.back().first + ": " + client.headers.back().second;
    };
    CHECK(allowed("OPTIONS", kSets) == "Allow: GET, HEAD, POST, DELETE");
    CHECK(allowed("DELETE", "/api/v1/namespaces") == "Allow: GET, HEAD, POST");
    CHECK(allowed("DELETE", "/api/v1/pods") == "Allow: GET, HEAD");
    CHECK(allowed("POST", kSets + "/a") == "Allow: GET, HEAD, PUT, PATCH, DELETE");
    CHECK(allowed("DELETE", "/api/v1/namespaces/a/pods/b/status") == "Allow: GET, HEAD, PUT, PATCH");
    CHECK(allowed("PUT", "/apis/projectcalico.org/v3/ipamblocks/a") == "Allow: GET, HEAD");
    CHECK(allowed("GET", "/apis/authentication.k8s.io/v1/selfsubjectreviews") == "Allow: POST");
    CHECK(client.ask("HEAD", kSets + "?watch=1").watches.empty());
}

TEST_CASE("options of a write that mean nothing are refused before anything is written", "[serve]") {
    Client client;
    const std::string manager(129, 'm');
    CHECK(
        client.say("POST", kSets + "?dryRun=Some", network_set("a")) ==
        R"(422 Invalid CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All")");
    CHECK(client.say("POST", kSets + "?dryRun=", network_set("a")).starts_with("422 Invalid CreateOptions"));
    CHECK(client.say("PUT", kSets + "/a?fieldValidation=No", network_set("a")) ==
          R"(422 Invalid UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "No": )"
          R"(supported values: "", "Ignore", "Strict", "Warn")");
    CHECK(
        client.say("PATCH", kSets + "/a?fieldManager=" + manager, "{}", "application/merge-patch+json") ==
        R"(422 Invalid PatchOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes)");
    CHECK(client.say("DELETE", kSets + "/a?dryRun=x").starts_with("422 Invalid DeleteOptions"));
    CHECK(client.say("GET", kSets + "/a").starts_with("404"));
}

TEST_CASE("of a field that is given twice the last value counts for who asks for it", "[serve]") {
    Client client;
    const std::string twice = R"({"metadata":{"name":"a"},"spec":{"nets":["10.0.0.0/8"],"nets":["10.1.0.0/16"]}})";
    for (const char* strictness : {"", "?fieldValidation=Strict"}) {
        CHECK(client.say("POST", kSets + strictness, twice).starts_with("400 BadRequest"));
    }
    CHECK(client.say("POST", kSets + "?fieldValidation=Warn", twice) == "201");
    REQUIRE(client.headers.size() == 1);
    CHECK(client.headers[0].second == R"(299 - "duplicate field \"spec.nets\"")");
    CHECK(client.json("GET", kSets + "/a").find("spec")->find("nets")->children.at(0).text == "10.1.0.0/16");
    CHECK(client.say("PATCH", kSets + "/a?fieldValidation=Ignore", R"({"spec":{"nets":[],"nets":["10.2.0.0/16"]}})",
                     "Application/Merge-Patch+JSON") == "200");
    CHECK(client.headers.empty());
    CHECK(client.say("POST", kSets, network_set("b"), "application/merge-patch+json").starts_with("415"));
}

TEST_CASE("an object with more fields than any kind needs is refused before much is done with it", "[serve]") {
    Client client;
    std::string fields;
    std::string list;
    for (int i = 0; i <= 5000; ++i) {
        fields += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + R"(":"")";
        list += (i == 0 ? "\"x.io/" : ",\"x.io/") + std::to_string(i) + "\"";
    }
    for (const std::string& more : {R"(,"labels":{)" + fields + "}", R"(,"finalizers":[)" + list + "]"}) {
        CHECK(client.say("POST", kSets, network_set("a", more)).starts_with("413 RequestEntityTooLarge"));
    }
}

}  // namespace manul::test
