#pragma once

#include <string>

#include "base/error.hpp"
#include "ctl/policy/cluster_view.hpp"
#include "felix/calc/event.hpp"

namespace manul::ctl {

/// The interfaces of this network namespace that have addresses.
[[nodiscard]] Result<felix::InterfaceAddresses> read_interfaces();

/// Gives the view the interfaces and routes of the node, if this runs on that node; otherwise, when none of the node's
/// addresses is on this host, does nothing.
void tell_this_node(ClusterView& view, const std::string& node);

}  // namespace manul::ctl
