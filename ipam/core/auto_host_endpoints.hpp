#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "config/model/host_endpoint.hpp"
#include "config/model/kube_controllers_configuration.hpp"
#include "config/model/node.hpp"

namespace manul::ipam {

/// What marks a HostEndpoint as made for a node, not by a person: only such ones are ever changed or removed.
inline constexpr const char* kCreatedByLabel = "projectcalico.org/created-by";
inline constexpr const char* kCreatedByValue = "calico-kube-controllers";

/// The HostEndpoints that the configuration asks for, by name: `<node>-auto-hep` for all interfaces of each node, and
/// what the templates say. Empty when autoCreate is off. Pure.
[[nodiscard]] std::map<std::string, model::HostEndpoint> auto_host_endpoints(
    const std::vector<std::shared_ptr<const model::Node>>& nodes, const model::AutoHostEndpoint& configuration);

}  // namespace manul::ipam
