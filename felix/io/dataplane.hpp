#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/daemon.hpp"
#include "base/error.hpp"
#include "felix/io/endpoint_mark.hpp"
#include "felix/io/interface_watch.hpp"
#include "felix/io/nft_apply.hpp"
#include "felix/io/overlay_sync.hpp"
#include "felix/io/route_sync.hpp"
#include "felix/io/shaper.hpp"
#include "felix/model/update.hpp"
#include "felix/nft/counters.hpp"
#include "felix/nft/isolate.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/render/renderer.hpp"

/// The kernel's side of felix: batches of the calculation in; rules, link groups, host routes and programmed marks out.
///
///   Batch --> Renderer --> Tracker --> NftSocket (commit: additions and edits)
///                |                         |
///                |  link groups            v  only after the commit:
///                +-----------------> InterfaceWatch (links into their groups)
///   routes --------------------------> RouteSync, OverlaySync
///                                          |
///                                          v  only then: NftSocket (commit: what nobody uses any more)
///                                             EndpointMarks (interfaces that have all three)
///
/// Until the store has been listed nothing is written: the rules of an earlier run stay in force. The first commit then
/// turns them into the wanted ones. Whatever fails is retried, with growing pauses; a single chain or set that the
/// kernel refuses is left out and reported, and delays nothing else. Changes that others make to our tables are read
/// back and undone; in addition, rules and routes are compared at the intervals set in FelixConfiguration.
namespace manul::felix::io {

class Dataplane {
public:
    struct Options {
        std::string run_dir;
        render::DispatchLimits dispatch{};
        std::uint64_t retry_first_us = 100'000;
        std::uint64_t retry_last_us = 10'000'000;
    };
    [[nodiscard]] static Result<std::unique_ptr<Dataplane>> open(boost::asio::io_context& io, Options options);

    /// Call once before the first batch: reads what the kernel holds.
    [[nodiscard]] Result<void> start();
    /// Whether start() found rules of an earlier run.
    [[nodiscard]] bool found_rules() const noexcept { return found_rules_; }
    void apply(const Batch& batch);
    /// Called at once, and whenever the addresses of the node's interfaces change.
    void on_interfaces(std::function<void(const InterfaceAddresses&)> told);
    /// Called when a change that the kernel had refused is in force after all.
    void on_recovered(std::function<void()> told) { on_recovered_ = std::move(told); }
    /// The node's own addresses.
    [[nodiscard]] std::set<net::Ip> own_addresses() const;

    struct EndpointStatus {
        std::string ns;
        std::string name;
        std::string interface;
        std::vector<std::string> addresses;
        std::optional<std::uint32_t> group;
        bool programmed = false;
    };
    struct Status {
        bool in_sync = false;
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
    [[nodiscard]] std::vector<EndpointStatus> endpoints() const;
    /// Counters of every rule that has an id, one for each chain that holds it; they survive edits of other rules.
    [[nodiscard]] Result<std::vector<nft::RuleCounter>> counters();
    [[nodiscard]] const render::Renderer& renderer() const noexcept { return renderer_; }
    /// The rules that the kernel has or is about to get.
    [[nodiscard]] const render::Ruleset& wanted() const noexcept { return tracker_.wanted(); }
    /// Addresses that left the node, or moved to another interface of it, since the last call: their connections must
    /// be ended. After that these marks are no longer needed.
    struct Gone {
        std::set<net::Ip> addresses;
        std::vector<std::string> marks;
    };
    [[nodiscard]] Gone take_gone();
    void forget_marks(const std::vector<std::string>& marks) { marks_.forget_left(marks); }
    /// Whether a workload of this node has the address.
    [[nodiscard]] bool routes_to(const net::Ip& address) const { return routes_.wants(net::Prefix::host(address)); }

private:
    Dataplane(boost::asio::io_context& io, Options options, NftSocket nft, NftMonitor nft_monitor, InterfaceWatch links,
              RouteSync routes, OverlaySync overlay, EndpointMarks marks, Shaper shaper);

