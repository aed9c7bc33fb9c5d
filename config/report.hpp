#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

#include "config/model/node_report.hpp"
#include "config/store/store.hpp"

namespace boost::asio {
class io_context;
}

namespace manul {
class Worker;
}

/// What a daemon knows, written into its NodeReport `<node>.<daemon>`: only when the content changed, and rarely enough
/// that a thousand nodes together do not flood the store.
namespace manul::config {

/// When to write which content. Pure: the time is an argument.
class ReportPacer {
public:
    using Time = std::chrono::steady_clock::time_point;

    /// At most one write in max(1 s, nodes / 100 s).
    void set_node_count(std::size_t nodes) noexcept { nodes_ = nodes; }
    /// What the report should say from now on.
    void offer(model::NodeReportSpec wanted) { wanted_ = std::move(wanted); }

    /// When `take` will give something; nothing when the report says what it should or a write is under way.
    [[nodiscard]] std::optional<Time> next_deadline() const noexcept;
    /// The content to write now, if any. The caller answers with `finished`.
    [[nodiscard]] std::optional<model::NodeReportSpec> take(Time now);
    /// A write that failed is tried again, with what is wanted then.
    void finished(bool written);

private:
    [[nodiscard]] std::chrono::milliseconds interval() const noexcept;

    std::size_t nodes_ = 0;
    std::optional<model::NodeReportSpec> wanted_;
    std::optional<model::NodeReportSpec> stored_;
    std::optional<model::NodeReportSpec> writing_;
    std::optional<Time> last_attempt_;
};

/// Keeps one daemon's NodeReport in step; while the datastore is locked it is left as it is. From the io_context's
/// thread. `store` is used on the worker's thread alone and must outlive the worker's jobs; so must nothing else.
class ReportWriter {
public:
    ReportWriter(boost::asio::io_context& io, Worker& worker, store::Store& store);
    ~ReportWriter();
    ReportWriter(const ReportWriter&) = delete;
    ReportWriter& operator=(const ReportWriter&) = delete;

    void set_node_count(std::size_t nodes);
    /// `wanted.node` and `wanted.daemon` name the object.
    void update(model::NodeReportSpec wanted);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace manul::config
