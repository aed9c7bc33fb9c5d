#include <fcntl.h>
#include <net/if.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ratio>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/log.hpp"
#include "base/try.hpp"
#include "config/open_store.hpp"
#include "ipam/io/abandoned.hpp"
#include "ipam/io/daemon.hpp"
#include "ipam/io/status.hpp"
#include "ipam/messages.hpp"

// What manul-ipamd does without being asked: the plugin's journal, pods without link, tidying up, this node's tunnel
// ends, the cluster's chores; and what it tells of itself.

namespace manul::ipam {

namespace {

namespace json = boost::json;

constexpr std::int64_t kJournalUs = 5'000'000;
constexpr std::int64_t kPresenceUs = 5'000'000;
constexpr std::int64_t kHistoryUs = 20'000;
constexpr std::chrono::hours kLookEverywhereEvery{1};
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

std::vector<Uplink> uplinks_of(const std::vector<netlink::Link>& links) {
    std::vector<Uplink> out;
    for (const netlink::Link& link : links) {
        if (!link.is_loopback() && !is_host_end(link)) {
            out.push_back({link.name, link.mtu});
        }
    }
    return out;
}

void Ipamd::read_journal() {
    journal_worker_.submit([this] {
        JournalScan scan = scan_journal(journal_directory());
        return [this, scan = std::move(scan)] {
            for (const std::string& refused : scan.refused) {
                log::emit(kJournalRefused, refused);
            }
            for (const JournalFile& file : scan.files) {
                enqueue_del({file.request, nullptr, file.path});
            }
            log_dels();
            journal_timer_.after_us(kJournalUs);
        };
    });
}

void Ipamd::check_presence() {
    link_worker_.submit([this] {
        auto links = links_->list();
        return [this, links = std::move(links)] {
            presence_timer_.after_us(kPresenceUs);
            if (!links || !started_) {
                return;
            }
            store_worker_.submit([this, links = *links] {
                service_.set_uplinks(uplinks_of(links));
                const auto known = service_.attachments();
                const auto dead =
                    known ? presence_.observe(*known, links, std::chrono::steady_clock::now()) : std::vector<Release>{};
                const auto results = service_.release(dead, wall_now());
                history_.append(service_.take_history());  // of the deleter too
                for (std::size_t i = 0; i < dead.size(); ++i) {
                    if (results[i] && *results[i]) {
                        log::emit(kInterfaceGone, dead[i].attachment.container_id, dead[i].attachment.ifname);
                    }
                }
                return [] {};
            });
        };
    });
}

void Ipamd::tidy() {
    tidy_timer_.after_us(kTidyUs);
    const bool everywhere = is_due(look_everywhere_at_, kLookEverywhereEvery);
    journal_worker_.submit([this] {
        remove_abandoned_sockets(settings_.run_dir + "/wait");
        return [] {};
    });
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
    if (is_due(sync_tunnels_at_, kSyncTunnelsEvery) && started_) {
        sync_tunnels();
    }
}

void Ipamd::give_back(bool everywhere, const std::optional<std::set<std::string>>& containers) {
    store_worker_.submit([this, everywhere, containers, busy = deleter_->busy_handles()] {
        const auto done = service_.tidy(busy, containers, everywhere, std::chrono::steady_clock::now(), wall_now());
        if (done && (done->blocks > 0 || done->handles > 0)) {
            log::emit(kTidied, done->blocks, done->handles);
            metrics_.blocks_given_up.add(done->blocks);
            metrics_.leaks_freed.add(done->handles);
        }
        const auto known = service_.attachments();
        metrics_.endpoints.set(known ? static_cast<double>(known->size()) : 0);
        return [] {};
    });
}

void Ipamd::sync_tunnels() {
    store_worker_.submit([this] {
        auto done = service_.sync_tunnels(wall_now());
        history_.append(service_.take_history());
        return [this, done = std::move(done)] {
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

void Ipamd::run_chores() {
    chores_watch_.reset();
    chores_worker_.submit([this] {
        if (!chores_) {
            if (auto store = config::open_store(settings_)) {
                chores_store_ = *std::move(store);
                chores_ =
                    std::make_unique<Chores>(*chores_store_, settings_.node_name, config::make_compactor(settings_));
            }
        }
        auto done = chores_ ? chores_->run(std::chrono::steady_clock::now(), wall_now()) : Outcome<Chores::Done>();
        const int watched = chores_ ? chores_->watch_fd() : -1;
        const bool anew = done && done->watch_began && watched >= 0;
        // A duplicate, since the watch belongs to the worker.
        UniqueFd readable(anew ? ::fcntl(watched, F_DUPFD_CLOEXEC, 0) : -1);
        return [this, done = std::move(done), watches = watched >= 0, readable = std::move(readable)]() mutable {
            chores_timer_.after_us(kChoresUs);
            chores_ended_ = std::chrono::steady_clock::now();
            if (readable || !watches) {
                chores_readable_ = std::move(readable);
            }
            watch_for_chores();
            on_chores(done);
        };
    });
}

/// Without a descriptor chores notice changes when they are done the next time.
void Ipamd::watch_for_chores() {
    if (!chores_readable_) {
        return;
    }
    chores_watch_ = std::make_unique<ReadableWatch>(daemon_.io(), chores_readable_.get(), [this] {
        chores_watch_.reset();
        const auto since = std::chrono::steady_clock::now() - chores_ended_;
        const auto wait = std::max<std::chrono::steady_clock::duration>(kGatherChanges, kBetweenChores - since);
        chores_timer_.after_us(std::chrono::duration_cast<std::chrono::microseconds>(wait).count());
    });
}

void Ipamd::on_chores(const Outcome<Chores::Done>& done) {
    std::string problem = done ? std::string() : done.error().msg;
    does_chores_ = done && done->holds;
    if (done) {
        if (done->taken_over) {
            log::emit(kChoresTaken);
        }
        for (const std::string& node : done->freed_nodes) {
            log::emit(kNodeFreed, node);
        }
        for (const std::string& service : done->services_given) {
            log::emit(kServiceGiven, service);
        }
        for (const std::string& service : done->services_freed) {
            log::emit(kServiceFreed, service);
        }
        if (done->blocks_given_up > 0) {
            log::emit(kTidied, done->blocks_given_up, std::size_t{0});
            metrics_.blocks_given_up.add(done->blocks_given_up);
        }
        for (const std::string& one : done->problems) {
            problem += (problem.empty() ? "" : "; ") + one;
        }
        for (const Chores::PoolState& pool : done->pools) {
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
    }
    // While the datastore is away, that is said already.
    if (!problem.empty() && problem != last_chores_problem_ && started_) {
        log::emit(kChoresFailed, problem);
    }
    last_chores_problem_ = problem;
}

void Ipamd::update_report() {
    store_worker_.submit([this, in_sync = started_, node_missing = node_missing_] {
        model::NodeReportSpec content = service_.knowledge().report();
        content.in_sync = in_sync;
        if (node_missing) {  // that the report changes is the sign of life that keeps this node's addresses its own
            const auto seen = std::chrono::floor<std::chrono::duration<std::int64_t, std::ratio<300>>>(wall_now());
            content.conditions.push_back({"NodeMissing", fmt::format("there is no Node {}, and this node lives (at {})",
                                                                     settings_.node_name, print_timestamp(seen))});
        }
        return [this, content = std::move(content), nodes = service_.knowledge().node_count()]() mutable {
            report(std::move(content), nodes);
        };
    });
}

void Ipamd::report(model::NodeReportSpec content, std::size_t nodes) {
    for (const model::NotInForce& refusal : content.not_in_force) {
        if (std::ranges::find(known_refusals_, refusal) == known_refusals_.end()) {
            log::emit(kObjectRefused, refusal.kind, refusal.name, refusal.reason);
        }
    }
    known_refusals_ = content.not_in_force;
    report_.set_node_count(nodes);
    report_.update(std::move(content));
}

/// Of manulctl.
void Ipamd::on_control_request(const json::object& request, Reply reply) {
    const json::value* op = request.if_contains("op");
    const std::string name = op != nullptr && op->is_string() ? std::string(op->get_string()) : std::string();
    if (name != "status" && name != "show") {
        reply(json::object{{"error", "unknown op \"" + name + "\"; known are status and show"}});
        return;
    }
    DaemonState state{.node = settings_.node_name,
                      .in_sync = started_,
                      .problem = last_problem_,
                      .waiting_adds = awaited_.size(),
                      .waiting_deletes = deleter_->waiting()};
    auto shared = std::make_shared<Reply>(std::move(reply));
    store_worker_.submit([this, name, state = std::move(state), shared] {
        json::value answer = name == "status" ? status_json(service_, state) : show_json(service_, wall_now());
        return [shared, answer = std::move(answer)] { (*shared)(answer); };
    });
}

std::string Ipamd::exposition() {
    metrics_.waiting_adds.set(static_cast<double>(awaited_.size()));
    metrics_.waiting_dels.set(static_cast<double>(deleter_->waiting()));
    metrics_.in_sync.set(started_ ? 1 : 0);
    metrics_.does_chores.set(does_chores_ ? 1 : 0);
    // Counted by the committer; here alone they are carried over.
    metrics_.commits.add(service_.committer().commits() - metrics_.commits.value());
    metrics_.conflicts.add(service_.committer().conflicts() - metrics_.conflicts.value());
    return metrics_.registry.exposition();
}

Result<void> Ipamd::open_status_servers() {
    const std::uint16_t metrics_port = settings_.listeners.ipamd_metrics_port;
    const std::uint16_t health_port = settings_.listeners.ipamd_health_port;
    http_status::Pages metrics{.metrics = [this] { return exposition(); }, .live = {}, .ready = {}};
    http_status::Pages health{
        .metrics = {},
        .live = [] { return http_status::Checks{{"process", true, "answers"}}; },
        .ready =
            [this] {
                return http_status::Checks{{"datastore", started_, started_ ? std::string("in sync") : last_problem_}};
            }};
    if (metrics_port != 0 && metrics_port == health_port) {
        metrics.live = std::move(health.live);
        metrics.ready = std::move(health.ready);
    }
    const auto listen = [this](std::uint16_t port, http_status::Pages pages) -> Result<void> {
        MANUL_TRY(auto server,
                  http_status::Server::listen(daemon_.io(), settings_.listeners.metrics_host, port, std::move(pages)));
        status_servers_.push_back(std::move(server));
        return {};
    };
    if (metrics_port != 0) {
        MANUL_CHECK(listen(metrics_port, std::move(metrics)));
    }
    if (health_port != 0 && health_port != metrics_port) {
        MANUL_CHECK(listen(health_port, std::move(health)));
    }
    return {};
}

/// What was applied before the request counts. Whoever writes says so, some of them a moment later: when nothing was
/// said, the log of the store is read before somebody is refused, and otherwise not.
Ipamd::Added Ipamd::add_all(const std::vector<Request>& requests) {
    Added out;
    const auto take = [this, &out] {
        out.changes = service_.take_changes();
        if (*out.changes && (*out.changes)->restarted) {
            look_for_unrecorded();
            out.readable = duplicate_watch();
        }
    };
    pollfd said{service_.watch_fd(), POLLIN, 0};
    if (::poll(&said, 1, 0) > 0) {
        take();
    }
    out.results = service_.add(requests, wall_now());
    const auto is_refused = [](const AddResult& result) { return result.answer.error.has_value(); };
    if (std::ranges::none_of(out.results, is_refused)) {
        return out;
    }
    if (service_.committer().problem()) {
        write_refused_at_ = std::chrono::steady_clock::now();
    }
    const std::size_t unrecorded = unrecorded_;
    bool anything_new = false;
    if (!out.changes) {
        take();
        anything_new = out.changes->has_value() && (*out.changes)->any;
    }
    if (unrecorded > 0) {  // some of those pods may have ended
        look_for_unrecorded();
        anything_new = anything_new || unrecorded_ < unrecorded;
    }
    for (std::size_t i = 0; anything_new && i < requests.size(); ++i) {
        if (is_refused(out.results[i])) {
            out.results[i] = service_.add(std::span(&requests[i], 1), wall_now()).front();
        }
    }
    return out;
}

/// On Kubernetes a Pod that was deleted takes the record of its container along, and elsewhere a datastore that was
/// lost: the link may still be there.
std::optional<KnownAttachment> Ipamd::predecessor_of(const Request& request) {
    auto known = service_.predecessor_of(request).value_or(std::nullopt);
    if (!known && (host_.on_kubernetes || unrecorded_ > 0) && ::if_nametoindex(request.host_interface.c_str()) != 0) {
        known = KnownAttachment{request.network, {{}, request.attachment.ifname}, request.host_interface};
    }
    return known;
}

/// After the answers, and once for all of a moment: no pod waits for the record, nor for the processor that it takes.
void Ipamd::record_history() {
    if (!history_timer_.armed()) {
        history_timer_.after_us(kHistoryUs);
    }
}

void Ipamd::write_history() {
    store_worker_.submit([this] {
        history_.append(service_.take_history());
        return [] {};
    });
}

}  // namespace manul::ipam
