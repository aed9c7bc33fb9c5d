#include "felix/io/felix.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/try.hpp"
#include "config/open_store.hpp"
#include "config/own_node.hpp"
#include "config/report.hpp"
#include "config/settings.hpp"
#include "config/store/obey_lock.hpp"
#include "config/store_in_force.hpp"
#include "felix/calc/graph.hpp"
#include "felix/io/connection_cutter.hpp"
#include "felix/io/conntrack.hpp"
#include "felix/io/dataplane.hpp"
#include "felix/io/datastore.hpp"
#include "felix/io/environment.hpp"
#include "felix/io/last_good_journal.hpp"
#include "felix/io/messages.hpp"
#include "felix/io/packet_log.hpp"
#include "felix/io/published_ports.hpp"
#include "felix/io/rollback_watch.hpp"
#include "felix/io/rule_counts.hpp"
#include "felix/io/show.hpp"
#include "felix/io/status_pages.hpp"
#include "net/ip.hpp"

namespace manul::felix::io {

namespace {

constexpr std::int64_t kOwnNodeRetryUs = 10'000'000;
constexpr std::int64_t kForgetGatherUs = 100'000;

model::NotInForce not_in_force(const Report& report) {
    return {model::reported_kind(report.key.kind),
            report.key.ns,
            report.key.name,
            report.reason,
            report.refused_revision,
            report.revision_in_force};
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

class Felix {
public:
    explicit Felix(const config::Settings& settings)
        : settings_(settings),
          daemon_("manul-felix"),
          environment_(read_environment(environ)),
          graph_({settings.node_name, environment_.fields}),
          journal_(settings.state_dir),
          own_node_retry_(daemon_.io(), [this] { ensure_own_node(); }),
          forget_soon_(daemon_.io(), [this] { forget_connections(); }) {}

    Result<void> start() {
        for (const model::ReportedCondition& condition : environment_.conditions) {
            log::emit(kEnvironmentProblem, condition.message);
        }
        MANUL_TRY(auto reading, config::open_store(settings_));
        reading = store::obey_lock(std::move(reading));
        MANUL_TRY(writing_store_, config::open_store(settings_));
        MANUL_TRY(dataplane_, Dataplane::open(daemon_.io(), {.run_dir = settings_.run_dir}));
        MANUL_CHECK(dataplane_->start());
        MANUL_TRY(auto conntrack, Conntrack::open());
        conntrack_ = std::make_unique<Conntrack>(std::move(conntrack));
        for (const model::ResourcePtr& last_good : journal_.load()) {
            graph_.restore(last_good);
        }
        worker_ = std::make_unique<Worker>(daemon_.io());
        cutter_ = std::make_unique<ConnectionCutter>(graph_, *worker_, *conntrack_);
        published_ = std::make_unique<PublishedPorts>(*worker_, *conntrack_);
        report_ = std::make_unique<config::ReportWriter>(daemon_.io(), *worker_, *writing_store_);
        ensure_own_node();
        rollbacks_ = std::make_unique<RollbackWatch>(
            daemon_.io(), *worker_, *writing_store_,
            RollbackWatch::Hooks{
                .is_current = [this](
                                  const model::Key& key,
                                  const store::Revision& revision) { return datastore_->revision_of(key) == revision; },
                .enforce = [this](const StoreChanges& changes) { on_store_changes(changes); },
                .read_again = [this](const std::vector<model::Key>& keys) { datastore_->read_again(keys); },
            });
        datastore_ = std::make_unique<Datastore>(
            daemon_.io(), std::move(reading),
            config::StoreInForce(settings_.run_dir + "/store-in-force", dataplane_->found_rules()),
            [this](const StoreChanges& changes) { on_store_changes(changes); });
        MANUL_TRY(show_, serve_show(daemon_.io(), settings_.run_dir, *dataplane_, *datastore_));
        if (auto packet_log = PacketLog::open(daemon_.io(), dataplane_->renderer())) {
            packet_log_ = *std::move(packet_log);
        } else {
            log::emit(kFlowLogFailed, packet_log.error().message);
        }
        pages_ = std::make_unique<StatusPages>(
            daemon_.io(), settings_.felix_names, [this] { return facts(); },
            [this](metrics::Registry& registry) {
                if (const RuleCounts* counts = recent_counts()) {
                    add_rule_metrics(registry, *counts);
                }
            });
        dataplane_->on_interfaces([this](const InterfaceAddresses& interfaces) {
            graph_.handle(interfaces);
            program(graph_.flush());
            if (listed_) {
                publish_state();
            }
        });
        dataplane_->on_recovered([this] { publish_state(); });
        datastore_->start();
        return {};
    }

    int run() {
        daemon_.ready();
        return daemon_.run();
    }

private:
    void ensure_own_node() {
        worker_->submit([this]() -> std::move_only_function<void()> {
            const auto node = config::ensure_own_node(*writing_store_, settings_);
            return [this, problem = node ? std::string{} : node.error().message] {
                if (!problem.empty()) {
                    log::emit(kOwnNodeFailed, problem);
                    own_node_retry_.after_us(kOwnNodeRetryUs);
                }
            };
        });
    }

    void on_store_changes(const StoreChanges& changes) {
        auto started = std::chrono::steady_clock::now();
        for (const Event& event : changes.events) {
            if (rollbacks_->handle(event, changes)) {
                continue;
            }
            graph_.handle(event);
            listed_ = listed_ || std::holds_alternative<StoreInSync>(event);
            if (packet_log_) {
                packet_log_->handle(event);
            }
        }
        const Batch batch = graph_.flush();
        pages_->observe_calculation(seconds_since(started));
        started = std::chrono::steady_clock::now();
        program(batch);
        pages_->observe_apply(seconds_since(started));
        updates_ += changes.events.size();
        const Config& config = dataplane_->renderer().config();
        pages_->configure(config.metrics, config.health);
        write_journal(changes);
        publish_state();
    }

    /// To everybody who follows what is in force.
    void publish_state() {
        if (const Dataplane::Status status = dataplane_->status(); status.in_sync && !status.commit_pending) {
            published_->take_effect([this] { return dataplane_->own_addresses(); });
        }
        if (packet_log_) {
            packet_log_->rules_changed();
        }
        gather_gone();
        log_refused();
        write_report();
    }

    void program(const Batch& batch) {
        dataplane_->apply(batch);
        const Config& config = dataplane_->renderer().config();
        cutter_->apply(batch, config,
                       config.cut_denied_connections ? dataplane_->own_addresses() : std::set<net::Ip>{});
        published_->note(batch);
    }

    /// The kernel's list is as long as its table, not as what is in it: one look at it for all that go within a moment,
    /// or before one of them is given out again.
    void gather_gone() {
        Dataplane::Gone more = dataplane_->take_gone();
        gone_.addresses.merge(more.addresses);
        gone_.marks.insert(gone_.marks.end(), more.marks.begin(), more.marks.end());
        if (gone_.addresses.empty()) {
            dataplane_->forget_marks(std::exchange(gone_.marks, {}));
            return;
        }
        const bool reused =
            std::ranges::any_of(gone_.addresses, [this](const net::Ip& ip) { return dataplane_->routes_to(ip); });
        if (reused) {
            forget_connections();
        } else if (!forget_soon_.armed()) {
            forget_soon_.after_us(kForgetGatherUs);
        }
    }

    void forget_connections() {
        forget_soon_.cancel();
        worker_->submit([this, gone = std::exchange(gone_, {})]() -> std::move_only_function<void()> {
            if (const auto forgotten = conntrack_->forget(gone.addresses); !forgotten) {
                log::emit(kConntrackFailed, forgotten.error().message);
                return [] {};
            }
            return [this, marks = gone.marks] { dataplane_->forget_marks(marks); };
        });
    }

    void log_refused() {
        std::map<model::Key, std::string> now;
        for (const Report& report : graph_.reports()) {
            const std::string text = report.refused_revision + report.reason;
            const auto known = refused_.find(report.key);
            if (known == refused_.end() || known->second != text) {
                log::emit(kObjectRefused, report.key.to_string(), report.reason);
            }
            now.emplace(report.key, text);
        }
        refused_ = std::move(now);
    }

    void write_journal(const StoreChanges& changes) {
        std::vector<LastGoodJournal::Entry> entries;
        for (const JournalChange& change : graph_.take_journal_changes()) {
            const auto document = changes.documents.find(change.key);
            if (!change.revision) {
                entries.push_back({change.key, nullptr});
            } else if (document != changes.documents.end()) {
                entries.push_back({change.key, document->second});
            }
        }
        if (!entries.empty()) {
            worker_->submit([this, entries = std::move(entries)]() -> std::move_only_function<void()> {
                journal_.write(entries);
                return [] {};
            });
        }
    }

    void write_report() {
        const Dataplane::Status status = dataplane_->status();
        if (status.commit_pending) {
            return;  // the tokens are not in force yet
        }
        model::NodeReportSpec spec;
        spec.daemon = model::ReportDaemon::felix;
        spec.node = settings_.node_name;
        spec.version = MANUL_VERSION;
        spec.in_sync = status.in_sync;
        spec.last_tokens = datastore_->tokens();
        spec.overrides = environment_.overrides;
        spec.conditions = environment_.conditions;
        if (datastore_->is_lost()) {
            spec.conditions.push_back({"DatastoreLost", std::string(kStoreLost.text)});
        }
        for (const Report& report : graph_.reports()) {
            spec.not_in_force.push_back(not_in_force(report));
        }
        report_->set_node_count(datastore_->count(model::Kind::node));
        report_->update(std::move(spec));
    }

    /// Reading all counters holds up everything else for a time that grows with the rules (0.3 s at 40,000): whoever
    /// scrapes however often gets figures of a while ago, so that a twentieth of the time at most goes there. Null when
    /// they could not be read.
    [[nodiscard]] const RuleCounts* recent_counts() {
        const auto now = std::chrono::steady_clock::now();
        if (!counted_ || now >= count_again_) {
            auto counts = rule_counts(*dataplane_);
            counted_ = counts ? std::optional(*std::move(counts)) : std::nullopt;
            constexpr int kShare = 20;
            const auto done = std::chrono::steady_clock::now();
            count_again_ = done + kShare * (done - now);
        }
        return counted_ ? &*counted_ : nullptr;
    }

    [[nodiscard]] Facts facts() const {
        const Dataplane::Status status = dataplane_->status();
        Facts facts;
        facts.store_connected = datastore_->connected();
        facts.store_lost = datastore_->is_lost();
        facts.listed = listed_;
        facts.in_sync = status.in_sync;
        facts.commit_pending = status.commit_pending;
        facts.problem = status.problems.empty() ? "" : status.problems.front();
        facts.local_endpoints = status.endpoints;
        facts.local_policies = dataplane_->renderer().policy_count();
        facts.routes = status.routes;
        facts.not_in_force = refused_.size();
        facts.cluster_nodes = datastore_->count(model::Kind::node);
        facts.cluster_policies = datastore_->count(model::Kind::network_policy) +
                                 datastore_->count(model::Kind::global_network_policy) +
                                 datastore_->count(model::Kind::kubernetes_network_policy);
        facts.cluster_profiles = datastore_->count(model::Kind::profile);
        facts.cluster_tiers = datastore_->count(model::Kind::tier);
        facts.cluster_host_endpoints = datastore_->count(model::Kind::host_endpoint);
        facts.cluster_workload_endpoints = datastore_->count(model::Kind::workload_endpoint);
        std::set<std::string_view> sets;
        for (const auto& [key, table] : dataplane_->wanted().tables) {
            ++facts.tables;
            facts.chains += table.chains.size();
            for (const auto& [name, chain] : table.chains) {
                facts.rules += chain->rules().size();
            }
            for (const auto& [name, set] : table.sets) {
                sets.insert(name);
            }
        }
        facts.sets = sets.size();
        facts.commits = status.commits;
        facts.failures = status.failures;
        facts.drifts = status.drifts;
        facts.updates = updates_;
        if (packet_log_) {
            facts.packets_logged = packet_log_->received();
            facts.packets_damaged = packet_log_->damaged();
            facts.log_overruns = packet_log_->overruns();
        }
        return facts;
    }

    const config::Settings& settings_;
    Daemon daemon_;
    EnvironmentSettings environment_;
    Graph graph_;
    LastGoodJournal journal_;
    std::unique_ptr<Dataplane> dataplane_;
    std::unique_ptr<Conntrack> conntrack_;  // used on the worker's thread alone
    std::unique_ptr<ConnectionCutter> cutter_;
    std::unique_ptr<PublishedPorts> published_;
    std::unique_ptr<store::Store> writing_store_;  // used on the worker's thread alone
    Timer own_node_retry_;
    Dataplane::Gone gone_;  ///< whose connections are to end
    Timer forget_soon_;
    std::unique_ptr<Datastore> datastore_;
    std::unique_ptr<control::Server> show_;
    std::unique_ptr<PacketLog> packet_log_;
    std::unique_ptr<RollbackWatch> rollbacks_;
    std::unique_ptr<StatusPages> pages_;
    std::optional<RuleCounts> counted_;
    std::chrono::steady_clock::time_point count_again_;
    bool listed_ = false;
    std::uint64_t updates_ = 0;
    std::map<model::Key, std::string> refused_;
    std::unique_ptr<Worker> worker_;  // its job at hand uses what stands above
    std::unique_ptr<config::ReportWriter> report_;
};

}  // namespace

int run(const config::Settings& settings) {
    Felix felix(settings);
    if (const auto started = felix.start(); !started) {
        log::emit(kCannotStart, started.error().message);
        return 1;
    }
    return felix.run();
}

}  // namespace manul::felix::io
