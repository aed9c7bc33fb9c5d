#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/render/ruleset.hpp"

/// Packet rates and numbers of connections of workloads, in the raw table:
///
///   rate_from   prerouting -298   packets that workloads send, before anything else is done with them
///   rate_to     forward -299      packets to workloads
///   count_from  prerouting -91    new connections of workloads, before their egress policy
///   count_to    forward -1        new connections to workloads, before their ingress policy
///
/// Each finds the workload's chain in a verdict map by the name of the interface, and exists only while a workload has
/// such a limit. What the node itself sends to its workloads is not limited.
namespace manul::felix::render {

class LimitChains {
public:
    void put(const Endpoint& endpoint);
    void remove(const EndpointKey& key);
    /// What differs from what was given before.
    void render(std::vector<Change>& out);

private:
    struct Limited {
        std::string interface;
        TrafficLimits to_workload;
        TrafficLimits from_workload;
    };
    struct Place;
    [[nodiscard]] std::map<std::string, ChainPtr> wanted(const Place& place, net::Family family) const;

    std::map<EndpointKey, Limited> endpoints_;
    /// Of each base chain: what its map leads to, by interface.
    std::map<std::pair<TableKey, std::string>, std::map<std::string, ChainPtr>> given_;
    bool dirty_ = false;
};

}  // namespace manul::felix::render
