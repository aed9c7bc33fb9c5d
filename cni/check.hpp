#pragma once

#include "cni/error.hpp"
#include "cni/net_conf.hpp"

namespace manul::cni {

/// Checks that everything ADD made is still there and unchanged. In the pod: link, MAC, MTU, addresses, routes and the
/// gateway's neighbour entry; on the host: the other end, its MAC and MTU, the neighbours and the routes to the pod;
/// and ipamd's record and the endpoint's rules. Ignores what later plugins added. Code 100 names what is missing.
[[nodiscard]] CniResult<void> check(const Environment& environment, const NetConf& conf);

}  // namespace manul::cni
