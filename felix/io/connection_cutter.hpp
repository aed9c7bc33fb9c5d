#pragma once

#include <memory>
#include <optional>
#include <set>

#include "base/daemon.hpp"
#include "felix/calc/graph.hpp"
#include "felix/io/conntrack.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

/// Ends established connections of workloads that policy would now deny, where FelixConfiguration's
/// cutDeniedConnections says so. The kernel's list is read on the worker's thread, judged on the caller's, and the
/// denied entries alone are deleted: their next packet is a new connection, and is judged.
class ConnectionCutter {
public:
    /// All outlive this; it is used on the worker's thread alone.
    ConnectionCutter(const Graph& graph, Worker& worker, Conntrack& conntrack) noexcept
        : graph_(graph), worker_(worker), conntrack_(conntrack) {}

    /// The batch is in force. `config` is the node's, `own` its own addresses.
    void apply(const Batch& batch, const Config& config, const std::set<net::Ip>& own);

private:
    void list_flows();
    void judge(const std::vector<Flow>& flows);

    const Graph& graph_;
    Worker& worker_;
    Conntrack& conntrack_;
    std::optional<Snapshot> snapshot_;  ///< kept up to date while the switch is on
    std::set<net::Ip> own_;
    bool listing_ = false;
    bool list_again_ = false;
};

}  // namespace manul::felix::io
