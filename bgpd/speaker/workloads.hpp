#pragma once

#include <compare>
#include <string>
#include <vector>

#include "bgpd/speaker/peers.hpp"
#include "config/model/selector.hpp"
#include "net/ip.hpp"

/// Workloads of this node that speak BGP (BGPPeer localWorkloadSelector).
namespace manul::bgp::speaker {

/// Those of the node that the selector chooses.
[[nodiscard]] std::vector<const model::WorkloadEndpoint*> chosen_workloads(const model::Selector& selector,
                                                                           const PeerResources& resources);

/// An address that stands on the host's end of a workload's link, for the workload to peer with.
struct WorkloadAddress {
    std::string interface;
    net::Ip address;

    auto operator<=>(const WorkloadAddress&) const = default;
};

/// BGPConfiguration localWorkloadPeeringIPV4 and V6, on the link of every workload that may peer; sorted. A workload
/// has them in the families of its own addresses.
[[nodiscard]] std::vector<WorkloadAddress> workload_addresses(const PeerResources& resources);

}  // namespace manul::bgp::speaker
