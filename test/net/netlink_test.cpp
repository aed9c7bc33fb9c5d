// Against the kernel, inside nameless network namespaces that vanish with their descriptors. Needs root.
#include <linux/if_addr.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <poll.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <fstream>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/monitor.hpp"
#include "net/netlink/netns.hpp"
#include "net/netlink/route_dump.hpp"
#include "net/netlink/socket.hpp"

using namespace manul;
using namespace manul::netlink;

namespace {

net::Ip ip(std::string_view text) { return *net::Ip::parse(text); }
net::Prefix prefix(std::string_view text) { return *net::Prefix::parse(text); }
net::Mac mac(std::string_view text) { return *net::Mac::parse(text); }

/// A namespace of our own, and a socket in it.
struct Netns {
    UniqueFd fd;
    Socket socket;
};

Netns make_netns() {
    auto scope = NetnsScope::create();
    REQUIRE(scope);
    auto fd = current_netns();
    REQUIRE(fd);
    auto socket = Socket::open();
    REQUIRE(socket);
    const auto loopback = socket->link("lo");  // blackhole nexthop objects need it up
    RequestBuffer requests;
    change_link(requests, {.index = (*loopback)->index, .up = true});
    REQUIRE(socket->request(requests));
    return {*std::move(fd), *std::move(socket)};
}

template <class T>
T ok(SocketResult<T> result) {
    if (!result) {
        FAIL(result.error().message());
    }
    return *std::move(result);
}
void ok(const SocketResult<void>& result) {
    if (!result) {
        FAIL(result.error().message());
    }
}
/// A batch without a refused request.
void all(const SocketResult<std::vector<RefusedRequest>>& result) {
    REQUIRE(result);
    for (const auto& refused : *result) {
        FAIL("request " << refused.index << ": " << refused.code << ' ' << refused.text);
    }
}

/// A veth pair `a` - `b` inside one namespace, both up, `a` with 10.9.0.1/16 and fd09::1/64. Returns the index of `a`.
std::uint32_t make_uplink(Netns& ns, const std::string& a = "a", const std::string& b = "b",
                          std::string_view v4 = "10.9.0.1") {
    RequestBuffer requests;
    create_veth(requests, {.local = {.name = a}, .peer = {.name = b}});
    ok(ns.socket.request(requests));
    const auto link = ok(ns.socket.link(a));
    REQUIRE(link);
    requests.clear();
    change_link(requests, {.index = link->index, .up = true});
    change_link(requests, {.index = link->lower, .up = true});
    put_address(requests, {.ifindex = link->index, .address = {ip(v4), 16}}, Write::add);
    all(ns.socket.batch(requests));
    return link->index;
}

std::vector<Event> events_of(Monitor& monitor) {
    std::vector<Event> out;
    for (;;) {
        auto events = ok(monitor.take());
        if (events.empty()) {
            return out;
        }
        out.insert(out.end(), events.begin(), events.end());
    }
}

template <class T>
std::vector<T> only(const std::vector<Event>& events) {
    std::vector<T> out;
    for (const Event& event : events) {
        if (const auto* wanted = std::get_if<T>(&event)) {
            out.push_back(*wanted);
        }
    }
    return out;
}

/// Route events of Manul's protocols: the kernel's own routes of a fresh link come whenever its timers say so.
template <class T>
std::vector<T> ours(const std::vector<Event>& events) {
    std::vector<T> routes = only<T>(events);
    std::erase_if(routes, [](const T& event) { return event.value.protocol != 176 && event.value.protocol != 177; });
    return routes;
}

}  // namespace

TEST_CASE("a namespace scope comes back, and refuses what is no namespace") {
    const auto before = netns_id(current_netns()->get());
    UniqueFd other;
    {
        auto scope = NetnsScope::create();
        REQUIRE(scope);
        other = *current_netns();
        CHECK(netns_id(other.get()) != before);
    }
    CHECK(netns_id(current_netns()->get()) == before);
    {
        auto scope = NetnsScope::enter(other.get());
        REQUIRE(scope);
        CHECK(netns_id(current_netns()->get()) == netns_id(other.get()));
        auto moved = std::move(*scope);
        CHECK(netns_id(current_netns()->get()) == netns_id(other.get()));
    }
    CHECK(netns_id(current_netns()->get()) == before);
    CHECK_FALSE(open_netns("/etc/hostname"));
    CHECK_FALSE(open_netns("no-such-namespace"));
    CHECK_FALSE(open_netns("/proc/self/ns/mnt"));
    CHECK(open_netns("/proc/self/ns/net"));
}

