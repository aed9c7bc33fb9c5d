#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/daemon.hpp"
#include "config/model/node_report.hpp"
#include "config/store/store.hpp"

namespace manul::felix::io {

/// Writes this node's report into the store: only when its content changed, and no more often than a second (longer in
/// large clusters, so that all nodes together stay below 100 writes a second).
class ReportWriter {
public:
    /// `store` is used on the worker's thread alone.
    ReportWriter(boost::asio::io_context& io, Worker& worker, std::unique_ptr<store::Store> store);

    /// `nodes` in the cluster.
    void want(model::NodeReportSpec report, std::size_t nodes);

private:
    void schedule();
    void write();
    [[nodiscard]] static std::optional<store::StoreError> put(store::Store& store, const model::NodeReportSpec& report);

    Worker& worker_;
    std::shared_ptr<store::Store> store_;
    model::NodeReportSpec wanted_;
    std::optional<model::NodeReportSpec> written_;
    std::int64_t pause_us_ = 1'000'000;
    bool writing_ = false;
    bool failed_ = false;
    Timer timer_;
};

}  // namespace manul::felix::io
