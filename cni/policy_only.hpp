#pragma once

#include <string>

#include "cni/error.hpp"
#include "cni/net_conf.hpp"

namespace manul::cni {

/// ADD behind another plugin of the list, which made the pod's link and gave it addresses: registers the endpoint that
/// `prevResult` describes and waits until its policy is in force. Link, addresses and routes stay the other plugin's;
/// they are neither changed here nor removed by DEL. A failed call leaves no endpoint behind.
[[nodiscard]] CniResult<void> add_policy(const Environment& environment, const NetConf& conf, std::string& note);

}  // namespace manul::cni
