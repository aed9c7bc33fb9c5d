#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "test/sim/topologies.hpp"

using namespace manul;
using namespace manul::sim;
using namespace std::chrono_literals;

TEST_CASE("ten nodes in a mesh learn each other's blocks, with the owner as next hop") {
    Network net;
    make_mesh(net, 10);
    for (std::size_t i = 0; i < 10; ++i) {
        CHECK(net.sessions(i) == 9);
        CHECK(net.kernel(i) == full_mesh_kernel(i, 10));
        CHECK(net.fib_complete(i));
    }
}

TEST_CASE("routes of internal peers are not passed on to internal peers") {
    Network net;
    make_mesh(net, 3);
    net.cut(0, 1);
    net.advance(130s);  // the restart time is over
    CHECK(net.sessions(0) == 1);
    CHECK_FALSE(net.best(0).contains(block(1)));
    CHECK(net.best(0).contains(block(2)));
    net.join(0, 1);
    net.advance(150s);
    CHECK(net.kernel(0) == full_mesh_kernel(0, 3));
}

TEST_CASE("a reflector passes routes between its clients and leaves the next hop alone") {
    Network net;
    make_reflected(net, 4, 1);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(net.sessions(i) == 1);
        CHECK(net.kernel(i) == full_mesh_kernel(i, 4));
    }
}

TEST_CASE("two reflectors of one cluster give each client two paths and loop nothing") {
    Network net;
    make_reflected(net, 3, 2);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(net.kernel(i) == full_mesh_kernel(i, 3));
        CHECK(net.paths(i).size() == 5);  // the own block once, the others through both
    }
    const std::size_t before = net.updates_received(3) + net.updates_received(4);
    net.advance(600s);
    CHECK(net.updates_received(3) + net.updates_received(4) == before);
    net.cut(0, 3);
    net.advance(130s);  // the restart time is over
    CHECK(net.kernel(0) == full_mesh_kernel(0, 3));
    net.originate(1, {});
    net.settle();
    CHECK_FALSE(net.best(0).contains(block(1)));
}

TEST_CASE("two racks: nodes of two AS numbers peer with their routers, and blocks cross between the routers") {
    Network net;
    const std::vector<std::uint32_t> as{65101, 65001, 65002, 65102};  // node, router, router, node
    for (std::size_t i = 0; i < 4; ++i) {
        net.add(name(i), {address(i) + "/24"});
    }
    for (std::size_t i = 0; i < 4; ++i) {
        Configuration configuration = make_configuration(name(i), as[i], address(i) + "/24", kPools);
        const bool router = i == 1 || i == 2;
        if (router) {
            configuration.self.cluster_id = static_cast<std::uint32_t>(i);  // lets it relay between external peers
        }
        for (std::size_t peer = 0; peer < 4; ++peer) {
            if (peer + 1 == i || i + 1 == peer) {
                configuration.peers.push_back(make_peer(address(peer), as[peer], as[i]));
                configuration.peers.back().is_node = true;
                configuration.peers.back().next_hop_mode = bgp::speaker::NextHopMode::self;
            }
        }
        net.configure(i, configuration);
        net.originate(i, router ? std::vector<std::string>{} : std::vector<std::string>{block(i)});
    }
    net.advance(60s);
    CHECK(net.best(0).at(block(3)) == "10.0.0.2 via 10.0.0.2 65001 65002 65102");
    CHECK(net.best(3).at(block(0)) == "10.0.0.3 via 10.0.0.3 65002 65001 65101");
    CHECK(net.kernel(0).at(block(3)) == "10.0.0.2");
}

TEST_CASE("a router is told own blocks with our AS, our address and MED 0, and its default route stays here") {
    Network net;
    make_routers(net, 2);
    CHECK(net.best(1).at(block(0)) == "10.0.0.1 via 10.0.0.1 64512");
    net.originate(1, {"0.0.0.0/0"});
    net.settle();
    CHECK(net.best(0).at("0.0.0.0/0") == "10.0.0.2 via 10.0.0.2 65001");
    CHECK_FALSE(net.best(2).contains("0.0.0.0/0"));
    CHECK(net.paths(1).at(1).find("med 0") != std::string::npos);
}

