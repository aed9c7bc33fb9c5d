#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "ipam/io/daemon.hpp"
#include "ipam/io/wall_clock.hpp"
#include "ipam/messages.hpp"

// What manul-ipamd does for its node without being asked: pods without link, tidying up, tunnel ends, the history.

namespace manul::ipam {

namespace {

constexpr std::int64_t kPresenceUs = 5'000'000;
constexpr std::int64_t kTidyUs = 30'000'000;
constexpr std::int64_t kHistoryUs = 20'000;
constexpr std::chrono::hours kTidyEverywhereEvery{1};
constexpr std::chrono::minutes kSyncTunnelsEvery{1};

/// True at the first call after each of the moments, which are `every` apart at least. Not at the very first call: what
/// is done seldom is done at the start, or can wait.
bool is_due(std::chrono::steady_clock::time_point& at, std::chrono::steady_clock::duration every) {
    const auto now = std::chrono::steady_clock::now();
    const bool due = at != std::chrono::steady_clock::time_point{} && now >= at;
    if (due || at == std::chrono::steady_clock::time_point{}) {
        at = now + every;
    }
    return due;
}

}  // namespace

void Ipamd::check_presence() {
    link_worker_.submit([this] {
        return [this, links = links_->list()] {
            presence_timer_.after_us(kPresenceUs);
            if (links && in_sync_) {
                store_worker_.submit([this, links = *links] {
                    host_.observe(links);
                    return [] {};
                });
            }
        };
    });
}

void Ipamd::tidy() {
    tidy_timer_.after_us(kTidyUs);
    const bool everywhere = is_due(tidy_everywhere_at_, kTidyEverywhereEvery);
    cni_server_->remove_abandoned();
    link_worker_.submit([this, everywhere] {
        std::optional<std::set<std::string>> containers;
        if (const auto links = links_->list()) {
            containers.emplace();
            for (const netlink::Link& link : *links) {
                if (!link.alias.empty()) {
                    containers->insert(link.alias);
                }
            }
        }
        return [this, everywhere, containers = std::move(containers)] { give_back(everywhere, containers); };
    });
    if (is_due(sync_tunnels_at_, kSyncTunnelsEvery) && in_sync_) {
        sync_tunnels();
    }
}

void Ipamd::give_back(bool everywhere, const std::optional<std::set<std::string>>& containers) {
    store_worker_.submit([this, everywhere, containers, busy = cni_server_->busy_handles()] {
        const auto done =
            host_.service().tidy(busy, containers, everywhere, std::chrono::steady_clock::now(), wall_now());
        if (done && (done->blocks > 0 || done->handles > 0)) {
            log::emit(kTidied, done->blocks, done->handles);
            metrics_.blocks_given_up.add(done->blocks);
            metrics_.leaks_freed.add(done->handles);
        }
        const auto known = host_.service().attachments();
        metrics_.endpoints.set(known ? static_cast<double>(known->size()) : 0);
        return [] {};
    });
}

void Ipamd::sync_tunnels() {
    store_worker_.submit([this] {
        return [this, done = host_.sync_tunnels()] {
            const std::string problem = done ? std::string() : done.error().msg;
            if (!problem.empty() && problem != last_tunnel_problem_) {
                log::emit(kTunnelFailed, problem);
            }
            last_tunnel_problem_ = problem;
            for (const std::string& line : done.value_or(std::vector<std::string>())) {
                log::emit(kTunnelChanged, line);
            }
        };
    });
}

/// After the answers, and once for all of a moment: no pod waits for the record, nor for the processor that it takes.
void Ipamd::write_history_soon() {
    if (!history_timer_.armed()) {
        history_timer_.after_us(kHistoryUs);
    }
}

void Ipamd::write_history() {
    store_worker_.submit([this] {
        host_.write_history();
        return [] {};
    });
}

}  // namespace manul::ipam
