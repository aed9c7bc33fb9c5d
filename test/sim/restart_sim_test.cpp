#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "bgpd/wire/community.hpp"
#include "test/sim/scripted.hpp"
#include "test/sim/topologies.hpp"

// Graceful restart (RFC 4724, 8538, 9494): what restarts, and what helps.

using namespace manul;
using namespace manul::sim;
using namespace std::chrono_literals;
using Lines = std::vector<std::string>;

namespace {

/// Fails as soon as a kernel of the mesh lacks a route that packets need.
void watch_mesh(Network& net, std::size_t count) {
    net.on_kernel = [&net, count] {
        for (std::size_t i = 0; i < count; ++i) {
            if (net.kernel(i) != full_mesh_kernel(i, count)) {
                FAIL("node " << i << " lost a route");
            }
        }
    };
}

constexpr const char* kPeer = "192.0.2.2";
constexpr const char* kOther = "192.0.2.3";

Configuration one_router() {
    Configuration configuration = make_configuration("node", kAs, "192.0.2.1/24", {"0.0.0.0/0"});
    configuration.peers = {make_peer(kPeer, 65001, kAs), make_peer(kOther, kAs, kAs)};
    return configuration;
}

/// A router that restarts without losing packets, and is back in 100 seconds.
wire::Open restarting_router(bool forwarding = true, bool notification = true) {
    wire::Open open = make_open(65001, kPeer);
    open.capabilities.route_refresh = true;
    open.capabilities.enhanced_route_refresh = true;
    open.capabilities.graceful_restart =
        wire::GracefulRestart{false, notification, 100, {{wire::AfiSafi::of(net::Family::v4), forwarding}}};
    return open;
}

const Bytes kTwoRoutes = announcement(attributes({65001}), kPeer, {"10.1.0.0/24", "10.2.0.0/24"});
const Bytes kOneRoute = announcement(attributes({65001}), kPeer, {"10.1.0.0/24"});

}  // namespace

TEST_CASE("no kernel loses a route while a node dies and starts again") {
    Network net;
    make_mesh(net, 4);
    watch_mesh(net, 4);
    for (const bool orderly : {false, true}) {
        orderly ? net.terminate(1) : net.kill(1);
        net.advance(5s);
        CHECK(net.kernel(0) == full_mesh_kernel(0, 4));
        CHECK(net[0].peers()[0].v4.stale);
        net.start(1);
        net.advance(20s);
        CHECK(net.sessions(1) == 3);
        CHECK(net.fib_complete(1));
        CHECK_FALSE(net[0].peers()[0].v4.stale);
        CHECK(net.best(0).contains(block(1)));
        net.advance(200s);
    }
    net.on_kernel = nullptr;
}

TEST_CASE("SIGTERM tells peers that know RFC 8538, and others get no NOTIFICATION") {
    Scripted node(one_router());
    node.connect(kPeer, restarting_router());
    node.connect(kOther, [] {
        wire::Open open = make_open(kAs, kOther);
        open.capabilities.graceful_restart = wire::GracefulRestart{false, false, 100, {}};
        return open;
    }());
    REQUIRE(node.up(kPeer));
    REQUIRE(node.up(kOther));
    static_cast<void>(node.heard(kPeer));
    static_cast<void>(node.heard(kOther));
    node.finish();
    CHECK(node.heard(kPeer) == Lines{"notification 6/4"});
    CHECK(node.heard(kOther).empty());
}

TEST_CASE("leaving takes everything back at once, with a hard reset and words, until it is ended") {
    Network net;
    make_mesh(net, 3);
    net.command(0, {PeerCommand::What::leave, std::nullopt, "new disks"});
    net.settle();
    CHECK(net.kernel(0).empty());
    CHECK_FALSE(net.kernel(1).contains(block(0)));
    CHECK(net[1].peers()[0].last_error.find("new disks") != std::string::npos);
    net.originate(0, {block(0), block(7)});
    net.advance(600s);
    CHECK(net.sessions(0) == 0);
    CHECK(net.kernel(0).empty());
    net.command(0, {PeerCommand::What::enable, std::nullopt, ""});
    net.advance(150s);
    CHECK(net.kernel(1).contains(block(0)));
    CHECK(net.kernel(0).contains(block(7)));
}

