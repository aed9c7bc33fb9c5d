#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <vector>

#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/message.hpp"

using namespace manul;
using namespace manul::netlink;

namespace {

net::Ip ip(std::string_view text) { return *net::Ip::parse(text); }
net::Prefix prefix(std::string_view text) { return *net::Prefix::parse(text); }

/// The one message in a buffer.
MessageView only(const RequestBuffer& buffer) {
    MessageWalk walk(buffer.view());
    auto message = walk.next();
    REQUIRE(message);
    REQUIRE_FALSE(walk.next());
    REQUIRE_FALSE(walk.damaged());
    return *message;
}

std::vector<RequestBuffer> samples() {
    std::vector<RequestBuffer> out;
    const auto add = [&out](auto fill) { fill(out.emplace_back()); };
    add([](RequestBuffer& b) {
        create_veth(b, {.local = {.name = "cali0", .mac = net::Mac::parse("ee:ee:ee:ee:ee:ee"), .group = 7},
                        .peer = {.name = "eth0", .netns_fd = 5},
                        .mtu = 1450});
    });
    add([](RequestBuffer& b) {
        change_link(b, {.index = 3,
                        .up = true,
                        .name = "x",
                        .alias = "id",
                        .group = 9,
                        .ipv4 = {{3, 1}, {1, 1}},
                        .no_ipv6_auto_address = true});
    });
    add([](RequestBuffer& b) { put_address(b, {.ifindex = 3, .address = {ip("10.0.0.1"), 32}}, Write::add); });
    add([](RequestBuffer& b) {
        put_route(b,
                  {.dst = prefix("10.1.0.0/26"),
                   .protocol = 176,
                   .hops = {{.ifindex = 1, .gateway = ip("10.0.0.2"), .weight = 3},
                            {.ifindex = 2, .gateway = ip("fe80::1")}}},
                  Write::add);
    });
    add([](RequestBuffer& b) { put_nexthop(b, {.id = 5, .group = {{1, 1}, {2, 256}}}, Write::replace); });
    add([](RequestBuffer& b) {
        put_neighbour(b, {.ifindex = 4, .address = ip("169.254.1.1"), .mac = net::Mac::parse("02:00:00:00:00:01")});
    });
    return out;
}

/// Runs every decoder over the bytes; the sanitizers and library assertions watch.
void decode_all(ByteView bytes) {
    (void)decode_link(bytes);
    (void)decode_address(bytes);
    (void)decode_route(bytes);
    (void)decode_neighbour(bytes);
    (void)decode_nexthop(bytes);
    (void)decode_rule(bytes);
    for (const int number : {0, NLM_F_ACK_TLVS, NLM_F_ACK_TLVS | NLM_F_CAPPED}) {
        const auto flags = static_cast<std::uint16_t>(number);
        (void)decode_ack({NLMSG_ERROR, flags, 0, 0, bytes});
        (void)decode_ack({NLMSG_DONE, flags, 0, 0, bytes});
    }
}

}  // namespace

TEST_CASE("the attribute walk works at compile time and stops at damage") {
    constexpr std::array<std::uint8_t, 12> kGood{6, 0, 1, 0x80, 7, 8, 0, 0, 4, 0, 2, 0};
    constexpr auto kCount = [](ByteView bytes) {
        AttributeWalk walk(bytes);
        int count = 0;
        while (walk.next()) {
            ++count;
        }
        return walk.damaged() ? -count - 1 : count;
    };
    STATIC_REQUIRE(kCount(kGood) == 2);
    STATIC_REQUIRE(kCount(ByteView(kGood).first(11)) == -2);  // header of the second cut
    STATIC_REQUIRE(kCount(ByteView(kGood).first(6)) == 1);    // padding may be missing at the end
    STATIC_REQUIRE(kCount(ByteView(kGood).first(5)) == -1);   // payload cut
    STATIC_REQUIRE(kCount(ByteView(kGood).first(0)) == 0);
    constexpr std::array<std::uint8_t, 4> kTooShort{3, 0, 1, 0};  // a length below the header's would never advance
    STATIC_REQUIRE(kCount(kTooShort) == -1);
    constexpr std::array<std::uint8_t, 6> kPadding{4, 0, 1, 0, 0, 0};
    STATIC_REQUIRE(kCount(kPadding) == 1);

    AttributeWalk walk(kGood);
    const auto first = walk.next();
    CHECK(first->type == 1);  // flags are masked
    CHECK(first->payload.size() == 2);
    CHECK(first->u16() == host_integer<std::uint16_t>(ByteView(kGood).subspan(4)));
    CHECK_FALSE(first->u32());
}

