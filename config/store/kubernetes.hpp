#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "config/store/store.hpp"

namespace manul::store {

struct KubernetesOptions {
    std::string kubeconfig;  ///< empty: as a pod
    std::string context;     ///< empty: the kubeconfig's current one
    std::chrono::milliseconds timeout{15'000};
    std::string manager{};  ///< as SqliteOptions::manager; empty: "manul"
};

/// The Kubernetes API as datastore: Calico's kinds are custom resources, everything else is Kubernetes' own. Opening
/// touches nothing, the first call connects.
///
/// A transaction is its writes one after another, each with its own precondition; `transactional()` is false.
/// Endpoints follow from Pods and are written by transactions with Checks::own_fields_only alone, as is the status of
/// Services. Built-in objects are
/// not created here: readers act as if the built-in tiers existed.
[[nodiscard]] std::unique_ptr<Store> open_kubernetes(KubernetesOptions options);

}  // namespace manul::store
