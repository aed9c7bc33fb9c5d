#include "bgpd/io/bgpd.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/control.hpp"
#include "base/daemon.hpp"
#include "base/http_status.hpp"
#include "base/log.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/io/address_text.hpp"
#include "bgpd/io/datastore.hpp"
#include "bgpd/io/engine.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/metrics.hpp"
#include "bgpd/io/mrt_dump.hpp"
#include "bgpd/io/node_status.hpp"
#include "bgpd/io/own_address.hpp"
#include "bgpd/io/password.hpp"
#include "bgpd/io/session_report.hpp"
#include "bgpd/io/show.hpp"
#include "bgpd/io/tcp_ao.hpp"
#include "bgpd/io/workload_links.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/originate.hpp"
#include "bgpd/speaker/peers.hpp"
#include "bgpd/speaker/status.hpp"
#include "bgpd/speaker/workloads.hpp"
#include "config/model/node_report.hpp"
#include "config/open_store.hpp"
#include "config/report.hpp"
#include "config/settings.hpp"
#include "config/store/obey_lock.hpp"
#include "config/store/store.hpp"
#include "config/store_in_force.hpp"
#include "net/ip.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::int64_t kNodeRetryUs = 5'000'000;
constexpr std::int64_t kNodeRefreshUs = 30'000'000;
constexpr std::size_t kSlotsACount = 4096;
constexpr std::int64_t kCountPauseUs = 2'000;
constexpr std::int64_t kCountAgainUs = 5'000'000;
constexpr std::int64_t kPasswordsUs = 3'000'000;
constexpr std::int64_t kSettleUs = 2'000;  // several writes of one change come in several groups
constexpr std::int64_t kReportUs =
    50'000;  // a report names every peer: not one for each of thousands that come at once

/// SIGTERM means restart: kernel routes stay in force, and peers are told in a way that lets them keep ours (RFC 4724,
/// 8538).
class Bgpd {
public:
    Bgpd(const config::Settings& settings, std::unique_ptr<store::Store> followed, std::unique_ptr<store::Store> own)
        : settings_(settings),
          daemon_("manul-bgpd"),
          own_store_(std::move(own)),
          worker_(daemon_.io()),
          report_(daemon_.io(), worker_, *own_store_),
          node_status_(daemon_.io(), worker_, *own_store_, [this](const auto& classes) { return status_for(classes); }),
          engine_(daemon_.io(), settings.bgpd_kernel,
                  [this](const speaker::PeerStatus& status, bool removed) { on_peer(status, removed); }),
          dump_(daemon_.io(), engine_.speaker()),
          datastore_(daemon_.io(), worker_, std::move(followed),
                     config::StoreInForce(settings.run_dir + "/store-in-force-bgpd", true), settings.node_name,
                     [this] { apply_.armed() ? void() : apply_.after_us(kSettleUs); }),
          apply_(daemon_.io(), [this] { apply(); }),
          report_soon_(daemon_.io(), [this] { write_report(); }),
          node_(daemon_.io(), [this] { refresh_node(); }),
          workload_links_(daemon_.io()),
          passwords_(daemon_.io(), [this] { check_passwords(); }),
          count_sent_(daemon_.io(), [this] { count_sent(); }) {}

    int run() {
        std::error_code ignored;
        std::filesystem::create_directories(settings_.run_dir, ignored);
        if (const auto started = engine_.start(); !started) {
            log::emit(kKernelFailed, started.error().message);
            return 1;
        }
        auto server = serve_show(daemon_.io(), settings_.run_dir, engine_, datastore_, [this] { return report(); });
        if (!server) {
            log::emit(kControlFailed, server.error().message);
            return 1;
        }
        daemon_.on_stop([this] { engine_.finish(); });
        if (!serve_http()) {
            return 1;
        }
        refresh_node();
        datastore_.start();
        passwords_.after_us(kPasswordsUs);
        daemon_.ready();
        return daemon_.run();
    }

private:
    void refresh_node() {
        worker_.submit([this]() -> std::move_only_function<void()> {
            const auto done = refresh_own_node(*own_store_, settings_);
            return [this, problem = done ? std::string() : done.error().message] {
                if (!problem.empty() && problem != node_problem_) {
                    log::emit(kStoreFailed, problem);
                }
                node_problem_ = problem;
                node_.after_us(problem.empty() ? kNodeRefreshUs : kNodeRetryUs);
            };
        });
    }

