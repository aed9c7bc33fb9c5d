#pragma once

#include "cni/error.hpp"
#include "cni/net_conf.hpp"

namespace manul::cni {

/// Releases every attachment of this network that the runtime does not list as existing.
[[nodiscard]] CniResult<void> gc(const Environment& environment, const NetConf& conf);

}  // namespace manul::cni
