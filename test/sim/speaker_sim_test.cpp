#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "test/sim/network.hpp"

namespace {

using namespace manul;
using namespace std::chrono_literals;
using bgp::speaker::Configuration;
using bgp::speaker::PeerCommand;
using bgp::speaker::PeerConfig;
using bgp::speaker::PeerStatus;
using sim::make_configuration;
using sim::make_peer;
using sim::Network;
using Routes = std::map<std::string, std::string>;

constexpr std::uint32_t kAs = 64512;
const std::vector<std::string> kPools{"10.244.0.0/16", "2001:db8:244::/48"};

std::string address(std::size_t node) { return "10.0.0." + std::to_string(node + 1); }
std::string address6(std::size_t node) { return "2001:db8::" + std::to_string(node + 1); }
std::string block(std::size_t node) { return "10.244." + std::to_string(node) + ".0/26"; }
std::string block6(std::size_t node) { return "2001:db8:244:" + std::to_string(node + 1) + "::/122"; }
std::string name(std::size_t node) { return "node-" + std::to_string(node); }

PeerConfig node_peer(const std::string& local, const std::string& remote) {
    PeerConfig peer = make_peer(remote, kAs, kAs);
    peer.local_address = *net::Ip::parse(local);
    peer.is_node = true;
    return peer;
}

/// A mesh of nodes in one AS on one link, each with one block.
void make_mesh(Network& net, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        net.add(name(i), {address(i) + "/24"});
    }
    for (std::size_t i = 0; i < count; ++i) {
        Configuration configuration = make_configuration(name(i), kAs, address(i) + "/24", kPools);
        for (std::size_t peer = 0; peer < count; ++peer) {
            if (peer != i) {
                configuration.peers.push_back(node_peer(address(i), address(peer)));
            }
        }
        net.configure(i, configuration);
        net.originate(i, {block(i)});
    }
    net.advance(60s);
}

/// Nodes 0..clients-1 are clients of one or two reflectors behind them, all in one AS.
void make_reflected(Network& net, std::size_t clients, std::size_t reflectors) {
    for (std::size_t i = 0; i < clients + reflectors; ++i) {
        net.add(name(i), {address(i) + "/24"});
    }
    for (std::size_t i = 0; i < clients + reflectors; ++i) {
        Configuration configuration = make_configuration(name(i), kAs, address(i) + "/24", kPools);
        const bool reflector = i >= clients;
        if (reflector) {
            configuration.self.cluster_id = 7;
        }
        for (std::size_t peer = 0; peer < clients + reflectors; ++peer) {
            if (peer == i || (!reflector && peer < clients)) {
                continue;
            }
            configuration.peers.push_back(node_peer(address(i), address(peer)));
            configuration.peers.back().reflector_client = reflector && peer < clients;
        }
        net.configure(i, configuration);
        if (!reflector) {
            net.originate(i, {block(i)});
        } else {
            net.originate(i, {});
        }
    }
    net.advance(60s);
}

/// One node (0, AS 64512) and routers (AS 65001 and up) that it peers with.
void make_routers(Network& net, std::size_t routers) {
    net.add("node", {"10.0.0.1/24"});
    Configuration node = make_configuration("node", kAs, "10.0.0.1/24", kPools);
    for (std::size_t i = 1; i <= routers; ++i) {
        const auto as = static_cast<std::uint32_t>(65000 + i);
        net.add("router-" + std::to_string(i), {address(i) + "/24"});
        node.peers.push_back(make_peer(address(i), as, kAs));
        Configuration router = make_configuration("router", as, address(i) + "/24", {"0.0.0.0/0"});
        router.peers = {make_peer("10.0.0.1", kAs, as)};
        net.configure(i, router);
    }
    net.configure(0, node);
    net.originate(0, {block(0)});
    net.advance(60s);
}

Routes full_mesh_kernel(std::size_t self, std::size_t count) {
    Routes expected;
    for (std::size_t other = 0; other < count; ++other) {
        expected[block(other)] = other == self ? "blackhole" : address(other);
    }
    return expected;
}

}  // namespace

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
    net.advance(10s);
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
    net.advance(5s);
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
    net.advance(1s);
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
    CHECK_FALSE(net.kernel(0).contains(block(1)));
    CHECK(net.sessions(0) == 0);
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
    net.restart(2);
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
    CHECK(net.updates_received(0) == updates + 4);  // from two peers: one block and End-of-RIB
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

