#pragma once

#include <string>

#include "cni/error.hpp"
#include "cni/net_conf.hpp"

namespace manul::cni {

/// Releases every attachment of this network that the runtime does not list as existing. Some clients send no list:
/// then nothing is known to be gone, nothing is released, and `note` says so.
[[nodiscard]] CniResult<void> gc(const Environment& environment, const NetConf& conf, std::string& note);

}  // namespace manul::cni
