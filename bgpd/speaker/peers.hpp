#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bgpd/speaker/configuration.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_filter.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/node.hpp"
#include "config/model/workload_endpoint.hpp"

/// From resources to the sessions that this node should have.
namespace manul::bgp::speaker {

/// All objects of these kinds, in any order.
struct PeerResources {
    std::string node_name;  ///< of this node
    std::vector<std::shared_ptr<const model::Node>> nodes;
    std::vector<std::shared_ptr<const model::BgpPeer>> peers;
    std::vector<std::shared_ptr<const model::BgpConfiguration>> configurations;
    std::vector<std::shared_ptr<const model::IpPool>> pools;
    std::vector<std::shared_ptr<const model::BgpFilter>> filters;
    std::vector<std::shared_ptr<const model::WorkloadEndpoint>> endpoints;  ///< of this node
};

/// The configuration of this node's speaker; equal inputs give an equal result whatever their order.
///
/// Peers are defined by the node mesh, then by BGPPeers that concern every node, then by BGPPeers for chosen nodes,
/// each by name; an address that is defined twice keeps its first definition. A node with a routeReflectorClusterID is
/// in no mesh, and what it peers with inside its AS is its client unless it has the same cluster id. A BGPPeer that
/// chooses remote Nodes (by selector or by a Node's address) also defines the session at the other end. A session
/// carries the family of its addresses; Nodes with addresses of both families have two. Passwords are left to be looked
/// up. A peer that names a filter that does not exist is there, but not started. Definitions without effect are listed
/// in `findings`. Without a Node of its own that speaks BGP a node has no
/// peers.
[[nodiscard]] Configuration make_configuration(const PeerResources& resources);

/// The IPv4 address, else the first four bytes of the SHA-1 of the node's name, never 0.
[[nodiscard]] net::RouterId router_id(const std::string& node_name, const model::NodeBgp& bgp);

}  // namespace manul::bgp::speaker
