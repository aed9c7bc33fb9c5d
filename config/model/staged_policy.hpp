#pragma once

#include <cstdint>

#include "config/model/global_network_policy.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"

/// Policies that are evaluated but never enforced: what a packet's verdict would be if they were.
namespace manul::model {

enum class StagedAction : std::uint8_t {
    set,      ///< as if the policy of that name were this one
    delete_,  ///< as if the policy of that name did not exist
    learn,
    ignore,
};

struct StagedNetworkPolicySpec : PolicySpec {
    StagedAction staged_action = StagedAction::set;

    bool operator==(const StagedNetworkPolicySpec&) const = default;
};

struct StagedNetworkPolicy final : ResourceOf<Kind::staged_network_policy> {
    StagedNetworkPolicySpec spec;
};

struct StagedGlobalNetworkPolicySpec : GlobalNetworkPolicySpec {
    StagedAction staged_action = StagedAction::set;

    bool operator==(const StagedGlobalNetworkPolicySpec&) const = default;
};

struct StagedGlobalNetworkPolicy final : ResourceOf<Kind::staged_global_network_policy> {
    StagedGlobalNetworkPolicySpec spec;
};

struct StagedKubernetesNetworkPolicySpec : KubernetesNetworkPolicySpec {
    StagedAction staged_action = StagedAction::set;

    bool operator==(const StagedKubernetesNetworkPolicySpec&) const = default;
};

struct StagedKubernetesNetworkPolicy final : ResourceOf<Kind::staged_kubernetes_network_policy> {
    StagedKubernetesNetworkPolicySpec spec;
};

}  // namespace manul::model