TEST_CASE("what a node forgets while it restarts leaves the peers with End-of-RIB, and the kernel when all is known") {
    Network net;
    make_mesh(net, 3);
    net.kill(1);
    net.originate(1, {});
    net.originate(2, {});
    net.settle();
    CHECK(net.kernel(0).contains(block(1)));
    CHECK(net.kernel(1).contains(block(2)));
    net.start(1);
    net.advance(30s);
    CHECK_FALSE(net.kernel(0).contains(block(1)));
    CHECK_FALSE(net.kernel(1).contains(block(2)));
    CHECK(net.kernel(1).contains(block(0)));
}

TEST_CASE("a peer that does not come back is waited for as long as it asked") {
    Network net;
    make_mesh(net, 2);
    net.kill(1);
    net.advance(119s);
    CHECK(net.kernel(0).contains(block(1)));
    net.advance(2s);
    CHECK_FALSE(net.kernel(0).contains(block(1)));
    net.start(1);
    net.advance(150s);
    CHECK(net.kernel(0) == full_mesh_kernel(0, 2));
}

TEST_CASE("routes of a node that lost its kernel's state are dropped when it is back, others with End-of-RIB") {
    for (const bool reboots : {true, false}) {
        Network net;
        make_mesh(net, 3);
        net.kill(1);
        net.cut(1, 2);  // makes it defer its End-of-RIB
        net.settle();
        reboots ? net.reboot(1) : net.start(1);
        net.advance(10s);
        REQUIRE(net.established(0, address(1)));
        if (!reboots) {
            CHECK(net.kernel(0).contains(block(1)));
            CHECK(net[0].peers()[0].v4.stale);
            net.advance(30s);
        }
        CHECK_FALSE(net[0].peers()[0].v4.stale);
        CHECK(net.best(0).contains(block(1)));
    }
}

TEST_CASE("a restarted node selects nothing until its peers' tables are there, or for 30 seconds without a peer") {
    Network net;
    make_mesh(net, 3);
    net.kill(1);
    net.cut(1, 2);
    net.start(1);
    net.advance(20s);
    CHECK(net.established(1, address(0)));
    CHECK(net.best(1).empty());
    CHECK(net.kernel(1) == full_mesh_kernel(1, 3));
    net.advance(15s);
    CHECK(net.best(1).contains(block(0)));
    CHECK(net.kernel(1) == full_mesh_kernel(1, 3));  // of the missing peer, too: its restart may take longer
    net.advance(90s);
    CHECK_FALSE(net.kernel(1).contains(block(2)));
    CHECK(net.fib_complete(1));
}

TEST_CASE("what has come in while selection waited is selected in parts, and told whole") {
    constexpr std::size_t kRoutes = 40'000;
    Scripted node(one_router(), {net::Family::v4});
    std::vector<std::string> prefixes;
    for (std::size_t i = 0; i < kRoutes; ++i) {
        prefixes.push_back("20." + std::to_string(i / 256 / 256) + "." + std::to_string(i / 256 % 256) + "." +
                           std::to_string(i % 256) + "/32");
    }
    node.connect(kPeer, restarting_router());
    node.connect(kOther, make_open(kAs, kOther));
    node.send(kPeer, announcement(attributes({65001}), kPeer, prefixes));
    CHECK(node.kernel().empty());
    static_cast<void>(node.heard(kOther));
    node.send(kPeer, end_of_rib());
    CHECK(node.kernel().size() == kRoutes);
    CHECK(node.largest_batch() < kRoutes / 2);
    const auto told = node.heard(kOther);
    CHECK(std::ranges::count_if(told, [](const std::string& line) { return line.starts_with("announce"); }) == kRoutes);
}

TEST_CASE("nodes that restart together do not wait for each other") {
    Network net;
    make_mesh(net, 4);
    watch_mesh(net, 4);
    for (std::size_t i = 0; i < 4; ++i) {
        net.kill(i);
    }
    for (std::size_t i = 0; i < 4; ++i) {
        net.start(i);
    }
    net.advance(15s);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(net.best(i).size() == 4);
        CHECK(net.fib_complete(i));
    }
    net.on_kernel = nullptr;
}

