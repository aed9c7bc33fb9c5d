#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/model/block_affinity.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/kind.hpp"
#include "config/model/node.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/config.hpp"
#include "felix/model/overlay.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

/// Tunnels to other nodes, and the routes to their pods that felix programs: of pools with VXLAN, and of those with
/// IPIP or without encapsulation as `programClusterRoutes` says. The others are bgpd's.
///
/// A node's confirmed blocks lead to it; an address that one of its pods or its tunnel end has out of another node's
/// block leads there by a route of its own. `CrossSubnet` goes through the tunnel only where the other node's address
/// lies outside the network of this node's one.
class OverlayPlan {
public:
    explicit OverlayPlan(std::string node_name) : node_name_(std::move(node_name)) {}

    void put(const model::Node& node);
    void remove_node(const std::string& name);
    void put(const model::IpPool& pool);
    void remove_pool(const std::string& name);
    void put(const model::BlockAffinity& affinity);
    void remove_affinity(const std::string& name);
    void put(const model::WorkloadEndpoint& workload);
    void remove_workload(const model::Key& key);

    /// Tells devices and routes that changed since the last call. `config` is the one in force.
    void flush(const Config& config, Sequencer& sequencer);

private:
    struct Node {
        std::optional<net::InterfaceAddress> address_v4;  ///< with the network that the node is in
        std::optional<net::InterfaceAddress> address_v6;
        std::map<TunnelKind, TunnelEnd> ends;

        [[nodiscard]] const std::optional<net::InterfaceAddress>& address(net::Family family) const noexcept {
            return family == net::Family::v4 ? address_v4 : address_v6;
        }
        bool operator==(const Node&) const = default;
    };
    struct Pool {
        net::Prefix cidr;
        std::optional<TunnelKind> tunnel;
        bool across_subnets_only = false;

        bool operator==(const Pool&) const = default;
    };
    /// Addresses that something on a node has.
    struct Claim {
        const std::string* node = nullptr;  ///< in node_names_
        std::vector<net::Ip> addresses;

        bool operator==(const Claim&) const = default;
    };
    /// Of Config, what routes depend on.
    struct Switches {
        std::uint32_t vni = 0;
        std::uint16_t port = 0;
        std::uint32_t mtu_v4 = 0;
        std::uint32_t mtu_v6 = 0;
        std::uint32_t mtu_ip_in_ip = 0;
        std::optional<bool> vxlan;
        std::optional<bool> ip_in_ip;
        bool routes_ip_in_ip = false;
        bool routes_plain = false;

        bool operator==(const Switches&) const = default;
    };

    static Node node_of(const model::Node& node);
    void set_node(const std::string& name, std::optional<Node> node);
    void set_pool(const std::string& name, std::optional<Pool> pool);
    void set_block(const std::string& affinity, std::optional<std::pair<net::Prefix, std::string>> block);
    void set_claim(const model::Key& key, const std::string& node, std::vector<net::Ip> addresses);
    void drop_claim(const model::Key& key);
    void check_owner(const net::Ip& address);
    [[nodiscard]] const std::string* owner_of_block(const net::Ip& address) const;
    [[nodiscard]] const std::string* claimant(const net::Ip& address) const;
    [[nodiscard]] const std::string* holder(const net::Prefix& prefix) const;
    [[nodiscard]] const Pool* pool_of(const net::Prefix& prefix) const;
    [[nodiscard]] bool is_on(TunnelKind kind) const;
    [[nodiscard]] std::optional<ClusterRoute> route_to(const net::Prefix& prefix) const;
    [[nodiscard]] std::optional<TunnelDevice> device(TunnelKind kind) const;

    std::string node_name_;
    Switches switches_;
    std::map<std::string, Node> nodes_;
    std::map<std::string, Pool> pools_;
    std::map<std::string, std::pair<net::Prefix, std::string>> affinities_;  ///< block and node by name
    std::map<net::Prefix, std::set<std::string>> blocks_;                    ///< nodes; more than one is a fault
    std::map<std::string, std::set<net::Prefix>> blocks_of_;                 ///< the same by node
    std::set<std::string> node_names_;                                       ///< of claims; there are few
    std::unordered_map<model::Key, Claim> claims_;
    std::multimap<net::Ip, const std::string*> claimants_;
    /// Addresses that are claimed, but not by the node whose block they are in, and who claims them.
    std::map<net::Ip, const std::string*> apart_;
    std::map<std::string, std::set<net::Ip>> apart_of_;  ///< the same by node
    std::set<net::Prefix> dirty_;
    bool devices_dirty_ = true;
    bool all_dirty_ = true;
};

}  // namespace manul::felix
