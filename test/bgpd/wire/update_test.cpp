#include "bgpd/wire/update.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "bgpd/wire/attribute.hpp"
#include "test/bgpd/hex.hpp"
#include "test/bgpd/wire/builders.hpp"

using namespace manul;
using namespace manul::bgp::wire;
using test::hex;
using test::kAsPath;
using test::kAsPath2;
using test::kNextHop;
using test::kOrigin;
using test::update_body;

namespace {

constexpr FamilySet kBoth = {net::Family::v4, net::Family::v6};

std::string operator+(std::string_view left, std::string_view right) { return std::string(left) + std::string(right); }

struct Outcome {
    Update update;
    std::vector<std::string> withdrawn;
    std::vector<std::string> announced;
};

Outcome decode(UpdateDecoder& decoder, ByteView body, const UpdateContext& context) {
    Outcome outcome{decoder.decode(body, context), {}, {}};
    if (outcome.update.verdict != Verdict::reset) {
        outcome.update.each_withdrawn([&](const net::Prefix& p) { outcome.withdrawn.push_back(p.to_string()); });
        outcome.update.each_announced([&](const net::Prefix& p, const NextHop& via) {
            outcome.announced.push_back(p.to_string() + " via " + via.address.to_string());
        });
    }
    return outcome;
}

using Texts = std::vector<std::string>;

}  // namespace

TEST_CASE("an UPDATE with withdrawals and announcements") {
    UpdateDecoder decoder;
    const Bytes body = update_body("08 0b", kOrigin + kAsPath + kNextHop, "18 c63364 20 cb007101");
    const Outcome outcome = decode(decoder, body, {kBoth, true, false});
    CHECK(outcome.update.verdict == Verdict::ok);
    CHECK(outcome.withdrawn == Texts{"11.0.0.0/8"});
    CHECK(outcome.announced == Texts{"198.51.100.0/24 via 192.0.2.1", "203.0.113.1/32 via 192.0.2.1"});
    CHECK(test::to_hex(outcome.update.attributes) ==
          "40010100"
          "40020602010000fc01");
    CHECK_FALSE(outcome.update.end_of_rib);
}

