#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/active_policy.hpp"
#include "felix/calc/route_plan.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"

namespace manul::felix {

/// The workloads of this node as the dataplane sees them. Of several endpoints that name one interface only the one
/// with the lowest key counts.
class LocalEndpoints {
public:
    using Resource = std::shared_ptr<const model::WorkloadEndpoint>;

    /// An endpoint of this node that has an interface and an address.
    void put(const Resource& resource);
    void remove(const model::Key& key);

    /// Whether floating addresses lead to their endpoints.
    void translate_floating(bool enabled);

    /// Tells endpoints and routes; `changed` are those whose policy lists may differ.
    void flush(std::set<model::Key> changed, ActivePolicies& policies, Sequencer& sequencer);

    /// Endpoints that are not in force as stored, and why.
    [[nodiscard]] std::map<model::Key, std::string> conflicts() const;

private:
    [[nodiscard]] bool owns_interface(const model::WorkloadEndpoint& endpoint) const;
    void leave_interface(const model::Key& key, const std::string& interface);

    std::unordered_map<model::Key, Resource> endpoints_;
    std::map<std::string, std::set<model::Key>> by_interface_;
    std::set<std::string> contested_;  ///< interfaces that several endpoints claim
    std::set<model::Key> dirty_;
    RoutePlan routes_;
    bool floating_ = false;
};

[[nodiscard]] EndpointKey endpoint_key(const model::Key& key);
/// The endpoint without its policy lists and floating addresses.
[[nodiscard]] Endpoint describe(const model::WorkloadEndpoint& resource);

}  // namespace manul::felix
