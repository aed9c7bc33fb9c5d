#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "config/store/document.hpp"

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

TEST_CASE("identifiers and times have their standard form") {
    const std::string uid = make_uid();
    CHECK(uid.size() == 36);
    CHECK(uid[14] == '4');
    CHECK(std::string("89ab").find(uid[19]) != std::string::npos);
    CHECK(make_uid() != uid);
    CHECK(format_timestamp(0) == "1970-01-01T00:00:00Z");
    CHECK(format_timestamp(1700000000) == "2023-11-14T22:13:20Z");
}
