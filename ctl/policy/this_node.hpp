#pragma once

#include <string>

#include "base/error.hpp"
#include "ctl/policy/cluster_view.hpp"
#include "felix/calc/event.hpp"

namespace manul::ctl {

/// The interfaces of this network namespace that have addresses.
[[nodiscard]] Result<felix::InterfaceAddresses> read_interfaces();

/// Tells the view interfaces and routes of the node on which this runs. Nothing is told when this is somewhere else:
/// none of the node's addresses is here.
void tell_this_node(ClusterView& view, const std::string& node);

}  // namespace manul::ctl
