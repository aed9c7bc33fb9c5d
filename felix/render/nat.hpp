#pragma once

#include <map>
#include <vector>

#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/route.hpp"
#include "felix/model/shared.hpp"
#include "felix/render/inputs.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/ruleset_writer.hpp"

/// Address translation for workloads, in the NAT table:
///
///   post      postrouting 100   masquerading of what leaves the pools or enters a tunnel
///   dnat_pre  prerouting -100   floating addresses and ports of the node that lead to a pod, for what comes from
///                               outside
///   dnat_out  output -100       the same for the node's own connections
///   host_ports                  all ports of the node; both of these call it
namespace manul::felix::render {

/// The base chain of what leaves.
inline constexpr const char* kPostChain = "post";

class NatChains {
public:
    void put(const Shared<Endpoint>& endpoint);
    void remove(const EndpointKey& key);
    /// Pools, tunnels or the configuration changed.
    void touch() noexcept { dirty_ = true; }
    void render(const Inputs& inputs, RulesetWriter& writer);

    /// The sets of all pools, and of those that are masqueraded.
    static void change_pools(const std::vector<IpPoolInfo>& before, const std::vector<IpPoolInfo>& now,
                             RulesetWriter& writer);

private:
    std::map<EndpointKey, Shared<Endpoint>> endpoints_;  ///< that have ports of the node or floating addresses
    bool dirty_ = true;
};

}  // namespace manul::felix::render