TEST_CASE("the OPEN says whether this is a restart, and what the kernel has kept") {
    const auto restart_of = [](wire::FamilySet in_kernel) {
        Configuration configuration = one_router();
        configuration.peers[0].v6 = true;
        Scripted node(configuration, in_kernel);
        node.connect(kPeer, make_open(65001, kPeer));
        static_cast<void>(node.heard(kPeer));
        return *node.open_of(kPeer).capabilities.graceful_restart;
    };
    const auto fresh = restart_of({});
    CHECK_FALSE(fresh.restarting);
    CHECK(fresh.notification);
    CHECK(fresh.seconds == 120);
    CHECK(fresh.has(net::Family::v6));
    CHECK_FALSE(fresh.forwarding_kept(net::Family::v4));
    const auto again = restart_of({net::Family::v4});
    CHECK(again.restarting);
    CHECK(again.forwarding_kept(net::Family::v4));
    CHECK_FALSE(again.forwarding_kept(net::Family::v6));
}

TEST_CASE("stale routes: kept, replaced, swept") {
    Scripted node(one_router());
    node.connect(kPeer, restarting_router());
    node.send(kPeer, kTwoRoutes);
    node.send(kPeer, end_of_rib());
    const Routes both{{"10.1.0.0/24", kPeer}, {"10.2.0.0/24", kPeer}};
    REQUIRE(node.kernel() == both);

    SECTION("a route that comes again stays, one that does not goes with End-of-RIB") {
        node.close(kPeer);
        CHECK(node.kernel() == both);
        CHECK(node.status(kPeer).v4.stale);
        CHECK(node.status(kPeer).v4.received == 2);
        node.connect(kPeer, restarting_router());
        node.send(kPeer, kOneRoute);
        CHECK(node.kernel() == both);
        node.send(kPeer, end_of_rib());
        CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}});
        CHECK(node.status(kPeer).v4.received == 1);
    }
    SECTION("without the forwarding bit all go at once") {
        node.close(kPeer);
        node.connect(kPeer, restarting_router(false));
        CHECK(node.kernel().empty());
    }
    SECTION("without the capability all go at once") {
        node.close(kPeer);
        node.connect(kPeer, make_open(65001, kPeer));
        CHECK(node.kernel().empty());
    }
    SECTION("another identifier is another router") {
        node.close(kPeer);
        wire::Open open = restarting_router();
        open.identifier = *net::RouterId::make(7);
        node.connect(kPeer, open);
        CHECK(node.kernel().empty());
    }
    SECTION("the restart time is the peer's") {
        node.close(kPeer);
        node.advance(99s);
        CHECK(node.kernel() == both);
        node.advance(2s);
        CHECK(node.kernel().empty());
    }
    SECTION("End-of-RIB that never comes is not waited for without end") {
        node.close(kPeer);
        node.connect(kPeer, restarting_router());
        node.advance(340s);
        CHECK(node.kernel() == both);
        node.send(kPeer, kOneRoute);
        node.advance(30s);
        CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}});
    }
    SECTION("what was stale before a second restart goes, what is newer stays") {
        node.close(kPeer);
        node.connect(kPeer, restarting_router());
        node.send(kPeer, kOneRoute);
        node.close(kPeer);
        CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}});
    }
    SECTION("a Cease keeps the routes with RFC 8538") {
        Bytes cease;
        wire::encode_notification(wire::make_cease(wire::cease::kAdministrativeReset), cease);
        node.send(kPeer, cease);
        CHECK(node.kernel() == both);
    }
    SECTION("a hard reset keeps none") {
        Bytes cease;
        wire::encode_notification(wire::make_hard_reset(wire::make_cease(wire::cease::kAdministrativeReset)), cease);
        node.send(kPeer, cease);
        CHECK(node.kernel().empty());
    }
    SECTION("a hold timer that runs out keeps them with RFC 8538") {
        node.silence(kPeer);
        node.advance(95s);
        CHECK(node.kernel() == both);
        CHECK_FALSE(node.up(kPeer));
    }
    SECTION("a peer that is taken away takes its stale routes along") {
        node.close(kPeer);
        Configuration configuration = one_router();
        configuration.peers.erase(configuration.peers.begin());
        node.configure(configuration);
        CHECK(node.kernel().empty());
    }
    SECTION("an operator's shutdown takes them along") {
        node.close(kPeer);
        node.command({PeerCommand::What::shutdown, *net::Ip::parse(kPeer), ""});
        CHECK(node.kernel().empty());
    }
    SECTION("a path of another peer replaces a stale one only if it is better") {
        node.connect(kOther, make_open(kAs, kOther));
        wire::PathAttributes worse = attributes({65009, 65010});
        worse.local_pref = 100;
        node.send(kOther, announcement(worse, kOther, {"10.1.0.0/24"}));
        node.close(kPeer);
        CHECK(node.kernel() == both);
        node.advance(101s);
        CHECK(node.kernel() == Routes{{"10.1.0.0/24", kOther}});
    }
}