TEST_CASE("what is written as a request is what an event decodes to") {
    RequestBuffer buffer;

    SECTION("routes") {
        const auto route = GENERATE(values<Route>({
            {.dst = prefix("0.0.0.0/0"), .protocol = 4, .hops = {{.ifindex = 2, .gateway = ip("10.0.0.1")}}},
            {.dst = prefix("10.0.0.0/26"),
             .protocol = 176,
             .priority = 1024,
             .hops = {{.ifindex = 2, .gateway = ip("10.0.0.1"), .onlink = true}}},
            {.dst = prefix("10.0.0.0/26"), .protocol = 176, .type = RTN_BLACKHOLE, .priority = 1032},
            {.dst = prefix("10.0.0.7/32"),
             .protocol = 177,
             .scope = RT_SCOPE_LINK,
             .priority = 1023,
             .hops = {{.ifindex = 9}}},
            {.dst = prefix("10.0.0.0/26"), .protocol = 176, .hops = {{.ifindex = 2, .gateway = ip("fe80::1")}}},
            {.dst = prefix("fd00::/64"),
             .protocol = 176,
             .hops = {{.ifindex = 2, .gateway = ip("fe80::1")}},
             .prefsrc = ip("fd01::1"),
             .mtu = 1400},
            {.dst = prefix("fd00::/64"), .table = 1000, .protocol = 176, .nexthop_id = 77},
            {.dst = prefix("10.0.0.0/26"),
             .protocol = 176,
             .hops = {{.ifindex = 2, .gateway = ip("10.0.0.1"), .weight = 256},
                      {.ifindex = 3, .gateway = ip("fe80::1"), .onlink = true},
                      {.ifindex = 4}}},
        }));
        put_route(buffer, route, Write::add);
        const MessageView message = only(buffer);
        CHECK(message.type == RTM_NEWROUTE);
        CHECK(message.flags == (NLM_F_CREATE | NLM_F_EXCL));
        CHECK(decode_event(message) == Event(Changed<Route>{route}));

        buffer.clear();
        delete_route(buffer, route);
        Route match = route;
        match.prefsrc.reset();
        match.mtu = 0;
        CHECK(decode_event(only(buffer)) == Event(Removed<Route>{match}));
    }
    SECTION("addresses") {
        const auto address = GENERATE(values<Address>({
            {.ifindex = 2, .address = {ip("10.0.0.5"), 24}},
            {.ifindex = 2, .address = {ip("10.0.0.5"), 32}, .peer = ip("10.0.0.6"), .label = "eth0:1"},
            {.ifindex = 2, .address = {ip("fd00::5"), 128}, .flags = IFA_F_NODAD | IFA_F_NOPREFIXROUTE},
        }));
        put_address(buffer, address, Write::replace);
        CHECK(only(buffer).flags == (NLM_F_CREATE | NLM_F_REPLACE));
        CHECK(decode_event(only(buffer)) == Event(Changed<Address>{address}));
    }
    SECTION("neighbours are permanent unless said otherwise") {
        Neighbour neighbour{.ifindex = 4, .address = ip("10.0.0.1"), .mac = net::Mac::parse("02:00:00:00:00:01")};
        put_neighbour(buffer, neighbour);
        neighbour.state = NUD_PERMANENT;
        CHECK(decode_event(only(buffer)) == Event(Changed<Neighbour>{neighbour}));
    }
    SECTION("nexthop objects") {
        const auto nexthop = GENERATE(values<Nexthop>({
            {.id = 1, .protocol = 176, .hop = {.ifindex = 2, .gateway = ip("10.0.0.1")}},
            {.id = 2,
             .protocol = 176,
             .family = net::Family::v6,
             .hop = {.ifindex = 2, .gateway = ip("fe80::1"), .onlink = true}},
            {.id = 3, .protocol = 176, .blackhole = true},
            {.id = 4, .protocol = 176, .group = {{1, 1}, {2, 200}}},
        }));
        put_nexthop(buffer, nexthop, Write::replace);
        CHECK(decode_event(only(buffer)) == Event(Changed<Nexthop>{nexthop}));
    }
    SECTION("links") {
        change_link(buffer, {.index = 3,
                             .up = true,
                             .name = "cali0",
                             .alias = "id",
                             .group = 9,
                             .mtu = 1450,
                             .master = 8,
                             .mac = net::Mac::parse("ee:ee:ee:ee:ee:ee")});
        const auto link = decode_link(only(buffer).payload);
        REQUIRE(link);
        CHECK(*link == Link{.index = 3,
                            .name = "cali0",
                            .flags = IFF_UP,
                            .group = 9,
                            .alias = "id",
                            .mtu = 1450,
                            .mac = net::Mac::parse("ee:ee:ee:ee:ee:ee"),
                            .master = 8});
    }
}

TEST_CASE("both ends of a pair are asked for with one queue, which the kernel need not take away again") {
    RequestBuffer buffer;
    create_veth(buffer, {.local = {.name = "cali0"}, .peer = {.name = "eth0"}});
    const auto find = [](ByteView attributes, std::uint16_t type) {
        AttributeWalk walk(attributes);
        while (const auto attribute = walk.next()) {
            if (attribute->type == type) {
                return attribute->payload;
            }
        }
        return ByteView{};
    };
    const ByteView local = only(buffer).payload.subspan(sizeof(ifinfomsg));
    const ByteView peer =
        find(find(find(local, IFLA_LINKINFO), IFLA_INFO_DATA), VETH_INFO_PEER).subspan(sizeof(ifinfomsg));
    for (const ByteView end : {local, peer}) {
        for (const auto queues : std::array<std::uint16_t, 2>{IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES}) {
            CHECK(host_integer<std::uint32_t>(find(end, queues)) == 1U);
        }
    }
}

