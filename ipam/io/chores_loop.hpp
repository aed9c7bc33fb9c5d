#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "base/daemon.hpp"
#include "base/unique_fd.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"
#include "ipam/io/metrics.hpp"
#include "ipam/service/chores.hpp"

namespace manul::ipam {

/// Does the cluster's chores while this process holds the lease, every few seconds and soon after something changed
/// that they depend on, and reports what was done. On a thread and with a store connection of its own: lists of the
/// whole cluster must not keep pods waiting.
class ChoresLoop {
public:
    /// `in_sync`: whether the datastore can be used; while it cannot, that is reported already. What is passed outlives
    /// this object.
    ChoresLoop(boost::asio::io_context& io, const config::Settings& settings, Metrics& metrics,
               std::function<bool()> in_sync);

    void start() { timer_.after_us(0); }
    [[nodiscard]] bool holds_lease() const noexcept { return holds_lease_; }

private:
    void run();
    void watch();
    void report(const Outcome<Chores::Done>& done);
    void report_done(const Chores::Done& done);
    void report_pool(const Chores::PoolState& pool);

    boost::asio::io_context& io_;
    const config::Settings& settings_;
    Metrics& metrics_;
    std::function<bool()> in_sync_;
    bool holds_lease_ = false;
    std::set<std::string> nearly_full_;  ///< pools that were reported
    std::string last_problem_;
    std::chrono::steady_clock::time_point ended_at_;
    UniqueFd readable_;                     ///< a duplicate of the descriptor of the chores' watch, if there is one
    std::unique_ptr<ReadableWatch> watch_;  // after the descriptor: stops watching before it is closed
    Timer timer_;
    // The worker's.
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<Chores> chores_;
    Worker worker_;  // last: its thread ends before what it works on
};

}  // namespace manul::ipam