TEST_CASE("a veth pair is made in two namespaces by one message, which tells both indexes") {
    Netns host = make_netns();
    Netns pod = make_netns();
    RequestBuffer requests;
    create_veth(requests, {.local = {.name = "cali0", .mac = mac("ee:ee:ee:ee:ee:ee"), .group = 5},
                           .peer = {.name = "eth0", .mac = mac("02:00:00:00:00:07"), .netns_fd = pod.fd.get()},
                           .mtu = 1450});
    std::optional<Link> echoed;
    ok(host.socket.request(requests, [&echoed](const MessageView& message) { echoed = decode_link(message.payload); }));
    REQUIRE(echoed);
    const auto host_end = ok(host.socket.link("cali0"));
    const auto pod_end = ok(pod.socket.link("eth0"));
    REQUIRE(host_end);
    REQUIRE(pod_end);
    CHECK(echoed->index == host_end->index);
    CHECK(echoed->lower == pod_end->index);
    CHECK(host_end->lower_netns);
    CHECK(host_end->mac == mac("ee:ee:ee:ee:ee:ee"));
    CHECK(host_end->group == 5);
    CHECK(host_end->mtu == 1450);
    CHECK(host_end->kind == "veth");
    CHECK(pod_end->mac == mac("02:00:00:00:00:07"));
    CHECK(pod_end->mtu == 1450);
    CHECK_FALSE(host_end->is_up());

    SECTION("the same name again is refused, in either namespace") {
        const auto again = host.socket.request(requests);
        REQUIRE_FALSE(again);
        CHECK(again.error().is(EEXIST));
        requests.clear();
        create_veth(requests, {.local = {.name = "cali1"}, .peer = {.name = "eth0", .netns_fd = pod.fd.get()}});
        CHECK(host.socket.request(requests).error().is(EEXIST));
        CHECK_FALSE(ok(host.socket.link("cali1")));
    }
    SECTION("one message sets up, alias, group, MAC and the IPv4 and IPv6 settings") {
        requests.clear();
        change_link(requests,
                    {.index = host_end->index,
                     .up = true,
                     .alias = "container-1",
                     .group = 0x6d000001,
                     .ipv4 = {{IPV4_DEVCONF_PROXY_ARP, 1}, {IPV4_DEVCONF_FORWARDING, 1}, {IPV4_DEVCONF_RP_FILTER, 1}},
                     .no_ipv6_auto_address = true});
        ok(host.socket.request(requests));
        const auto changed = ok(host.socket.link(host_end->index));
        CHECK(changed->is_up());
        CHECK(changed->alias == "container-1");
        CHECK(changed->group == 0x6d000001);
        {
            auto scope = NetnsScope::enter(host.fd.get());
            for (const char* setting : {"ipv4/conf/cali0/proxy_arp", "ipv4/conf/cali0/forwarding",
                                        "ipv4/conf/cali0/rp_filter", "ipv6/conf/cali0/addr_gen_mode"}) {
                std::ifstream file(std::string("/proc/sys/net/") + setting);
                int value = 0;
                file >> value;
                CAPTURE(setting);
                CHECK(value == 1);  // of addr_gen_mode: none
            }
        }
        requests.clear();
        change_link(requests, {.index = pod_end->index, .up = true});
        ok(pod.socket.request(requests));
        CHECK(ok(host.socket.link(host_end->index))->is_running());

        requests.clear();
        change_link(requests, {.index = host_end->index, .up = false});
        change_link(requests, {.index = host_end->index, .name = "mxl7", .alias = "", .group = 0x6d000000});
        all(host.socket.batch(requests));
        const auto renamed = ok(host.socket.link("mxl7"));
        REQUIRE(renamed);
        CHECK(renamed->alias.empty());
        CHECK_FALSE(renamed->is_up());
        CHECK_FALSE(ok(host.socket.link("cali0")));

        requests.clear();
        delete_link_group(requests, 0x6d000000);
        ok(host.socket.request(requests));
        CHECK_FALSE(ok(host.socket.link("mxl7")));
        CHECK_FALSE(ok(pod.socket.link("eth0")));
        CHECK(host.socket.request(requests).error().is(ENODEV));
    }
}

