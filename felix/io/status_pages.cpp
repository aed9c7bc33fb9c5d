#include "felix/io/status_pages.hpp"

#include <initializer_list>
#include <utility>
#include <vector>

#include "base/log.hpp"
#include "felix/io/messages.hpp"

namespace manul::felix::io {

namespace {

constexpr std::int64_t kRetryUs = 10'000'000;

std::vector<double> seconds() { return {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5}; }

/// One number, under our name and, where Felix has the same, under Felix's.
struct Row {
    const char* name;
    const char* felix_name;  ///< null: Felix has nothing of the kind
    const char* help;
    std::uint64_t value;
    bool counts = false;  ///< only ever grows
};

/// Felix's states of synchronization.
std::uint64_t resync_state(const Facts& facts) {
    if (!facts.listed) {
        return facts.store_connected ? 2 : 1;
    }
    return facts.in_sync ? 3 : 2;
}

std::vector<Row> rows_of(const Facts& f) {
    return {
        {"resync_state", "resync_state", "1 waiting for the datastore, 2 reading it, 3 in sync.", resync_state(f)},
        {"datastore_connected", nullptr, "1 while the datastore can be read.", f.store_connected ? 1U : 0U},
        {"datastore_lost", nullptr, "1 while an empty datastore is in the place of the one whose policy is in force.",
         f.store_lost ? 1U : 0U},
        {"active_local_endpoints", "active_local_endpoints", "Endpoints of this node.", f.local_endpoints},
        {"active_local_policies", "active_local_policies", "Policies in force on this node.", f.local_policies},
        {"active_local_selectors", "active_local_selectors", "Address sets in force on this node.", f.sets},
        {"cluster_num_hosts", "cluster_num_hosts", "Nodes of the cluster.", f.cluster_nodes},
        {"cluster_num_policies", "cluster_num_policies", "Policies of the cluster.", f.cluster_policies},
        {"cluster_num_profiles", "cluster_num_profiles", "Profiles of the cluster.", f.cluster_profiles},
        {"cluster_num_tiers", "cluster_num_tiers", "Tiers of the cluster.", f.cluster_tiers},
        {"cluster_num_host_endpoints", "cluster_num_host_endpoints", "Host endpoints of the cluster.",
         f.cluster_host_endpoints},
        {"cluster_num_workload_endpoints", "cluster_num_workload_endpoints", "Workload endpoints of the cluster.",
         f.cluster_workload_endpoints},
        {"objects_not_in_force", nullptr, "Objects that are not in force as stored.", f.not_in_force},
        {"nft_tables", nullptr, "Tables of ours.", f.tables},
        {"nft_chains", "nft_chains", "Chains of ours.", f.chains},
        {"nft_rules", "nft_rules", "Rules of ours.", f.rules},
        {"routes", "route_table_num_routes", "Host routes to workloads.", f.routes},
        {"commit_pending", nullptr, "1 while a change of the rules waits to be tried again.",
         f.commit_pending ? 1U : 0U},
        {"updates_processed_total", "calc_graph_updates_processed", "Changes read from the datastore.", f.updates,
         true},
        {"nft_commits_total", "nft_calls", "Transactions that the kernel carried out.", f.commits, true},
        {"nft_commit_failures_total", "int_dataplane_failures", "Transactions that the kernel refused.", f.failures,
         true},
        {"policy_drift_total", nullptr, "Times that others had changed our rules.", f.drifts, true},
        {"log_packets_received_total", "nflog_logs_received", "Packets that rules reported.", f.packets_logged, true},
        {"log_packets_damaged_total", "nflog_parse_errors", "Of these, not understood.", f.packets_damaged, true},
        {"log_overruns_total", "nflog_buffer_overruns", "Times that reported packets were lost.", f.log_overruns, true},
    };
}

void add(metrics::Registry& registry, const std::string& name, const Row& row) {
    if (row.counts) {
        registry.counter(name, row.help).add(row.value);
    } else {
        registry.gauge(name, row.help).set(static_cast<double>(row.value));
    }
}

}  // namespace

StatusPages::StatusPages(boost::asio::io_context& io, bool felix_names, std::function<Facts()> facts,
                         std::function<void(metrics::Registry&)> add_more)
    : io_(io),
      felix_names_(felix_names),
      facts_(std::move(facts)),
      add_more_(std::move(add_more)),
      calculation_(durations_.histogram("manul_felix_calculation_seconds",
                                        "From changes of the datastore to changes of policy.", seconds())),
      apply_(durations_.histogram("manul_felix_apply_seconds",
                                  "From changes of policy to the kernel, routes and link groups included.", seconds())),
      metrics_{"metrics", {}, nullptr, {.metrics = [this] { return exposition(); }, .live = {}, .ready = {}}},
      health_{"health checks",
              {},
              nullptr,
              {.metrics = {},
               .live = [] { return http_status::Checks{{"event loop", true, ""}}; },
               .ready = [this] { return readiness(); }}},
      retry_(io, [this] { open_missing(); }) {}

void StatusPages::configure(const HttpListener& metrics, const HttpListener& health) {
    for (const auto& [listener, wanted] : {std::pair(&metrics_, &metrics), std::pair(&health_, &health)}) {
        if (listener->wanted != *wanted) {
            listener->wanted = *wanted;
            listener->server.reset();
            open(*listener);
        }
    }
}

void StatusPages::open(Listener& listener) {
    if (!listener.wanted.enabled) {
        return;
    }
    auto server = http_status::Server::listen(io_, listener.wanted.host, listener.wanted.port, listener.pages);
    if (server) {
        listener.server = *std::move(server);
        return;
    }
    log::emit(kHttpFailed, listener.what, server.error().message);
    retry_.after_us(kRetryUs);
}

void StatusPages::open_missing() {
    for (Listener* listener : {&metrics_, &health_}) {
        if (!listener->server) {
            open(*listener);
        }
    }
}

std::string StatusPages::exposition() const {
    metrics::Registry registry;
    for (const Row& row : rows_of(facts_())) {
        add(registry, std::string("manul_felix_") + row.name, row);
        if (felix_names_ && row.felix_name != nullptr) {
            add(registry, std::string("felix_") + row.felix_name, row);
        }
    }
    add_more_(registry);
    return registry.exposition() + durations_.exposition();
}

http_status::Checks StatusPages::readiness() const {
    const Facts facts = facts_();
    // A store that is away later takes nothing from what is in force: pods may still be sent here.
    const char* const store = facts.store_lost ? "an empty one is in its place" : "not connected";
    return {{"datastore read", facts.listed && !facts.store_lost, facts.store_connected ? "" : store},
            {"rules in force", facts.in_sync, facts.problem}};
}

}  // namespace manul::felix::io
