#include "base/sha256.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace manul {

TEST_CASE("SHA-256 gives the digests of FIPS 180-4's examples and of the lengths around a block") {
    struct Row {
        std::string text;
        std::string digest;
    };
    // The first four are NIST's vectors; the others come from coreutils' sha256sum.
    const auto row = GENERATE(values<Row>({
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {std::string(1000000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
        {std::string(55, 'x'), "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072"},
        {std::string(56, 'x'), "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e"},
        {std::string(63, 'x'), "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2"},
        {std::string(64, 'x'), "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c"},
    }));
    CAPTURE(row.text.size());
    CHECK(sha256_hex(row.text) == row.digest);
}

TEST_CASE("the short forms of a SHA-256 are its first bytes") {
    CHECK(sha256_first64("abc") == 0xba7816bf8f01cfeaULL);
    CHECK(sha256_hex("abc", 4) == "ba7816bf");
}

}  // namespace manul
