#include "base/base64.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <string>

using manul::base64_decode;
using manul::base64_encode;

TEST_CASE("base64: the test vectors of RFC 4648 section 10") {
    struct Row {
        const char* bytes;
        const char* text;
    };
    const auto row = GENERATE(values<Row>({{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}}));
    CHECK(base64_encode(row.bytes) == row.text);
    CHECK(base64_decode(row.text) == row.bytes);
}

TEST_CASE("base64: what is none is refused") {
    for (const char* text : {"Z", "Zg", "Zg=", "Z===", "Zg==Zg==", "Zm9v====", "Z g=", "Zg-_", "=", "===="}) {
        CAPTURE(text);
        CHECK_FALSE(base64_decode(text));
    }
    CHECK(base64_decode("Zm9v\r\nYmFy\n") == "foobar");
}

TEST_CASE("base64: all bytes come back") {
    std::mt19937 random(3);
    for (int round = 0; round < 200; ++round) {
        std::string bytes(random() % 50, '\0');
        for (char& c : bytes) {
            c = static_cast<char>(random());
        }
        CHECK(base64_decode(base64_encode(bytes)) == bytes);
    }
}
