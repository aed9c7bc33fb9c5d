#pragma once

#include <string>

#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "cni/result.hpp"

namespace manul::cni {

/// Connects a pod. Returns when its rules, addresses and routes are in force; a failed call leaves neither link nor
/// address behind. `note` is for people (standard error).
[[nodiscard]] CniResult<AddResult> add(const Environment& environment, const NetConf& conf, std::string& note);

}  // namespace manul::cni
