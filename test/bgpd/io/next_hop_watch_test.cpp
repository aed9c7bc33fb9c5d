#include "bgpd/io/next_hop_watch.hpp"

#include <linux/rtnetlink.h>
#include <net/if.h>

#include <catch2/catch.hpp>
#include <variant>
#include <vector>

#include "net/scoped.hpp"

using namespace manul;
using bgp::io::NextHopWatch;
namespace speaker = bgp::speaker;

namespace {

netlink::Link link(std::uint32_t index, bool up = true, bool running = true) {
    netlink::Link value;
    value.index = index;
    value.name = "eth" + std::to_string(index);
    value.flags = (up ? unsigned{IFF_UP} : 0U) | (running ? unsigned{IFF_RUNNING} : 0U);
    return value;
}

netlink::Route route(std::string_view prefix, std::uint32_t ifindex, const char* gateway = nullptr,
                     std::uint32_t metric = 0, std::uint8_t protocol = RTPROT_KERNEL) {
    netlink::Route value;
    value.dst = *net::Prefix::parse(prefix);
    value.protocol = protocol;
    value.priority = metric;
    value.hops = {{.ifindex = ifindex, .gateway = {}}};
    if (gateway != nullptr) {
        value.hops.front().gateway = net::Ip::parse(gateway);
    }
    return value;
}

speaker::Resolution way(std::uint32_t ifindex, std::optional<net::Ip> gateway, std::uint32_t metric) {
    return {ifindex, gateway, metric, "eth" + std::to_string(ifindex)};
}

net::Ip ip(std::string_view text) { return *net::Ip::parse(text); }

/// Two links, a connected prefix on each, a default route over the second.
NextHopWatch make_watch(bool always_reachable = false) {
    NextHopWatch watch(always_reachable);
    watch.take(link(1));
    watch.take(link(2));
    watch.take(route("192.0.2.0/24", 1));
    watch.take(route("198.51.100.0/24", 2));
    watch.take(route("2001:db8::/64", 1, nullptr, 256));
    watch.take(route("0.0.0.0/0", 2, "198.51.100.1", 100, RTPROT_STATIC));
    return watch;
}

std::vector<speaker::NextHopChanged> changes(NextHopWatch& watch) {
    std::vector<speaker::Event> events;
    watch.changes(events);
    std::vector<speaker::NextHopChanged> found;
    for (const speaker::Event& event : events) {
        if (const auto* change = std::get_if<speaker::NextHopChanged>(&event)) {
            found.push_back(*change);
        }
    }
    return found;
}

}  // namespace

TEST_CASE("next hops resolve over the longest matching route that can be used") {
    NextHopWatch watch = make_watch();
    CHECK(watch.resolve(ip("192.0.2.7")) == way(1, std::nullopt, 0));
    CHECK(watch.resolve(ip("2001:db8::7")) == way(1, std::nullopt, 0));
    CHECK(watch.resolve(ip("203.0.113.1")) == way(2, ip("198.51.100.1"), 100));
    CHECK_FALSE(watch.resolve(ip("2001:db8:1::1")));

    SECTION("the lowest metric of equal prefixes counts") {
        watch.take(route("0.0.0.0/0", 1, "192.0.2.1", 50, RTPROT_STATIC));
        CHECK(watch.resolve(ip("203.0.113.1")) == way(1, ip("192.0.2.1"), 50));
    }
    SECTION("a link without carrier is no way") {
        watch.take(link(1, true, false));
        CHECK(watch.resolve(ip("192.0.2.7")) == way(2, ip("198.51.100.1"), 100));
    }
    SECTION("bgpd's own routes, other tables and blackholes do not count") {
        watch.take(route("203.0.113.0/24", 1, "192.0.2.1", 1024, bgp::io::kRouteProtocol));
        auto other = route("203.0.113.0/24", 1);
        other.table = 100;
        watch.take(other);
        auto hole = route("203.0.113.0/24", 1);
        hole.type = RTN_BLACKHOLE;
        watch.take(hole);
        CHECK(watch.resolve(ip("203.0.113.1"))->interface == 2);
    }
    SECTION("when a link goes down its routes are gone, though the kernel does not say so") {
        watch.take(link(2, false, false));
        watch.take(link(2));
        CHECK_FALSE(watch.resolve(ip("203.0.113.1")));
        CHECK_FALSE(watch.resolve(ip("198.51.100.9")));
        watch.take(route("198.51.100.0/24", 2));
        CHECK(watch.resolve(ip("198.51.100.9"))->interface == 2);
    }
}

