#pragma once

#include <string>
#include <vector>

#include "config/model/node_report.hpp"
#include "ctl/context.hpp"

namespace manul::ctl {

struct StatusOptions {
    std::vector<std::string> nodes;  ///< empty: this node, from its daemon
    bool all = false;                ///< every node, from their reports in the datastore
    std::string format;              ///< "", json, yaml
};

/// BGP sessions: of this node from its daemon, of others from their NodeReport.
[[nodiscard]] ExitCode node_status(const Context& context, const StatusOptions& options);

/// The two tables (one a family) that `node status` prints for one node.
[[nodiscard]] std::string session_tables(const std::vector<model::ReportedSession>& sessions);

}  // namespace manul::ctl
