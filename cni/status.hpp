#pragma once

#include "cni/error.hpp"
#include "cni/net_conf.hpp"
#include "ipam/protocol.hpp"

namespace manul::cni {

/// Asks ipamd and waits for its answer, without waiting for it to start. Code 11 when it cannot be reached, else the
/// code that it gave.
[[nodiscard]] CniResult<void> ask_ipamd(const ipam::Request& request, const NetConf& conf);

/// Would ADD work now? Code 50 or 51 says why not.
[[nodiscard]] CniResult<void> status(const Environment& environment, const NetConf& conf);

}  // namespace manul::cni
