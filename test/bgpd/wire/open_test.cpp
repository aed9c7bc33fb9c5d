#include "bgpd/wire/open.hpp"

#include <catch2/catch.hpp>

#include "test/bgpd/hex.hpp"
#include "test/bgpd/wire/builders.hpp"

using namespace manul;
using namespace manul::bgp::wire;
using test::hex;

namespace {

Open plain_open(std::uint32_t as = 64512, std::uint32_t id = 0xc0000201) {
    Open open{*net::Asn::make(as), *net::RouterId::make(id), 90, {}};
    open.capabilities.multiprotocol = {AfiSafi::of(net::Family::v4), AfiSafi::of(net::Family::v6)};
    open.capabilities.route_refresh = true;
    open.capabilities.extended_message = true;
    open.capabilities.enhanced_route_refresh = true;
    open.capabilities.four_octet_as = as;
    return open;
}

std::expected<Open, Notification> decode(const Bytes& message) {
    return decode_open(ByteView(message).subspan(kHeaderSize));
}

Bytes encode(const Open& open) {
    Bytes out;
    encode_open(open, out);
    return out;
}

}  // namespace

TEST_CASE("OPEN as it stands on the wire") {
    Open open{*net::Asn::make(64512), *net::RouterId::make(0xc0000201), 90, {}};
    open.capabilities.multiprotocol = {AfiSafi::of(net::Family::v6)};
    open.capabilities.four_octet_as = 64512;
    CHECK(test::to_hex(ByteView(encode(open)).subspan(kHeaderSize)) ==
          "04fc00005ac0000201"  // version, AS, hold time, identifier
          "0e020c"              // parameters, capabilities
          "010400020001"        // IPv6 unicast
          "41040000fc00");      // 4-octet AS
}

TEST_CASE("OPEN round trip with every capability") {
    Open open = plain_open(4200000001);
    open.capabilities.graceful_restart = GracefulRestart{
        true, true, 4095, {{AfiSafi::of(net::Family::v4), true}, {AfiSafi::of(net::Family::v6), false}}};
    open.capabilities.fqdn = Fqdn{"node-1", "example.org"};
    open.capabilities.long_lived_restart = LongLivedRestart{{{AfiSafi::of(net::Family::v4), true, 0xabcdef}}};
    open.capabilities.add_path = {{AfiSafi::of(net::Family::v4), true, false},
                                  {AfiSafi::of(net::Family::v6), true, true}};
    open.capabilities.extended_next_hop = {ipv4_over_ipv6(), {{1, 128}, 2}};
    open.capabilities.roles = {3};
    open.capabilities.software_version = "manul 1";
    open.capabilities.others = {{67, hex("0102")}, {77, {}}};
    const Bytes bytes = encode(open);
    CHECK(bytes[20] == (kAsTrans >> 8));
    CHECK(decode(bytes) == open);
}

TEST_CASE("OPEN parameters beyond 255 octets use the extended form") {
    Open open = plain_open();
    for (std::uint8_t i = 0; i < 5; ++i) {
        open.capabilities.others.push_back({static_cast<std::uint8_t>(200 + i), Bytes(100, i)});
    }
    const Bytes bytes = encode(open);
    CHECK(bytes[kHeaderSize + 9] == 255);
    CHECK(bytes[kHeaderSize + 10] == 255);
    CHECK(decode(bytes) == open);
}

TEST_CASE("the extended form is also read when it would not be needed") {
    const auto open = decode_open(hex("04 fc00 005a c0000201 ff ff 0009 02 0006 41 04 0000fc00"));
    REQUIRE(open.has_value());
    CHECK(open->capabilities.four_octet_as == 64512);
}

TEST_CASE("the first type alone tells the extended form, whatever the short length says (RFC 9072 section 2)") {
    CHECK(decode_open(hex("04 fc00 005a c0000201 01 ff 0009 02 0006 41 04 0000fc00")).has_value());
    CHECK(decode_open(hex("04 fc00 005a c0000201 0c ff 0009 02 0006 41 04 0000fc00")).has_value());
    CHECK_FALSE(decode_open(hex("04 fc00 005a c0000201 00 ff 0009 02 0006 41 04 0000fc00")).has_value());
    CHECK_FALSE(decode_open(hex("04 fc00 005a c0000201 ff ff 0008 02 0006 41 04 0000fc00")).has_value());
}

