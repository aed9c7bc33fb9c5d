#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/limits.hpp"

namespace manul::model {

namespace {

constexpr auto kLabelRequirement = std::to_array<Field>({
    field<&LabelRequirement::key>("key", "Label that is looked at.").required(),
    field<&LabelRequirement::op>("operator", "How values are compared.").required(),
    field<&LabelRequirement::values>("values", "For In and NotIn."),
});
constexpr auto kLabelSelector = std::to_array<Field>({
    field<&LabelSelector::match_labels>("matchLabels", "Labels that must have these values."),
    field<&LabelSelector::match_expressions>("matchExpressions", "Conditions that must all hold."),
});
constexpr auto kIpBlock = std::to_array<Field>({
    field<&IpBlock::cidr, KubernetesCidr>("cidr", "The range.").required(),
    field<&IpBlock::except, KubernetesCidr>("except", "Ranges inside it that do not count."),
});
constexpr auto kPeer = std::to_array<Field>({
    field<&KubernetesPeer::pod_selector>("podSelector", "Labels of pods; alone: of the policy's namespace."),
    field<&KubernetesPeer::namespace_selector>("namespaceSelector", "Labels of namespaces."),
    field<&KubernetesPeer::ip_block>("ipBlock", "Addresses; not beside a selector."),
});
constexpr auto kPort = std::to_array<Field>({
    field<&KubernetesPort::protocol>("protocol", "TCP, UDP or SCTP.").fallback("TCP"),
    field<&KubernetesPort::port>("port", "Number or name; absent: every port of the protocol."),
    field<&KubernetesPort::end_port>("endPort", "End of a range that begins with port.").range(1, kMaxPort),
});
constexpr auto kIngressRule = std::to_array<Field>({
    field<&KubernetesIngressRule::from>("from", "Peers, any of which matches; empty: anybody."),
    field<&KubernetesIngressRule::ports>("ports", "Ports, any of which matches; empty: all."),
});
constexpr auto kEgressRule = std::to_array<Field>({
    field<&KubernetesEgressRule::to>("to", "Peers, any of which matches; empty: anybody."),
    field<&KubernetesEgressRule::ports>("ports", "Ports, any of which matches; empty: all."),
});
constexpr auto kNetworkPolicy = std::to_array<Field>({
    field<&KubernetesNetworkPolicySpec::pod_selector>("podSelector",
                                                      "Pods that the policy applies to; {}: all of the namespace."),
    field<&KubernetesNetworkPolicySpec::ingress>("ingress", "What the pods may receive."),
    field<&KubernetesNetworkPolicySpec::egress>("egress", "What the pods may send."),
    field<&KubernetesNetworkPolicySpec::policy_types>("policyTypes",
                                                      "Directions that the policy covers; default: Ingress.")
        .items(2),
});
constexpr auto kContainerPort = std::to_array<Field>({
    field<&ContainerPort::name>("name", "Name that rules use."),
    field<&ContainerPort::container_port>("containerPort", "The number.").range(1, kMaxPort).required(),
    field<&ContainerPort::protocol>("protocol", "TCP, UDP or SCTP.").fallback("TCP"),
    field<&ContainerPort::host_port>("hostPort", "Published on the host.").range(0, kMaxPort),
    field<&ContainerPort::host_ip>("hostIP", "Published on this address of the host."),
});
constexpr auto kContainer = std::to_array<Field>({
    field<&Container::name>("name", "Name of the container."),
    field<&Container::ports>("ports", "Its ports."),
});
constexpr auto kPodSpec = std::to_array<Field>({
    field<&PodSpec::node_name>("nodeName", "The node that it runs on."),
    field<&PodSpec::service_account_name>("serviceAccountName", "Its service account; empty: default."),
    field<&PodSpec::host_network>("hostNetwork", "It uses the network of the node.").fallback("false"),
    field<&PodSpec::init_containers>("initContainers", "Containers that start first."),
    field<&PodSpec::containers>("containers", "Its containers."),
});
constexpr auto kPodIp = std::to_array<Field>({
    field<&PodIp::ip>("ip", "An address.").required(),
});
constexpr auto kPodStatus = std::to_array<Field>({
    field<&PodStatus::phase>("phase", "Pending, Running, Succeeded or Failed."),
    field<&PodStatus::pod_ip>("podIP", "Its first address."),
    field<&PodStatus::pod_ips>("podIPs", "Its addresses."),
});

}  // namespace

template <>
constinit const ObjectInfo Described<LabelRequirement>::kInfo =
    object<LabelRequirement>("LabelSelectorRequirement", "A condition on a label.", kLabelRequirement);
template <>
constinit const ObjectInfo Described<LabelSelector>::kInfo =
    object<LabelSelector>("LabelSelector", "Empty matches everything.", kLabelSelector);
template <>
constinit const ObjectInfo Described<IpBlock>::kInfo = object<IpBlock>("IPBlock", "A range of addresses.", kIpBlock);
template <>
constinit const ObjectInfo Described<KubernetesPeer>::kInfo =
    object<KubernetesPeer>("NetworkPolicyPeer", "Pods, pods of namespaces, or addresses.", kPeer);
template <>
constinit const ObjectInfo Described<KubernetesPort>::kInfo =
    object<KubernetesPort>("NetworkPolicyPort", "Ports.", kPort);
template <>
constinit const ObjectInfo Described<KubernetesIngressRule>::kInfo =
    object<KubernetesIngressRule>("NetworkPolicyIngressRule", "Something that is allowed.", kIngressRule);
template <>
constinit const ObjectInfo Described<KubernetesEgressRule>::kInfo =
    object<KubernetesEgressRule>("NetworkPolicyEgressRule", "Something that is allowed.", kEgressRule);
template <>
constinit const ObjectInfo Described<KubernetesNetworkPolicySpec>::kInfo = object<KubernetesNetworkPolicySpec>(
    "NetworkPolicy", "What pods may send and receive (Kubernetes).", kNetworkPolicy);
template <>
constinit const ObjectInfo Described<ContainerPort>::kInfo =
    open(object<ContainerPort>("ContainerPort", "A port of a container.", kContainerPort));
template <>
constinit const ObjectInfo Described<Container>::kInfo =
    open(object<Container>("Container", "A container.", kContainer));
template <>
constinit const ObjectInfo Described<PodSpec>::kInfo = open(object<PodSpec>("Pod", "A pod.", kPodSpec));
template <>
constinit const ObjectInfo Described<PodIp>::kInfo = open(object<PodIp>("PodIP", "An address of a pod.", kPodIp));
template <>
constinit const ObjectInfo Described<PodStatus>::kInfo =
    open(object<PodStatus>("PodStatus", "State of a pod.", kPodStatus));

}  // namespace manul::model