TEST_CASE("IPv6 comes in multiprotocol attributes") {
    UpdateDecoder decoder;
    const std::string global = "20010db8000000000000000000000001";
    const std::string local = "fe800000000000000000000000000001";
    const auto reach = [](const std::string& next_hop, const std::string& nlri) {
        const Bytes value =
            hex("0002 01" + std::string(next_hop.size() / 2 == 32 ? "20" : "10") + next_hop + "00" + nlri);
        return "80 0e " + test::to_hex(Bytes{static_cast<std::uint8_t>(value.size())}) + test::to_hex(value);
    };
    SECTION("global next hop; unreach in the same message") {
        const Bytes body =
            update_body("", reach(global, "20 20010db8") + "80 0f 06 0002 01 10 2002" + kOrigin + kAsPath, "");
        const Outcome outcome = decode(decoder, body, {kBoth, true, false});
        CHECK(outcome.update.verdict == Verdict::ok);
        CHECK(outcome.announced == Texts{"2001:db8::/32 via 2001:db8::1"});
        CHECK(outcome.withdrawn == Texts{"2002::/16"});
        CHECK(test::to_hex(outcome.update.attributes) ==
              "40010100"
              "40020602010000fc01");
    }
    SECTION("global and link-local") {
        const Outcome outcome =
            decode(decoder, update_body("", reach(global + local, "00") + kOrigin + kAsPath, ""), {kBoth, true, false});
        CHECK(outcome.update.mp_next_hop.address.to_string() == "2001:db8::1");
        CHECK(outcome.update.mp_next_hop.link_local->to_string() == "fe80::1");
    }
    SECTION("link-local alone, in the forms that peers use") {
        const std::string none(32, '0');
        for (const std::string& next_hop : {local, none + local, local + local}) {
            const Outcome outcome =
                decode(decoder, update_body("", reach(next_hop, "00") + kOrigin + kAsPath, ""), {kBoth, true, false});
            CHECK(outcome.update.verdict == Verdict::ok);
            CHECK(outcome.update.mp_next_hop == NextHop{*net::Ip::parse("fe80::1"), std::nullopt});
        }
    }
    SECTION("IPv4 routes have IPv6 next hops where both sides announced that (RFC 8950)") {
        const auto reach4 = [](const std::string& next_hop) {
            const Bytes value =
                hex("0001 01" + std::string(next_hop.size() / 2 == 32 ? "20" : "10") + next_hop + "00 08 0a");
            return "80 0e " + test::to_hex(Bytes{static_cast<std::uint8_t>(value.size())}) + test::to_hex(value);
        };
        UpdateContext context{kBoth, true, false};
        const Bytes body = update_body("", reach4(global + local) + kOrigin + kAsPath, "");
        CHECK(decode(decoder, body, context).update.verdict == Verdict::reset);
        context.ipv6_next_hops = true;
        const Outcome outcome = decode(decoder, body, context);
        CHECK(outcome.announced == Texts{"10.0.0.0/8 via 2001:db8::1"});
        CHECK(outcome.update.mp_next_hop.link_local->to_string() == "fe80::1");
        CHECK(decode(decoder, update_body("", reach4(local) + kOrigin + kAsPath, ""), context).announced ==
              Texts{"10.0.0.0/8 via fe80::1"});
        CHECK(decode(decoder, update_body("", reach4("c0000201") + kOrigin + kAsPath, ""), context).update.verdict ==
              Verdict::reset);  // 16 octets are announced, 4 stand there
    }
    SECTION("families that were not negotiated are ignored") {
        const Bytes body = update_body("08 0b", reach(global, "20 20010db8") + kOrigin + kAsPath + kNextHop, "08 0a");
        CHECK(decode(decoder, body, {{net::Family::v4}, true, false}).announced == Texts{"10.0.0.0/8 via 192.0.2.1"});
        const Outcome six = decode(decoder, body, {{net::Family::v6}, true, false});
        CHECK(six.announced == Texts{"2001:db8::/32 via 2001:db8::1"});
        CHECK(six.withdrawn.empty());
        const Bytes evpn = update_body("", kOrigin + kAsPath + "80 0e 09 0019 46 04 c0000201 00", "");
        CHECK(decode(decoder, evpn, {kBoth, true, false}).update.verdict == Verdict::ok);
    }
    SECTION("IPv4 may come in MP_REACH_NLRI, too") {
        const Bytes body = update_body("", "80 0e 0b 0001 01 04 c0000201 00 08 0a" + kOrigin + kAsPath, "");
        CHECK(decode(decoder, body, {kBoth, true, false}).announced == Texts{"10.0.0.0/8 via 192.0.2.1"});
    }
}

TEST_CASE("End-of-RIB of both families (RFC 4724 section 2)") {
    UpdateDecoder decoder;
    CHECK(decoder.decode(update_body("", "", ""), {kBoth, true, false}).end_of_rib == net::Family::v4);
    CHECK(decoder.decode(update_body("", "80 0f 03 0002 01", ""), {kBoth, true, false}).end_of_rib == net::Family::v6);
    CHECK(decoder.decode(update_body("", "90 0f 0003 0002 01", ""), {kBoth, true, false}).end_of_rib ==
          net::Family::v6);
    CHECK_FALSE(decoder.decode(update_body("08 0a", "", ""), {kBoth, true, false}).end_of_rib);
    CHECK_FALSE(decoder.decode(update_body("", "80 0f 05 0002 01 08 20", ""), {kBoth, true, false}).end_of_rib);
    CHECK_FALSE(decoder.decode(update_body("", kOrigin + "80 0f 03 0002 01", ""), {kBoth, true, false}).end_of_rib);
}

