#pragma once

#include "cni/error.hpp"
#include "cni/net_conf.hpp"

namespace manul::cni {

/// Is everything there that ADD made, and as it made it? In the pod link, MAC, MTU, addresses, routes and the gateway's
/// neighbour entry; on the host the other end, its MAC and MTU, the neighbours and the routes to the pod; ipamd's
/// record; the endpoint's rules. What later plugins of the list added does not matter. Code 100 names what is missing.
[[nodiscard]] CniResult<void> check(const Environment& environment, const NetConf& conf);

}  // namespace manul::cni