TEST_CASE("routes of two routers in two AS share the traffic, and only the better one is passed on") {
    Network net;
    make_routers(net, 2);
    net.originate(1, {"0.0.0.0/0"});
    net.originate(2, {"0.0.0.0/0"});
    net.settle();
    CHECK(net.kernel(0).at("0.0.0.0/0") == "10.0.0.2 10.0.0.3");
    net.cut(0, 1);
    net.advance(130s);
    CHECK(net.kernel(0).at("0.0.0.0/0") == "10.0.0.3");
    net.join(0, 1);
    net.advance(120s);
    CHECK(net.kernel(0).at("0.0.0.0/0") == "10.0.0.2 10.0.0.3");
    net.resolve(0, "10.0.0.3", 10);
    net.settle();
    CHECK(net.kernel(0).at("0.0.0.0/0") == "10.0.0.2");
    net.resolve(0, "10.0.0.2", std::nullopt);
    net.settle();
    CHECK(net.kernel(0).at("0.0.0.0/0") == "10.0.0.3");
    net.resolve(0, "10.0.0.3", std::nullopt);
    net.settle();
    CHECK_FALSE(net.kernel(0).contains("0.0.0.0/0"));
}

TEST_CASE("a path with the own AS in it is kept, shown and not used") {
    Network net;
    make_routers(net, 1);
    net.add("other", {"10.0.0.9/24"});
    Configuration other = make_configuration("other", kAs, "10.0.0.9/24", kPools);
    other.peers = {make_peer("10.0.0.2", 65001, kAs)};
    other.peers[0].is_node = true;
    net.configure(2, other);
    net.originate(2, {block(9)});
    Configuration router = make_configuration("router", 65001, "10.0.0.2/24", {"0.0.0.0/0"});
    router.self.cluster_id = 1;
    router.peers = {make_peer("10.0.0.1", kAs, 65001), make_peer("10.0.0.9", kAs, 65001)};
    for (PeerConfig& peer : router.peers) {
        peer.is_node = true;
    }
    net.configure(1, router);
    net.advance(300s);
    CHECK_FALSE(net.best(0).contains(block(9)));
    const auto paths = net[0].paths(*net::Prefix::parse(block(9)));
    REQUIRE(paths.size() == 1);
    CHECK(paths[0].verdict == "own AS in the path");
    CHECK(paths[0].as_path == "65001 64512");
}

TEST_CASE("a dual-stack mesh has a session for each family") {
    Network net;
    for (std::size_t i = 0; i < 3; ++i) {
        net.add(name(i), {address(i) + "/24", address6(i) + "/64"});
    }
    for (std::size_t i = 0; i < 3; ++i) {
        Configuration configuration = make_configuration(name(i), kAs, address(i) + "/24", kPools);
        configuration.self.v6 = net::InterfaceAddress::parse(address6(i) + "/64");
        for (std::size_t peer = 0; peer < 3; ++peer) {
            if (peer != i) {
                configuration.peers.push_back(node_peer(address(i), address(peer)));
                configuration.peers.push_back(node_peer(address6(i), address6(peer)));
            }
        }
        net.configure(i, configuration);
        net.originate(i, {block(i), block6(i)});
    }
    net.advance(60s);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(net.sessions(i) == 4);
        Routes expected = full_mesh_kernel(i, 3);
        for (std::size_t other = 0; other < 3; ++other) {
            expected[block6(other)] = other == i ? "blackhole" : address6(other);
        }
        CHECK(net.kernel(i) == expected);
    }
}

TEST_CASE("one session carries both families where the peer says so") {
    Network net;
    for (std::size_t i = 0; i < 2; ++i) {
        net.add(name(i), {address(i) + "/24", address6(i) + "/64"});
        Configuration configuration = make_configuration(name(i), kAs, address(i) + "/24", kPools);
        configuration.self.v6 = net::InterfaceAddress::parse(address6(i) + "/64");
        configuration.peers.push_back(node_peer(address(i), address(1 - i)));
        configuration.peers.back().v6 = true;
        net.configure(i, configuration);
        net.originate(i, {block(i), block6(i)});
    }
    net.advance(60s);
    CHECK(net.sessions(0) == 1);
    CHECK(net.kernel(0).at(block6(1)) == address6(1));
    CHECK(net.kernel(1).at(block(0)) == address(0));
}