TEST_CASE("errors in an UPDATE have the verdict of RFC 7606") {
    struct Row {
        std::string name;
        std::string attributes;
        Verdict verdict;
        std::uint8_t subcode;
        std::uint8_t attribute;
        bool internal = false;
        bool four_octet_as = true;
    };
    const std::string rest = kAsPath + kNextHop;  // for errors in ORIGIN
    const std::string all = kOrigin + kAsPath + kNextHop;
    constexpr auto kWithdraw = Verdict::treat_as_withdraw;
    constexpr auto kDiscard = Verdict::discard_attribute;
    const auto row = GENERATE_COPY(values<Row>({
        {"3c: ORIGIN with the optional bit", "c0 01 01 00" + rest, kWithdraw, 4, 1},
        {"3c: MED with the transitive bit", all + "c0 04 04 00000001", kWithdraw, 4, 4},
        {"3c: COMMUNITIES without the transitive bit", all + "80 08 04 00010001", kWithdraw, 4, 8},
        {"5.3: MP_REACH_NLRI with the transitive bit",
         all + "c0 0e 16 0002 01 10 20010db8000000000000000000000001 00 00", Verdict::reset, 4, 14},
        {"5.3: MP_UNREACH_NLRI without the optional bit", all + "00 0f 03 0002 01", Verdict::reset, 4, 15},
        {"6793 6: AS4_PATH from who needs none, whatever its flags", all + "80 11 06 0201 0000fde9", kDiscard, 9, 17},
        {"3d: no ORIGIN", rest, kWithdraw, 3, 1},
        {"3d: no AS_PATH", kOrigin + kNextHop, kWithdraw, 3, 2},
        {"3d: no NEXT_HOP", kOrigin + kAsPath, kWithdraw, 3, 3},
        {"3g: MED twice", all + "80 04 04 00000001 80 04 04 00000002", kDiscard, 1, 4},
        {"3g: MP_UNREACH_NLRI twice", all + "80 0f 03 0002 01 80 0f 03 0002 01", Verdict::reset, 1, 15},
        {"3h: the strongest of several", all + "40 06 01 00 40 05 03 000000 80 04 03 000000", kWithdraw, 5, 4},
        {"4: an attribute overruns its section", all + "80 04 08 00000001", kWithdraw, 1, 4},
        {"3j: MP_REACH_NLRI overruns its section", all + "80 0e 16 0002 01 10 20010db8", Verdict::reset, 1, 14},
        {"3j: MP_UNREACH_NLRI overruns its section", all + "80 0f 08 0002 01", Verdict::reset, 1, 15},
        {"4: two octets left", all + "80 04", kWithdraw, 1, 4},
        {"4: one octet left", all + "80", kWithdraw, 1, 0},
        {"4: extended length cut", all + "90 04 00", kWithdraw, 1, 4},
        {"4: ORIGIN of length 0", "40 01 00" + rest, kWithdraw, 5, 1},
        {"7.1: ORIGIN of length 2", "40 01 02 0000" + rest, kWithdraw, 5, 1},
        {"7.1: ORIGIN 3", "40 01 01 03" + rest, kWithdraw, 6, 1},
        {"7.2: AS_PATH with an unknown segment", kOrigin + kNextHop + "40 02 06 05 01 00000001", kWithdraw, 11, 2},
        {"7.2: AS_PATH segment overruns", kOrigin + kNextHop + "40 02 06 02 02 00000001", kWithdraw, 11, 2},
        {"7.2: AS_PATH with one octet too many", kOrigin + kNextHop + "40 02 07 02 01 00000001 02", kWithdraw, 11, 2},
        {"7.2: AS_PATH segment of no numbers", kOrigin + kNextHop + "40 02 08 02 01 00000001 02 00", kWithdraw, 11, 2},
        {"7.2: AS_PATH with a confederation segment", kOrigin + kNextHop + "40 02 06 03 01 00000001", kWithdraw, 11, 2},
        {"RFC 7607: AS 0 in AS_PATH", kOrigin + kNextHop + "40 02 06 02 01 00000000", kWithdraw, 11, 2},
        {"7.3: NEXT_HOP of length 16", kOrigin + kAsPath + "40 03 10" + std::string(32, '1'), kWithdraw, 5, 3},
        {"NEXT_HOP 0.0.0.0", kOrigin + kAsPath + "40 03 04 00000000", kWithdraw, 8, 3},
        {"NEXT_HOP multicast", kOrigin + kAsPath + "40 03 04 e0000001", kWithdraw, 8, 3},
        {"NEXT_HOP of class E", kOrigin + kAsPath + "40 03 04 f0000001", kWithdraw, 8, 3},
        {"7.4: MED of length 0", all + "80 04 00", kWithdraw, 5, 4},
        {"7.4: MED of length 3", all + "80 04 03 000000", kWithdraw, 5, 4},
        {"7.5: LOCAL_PREF from outside", all + "40 05 04 00000064", kDiscard, 9, 5},
        {"7.5: LOCAL_PREF of length 5", all + "40 05 05 0000000064", kWithdraw, 5, 5, true},
        {"7.5: LOCAL_PREF from outside, and of length 5", all + "40 05 05 0000000064", kDiscard, 9, 5},
        {"7.6: ATOMIC_AGGREGATE of length 1", all + "40 06 01 00", kDiscard, 5, 6},
        {"7.7: AGGREGATOR of length 6", all + "c0 07 06 0001 c0000201", kDiscard, 5, 7},
        {"7.7: AGGREGATOR of length 8 from a 2-octet peer",
         kOrigin + kAsPath2 + kNextHop + "c0 07 08 00000001 c0000201", kDiscard, 5, 7, false, false},
        {"RFC 7607: AGGREGATOR with AS 0", all + "c0 07 08 00000000 c0000201", kDiscard, 9, 7},
        {"7.8: COMMUNITIES of length 6", all + "c0 08 06 000100010001", kWithdraw, 5, 8},
        {"7.8: COMMUNITIES of length 0", all + "c0 08 00", kWithdraw, 5, 8},
        {"7.9: ORIGINATOR_ID from outside", all + "80 09 04 00000001", kDiscard, 9, 9},
        {"7.9: ORIGINATOR_ID of length 5", all + "80 09 05 0000000001", kWithdraw, 5, 9, true},
        {"7.10: CLUSTER_LIST from outside", all + "80 0a 04 00000001", kDiscard, 9, 10},
        {"7.10: CLUSTER_LIST of length 0", all + "80 0a 00", kWithdraw, 5, 10, true},
        {"7.10: CLUSTER_LIST of length 5", all + "80 0a 05 0000000001", kWithdraw, 5, 10, true},
        {"7.11: MP_REACH_NLRI with a next hop of 15 octets",
         all + "80 0e 14 0002 01 0f 20010db80000000000000000000000 00", Verdict::reset, 9, 14},
        {"7.11: MP_REACH_NLRI whose next hop overruns", all + "80 0e 07 0002 01 10 200100", Verdict::reset, 9, 14},
        {"7.11: MP_REACH_NLRI of length 4", all + "80 0e 04 0002 01 00", Verdict::reset, 9, 14},
        {"5.3: prefix of 129 bits in MP_REACH_NLRI",
         all + "80 0e 27 0002 01 10 20010db8000000000000000000000001 00 81" + std::string(34, '0'), Verdict::reset, 9,
         14},
        {"7.12: MP_UNREACH_NLRI of length 2", all + "80 0f 02 0002", Verdict::reset, 9, 15},
        {"5.3: prefix overruns MP_UNREACH_NLRI", all + "80 0f 05 0002 01 10 20", Verdict::reset, 9, 15},
        {"7.14: EXTENDED_COMMUNITIES of length 4", all + "c0 10 04 00000000", kWithdraw, 5, 16},
        {"7.14: EXTENDED_COMMUNITIES of length 0", all + "c0 10 00", kWithdraw, 5, 16},
        {"7.15: IPV6_EXTENDED_COMMUNITIES of length 19", all + "c0 19 13" + std::string(38, '0'), kWithdraw, 5, 25},
        {"7.15: IPV6_EXTENDED_COMMUNITIES of length 0", all + "c0 19 00", kWithdraw, 5, 25},
        {"RFC 8092: LARGE_COMMUNITY of length 0", all + "c0 20 00", kWithdraw, 5, 32},
        {"RFC 8092: LARGE_COMMUNITY without the transitive bit", all + "80 20 0c" + std::string(24, '0'), kWithdraw, 4,
         32},
        {"RFC 9234: ONLY_TO_CUSTOMER of length 5", all + "c0 23 05 0000000001", kWithdraw, 5, 35},
        {"RFC 9234: ONLY_TO_CUSTOMER of length 0", all + "c0 23 00", kWithdraw, 5, 35},
        {"RFC 6793: AS4_AGGREGATOR of length 7", kOrigin + kAsPath2 + kNextHop + "c0 12 07 00000001 c00002", kDiscard,
         5, 18, false, false},
        {"3g: ORIGIN twice, the second wrong", all + "40 01 01 07", kDiscard, 1, 1},
        {"3g: MP_REACH_NLRI twice",
         all + "80 0e 15 0002 01 10 20010db8000000000000000000000001 00 80 0e 15 0002 01 10 "
               "20010db8000000000000000000000001 00",
         Verdict::reset, 1, 14},
        {"3c: ORIGIN neither optional nor transitive", "00 01 01 00" + rest, kWithdraw, 4, 1},
        {"3c: NEXT_HOP with the optional bit", kOrigin + kAsPath + "c0 03 04 c0000201", kWithdraw, 4, 3},
        {"3c: AS_PATH with the optional bit", kOrigin + kNextHop + "c0 02 06 02 01 0000fc01", kWithdraw, 4, 2},
        {"3c: ATOMIC_AGGREGATE with the optional bit", all + "c0 06 00", kWithdraw, 4, 6},
        {"3c: AGGREGATOR without the transitive bit", all + "80 07 08 00000001 c0000201", kWithdraw, 4, 7},
        {"3c: ORIGINATOR_ID with the transitive bit", all + "c0 09 04 00000001", kWithdraw, 4, 9, true},
        {"3c: CLUSTER_LIST with the transitive bit", all + "c0 0a 04 00000001", kWithdraw, 4, 10, true},
        {"3c: LOCAL_PREF with the optional bit", all + "c0 05 04 00000064", kWithdraw, 4, 5, true},
        {"unknown well-known attribute, not even transitive", all + "00 63 00", Verdict::reset, 2, 99},
        {"LARGE_COMMUNITY of length 8", all + "c0 20 08 0000000000000000", kWithdraw, 5, 32},
        {"AS4_PATH from a 4-octet peer", all + "c0 11 06 02 01 00000001", kDiscard, 9, 17},
        {"AS4_PATH malformed", kOrigin + kAsPath2 + kNextHop + "c0 11 05 02 01 000000", kDiscard, 9, 17, false, false},
        {"RFC 9774: AS4_PATH with a set", kOrigin + kAsPath2 + kNextHop + "c0 11 06 01 01 fa56ea01", kWithdraw, 11, 17,
         false, false},
        {"RFC 9774: AS4_PATH with a set, longer than AS_PATH",
         kOrigin + kAsPath2 + kNextHop + "c0 11 14 02 03 fa56ea01 fa56ea01 fa56ea01 01 01 fa56ea01", kWithdraw, 11, 17,
         false, false},
        {"RFC 9774: AS4_PATH with a set of a confederation",
         kOrigin + kAsPath2 + kNextHop + "c0 11 0c 04 01 0000fde9 02 01 fa56ea01", kWithdraw, 11, 17, false, false},
        {"AS4_AGGREGATOR from a 4-octet peer", all + "c0 12 08 00000001 c0000201", kDiscard, 9, 18},
        {"unknown well-known attribute", all + "40 63 00", Verdict::reset, 2, 99},
    }));
    CAPTURE(row.name);
    UpdateDecoder decoder;
    const Bytes body = update_body("", row.attributes, "08 0a");
    const Outcome outcome = decode(decoder, body, {kBoth, row.four_octet_as, row.internal});
    CHECK(outcome.update.verdict == row.verdict);
    CHECK(+outcome.update.fault.subcode == +row.subcode);
    CHECK(+outcome.update.fault.attribute == +row.attribute);
    switch (row.verdict) {
        case Verdict::reset:
            CHECK(outcome.update.fault.notification().code == ErrorCode::update);
            break;
        case Verdict::treat_as_withdraw:
            CHECK(outcome.withdrawn.front() == "10.0.0.0/8");
            CHECK(outcome.announced.empty());
            break;
        default:
            CHECK(outcome.announced.size() == 1);
            CHECK(outcome.withdrawn.empty());
            break;
    }
}

