#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/services.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/workload_endpoint.hpp"

/// From resources to the routes that start at this node.
namespace manul::bgp::speaker {

/// Objects of these kinds, in any order; those of other nodes are passed over.
struct OriginResources {
    std::string node_name;
    std::vector<std::shared_ptr<const model::BlockAffinity>> affinities;
    std::vector<std::shared_ptr<const model::WorkloadEndpoint>> endpoints;
    std::vector<std::shared_ptr<const model::IpPool>> pools;
    std::shared_ptr<const model::BgpConfiguration> configuration;  ///< "default"; may be null
    ServiceResources services;
};

/// Confirmed blocks of this node, each exactly as it is and with a dropping kernel route; addresses of workloads of
/// this node that lie in none of them (borrowed from other nodes' blocks), as host routes; what services.hpp says.
/// Blocks and addresses are advertised inside pools without disableBGPExport alone. Sorted, each prefix once.
[[nodiscard]] std::vector<LocalRoute> local_routes(const OriginResources& resources);

/// Adds a host route for each peer that is reached by a given gateway (BGPPeer reachableBy): for this node's kernel
/// alone. Not for a peer whose address starts here anyway.
void add_ways_to_peers(const Configuration& configuration, std::vector<LocalRoute>& routes);

}  // namespace manul::bgp::speaker
