#include "ipam/io/chores_loop.hpp"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/log.hpp"
#include "config/open_store.hpp"
#include "ipam/io/wall_clock.hpp"
#include "ipam/messages.hpp"

namespace manul::ipam {

namespace {

constexpr std::int64_t kEveryUs = 5'000'000;
// Changes that come together are worked on together; where they never end, this seldom.
constexpr std::chrono::milliseconds kGatherChanges{50};
constexpr std::chrono::milliseconds kBetweenRuns{1000};

}  // namespace

ChoresLoop::ChoresLoop(boost::asio::io_context& io, const config::Settings& settings, Metrics& metrics,
                       std::function<bool()> in_sync)
    : io_(io),
      settings_(settings),
      metrics_(metrics),
      in_sync_(std::move(in_sync)),
      timer_(io, [this] { run(); }),
      worker_(io) {}

void ChoresLoop::run() {
    watch_.reset();
    worker_.submit([this] {
        if (!chores_) {
            if (auto store = config::open_store(settings_)) {
                store_ = *std::move(store);
                chores_ = std::make_unique<Chores>(*store_, settings_.node_name, config::make_compactor(settings_));
            }
        }
        auto done = chores_ ? chores_->run(std::chrono::steady_clock::now(), wall_now()) : Outcome<Chores::Done>();
        const int watched = chores_ ? chores_->watch_fd() : -1;
        const bool anew = done && done->watch_began && watched >= 0;
        // A duplicate, since the watch belongs to the worker.
        UniqueFd readable(anew ? ::fcntl(watched, F_DUPFD_CLOEXEC, 0) : -1);
        return [this, done = std::move(done), watches = watched >= 0, readable = std::move(readable)]() mutable {
            timer_.after_us(kEveryUs);
            ended_at_ = std::chrono::steady_clock::now();
            if (readable || !watches) {
                readable_ = std::move(readable);
            }
            watch();
            report(done);
        };
    });
}

/// Without a descriptor chores notice changes when they are done the next time.
void ChoresLoop::watch() {
    if (!readable_) {
        return;
    }
    watch_ = std::make_unique<ReadableWatch>(io_, readable_.get(), [this] {
        watch_.reset();
        const auto since = std::chrono::steady_clock::now() - ended_at_;
        const auto wait = std::max<std::chrono::steady_clock::duration>(kGatherChanges, kBetweenRuns - since);
        timer_.after_us(std::chrono::duration_cast<std::chrono::microseconds>(wait).count());
    });
}

void ChoresLoop::report(const Outcome<Chores::Done>& done) {
    std::string problem = done ? std::string() : done.error().msg;
    holds_lease_ = done && done->holds;
    if (done) {
        report_done(*done);
        for (const std::string& one : done->problems) {
            problem += (problem.empty() ? "" : "; ") + one;
        }
    }
    if (!problem.empty() && problem != last_problem_ && in_sync_()) {
        log::emit(kChoresFailed, problem);
    }
    last_problem_ = problem;
}

void ChoresLoop::report_done(const Chores::Done& done) {
    if (done.taken_over) {
        log::emit(kChoresTaken);
    }
    for (const std::string& node : done.freed_nodes) {
        log::emit(kNodeFreed, node);
    }
    for (const std::string& service : done.services_given) {
        log::emit(kServiceGiven, service);
    }
    for (const std::string& service : done.services_freed) {
        log::emit(kServiceFreed, service);
    }
    if (done.blocks_given_up > 0) {
        log::emit(kTidied, done.blocks_given_up, std::size_t{0});
        metrics_.blocks_given_up.add(done.blocks_given_up);
    }
    for (const Chores::PoolState& pool : done.pools) {
        report_pool(pool);
    }
}

void ChoresLoop::report_pool(const Chores::PoolState& pool) {
    const auto set = [&](const char* state, double value) {
        metrics_.registry
            .gauge("manul_ipamd_pool_addresses",
                   "addresses of a pool by state, as the node that does the chores sees them",
                   {{"pool", pool.name}, {"state", state}})
            .set(value);
    };
    set("total", pool.usage.total);
    set("in_use", static_cast<double>(pool.usage.in_use));
    set("cooling_down", static_cast<double>(pool.usage.cooling));
    set("reserved", pool.usage.reserved_free);
    if (!pool.nearly_full) {
        nearly_full_.erase(pool.name);
    } else if (nearly_full_.insert(pool.name).second) {
        log::emit(kPoolNearlyFull, pool.text);
    }
}

}  // namespace manul::ipam
