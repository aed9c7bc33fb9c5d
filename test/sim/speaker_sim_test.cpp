#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <vector>

#include "test/sim/network.hpp"

namespace {

using namespace manul;
using namespace std::chrono_literals;
using sim::make_configuration;
using sim::make_peer;
using sim::Network;
using Routes = std::map<std::string, std::string>;

std::string address(std::size_t node) { return "10.0.0." + std::to_string(node + 1); }
std::string block(std::size_t node) { return "10.244." + std::to_string(node) + ".0/26"; }

/// A mesh of nodes in one AS on one link, each with one block.
void make_mesh(Network& net, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        net.add("node-" + std::to_string(i), {address(i) + "/24"});
    }
    for (std::size_t i = 0; i < count; ++i) {
        auto configuration =
            make_configuration("node-" + std::to_string(i), 64512, address(i) + "/24", {"10.244.0.0/16"});
        for (std::size_t peer = 0; peer < count; ++peer) {
            if (peer != i) {
                configuration.peers.push_back(make_peer(address(peer), 64512, 64512));
                configuration.peers.back().local_address = *net::Ip::parse(address(i));
                configuration.peers.back().is_node = true;
            }
        }
        net.configure(i, configuration);
        net.originate(i, {block(i)});
    }
    net.advance(60s);
}

}  // namespace

TEST_CASE("ten nodes in a mesh learn each other's blocks, with the owner as next hop") {
    Network net;
    make_mesh(net, 10);
    for (std::size_t i = 0; i < 10; ++i) {
        CHECK(net.sessions(i) == 9);
        Routes expected;
        for (std::size_t other = 0; other < 10; ++other) {
            expected[block(other)] = other == i ? "blackhole" : address(other);
        }
        CHECK(net.kernel(i) == expected);
        CHECK(net.fib_complete(i));
    }
}