TEST_CASE("a NOTIFICATION about an UPDATE carries the data that RFC 4271 section 6.3 asks for") {
    UpdateDecoder decoder;
    const Bytes unknown = update_body("", kOrigin + kAsPath + kNextHop + "40 63 01 07", "08 0a");
    CHECK(decoder.decode(unknown, {}).fault.notification() == Notification{ErrorCode::update, 2, hex("40630107")});
    // Treated as withdraw here, but what the peer is told when there is nothing to withdraw (RFC 7606 section 5.2).
    const Bytes origin = update_body("", "40 01 01 03" + kAsPath, "");
    const Update update = decoder.decode(origin, {});
    CHECK(update.verdict == Verdict::reset);
    CHECK(update.fault.notification() == Notification{ErrorCode::update, 6, hex("40010103")});
}

TEST_CASE("sections that do not fit into the message reset the session") {
    UpdateDecoder decoder;
    struct Row {
        const char* name;
        const char* body;
        std::uint8_t subcode;
    };
    const auto row = GENERATE(values<Row>({
        {"withdrawn section overruns", "0005 0000", 1},
        {"attribute section overruns", "0000 0005 40010100", 1},
        {"no attribute length", "0002 080a", 1},
        {"withdrawn prefix of 33 bits", "0006 21 0a00000000 0000", 10},
        {"withdrawn prefix overruns", "0002 10 0a 0000", 10},
        {"announced prefix of 33 bits", "0000 0000 21 0a00000000", 10},
        {"announced prefix overruns", "0000 0000 20 0a0000", 10},
    }));
    CAPTURE(row.name);
    const Update update = decoder.decode(hex(row.body), {});
    CHECK(update.verdict == Verdict::reset);
    CHECK(update.fault.notification() == Notification{ErrorCode::update, row.subcode, {}});
}