TEST_CASE("routes of a family that is not spoken any more go at once, whatever the peer says of forwarding") {
    Configuration configuration = one_router();
    configuration.peers[0].v6 = true;
    Scripted node(configuration);
    wire::Open open = restarting_router();
    open.capabilities.multiprotocol.push_back(wire::AfiSafi::of(net::Family::v6));
    open.capabilities.graceful_restart->families.push_back({wire::AfiSafi::of(net::Family::v6), true});
    node.connect(kPeer, open);
    node.send(kPeer, kTwoRoutes);
    node.send(kPeer, announcement(attributes({65001}), "2001:db8::2", {"2001:db8:1::/48"}));
    REQUIRE(node.kernel().size() == 3);
    SECTION("by the peer") {
        open.capabilities.multiprotocol.pop_back();
        node.close(kPeer);
        CHECK(node.kernel().size() == 3);
    }
    SECTION("by the node") {
        configuration.peers[0].v6 = false;
        node.configure(configuration);
        CHECK(node.kernel().size() == 3);
    }
    node.connect(kPeer, open);
    REQUIRE(node.up(kPeer));
    CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}, {"10.2.0.0/24", kPeer}});
}

TEST_CASE("without RFC 8538 on the peer's side a NOTIFICATION ends the routes, too") {
    Scripted node(one_router());
    node.connect(kPeer, restarting_router(true, false));
    node.send(kPeer, kTwoRoutes);
    Bytes cease;
    wire::encode_notification(wire::make_cease(wire::cease::kAdministrativeReset), cease);
    SECTION("received") { node.send(kPeer, cease); }
    SECTION("sent when the hold timer runs out") {
        node.silence(kPeer);
        node.advance(95s);
    }
    CHECK(node.kernel().empty());
}

TEST_CASE("long-lived stale routes are the last resort, are marked, and are told to those alone who know the mark") {
    Configuration configuration = one_router();
    configuration.peers.push_back(make_peer("192.0.2.4", kAs, kAs));
    Scripted node(configuration);
    wire::Open open = restarting_router();
    open.capabilities.long_lived_restart = wire::LongLivedRestart{{{wire::AfiSafi::of(net::Family::v4), true, 1000}}};
    wire::Open knows = make_open(kAs, kOther);
    knows.capabilities.graceful_restart = wire::GracefulRestart{};
    knows.capabilities.long_lived_restart = wire::LongLivedRestart{};
    node.connect(kPeer, open);
    node.connect(kOther, knows);
    node.connect("192.0.2.4", make_open(kAs, "192.0.2.4"));
    wire::PathAttributes not_long = attributes({65001});
    not_long.add(wire::kNoLlgr);
    node.send(kPeer, kTwoRoutes);
    node.send(kPeer, announcement(not_long, kPeer, {"10.3.0.0/24"}));
    static_cast<void>(node.heard(kOther));
    static_cast<void>(node.heard("192.0.2.4"));

    node.close(kPeer);
    node.advance(99s);
    CHECK(node.kernel().size() == 3);
    node.advance(2s);
    CHECK(node.kernel().size() == 2);  // NO_LLGR has gone
    const Lines told = node.heard(kOther);
    CHECK(std::ranges::count(told, "withdraw 10.3.0.0/24") == 1);
    CHECK(std::ranges::count(told, "announce 10.1.0.0/24 via 192.0.2.2 path 65001 pref 100 [llgr-stale]") == 1);
    const Lines withdrawn = node.heard("192.0.2.4");
    CHECK(std::ranges::count(withdrawn, "withdraw 10.1.0.0/24") == 1);

    wire::PathAttributes worse = attributes({65009, 65010, 65011});
    worse.local_pref = 1;
    node.send(kOther, announcement(worse, kOther, {"10.1.0.0/24"}));
    CHECK(node.kernel().at("10.1.0.0/24") == kOther);

    SECTION("they go when that time is over, too") {
        node.advance(998s);
        CHECK(node.kernel().contains("10.2.0.0/24"));
        node.advance(3s);
        CHECK_FALSE(node.kernel().contains("10.2.0.0/24"));
    }
    SECTION("they are replaced when the peer is back") {
        node.connect(kPeer, open);
        CHECK(node.kernel().contains("10.2.0.0/24"));
        node.send(kPeer, kOneRoute);
        node.send(kPeer, end_of_rib());
        CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}});
    }
    SECTION("they go when it is back and did not forward meanwhile") {
        open.capabilities.long_lived_restart->families[0].forwarding_kept = false;
        node.connect(kPeer, open);
        CHECK_FALSE(node.kernel().contains("10.2.0.0/24"));
    }
}

