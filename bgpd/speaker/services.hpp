#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/model/bgp_configuration.hpp"
#include "config/model/node.hpp"
#include "config/model/service.hpp"
#include "net/prefix.hpp"

/// From Services to the prefixes that this node announces for them.
namespace manul::bgp::speaker {

struct ServiceResources {
    std::string node_name;
    std::shared_ptr<const model::Node> node;  ///< this node; may be null
    std::vector<std::shared_ptr<const model::Service>> services;
    std::vector<std::shared_ptr<const model::EndpointSlice>> slices;
};

/// The configured ranges, as every node announces them, and single addresses inside them:
///   - externalTrafficPolicy Local: where an endpoint of the address's family on this node is ready;
///   - serviceLoadBalancerAggregation Disabled: load-balancer addresses of services with a ready endpoint anywhere, in
///     place of the range.
/// A range that is a single address belongs to the service that has it: with policy Local only nodes with a ready
/// endpoint announce it. Headless services are never announced, and a node with the label
/// node.kubernetes.io/exclude-from-external-load-balancers announces nothing. Sorted, each prefix once.
[[nodiscard]] std::vector<net::Prefix> service_prefixes(const ServiceResources& resources,
                                                        const model::BgpConfigurationSpec& configuration);

}  // namespace manul::bgp::speaker