TEST_CASE("capabilities may come one in a parameter or all in one") {
    const auto open = decode_open(hex("04 fc00 005a c0000201 0a 02 06 01 04 0001 00 01 02 00"));
    REQUIRE(open.has_value());
    CHECK(open->capabilities.families() == FamilySet{net::Family::v4});
    const auto two = decode_open(hex("04 fc00 005a c0000201 0c 02 02 02 00 02 06 01 04 0002 00 01"));
    REQUIRE(two.has_value());
    CHECK(two->capabilities.route_refresh);
    CHECK(two->capabilities.families() == FamilySet{net::Family::v6});
}

TEST_CASE("OPEN errors give the NOTIFICATION of RFC 4271 section 6.2") {
    struct Row {
        const char* name;
        const char* body;
        std::uint8_t subcode;
        Bytes data;
    };
    const auto row = GENERATE(values<Row>({
        {"version 3", "03 fc00 005a c0000201 00", 1, {0, 4}},
        {"AS 0", "04 0000 005a c0000201 00", 2, {}},
        {"AS 0 in the capability", "04 fc00 005a c0000201 08 02 06 41 04 00000000", 2, {}},
        {"AS 23456 in the capability", "04 5ba0 005a c0000201 08 02 06 41 04 00005ba0", 2, {}},
        {"identifier 0", "04 fc00 005a 00000000 00", 3, {}},
        {"authentication parameter", "04 fc00 005a c0000201 03 01 01 00", 4, {}},
        {"hold time 1", "04 fc00 0001 c0000201 00", 6, {}},
        {"hold time 2", "04 fc00 0002 c0000201 00", 6, {}},
        {"parameters shorter than said", "04 fc00 005a c0000201 04 02 00", 0, {}},
        {"parameters longer than said", "04 fc00 005a c0000201 00 02 00", 0, {}},
        {"parameter overruns", "04 fc00 005a c0000201 03 02 05 00", 0, {}},
        {"capability overruns", "04 fc00 005a c0000201 04 02 02 02 01", 0, {}},
        {"capability without length", "04 fc00 005a c0000201 03 02 01 02", 0, {}},
        {"multiprotocol of 3 octets", "04 fc00 005a c0000201 07 02 05 01 03 000100", 0, {}},
        {"4-octet AS of 2 octets", "04 fc00 005a c0000201 06 02 04 41 02 fc00", 0, {}},
        {"extended parameters cut short", "04 fc00 005a c0000201 ff ff 00", 0, {}},
    }));
    CAPTURE(row.name);
    const auto open = decode_open(hex(row.body));
    REQUIRE_FALSE(open.has_value());
    CHECK(open.error() == Notification{ErrorCode::open, row.subcode, row.data});
}

TEST_CASE("the number in the capability is the peer's, whatever the field of two octets says (RFC 6793)") {
    const auto open = decode_open(hex("04 fc01 005a c0000201 08 02 06 41 04 fa56ea01"));
    REQUIRE(open.has_value());
    CHECK(open->as.number() == 4200000001);
}

TEST_CASE("a list of several-path families with an unknown number counts for nothing (RFC 7911 section 4)") {
    const auto known = decode_open(hex("04 fc00 005a c0000201 0c 02 0a 45 08 00010103 00020101"));
    REQUIRE(known.has_value());
    CHECK(known->capabilities.add_path.size() == 2);
    const auto unknown = decode_open(hex("04 fc00 005a c0000201 0c 02 0a 45 08 00010103 00020104"));
    REQUIRE(unknown.has_value());
    CHECK(unknown->capabilities.add_path.empty());
    CHECK(unknown->capabilities.others.size() == 1);
}

TEST_CASE("capabilities of the wrong length that change nothing else are kept for display") {
    const auto open = decode_open(hex("04 fc00 005a c0000201 0d 02 0b 02 01 00 40 03 000000 49 01 05"));
    REQUIRE(open.has_value());
    CHECK_FALSE(open->capabilities.route_refresh);
    CHECK_FALSE(open->capabilities.graceful_restart);
    CHECK_FALSE(open->capabilities.fqdn);
    CHECK(open->capabilities.others.size() == 3);
}

