#pragma once

#include <string>

#include "ctl/context.hpp"

namespace manul::ctl {

struct IpamShowOptions {
    bool blocks = false;         ///< a row for each block below its pool
    bool borrowed = false;       ///< addresses out of other nodes' blocks
    bool configuration = false;  ///< the settings of IPAM
    std::string ip;              ///< who has this address
};

/// Pools with how much of them is used, as calicoctl shows them.
[[nodiscard]] ExitCode ipam_show(const Context& context, const IpamShowOptions& options);

}  // namespace manul::ctl
