#pragma once

#include "cni/error.hpp"
#include "cni/net_conf.hpp"

namespace manul::cni {

/// Is everything there that ADD made: link, addresses, routes and gateway in the pod, the host end, ipamd's record, and
/// the endpoint's rules? What later plugins of the list added does not matter. Code 100 names what is missing.
[[nodiscard]] CniResult<void> check(const Environment& environment, const NetConf& conf);

}  // namespace manul::cni