TEST_CASE("peers that are added, changed and removed concern nobody else") {
    Network net;
    make_mesh(net, 3);
    Configuration configuration = make_configuration(name(0), kAs, address(0) + "/24", kPools);
    configuration.peers = {node_peer(address(0), address(1))};
    net.configure(0, configuration);
    net.advance(10s);
    CHECK(net.sessions(0) == 1);
    CHECK_FALSE(net.kernel(2).contains(block(0)));
    CHECK(net[2].peers()[0].last_error.find("De-configured") != std::string::npos);
    const auto since = net[0].peers()[0].since;
    configuration.peers.push_back(node_peer(address(0), address(2)));
    net.configure(0, configuration);
    net.advance(150s);
    CHECK(net.sessions(0) == 2);
    CHECK(net[0].peers()[0].since == since);
    configuration.peers[1].hold_time = 30s;
    net.configure(0, configuration);
    net.advance(150s);
    CHECK(net[0].peers()[0].since == since);
    CHECK(net[0].peers()[1].hold_time == 30s);
    CHECK(net.kernel(2) == full_mesh_kernel(2, 3));
}

TEST_CASE("a peer whose password cannot be found stays down and says why") {
    Network net;
    make_mesh(net, 2);
    Configuration configuration = make_configuration(name(0), kAs, address(0) + "/24", kPools);
    configuration.peers = {node_peer(address(0), address(1))};
    configuration.peers[0].password = bgp::speaker::Password{"bgp", "key", std::nullopt};
    net.configure(0, configuration);
    net.advance(300s);
    CHECK(net.sessions(0) == 0);
    CHECK(net[0].peers()[0].last_error == "no password found: secret bgp, key key");
    configuration.peers[0].password->value = "secret";
    net.configure(0, configuration);
    net.advance(150s);
    CHECK(net.sessions(0) == 1);
}

TEST_CASE("blocks come and go, and only what changed is sent") {
    Network net;
    make_mesh(net, 3);
    const std::size_t before = net.updates_received(1);
    net.originate(0, {block(0), "10.244.100.0/26"});
    net.settle();
    CHECK(net.updates_received(1) == before + 1);
    CHECK(net.kernel(1).at("10.244.100.0/26") == address(0));
    net.originate(0, {"10.244.100.0/26", "10.244.1.5/32"});
    net.settle();
    CHECK_FALSE(net.kernel(2).contains(block(0)));
    CHECK(net.kernel(1).at("10.244.1.5/32") == address(0));  // inside an own block: borrowed by another node
    CHECK_FALSE(net.kernel(0).contains("10.244.1.5/32"));
}

TEST_CASE("an own block stays ours when another node claims it too") {
    Network net;
    make_mesh(net, 3);
    net.originate(1, {block(1), block(0)});
    net.settle();
    CHECK(net.kernel(0).at(block(0)) == "blackhole");
    CHECK(net.best(0).at(block(0)) == "local");
    net.originate(0, {});
    net.settle();
    CHECK(net.kernel(0).at(block(0)) == address(1));
}

TEST_CASE("ranges that are kept from the kernel are learned but not programmed") {
    Network net;
    make_mesh(net, 2);
    Configuration configuration = make_configuration(name(0), kAs, address(0) + "/24", kPools);
    configuration.peers = {node_peer(address(0), address(1))};
    configuration.kept_from_kernel = {*net::Prefix::parse("10.244.1.0/24")};
    net.configure(0, configuration);
    net.settle();
    CHECK(net.best(0).contains(block(1)));
    CHECK(net.kernel(0) == Routes{{block(0), "blackhole"}});
    configuration.kept_from_kernel.clear();
    net.configure(0, configuration);
    net.settle();
    CHECK(net.kernel(0) == full_mesh_kernel(0, 2));
}

TEST_CASE("a pool that leaves BGP takes relayed routes back from the routers") {
    Network net;
    make_mesh(net, 2);
    net.add("router", {"10.0.0.9/24"});
    Configuration router = make_configuration("router", 65000, "10.0.0.9/24", {});
    router.peers = {make_peer(address(0), kAs, 65000)};
    net.configure(2, router);
    Configuration configuration = make_configuration(name(0), kAs, address(0) + "/24", kPools);
    configuration.peers = {node_peer(address(0), address(1)), make_peer("10.0.0.9", 65000, kAs)};
    net.configure(0, configuration);
    net.advance(120s);
    CHECK(net.best(2).at(block(0)) == "10.0.0.1 via 10.0.0.1 64512");
    CHECK(net.best(2).at(block(1)) == "10.0.0.1 via 10.0.0.2 64512");  // the owner is on the router's link
    configuration.relayable.clear();
    net.configure(0, configuration);
    net.settle();
    CHECK(net.best(2).contains(block(0)));
    CHECK_FALSE(net.best(2).contains(block(1)));
    configuration.relayable = {*net::Prefix::parse("10.244.0.0/16")};
    net.configure(0, configuration);
    net.settle();
    CHECK(net.best(2).contains(block(1)));
}

