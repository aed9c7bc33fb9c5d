#pragma once

#include <map>

#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/shared.hpp"
#include "felix/render/inputs.hpp"
#include "felix/render/ruleset_writer.hpp"

/// Before connection tracking, in the raw table:
///
///   pre         prerouting -300   what workloads send must come from their own addresses
///   tunnel_out  output -300       VXLAN packets have no connection; only where that is used
///
/// While the configuration allows it, workloads may also send from the prefixes that they ask for.
namespace manul::felix::render {

class RawChains {
public:
    void put(const Shared<Endpoint>& endpoint);
    void remove(const EndpointKey& key);
    /// Tunnels or the configuration changed.
    void touch() noexcept { dirty_ = true; }
    void render(const Inputs& inputs, RulesetWriter& writer);

private:
    std::map<EndpointKey, Shared<Endpoint>> endpoints_;  ///< that ask for more source addresses
    bool dirty_ = true;
};

}  // namespace manul::felix::render
