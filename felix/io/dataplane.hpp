#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "felix/io/endpoint_mark.hpp"
#include "felix/io/interface_watch.hpp"
#include "felix/io/overlay_sync.hpp"
#include "felix/io/route_sync.hpp"
#include "felix/io/ruleset_sync.hpp"
#include "felix/io/shaper.hpp"
#include "felix/io/workload_sync.hpp"
#include "felix/model/update.hpp"
#include "felix/nft/counters.hpp"
#include "felix/render/renderer.hpp"

/// The kernel's side of felix: takes batches of the calculation, and says which part works when.
///
///   Batch --> Renderer --> RulesetSync   (commit: additions and edits)
///                |             |
///                |  groups     v  only after the commit:
///                +-------> WorkloadSync  (links into their groups)
///   routes --------------> RouteSync, OverlaySync
///                              |
///                              v  only then:
///                          RulesetSync   (commit: what nobody uses any more)
///                          WorkloadSync  (marks of endpoints that have all three)
///
/// Until the store has been listed nothing is written: the rules of an earlier run stay in force. The first commit then
/// turns them into the wanted ones. Whatever fails is tried again, with growing pauses. What others change in our
/// tables, routes and links is noticed and undone; in addition, rules and routes are compared at the intervals set in
/// FelixConfiguration.
namespace manul::felix::io {

class Dataplane {
public:
    struct Options {
        std::string run_dir;
        render::DispatchLimits dispatch{};
        std::uint64_t retry_first_us = 100'000;
        std::uint64_t retry_last_us = 10'000'000;
    };
    [[nodiscard]] static Result<std::unique_ptr<Dataplane>> open(boost::asio::io_context& io, const Options& options);

    /// Call once before the first batch: reads what the kernel holds.
    [[nodiscard]] Result<void> start();
    /// Whether start() found rules of an earlier run.
    [[nodiscard]] bool found_rules() const noexcept { return found_rules_; }
    void apply(const Batch& batch);
    /// Called at once, and whenever the addresses of the node's interfaces change.
    void on_interfaces(std::function<void(const InterfaceAddresses&)> callback);
    /// Called when a change that the kernel had refused is in force after all.
    void on_recovered(std::function<void()> callback) { on_recovered_ = std::move(callback); }
    /// The node's own addresses.
    [[nodiscard]] std::set<net::Ip> own_addresses() const;

    struct Status {
        bool in_sync = false;         ///< what the store held at the start has been in force
        bool commit_pending = false;  ///< the last attempt failed and will be repeated
        std::vector<std::string> problems;
        std::uint64_t commits = 0;
        std::uint64_t last_commit_us = 0;
        std::uint64_t commit_us_total = 0;
        std::uint64_t failures = 0;  ///< transactions that the kernel refused
        std::uint64_t drifts = 0;    ///< how often somebody else had changed our tables
        std::size_t endpoints = 0;
        std::size_t routes = 0;          ///< to workloads of this node
        std::size_t cluster_routes = 0;  ///< to those of others
    };
    [[nodiscard]] Status status() const;
    using EndpointStatus = WorkloadSync::EndpointStatus;
    [[nodiscard]] std::vector<EndpointStatus> endpoints() const { return workloads_.endpoints(); }
    /// Counters of every rule that has an id, one for each chain that holds it; they survive edits of other rules.
    [[nodiscard]] Result<std::vector<nft::RuleCounter>> counters() { return rules_.counters(); }
    [[nodiscard]] const render::Renderer& renderer() const noexcept { return renderer_; }
    /// The rules that the kernel has or is about to get.
    [[nodiscard]] const render::Ruleset& wanted() const noexcept { return rules_.wanted(); }
    /// Addresses that left the node, or moved to another interface of it, since the last call: their connections must
    /// be ended. After that their marks are no longer needed.
    using Gone = WorkloadSync::Gone;
    [[nodiscard]] Gone take_gone();
    void forget_marks(const std::vector<std::string>& marks) { workloads_.forget_marks(marks); }
    /// Whether a workload of this node has the address.
    [[nodiscard]] bool routes_to(const net::Ip& address) const { return routes_.wants(net::Prefix::host(address)); }

private:
    Dataplane(boost::asio::io_context& io, const Options& options, RulesetSync rules, InterfaceWatch links,
              RouteSync routes, OverlaySync overlay, EndpointMarks marks, Shaper shaper);

    // What is wanted.
    void update(const ConfigChanged& u);
    void update(const EndpointUpdated& u) { workloads_.want(*u.endpoint); }
    void update(const EndpointRemoved& u) { workloads_.forget(u.key); }
    void update(const RouteUpdated& u);
    void update(const RouteRemoved& u);
    void update(const TunnelDeviceUpdated& u) { overlay_.want(u.device); }
    void update(const TunnelDeviceRemoved& u) { overlay_.forget(u.kind); }
    void update(const ClusterRouteUpdated& u) { overlay_.want(u.route); }
    void update(const ClusterRouteRemoved& u) { overlay_.forget(u.prefix); }
    void update(const InSync& u);
    /// The others are about rules alone.
    template <class RulesOnly>
    void update(const RulesOnly& /*u*/) {}
    void render(const Batch& batch);
    void settings_changed();

    // Bringing it into force.
    void synchronize();
    [[nodiscard]] bool commit(nft::Scope scope);
    void retry_later(const std::function<void(std::uint64_t)>& report);
    void retry_soon();
    void try_again();
    void check_overlay();
    void list_routes();
    void repair_removed_routes();

    // Comparing at intervals.
    void schedule_rules_refresh();
    void schedule_routes_refresh();
    void refresh_rules();
    void refresh_routes();

    // Events of the kernel.
    void on_rules_changed();
    void on_links_readable();
    void on_links_changed();
    void take_gathered_links();
    void watch_links();
    void links_changed(const std::vector<InterfaceWatch::Change>& changes);
    void publish_addresses();
    [[nodiscard]] bool differ_besides_workloads(const std::map<std::string, std::set<net::Ip>>& now,
                                                const std::map<std::string, std::set<net::Ip>>& before) const;

    boost::asio::io_context& io_;
    std::uint64_t retry_first_us_;
    std::uint64_t retry_last_us_;
    RulesetSync rules_;
    InterfaceWatch links_;
    RouteSync routes_;
    OverlaySync overlay_;
    render::Renderer renderer_;
    WorkloadSync workloads_;

    bool found_rules_ = false;
    bool in_sync_ = false;    ///< everything that the store held at the start is known
    bool in_force_ = false;   ///< and has been in force
    std::uint64_t retry_us_;  ///< the next pause
    std::int64_t started_us_;
    std::int64_t rules_repaired_us_ = 0;   ///< when rules were last read back because somebody changed them
    std::int64_t routes_repaired_us_ = 0;  ///< when routes that somebody had removed were last restored
    InterfaceAddresses published_addresses_;
    std::function<void(const InterfaceAddresses&)> on_interfaces_;
    std::function<void()> on_recovered_;

    Timer retry_;
    Timer refresh_rules_;
    Timer refresh_routes_;
    Timer links_soon_;  ///< armed: something of links may wait to be read; watch_links_ may be none meanwhile
    ReadableWatch watch_rules_;
    std::optional<ReadableWatch> watch_links_;
};

}  // namespace manul::felix::io
