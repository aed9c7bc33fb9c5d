#include "config/codec/secret.hpp"

#include <catch2/catch.hpp>
#include <string>

using manul::codec::completed_secret;
using manul::codec::masked_secret;

TEST_CASE("no value of a secret is shown, nor in what kubectl remembers") {
    CHECK(
        masked_secret(R"({"kind":"Secret","metadata":{"name":"s"},"type":"Opaque","data":{"a":"c2VjcmV0","b":""}})") ==
        R"({"kind":"Secret","metadata":{"name":"s"},"type":"Opaque","data":{"a":"Kioq","b":"Kioq"}})");
    const auto with_annotation = masked_secret(
        R"({"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"a\":\"c2VjcmV0\"},\"stringData\":{\"b\":\"secret\"}}"}}})");
    REQUIRE(with_annotation);
    CHECK(
        *with_annotation ==
        R"({"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"a\":\"Kioq\"},\"stringData\":{\"b\":\"***\"}}"}}})");
    const auto unreadable = masked_secret(
        R"({"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"c2VjcmV0"}}})");
    REQUIRE(unreadable);
    CHECK(unreadable->find("c2VjcmV0") == std::string::npos);
    CHECK_FALSE(masked_secret("[]"));
}

TEST_CASE("plain texts are stored as data, and the mask keeps what is stored") {
    CHECK(completed_secret(R"({"data":{"a":"eA=="},"stringData":{"a":"y","b":"z"}})", std::nullopt) ==
          R"({"data":{"a":"eQ==","b":"eg=="}})");
    const std::string stored = R"({"data":{"a":"c2VjcmV0","b":"eA=="}})";
    CHECK(completed_secret(R"({"data":{"a":"Kioq","c":"eg=="}})", stored) == R"({"data":{"a":"c2VjcmV0","c":"eg=="}})");
    CHECK(completed_secret(R"({"stringData":{"a":"***"}})", stored) == R"({"data":{"a":"c2VjcmV0"}})");
    CHECK(
        completed_secret(
            R"({"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"a\":\"Kioq\"}}"}},"data":{"a":"Kioq"}})",
            stored) ==
        R"({"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"a\":\"c2VjcmV0\"}}"}},"data":{"a":"c2VjcmV0"}})");
    // What kubectl remembers, written back alone (as it does when it changes to server-side apply), or as plain texts.
    for (const std::string masked : {R"({\"data\":{\"a\":\"Kioq\"}})", R"({\"stringData\":{\"a\":\"***\"}})"}) {
        const std::string real = masked.find("Kioq") == std::string::npos ? R"({\"stringData\":{\"a\":\"secret\"}})"
                                                                          : R"({\"data\":{\"a\":\"c2VjcmV0\"}})";
        const std::string head = R"({"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":")";
        CHECK(completed_secret(head + masked + "\"}}}", stored) == head + real + "\"}}}");
        CHECK(completed_secret(head + masked + "\"}}}", std::nullopt) == head + masked + "\"}}}");
    }
    const auto nothing_stored = completed_secret(R"({"data":{"a":"Kioq"}})", std::nullopt);
    REQUIRE_FALSE(nothing_stored);
    CHECK(nothing_stored.error().message.starts_with("data[\"a\"]: Kioq stands for a value that is not shown"));
    CHECK_FALSE(completed_secret(R"({"data":{"new":"Kioq"}})", stored));
}
