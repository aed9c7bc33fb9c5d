#pragma once

#include <optional>

#include "config/model/admin_policy.hpp"
#include "config/model/convert_kubernetes.hpp"
#include "config/model/finding.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/staged_policy.hpp"

/// Cluster-wide policies of policy.networking.k8s.io in terms of Calico's: AdminNetworkPolicy and tier Admin go to the
/// built-in tier kube-admin, BaselineAdminNetworkPolicy and tier Baseline to kube-baseline, ordered by priority. Only
/// pods are ever selected. What cannot be expressed never opens anything: a rule with such a part denies all packets of
/// its direction if it would deny or pass, and is left out if it would allow.
namespace manul::model {

/// Annotation of a converted rule: the name that the rule had.
inline constexpr const char* kRuleNameAnnotation = "policy.networking.k8s.io/rule-name";
/// Order of the one BaselineAdminNetworkPolicy in its tier.
inline constexpr double kBaselinePolicyOrder = 1000;

struct ConvertedGlobalPolicy {
    /// To be read as a GlobalNetworkPolicy; `types` is never empty. Absent: the subject cannot be read, so the policy
    /// has no effect.
    std::optional<GlobalNetworkPolicySpec> spec;
    /// What could not be converted, with its path in the original.
    Findings dropped;
};

[[nodiscard]] ConvertedGlobalPolicy convert(const AdminNetworkPolicy& policy);
[[nodiscard]] ConvertedGlobalPolicy convert(const BaselineAdminNetworkPolicy& policy);
[[nodiscard]] ConvertedGlobalPolicy convert(const ClusterNetworkPolicy& policy);

/// As if it were enforced; the staged action is the caller's matter.
[[nodiscard]] ConvertedPolicy convert(const StagedKubernetesNetworkPolicy& policy);

}  // namespace manul::model