    /// Metrics and probes, where the settings want them.
    bool serve_http() {
        const auto& listeners = settings_.listeners;
        if (listeners.bgpd_metrics_port != 0) {
            http_status::Pages pages;
            pages.metrics = [this] { return metrics_text(engine_, sent_, datastore_.is_lost()); };
            if (!serve(listeners.bgpd_metrics_port, std::move(pages), metrics_server_)) {
                return false;
            }
            count_sent();
        }
        if (listeners.bgpd_health_port == 0) {
            return true;
        }
        http_status::Pages pages;
        pages.live = [] { return http_status::Checks{{"loop", true, {}}}; };
        pages.ready = [this] {
            const bool lost = datastore_.is_lost();
            const char* const unread = datastore_.in_sync() ? "" : "not read yet";
            return http_status::Checks{
                {"datastore", datastore_.in_sync() && !lost, lost ? "an empty one is in its place" : unread},
                {"routes", engine_.in_sync(), engine_.in_sync() ? "" : "first tables are being loaded"}};
        };
        return serve(listeners.bgpd_health_port, std::move(pages), health_server_);
    }

    bool serve(std::uint16_t port, http_status::Pages pages, std::unique_ptr<http_status::Server>& server) {
        auto started =
            http_status::Server::listen(daemon_.io(), settings_.listeners.metrics_host, port, std::move(pages));
        if (!started) {
            log::emit(kHttpFailed, port, started.error().message);
            return false;
        }
        server = *std::move(started);
        return true;
    }

    /// Counting what peers were told means walking the tables, so it is done in parts, and not all the time.
    void count_sent() {
        const auto part = engine_.speaker().sent_counts(count_from_.value_or(speaker::Cursor{}), kSlotsACount);
        for (const auto& [address, counts] : part.peers) {
            auto& of_peer = counting_[address];
            of_peer[0] += counts[0];
            of_peer[1] += counts[1];
        }
        count_from_ = part.next;
        if (count_from_) {
            count_sent_.after_us(kCountPauseUs);
            return;
        }
        sent_ = std::exchange(counting_, {});
        count_sent_.after_us(kCountAgainUs);
    }

    [[nodiscard]] model::CalicoNodeStatusStatus status_for(const std::vector<model::NodeStatusClass>& classes) const {
        AgentFacts facts{engine_.in_sync(), {}, wall_clock_text(started_), wall_clock_text(reconfigured_)};
        if (configuration_) {
            facts.router_id = configuration_->self.router_id.to_string();
        }
        return make_node_status(engine_.speaker(), facts, classes, wall_clock_text(std::chrono::steady_clock::now()));
    }

    void apply() {
        if (!datastore_.in_sync()) {
            return write_report();  // the store is lost: routes of an earlier run stay as they are
        }
        auto configuration = speaker::make_configuration(datastore_.peer_resources());
        configuration.program_kernel = settings_.bgpd_kernel;
        look_up_passwords(configuration, datastore_.secrets());
        password_files_ = password_files(configuration);
        require_ao(configuration, ao_obstacle_);
        if (!configuration_ || *configuration_ != configuration) {
            for (const std::string& finding : configuration.findings) {
                if (!configuration_ ||
                    std::ranges::find(configuration_->findings, finding) == configuration_->findings.end()) {
                    log::emit(kFinding, finding);
                }
            }
            configuration_ = std::make_shared<const speaker::Configuration>(std::move(configuration));
            reconfigured_ = std::chrono::steady_clock::now();
            engine_.configure(configuration_);
            configure_dump();
        }
        if (settings_.bgpd_kernel) {
            workload_links_.keep(speaker::workload_addresses(datastore_.peer_resources()));
        }
        auto routes = speaker::local_routes(datastore_.origin_resources());
        speaker::add_ways_to_peers(*configuration_, routes);
        if (!routes_ || *routes_ != routes) {
            routes_ = std::make_shared<const std::vector<speaker::LocalRoute>>(std::move(routes));
            engine_.originate(routes_);
        }
        node_status_.set_requests(datastore_.status_requests());
        write_report();
    }