TEST_CASE("errors without known prefixes reset, attributes to discard do not (RFC 7606 section 5.2)") {
    UpdateDecoder decoder;
    CHECK(decoder.decode(update_body("08 0b", "80 04 03 000000", ""), {}).verdict == Verdict::reset);
    CHECK(decoder.decode(update_body("08 0b", "40 06 01 00", ""), {}).verdict == Verdict::discard_attribute);
    // What is cut off could have been anything.
    for (const char* cut : {"80", "80 04 04 00", "80 0f 03 0002 01 80", "80 0e 16 0002 01 10 20010db8"}) {
        CAPTURE(cut);
        CHECK(decoder.decode(update_body("08 0b", cut, ""), {kBoth, true, false}).verdict == Verdict::reset);
    }
}

TEST_CASE("a NEXT_HOP beside MP_REACH_NLRI alone is ignored, whatever it says (RFC 4760 section 3)") {
    UpdateDecoder decoder;
    const std::string reach = "80 0e 18 0002 01 10 20010db8000000000000000000000001 00 10 2001";
    for (const char* next_hop : {"00000000", "e0000001", "c0000201"}) {
        const Bytes body = update_body("", reach + kOrigin + kAsPath + "40 03 04 " + next_hop, "");
        const Outcome outcome = decode(decoder, body, {kBoth, true, false});
        CHECK(outcome.update.verdict == Verdict::ok);
        CHECK(outcome.announced.size() == 1);
    }
    const Bytes with_body = update_body("", reach + kOrigin + kAsPath + "40 03 04 00000000", "08 0a");
    const Outcome both = decode(decoder, with_body, {kBoth, true, false});
    CHECK(both.update.verdict == Verdict::treat_as_withdraw);
    CHECK(both.withdrawn.size() == 2);
}

