#pragma once

#include <string>

#include "net/prefix.hpp"

namespace manul::felix {

/// Host route to a workload of this node.
struct WorkloadRoute {
    net::Prefix prefix;
    std::string interface;

    bool operator==(const WorkloadRoute&) const = default;
};

/// What the dataplane needs of an address pool. Addresses of nodes come as pools of one address where
/// natOutgoingExclusions spares them from masquerading.
struct IpPoolInfo {
    std::string name;
    net::Prefix cidr;
    bool nat_outgoing = false;

    bool operator==(const IpPoolInfo&) const = default;
};

}  // namespace manul::felix
