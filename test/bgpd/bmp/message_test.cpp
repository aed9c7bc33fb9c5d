#include "bgpd/bmp/message.hpp"

#include <catch2/catch.hpp>

#include "bgpd/bmp/report.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/update_writer.hpp"
#include "test/bgpd/hex.hpp"

using namespace manul;
using namespace manul::bgp;
using namespace manul::bgp::bmp;
using test::to_hex;

namespace {

const PeerHeader kPeer{.type = PeerType::global,
                       .flags = 0,
                       .address = net::Ip::parse("192.0.2.1"),
                       .as = 65001,
                       .router_id = 0x0a000001,
                       .time = {0x01020304, 0x05060708}};

std::string plain(std::string_view text) { return to_hex(test::hex(text)); }

/// Header of a message about kPeer.
std::string head(const std::string& length, const std::string& type, const std::string& flags) {
    return plain("03" + length + type + "00" + flags +
                 "0000000000000000 000000000000000000000000c0000201 0000fde9 0a000001 01020304 05060708");
}

}  // namespace

TEST_CASE("what stands in front of every message about a peer is RFC 7854 section 4.2's") {
    Bytes out;
    encode_route_monitoring(kPeer, test::hex("aabb"), out);
    CHECK(to_hex(out) == head("00000032", "00", "00") + "aabb");

    out.clear();
    PeerHeader six = kPeer;
    six.address = net::Ip::parse("2001:db8::1");
    six.flags = peer_flag::kPostPolicy | peer_flag::kTwoOctetAs;
    encode_route_monitoring(six, {}, out);
    CHECK(to_hex(out) ==
          plain("03 00000030 00 00 e0 0000000000000000 20010db8000000000000000000000001 0000fde9 0a000001 "
                "01020304 05060708"));

    out.clear();
    PeerHeader own = kPeer;
    own.type = PeerType::loc_rib;
    own.address.reset();
    encode_route_monitoring(own, {}, out);
    CHECK(to_hex(out) ==
          plain("03 00000030 00 03 00 0000000000000000 00000000000000000000000000000000 0000fde9 0a000001 "
                "01020304 05060708"));
}

TEST_CASE("greeting and goodbye") {
    Bytes out;
    encode_initiation("node-1", "manul", out);
    CHECK(to_hex(out) == plain("03 00000019 04 0001 0005 6d616e756c 0002 0006 6e6f64652d31"));
    out.clear();
    encode_termination("", out);
    CHECK(to_hex(out) == plain("03 0000000c 05 0001 0002 0000"));
    out.clear();
    encode_termination("bye", out);
    CHECK(to_hex(out) == plain("03 00000013 05 0001 0002 0000 0000 0003 627965"));
}

TEST_CASE("a session that comes up is told with both OPENs") {
    Bytes out;
    encode_peer_up(kPeer, *net::Ip::parse("192.0.2.2"), 179, 40000, test::hex("0102"), test::hex("030405"), out);
    CHECK(to_hex(out) ==
          head("00000049", "03", "00") + plain("000000000000000000000000c0000202 00b3 9c40 0102 030405"));
}

TEST_CASE("why a session went down is one of RFC 7854's reasons, with the data that it asks for") {
    using Cause = fsm::SessionEnd::Cause;
    const wire::Notification hold{wire::ErrorCode::hold_timer_expired, 0, {}};
    const std::string message = plain("ffffffffffffffffffffffffffffffff 0015 03 04 00");
    struct Row {
        const char* what;
        fsm::SessionEnd end;
        bool deconfigured;
        DownReason reason;
        std::string data;
    };
    const std::vector<Row> rows = {
        {"our error", {Cause::hold_timer_expired, hold, false, {}}, false, DownReason::local_notification, message},
        {"the peer's error",
         {Cause::notification_received, hold, true, {}},
         false,
         DownReason::remote_notification,
         message},
        {"stopped without a word", {Cause::stopped, {}, true, {}}, false, DownReason::local_no_notification, "0002"},
        {"the connection broke",
         {Cause::connection_lost, {}, true, "reset"},
         false,
         DownReason::remote_no_notification,
         ""},
        {"the peer connected anew", {Cause::replaced, {}, true, {}}, false, DownReason::local_no_notification, "0011"},
        {"no longer configured", {Cause::stopped, hold, false, {}}, true, DownReason::deconfigured, ""},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Bytes data;
        CHECK(down_reason({{net::Ip::parse("192.0.2.1"), *net::Asn::make(65001), 1}, row.end, row.deconfigured},
                          data) == row.reason);
        CHECK(to_hex(data) == row.data);
    }
    Bytes out;
    encode_peer_down(kPeer, DownReason::local_no_notification, test::hex("0002"), out);
    CHECK(to_hex(out) == head("00000033", "02", "00") + "020002");
}

TEST_CASE("statistics are type, length and value; those of a family name it") {
    Bytes out;
    const Statistics all[] = {{Statistic::adj_rib_in, {}, 0x0102030405ULL},
                              {Statistic::adj_rib_in_of_family, net::Family::v6, 7},
                              {Statistic::updates_as_withdraw, {}, 3}};
    encode_statistics(kPeer, all, out);
    CHECK(to_hex(out) == head("00000057", "01", "00") + plain("00000003"
                                                              "0007 0008 0000000102030405"
                                                              "0009 000b 0002 01 0000000000000007"
                                                              "000b 0004 00000003"));
}

TEST_CASE("each UPDATE is a message of its own, marked with the table that it speaks of") {
    Bytes updates;
    wire::UpdateWriter writer(updates, {});
    writer.end_of_rib(net::Family::v4);
    writer.end_of_rib(net::Family::v6);
    const speaker::MonitoredPeer peer{net::Ip::parse("192.0.2.1"), *net::Asn::make(65001), 0x0a000001};
    struct Row {
        speaker::MonitoredTable table;
        bool narrow;
        const char* flags;
    };
    using enum speaker::MonitoredTable;
    for (const Row& row :
         {Row{received, false, "00"}, Row{accepted, false, "40"}, Row{sent, false, "50"}, Row{sent, true, "70"}}) {
        Bytes out;
        const speaker::MonitorEvent event = speaker::MonitoredRoutes{row.table, peer, row.narrow, updates};
        append_events({&event, 1}, kPeer.time, out);
        CHECK(to_hex(out) == head("00000047", "00", row.flags) + to_hex(ByteView(updates).first(23)) +
                                 head("0000004e", "00", row.flags) + to_hex(ByteView(updates).subspan(23)));
    }
}