    /// Files of passwords are changed without anybody telling.
    void check_passwords() {
        passwords_.after_us(kPasswordsUs);
        if (configuration_ && password_files(*configuration_) != password_files_) {
            apply();
        }
    }

    void configure_dump() {
        const auto& dump = configuration_->table_dump;
        dump_.configure(dump ? std::optional(MrtDump::Plan{.path = dump->path,
                                                           .interval = dump->interval,
                                                           .router_id = configuration_->self.router_id.value(),
                                                           .as = configuration_->self.as.number()})
                             : std::nullopt);
    }

    void on_peer(const speaker::PeerStatus& status, bool removed) {
        auto& was_up = up_[status.id];
        const bool is_up = status.state == fsm::State::established && !removed;
        if (is_up != std::exchange(was_up, is_up)) {
            if (is_up) {
                log::emit(kSessionUp, address_text(status), status.name);
            } else {
                log::emit(kSessionDown, address_text(status), status.name,
                          removed ? std::string("no longer configured") : status.last_error);
            }
        }
        if (removed) {
            up_.erase(status.id);
        }
        sessions_.changed(status, removed);
        report_soon_.armed() ? void() : report_soon_.after_us(kReportUs);
    }

    [[nodiscard]] model::NodeReportSpec report() const {
        model::NodeReportSpec spec;
        spec.daemon = model::ReportDaemon::bgpd;
        spec.node = settings_.node_name;
        spec.version = MANUL_VERSION;
        spec.in_sync = engine_.in_sync();
        spec.last_tokens = datastore_.tokens();
        spec.sessions = sessions_.sessions();
        spec.not_in_force = datastore_.not_in_force();
        if (datastore_.is_lost()) {
            spec.conditions.push_back({"DatastoreLost", std::string(kStoreLost.text)});
        }
        if (configuration_) {
            for (const std::string& finding : configuration_->findings) {
                spec.conditions.push_back({"ConfigurationWithoutEffect", finding});
            }
        }
        return spec;
    }

    void write_report() {
        if (datastore_.in_sync() || datastore_.is_lost()) {
            report_.set_node_count(datastore_.node_count());
            report_.update(report());
        }
    }

    const config::Settings& settings_;
    Daemon daemon_;
    std::unique_ptr<store::Store> own_store_;  ///< writes; the worker's alone
    Worker worker_;
    config::ReportWriter report_;
    NodeStatusWriter node_status_;
    SessionReport sessions_;
    Engine engine_;
    MrtDump dump_;
    Datastore datastore_;
    Timer apply_;
    Timer report_soon_;
    Timer node_;
    WorkloadLinks workload_links_;
    Timer passwords_;
    Timer count_sent_;
    std::optional<speaker::Cursor> count_from_;
    SentByPeer counting_;
    SentByPeer sent_;
    std::unique_ptr<http_status::Server> metrics_server_;
    std::unique_ptr<http_status::Server> health_server_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
    std::chrono::steady_clock::time_point reconfigured_ = started_;
    std::string node_problem_;
    std::string password_files_;
    std::string ao_obstacle_ = ao_obstacle();
    std::map<std::string, bool> up_;  ///< by PeerStatus::id
    std::shared_ptr<const speaker::Configuration> configuration_;
    std::shared_ptr<const std::vector<speaker::LocalRoute>> routes_;
};

}  // namespace

int run(const config::Settings& settings) {
    auto followed = config::open_store_patiently(settings);
    auto own = config::open_store(settings);
    if (!followed || !own) {
        log::emit(kStoreFailed, followed ? own.error().message : followed.error().message);
        return 1;
    }
    return Bgpd(settings, store::obey_lock(*std::move(followed)), *std::move(own)).run();
}

}  // namespace manul::bgp::io
