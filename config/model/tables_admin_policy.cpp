#include "config/model/admin_policy.hpp"
#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/limits.hpp"

namespace manul::model {

namespace {

constexpr std::int64_t kMaxAdminPriority = 1000;
constexpr std::size_t kMaxName = 100;
constexpr std::size_t kMaxAdminItems = 100;   // v1alpha1
constexpr std::size_t kMaxClusterItems = 25;  // v1alpha2
constexpr std::size_t kMaxNetworks = 25;

constexpr auto kNamespacedPods = std::to_array<Field>({
    field<&NamespacedPods::namespace_selector>("namespaceSelector", "Labels of the namespaces; {}: all.").required(),
    field<&NamespacedPods::pod_selector>("podSelector", "Labels of the pods; {}: all.").required(),
});
constexpr auto kAdminSubject = std::to_array<Field>({
    field<&AdminSubject::namespaces>("namespaces", "All pods of namespaces with these labels."),
    field<&AdminSubject::pods>("pods", "Pods by their labels and those of their namespaces."),
});
constexpr auto kAdminEgressPeer = std::to_array<Field>({
    field<&AdminEgressPeer::namespaces>("namespaces", "All pods of namespaces with these labels."),
    field<&AdminEgressPeer::pods>("pods", "Pods by their labels and those of their namespaces."),
    field<&AdminEgressPeer::nodes>("nodes", "Nodes; not supported: a rule with it denies or is left out."),
    field<&AdminEgressPeer::networks, KubernetesCidr>("networks", "Ranges of addresses.").items(kMaxNetworks),
    field<&AdminEgressPeer::domain_names>("domainNames", "Names; not supported: a rule with it denies or is left out."),
});

constexpr auto kAdminPortNumber = std::to_array<Field>({
    field<&AdminPortNumber::protocol>("protocol", "TCP, UDP or SCTP.").fallback("TCP"),
    field<&AdminPortNumber::port>("port", "The number.").range(1, kMaxPort).required(),
});
constexpr auto kAdminPortRange = std::to_array<Field>({
    field<&AdminPortRange::protocol>("protocol", "TCP, UDP or SCTP.").fallback("TCP"),
    field<&AdminPortRange::start>("start", "First port.").range(1, kMaxPort).required(),
    field<&AdminPortRange::end>("end", "Last port.").range(1, kMaxPort).required(),
});
constexpr auto kAdminPort = std::to_array<Field>({
    field<&AdminPort::port_number>("portNumber", "One port."),
    field<&AdminPort::named_port>("namedPort", "Not supported: a rule with it denies or is left out."),
    field<&AdminPort::port_range>("portRange", "A range of ports."),
});
constexpr auto kAdminIngressRule = std::to_array<Field>({
    field<&AdminIngressRule::name>("name", "Shown where the rule is shown.").length(kMaxName),
    field<&AdminIngressRule::action>("action", "What happens to a packet that matches.").required(),
    field<&AdminIngressRule::from>("from", "Who sends, any of which matches.").items(kMaxAdminItems).required(),
    field<&AdminIngressRule::ports>("ports", "Ports, any of which matches; absent: all.").items(kMaxAdminItems),
});
constexpr auto kAdminEgressRule = std::to_array<Field>({
    field<&AdminEgressRule::name>("name", "Shown where the rule is shown.").length(kMaxName),
    field<&AdminEgressRule::action>("action", "What happens to a packet that matches.").required(),
    field<&AdminEgressRule::to>("to", "Who receives, any of which matches.").items(kMaxAdminItems).required(),
    field<&AdminEgressRule::ports>("ports", "Ports, any of which matches; absent: all.").items(kMaxAdminItems),
});
constexpr auto kBaseline = std::to_array<Field>({
    field<&BaselineAdminNetworkPolicySpec::subject>("subject", "Pods that the policy applies to.").required(),
    field<&BaselineAdminNetworkPolicySpec::ingress>("ingress", "Rules for packets to the pods, in order.")
        .items(kMaxAdminItems),
    field<&BaselineAdminNetworkPolicySpec::egress>("egress", "Rules for packets from the pods, in order.")
        .items(kMaxAdminItems),
});
constexpr auto kAdminNetworkPolicy = std::to_array<Field>({
    field<&AdminNetworkPolicySpec::priority>("priority", "Place among the admin policies, lowest first.")
        .range(0, kMaxAdminPriority)
        .required(),
});

constexpr auto kClusterPortRange = std::to_array<Field>({
    field<&ClusterPortRange::start>("start", "First port.").range(1, kMaxPort).required(),
    field<&ClusterPortRange::end>("end", "Last port.").range(1, kMaxPort).required(),
});
constexpr auto kClusterPort = std::to_array<Field>({
    field<&ClusterPort::number>("number", "One port.").range(1, kMaxPort),
    field<&ClusterPort::range>("range", "A range of ports."),
});
constexpr auto kClusterPorts = std::to_array<Field>({
    field<&ClusterPorts::destination_port>("destinationPort", "Absent: every port."),
});
constexpr auto kClusterProtocol = std::to_array<Field>({
    field<&ClusterProtocol::tcp>("tcp", "TCP."),
    field<&ClusterProtocol::udp>("udp", "UDP."),
    field<&ClusterProtocol::sctp>("sctp", "SCTP."),
    field<&ClusterProtocol::destination_named_port>("destinationNamedPort", "A port that the pods name."),
});
constexpr auto kClusterIngressRule = std::to_array<Field>({
    field<&ClusterIngressRule::name>("name", "Shown where the rule is shown.").length(kMaxName),
    field<&ClusterIngressRule::action>("action", "What happens to a packet that matches.").required(),
    field<&ClusterIngressRule::from>("from", "Who sends, any of which matches.").items(kMaxClusterItems).required(),
    field<&ClusterIngressRule::protocols>("protocols", "Ports, any of which matches; absent: all.")
        .items(kMaxClusterItems),
});
constexpr auto kClusterEgressRule = std::to_array<Field>({
    field<&ClusterEgressRule::name>("name", "Shown where the rule is shown.").length(kMaxName),
    field<&ClusterEgressRule::action>("action", "What happens to a packet that matches.").required(),
    field<&ClusterEgressRule::to>("to", "Who receives, any of which matches.").items(kMaxClusterItems).required(),
    field<&ClusterEgressRule::protocols>("protocols", "Ports, any of which matches; absent: all.")
        .items(kMaxClusterItems),
});
constexpr auto kClusterNetworkPolicy = std::to_array<Field>({
    field<&ClusterNetworkPolicySpec::tier>("tier", "Admin: before the policies of namespaces; Baseline: after them.")
        .required(),
    field<&ClusterNetworkPolicySpec::priority>("priority", "Place in the tier, lowest first.")
        .range(0, kMaxAdminPriority)
        .required(),
    field<&ClusterNetworkPolicySpec::subject>("subject", "Pods that the policy applies to.").required(),
    field<&ClusterNetworkPolicySpec::ingress>("ingress", "Rules for packets to the pods, in order.")
        .items(kMaxClusterItems),
    field<&ClusterNetworkPolicySpec::egress>("egress", "Rules for packets from the pods, in order.")
        .items(kMaxClusterItems),
});

}  // namespace

template <>
constinit const ObjectInfo Described<NamespacedPods>::kInfo =
    object<NamespacedPods>("NamespacedPod", "Pods of namespaces.", kNamespacedPods);
template <>
constinit const ObjectInfo Described<AdminSubject>::kInfo =
    object<AdminSubject>("Pods", "Exactly one of these.", kAdminSubject);
template <>
constinit const ObjectInfo Described<AdminEgressPeer>::kInfo =
    object<AdminEgressPeer>("EgressPeer", "Exactly one of these.", kAdminEgressPeer);
template <>
constinit const ObjectInfo Described<AdminPortNumber>::kInfo =
    object<AdminPortNumber>("Port", "A port.", kAdminPortNumber);
template <>
constinit const ObjectInfo Described<AdminPortRange>::kInfo =
    object<AdminPortRange>("PortRange", "Ports.", kAdminPortRange);
template <>
constinit const ObjectInfo Described<AdminPort>::kInfo =
    object<AdminPort>("AdminNetworkPolicyPort", "Exactly one of these.", kAdminPort);
template <>
constinit const ObjectInfo Described<AdminIngressRule>::kInfo =
    object<AdminIngressRule>("IngressRule", "Who may send what.", kAdminIngressRule);
template <>
constinit const ObjectInfo Described<AdminEgressRule>::kInfo =
    object<AdminEgressRule>("EgressRule", "To whom may be sent what.", kAdminEgressRule);
template <>
constinit const ObjectInfo Described<BaselineAdminNetworkPolicySpec>::kInfo = object<BaselineAdminNetworkPolicySpec>(
    "BaselineAdminNetworkPolicy", "What holds where no policy of a namespace applies.", kBaseline);
template <>
constinit const ObjectInfo Described<AdminNetworkPolicySpec>::kInfo =
    derived_object<AdminNetworkPolicySpec, BaselineAdminNetworkPolicySpec>(
        "AdminNetworkPolicy", "What holds before all policies of namespaces.", kAdminNetworkPolicy);
template <>
constinit const ObjectInfo Described<ClusterPortRange>::kInfo =
    object<ClusterPortRange>("PortRange", "Ports.", kClusterPortRange);
template <>
constinit const ObjectInfo Described<ClusterPort>::kInfo =
    object<ClusterPort>("Port", "Exactly one of these.", kClusterPort);
template <>
constinit const ObjectInfo Described<ClusterPorts>::kInfo =
    object<ClusterPorts>("ClusterNetworkPolicyPorts", "Ports of one protocol.", kClusterPorts);
template <>
constinit const ObjectInfo Described<ClusterProtocol>::kInfo =
    object<ClusterProtocol>("ClusterNetworkPolicyProtocol", "Exactly one of these.", kClusterProtocol);
template <>
constinit const ObjectInfo Described<ClusterIngressRule>::kInfo =
    object<ClusterIngressRule>("IngressRule", "Who may send what.", kClusterIngressRule);
template <>
constinit const ObjectInfo Described<ClusterEgressRule>::kInfo =
    object<ClusterEgressRule>("EgressRule", "To whom may be sent what.", kClusterEgressRule);
template <>
constinit const ObjectInfo Described<ClusterNetworkPolicySpec>::kInfo = object<ClusterNetworkPolicySpec>(
    "ClusterNetworkPolicy", "What holds for the whole cluster, before or after the policies of namespaces.",
    kClusterNetworkPolicy);

}  // namespace manul::model
