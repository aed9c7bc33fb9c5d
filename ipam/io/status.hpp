#pragma once

#include <cstddef>
#include <string>

#include <boost/json/fwd.hpp>

#include "ipam/service/service.hpp"

/// Answers to manulctl's requests on the control socket, as JSON. On the store's thread.
namespace manul::ipam {

struct DaemonState {
    std::string node;
    bool in_sync = false;
    std::string problem;  ///< why it is not in sync
    std::size_t waiting_adds = 0;
    std::size_t waiting_deletes = 0;
};

/// {version, node, inSync, problem, pools, endpoints, waitingAdds, waitingDeletes, commits, conflicts, notInForce[]}.
[[nodiscard]] boost::json::value status_json(Service& service, const DaemonState& state);
/// {pools: [{name, cidr, total, inUse, coolingDown, reserved, freeInOwnBlocks, nodes}], blocks: [...]} of this node.
[[nodiscard]] boost::json::value show_json(Service& service, WallTime now);

}  // namespace manul::ipam
