#include "bgpd/bfd/packet.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "test/bgpd/hex.hpp"

using namespace manul;
using namespace manul::bgp::bfd;
using manul::test::hex;
using manul::test::to_hex;

TEST_CASE("a control packet has the layout of RFC 5880 section 4.1") {
    const ControlPacket packet{.diagnostic = Diagnostic::detection_time_expired,
                               .state = State::up,
                               .poll = true,
                               .control_plane_independent = true,
                               .detect_multiplier = 3,
                               .my_discriminator = 0x01020304,
                               .your_discriminator = 0x0a0b0c0d,
                               .desired_min_tx = 300'000,
                               .required_min_rx = 150'000,
                               .required_min_echo_rx = 0};
    CHECK(to_hex(encode(packet)) ==
          "21e803180102030"
          "40a0b0c0d000493e0000249f000000000");
    CHECK(parse(encode(packet)) == packet);
}

TEST_CASE("packets that RFC 5880 section 6.8.6 discards") {
    struct Case {
        std::string name;
        std::string bytes;
        PacketError error;
    };
    const std::string tail =
        "0000000100000000"
        "000f4240000f424000000000";
    const Case cases[] = {
        {"empty", "", PacketError::too_short},
        {"23 bytes",
         "20400318"
         "0000000100000000"
         "000f4240000f4240000000",
         PacketError::too_short},
        {"version 0", "00400318" + tail, PacketError::wrong_version},
        {"version 2", "40400318" + tail, PacketError::wrong_version},
        {"length field 23", "20400317" + tail, PacketError::wrong_length},
        {"length field beyond the packet", "20400319" + tail, PacketError::wrong_length},
        {"authentication without its section", "20440318" + tail, PacketError::wrong_length},
        {"multiplier 0", "20400018" + tail, PacketError::zero_multiplier},
        {"multipoint", "20410318" + tail, PacketError::multipoint},
        {"my discriminator 0",
         "20400318"
         "0000000000000000"
         "000f4240000f424000000000",
         PacketError::zero_my_discriminator},
        {"Init without your discriminator", "20800318" + tail, PacketError::zero_your_discriminator},
        {"Up without your discriminator", "20c00318" + tail, PacketError::zero_your_discriminator},
        {"simple password", "2044031b" + tail + "010301", PacketError::authenticated},
    };
    for (const Case& c : cases) {
        INFO(c.name);
        const auto parsed = parse(hex(c.bytes));
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error() == c.error);
    }
}

TEST_CASE("bytes behind the length field are ignored, as a Down packet without discriminator is fine") {
    const auto parsed =
        parse(hex("20400318"
                  "0000000100000000"
                  "000f4240000f424000000000"
                  "ffff"));
    REQUIRE(parsed);
    CHECK(parsed->state == State::down);
    CHECK(parsed->my_discriminator == 1);
}