TEST_CASE("names in an OPEN are fit for terminals and JSON, whatever the peer put there") {
    const auto open =
        decode_open(hex("04 fc00 005a c0000201 14 02 12 49 08 05 61ff1b5b62 01 c0 4b 06 05 76 c29b e0 80"));
    REQUIRE(open.has_value());
    CHECK(open->capabilities.fqdn == Fqdn{"a? [b", "?"});
    CHECK(open->capabilities.software_version == "v ??");
}

TEST_CASE("every truncation of an OPEN is an error, never a crash") {
    Open open = plain_open();
    open.capabilities.graceful_restart = GracefulRestart{};
    open.capabilities.fqdn = Fqdn{"a", "b"};
    const Bytes bytes = encode(open);
    for (std::size_t length = kHeaderSize; length < bytes.size(); ++length) {
        CHECK_FALSE(decode_open(ByteView(bytes).subspan(kHeaderSize, length - kHeaderSize)).has_value());
    }
}

TEST_CASE("negotiation takes what both sides have") {
    Open ours = plain_open(64512, 1);
    Open peers = plain_open(64513, 2);
    peers.hold_time = 30;
    peers.capabilities.multiprotocol = {AfiSafi::of(net::Family::v6), AfiSafi{25, 70}};
    auto result = negotiate(ours, peers, net::Asn::make(64513));
    REQUIRE(result.has_value());
    CHECK(result->hold_time == 30);
    CHECK_FALSE(result->internal);
    CHECK(result->four_octet_as);
    CHECK(result->families == FamilySet{net::Family::v6});
    CHECK(result->max_send == kMaxExtendedMessage);

    SECTION("a peer without capabilities speaks IPv4 with 2-octet AS numbers") {
        peers.capabilities = {};
        result = negotiate(ours, peers, net::Asn::make(64513));
        REQUIRE(result.has_value());
        CHECK(result->families == FamilySet{net::Family::v4});
        CHECK_FALSE(result->four_octet_as);
        CHECK_FALSE(result->route_refresh);
        CHECK(result->max_send == kMaxMessage);
        CHECK(result->max_receive == kMaxExtendedMessage);
    }
    SECTION("hold time 0 of one side wins") {
        peers.hold_time = 0;
        CHECK(negotiate(ours, peers, {})->hold_time == 0);
    }
    SECTION("graceful restart and its N bit need both sides") {
        peers.capabilities.graceful_restart = GracefulRestart{false, true, 60, {}};
        CHECK_FALSE(negotiate(ours, peers, {})->peer_graceful_restart);
        ours.capabilities.graceful_restart = GracefulRestart{};
        CHECK(negotiate(ours, peers, {})->peer_graceful_restart->seconds == 60);
        CHECK_FALSE(negotiate(ours, peers, {})->notification_restart);
        ours.capabilities.graceful_restart->notification = true;
        CHECK(negotiate(ours, peers, {})->notification_restart);
    }
    SECTION("a peer with two roles is refused, with a role of ours or without (RFC 9234 section 4.2)") {
        peers.capabilities.roles = {0, 4};
        CHECK(negotiate(ours, peers, {}).error() == Notification{ErrorCode::open, 11, {}});
        ours.capabilities.roles = {3};
        CHECK(negotiate(ours, peers, {}).error() == Notification{ErrorCode::open, 11, {}});
        peers.capabilities.roles = {0};
        CHECK(negotiate(ours, peers, {}).has_value());
    }
    SECTION("another AS than configured") {
        CHECK(negotiate(ours, peers, net::Asn::make(64514)).error() == Notification{ErrorCode::open, 2, {}});
        CHECK(negotiate(ours, peers, {}).has_value());
    }
    SECTION("an internal peer with our identifier; an external one may have it") {
        peers.identifier = ours.identifier;
        CHECK(negotiate(ours, peers, {}).has_value());
        peers.as = ours.as;
        CHECK(negotiate(ours, peers, {}).error() == Notification{ErrorCode::open, 3, {}});
    }
    SECTION("no common family names what is missed") {
        ours.capabilities.multiprotocol = {AfiSafi::of(net::Family::v4)};
        CHECK(negotiate(ours, peers, {}).error() == Notification{ErrorCode::open, 7, hex("0104 0001 0001")});
    }
}

