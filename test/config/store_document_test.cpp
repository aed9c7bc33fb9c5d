#include <catch2/catch.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/outline.hpp"

using namespace manul::store;

TEST_CASE("the revision goes into metadata of any well-formed document and nowhere else") {
    struct Row {
        std::string document;
        std::string wanted;  ///< empty: refused
    };
    const std::vector<Row> rows{
        {R"({"metadata":{"name":"a"}})", R"({"metadata":{"resourceVersion":"7","name":"a"}})"},
        {R"({"metadata":{}})", R"({"metadata":{"resourceVersion":"7"}})"},
        {R"({ "metadata" : { } })", R"({ "metadata" : {"resourceVersion":"7" } })"},
        {R"({"a":{"metadata":{"x":1}},"metadata":{"n":1}})",
         R"({"a":{"metadata":{"x":1}},"metadata":{"resourceVersion":"7","n":1}})"},
        {R"({"a":"\"metadata\":{","b":[1,{"c":[]},"]"],"d":-1.5e3,"e":null,"metadata":{"n":1}})",
         R"({"a":"\"metadata\":{","b":[1,{"c":[]},"]"],"d":-1.5e3,"e":null,"metadata":{"resourceVersion":"7","n":1}})"},
        {R"({"metadata":[]})", ""},
        {R"({"spec":{}})", ""},
        {R"({)", ""},
        {R"({"a")", ""},
        {R"({"a":)", ""},
        {R"({"a":{)", ""},
        {R"({"a":"x)", ""},
        {R"({"a":"x\)", ""},
        {R"({"a":1,)", ""},
        {R"([])", ""},
        {"", ""},
    };
    for (const Row& row : rows) {
        CAPTURE(row.document);
        CHECK(with_resource_version(row.document, "7").value_or("") == row.wanted);
    }
}

TEST_CASE("a document stamped as text is what the parsed one becomes, and keeps the text of its fields") {
    const manul::model::Key key{manul::model::Kind::ipam_handle, {}, "h"};
    const Birth birth{"u-1", "2026-01-01T00:00:00Z"};
    const auto document = [](const std::string& metadata, const std::string& spec) {
        return R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","metadata":)" + metadata + R"(,"spec":)" +
               spec + "}";
    };
    const std::string plain = R"({"name":"h"})";
    const std::string spec = R"({"b":{"10.0.0.0/26":1}, "t":"a \"}\\"})";
    const std::string other = R"({"b":{}})";
    const std::string stored = document(
        R"({"name":"h","labels":{"a":"b"},"uid":"u-0","creationTimestamp":"2025-01-01T00:00:00Z","generation":4})",
        spec);
    struct Row {
        std::string text;
        bool is_new;
    };
    const std::vector<Row> rows{
        {document(plain, spec), true},
        {document(R"({"resourceVersion":"7","name":"h","uid":"x","generation":9})", spec), true},
        {document(plain, spec), false},
        {document(plain, other), false},
        {document(R"({"resourceVersion":"7","name":"h","uid":"u-0","annotations":{"x":"1"}})", other), false},
        {R"({"metadata":{"name":"h"},"kind":"IPAMHandle","x":[1,{"spec":2}],"apiVersion":"projectcalico.org/v3"})",
         false},
    };
    for (const Row& row : rows) {
        CAPTURE(row.text, row.is_new);
        const auto before = row.is_new ? std::nullopt : std::optional<std::string_view>(stored);
        const auto text = stamp_text(key, row.text, before, birth);
        REQUIRE(text);
        const auto wanted = stamp(key, *manul::codec::parse_json(row.text), before, birth);
        REQUIRE(wanted);
        CHECK(manul::codec::parse_json(*text)->same_value(*manul::codec::parse_json(wanted->text)));
        CHECK((row.text.find(spec) == std::string::npos || text->find(spec) != std::string::npos));
    }
    const std::string again = *stamp_text(key, stored, stored, birth);
    CHECK(again == stored);
}