TEST_CASE("routes of an internal peer without LOCAL_PREF count as withdrawn (RFC 4271 section 5.1.5, RFC 7606 3 d)") {
    UpdateDecoder decoder;
    const UpdateContext session{.families = kBoth, .internal = true, .needs_local_pref = true};
    const std::string all = kOrigin + kAsPath + kNextHop;
    const std::string reach = "80 0e 18 0002 01 10 20010db8000000000000000000000001 00 10 2001" + kOrigin + kAsPath;
    const std::string preference = "40 05 04 00000064";
    for (const auto& [attributes, prefix] : {std::pair(all, "08 0a"), std::pair(reach, "")}) {
        const Outcome without = decode(decoder, update_body("", attributes, prefix), session);
        CHECK(without.update.verdict == Verdict::treat_as_withdraw);
        CHECK(without.update.fault.notification() == Notification{ErrorCode::update, 3, {5}});
        CHECK(without.withdrawn.size() == 1);
        CHECK(decode(decoder, update_body("", attributes + preference, prefix), session).update.verdict == Verdict::ok);
    }
    // Nothing is announced: nothing is missing.
    CHECK(decoder.decode(update_body("08 0a", "", ""), session).verdict == Verdict::ok);
    CHECK(decoder.decode(update_body("", "80 0f 05 0002 01 08 20", ""), session).verdict == Verdict::ok);
}

