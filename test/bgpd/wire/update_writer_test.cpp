#include "bgpd/wire/update_writer.hpp"

#include <catch2/catch.hpp>
#include <random>
#include <vector>

#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/path_attributes.hpp"
#include "bgpd/wire/update.hpp"
#include "test/bgpd/hex.hpp"
#include "test/bgpd/wire/builders.hpp"

using namespace manul;
using namespace manul::bgp::wire;
using test::hex;

namespace {

constexpr FamilySet kBoth = {net::Family::v4, net::Family::v6};
const NextHop kVia4{*net::Ip::parse("192.0.2.1"), std::nullopt};
const NextHop kVia6{*net::Ip::parse("2001:db8::1"), net::Ip6::parse("fe80::1")};

Bytes canonical(std::uint32_t as = 64513) {
    PathAttributes attributes;
    attributes.prepend(*net::Asn::make(as));
    attributes.add(Community{0xfde80064});
    attributes.aggregator = Aggregator{as, net::Ip4(192, 0, 2, 9)};
    attributes.others = {{0xe0, 99, hex("01")}};
    Bytes bytes;
    encode_attributes(attributes, bytes);
    return bytes;
}

std::vector<net::Prefix> prefixes4(std::size_t count) {
    std::vector<net::Prefix> result;
    for (std::size_t i = 0; i < count; ++i) {
        result.push_back(*net::Prefix::masked(net::Ip4(0x0a000000U + (static_cast<std::uint32_t>(i) << 8U)), 24));
    }
    return result;
}

std::vector<net::Prefix> prefixes6(std::size_t count) {
    std::vector<net::Prefix> result;
    for (std::size_t i = 0; i < count; ++i) {
        std::array<std::uint8_t, 16> bytes{
            0x20, 0x01, 0x0d, 0xb8, static_cast<std::uint8_t>(i >> 8U), static_cast<std::uint8_t>(i)};
        result.push_back(*net::Prefix::masked(net::Ip6(bytes), 48));
    }
    return result;
}

struct ReadBack {
    std::size_t messages = 0;
    std::size_t longest = 0;
    std::vector<net::Prefix> announced;
    std::vector<net::Prefix> withdrawn;
    std::vector<Bytes> attributes;
    std::vector<NextHop> next_hops;
    std::vector<net::Family> end_of_rib;
};

ReadBack read_back(const Bytes& stream, const WriteContext& context) {
    ReadBack result;
    UpdateDecoder decoder;
    Framer framer(stream, context.max_message);
    for (auto frame = framer.next(); frame && *frame; frame = framer.next()) {
        ++result.messages;
        result.longest = std::max(result.longest, (*frame)->message.size());
        const Update update = decoder.decode((*frame)->body(), {kBoth, context.four_octet_as, false});
        REQUIRE(update.verdict == Verdict::ok);
        update.each_withdrawn([&](const net::Prefix& p) { result.withdrawn.push_back(p); });
        update.each_announced([&](const net::Prefix& p, const NextHop& via) {
            result.announced.push_back(p);
            result.next_hops.push_back(via);
        });
        result.attributes.emplace_back(update.attributes.begin(), update.attributes.end());
        if (update.end_of_rib) {
            result.end_of_rib.push_back(*update.end_of_rib);
        }
    }
    CHECK(framer.consumed() == stream.size());
    return result;
}

}  // namespace

TEST_CASE("an IPv4 UPDATE as it stands on the wire") {
    Bytes out;
    const Bytes attributes = hex("40010100 40020602010000fc01 80040400000007");
    REQUIRE(encode_announcement(out, {}, kVia4, attributes, prefixes4(1)));
    CHECK(test::to_hex(ByteView(out).subspan(kHeaderSize)) ==
          "0000"
          "001b"
          "40010100"
          "40020602010000fc01"
          "400304c0000201"
          "80040400000007"
          "180a0000");
}

TEST_CASE("an IPv6 UPDATE has MP_REACH_NLRI first") {
    Bytes out;
    const Bytes attributes = hex("40010100 40020602010000fc01");
    REQUIRE(encode_announcement(out, {}, kVia6, attributes, prefixes6(1)));
    CHECK(test::to_hex(ByteView(out).subspan(kHeaderSize)) ==
          "0000"
          "003d"
          "900e002c"
          "000201"
          "20"
          "20010db8000000000000000000000001"
          "fe800000000000000000000000000001"
          "00"
          "3020010db80000"
          "40010100"
          "40020602010000fc01");
}

TEST_CASE("what is written is read back, split at the message limit") {
    struct Row {
        const char* name;
        bool six;
        bool four_octet_as;
        std::size_t max_message;
        std::uint32_t as;
    };
    const auto row = GENERATE(values<Row>({
        {"IPv4", false, true, kMaxMessage, 64513},
        {"IPv4, extended messages", false, true, kMaxExtendedMessage, 64513},
        {"IPv4, 2-octet peer", false, false, kMaxMessage, 64513},
        {"IPv4, 2-octet peer, 4-octet AS", false, false, kMaxMessage, 4200000001},
        {"IPv6", true, true, kMaxMessage, 4200000001},
        {"IPv6, extended messages", true, true, kMaxExtendedMessage, 64513},
        {"IPv6, 2-octet peer, 4-octet AS", true, false, kMaxMessage, 4200000001},
    }));
    CAPTURE(row.name);
    const WriteContext context{row.four_octet_as, row.max_message};
    const auto prefixes = row.six ? prefixes6(20000) : prefixes4(20000);
    const NextHop& via = row.six ? kVia6 : kVia4;
    const Bytes attributes = canonical(row.as);

    Bytes out;
    REQUIRE(encode_announcement(out, context, via, attributes, prefixes));
    const ReadBack announced = read_back(out, context);
    CHECK(announced.announced == prefixes);
    CHECK(announced.longest <= row.max_message);
    CHECK(announced.longest > row.max_message - 8);
    CHECK(announced.attributes == std::vector<Bytes>(announced.messages, attributes));
    CHECK(announced.next_hops == std::vector<NextHop>(prefixes.size(), via));

    out.clear();
    encode_withdrawal(out, context, prefixes);
    const ReadBack withdrawn = read_back(out, context);
    CHECK(withdrawn.withdrawn == prefixes);
    CHECK(withdrawn.longest <= row.max_message);
    CHECK(withdrawn.end_of_rib.empty());
}

