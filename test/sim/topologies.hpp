#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "test/sim/network.hpp"

/// Networks that several tests start from.
namespace manul::sim {

using namespace std::chrono_literals;
using bgp::speaker::Configuration;
using bgp::speaker::PeerCommand;
using bgp::speaker::PeerConfig;
using bgp::speaker::PeerStatus;
using Routes = std::map<std::string, std::string>;

inline constexpr std::uint32_t kAs = 64512;
inline const std::vector<std::string> kPools{"10.244.0.0/16", "2001:db8:244::/48"};

inline std::string address(std::size_t node) { return "10.0.0." + std::to_string(node + 1); }
inline std::string address6(std::size_t node) { return "2001:db8::" + std::to_string(node + 1); }
inline std::string block(std::size_t node) { return "10.244." + std::to_string(node) + ".0/26"; }
inline std::string block6(std::size_t node) { return "2001:db8:244:" + std::to_string(node + 1) + "::/122"; }
inline std::string name(std::size_t node) { return "node-" + std::to_string(node); }

inline PeerConfig node_peer(const std::string& local, const std::string& remote) {
    PeerConfig peer = make_peer(remote, kAs, kAs);
    peer.local_address = *net::Ip::parse(local);
    peer.is_node = true;
    return peer;
}

/// A mesh of nodes in one AS on one link, each with one block.
inline void make_mesh(Network& net, std::size_t count) {
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
inline void make_reflected(Network& net, std::size_t clients, std::size_t reflectors) {
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
inline void make_routers(Network& net, std::size_t routers) {
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

inline Routes full_mesh_kernel(std::size_t self, std::size_t count) {
    Routes expected;
    for (std::size_t other = 0; other < count; ++other) {
        expected[block(other)] = other == self ? "blackhole" : address(other);
    }
    return expected;
}

}  // namespace manul::sim
