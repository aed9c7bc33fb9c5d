#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/staged_policy.hpp"

namespace manul::model {

namespace {

template <class Spec>
constexpr auto kStaged = std::to_array<Field>({
    field<&Spec::staged_action>("stagedAction",
                                "Set: shown as if enforced. Delete: shown as if the policy of that name were gone.")
        .fallback("Set"),
});

}  // namespace

template <>
constinit const ObjectInfo Described<StagedNetworkPolicySpec>::kInfo =
    derived_object<StagedNetworkPolicySpec, PolicySpec>("StagedNetworkPolicy",
                                                        "A NetworkPolicy whose effect is shown but not enforced.",
                                                        kStaged<StagedNetworkPolicySpec>);
template <>
constinit const ObjectInfo Described<StagedGlobalNetworkPolicySpec>::kInfo =
    derived_object<StagedGlobalNetworkPolicySpec, GlobalNetworkPolicySpec>(
        "StagedGlobalNetworkPolicy", "A GlobalNetworkPolicy whose effect is shown but not enforced.",
        kStaged<StagedGlobalNetworkPolicySpec>);
template <>
constinit const ObjectInfo Described<StagedKubernetesNetworkPolicySpec>::kInfo =
    derived_object<StagedKubernetesNetworkPolicySpec, KubernetesNetworkPolicySpec>(
        "StagedKubernetesNetworkPolicy", "A NetworkPolicy of Kubernetes whose effect is shown but not enforced.",
        kStaged<StagedKubernetesNetworkPolicySpec>);

}  // namespace manul::model