TEST_CASE("several requests share one buffer, and clearing keeps it usable") {
    RequestBuffer buffer;
    for (std::uint32_t i = 1; i <= 5; ++i) {
        delete_link(buffer, i);
    }
    CHECK(buffer.count() == 5);
    MessageWalk walk(buffer.view());
    std::uint32_t expected = 1;
    while (auto message = walk.next()) {
        CHECK(decode_link(message->payload)->index == expected++);
    }
    CHECK(expected == 6);
    buffer.clear();
    CHECK(buffer.empty());
    CHECK(buffer.count() == 0);
    delete_link(buffer, 9);
    CHECK(decode_link(only(buffer).payload)->index == 9);
}

TEST_CASE("acks carry the code and the kernel's words") {
    struct Packed {
        std::int32_t error;
        nlmsghdr request;
    };
    Packed fixed{-17, {}};
    fixed.request.nlmsg_len = 200;  // capped: the body is not there
    RequestBuffer buffer;
    buffer.begin(NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, fixed);
    buffer.text(NLMSGERR_ATTR_MSG, "already there");
    buffer.end();
    CHECK(decode_ack(only(buffer)) == Ack{17, "already there"});

    const std::array<std::uint8_t, 4> done{};
    CHECK(decode_ack({NLMSG_DONE, 0, 0, 0, done}) == Ack{});
    CHECK_FALSE(decode_ack({NLMSG_DONE, 0, 0, 0, ByteView(done).first(3)}));
    const std::array<std::uint8_t, 4> positive{1, 0, 0, 0};
    CHECK_FALSE(decode_ack({NLMSG_ERROR, 0, 0, 0, positive}));
}

TEST_CASE("routes that are no table entries, and damaged ones, are refused") {
    struct Row {
        const char* name;
        std::uint8_t family;
        std::uint8_t length;
        unsigned flags;
        void (*attributes)(RequestBuffer&);
    };
    const auto row = GENERATE(values<Row>({
        {"a cached exception", AF_INET, 0, RTM_F_CLONED, [](RequestBuffer&) {}},
        {"another family", AF_MPLS, 0, 0, [](RequestBuffer&) {}},
        {"a prefix that is too long", AF_INET, 33, 0, [](RequestBuffer&) {}},
        {"an address of another length", AF_INET, 24, 0,
         [](RequestBuffer& buffer) { buffer.bytes(RTA_DST, std::array<std::uint8_t, 5>{}); }},
        {"an address of another family", AF_INET, 24, 0,
         [](RequestBuffer& buffer) { buffer.bytes(RTA_DST, ip("fd00::").bytes()); }},
        {"host bits", AF_INET, 24, 0, [](RequestBuffer& buffer) { buffer.bytes(RTA_DST, ip("10.0.0.1").bytes()); }},
        {"a next hop without length", AF_INET, 0, 0,
         [](RequestBuffer& buffer) {
             const auto nest = buffer.open(RTA_MULTIPATH);
             buffer.raw(rtnexthop{});
             buffer.close(nest);
         }},
        {"a next hop longer than its attribute", AF_INET, 0, 0,
         [](RequestBuffer& buffer) {
             const auto nest = buffer.open(RTA_MULTIPATH);
             buffer.raw(rtnexthop{.rtnh_len = 100, .rtnh_flags = 0, .rtnh_hops = 0, .rtnh_ifindex = 1});
             buffer.close(nest);
         }},
    }));
    CAPTURE(row.name);
    rtmsg fixed{};
    fixed.rtm_family = row.family;
    fixed.rtm_dst_len = row.length;
    fixed.rtm_flags = row.flags;
    RequestBuffer buffer;
    buffer.begin(RTM_NEWROUTE, 0, fixed);
    row.attributes(buffer);
    buffer.end();
    CHECK_FALSE(decode_event(only(buffer)));
}

TEST_CASE("no truncation and no damaged byte makes a decoder read outside") {
    std::mt19937 random(20240501);
    for (const RequestBuffer& sample : samples()) {
        const Bytes whole(sample.view().begin(), sample.view().end());
        for (std::size_t length = 0; length <= whole.size(); ++length) {
            const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));  // own heap block
            MessageWalk walk(cut);
            while (auto message = walk.next()) {
                (void)decode_event(*message);
            }
            decode_all(cut);
            decode_all(ByteView(cut).subspan(std::min<std::size_t>(16, cut.size())));
        }
        for (int round = 0; round < 2000; ++round) {
            Bytes damaged = whole;
            for (int change = 0; change < 3; ++change) {
                damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
            }
            MessageWalk walk(damaged);
            while (auto message = walk.next()) {
                (void)decode_event(*message);
            }
            decode_all(ByteView(damaged).subspan(16));
        }
    }
}