TEST_CASE("more prefixes than allowed end the session") {
    Network net;
    make_mesh(net, 2);
    Configuration configuration = make_configuration(name(0), kAs, address(0) + "/24", kPools);
    configuration.peers = {node_peer(address(0), address(1))};
    configuration.peers[0].max_prefixes = 3;
    net.configure(0, configuration);
    net.settle();
    CHECK(net.sessions(0) == 1);
    net.originate(1, {"10.244.1.0/26", "10.244.2.0/26", "10.244.3.0/26", "10.244.4.0/26"});
    net.settle();
    CHECK(net.sessions(0) == 0);
    CHECK(net[1].peers()[0].last_error.find("Maximum Number of Prefixes") != std::string::npos);
}

TEST_CASE("a table of many thousand routes is dumped in slices to peers that join, and taken back in slices") {
    Network net;
    make_mesh(net, 3);
    std::vector<std::string> many;
    for (int i = 0; i < 20'000; ++i) {
        many.push_back("10.244." + std::to_string(i / 256) + "." + std::to_string(i % 256) + "/32");
    }
    net.originate(0, many);
    net.settle();
    CHECK(net.kernel(1).size() == 20'002);
    net.restart(2);
    net.advance(150s);
    CHECK(net.kernel(2).size() == 20'002);
    net.cut(0, 1);
    net.settle();
    CHECK(net.kernel(1).size() == 2);
}

TEST_CASE("a slow reader gets the newest state once it reads, and holds nobody back") {
    Network net;
    make_mesh(net, 3);
    net.set_window(2, 500, 1000);
    std::vector<std::string> many{block(0)};
    const auto grow = [&](int from, int to) {
        for (int i = from; i < to; ++i) {
            many.push_back("10.244." + std::to_string(100 + i / 256 % 100) + "." + std::to_string(i % 256) + "/32");
        }
        net.originate(0, many);
        net.settle();
    };
    for (int i = 0; i < 10; ++i) {
        many.assign({block(0)});
        grow(0, 1'000);
        many.assign({block(0), block(5)});
        net.originate(0, many);
        net.settle();
    }
    many.assign({block(0), block(6)});
    grow(0, 300);
    CHECK(net.kernel(1).size() == 304);  // own, two of node 0, node 2's, and 300
    CHECK(net.wire(0, 2).size() < net.wire(0, 1).size() / 2);
    for (int i = 0; i < 200; ++i) {
        net.drain(2);
        net.settle();
    }
    CHECK(net.kernel(2) == [&] {
        Routes expected = net.kernel(1);
        expected[block(2)] = "blackhole";
        expected[block(1)] = address(1);
        return expected;
    }());
}

TEST_CASE("after any events every node's tables are those of a network started with the final configuration") {
    std::mt19937 random(3);  // NOLINT(cert-msc51-cpp): a fixed seed, so that a failure repeats
    constexpr std::size_t kClients = 4;
    constexpr std::size_t kAll = 6;
    for (int round = 0; round < 6; ++round) {
        Network net;
        make_reflected(net, kClients, 2);
        std::vector<std::vector<std::string>> blocks(kAll);
        for (std::size_t i = 0; i < kClients; ++i) {
            blocks[i] = {block(i)};
        }
        std::set<std::pair<std::size_t, std::size_t>> cut;
        for (int step = 0; step < 60; ++step) {
            const std::size_t node = random() % kAll;
            const std::size_t other = random() % kAll;
            switch (random() % 8) {
                case 0:
                    net.restart(node);
                    break;
                case 1:
                    if (node != other) {
                        net.cut(node, other);
                        cut.insert({node, other});
                    }
                    break;
                case 2:
                    if (!cut.empty()) {
                        net.join(cut.begin()->first, cut.begin()->second);
                        cut.erase(cut.begin());
                    }
                    break;
                case 3:
                    net.advance(std::chrono::seconds(random() % 100));
                    break;
                default:
                    blocks[node].clear();
                    for (std::size_t i = random() % 4; i > 0; --i) {
                        blocks[node].push_back(block(random() % 12));
                    }
                    std::ranges::sort(blocks[node]);
                    blocks[node].erase(std::unique(blocks[node].begin(), blocks[node].end()), blocks[node].end());
                    net.originate(node, blocks[node]);
            }
            if (random() % 3 == 0) {
                net.settle();
            }
        }
        for (const auto& [a, b] : cut) {
            net.join(a, b);
        }
        net.advance(600s);
        Network fresh;
        make_reflected(fresh, kClients, 2);
        for (std::size_t i = 0; i < kAll; ++i) {
            fresh.originate(i, blocks[i]);
        }
        fresh.advance(60s);
        for (std::size_t i = 0; i < kAll; ++i) {
            CAPTURE(round, i);
            REQUIRE(net.paths(i) == fresh.paths(i));
            REQUIRE(net.kernel(i) == fresh.kernel(i));
        }
    }
}
