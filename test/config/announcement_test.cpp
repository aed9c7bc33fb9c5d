#include "config/announcement.hpp"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace manul::config;
using Kind = Announcement::Kind;

namespace {

Announcement::Endpoint endpoint(const std::string& name, const char* document) {
    return {"default", name, document == nullptr ? nullptr : std::make_shared<const std::string>(document)};
}

}  // namespace

TEST_CASE("announcements come out as they went in") {
    const Announcement expected{Kind::expected, "12", {endpoint("a", R"({"x": "y z"})"), endpoint("b", "{}")}};
    const auto text = encode(expected);
    REQUIRE(text);
    CHECK(*text == "expected 1 12\ndefault/a {\"x\": \"y z\"}\ndefault/b {}");
    CHECK(decode_announcement(*text) == expected);
    const Announcement withdrawn{Kind::withdrawn, "12", {endpoint("a", nullptr), endpoint("b", nullptr)}};
    CHECK(decode_announcement(encode(withdrawn).value_or("")) == withdrawn);
}

TEST_CASE("what does not fit into an announcement is not said") {
    CHECK(!encode({Kind::expected, "12", {endpoint("a", "{\n}")}}));
    const std::string large(kMaxAnnouncement, 'x');
    CHECK(!encode({Kind::expected, "12", {endpoint("a", large.c_str())}}));
}

TEST_CASE("what is no announcement of this version is not read") {
    for (const char* text :
         {"", "expected", "expected 1 ", "expected 1 12", "expected 2 12\ndefault/a {}", "withdrawn 1 12",
          "expected 1 12\ndefault/a", "expected 1 12\ndefault/a ", "expected 1 12\n/a {}", "expected 1 12\ndefault {}",
          "withdrawn 1 12\ndefault/a {}", "Expected 1 12\ndefault/a {}", "expected 1 12\ndefault/a {}\n\ndefault/b {}",
          "expected 1 \ndefault/a {}"}) {
        INFO(text);
        CHECK(!decode_announcement(text));
    }
}