TEST_CASE("a prefix that is withdrawn and announced in one message is announced") {
    UpdateDecoder decoder;
    const Outcome outcome =
        decode(decoder, update_body("08 0a", kOrigin + kAsPath + kNextHop, "08 0a"), {kBoth, true, false});
    CHECK(outcome.withdrawn == Texts{"10.0.0.0/8"});
    CHECK(outcome.announced == Texts{"10.0.0.0/8 via 192.0.2.1"});
}

TEST_CASE("attributes come out in one canonical form") {
    UpdateDecoder decoder;
    const auto canonical = [&](const std::string& attributes, UpdateContext context) {
        const Update update = decoder.decode(update_body("", attributes, "08 0a"), context);
        CHECK(update.verdict <= Verdict::discard_attribute);
        return test::to_hex(update.attributes);
    };
    const UpdateContext external{kBoth, true, false};
    const UpdateContext internal{kBoth, true, true};
    const std::string all = kOrigin + kAsPath + kNextHop;
    const std::string plain = canonical(all, external);

    // order, needless extended length
    CHECK(canonical(kNextHop + kAsPath + kOrigin, external) == plain);
    CHECK(canonical("50 01 0001 00" + kAsPath + kNextHop, external) == plain);
    // the first of two
    CHECK(canonical(all + kOrigin, external) == plain);
    // LOCAL_PREF counts inside only
    CHECK(canonical(all + "40 05 04 00000064", external) == plain);
    CHECK(canonical(all + "40 05 04 00000064", internal) == plain + "40050400000064");
    // large communities count once (RFC 8092 section 3)
    const std::string one = "00000001 00000002 00000003";
    const std::string two = "00000001 00000002 00000004";
    CHECK(canonical(all + "c0 20 18" + one + two, external) == plain + test::to_hex(test::hex("c02018" + one + two)));
    CHECK(canonical(all + "c0 20 30" + two + one + two + one, external) ==
          plain + test::to_hex(test::hex("c02018" + two + one)));
    CHECK(canonical(all + "c0 20 24" + one + one + one, external) == plain + test::to_hex(test::hex("c0200c" + one)));
    // unknown: transitive ones are kept with the partial bit, others go
    CHECK(canonical(all + "c0 63 01 07", external) == plain + "e0630107");
    CHECK(canonical(all + "80 63 01 07", external) == plain);
    // the partial bit of a known optional transitive attribute stays, elsewhere it means nothing
    CHECK(canonical(all + "e0 08 04 00010002", external) == plain + "e0080400010002");
    CHECK(canonical("60 01 01 00" + kAsPath + kNextHop, external) == plain);
    // both AS sizes give one form
    const UpdateContext narrow{kBoth, false, false};
    CHECK(canonical(kOrigin + kAsPath2 + kNextHop, narrow) == plain);
    CHECK(canonical(kOrigin + "40 02 06 02 02 fc01 5ba0" + kNextHop + "c0 11 06 02 01 fa56ea01", narrow) ==
          "40010100"
          "40020a02020000fc01fa56ea01");
    // confederation segments have no place in AS4_PATH and are left out of it (RFC 6793 section 6)
    CHECK(
        canonical(kOrigin + "40 02 06 02 02 fc01 5ba0" + kNextHop + "c0 11 0c 03 01 0000fde9 02 01 fa56ea01", narrow) ==
        "40010100"
        "40020a02020000fc01fa56ea01");
    CHECK(canonical(kOrigin + kAsPath2 + kNextHop + "c0 11 06 03 01 0000fde9", narrow) == plain);
    CHECK(canonical(kOrigin + kAsPath2 + kNextHop + "c0 07 06 fc01 c0000201", narrow) ==
          plain + "c007080000fc01c0000201");
    CHECK(canonical(kOrigin + kAsPath2 + kNextHop + "c0 07 06 5ba0 c0000201 c0 12 08 fa56ea01 c0000202", narrow) ==
          plain + "c00708fa56ea01c0000202");
    // an AGGREGATOR with a real number shows that AS4_* are stale
    CHECK(canonical(kOrigin + "40 02 04 02 01 5ba0" + kNextHop +
                        "c0 07 06 fc01 c0000201 c0 11 06 02 01 fa56ea01 c0 12 08 fa56ea01 c0000202",
                    narrow) ==
          "40010100"
          "400206020100005ba0"
          "c007080000fc01c0000201");
}