TEST_CASE("a next hop is a host: not a network, nor all its hosts") {
    NextHopWatch watch = make_watch();
    watch.take(route("203.0.113.4/31", 1));
    for (const char* address : {"192.0.2.0", "192.0.2.255"}) {
        CAPTURE(address);
        CHECK_FALSE(watch.resolve(ip(address)));  // nor by the default route
        CHECK(make_watch(true).resolve(ip(address)) == speaker::Resolution{});
    }
    for (const char* address : {"192.0.2.1", "192.0.2.254", "203.0.113.4", "203.0.113.5", "2001:db8::"}) {
        CAPTURE(address);
        CHECK(watch.resolve(ip(address)) == way(1, std::nullopt, 0));
    }
    CHECK(watch.resolve(ip("203.0.113.255")) == way(2, ip("198.51.100.1"), 100));  // not for us to know
}

TEST_CASE("a link-local next hop of an unknown link is used only where there is one link") {
    NextHopWatch watch = make_watch();
    watch.take(route("fe80::/64", 1, nullptr, 256));
    CHECK(watch.resolve(ip("fe80::7")) == way(1, std::nullopt, 0));
    watch.take(route("fe80::/64", 2, nullptr, 256));
    CHECK_FALSE(watch.resolve(ip("fe80::7")));
    CHECK(watch.resolve(net::with_scope(ip("fe80::7"), 2)) == way(2, std::nullopt, 0));
    watch.take(link(1, true, false));
    CHECK(watch.resolve(ip("fe80::7")) == way(2, std::nullopt, 0));
}

TEST_CASE("a pure reflector takes every next hop for reachable") {
    CHECK(make_watch(true).resolve(ip("2001:db8:1::1")) == speaker::Resolution{});
}

TEST_CASE("the speaker hears of a tracked next hop at once and when it changes, once each") {
    NextHopWatch watch = make_watch();
    watch.track({ip("192.0.2.7"), true});
    watch.track({ip("2001:db8:1::1"), true});
    CHECK(changes(watch).size() == 2);  // also the one that is unreachable
    CHECK(changes(watch).empty());

    watch.take(route("10.0.0.0/8", 1, "192.0.2.1", 0, RTPROT_STATIC));  // of no concern
    CHECK(changes(watch).empty());

    watch.remove(route("192.0.2.0/24", 1));
    auto changed = changes(watch);
    REQUIRE(changed.size() == 1);
    CHECK(changed.front().resolution == way(2, ip("198.51.100.1"), 100));

    watch.take(route("192.0.2.0/24", 1));
    CHECK(changes(watch).size() == 1);
    watch.track({ip("192.0.2.7"), false});
    watch.remove(route("192.0.2.0/24", 1));
    CHECK(changes(watch).empty());
}

TEST_CASE("IPv6 announces the ways of a multipath route one by one") {
    NextHopWatch watch = make_watch();
    watch.take(route("2001:db8:9::/48", 1, "2001:db8::1", 1024, RTPROT_STATIC));
    watch.take(route("2001:db8:9::/48", 2, "2001:db8:2::1", 1024, RTPROT_STATIC));
    CHECK(watch.resolve(ip("2001:db8:9::1"))->interface == 1);
    watch.take(link(1, true, false));
    CHECK(watch.resolve(ip("2001:db8:9::1"))->interface == 2);
    watch.take(link(1));
    watch.remove(route("2001:db8:9::/48", 1, "2001:db8::1", 1024, RTPROT_STATIC));
    CHECK(watch.resolve(ip("2001:db8:9::1"))->interface == 2);
}

