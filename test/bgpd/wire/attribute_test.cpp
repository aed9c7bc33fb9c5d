#include "bgpd/wire/attribute.hpp"

#include <catch2/catch.hpp>

#include "bgpd/wire/as_path.hpp"
#include "bgpd/wire/community.hpp"
#include "bgpd/wire/nlri.hpp"
#include "bgpd/wire/path_attributes.hpp"
#include "test/bgpd/hex.hpp"

using namespace manul;
using namespace manul::bgp::wire;
using test::hex;

namespace {

net::Asn as(std::uint32_t number) { return *net::Asn::make(number); }

std::string widened(std::string_view path2, std::string_view path4) {
    Bytes out;
    widen_as_path(hex(path2), hex(path4), out);
    return AsPathView(out).to_string();
}

}  // namespace

TEST_CASE("what the decision process asks of a path") {
    struct Row {
        const char* bytes;
        const char* text;
        std::uint32_t length;
        std::uint32_t first;  // 0 = none
        bool has_set;
    };
    const auto row = GENERATE(values<Row>({
        {"", "", 0, 0, false},
        {"0202 00000001 fffffffe", "1 4294967294", 2, 1, false},
        {"0201 00000007 0103 00000001 00000002 00000003", "7 {1 2 3}", 2, 7, true},
        {"0101 00000005 0201 00000006", "{5} 6", 2, 0, true},
    }));
    const Bytes bytes = hex(row.bytes);
    const AsPathView path(bytes);
    CHECK(path.to_string() == row.text);
    CHECK(path.length() == row.length);
    CHECK(path.first() == net::Asn::make(row.first));
    CHECK(path.has_set() == row.has_set);
}

TEST_CASE("the loop check counts an AS in sequences and sets") {
    const Bytes bytes = hex("0203 00000007 00000008 00000007 0101 00000007");
    CHECK(AsPathView(bytes).count(as(7)) == 3);
    CHECK(AsPathView(bytes).count(as(9)) == 0);
}

TEST_CASE("prepending extends the leading sequence and never overfills a segment") {
    Bytes out;
    SECTION("empty path") {
        prepend_as(AsPathView(), as(5), 2, out);
        CHECK(test::to_hex(out) == "02020000000500000005");
    }
    SECTION("sequence") {
        const Bytes path = hex("0201 00000007");
        prepend_as(AsPathView(path), as(5), 1, out);
        CHECK(test::to_hex(out) == "02020000000500000007");
    }
    SECTION("set") {
        const Bytes path = hex("0101 00000007");
        prepend_as(AsPathView(path), as(5), 1, out);
        CHECK(AsPathView(out).to_string() == "5 {7}");
    }
    SECTION("full segment") {
        Bytes path;
        prepend_as(AsPathView(), as(7), 254, path);
        prepend_as(AsPathView(path), as(5), 3, out);
        CHECK(valid_as_path(out, 4));
        CHECK(AsPathView(out).length() == 257);
        CHECK(AsPathView(out).count(as(5)) == 3);
        CHECK(out[1] == 2);
        CHECK(AsPathView(out).first() == as(5));
    }
    SECTION("hundreds") {
        prepend_as(AsPathView(), as(5), 600, out);
        CHECK(valid_as_path(out, 4));
        CHECK(AsPathView(out).length() == 600);
    }
}

TEST_CASE("AS4_PATH fills in the numbers that did not fit (RFC 6793 section 4.2.3)") {
    // AS_TRANS is 5ba0. The path is 100 - 4200000001 - 200.
    CHECK(widened("0203 0064 5ba0 00c8", "0203 00000064 fa56ea01 000000c8") == "100 4200000001 200");
    // An old speaker prepended 300 and did not know AS4_PATH: the leading number comes from AS_PATH.
    CHECK(widened("0204 012c 0064 5ba0 00c8", "0203 00000064 fa56ea01 000000c8") == "300 100 4200000001 200");
    // Longer AS4_PATH than AS_PATH: an old speaker aggregated, AS4_PATH is of no use.
    CHECK(widened("0202 0064 00c8", "0203 00000064 fa56ea01 000000c8") == "100 200");
    CHECK(widened("0202 0064 00c8", "") == "100 200");
    CHECK(widened("0201 012c 0102 0064 5ba0", "0102 00000064 fa56ea01") == "300 {100 4200000001}");
    CHECK(widened("0102 0001 0002 0201 5ba0", "0201 fa56ea01") == "{1 2} 4200000001");
}

TEST_CASE("a merged path is byte for byte what a 4-octet peer would have sent") {
    Bytes out;
    widen_as_path(hex("0204 012c 0064 5ba0 00c8"), hex("0203 00000064 fa56ea01 000000c8"), out);
    CHECK(test::to_hex(out) == "02040000012c00000064fa56ea01000000c8");
}

TEST_CASE("narrowing says when numbers are lost") {
    Bytes out;
    CHECK_FALSE(narrow_as_path(AsPathView(hex("0201 0000fc00")), out));
    CHECK(test::to_hex(out) == "0201fc00");
    out.clear();
    const Bytes wide = hex("0201 fa56ea01");
    CHECK(narrow_as_path(AsPathView(wide), out));
    CHECK(test::to_hex(out) == "02015ba0");
}