TEST_CASE("numbers of two octets that would need more room than there is as four make a withdrawal") {
    UpdateDecoder decoder;
    const auto announced = [&](std::size_t segments, std::size_t communities) {
        Bytes path;
        for (std::size_t i = 0; i < segments; ++i) {
            const Bytes segment = hex("02 ff" + [] {
                std::string numbers;
                for (int n = 0; n < 255; ++n) {
                    numbers += "fc01";
                }
                return numbers;
            }());
            path.insert(path.end(), segment.begin(), segment.end());
        }
        Bytes body = hex("0000 0000" + kOrigin + kNextHop);
        encode_attribute(attribute_flag::kTransitive, attribute_type::kAsPath, path, body);
        encode_attribute(0xc0, attribute_type::kCommunities, Bytes(4 * communities, 1), body);
        ByteWriter(body).patch_u16(2, static_cast<std::uint16_t>(body.size() - 4));
        const Bytes nlri = hex("08 0a");
        body.insert(body.end(), nlri.begin(), nlri.end());
        return decode(decoder, body, {kBoth, false, false});
    };
    CHECK(announced(63, 1).announced.size() == 1);
    for (const auto& [segments, communities] :
         {std::pair{64U, 1U}, std::pair{68U, 1U}, std::pair{127U, 1U}, std::pair{60U, 1500U}}) {
        const Outcome outcome = announced(segments, communities);
        CHECK(outcome.update.verdict == Verdict::treat_as_withdraw);
        CHECK(outcome.update.attributes.empty());
        CHECK(outcome.withdrawn == Texts{"10.0.0.0/8"});
    }
}

TEST_CASE("every truncation and every changed octet of an UPDATE gives a verdict") {
    UpdateDecoder decoder;
    const std::string six = "90 0e 001a 0002 01 10 20010db8000000000000000000000001 00 20 20010db8";
    const Bytes body = update_body("08 0b 10 0c0d",
                                   six + kOrigin + kAsPath + kNextHop + "80 04 04 00000001 c0 07 08 0000fc01 c0000201" +
                                       "c0 08 08 00010001 00010002 c0 20 0c 000000010000000200000003 e0 63 02 0102",
                                   "18 c63364 20 cb007101");
    REQUIRE(decoder.decode(body, {kBoth, true, false}).verdict == Verdict::ok);
    std::size_t prefixes = 0;
    const auto count = [&](const Update& update) {
        if (update.verdict != Verdict::reset) {
            update.each_withdrawn([&](const net::Prefix&) { ++prefixes; });
            update.each_announced([&](const net::Prefix&, const NextHop&) { ++prefixes; });
            CHECK(static_cast<std::size_t>(attribute_facts(update.attributes).as_path_length) < 100);
        }
    };
    for (std::size_t length = 0; length < body.size(); ++length) {
        const Bytes exact(body.begin(), body.begin() + static_cast<std::ptrdiff_t>(length));
        count(decoder.decode(exact, {kBoth, true, false}));
        count(decoder.decode(exact, {kBoth, false, true}));
    }
    for (std::size_t at = 0; at < body.size(); ++at) {
        for (unsigned value = 0; value < 256; ++value) {
            Bytes changed = body;
            changed[at] = static_cast<std::uint8_t>(value);
            count(decoder.decode(changed, {kBoth, true, false}));
        }
    }
    CHECK(prefixes > 0);
}