TEST_CASE(
    "the generation of a document that is stamped as text rises with its spec, however the stored one is laid out") {
    const manul::model::Key key{manul::model::Kind::ipam_handle, {}, "h"};
    const Birth birth{"u-1", "2026-01-01T00:00:00Z"};
    const std::string head = R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle",)";
    const std::string meta = R"("metadata":{"name":"h","uid":"u-0","generation":4})";
    const std::string text = head + meta + R"(,"spec":{"a":1}})";
    struct Row {
        std::string stored;
        bool rises;
    };
    const std::vector<Row> rows{
        {head + meta + R"(,"spec":{"a":1}})", false},
        {head + meta + R"(, "spec": {"a":1} })", false},
        {head + R"("spec":{"a":1},)" + meta + "}", false},
        {head + meta + R"(,"status":{"spec":{"a":2}},"spec":{"a":1}})", false},
        {head + meta + R"(,"spec":{"a":12}})", true},
        {head + meta + R"(,"spec":{"a":1,"b":2}})", true},
        {head + R"("spec":{"a":2},)" + meta + "}", true},
        {head + meta + "}", true},
    };
    for (const Row& row : rows) {
        CAPTURE(row.stored);
        const auto stamped = stamp_text(key, text, row.stored, birth);
        REQUIRE(stamped);
        CHECK((stamped->find(R"("generation":5)") != std::string::npos) == row.rises);
    }
}

TEST_CASE("whether a text is the value of a tree is found without parsing it") {
    const std::vector<std::string> values{
        "{}",
        R"({"a":1})",
        R"({"a":"1"})",
        R"({"a":true})",
        R"({"a":"true"})",
        R"({"a":null})",
        R"({"b":1})",
        R"({"a":1,"b":[1,"x",{"c":{}}]})",
        R"({"a":1,"b":[1,"x",{"c":[]}]})",
        R"({"a":1,"b":[1,"x"]})",
        R"({"a":1,"b":[1,"x",{"c":{}},2]})",
        R"({"a":"\"}\\","c":1.50})",
        R"({"a":"é","b":-1e3})",
        "[1,2]",
        "5",
        R"("x")",
        "null",
    };
    for (const std::string& text : values) {
        for (const std::string& other : values) {
            CAPTURE(text, other);
            CHECK(is_value_of(text, *manul::codec::parse_json(other)) == (text == other));
        }
    }
    struct Row {
        const char* text;
        const char* tree;
        bool same;
    };
    for (const Row& row : {Row{R"({ "b" : [ 1 , 2 ], "a" : "x" })", R"({"a":"x","b":[1,2]})", true},
                           Row{R"({"a":1.50})", R"({"a":15e-1})", true}, Row{R"({"a":"\u0041"})", R"({"a":"A"})", true},
                           Row{R"({"a":"A"})", R"({"a":"\u0041"})", true}, Row{R"({"a":1,"a":1})", R"({"a":1})", false},
                           Row{R"({"a":1)", R"({"a":1})", false}, Row{R"({"a":1}x)", R"({"a":1})", false},
                           Row{R"({"a":[1 2]})", R"({"a":[1,2]})", false}, Row{"", "{}", false}}) {
        CAPTURE(row.text, row.tree);
        CHECK(is_value_of(row.text, *manul::codec::parse_json(row.tree)) == row.same);
    }
}

TEST_CASE("what is stamped changes nothing when it is the stored value in another order") {
    const manul::model::Key key{manul::model::Kind::ipam_handle, {}, "h"};
    const Birth birth{"u-1", "2026-01-01T00:00:00Z"};
    const std::string head = R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","metadata":)";
    const std::string stored =
        head + R"({"name":"h","labels":{"a":"1","b":"2"},"uid":"u-0","generation":4},"spec":{"x":[1],"y":"z"}})";
    struct Row {
        std::string text;
        bool changes;
    };
    for (const Row& row :
         {Row{stored, false}, Row{head + R"({"name":"h","labels":{"b":"2","a":"1"}},"spec":{"y":"z","x":[1]}})", false},
          Row{head + R"({"labels":{"a":"1","b":"2"},"name":"h","uid":"u-0"},"spec":{"x":[1],"y":"z"}})", false},
          Row{R"({"kind":"IPAMHandle","apiVersion":"projectcalico.org/v3","spec":{"x":[1],"y":"z"},)"
              R"("metadata":{"name":"h","labels":{"a":"1","b":"2"}}})",
              false},
          Row{head + R"({"name":"h","labels":{"a":"1","b":"3"}},"spec":{"x":[1],"y":"z"}})", true},
          Row{head + R"({"name":"h","labels":{"a":"1"}},"spec":{"x":[1],"y":"z"}})", true},
          Row{head + R"({"name":"h"},"spec":{"x":[1],"y":"z"}})", true},
          Row{head + R"({"name":"h","labels":{"a":"1","b":"2"},"annotations":{}},"spec":{"x":[1],"y":"z"}})", true},
          Row{head + R"({"name":"h","labels":{"a":"1","b":"2"}},"spec":{"x":[1],"y":"z"},"status":{}})", true},
          Row{head + R"({"name":"h","labels":{"a":"1","b":"2"}},"spec":{"x":[2],"y":"z"}})", true}}) {
        CAPTURE(row.text);
        const auto stamped = stamp(key, *manul::codec::parse_json(row.text), stored, birth);
        REQUIRE(stamped);
        CHECK(stamped->changes == row.changes);
    }
}

