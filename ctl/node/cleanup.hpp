#pragma once

#include "ctl/context.hpp"

namespace manul::ctl {

struct CleanupOptions {
    bool yes = false;               ///< otherwise only lists what would be removed
    unsigned route_protocol = 177;  ///< FelixConfiguration's `deviceRouteProtocol`, 1 to 255
};

/// `manulctl node cleanup`: removes from this node's kernel what the daemons left there: nftables tables, routes and
/// nexthop objects, tunnel and ifb devices, token buckets. Links of pods stay: the container runtime deletes them.
/// Refused while one of the daemons runs, since it would restore everything.
[[nodiscard]] ExitCode node_cleanup(const Context& context, const CleanupOptions& options);

}  // namespace manul::ctl
