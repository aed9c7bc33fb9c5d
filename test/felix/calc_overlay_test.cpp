#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "config/model/block_affinity.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/node.hpp"
#include "felix/calc/event.hpp"
#include "felix/model/overlay.hpp"
#include "net/mac.hpp"
#include "test/felix/accumulator.hpp"
#include "test/felix/builders.hpp"

namespace manul::felix::test {

namespace {

using model::EncapMode;

/// node1 and node2 share a network, node3 lives in another one; each has an end of every tunnel.
model::ResourcePtr member(const std::string& name, const std::string& network = "192.0.2") {
    const std::string number = name.substr(4);
    auto out = std::make_shared<model::Node>();
    out->metadata.name = name;
    out->spec.bgp.emplace();
    out->spec.bgp->ipv4_address = net::InterfaceAddress::parse(network + "." + number + "/24");
    out->spec.bgp->ipv6_address = net::InterfaceAddress::parse("2001:db8::" + number + "/64");
    out->spec.bgp->ipv4_ipip_tunnel_addr = ip("10." + number + ".0.1").v4();
    out->spec.ipv4_vxlan_tunnel_addr = ip("10." + number + ".0.0").v4();
    out->spec.vxlan_tunnel_mac_addr = net::Mac::parse("66:00:00:00:00:0" + number);
    out->spec.ipv6_vxlan_tunnel_addr = ip("fd00:" + number + "::").v6();
    out->spec.vxlan_tunnel_mac_addr_v6 = net::Mac::parse("66:00:00:00:06:0" + number);
    return out;
}

model::ResourcePtr block(const std::string& node, const std::string& prefix,
                         model::AffinityState state = model::AffinityState::confirmed) {
    auto out = std::make_shared<model::BlockAffinity>();
    out->metadata.name = node + "-" + prefix;
    out->spec.node = node;
    out->spec.cidr = cidr(prefix);
    out->spec.state = state;
    return out;
}

model::ResourcePtr tunnelled(const std::string& prefix, EncapMode vxlan, EncapMode ipip = EncapMode::never) {
    auto out = std::make_shared<model::IpPool>();
    out->metadata.name = "pool-" + prefix;
    out->spec.cidr = cidr(prefix);
    out->spec.vxlan_mode = vxlan;
    out->spec.ipip_mode = ipip;
    return out;
}

model::ResourcePtr cluster_routes(model::ProgramClusterRoutes which) {
    auto out = std::make_shared<model::FelixConfiguration>();
    out->metadata.name = "default";
    out->spec.program_cluster_routes = which;
    return out;
}

std::string way(const ClusterRoute& route) {
    const auto tunnel = [&] {
        switch (*route.tunnel) {
            case TunnelKind::vxlan:
                return "vxlan ";
            case TunnelKind::vxlan_v6:
                return "vxlan-v6 ";
            case TunnelKind::ip_in_ip:
                return "ipip ";
        }
        return "";
    };
    return route.prefix.to_string() + " " + (route.tunnel ? tunnel() : "") + route.via.to_string();
}

std::vector<std::string> ways(World& world) {
    std::vector<std::string> out;
    for (const auto& [prefix, route] : world.state().cluster_routes) {
        out.push_back(way(route));
    }
    return out;
}

using Ways = std::vector<std::string>;

/// A world with the three nodes and a block each.
World cluster(const model::ResourcePtr& pool) {
    return World{member("node1"),
                 member("node2"),
                 member("node3", "198.51.100"),
                 block("node1", "10.1.0.0/26"),
                 block("node2", "10.2.0.0/26"),
                 block("node3", "10.3.0.0/26"),
                 pool};
}

}  // namespace

TEST_CASE("blocks of other nodes are reached as the mode of their pool says") {
    struct Row {
        const char* what;
        model::ResourcePtr pool;
        std::optional<model::ProgramClusterRoutes> routes;
        Ways wanted;
    };
    using enum model::ProgramClusterRoutes;
    const Ways by_vxlan{"10.2.0.0/26 vxlan 10.2.0.0", "10.3.0.0/26 vxlan 10.3.0.0"};
    const Ways by_ipip{"10.2.0.0/26 ipip 192.0.2.2", "10.3.0.0/26 ipip 198.51.100.3"};
    const model::ResourcePtr ipip = tunnelled("10.0.0.0/8", EncapMode::never, EncapMode::always);
    const model::ResourcePtr plain = tunnelled("10.0.0.0/8", EncapMode::never);
    const Row rows[] = {
        {"VXLAN", tunnelled("10.0.0.0/8", EncapMode::always), {}, by_vxlan},
        {"VXLAN is felix's whatever it is told", tunnelled("10.0.0.0/8", EncapMode::always), disabled, by_vxlan},
        {"VXLAN to other networks",
         tunnelled("10.0.0.0/8", EncapMode::cross_subnet),
         {},
         {"10.2.0.0/26 192.0.2.2", "10.3.0.0/26 vxlan 10.3.0.0"}},
        {"IPIP", ipip, {}, by_ipip},
        {"IPIP, with everything else", ipip, enabled, by_ipip},
        {"IPIP is bgpd's", ipip, disabled, {}},
        {"IPIP is bgpd's when felix does the rest", ipip, enabled_no_encap_only, {}},
        {"IPIP to other networks",
         tunnelled("10.0.0.0/8", EncapMode::never, EncapMode::cross_subnet),
         {},
         {"10.2.0.0/26 192.0.2.2", "10.3.0.0/26 ipip 198.51.100.3"}},
        {"none is bgpd's", plain, {}, {}},
        {"none, felix's: neighbours alone", plain, enabled, {"10.2.0.0/26 192.0.2.2"}},
        {"the pool of part of the blocks", tunnelled("10.3.0.0/16", EncapMode::always), {}, {by_vxlan[1]}},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        World world = cluster(row.pool);
        if (row.routes) {
            world.put(cluster_routes(*row.routes));
        }
        CHECK(ways(world) == row.wanted);
    }
}

TEST_CASE("addresses that a node has out of another one's block are reached one by one") {
    World world = cluster(tunnelled("10.0.0.0/8", EncapMode::always));
    const auto borrowed = pod({.name = "b", .ips = {"10.3.0.7"}, .node = "node2"});
    const auto of_ours = pod({.name = "o", .ips = {"10.1.0.9"}, .node = "node3"});
    const auto own = pod({.name = "own", .ips = {"10.2.0.9"}});
    const auto usual = pod({.name = "u", .ips = {"10.2.0.8"}, .node = "node2"});
    world.put(borrowed).put(of_ours).put(own).put(usual);
    CHECK(ways(world) == Ways{"10.1.0.9/32 vxlan 10.3.0.0", "10.2.0.0/26 vxlan 10.2.0.0", "10.3.0.0/26 vxlan 10.3.0.0",
                              "10.3.0.7/32 vxlan 10.2.0.0"});
    world.remove(block("node3", "10.3.0.0/26")).put(block("node2", "10.3.0.0/26"));  // it changes hands
    CHECK(ways(world) == Ways{"10.1.0.9/32 vxlan 10.3.0.0", "10.2.0.0/26 vxlan 10.2.0.0", "10.3.0.0/26 vxlan 10.2.0.0",
                              "10.3.0.0/32 vxlan 10.3.0.0", "10.3.0.1/32 vxlan 10.3.0.0"});  // ends of node3's tunnels
    world.remove(of_ours).remove(member("node3"));
    CHECK(ways(world) == Ways{"10.2.0.0/26 vxlan 10.2.0.0", "10.3.0.0/26 vxlan 10.2.0.0"});
}

TEST_CASE("a block counts once it is confirmed, and a node once it has its end of the tunnel") {
    World world = cluster(tunnelled("10.0.0.0/8", EncapMode::always));
    world.put(block("node2", "10.2.0.64/26", model::AffinityState::pending));
    CHECK(ways(world).size() == 2);
    world.put(block("node2", "10.2.0.64/26"));
    CHECK(ways(world).size() == 3);
    auto bare = std::make_shared<model::Node>(*model::as<model::Node>(*member("node2")));
    bare->spec.vxlan_tunnel_mac_addr.reset();  // as Calico's nodes leave it
    world.put(model::ResourcePtr(std::make_shared<model::Node>(*bare)));
    CHECK(ways(world).size() == 3);
    CHECK(world.state().tunnel_devices.at(TunnelKind::vxlan).peers.front().mac ==
          *net::Mac::parse("66:2d:bf:44:a6:8b"));
    bare->spec.ipv4_vxlan_tunnel_addr.reset();
    world.put(model::ResourcePtr(std::make_shared<model::Node>(*bare)));
    CHECK(ways(world) == Ways{"10.3.0.0/26 vxlan 10.3.0.0"});
    auto off = std::make_shared<model::FelixConfiguration>();
    off->metadata.name = "default";
    off->spec.vxlan_enabled = false;
    world.put(model::ResourcePtr(off));
    CHECK(ways(world).empty());
    CHECK(world.state().tunnel_devices.empty());
}

TEST_CASE("tunnel devices: those that a pool needs, with the other nodes' ends") {
    World world = cluster(tunnelled("10.0.0.0/8", EncapMode::cross_subnet));
    world.put(tunnelled("fd00::/16", EncapMode::always)).put(block("node2", "fd00:2::/122"));
    auto settings = std::make_shared<model::FelixConfiguration>();
    settings->metadata.name = "default";
    settings->spec.vxlan_vni = 7;
    settings->spec.vxlan_port = 8472;
    settings->spec.vxlan_mtu_v6 = 1300;
    world.put(model::ResourcePtr(settings));
    const auto& devices = world.state().tunnel_devices;
    REQUIRE(devices.size() == 2);
    const TunnelDevice& v4 = devices.at(TunnelKind::vxlan);
    CHECK(v4.own == TunnelEnd{ip("192.0.2.1"), ip("10.1.0.0"), *net::Mac::parse("66:00:00:00:00:01")});
    CHECK(v4.peers ==
          std::vector{TunnelEnd{ip("192.0.2.2"), ip("10.2.0.0"), *net::Mac::parse("66:00:00:00:00:02")},
                      TunnelEnd{ip("198.51.100.3"), ip("10.3.0.0"), *net::Mac::parse("66:00:00:00:00:03")}});
    CHECK((v4.vni == 7 && v4.port == 8472 && v4.mtu == 0));
    CHECK(devices.at(TunnelKind::vxlan_v6).mtu == 1300);
    CHECK(way(world.state().cluster_routes.at(cidr("fd00:2::/122"))) == "fd00:2::/122 vxlan-v6 fd00:2::");
    world.remove(tunnelled("fd00::/16", EncapMode::always));
    CHECK(world.state().tunnel_devices.size() == 1);
    CHECK_FALSE(world.state().cluster_routes.contains(cidr("fd00:2::/122")));
}

TEST_CASE("whatever the order of events, the routes are those of the objects that are left") {
    std::mt19937 random(7);
    const auto below = [&](std::size_t count) { return static_cast<std::size_t>(random() % count); };
    const auto any_node = [&] { return "node" + std::to_string(1 + below(4)); };
    for (int round = 0; round < 30; ++round) {
        World walked;
        std::map<model::Key, model::ResourcePtr> left;
        for (int step = 0; step < 60; ++step) {
            model::ResourcePtr object;
            switch (below(5)) {
                case 0:
                    object = member(any_node(), below(2) == 0 ? "192.0.2" : "198.51.100");
                    break;
                case 1:
                    object = block(any_node(), "10." + std::to_string(1 + below(4)) + ".0.0/26",
                                   below(4) == 0 ? model::AffinityState::pending : model::AffinityState::confirmed);
                    break;
                case 2:
                    object = tunnelled(below(2) == 0 ? "10.0.0.0/8" : "10.3.0.0/16", static_cast<EncapMode>(below(3)));
                    break;
                case 3:
                    object = cluster_routes(static_cast<model::ProgramClusterRoutes>(below(4)));
                    break;
                default:
                    object = pod({.name = "p" + std::to_string(below(3)),
                                  .ips = {"10." + std::to_string(1 + below(4)) + ".0." + std::to_string(below(3))},
                                  .node = any_node()});
                    break;
            }
            if (below(4) == 0) {
                walked.remove(object);
                left.erase(object->key());
            } else {
                walked.put(object);
                left.insert_or_assign(object->key(), object);
            }
            if (below(3) == 0) {
                walked.flush();
            }
        }
        World fresh;
        for (const auto& [key, object] : left) {
            fresh.put(object);
        }
        CHECK(ways(walked) == ways(fresh));
        CHECK(walked.state().tunnel_devices == fresh.state().tunnel_devices);
    }
}

}  // namespace manul::felix::test
