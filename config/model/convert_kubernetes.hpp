#pragma once

#include <string>

#include "config/model/finding.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/policy.hpp"
#include "config/model/selector.hpp"

/// networking.k8s.io NetworkPolicy in terms of Calico's policies: tier `default`, order 1000, only Allow rules, one
/// for each protocol and peer. Selectors gain `projectcalico.org/orchestrator == 'k8s'`, so that NetworkSets and host
/// endpoints never match.
namespace manul::model {

inline constexpr double kKubernetesPolicyOrder = 1000;

struct ConvertedPolicy {
    /// To be read as a namespaced policy of the same namespace; `types` is never empty.
    PolicySpec spec;
    /// Rules that could not be converted and were left out (fewer allows), with their paths in the original.
    Findings dropped;
};

[[nodiscard]] ConvertedPolicy convert(const KubernetesNetworkPolicySpec& policy);
[[nodiscard]] inline ConvertedPolicy convert(const KubernetesNetworkPolicy& policy) { return convert(policy.spec); }

/// The selector of a Kubernetes label selector, without the orchestrator term. Empty is all().
[[nodiscard]] Selector to_selector(const LabelSelector& selector);
/// The selector of pods with these labels, the orchestrator term included: nothing but pods matches.
[[nodiscard]] std::string kubernetes_pods(const LabelSelector& selector);

}  // namespace manul::model