    struct Workload {
        EndpointKey key;
        std::string container_id;
        std::string resource_version;
        std::vector<net::Ip> addresses;
        bool programmed = false;
    };

    [[nodiscard]] static std::int64_t now_us();
    void note_endpoint(const Endpoint& endpoint);
    void forget_endpoint(const EndpointKey& key);
    void note_gone_meanwhile();
    void synchronize();
    void check_overlay();
    void try_again();
    [[nodiscard]] bool commit(nft::Scope scope);
    [[nodiscard]] nft::Attempt attempt(nft::Transaction& transaction);
    void report_withheld(const std::vector<nft::Withheld>& withheld);
    [[nodiscard]] bool is_overtaken(const nft::Transaction& transaction, const CommitResult& result);
    void carry_counters(nft::Transaction& transaction);
    [[nodiscard]] bool read_back();
    void read_members();
    void read_rules();
    void schedule_rules_refresh();
    void schedule_routes_refresh();
    void refresh_rules();
    void refresh_routes();
    void retry_later(const std::function<void(std::uint64_t)>& report);
    void move_links();
    void write_marks();
    void shape();
    void enable_forwarding();

    void on_rules_changed();
    void on_links_readable();
    void on_links_changed();
    void take_gathered_links();
    void watch_links();
    void tell_addresses();
    void list_routes();
    void take_removed_routes();
    [[nodiscard]] bool differ_besides_workloads(const std::map<std::string, std::set<net::Ip>>& now,
                                                const std::map<std::string, std::set<net::Ip>>& before) const;
    void links_changed(const std::vector<InterfaceWatch::Change>& changes);
    [[nodiscard]] bool is_workload_name(const std::string& name) const;
    [[nodiscard]] std::optional<std::uint32_t> wanted_group(const netlink::Link& link) const;
    [[nodiscard]] static bool belongs_to(const netlink::Link& link, const Workload& workload);

    boost::asio::io_context& io_;
    Options options_;
    NftSocket nft_;
    NftMonitor nft_monitor_;
    InterfaceWatch links_;
    RouteSync routes_;
    OverlaySync overlay_;
    EndpointMarks marks_;
    Shaper shaper_;
    render::Renderer renderer_;
    nft::Tracker tracker_;
    nft::CounterLedger counters_;

    bool found_rules_ = false;
    bool in_sync_ = false;
    bool commit_pending_ = false;
    bool must_read_back_ = false;
    std::uint32_t generation_ = 0;
    std::int64_t routes_repaired_us_ = 0;              ///< when routes that somebody had removed were last restored
    std::int64_t repaired_us_ = 0;                     ///< when rules were last read back because somebody changed them
    std::map<nft::ObjectName, std::string> withheld_;  ///< with the kernel's reason
    std::uint64_t retry_us_;
    std::map<std::string, Workload> workloads_;  ///< by interface
    std::map<EndpointKey, std::string> interface_of_;
    std::set<std::string> dirty_links_;
    std::set<std::string> released_;  ///< links of ended endpoints that other plugins made and may keep
    std::set<std::string> unmarked_;
    std::set<net::Ip> gone_addresses_;
    std::vector<EndpointMarks::Left> left_marks_;  ///< until all workloads are known
    std::set<std::string> reported_groups_;
    std::function<void(const InterfaceAddresses&)> on_interfaces_;
    InterfaceAddresses told_addresses_;
    std::function<void()> on_recovered_;
    Status status_;
    std::int64_t started_us_;

    Timer retry_;
    Timer refresh_rules_;
    Timer refresh_routes_;
    Timer links_soon_;  ///< armed: something of links may wait to be read; watch_links_ may be none meanwhile
    ReadableWatch watch_rules_;
    std::optional<ReadableWatch> watch_links_;
};

}  // namespace manul::felix::io