TEST_CASE("after answers that overflowed the buffer the next request is answered") {
    Netns ns = make_netns();
    auto scope = NetnsScope::enter(ns.fd.get());
    Socket small = ok(Socket::open({.receive_buffer = 2'048}));
    RequestBuffer requests;
    for (std::uint8_t i = 0; i < 100; ++i) {
        delete_route(requests, {.dst = *net::Prefix::masked(net::Ip4(10, 0, 0, i), 32), .protocol = 176});
    }
    const auto refused = small.batch(requests);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == SocketError::Kind::overrun);
    CHECK(ok(small.link("lo")));
}

TEST_CASE("an address is deprecated from the start, for ever, and removed like others") {
    Netns ns = make_netns();
    const std::uint32_t index = make_uplink(ns);
    RequestBuffer requests;
    const Address wanted{
        .ifindex = index, .address = {ip("fd09::5"), 128}, .flags = IFA_F_NODAD | IFA_F_DEPRECATED | IFA_F_PERMANENT};
    put_address(requests, wanted, Write::add);
    ok(ns.socket.request(requests));
    CHECK(std::ranges::count(ok(ns.socket.addresses(index)), wanted) == 1);
    requests.clear();
    delete_address(requests, wanted);
    ok(ns.socket.request(requests));
    CHECK(std::ranges::count(ok(ns.socket.addresses(index)), wanted) == 0);
}

TEST_CASE("addresses and permanent neighbours come back as they were written") {
    Netns ns = make_netns();
    const std::uint32_t index = make_uplink(ns);
    RequestBuffer requests;
    const Address six{.ifindex = index, .address = {ip("fd09::5"), 128}, .flags = IFA_F_NODAD | IFA_F_PERMANENT};
    put_address(requests, six, Write::add);
    put_address(requests, {.ifindex = index, .address = {ip("10.9.0.1"), 16}}, Write::add);  // exists
    put_neighbour(requests, {.ifindex = index, .address = ip("169.254.1.1"), .mac = mac("ee:ee:ee:ee:ee:ee")});
    put_neighbour(requests, {.ifindex = index, .address = ip("fe80::1"), .mac = mac("ee:ee:ee:ee:ee:ee")});
    const auto refused = ns.socket.batch(requests);
    REQUIRE(refused);
    REQUIRE(refused->size() == 1);
    CHECK(refused->front().index == 1);
    CHECK(refused->front().code == EEXIST);

    const auto addresses = ok(ns.socket.addresses(index));
    CHECK(std::ranges::count(addresses, six) == 1);
    for (const auto family : {net::Family::v4, net::Family::v6}) {
        const auto neighbours = ok(ns.socket.neighbours(family, index));
        CHECK(std::ranges::count_if(neighbours, [](const Neighbour& n) { return n.state == NUD_PERMANENT; }) == 1);
    }
    requests.clear();
    delete_address(requests, six);
    delete_neighbour(requests, {.ifindex = index, .address = ip("169.254.1.1")});
    all(ns.socket.batch(requests));
    CHECK(std::ranges::count(ok(ns.socket.addresses(index)), six) == 0);
}

TEST_CASE("ten thousand routes go in and out in batches, and each refusal finds its request") {
    Netns ns = make_netns();
    const std::uint32_t index = make_uplink(ns);
    constexpr std::uint32_t kRoutes = 10'000;
    const auto route = [index](std::uint32_t i) {
        return Route{.dst = *net::Prefix::exact(net::Ip4(0x14000000U + (i << 6U)), 26),
                     .protocol = 176,
                     .priority = 1024,
                     .hops = {{.ifindex = index, .gateway = net::Ip4(0x0a090002U + i % 200)}}};
    };
    RequestBuffer requests;
    for (std::uint32_t i = 0; i < kRoutes; ++i) {
        put_route(requests, route(i), Write::add);
    }
    all(ns.socket.batch(requests));
    const auto found = ok(ns.socket.routes({.family = net::Family::v4, .table = kMainTable, .protocol = 176}));
    REQUIRE(found.size() == kRoutes);
    CHECK(std::ranges::count(found, route(4321)) == 1);
    CHECK(ok(ns.socket.routes({.family = net::Family::v4, .protocol = 177})).empty());
    CHECK(ok(ns.socket.route_to(ip("20.0.0.65")))->dst == prefix("20.0.0.64/26"));
    CHECK_FALSE(ok(ns.socket.route_to(ip("198.51.100.1"))));

    requests.clear();
    for (std::uint32_t i = 0; i < 1000; ++i) {
        Route wanted = route(i % 10 == 3 ? i : kRoutes + i);  // each tenth is there already
        put_route(requests, wanted, Write::add);
    }
    const auto refused = ns.socket.batch(requests);
    REQUIRE(refused);
    REQUIRE(refused->size() == 100);
    for (std::size_t i = 0; i < refused->size(); ++i) {
        CHECK((*refused)[i].index == i * 10 + 3);
        CHECK((*refused)[i].code == EEXIST);
    }

    requests.clear();
    Route foreign = route(7);
    foreign.protocol = 99;
    delete_route(requests, foreign);  // another protocol: not ours to delete
    const auto none = ns.socket.batch(requests);
    REQUIRE(none);
    REQUIRE(none->size() == 1);
    CHECK(none->front().code == ESRCH);

    requests.clear();
    for (const Route& each : ok(ns.socket.routes({.family = net::Family::v4, .protocol = 176}))) {
        delete_route(requests, each);
    }
    all(ns.socket.batch(requests));
    CHECK(ok(ns.socket.routes({.family = net::Family::v4, .protocol = 176})).empty());
}

TEST_CASE("multipath, blackhole, IPv6 next hop and nexthop objects read back as written") {
    Netns ns = make_netns();
    const std::uint32_t a = make_uplink(ns);
    const std::uint32_t c = make_uplink(ns, "c", "d", "10.10.0.1");
    const std::vector<Route> routes{
        {.dst = prefix("20.0.0.0/26"),
         .protocol = 176,
         .priority = 1024,
         .hops = {{.ifindex = a, .gateway = ip("10.9.0.2"), .weight = 3}, {.ifindex = c, .gateway = ip("10.10.0.2")}}},
        {.dst = prefix("20.0.1.0/26"), .protocol = 176, .type = RTN_BLACKHOLE, .priority = 1032},
        {.dst = prefix("20.0.2.0/26"),
         .protocol = 176,
         .priority = 1024,
         .hops = {{.ifindex = a, .gateway = ip("fe80::2")}}},
        {.dst = prefix("20.0.3.0/26"),
         .protocol = 176,
         .priority = 1024,
         .hops = {{.ifindex = a, .gateway = ip("203.0.113.9"), .onlink = true}}},
        {.dst = prefix("20.0.4.5/32"),
         .protocol = 177,
         .scope = RT_SCOPE_LINK,
         .priority = 1023,
         .hops = {{.ifindex = a}}},
    };
    RequestBuffer requests;
    for (const Route& route : routes) {
        put_route(requests, route, Write::add);
    }
    all(ns.socket.batch(requests));
    const auto found = ok(ns.socket.routes({.family = net::Family::v4, .table = kMainTable}));
    for (const Route& route : routes) {
        CAPTURE(route.dst.to_string());
        CHECK(std::ranges::count(found, route) == 1);
    }

    requests.clear();
    const Route six{.dst = prefix("fd20::/64"),
                    .protocol = 176,
                    .priority = 1024,
                    .hops = {{.ifindex = a, .gateway = ip("fe80::2")}, {.ifindex = c, .gateway = ip("fe80::3")}}};
    put_route(requests, six, Write::add);
    put_nexthop(requests, {.id = 1, .protocol = 176, .hop = {.ifindex = a, .gateway = ip("10.9.0.2")}}, Write::add);
    put_nexthop(requests, {.id = 2, .protocol = 176, .hop = {.ifindex = c, .gateway = ip("10.10.0.2")}}, Write::add);
    put_nexthop(requests, {.id = 3, .protocol = 176, .blackhole = true}, Write::add);
    put_nexthop(requests, {.id = 10, .protocol = 176, .group = {{1, 1}, {2, 5}}}, Write::add);
    put_route(requests, {.dst = prefix("30.0.0.0/26"), .protocol = 176, .priority = 1024, .nexthop_id = 10},
              Write::add);
    all(ns.socket.batch(requests));
    CHECK(std::ranges::count(ok(ns.socket.routes({.family = net::Family::v6, .protocol = 176})), six) == 1);
    const auto nexthops = ok(ns.socket.nexthops());
    REQUIRE(nexthops.size() == 4);
    CHECK(nexthops[0].hop.gateway == ip("10.9.0.2"));
    CHECK(nexthops[2].blackhole);
    CHECK(nexthops[3].group == std::vector<NexthopMember>{{1, 1}, {2, 5}});
    const auto by_object = ok(ns.socket.route_to(ip("30.0.0.1")));
    REQUIRE(by_object);
    CHECK(by_object->nexthop_id == 10);

    requests.clear();
    put_nexthop(requests, {.id = 2, .protocol = 176, .hop = {.ifindex = a, .gateway = ip("10.9.0.3")}}, Write::replace);
    put_nexthop(requests, {.id = 10, .protocol = 176, .group = {{2, 1}}}, Write::replace);
    delete_route(requests, {.dst = prefix("30.0.0.0/26"), .protocol = 176, .priority = 1024, .nexthop_id = 10});
    delete_nexthop(requests, 10);
    delete_nexthop(requests, 99);
    const auto refused = ns.socket.batch(requests);
    REQUIRE(refused);
    REQUIRE(refused->size() == 1);
    CHECK(refused->front().index == 4);
    CHECK(ok(ns.socket.nexthops()).size() == 3);
}

TEST_CASE("the monitor tells links, addresses, routes, neighbours and nexthops, in order") {
    Netns ns = make_netns();
    auto scope = NetnsScope::enter(ns.fd.get());
    Monitor monitor =
        ok(Monitor::open({.links = true, .addresses = true, .routes = true, .neighbours = true, .nexthops = true}));
    CHECK(events_of(monitor).empty());
    const std::uint32_t index = make_uplink(ns);
    pollfd waiting{monitor.fd(), POLLIN, 0};
    REQUIRE(::poll(&waiting, 1, 5000) == 1);
    const auto events = events_of(monitor);
    CHECK(std::ranges::any_of(only<Changed<Link>>(events),
                              [index](const auto& e) { return e.value.index == index && e.value.is_up(); }));
    CHECK(std::ranges::any_of(only<Changed<Address>>(events),
                              [](const auto& e) { return e.value.address.address == ip("10.9.0.1"); }));
    CHECK(std::ranges::any_of(only<Changed<Route>>(events),
                              [](const auto& e) { return e.value.dst == prefix("10.9.0.0/16"); }));

    const Route own{.dst = prefix("20.0.0.0/26"),
                    .protocol = 176,
                    .priority = 1024,
                    .hops = {{.ifindex = index, .gateway = ip("10.9.0.2")}}};
    RequestBuffer requests;
    put_route(requests, own, Write::add);
    put_neighbour(requests, {.ifindex = index, .address = ip("10.9.0.9"), .mac = mac("02:00:00:00:00:09")});
    put_nexthop(requests, {.id = 1, .protocol = 176, .hop = {.ifindex = index, .gateway = ip("10.9.0.2")}}, Write::add);
    delete_route(requests, own);
    all(ns.socket.batch(requests));
    const auto more = events_of(monitor);
    CHECK(ours<Changed<Route>>(more) == std::vector{Changed<Route>{own}});
    CHECK(ours<Removed<Route>>(more) == std::vector{Removed<Route>{own}});
    CHECK(std::ranges::any_of(only<Changed<Neighbour>>(more),
                              [](const auto& e) { return e.value.address == ip("10.9.0.9"); }));
    CHECK(only<Changed<Nexthop>>(more).size() == 1);
}

TEST_CASE("the monitor can leave what one socket asked for in the kernel") {
    Netns ns = make_netns();
    const std::uint32_t index = make_uplink(ns);
    auto scope = NetnsScope::enter(ns.fd.get());
    Socket own_socket = ok(Socket::open());
    Monitor monitor = ok(Monitor::open({.links = true, .routes = true, .ignore_requests_of = own_socket.port()}));
    Route own{.dst = prefix("20.0.0.0/26"),
              .protocol = 176,
              .priority = 1024,
              .hops = {{.ifindex = index, .gateway = ip("10.9.0.2")}}};
    Route other = own;
    other.dst = prefix("21.0.0.0/26");
    RequestBuffer requests;
    put_route(requests, own, Write::add);
    put_route(requests, other, Write::add);
    delete_route(requests, own);
    all(own_socket.batch(requests));
    requests.clear();
    delete_route(requests, other);
    put_route(requests, own, Write::add);
    change_link(requests, {.index = index, .alias = "seen"});
    all(ns.socket.batch(requests));
    const auto events = events_of(monitor);
    CHECK(ours<Changed<Route>>(events) == std::vector{Changed<Route>{own}});
    CHECK(ours<Removed<Route>>(events) == std::vector{Removed<Route>{other}});
    CHECK_FALSE(only<Changed<Link>>(events).empty());
}

TEST_CASE("a long list of routes can be read a piece at a time") {
    Netns ns = make_netns();
    const std::uint32_t index = make_uplink(ns);
    auto scope = NetnsScope::enter(ns.fd.get());
    RequestBuffer requests;
    std::set<net::Prefix> wanted;
    for (std::uint32_t i = 0; i < 2'000; ++i) {
        const net::Prefix dst = *net::Prefix::exact(net::Ip4(0x14000000U + (i << 6U)), 26);
        wanted.insert(dst);
        put_route(requests, {.dst = dst, .protocol = 176, .hops = {{.ifindex = index, .gateway = ip("10.9.0.2")}}},
                  Write::add);
    }
    all(ns.socket.batch(requests));
    RouteDump dump = ok(RouteDump::start({.family = net::Family::v4, .table = kMainTable, .protocol = 176}));
    std::set<net::Prefix> seen;
    int pieces = 0;
    for (bool more = true; more; ++pieces) {
        std::vector<Route> routes;
        more = ok(dump.take(routes));
        CHECK(routes.size() < 1'000);
        for (const Route& route : routes) {
            CHECK(route.protocol == 176);
            seen.insert(route.dst);
        }
    }
    CHECK(pieces > 2);
    CHECK(seen == wanted);
}

TEST_CASE("a monitor that was not read in time says so, and a new list is complete") {
    Netns ns = make_netns();
    const std::uint32_t index = make_uplink(ns);
    auto scope = NetnsScope::enter(ns.fd.get());
    Monitor monitor = ok(Monitor::open({.routes = true, .receive_buffer = 16'384}));
    RequestBuffer requests;
    constexpr std::uint32_t kRoutes = 500;
    for (std::uint32_t i = 0; i < kRoutes; ++i) {
        put_route(requests,
                  {.dst = *net::Prefix::exact(net::Ip4(0x14000000U + (i << 6U)), 26),
                   .protocol = 176,
                   .hops = {{.ifindex = index, .gateway = ip("10.9.0.2")}}},
                  Write::add);
    }
    all(ns.socket.batch(requests));
    const auto events = events_of(monitor);
    CHECK_FALSE(only<Overrun>(events).empty());
    CHECK(only<Changed<Route>>(events).size() < kRoutes);
    CHECK(ok(ns.socket.routes({.family = net::Family::v4, .protocol = 176})).size() == kRoutes);
    // and it goes on working
    requests.clear();
    delete_route(requests, {.dst = prefix("20.0.0.0/26"), .protocol = 176});
    all(ns.socket.batch(requests));
    CHECK(only<Removed<Route>>(events_of(monitor)).size() == 1);
}

TEST_CASE("the kernel says why it refuses") {
    Netns ns = make_netns();
    RequestBuffer requests;
    put_route(requests, {.dst = prefix("20.0.0.0/26"), .protocol = 176, .hops = {{.gateway = ip("192.0.2.1")}}},
              Write::add);
    const auto refused = ns.socket.request(requests);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().is(ENETUNREACH));
    CHECK_THAT(refused.error().message(), Catch::Contains("nexthop") || Catch::Contains("gateway"));
}

TEST_CASE("a namespace that never had a route has an empty main table") {
    const auto scope = NetnsScope::create();
    REQUIRE(scope);
    auto socket = ok(Socket::open());
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        CHECK(ok(socket.routes({.family = family, .table = kMainTable, .protocol = 176})).empty());
        RouteDump dump = ok(RouteDump::start({.family = family, .table = kMainTable, .protocol = 176}));
        std::vector<Route> routes;
        CHECK_FALSE(ok(dump.take(routes)));
        CHECK(routes.empty());
    }
}