TEST_CASE("a received LLGR_STALE makes a route the last resort") {
    Scripted node(one_router());
    node.connect(kPeer, restarting_router());
    node.connect(kOther, make_open(kAs, kOther));
    wire::PathAttributes stale = attributes({65001});
    stale.add(wire::kLlgrStale);
    wire::PathAttributes worse = attributes({65009, 65010, 65011});
    worse.local_pref = 1;
    node.send(kPeer, announcement(stale, kPeer, {"10.1.0.0/24"}));
    node.send(kOther, announcement(worse, kOther, {"10.1.0.0/24"}));
    CHECK(node.kernel().at("10.1.0.0/24") == kOther);
    CHECK(node.paths("10.1.0.0/24")[1] == std::string(kPeer) + " kept for long without its origin");
}

TEST_CASE("a table that is sent again between marks replaces the one before (RFC 7313)") {
    Scripted node(one_router());
    node.connect(kPeer, restarting_router());
    node.send(kPeer, kTwoRoutes);
    SECTION("marks before End-of-RIB mean nothing") {
        node.send(kPeer, refresh(1));
        node.send(kPeer, refresh(2));
        CHECK(node.kernel().size() == 2);
        return;
    }
    node.send(kPeer, end_of_rib());
    node.send(kPeer, refresh(1));
    node.send(kPeer, kOneRoute);
    CHECK(node.kernel().size() == 2);
    SECTION("what did not come again goes at the end") {
        node.send(kPeer, refresh(2));
        CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}});
    }
    SECTION("an end that never comes is not waited for without end") {
        node.advance(380s);
        CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}});
    }
    SECTION("a peer that begins again before the end has lost nothing by it") {
        node.send(kPeer, refresh(1));
        CHECK(node.kernel().size() == 2);
        node.send(kPeer, kOneRoute);
        node.send(kPeer, refresh(2));
        CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}});
    }
    SECTION("a restart before the end keeps what had not come again") {
        node.close(kPeer);
        CHECK(node.kernel().size() == 2);
        node.connect(kPeer, restarting_router());
        CHECK(node.kernel().size() == 2);
        node.send(kPeer, kOneRoute);
        node.send(kPeer, end_of_rib());
        CHECK(node.kernel() == Routes{{"10.1.0.0/24", kPeer}});
    }
    SECTION("unknown subtypes are ignored") {
        node.send(kPeer, refresh(9));
        CHECK(node.up(kPeer));
    }
}

TEST_CASE("a peer that asks for the table gets it between marks, one without the capability without") {
    for (const bool enhanced : {true, false}) {
        Scripted node(one_router());
        wire::Open open = restarting_router();
        open.capabilities.enhanced_route_refresh = enhanced;
        node.connect(kPeer, open);
        node.originate({"10.9.0.0/26"});
        static_cast<void>(node.heard(kPeer));
        node.send(kPeer, refresh(0));
        const std::string route = "announce 10.9.0.0/26 via 192.0.2.1 path 64512";
        CHECK(node.heard(kPeer) == (enhanced ? Lines{"refresh begin v4", route, "refresh end v4"} : Lines{route}));
    }
}

