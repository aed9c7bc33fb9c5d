#include "config/store/kubernetes/served_page.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/model/kind.hpp"

using namespace manul;
using namespace manul::store::kubernetes;
using model::Kind;

TEST_CASE("a page is cut into its items") {
    const auto page = split_page(R"({"kind":"TierList","apiVersion":"projectcalico.org/v3",)"
                                 R"("metadata":{"resourceVersion":"7","continue":"x"},"items":[{"a":"]}\"{"},{}]})"
                                 "\n");
    REQUIRE(page);
    CHECK(page->items == std::vector<std::string_view>{R"({"a":"]}\"{"})", "{}"});
    CHECK(boost::json::serialize(page->metadata) == R"({"resourceVersion":"7","continue":"x"})");

    const auto none = split_page(R"({"items":null,"metadata":{}})");
    REQUIRE(none);
    CHECK(none->items.empty());

    for (const char* broken : {"", "[]", "{}", "{", R"({"items":[})", R"({"items":[{}})", R"({"items":[{},]})",
                               R"({"items":{}})", R"({"items":[]} x)", R"({"items":[],"metadata":[]})",
                               R"({"items":[],"metadata":{"a":}})", R"({"items":[{}],"metadata":{"a)", "<html>"}) {
        INFO(broken);
        CHECK_FALSE(split_page(broken));
    }
}

TEST_CASE("an item is the stored document, without what the server alone knows") {
    struct Row {
        const char* item;
        const char* document;  ///< null: to be parsed
    };
    const auto rows = {
        Row{R"({"apiVersion":"projectcalico.org/v3","kind":"NetworkSet","metadata":{"name":"a","namespace":"n","resourceVersion":"5"},"spec":{"nets":[]}})",
            R"({"apiVersion":"projectcalico.org/v3","kind":"NetworkSet","metadata":{"name":"a","namespace":"n","resourceVersion":"5"},"spec":{"nets":[]}})"},
        Row{R"({"apiVersion":"projectcalico.org/v3","kind":"NetworkSet","metadata":{"name":"a","managedFields":[{"manager":"}"}],"namespace":"n","selfLink":"/x","resourceVersion":"5"},"spec":{}})",
            R"({"apiVersion":"projectcalico.org/v3","kind":"NetworkSet","metadata":{"name":"a","namespace":"n","resourceVersion":"5"},"spec":{}})"},
        Row{R"({"kind":"NetworkSet","apiVersion":"projectcalico.org/v3","metadata":{"name":"a","namespace":"n"}})",
            nullptr},
        Row{R"({"apiVersion":"v1","kind":"NetworkSet","metadata":{"name":"a","namespace":"n"}})", nullptr},
        Row{R"({"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"a","namespace":"n"}})", nullptr},
        Row{R"({"apiVersion":"projectcalico.org/v3","kind":"NetworkSet","metadata":{"name":"\u0061","namespace":"n"}})",
            nullptr},
        Row{R"({"apiVersion":"projectcalico.org/v3","kind":"NetworkSet"})", nullptr},
        Row{R"("text")", nullptr},
        Row{"", nullptr},
    };
    for (const Row& row : rows) {
        INFO(row.item);
        const auto object = cut_out(Kind::network_set, row.item);
        REQUIRE(object.has_value() == (row.document != nullptr));
        if (object) {
            CHECK(*object->document == row.document);
            CHECK(object->key == model::Key{Kind::network_set, "n", "a"});
            CHECK(object->revision == "5");
        }
    }
}
