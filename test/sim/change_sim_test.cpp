#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "test/sim/topologies.hpp"

using namespace manul;
using namespace manul::sim;
using namespace std::chrono_literals;

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

TEST_CASE("edits under a running session give what a start with them gives") {
    struct Row {
        const char* name;
        void (*edit)(Configuration&);
    };
    // Peers of node 0: router 1, which node 2 peers with, too, and node 3.
    const auto row = GENERATE(values<Row>({
        {"port", [](Configuration& c) { c.peers[0].port = 1179; }},
        {"passive", [](Configuration& c) { c.peers[0].passive = true; }},
        {"reachableBy", [](Configuration& c) { c.peers[0].reachable_by = *net::Ip::parse("10.0.0.9"); }},
        {"nextHopMode Self", [](Configuration& c) { c.peers[0].next_hop_mode = bgp::speaker::NextHopMode::self; }},
        {"nextHopMode Keep", [](Configuration& c) { c.peers[1].next_hop_mode = bgp::speaker::NextHopMode::keep; }},
        {"numAllowedLocalASNumbers", [](Configuration& c) { c.peers[0].allowed_own_as = 1; }},
        {"routeReflectorClusterID", [](Configuration& c) { c.self.cluster_id = 7; }},
        {"length of the address", [](Configuration& c) { c.self.v4->length = 32; }},
        {"maxPrefixes that holds", [](Configuration& c) { c.peers[0].max_prefixes = 4; }},
    }));
    CAPTURE(row.name);
    const auto start = [](Network& net, bool edited, const Row& of) {
        net.add("node", {"10.0.0.1/24"});
        net.add("router", {"10.0.0.2/24"});
        net.add("other", {"10.0.0.3/24"});
        net.add("node-3", {"10.0.0.4/24"});
        Configuration node = make_configuration("node", kAs, "10.0.0.1/24", kPools);
        node.peers = {make_peer(address(1), 65001, kAs), node_peer(address(0), address(3))};
        if (edited) {
            of.edit(node);
        }
        Configuration router = make_configuration("router", 65001, "10.0.0.2/24", {"0.0.0.0/0"});
        router.peers = {make_peer(address(0), kAs, 65001), make_peer(address(2), kAs, 65001)};
        Configuration other = make_configuration("other", kAs, "10.0.0.3/24", kPools);
        other.peers = {make_peer(address(1), 65001, kAs)};
        Configuration third = make_configuration("node-3", kAs, "10.0.0.4/24", kPools);
        third.peers = {node_peer(address(3), address(0))};
        const std::vector<Configuration> all{node, router, other, third};
        for (std::size_t i = 0; i < all.size(); ++i) {
            net.configure(i, all[i]);
            net.originate(i, {block(i)});
        }
        net.advance(60s);
        return node;
    };
    Network live;
    Configuration configuration = start(live, false, row);
    const auto since = [&] { return std::pair(live[0].peers()[0].since, live[0].peers()[1].since); };
    const auto before = since();
    row.edit(configuration);
    live.configure(0, configuration);
    live.settle();
    CHECK(since() == before);
    Network fresh;
    start(fresh, true, row);
    for (std::size_t i = 0; i < 4; ++i) {
        CAPTURE(i);
        CHECK(live.sessions(i) == fresh.sessions(i));
        CHECK(live.paths(i) == fresh.paths(i));
        CHECK(live.kernel(i) == fresh.kernel(i));
    }
}

TEST_CASE("another maximum of prefixes counts at once") {
    Network net;
    make_mesh(net, 2);
    Configuration configuration = make_configuration(name(0), kAs, address(0) + "/24", kPools);
    configuration.peers = {node_peer(address(0), address(1))};
    net.originate(1, {"10.244.1.0/26", "10.244.2.0/26", "10.244.3.0/26"});
    net.configure(0, configuration);
    net.settle();
    REQUIRE(net.sessions(0) == 1);
    configuration.peers[0].max_prefixes = 2;
    net.configure(0, configuration);
    net.settle();
    CHECK(net.sessions(0) == 0);
    CHECK(net[0].peers()[0].last_error.find("Maximum Number of Prefixes") != std::string::npos);
    net.advance(300s);
    CHECK(net.kernel(0) == Routes{{block(0), "blackhole"}});
    configuration.peers[0].max_prefixes = 3;
    net.configure(0, configuration);
    net.advance(15s);
    CHECK(net.sessions(0) == 1);
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
    net.advance(130s);  // the restart time is over
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
