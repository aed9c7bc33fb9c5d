#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

/// Kubernetes' own kinds, as far as the project reads them.
namespace manul::model {

enum class LabelOperator : std::uint8_t { in, not_in, exists, does_not_exist };

struct LabelRequirement {
    std::string key;
    LabelOperator op = LabelOperator::in;
    std::vector<std::string> values;

    bool operator==(const LabelRequirement&) const = default;
};

/// Empty matches everything.
struct LabelSelector {
    StringMap match_labels;
    std::vector<LabelRequirement> match_expressions;

    bool operator==(const LabelSelector&) const = default;
};

struct IpBlock {
    net::Prefix cidr;
    std::vector<net::Prefix> except;

    bool operator==(const IpBlock&) const = default;
};

struct KubernetesPeer {
    std::optional<LabelSelector> pod_selector;
    std::optional<LabelSelector> namespace_selector;
    std::optional<IpBlock> ip_block;

    bool operator==(const KubernetesPeer&) const = default;
};

struct KubernetesPort {
    std::optional<net::Protocol> protocol;  ///< absent: TCP
    std::optional<std::variant<std::uint16_t, std::string>> port;
    std::optional<std::uint16_t> end_port;

    bool operator==(const KubernetesPort&) const = default;
};

struct KubernetesIngressRule {
    std::vector<KubernetesPeer> from;  ///< empty: anybody
    std::vector<KubernetesPort> ports;
    bool has_unknown_fields = false;

    bool operator==(const KubernetesIngressRule&) const = default;
};

struct KubernetesEgressRule {
    std::vector<KubernetesPeer> to;  ///< empty: anybody
    std::vector<KubernetesPort> ports;
    bool has_unknown_fields = false;

    bool operator==(const KubernetesEgressRule&) const = default;
};

struct KubernetesNetworkPolicySpec {
    LabelSelector pod_selector;
    std::vector<KubernetesIngressRule> ingress;
    std::vector<KubernetesEgressRule> egress;
    std::vector<PolicyType> policy_types;

    bool operator==(const KubernetesNetworkPolicySpec&) const = default;
};

struct KubernetesNetworkPolicy final : ResourceOf<Kind::kubernetes_network_policy> {
    KubernetesNetworkPolicySpec spec;
};

struct Namespace final : ResourceOf<Kind::namespace_> {};

struct ServiceAccount final : ResourceOf<Kind::service_account> {};

struct ContainerPort {
    std::string name;
    std::uint16_t container_port = 0;
    std::optional<net::Protocol> protocol;  ///< absent: TCP
    std::uint16_t host_port = 0;
    std::optional<net::Ip> host_ip;

    bool operator==(const ContainerPort&) const = default;
};

struct Container {
    std::string name;
    std::vector<ContainerPort> ports;

    bool operator==(const Container&) const = default;
};

struct PodSpec {
    std::string node_name;
    std::string service_account_name;  ///< empty: "default"
    bool host_network = false;
    std::vector<Container> init_containers;
    std::vector<Container> containers;

    bool operator==(const PodSpec&) const = default;
};

struct PodIp {
    net::Ip ip;

    bool operator==(const PodIp&) const = default;
};

struct PodStatus {
    std::string phase;
    std::optional<net::Ip> pod_ip;
    std::vector<PodIp> pod_ips;

    bool operator==(const PodStatus&) const = default;
};

struct Pod final : ResourceOf<Kind::pod> {
    PodSpec spec;
    PodStatus status;
};

}  // namespace manul::model