TEST_CASE("a lost session takes its routes along, and they come back with it") {
    Network net;
    make_mesh(net, 4);
    net.cut(1, 3);
    net.settle();
    CHECK(net.kernel(1).contains(block(3)));  // it may be a restart
    net.advance(130s);
    CHECK_FALSE(net.kernel(1).contains(block(3)));
    CHECK(net.kernel(2) == full_mesh_kernel(2, 4));
    net.join(1, 3);
    net.advance(150s);
    CHECK(net.kernel(1) == full_mesh_kernel(1, 4));
}

TEST_CASE("a silent peer is given up when the hold time is over, not before") {
    Network net;
    make_mesh(net, 2);
    net.silence(0, 1);
    net.advance(55s);
    CHECK(net.kernel(0).contains(block(1)));
    net.advance(40s);
    CHECK(net.sessions(0) == 0);
    CHECK(net.kernel(0).contains(block(1)));  // RFC 8538: it may be a restart
    net.advance(120s);
    CHECK_FALSE(net.kernel(0).contains(block(1)));
    CHECK(net.reports(0).back().find("hold timer") != std::string::npos);
    net.join(0, 1);
    net.advance(300s);
    CHECK(net.kernel(0) == full_mesh_kernel(0, 2));
}

TEST_CASE("idle sessions stay up for hours and send keepalives alone") {
    Network net;
    make_mesh(net, 3);
    const std::size_t before = net.updates_received(0);
    net.advance(4h);
    CHECK(net.sessions(0) == 2);
    CHECK(net.updates_received(0) == before);
}

TEST_CASE("a router that restarts learns and is learned again") {
    Network net;
    make_mesh(net, 4);
    const auto since = net[2].peers()[0].since;
    net.advance(5s);
    net.reboot(2);
    CHECK(net.kernel(2).empty());
    CHECK(net[2].peers()[0].since != since);
    net.advance(150s);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(net.kernel(i) == full_mesh_kernel(i, 4));
    }
}

TEST_CASE("both ends that connect at once keep one connection") {
    Network net;
    make_mesh(net, 5);
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(net.sessions(i) == 4);
        for (const std::string& report : net.reports(i)) {
            CHECK(report.find("idle removed") == std::string::npos);
        }
    }
    net.advance(600s);
    CHECK(net.sessions(0) == 4);
}

TEST_CASE("route refresh brings the whole table again, and nothing changes by it") {
    Network net;
    make_mesh(net, 3);
    const auto before = net.paths(0);
    const std::size_t updates = net.updates_received(0);
    net.command(0, {PeerCommand::What::refresh_in, std::nullopt, ""});
    net.settle();
    CHECK(net.updates_received(0) == updates + 2);  // one block of each peer, between marks (RFC 7313)
    CHECK(net.paths(0) == before);
}

TEST_CASE("an operator's shutdown lasts until it is taken back, a reset does not last") {
    Network net;
    make_mesh(net, 2);
    net.command(0, {PeerCommand::What::shutdown, *net::Ip::parse(address(1)), "maintenance"});
    net.advance(600s);
    CHECK(net.sessions(0) == 0);
    CHECK(net[1].peers()[0].last_error.find("maintenance") != std::string::npos);
    net.command(0, {PeerCommand::What::enable, std::nullopt, ""});
    net.advance(150s);
    CHECK(net.sessions(0) == 1);
    const auto since = net[0].peers()[0].since;
    net.command(0, {PeerCommand::What::reset, std::nullopt, ""});
    CHECK(net.sessions(0) == 0);
    net.advance(150s);
    CHECK(net[0].peers()[0].since > since);
    CHECK(net.kernel(1) == full_mesh_kernel(1, 2));
}