TEST_CASE("prefixes that are added together are the messages that they are one by one") {
    const auto six = GENERATE(false, true);
    const auto prefixes = six ? prefixes6(5000) : prefixes4(5000);
    const Bytes attributes = canonical();
    for (const bool withdraw : {false, true}) {
        Bytes expected;
        if (withdraw) {
            encode_withdrawal(expected, {}, prefixes);
        } else {
            REQUIRE(encode_announcement(expected, {}, six ? kVia6 : kVia4, attributes, prefixes));
        }
        Bytes out;
        UpdateWriter writer(out, {});
        const net::Family family = six ? net::Family::v6 : net::Family::v4;
        withdraw ? writer.withdraw(family) : writer.announce(family, six ? kVia6 : kVia4, attributes);
        constexpr std::size_t kTogether = 40;
        std::size_t refused = 0;
        for (std::size_t at = 0; at < prefixes.size(); at += kTogether) {
            const std::span some(prefixes.data() + at, kTogether);
            Bytes encoded;
            for (const net::Prefix& prefix : some) {
                encode_prefix(prefix, encoded);
            }
            if (!writer.add_together(encoded)) {
                ++refused;
                for (const net::Prefix& prefix : some) {
                    CHECK(writer.add(prefix));
                }
            }
        }
        writer.finish();
        CHECK(out == expected);
        CHECK(refused > 3);
    }
}

TEST_CASE("attributes that fill a message leave nothing behind") {
    PathAttributes large;
    large.others = {{0xe0, 99, Bytes(4096, 1)}};
    Bytes attributes;
    encode_attributes(large, attributes);
    for (const auto& [prefixes, via] : {std::pair(prefixes4(2), kVia4), std::pair(prefixes6(2), kVia6)}) {
        Bytes out = hex("0102");
        CHECK_FALSE(encode_announcement(out, {}, via, attributes, prefixes));
        CHECK(test::to_hex(out) == "0102");
        CHECK(encode_announcement(out, {true, kMaxExtendedMessage}, via, attributes, prefixes));
    }
}

TEST_CASE("runs of one writer follow each other, End-of-RIB among them") {
    Bytes out;
    const Bytes attributes = canonical();
    UpdateWriter writer(out, {});
    writer.withdraw(net::Family::v6);
    REQUIRE(writer.add(prefixes6(1).front()));
    writer.finish();
    writer.announce(net::Family::v4, kVia4, attributes);
    REQUIRE(writer.add(prefixes4(1).front()));
    writer.finish();
    writer.announce(net::Family::v4, kVia4, attributes);
    writer.finish();  // nothing added, nothing written
    writer.end_of_rib(net::Family::v4);
    writer.end_of_rib(net::Family::v6);
    const ReadBack all = read_back(out, {});
    CHECK(all.messages == 4);
    CHECK(all.withdrawn.size() == 1);
    CHECK(all.announced.size() == 1);
    CHECK(all.end_of_rib == std::vector{net::Family::v4, net::Family::v6});
}

TEST_CASE("random attribute sets survive the wire for both kinds of peers") {
    std::mt19937 random(4711);
    const auto roll = [&](std::uint32_t sides) { return static_cast<std::uint32_t>(random() % sides); };
    for (int round = 0; round < 300; ++round) {
        PathAttributes attributes;
        attributes.origin = static_cast<Origin>(roll(3));
        for (std::uint32_t i = roll(6); i > 0; --i) {
            attributes.prepend(*net::Asn::make(1 + (roll(2) == 0 ? roll(65535) : random() % 4200000000U)), 1 + roll(3));
        }
        if (roll(2) == 0) {
            attributes.med = static_cast<std::uint32_t>(random());
        }
        if (roll(3) == 0) {
            attributes.aggregator =
                Aggregator{1 + static_cast<std::uint32_t>(random() % 4200000000U), net::Ip4(roll(1U << 31U))};
        }
        for (std::uint32_t i = roll(90); i > 0; --i) {
            attributes.add(Community{static_cast<std::uint32_t>(random())});
        }
        if (roll(4) == 0) {
            attributes.others.push_back({0xe0, 99, Bytes(roll(600), 3)});
        }
        Bytes bytes;
        encode_attributes(attributes, bytes);
        CHECK(decode_attributes(bytes) == attributes);
        for (const bool four_octet_as : {true, false}) {
            const WriteContext context{four_octet_as, kMaxMessage};
            Bytes out;
            REQUIRE(encode_announcement(out, context, kVia4, bytes, prefixes4(1)));
            CHECK(read_back(out, context).attributes == std::vector<Bytes>{bytes});
        }
    }
}