TEST_CASE("a document that is stamped as text must be what its key says") {
    const manul::model::Key key{manul::model::Kind::ipam_handle, {}, "h"};
    const Birth birth{"u-1", "2026-01-01T00:00:00Z"};
    const std::string stored =
        R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","metadata":{"name":"h","uid":"u-0"},"spec":{}})";
    const auto refused = [&](const std::string& text) {
        const auto done = stamp_text(key, text, stored, birth);
        return done ? std::string() : done.error().message;
    };
    CHECK(refused(R"({"apiVersion":"v1","kind":"IPAMHandle","metadata":{"name":"h"}})").find("apiVersion") !=
          std::string::npos);
    CHECK(refused(R"({"apiVersion":"projectcalico.org/v3","kind":"Node","metadata":{"name":"h"}})").find("kind") !=
          std::string::npos);
    CHECK(refused(R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","metadata":{"name":"g"}})")
              .find("metadata.name") != std::string::npos);
    CHECK(
        refused(R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","metadata":{"name":"h","namespace":"n"}})")
            .find("metadata.namespace") != std::string::npos);
    CHECK(
        refused(R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","spec":{}})").find("metadata is missing") !=
        std::string::npos);
    CHECK(refused(R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","metadata":{"name":"h"})")
              .find("no JSON") != std::string::npos);
    CHECK(refused(stored + "x").find("no JSON") != std::string::npos);
    CHECK(refused(R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","metadata":{"name":"h","uid":"u-9"}})")
              .find("deleted and created again") != std::string::npos);
}

TEST_CASE("texts of every length, with escapes at every place, are walked over whole") {
    const manul::model::Key key{manul::model::Kind::ipam_handle, {}, "h"};
    const Birth birth{"01234567-89ab-4cde-8f01-23456789abcd", "2026-01-01T00:00:00Z"};
    const std::string letters = "abcdefghijklmnopqrstu";
    for (const std::string escape : {R"(\")", R"(\\)", R"(\u00e4)", ""}) {
        for (std::size_t at = 0; at <= letters.size(); ++at) {
            const std::string text = letters.substr(0, at) + escape + (at % 2 == 0 ? "" : letters.substr(at));
            const std::string document = R"({"a":")" + text + R"(","apiVersion":"projectcalico.org/v3","kind":)" +
                                         R"("IPAMHandle","metadata":{"x":[{"y":")" + text +
                                         R"("},-1.5e3,null],"name":"h"},"spec":{")" + text + R"(":[")" + text +
                                         R"(",{"}":"{"}]}})";
            CAPTURE(document);
            const auto tree = manul::codec::parse_json(document);
            REQUIRE(tree);
            const auto stamped = stamp_text(key, document, std::nullopt, birth);
            REQUIRE(stamped);
            CHECK(manul::codec::parse_json(*stamped)->same_value(
                *manul::codec::parse_json(stamp(key, *tree, std::nullopt, birth)->text)));
            CHECK(manul::codec::parse_json(*with_resource_version(document, "7")));
            CHECK(*stamp_text(key, *stamped, *stamped, birth) == *stamped);
            const auto unchanged = stamp(key, *tree, *stamped, birth);
            CHECK((unchanged && !unchanged->changes));
        }
    }
    const std::string whole = *stamp_text(
        key, R"({"apiVersion":"projectcalico.org/v3","kind":"IPAMHandle","metadata":{"name":"h"},"spec":{"a":[1]}})",
        std::nullopt, birth);
    for (std::size_t length = 0; length < whole.size(); ++length) {
        CHECK_FALSE(stamp_text(key, whole.substr(0, length), std::nullopt, birth));
    }
}

TEST_CASE("identifiers and times have their standard form") {
    const std::string uid = make_uid();
    CHECK(uid.size() == 36);
    CHECK(uid[14] == '4');
    CHECK(std::string("89ab").find(uid[19]) != std::string::npos);
    CHECK(make_uid() != uid);
    CHECK(format_timestamp(0) == "1970-01-01T00:00:00Z");
    CHECK(format_timestamp(1700000000) == "2023-11-14T22:13:20Z");
}
