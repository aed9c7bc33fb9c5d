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
    bool applied_by_people;  ///< others change by themselves all the time
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

/// Whether people make such objects, so that a store which has one was not made by our own programs alone. Others are
/// in every store, or come with the first daemon or the first pod.
[[nodiscard]] bool is_made_by_people(model::Kind kind);
[[nodiscard]] bool is_made_by_people(const model::Key& key);

/// A stored object as it is taken up: put, or refused with the reasons.
[[nodiscard]] Event event_of(const store::Object& object);

/// The same of many, in their order; of long lists on two processors at once.
[[nodiscard]] std::vector<Event> events_of(const std::vector<const store::Object*>& objects);

/// Everything that is stored now, StoreInSync last.
[[nodiscard]] store::StoreResult<std::vector<Event>> read_everything(store::Store& store);

}  // namespace manul::felix::io
