#include "bgpd/io/bgpd.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/control.hpp"
#include "base/daemon.hpp"
#include "base/log.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/io/datastore.hpp"
#include "bgpd/io/engine.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/io/mrt_dump.hpp"
#include "bgpd/io/own_address.hpp"
#include "bgpd/io/password.hpp"
#include "bgpd/io/session_report.hpp"
#include "bgpd/io/show.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/originate.hpp"
#include "bgpd/speaker/peers.hpp"
#include "bgpd/speaker/status.hpp"
#include "config/model/node_report.hpp"
#include "config/open_store.hpp"
#include "config/report.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"
#include "net/ip.hpp"

namespace manul::bgp::io {
namespace {

constexpr std::int64_t kNodeRetryUs = 5'000'000;
constexpr std::int64_t kNodeRefreshUs = 30'000'000;
constexpr std::int64_t kSettleUs = 2'000;  // several writes of one change come in several groups

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
          engine_(daemon_.io(), settings.bgpd_kernel,
                  [this](const speaker::PeerStatus& status, bool removed) { on_peer(status, removed); }),
          dump_(daemon_.io(), engine_.speaker()),
          datastore_(daemon_.io(), worker_, std::move(followed), settings.node_name,
                     [this] { apply_.armed() ? void() : apply_.after_us(kSettleUs); }),
          apply_(daemon_.io(), [this] { apply(); }),
          node_(daemon_.io(), [this] { refresh_node(); }) {}

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
        refresh_node();
        datastore_.start();
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

    void apply() {
        auto configuration = speaker::make_configuration(datastore_.peer_resources());
        configuration.program_kernel = settings_.bgpd_kernel;
        look_up_passwords(configuration);
        if (!configuration_ || *configuration_ != configuration) {
            for (const std::string& finding : configuration.findings) {
                if (!configuration_ ||
                    std::ranges::find(configuration_->findings, finding) == configuration_->findings.end()) {
                    log::emit(kFinding, finding);
                }
            }
            configuration_ = std::make_shared<const speaker::Configuration>(std::move(configuration));
            engine_.configure(configuration_);
            configure_dump();
        }
        auto routes = speaker::local_routes(datastore_.origin_resources());
        if (!routes_ || *routes_ != routes) {
            routes_ = std::make_shared<const std::vector<speaker::LocalRoute>>(std::move(routes));
            engine_.originate(routes_);
        }
        write_report();
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
        auto& was_up = up_[status.address];
        const bool is_up = status.state == fsm::State::established && !removed;
        if (is_up != std::exchange(was_up, is_up)) {
            if (is_up) {
                log::emit(kSessionUp, status.address.to_string(), status.name);
            } else {
                log::emit(kSessionDown, status.address.to_string(), status.name,
                          removed ? std::string("no longer configured") : status.last_error);
            }
        }
        if (removed) {
            up_.erase(status.address);
        }
        sessions_.changed(status, removed);
        write_report();
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
        if (configuration_) {
            for (const std::string& finding : configuration_->findings) {
                spec.conditions.push_back({"ConfigurationWithoutEffect", finding});
            }
        }
        return spec;
    }

    void write_report() {
        if (datastore_.in_sync()) {
            report_.set_node_count(datastore_.node_count());
            report_.update(report());
        }
    }

    const config::Settings& settings_;
    Daemon daemon_;
    std::unique_ptr<store::Store> own_store_;  ///< writes; the worker's alone
    Worker worker_;
    config::ReportWriter report_;
    SessionReport sessions_;
    Engine engine_;
    MrtDump dump_;
    Datastore datastore_;
    Timer apply_;
    Timer node_;
    std::string node_problem_;
    std::map<net::Ip, bool> up_;
    std::shared_ptr<const speaker::Configuration> configuration_;
    std::shared_ptr<const std::vector<speaker::LocalRoute>> routes_;
};

}  // namespace

int run(const config::Settings& settings) {
    auto followed = config::open_store(settings);
    auto own = config::open_store(settings);
    if (!followed || !own) {
        log::emit(kStoreFailed, followed ? own.error().message : followed.error().message);
        return 1;
    }
    return Bgpd(settings, *std::move(followed), *std::move(own)).run();
}

}  // namespace manul::bgp::io
