#pragma once

#include "config/model/kind.hpp"
#include "config/settings.hpp"

/// Which kinds move between datastores.
namespace manul::ctl {

/// What daemons write about themselves is not moved: the ones at the new place write their own. The Kubernetes API
/// holds only Calico's kinds: endpoints are derived from its own Pods there, and the rest is Kubernetes' own.
[[nodiscard]] inline bool is_moved(model::Kind kind, config::DatastoreType type) noexcept {
    if (kind == model::Kind::node_report || kind == model::Kind::lease) {
        return false;
    }
    const bool on_kubernetes = type == config::DatastoreType::kubernetes;
    return !on_kubernetes || (model::info(kind).group == "projectcalico.org" && kind != model::Kind::workload_endpoint);
}

/// ClusterInformation `default`, which says whether the datastore is locked.
[[nodiscard]] inline model::Key cluster_key() { return {model::Kind::cluster_information, {}, "default"}; }

}  // namespace manul::ctl
