#include <catch2/catch.hpp>
#include <string>

#include "config/codec/tree.hpp"
#include "serve/patch.hpp"
#include "serve/protobuf.hpp"
#include "serve/selection.hpp"
#include "serve/table.hpp"

namespace manul::test {

namespace {

codec::Tree tree(const std::string& text) {
    auto parsed = codec::parse_json(text);
    REQUIRE(parsed);
    return *parsed;
}

}  // namespace

TEST_CASE("label selectors match as in Kubernetes", "[serve]") {
    struct Row {
        const char* selector;
        bool matches;  ///< {"a":"b","n":"5"}
    };
    const codec::Tree labels = tree(R"({"a":"b","n":"5"})");
    for (const Row& row : {Row{"", true}, Row{"a", true}, Row{"!a", false}, Row{"a=b", true}, Row{"a==b", true},
                           Row{"a!=b", false}, Row{"c!=b", true}, Row{"a in (x, b)", true}, Row{"a notin (b)", false},
                           Row{"c notin (b)", true}, Row{"n>4", true}, Row{"n<5", false}, Row{"a=b,n=5", true},
                           Row{" a = b , !c ", true}, Row{"c in (x)", false}, Row{"c=", false}}) {
        CAPTURE(row.selector);
        const auto parsed = serve::LabelQuery::parse(row.selector);
        REQUIRE(parsed);
        CHECK(parsed->matches(&labels) == row.matches);
    }
    for (const char* wrong :
         {"=", "a in", "a in (b", "a b", "a>x", "!", "a,,b", "a in b", "a,", "a=b/c", "_a", "A.io/a", "a in (b, -)"}) {
        CAPTURE(wrong);
        CHECK_FALSE(serve::LabelQuery::parse(wrong));
    }
}

TEST_CASE("strategic merge patches merge lists by their keys", "[serve]") {
    struct Row {
        const char* before;
        const char* patch;
        const char* after;
    };
    for (const Row& row :
         {Row{R"({"spec":{"ports":[{"port":80,"name":"a"},{"port":81}]}})",
              R"({"spec":{"ports":[{"port":80,"name":"b"},{"port":82}]}})",
              R"({"spec":{"ports":[{"port":80,"name":"b"},{"port":81},{"port":82}]}})"},
          Row{R"({"spec":{"ports":[{"port":80},{"port":81}]}})",
              R"({"spec":{"ports":[{"port":80,"$patch":"delete"}]}})", R"({"spec":{"ports":[{"port":81}]}})"},
          Row{R"({"spec":{"ports":[{"port":80}]}})", R"({"spec":{"ports":[{"$patch":"replace"},{"port":9}]}})",
              R"({"spec":{"ports":[{"port":9}]}})"},
          Row{R"({"spec":{"ports":[{"port":1},{"port":2}]}})",
              R"({"spec":{"$setElementOrder/ports":[{"port":2},{"port":1}],"ports":[{"port":1,"name":"x"}]}})",
              R"({"spec":{"ports":[{"port":2},{"port":1,"name":"x"}]}})"},
          Row{R"({"metadata":{"finalizers":["a","b"]}})",
              R"({"metadata":{"$deleteFromPrimitiveList/finalizers":["a"],"finalizers":["c"]}})",
              R"({"metadata":{"finalizers":["b","c"]}})"},
          Row{R"({"spec":{"ingress":[{"from":[]}],"policyTypes":["Ingress"]}})", R"({"spec":{"ingress":[]}})",
              R"({"spec":{"ingress":[],"policyTypes":["Ingress"]}})"},
          Row{R"({"spec":{"a":1,"b":2}})", R"({"spec":{"$retainKeys":["b","c"],"c":3}})", R"({"spec":{"b":2,"c":3}})"},
          Row{R"({"metadata":{"labels":{"a":"b"}}})", R"({"metadata":{"labels":{"a":null,"c":"d"}}})",
              R"({"metadata":{"labels":{"c":"d"}}})"},
          Row{R"({"spec":{"a":1}})", R"({"spec":{"$patch":"replace","b":2}})", R"({"spec":{"b":2}})"}}) {
        CAPTURE(row.before, row.patch);
        codec::Tree document = tree(row.before);
        REQUIRE(serve::strategic_merge_patch(document, tree(row.patch)));
        CHECK(codec::to_json(document) == codec::to_json(tree(row.after)));
    }
    codec::Tree document = tree(R"({"spec":{"ports":[]}})");
    CHECK_FALSE(serve::strategic_merge_patch(document, tree(R"({"spec":{"ports":[{"name":"x"}]}})")));
    CHECK_FALSE(serve::strategic_merge_patch(document, tree(R"({"spec":{"$patch":"spin"}})")));
}

TEST_CASE("JSON patches follow RFC 6902", "[serve]") {
    struct Row {
        const char* patch;
        const char* after;  ///< of {"a":{"b":[1,2]},"c":"d"}; null: refused
    };
    for (const Row& row :
         {Row{R"([{"op":"add","path":"/a/b/1","value":9}])", R"({"a":{"b":[1,9,2]},"c":"d"})"},
          Row{R"([{"op":"add","path":"/a/b/-","value":9}])", R"({"a":{"b":[1,2,9]},"c":"d"})"},
          Row{R"([{"op":"add","path":"/e~1f","value":1}])", R"({"a":{"b":[1,2]},"c":"d","e/f":1})"},
          Row{R"([{"op":"remove","path":"/a/b/0"}])", R"({"a":{"b":[2]},"c":"d"})"},
          Row{R"([{"op":"move","from":"/c","path":"/a/c"}])", R"({"a":{"b":[1,2],"c":"d"}})"},
          Row{R"([{"op":"copy","from":"/a/b","path":"/e"}])", R"({"a":{"b":[1,2]},"c":"d","e":[1,2]})"},
          Row{R"([{"op":"replace","path":"/c","value":null}])", R"({"a":{"b":[1,2]},"c":null})"},
          Row{R"([{"op":"test","path":"/a","value":{"b":[1,2]}}])", R"({"a":{"b":[1,2]},"c":"d"})"},
          Row{R"([{"op":"add","path":"/a/b/3","value":9}])", nullptr},
          Row{R"([{"op":"add","path":"/x/y","value":9}])", nullptr}, Row{R"([{"op":"remove","path":"/x"}])", nullptr},
          Row{R"([{"op":"replace","path":"/x","value":1}])", nullptr},
          Row{R"([{"op":"move","from":"/a","path":"/a/b/0"}])", nullptr},
          Row{R"([{"op":"remove","path":"/a/b/01"}])", nullptr},
          Row{R"([{"op":"add","path":"/c","value":1},{"op":"test","path":"/c","value":2}])", nullptr}}) {
        CAPTURE(row.patch);
        codec::Tree document = tree(R"({"a":{"b":[1,2]},"c":"d"})");
        const codec::Tree before = document;
        const auto done = serve::json_patch(document, tree(row.patch));
        CHECK(done.has_value() == (row.after != nullptr));
        CHECK((done || (done.error().code == 422 && !done.error().causes.empty())));  // as Kubernetes, with the reason
        CHECK(codec::to_json(document) == (row.after == nullptr ? codec::to_json(before) : row.after));
    }
    for (const char* none : {R"({"op":"remove"})", R"([1])", R"([{"op":"add","path":"a","value":1}])"}) {
        codec::Tree document = tree("{}");
        CHECK(serve::json_patch(document, tree(none)).error().code == 400);
    }
    // Copies of copies would fill the memory.
    std::string doubling = R"([{"op":"add","path":"/x","value":[1,2,3,4,5,6,7,8]})";
    for (int i = 0; i < 60; ++i) {
        doubling += R"(,{"op":"copy","from":"/x","path":"/x/0"})";
    }
    codec::Tree document = tree("{}");
    CHECK_FALSE(serve::json_patch(document, tree(doubling + "]")));
}

TEST_CASE("ages are written as kubectl writes them", "[serve]") {
    CHECK(serve::age_text(5) == "5s");
    CHECK(serve::age_text(119) == "119s");
    CHECK(serve::age_text(125) == "2m5s");
    CHECK(serve::age_text(3600) == "60m");
    CHECK(serve::age_text(4 * 3600 + 60) == "4h1m");
    CHECK(serve::age_text(3L * 86400) == "3d");
    CHECK(serve::age_text(400L * 86400) == "400d");
    CHECK(serve::parse_time("2027-01-15T08:00:00Z") == 1'800'000'000);
    CHECK(serve::parse_time("yesterday") == -1);
}

TEST_CASE("objects in protocol buffers become documents", "[serve]") {
    serve::ProtoWriter type;
    type.text(1, "v1");
    type.text(2, "Secret");
    serve::ProtoWriter metadata;
    metadata.text(1, "s");
    metadata.text(3, "prod");
    serve::ProtoWriter entry;
    entry.text(1, "p");
    entry.text(2, "hidden");
    serve::ProtoWriter secret;
    secret.message(1, metadata);
    secret.message(2, entry);
    serve::ProtoWriter envelope;
    envelope.message(1, type);
    envelope.message(2, secret);
    const std::string bytes = std::string("k8s\0", 4) + std::move(envelope).bytes();
    const auto document = serve::document_of_protobuf(bytes);
    REQUIRE(document);
    CHECK(*document == R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"prod"},)"
                       R"("data":{"p":"aGlkZGVu"}})");
    for (std::size_t length = 0; length < bytes.size(); ++length) {  // cut anywhere: refused or read, never worse
        static_cast<void>(serve::document_of_protobuf(bytes.substr(0, length)));
    }
    for (std::size_t at = 4; at < bytes.size(); ++at) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(0xff);
        static_cast<void>(serve::document_of_protobuf(changed));
    }
}

}  // namespace manul::test
