#include "bgpd/wire/framer.hpp"

#include <catch2/catch.hpp>

#include "bgpd/wire/route_refresh.hpp"
#include "test/bgpd/hex.hpp"
#include "test/bgpd/wire/builders.hpp"

using namespace manul;
using namespace manul::bgp::wire;
using test::hex;

namespace {

Bytes header(std::uint16_t length, std::uint8_t type) {
    Bytes bytes(kMarkerSize, 0xff);
    ByteWriter writer(bytes);
    writer.u16(length);
    writer.u8(type);
    return bytes;
}

}  // namespace

TEST_CASE("the framer cuts a stream into messages and leaves a partial one") {
    Bytes stream;
    encode_keepalive(stream);
    encode_route_refresh(net::Family::v6, RouteRefresh::Kind::request, stream);
    encode_keepalive(stream);
    stream.resize(stream.size() - 1);

    Framer framer(stream);
    auto first = framer.next();
    REQUIRE(first.has_value());
    REQUIRE((*first)->type == MessageType::keepalive);
    CHECK((*first)->body().empty());
    auto second = framer.next();
    REQUIRE(second.has_value());
    REQUIRE((*second)->type == MessageType::route_refresh);
    CHECK(test::to_hex((*second)->body()) == "00020001");
    CHECK_FALSE(*framer.next());
    CHECK(framer.consumed() == 19 + 23);
}

TEST_CASE("every way to cut a stream into two reads gives the same messages") {
    Bytes stream;
    encode_keepalive(stream);
    const Bytes update = test::message(MessageType::update, test::update_body("", "", ""));
    stream.insert(stream.end(), update.begin(), update.end());
    for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
        Framer early(ByteView(stream).first(cut));
        std::size_t count = 0;
        for (auto frame = early.next(); *frame; frame = early.next()) {
            ++count;
        }
        Framer late(ByteView(stream).subspan(early.consumed()));
        for (auto frame = late.next(); *frame; frame = late.next()) {
            ++count;
        }
        CAPTURE(cut);
        CHECK(count == 2);
        CHECK(early.consumed() + late.consumed() == stream.size());
    }
}

TEST_CASE("header errors are found before the body arrives") {
    struct Row {
        const char* name;
        Bytes bytes;
        std::size_t max_message;
        std::uint8_t subcode;
        Bytes data;
    };
    Bytes wrong_marker(5, 0xff);
    wrong_marker.back() = 0xfe;
    const auto row = GENERATE_COPY(values<Row>({
        {"marker", wrong_marker, kMaxMessage, 1, {}},
        {"length below the header", header(18, 4), kMaxMessage, 2, {0, 18}},
        {"length zero", header(0, 2), kMaxMessage, 2, {0, 0}},
        {"beyond 4096", header(4097, 2), kMaxMessage, 2, {0x10, 0x01}},
        {"OPEN too short", header(28, 1), kMaxMessage, 2, {0, 28}},
        {"UPDATE too short", header(22, 2), kMaxMessage, 2, {0, 22}},
        {"NOTIFICATION too short", header(20, 3), kMaxMessage, 2, {0, 20}},
        {"KEEPALIVE too long", header(20, 4), kMaxMessage, 2, {0, 20}},
        {"ROUTE-REFRESH too short", header(21, 5), kMaxMessage, 2, {0, 21}},
        {"OPEN beyond 4096 in spite of extended messages", header(4097, 1), kMaxExtendedMessage, 2, {0x10, 0x01}},
        {"type 0", header(30, 0), kMaxMessage, 3, {0}},
        {"type 6", header(30, 6), kMaxMessage, 3, {6}},
    }));
    CAPTURE(row.name);
    Framer framer(row.bytes, row.max_message);
    const auto result = framer.next();
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().notification() == Notification{ErrorCode::header, row.subcode, row.data});
    CHECK(framer.consumed() == 0);
}

TEST_CASE("an extended UPDATE waits for its body when extended messages were announced") {
    const Bytes bytes = header(65535, 2);
    CHECK_FALSE(*Framer(bytes, kMaxExtendedMessage).next());
}

TEST_CASE("ROUTE-REFRESH round trip, and its length rules") {
    Bytes out;
    encode_route_refresh(net::Family::v4, RouteRefresh::Kind::end, out);
    CHECK(decode_route_refresh(out, true) == RouteRefresh{AfiSafi::of(net::Family::v4), 2});
    CHECK(decode_route_refresh(out, false) == RouteRefresh{AfiSafi::of(net::Family::v4), 0});  // a reserved octet

    Bytes with_filters = test::message(MessageType::route_refresh, hex("0001 00 01 01 80 0000"));
    CHECK(decode_route_refresh(with_filters, true)->family == AfiSafi::of(net::Family::v4));
    with_filters[21] = 1;  // a begin mark cannot carry filters
    const auto wrong = decode_route_refresh(with_filters, true);
    REQUIRE_FALSE(wrong.has_value());
    CHECK(wrong.error() == Notification{ErrorCode::route_refresh, 1, with_filters});
}

TEST_CASE("a ROUTE-REFRESH without its last octet: a mark has an error of its own, a request the header's") {
    const auto answer = [](const Bytes& message) {
        Framer framer(message);
        return decode_route_refresh((*framer.next())->message, true).error();
    };
    for (const char* mark : {"0001 01", "0001 02"}) {
        const Bytes message = test::message(MessageType::route_refresh, hex(mark));
        CHECK(answer(message) == Notification{ErrorCode::route_refresh, 1, message});
    }
    for (const char* other : {"0001 00", "0001 03"}) {
        const Bytes message = test::message(MessageType::route_refresh, hex(other));
        CHECK(answer(message) == Notification{ErrorCode::header, 2, {0, 22}});
    }
}