TEST_CASE("NOTIFICATION round trip and words") {
    Bytes out;
    const Notification sent = make_cease(cease::kAdministrativeShutdown, "maintenance until 18:00");
    encode_notification(sent, out);
    const Notification received = decode_notification(ByteView(out).subspan(kHeaderSize));
    CHECK(received == sent);
    CHECK(received.to_string() == "Cease/Administrative Shutdown: maintenance until 18:00");
    CHECK(Notification{ErrorCode::hold_timer_expired, 0, {}}.to_string() == "Hold Timer Expired");
    CHECK(Notification{ErrorCode::update, 11, {}}.to_string() == "UPDATE Message Error/Malformed AS_PATH");
    CHECK(Notification{ErrorCode(77), 5, {}}.to_string() == "code 77/subcode 5");
    CHECK(make_hard_reset(sent).to_string() ==
          "Cease/Hard Reset (Cease/Administrative Shutdown: maintenance until 18:00)");
    CHECK(hard_reset_reason(make_hard_reset(sent)) == sent);
}

TEST_CASE("the shutdown text is taken only when it is well-formed") {
    struct Row {
        const char* name;
        const char* data;
        const char* text;  // nullptr: none
    };
    const auto row = GENERATE(values<Row>({
        {"plain", "02 6f6b", "ok"},
        {"umlaut", "02 c3a4", "\xc3\xa4"},
        {"control characters become spaces", "03 610a1b", "a  "},
        {"those of two octets, too", "05 61c29b31 6d", "a 1m"},
        {"the first behind them", "02 c2a0", "\xc2\xa0"},
        {"empty", "00", nullptr},
        {"no length", "", nullptr},
        {"length overruns", "05 6f6b", nullptr},
        {"not UTF-8", "02 fffe", nullptr},
        {"cut character", "01 c3", nullptr},
        {"longer than needed", "03 e08080", nullptr},
        {"a surrogate", "03 eda080", nullptr},
        {"beyond the last character", "04 f4908080", nullptr},
        {"four octets", "04 f09f9880", "\xf0\x9f\x98\x80"},
    }));
    CAPTURE(row.name);
    const auto text = Notification{ErrorCode::cease, 2, hex(row.data)}.shutdown_text();
    CHECK(text.has_value() == (row.text != nullptr));
    CHECK(text.value_or("") == (row.text != nullptr ? row.text : ""));
}

TEST_CASE("a long shutdown text is cut at a character") {
    std::string words(254, 'x');
    words += "\xc3\xa4";
    const Notification cease = make_cease(cease::kAdministrativeReset, words);
    CHECK(cease.data.size() == 255);
    CHECK(cease.shutdown_text() == std::string(254, 'x'));
    CHECK(make_cease(cease::kCollision, "words").data.empty());
}

TEST_CASE("capabilities are left out by code, families by name") {
    Capabilities all;
    all.multiprotocol = {AfiSafi::of(net::Family::v4), AfiSafi::of(net::Family::v6)};
    all.add_path = {{AfiSafi::of(net::Family::v4), true, true}, {AfiSafi::of(net::Family::v6), true, true}};
    all.graceful_restart = GracefulRestart{};
    all.graceful_restart->families = {{AfiSafi::of(net::Family::v6), true}};
    all.route_refresh = true;
    all.four_octet_as = 1;
    all.others = {{200, {}}};
    const auto sent = [](const Capabilities& capabilities) {
        Bytes bytes;
        encode_capabilities(capabilities, bytes);
        return test::to_hex(bytes);
    };
    CHECK(sent(without(all, {})) == sent(all));
    CHECK(sent(without(all, Omission::everything())).empty());
    const Capabilities four = without(all, Omission::of(hex("01 04 0002 00 01 45 04 0001 01 03")));
    CHECK(four.families() == FamilySet{net::Family::v4});
    CHECK(four.add_path.empty());
    CHECK(four.graceful_restart->families.empty());
    CHECK(four.route_refresh);
    CHECK(without(all, Omission::of(hex("c8 00"))).others.empty());
    // What does not parse, and families that nobody here has, stand for nothing.
    CHECK(Omission::of(hex("")).none());
    CHECK(Omission::of(hex("02")).none());
    CHECK(Omission::of(hex("02 04 00")).none());
    CHECK(Omission::of(hex("01 04 0019 00 46")).none());
    CHECK((Omission::of(hex("02 00")) & Omission::of(hex("40 00"))).none());
    CHECK((Omission::of(hex("01 04 0001 00 01 02 00")) | Omission::of(hex("01 04 0002 00 01"))) ==
          Omission::of(hex("02 00 01 04 0001 00 01 01 04 0002 00 01")));
}
