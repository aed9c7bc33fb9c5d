#include "felix/io/felix.hpp"

#include <unistd.h>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/try.hpp"
#include "config/open_store.hpp"
#include "config/own_node.hpp"
#include "config/report.hpp"
#include "config/settings.hpp"
#include "felix/calc/graph.hpp"
#include "felix/io/conntrack.hpp"
#include "felix/io/dataplane.hpp"
#include "felix/io/datastore.hpp"
#include "felix/io/environment.hpp"
#include "felix/io/flow_log.hpp"
#include "felix/io/last_good_journal.hpp"
#include "felix/io/messages.hpp"
#include "felix/io/show.hpp"

namespace manul::felix::io {

namespace {

constexpr std::int64_t kOwnNodeRetryUs = 10'000'000;

model::NotInForce not_in_force(const Report& report) {
    return {model::reported_kind(report.key.kind),
            report.key.ns,
            report.key.name,
            report.reason,
            report.refused_revision,
            report.revision_in_force};
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
    }
}

/// logPrefix with its placeholders filled in: %t tier, %k kind, %n name, %p kind and name.
std::string log_prefix(std::string text, const render::RuleOrigin& origin) {
    const std::string_view owner = origin.owner;  // kind/namespace/name
    const std::size_t kind_end = owner.find('/');
    const std::size_t ns_end = owner.find('/', kind_end + 1);
    const std::string_view ns = owner.substr(kind_end + 1, ns_end - kind_end - 1);
    std::string name(ns);
    name += ns.empty() ? "" : "/";
    name += owner.substr(ns_end + 1);
    replace_all(text, "%t", origin.tier);
    replace_all(text, "%k", owner.substr(0, kind_end));
    replace_all(text, "%n", name);
    replace_all(text, "%p", owner);
    return text;
}

class Felix {
public:
    explicit Felix(const config::Settings& settings)
        : settings_(settings),
          daemon_("manul-felix"),
          environment_(read_environment(environ)),
          graph_({settings.node_name, environment_.fields}),
          journal_(settings.state_dir),
          own_node_retry_(daemon_.io(), [this] { ensure_own_node(); }) {}

    Result<void> start() {
        for (const model::ReportedCondition& condition : environment_.conditions) {
            log::emit(kEnvironmentProblem, condition.message);
        }
        MANUL_TRY(auto reading, config::open_store(settings_));
        MANUL_TRY(writing_store_, config::open_store(settings_));
        MANUL_TRY(dataplane_, Dataplane::open(daemon_.io(), {.run_dir = settings_.run_dir}));
        MANUL_CHECK(dataplane_->start());
        MANUL_TRY(auto conntrack, ConntrackCleaner::open());
        conntrack_ = std::make_unique<ConntrackCleaner>(std::move(conntrack));
        for (const model::ResourcePtr& last_good : journal_.load()) {
            graph_.restore(last_good);
        }
        worker_ = std::make_unique<Worker>(daemon_.io());
        report_ = std::make_unique<config::ReportWriter>(daemon_.io(), *worker_, *writing_store_);
        ensure_own_node();
        datastore_ = std::make_unique<Datastore>(daemon_.io(), std::move(reading),
                                                 [this](const StoreChanges& changes) { on_store_changes(changes); });
        MANUL_TRY(show_, serve_show(daemon_.io(), settings_.run_dir, *dataplane_, *datastore_));
        if (auto flow_log = FlowLog::open(daemon_.io(), [this](const FlowLog::Packet& p) { on_packet(p); })) {
            flow_log_ = std::move(*flow_log);
        } else {
            log::emit(kFlowLogFailed, flow_log.error().message);
        }
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
        for (const Event& event : changes.events) {
            graph_.handle(event);
        }
        dataplane_->apply(graph_.flush());
        forget_connections();
        log_refused();
        write_journal(changes);
        write_report();
    }

    void forget_connections() {
        auto gone = dataplane_->take_gone_addresses();
        if (gone.empty()) {
            return;
        }
        worker_->submit([this, gone = std::move(gone)]() -> std::move_only_function<void()> {
            if (const auto forgotten = conntrack_->forget(gone); !forgotten) {
                log::emit(kConntrackFailed, forgotten.error().message);
            }
            return [] {};
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
        for (const Report& report : graph_.reports()) {
            spec.not_in_force.push_back(not_in_force(report));
        }
        report_->set_node_count(datastore_->count(model::Kind::node));
        report_->update(std::move(spec));
    }

    void on_packet(const FlowLog::Packet& packet) {
        constexpr std::size_t kIdAt = 4;  // behind "L|i|"
        std::uint64_t id = 0;
        if (packet.prefix.size() != kIdAt + 16) {
            return;
        }
        std::from_chars(packet.prefix.data() + kIdAt, packet.prefix.data() + packet.prefix.size(), id, 16);
        const auto origin = dataplane_->renderer().origin(id);
        const std::string prefix =
            log_prefix(dataplane_->renderer().config().log_prefix, origin.value_or(render::RuleOrigin{}));
        log::emit(
            kPacketLogged, prefix,
            fmt::format("IN={} OUT={} {}", packet.in_interface, packet.out_interface, describe_packet(packet.payload)));
    }

    const config::Settings& settings_;
    Daemon daemon_;
    EnvironmentSettings environment_;
    Graph graph_;
    LastGoodJournal journal_;
    std::unique_ptr<Dataplane> dataplane_;
    std::unique_ptr<ConntrackCleaner> conntrack_;  // used on the worker's thread alone
    std::unique_ptr<store::Store> writing_store_;  // used on the worker's thread alone
    Timer own_node_retry_;
    std::unique_ptr<Datastore> datastore_;
    std::unique_ptr<control::Server> show_;
    std::unique_ptr<FlowLog> flow_log_;
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
