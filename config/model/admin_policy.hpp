#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/kubernetes.hpp"
#include "config/model/resource.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

/// The cluster-wide policies of policy.networking.k8s.io in both generations: AdminNetworkPolicy and
/// BaselineAdminNetworkPolicy (v1alpha1), ClusterNetworkPolicy (v1alpha2).
namespace manul::model {

/// Pods with these labels in namespaces with those.
struct NamespacedPods {
    LabelSelector namespace_selector;
    LabelSelector pod_selector;

    bool operator==(const NamespacedPods&) const = default;
};

/// Whom a policy applies to, or who sends: exactly one of them.
struct AdminSubject {
    std::optional<LabelSelector> namespaces;
    std::optional<NamespacedPods> pods;

    bool operator==(const AdminSubject&) const = default;
};

/// Who receives: exactly one of them. Nodes and domain names are read, so that a rule with them is not taken for one
/// without a restriction.
struct AdminEgressPeer {
    std::optional<LabelSelector> namespaces;
    std::optional<NamespacedPods> pods;
    std::optional<LabelSelector> nodes;
    std::vector<net::Prefix> networks;
    std::vector<std::string> domain_names;

    bool operator==(const AdminEgressPeer&) const = default;
};

// v1alpha1

enum class AdminAction : std::uint8_t { allow, deny, pass };

struct AdminPortNumber {
    std::optional<net::Protocol> protocol;  ///< absent: TCP
    std::uint16_t port = 0;

    bool operator==(const AdminPortNumber&) const = default;
};

struct AdminPortRange {
    std::optional<net::Protocol> protocol;  ///< absent: TCP
    std::uint16_t start = 0;
    std::uint16_t end = 0;

    bool operator==(const AdminPortRange&) const = default;
};

/// Exactly one of them.
struct AdminPort {
    std::optional<AdminPortNumber> port_number;
    std::string named_port;
    std::optional<AdminPortRange> port_range;

    bool operator==(const AdminPort&) const = default;
};

struct AdminIngressRule {
    std::string name;
    AdminAction action = AdminAction::deny;
    std::vector<AdminSubject> from;
    std::vector<AdminPort> ports;  ///< empty: every port of every protocol
    bool has_unknown_fields = false;

    bool operator==(const AdminIngressRule&) const = default;
};

struct AdminEgressRule {
    std::string name;
    AdminAction action = AdminAction::deny;
    std::vector<AdminEgressPeer> to;
    std::vector<AdminPort> ports;  ///< empty: every port of every protocol
    bool has_unknown_fields = false;

    bool operator==(const AdminEgressRule&) const = default;
};

/// After the policies of namespaces and before the profiles.
struct BaselineAdminNetworkPolicySpec {
    AdminSubject subject;
    std::vector<AdminIngressRule> ingress;
    std::vector<AdminEgressRule> egress;

    bool operator==(const BaselineAdminNetworkPolicySpec&) const = default;
};

struct BaselineAdminNetworkPolicy final : ResourceOf<Kind::baseline_admin_network_policy> {
    BaselineAdminNetworkPolicySpec spec;
};

/// Before the policies of namespaces.
struct AdminNetworkPolicySpec : BaselineAdminNetworkPolicySpec {
    std::int32_t priority = 0;  ///< lowest first

    bool operator==(const AdminNetworkPolicySpec&) const = default;
};

struct AdminNetworkPolicy final : ResourceOf<Kind::admin_network_policy> {
    AdminNetworkPolicySpec spec;
};

// v1alpha2

enum class ClusterPolicyTier : std::uint8_t { admin, baseline };
enum class ClusterAction : std::uint8_t { accept, deny, pass };

struct ClusterPortRange {
    std::uint16_t start = 0;
    std::uint16_t end = 0;

    bool operator==(const ClusterPortRange&) const = default;
};

/// Exactly one of them.
struct ClusterPort {
    std::optional<std::uint16_t> number;
    std::optional<ClusterPortRange> range;

    bool operator==(const ClusterPort&) const = default;
};

struct ClusterPorts {
    std::optional<ClusterPort> destination_port;  ///< absent: every port

    bool operator==(const ClusterPorts&) const = default;
};

/// Exactly one of them.
struct ClusterProtocol {
    std::optional<ClusterPorts> tcp;
    std::optional<ClusterPorts> udp;
    std::optional<ClusterPorts> sctp;
    std::string destination_named_port;

    bool operator==(const ClusterProtocol&) const = default;
};

struct ClusterIngressRule {
    std::string name;
    ClusterAction action = ClusterAction::deny;
    std::vector<AdminSubject> from;
    std::vector<ClusterProtocol> protocols;  ///< empty: every port of every protocol
    bool has_unknown_fields = false;

    bool operator==(const ClusterIngressRule&) const = default;
};

struct ClusterEgressRule {
    std::string name;
    ClusterAction action = ClusterAction::deny;
    std::vector<AdminEgressPeer> to;
    std::vector<ClusterProtocol> protocols;  ///< empty: every port of every protocol
    bool has_unknown_fields = false;

    bool operator==(const ClusterEgressRule&) const = default;
};

struct ClusterNetworkPolicySpec {
    ClusterPolicyTier tier = ClusterPolicyTier::admin;
    std::int32_t priority = 0;  ///< lowest first
    AdminSubject subject;
    std::vector<ClusterIngressRule> ingress;
    std::vector<ClusterEgressRule> egress;

    bool operator==(const ClusterNetworkPolicySpec&) const = default;
};

struct ClusterNetworkPolicy final : ResourceOf<Kind::cluster_network_policy> {
    ClusterNetworkPolicySpec spec;
};

}  // namespace manul::model
