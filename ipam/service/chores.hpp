#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/store/store.hpp"
#include "ipam/core/allocator.hpp"
#include "ipam/core/lease.hpp"
#include "ipam/service/host_endpoints.hpp"
#include "ipam/service/node_release.hpp"
#include "ipam/service/service_addresses.hpp"

/// What one process must do for the whole cluster, done by whichever manul-ipamd holds the Lease
/// `manul-system/manul-cluster-chores`: what vanished nodes held is freed, HostEndpoints are made for nodes where that
/// is asked for, Services of type LoadBalancer get their addresses, the fill of pools is watched, the datastore's
/// history is compacted. Each is safe to run twice. Blocking, on the store's thread.
namespace manul::ipam {

class Chores {
public:
    static constexpr std::chrono::seconds kPeriod{60};
    static constexpr std::chrono::minutes kCompactEach{10};
    static constexpr std::chrono::minutes kLookAtPoolsEach{5};
    /// A pool of which this part is taken is reported before it is empty.
    static constexpr double kNearlyFull = 0.9;

    /// `store` outlives this object. `compact` discards the store's old revisions, where it has a history of its own;
    /// empty elsewhere.
    Chores(store::Store& store, std::string node, std::function<Result<void>()> compact);

    struct PoolState {
        std::string name;
        PoolUsage usage;
        std::string text;  ///< "pool X has 3 free of 256: ..."
        bool nearly_full = false;
    };
    struct Done {
        bool holds = false;                       ///< this process does the chores
        bool taken_over = false;                  ///< since this call
        bool watch_began = false;                 ///< watch_fd() is another one
        std::vector<std::string> freed_nodes;     ///< "n7: 3 endpoints, 12 addresses, 2 blocks"
        std::size_t host_endpoints = 0;           ///< written or removed
        std::vector<std::string> services_given;  ///< "prod/web: 192.0.2.1"
        std::vector<std::string> services_freed;
        std::size_t blocks_given_up = 0;    ///< of load balancers
        std::vector<PoolState> pools;       ///< empty when they were not looked at
        std::vector<std::string> problems;  ///< chores that failed; the others ran
    };
    /// To be called every few seconds, and when watch_fd() is readable.
    [[nodiscard]] Outcome<Done> run(SteadyTime steady, WallTime wall);
    /// Readable when something changed that a chore depends on; -1 while this process does not do the chores: of a
    /// thousand nodes one alone watches.
    [[nodiscard]] int watch_fd() const noexcept { return watch_ ? watch_->fd() : -1; }

private:
    [[nodiscard]] Outcome<bool> hold(SteadyTime steady, WallTime wall);
    [[nodiscard]] Outcome<void> free_vanished(SteadyTime steady, WallTime wall, Done& done);
    /// What changed for which chore.
    struct Changes {
        bool services = false;
        bool host_endpoints = false;
    };
    [[nodiscard]] Outcome<Changes> take_changes(Done& done);
    [[nodiscard]] Outcome<void> begin_watch();
    [[nodiscard]] Outcome<std::vector<PoolState>> look_at_pools(WallTime wall);

    store::Store& store_;
    std::string node_;
    std::function<Result<void>()> compact_;
    LeaseKeeper lease_;
    VanishedNodes vanished_;
    HostEndpoints host_endpoints_;
    ServiceAddresses services_;
    std::unique_ptr<store::Watch> watch_;
    bool held_ = false;
    std::optional<SteadyTime> last_run_;
    std::optional<SteadyTime> last_pools_;
    std::optional<SteadyTime> last_compaction_;
};

}  // namespace manul::ipam