TEST_CASE("communities are read and written as people write them") {
    CHECK(Community::parse("65000:100") == Community{0xfde80064});
    CHECK(Community{0xfde80064}.to_string() == "65000:100");
    CHECK(kNoExport.to_string() == "no-export");
    for (const char* wrong : {"", "65536:1", "1:65536", "1", "1:", ":1", "1:2:3", "1:2 ", "-1:2", "a:b"}) {
        CHECK_FALSE(Community::parse(wrong));
    }
    CHECK(LargeCommunity::parse("4294967295:2:3") == LargeCommunity{4294967295, 2, 3});
    CHECK(LargeCommunity{1, 2, 3}.to_string() == "1:2:3");
    for (const char* wrong : {"1:2", "1:2:3:4", "4294967296:1:1", "1::3"}) {
        CHECK_FALSE(LargeCommunity::parse(wrong));
    }
    CHECK(ExtendedCommunity{0x0002fc0000000007}.to_string() == "rt:64512:7");
    CHECK(ExtendedCommunity{0x0103c00002010007}.to_string() == "ro:192.0.2.1:7");
    CHECK(ExtendedCommunity{0x0202fa56ea010007}.to_string() == "rt:4200000001:7");
    CHECK(ExtendedCommunity{0x4004000000000001}.to_string() == "0x4004000000000001");
    CHECK(contains_community(hex("fde80064 ffffff01"), kNoExport));
    CHECK_FALSE(contains_community(hex("fde80064"), kNoExport));
    CHECK(contains_community(hex("000000010000000200000003"), LargeCommunity{1, 2, 3}));
}

TEST_CASE("nothing is added to an attribute that has no room for it") {
    PathAttributes attributes;
    attributes.prepend(as(65001), 16'000);
    for (std::uint32_t n = 0; n < 20'000; ++n) {
        attributes.add(Community{n});
        attributes.add(LargeCommunity{1, 2, n});
    }
    attributes.prepend(as(65002), 1000);
    CHECK(attributes.path().numbers().size() == 16'000);
    Bytes canonical;
    encode_attributes(attributes, canonical);
    CHECK(decode_attributes(canonical) == attributes);
    CHECK(attribute_facts(canonical).communities.size() == 65'000);
}

TEST_CASE("path attributes survive encoding and decoding, in canonical order") {
    PathAttributes attributes;
    attributes.origin = Origin::egp;
    attributes.prepend(as(4200000001), 2);
    attributes.med = 7;
    attributes.local_pref = 200;
    attributes.atomic_aggregate = true;
    attributes.aggregator = Aggregator{64512, net::Ip4(192, 0, 2, 9)};
    attributes.add(kNoExport);
    attributes.add(kNoExport);
    attributes.originator_id = 0x0a000001;
    attributes.cluster_list = {1, 2};
    attributes.extended_communities = {{0x0002fc0000000007}};
    attributes.add(LargeCommunity{1, 2, 3});
    attributes.others = {{0xe0, 20, hex("0102")}, {0xe0, 99, Bytes(300, 1)}};

    Bytes bytes;
    encode_attributes(attributes, bytes);
    CHECK(attributes.communities.size() == 1);
    CHECK(decode_attributes(bytes) == attributes);
    std::uint8_t last = 0;
    for (const Attribute& attribute : AttributeRange(bytes)) {
        CHECK(attribute.type > last);
        last = attribute.type;
    }
    CHECK(last == 99);
    CHECK(AttributeRange(bytes).find(99)->size() == 300);
    CHECK_FALSE(AttributeRange(bytes).find(30));

    const AttributeFacts facts = attribute_facts(bytes);
    CHECK(facts.origin == Origin::egp);
    CHECK(facts.as_path_length == 2);
    CHECK(facts.neighbour_as == 4200000001);
    CHECK(facts.med == 7);
    CHECK(facts.local_pref == 200);
    CHECK(facts.originator_id == 0x0a000001);
    CHECK(facts.cluster_list.size() == 8);
    CHECK(facts.no_export);
    CHECK_FALSE(facts.no_advertise);
}

TEST_CASE("an attribute with the partial bit keeps it") {
    const Bytes canonical = hex("40 01 01 00 40 02 00 e0 08 04 fde80064");
    Bytes again;
    encode_attributes(decode_attributes(canonical), again);
    CHECK(test::to_hex(again) == test::to_hex(canonical));
}

TEST_CASE("prefixes with impossible lengths or missing octets are refused") {
    NlriView view;
    const Bytes good = hex("00 08 0a 20 c0000201");
    CHECK(NlriView::check(good, net::Family::v4, view));
    CHECK(view.size() == 3);
    std::vector<std::string> texts;
    for (const net::Prefix prefix : view) {
        texts.push_back(prefix.to_string());
    }
    CHECK(texts == std::vector<std::string>{"0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32"});
    CHECK_FALSE(NlriView::check(hex("21 c000020100"), net::Family::v4, view));
    CHECK_FALSE(NlriView::check(hex("18 c000"), net::Family::v4, view));
    CHECK_FALSE(NlriView::check(hex("81"), net::Family::v6, view));
    const Bytes host_bits = hex("0c ffff");
    CHECK(NlriView::check(host_bits, net::Family::v4, view));
    CHECK((*view.begin()).to_string() == "255.240.0.0/12");  // host bits are cleared
}
