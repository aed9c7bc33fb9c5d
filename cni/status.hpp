#pragma once

#include "cni/error.hpp"
#include "cni/net_conf.hpp"

namespace manul::cni {

/// Would ADD work now? Code 50 or 51 says why not.
[[nodiscard]] CniResult<void> status(const Environment& environment, const NetConf& conf);

}  // namespace manul::cni