TEST_CASE("own addresses are told when they change") {
    NextHopWatch watch(false);
    netlink::Address address;
    address.ifindex = 1;
    address.address = *net::InterfaceAddress::parse("192.0.2.1/24");
    watch.take(address);
    watch.take(address);
    std::vector<speaker::Event> events;
    watch.changes(events);
    REQUIRE(events.size() == 1);
    CHECK(std::get<speaker::LocalAddresses>(events.front()).addresses.size() == 1);
    watch.remove(address);
    watch.changes(events);
    CHECK(std::get<speaker::LocalAddresses>(events.back()).addresses.empty());
}

TEST_CASE("an address with a gateway of its own is reached through it whatever the routes say") {
    NextHopWatch watch = make_watch();
    watch.set_gateways({{ip("203.0.113.9"), ip("192.0.2.254")}});
    CHECK(watch.resolve(ip("203.0.113.9")) == way(1, ip("192.0.2.254"), 0));
    CHECK(watch.resolve(ip("203.0.113.8")) == way(2, ip("198.51.100.1"), 100));
    watch.set_gateways({});
    CHECK(watch.resolve(ip("203.0.113.9")) == way(2, ip("198.51.100.1"), 100));
}

TEST_CASE("a link-local next hop is reached over its own link while that runs") {
    NextHopWatch watch = make_watch();
    CHECK(watch.resolve(net::with_scope(ip("fe80::1"), 2)) == way(2, std::nullopt, 0));
    CHECK(watch.resolve(net::with_scope(ip("fe80::1"), 1)) == way(1, std::nullopt, 0));
    CHECK_FALSE(watch.resolve(net::with_scope(ip("fe80::1"), 99)));
    watch.take(link(2, false));
    CHECK_FALSE(watch.resolve(net::with_scope(ip("fe80::1"), 2)));
}

TEST_CASE("the host's routes are told while somebody asks, without those of interfaces that are left out") {
    NextHopWatch watch = make_watch();
    watch.take(route("10.244.0.5/32", 2, nullptr, 1023, 177));
    watch.take(route("fe80::/64", 1, nullptr, 256));
    const auto told = [&] {
        std::vector<speaker::Event> events;
        watch.changes(events);
        std::string text;
        for (const speaker::Event& event : events) {
            if (const auto* routes = std::get_if<speaker::HostRoutes>(&event)) {
                text += "|";
                for (const speaker::HostRoute& one : *routes->routes) {
                    text += " " + one.prefix.to_string() + (one.connected ? "!" : "") + " " + one.interface + " " +
                            std::to_string(one.metric) + (one.workload ? "w" : "");
                }
            }
        }
        return text;
    };
    CHECK(told().empty());
    watch.want_host_routes(std::vector<std::string>{});
    CHECK(told() ==
          "| 0.0.0.0/0 eth2 100 10.244.0.5/32 eth2 1023w 192.0.2.0/24! eth1 0 198.51.100.0/24! eth2 0"
          " 2001:db8::/64! eth1 0");
    CHECK(told().empty());
    watch.want_host_routes(std::vector<std::string>{"*1"});
    CHECK(told() == "| 0.0.0.0/0 eth2 100 10.244.0.5/32 eth2 1023w 198.51.100.0/24! eth2 0");
    watch.remove(route("0.0.0.0/0", 2, "198.51.100.1", 100, RTPROT_STATIC));
    CHECK(told() == "| 10.244.0.5/32 eth2 1023w 198.51.100.0/24! eth2 0");
    watch.want_host_routes(std::nullopt);
    CHECK(told() == "|");
}
