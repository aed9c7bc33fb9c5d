#pragma once

#include <array>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "felix/calc/event.hpp"

/// The store's objects as the calculation's events: for the daemon, which follows the store, and for commands that look
/// at it once.
namespace manul::felix::io {

struct FollowedKind {
    model::Kind kind;
    bool applied_by_people;  ///< the others are changed by programs all the time
};

/// Every kind that the calculation reads.
inline constexpr std::array kFollowedKinds{
    FollowedKind{model::Kind::felix_configuration, true},
    FollowedKind{model::Kind::bgp_configuration, true},
    FollowedKind{model::Kind::node, false},
    FollowedKind{model::Kind::ip_pool, true},
    FollowedKind{model::Kind::namespace_, true},
    FollowedKind{model::Kind::service_account, true},
    FollowedKind{model::Kind::profile, true},
    FollowedKind{model::Kind::tier, true},
    FollowedKind{model::Kind::network_set, true},
    FollowedKind{model::Kind::global_network_set, true},
    FollowedKind{model::Kind::network_policy, true},
    FollowedKind{model::Kind::global_network_policy, true},
    FollowedKind{model::Kind::kubernetes_network_policy, true},
    FollowedKind{model::Kind::admin_network_policy, true},
    FollowedKind{model::Kind::baseline_admin_network_policy, true},
    FollowedKind{model::Kind::cluster_network_policy, true},
    FollowedKind{model::Kind::host_endpoint, true},
    FollowedKind{model::Kind::endpoint_slice, false},
    FollowedKind{model::Kind::workload_endpoint, false},
    FollowedKind{model::Kind::block_affinity, false},
    FollowedKind{model::Kind::secret, false},  // the record of a change that waits to be confirmed
};

/// Changes do not undo themselves in a store without transactions, and nothing else in Secrets concerns felix.
[[nodiscard]] bool is_followed(model::Kind kind, const store::Store& store);

/// Whether such objects are made by people, so that a store that has one was not filled by our own programs alone. The
/// others are in every store, or are created by the first daemon or for the first pod.
[[nodiscard]] bool is_made_by_people(model::Kind kind);
[[nodiscard]] bool is_made_by_people(const model::Key& key);

/// The event for a stored object: put, or refused with the reasons.
[[nodiscard]] Event event_of(const store::Object& object);

/// The same for many, in their order; long lists are decoded on two processors.
[[nodiscard]] std::vector<Event> events_of(const std::vector<const store::Object*>& objects);

/// Everything in the store, StoreInSync last.
[[nodiscard]] store::StoreResult<std::vector<Event>> read_everything(store::Store& store);

}  // namespace manul::felix::io
