#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/error.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "config/model/service.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/active_policy.hpp"
#include "felix/calc/address_sets.hpp"
#include "felix/calc/config_plan.hpp"
#include "felix/calc/event.hpp"
#include "felix/calc/identity.hpp"
#include "felix/calc/last_good.hpp"
#include "felix/calc/local_endpoints.hpp"
#include "felix/calc/local_hosts.hpp"
#include "felix/calc/overlay_plan.hpp"
#include "felix/calc/profiles.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/model/update.hpp"

/// The calculation graph: from everything in the store to what this node must enforce.
///
///   events --> LastGood --> Graph (one `put` and one `remove` per kind)
///              which version     |
///              is in force       |
///        +-----------------+-----+-----------+--------------------+------------------+
///        | policies        | local           | endpoints and      | namespaces,      | configuration,
///        | and tiers       | endpoints       | network sets of    | accounts,        | pools,
///        |                 |                 | the whole cluster  | profiles         | nodes, blocks
///        v                 v                 v                    v                  v
///   +--------------------------+   +------------------+   +---------------+   +------------+
///   | ActivePolicies           |   | AddressSets      |<--| Profiles      |   | ConfigPlan |
///   |   LabelIndex: which      |<--|   LabelIndex:    |   |  labels to    |   | OverlayPlan|
///   |   policy applies where   |   |   who is in      |   |  inherit      |   +------------+
///   |   RuleScanner: rules of  |-->|   which set      |   |  (to both     |         |
///   |   active policies, sets  |   +------------------+   |  indexes)     |         |
///   |   PolicyOrder: lists     | sets        |            +---------------+         |
///   +--------------------------+ wanted      |                    |                 |
///        | lists        | policies           | members            | profiles        |
///        v              |                    |                    |                 |
///   +----------------+  |                    |                    |                 |
///   | LocalEndpoints |  |                    |                    |                 |
///   |   RoutePlan    |  |                    |                    |                 |
///   | LocalHosts     |  |                    |                    |                 |
///   +----------------+  |                    |                    |                 |
///        | endpoints,   |                    |                    |                 |
///        v routes       v                    v                    v                 v
///   +----------------------------------------------------------------------------------+
///   | Sequencer: what differs from what was sent, in an order that is safe throughout   |
///   +----------------------------------------------------------------------------------+
///        |
///        v  Batch (felix/model/update.hpp)
///
/// Invariants: after a flush the batches so far add up to what one flush of a new graph would send if it were given the
/// objects in force in any order; a batch holds nothing that did not change; the cost of an event is proportional to
/// what it changes, not to what exists. Pure: no I/O, no clock.
namespace manul::felix {

struct GraphOptions {
    std::string node_name;
    model::FelixConfigurationSpec overrides;  ///< from the process's environment; take precedence over the store
};

class Graph {
public:
    explicit Graph(GraphOptions options);

    /// Restores a last good version from the journal of an earlier run. To be called before the first event.
    void restore(const model::ResourcePtr& last_good);
    void handle(const Event& event);
    /// Everything that changed since the last flush. Carries InSync once the store was listed.
    [[nodiscard]] Batch flush();
    /// The sum of all batches so far; to be called right after a flush. Takes time proportional to everything.
    [[nodiscard]] Snapshot snapshot() const;

    /// Objects that are not in force as stored, as of the last flush, sorted by key.
    [[nodiscard]] std::vector<Report> reports() const;
    [[nodiscard]] std::vector<JournalChange> take_journal_changes() { return last_good_.take_journal_changes(); }

private:
    void offer(const model::ResourcePtr& resource);
    void refuse(const ResourceRefused& event);
    Result<void> put(const model::ResourcePtr& resource);
    void remove(const model::Key& key);
    void put_labelled(const model::ResourcePtr& resource);
    void remove_labelled(const model::Key& key);
    void put_slice(const model::EndpointSlice& slice);
    [[nodiscard]] bool is_local(const model::Resource& resource) const;
    void put_local(const model::ResourcePtr& resource, const Identity& identity);
    void remove_local(const model::Key& key);
    void enter_namespace(const model::Key& key);
    void leave_namespace(const model::Key& key);

    /// What is remembered about each object that policy can select, to undo its effects.
    struct Labelled {
        std::vector<std::string> profiles;
        bool local = false;
    };

    std::string node_name_;
    LastGood last_good_;
    AddressSets sets_;
    ActivePolicies policies_{sets_};
    Profiles profiles_;
    LocalEndpoints endpoints_;
    LocalHosts hosts_;
    ConfigPlan config_;
    OverlayPlan overlay_;
    Sequencer sequencer_;
    std::unordered_map<model::Key, Labelled> labelled_;
    std::unordered_set<model::Key> in_namespaces_;
};

}  // namespace manul::felix