TEST_CASE("BFD that goes down ends the session and its routes, or keeps them where the operator wants that") {
    for (const bool graceful : {false, true}) {
        Configuration configuration = one_router();
        configuration.peers[0].bfd.emplace().graceful = graceful;
        Scripted node(configuration);
        node.connect(kPeer, restarting_router());
        node.send(kPeer, kTwoRoutes);
        static_cast<void>(node.heard(kPeer));
        node.bfd(kPeer, false);
        CHECK_FALSE(node.up(kPeer));
        CHECK(node.kernel().size() == (graceful ? 2 : 0));
        CHECK(node.heard(kPeer) == (graceful ? Lines{} : Lines{"notification 6/9 6/10"}));
    }
}

TEST_CASE("a peer near its maximum is warned about, and one beyond it is sent away for a minute") {
    Configuration configuration = one_router();
    configuration.peers[0].max_prefixes = 10;
    Scripted node(configuration);
    node.connect(kPeer, make_open(65001, kPeer));
    const auto announce = [&](int from, int to) {
        std::vector<std::string> prefixes;
        for (int i = from; i < to; ++i) {
            prefixes.push_back("10." + std::to_string(i) + ".0.0/16");
        }
        node.send(kPeer, announcement(attributes({65001}), kPeer, prefixes));
    };
    announce(0, 8);
    CHECK(node.warnings().empty());
    announce(8, 10);
    CHECK(node.warnings() == Lines{"192.0.2.2 10 of 10"});
    CHECK(node.up(kPeer));
    static_cast<void>(node.heard(kPeer));
    announce(10, 11);
    CHECK(node.heard(kPeer) == Lines{"notification 6/1"});
    CHECK(node.kernel().empty());
    node.advance(30s);
    node.connect(kPeer, make_open(65001, kPeer));
    CHECK_FALSE(node.up(kPeer));
    node.advance(31s);
    node.connect(kPeer, make_open(65001, kPeer));
    CHECK(node.up(kPeer));
}

TEST_CASE("routes that are stale do not count towards the maximum, as long as they are not gathered") {
    Configuration configuration = one_router();
    configuration.peers[0].max_prefixes = 10;
    Scripted node(configuration);
    const auto announce = [&](int from, int to) {
        std::vector<std::string> prefixes;
        for (int i = from; i < to; ++i) {
            prefixes.push_back("10." + std::to_string(i) + ".0.0/16");
        }
        node.send(kPeer, announcement(attributes({65001}), kPeer, prefixes));
    };
    node.connect(kPeer, restarting_router());
    announce(0, 10);
    node.send(kPeer, end_of_rib());
    SECTION("a peer that comes back with another table") {
        node.close(kPeer);
        node.connect(kPeer, restarting_router());
        announce(5, 15);
        REQUIRE(node.up(kPeer));
        CHECK(node.kernel().size() == 15);
        node.send(kPeer, end_of_rib());
        CHECK(node.kernel().size() == 10);
        announce(15, 16);
        CHECK_FALSE(node.up(kPeer));
    }
    SECTION("a refresh that brings another table") {
        node.send(kPeer, refresh(1));
        announce(5, 15);
        REQUIRE(node.up(kPeer));
        SECTION("and ends") {
            node.send(kPeer, refresh(2));
            announce(15, 16);
            CHECK_FALSE(node.up(kPeer));
        }
        SECTION("and begins again for ever") {
            node.send(kPeer, refresh(1));
            announce(15, 20);
            REQUIRE(node.up(kPeer));
            announce(20, 21);
            CHECK_FALSE(node.up(kPeer));
        }
    }
    SECTION("withdrawals of stale and of new routes") {
        node.close(kPeer);
        node.connect(kPeer, restarting_router());
        announce(10, 20);
        node.send(kPeer, withdrawal({"10.0.0.0/16", "10.10.0.0/16"}));
        announce(20, 21);
        REQUIRE(node.up(kPeer));
        announce(21, 22);
        CHECK_FALSE(node.up(kPeer));
    }
}
