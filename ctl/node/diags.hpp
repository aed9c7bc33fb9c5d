#pragma once

#include <string>

#include "ctl/context.hpp"

namespace manul::ctl {

struct DiagsOptions {
    std::string file;          ///< of the archive; empty: a name with node and time, in the current directory
    std::string since = "1d";  ///< how far back logs go, as journalctl counts: "2h", "3d"
};

/// `node diags`: writes an archive with everything needed to troubleshoot a node: versions, settings, status, checks,
/// BGP sessions and routes, routes and interfaces of the kernel, our nftables, logs. No secrets. Where something cannot
/// be collected, the archive says why.
[[nodiscard]] ExitCode node_diags(const Context& context, const DiagsOptions& options);

}  // namespace manul::ctl
