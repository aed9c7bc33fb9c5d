#pragma once

#include "ctl/context.hpp"

namespace manul::ctl {

struct CleanupOptions {
    bool yes = false;               ///< removes; otherwise only says what would go
    unsigned route_protocol = 177;  ///< FelixConfiguration's `deviceRouteProtocol`, 1 to 255
};

/// `manulctl node cleanup`: takes out of this node's kernel what the daemons left there: nftables tables, routes and
/// nexthop objects, tunnel and ifb devices, token buckets. Links of pods stay: they are the runtime's to delete.
/// Refused while one of the daemons runs, which would put all of it back.
[[nodiscard]] ExitCode node_cleanup(const Context& context, const CleanupOptions& options);

}  // namespace manul::ctl
