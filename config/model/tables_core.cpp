#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/lease.hpp"
#include "config/model/limits.hpp"
#include "config/model/rbac.hpp"
#include "config/model/service.hpp"

// Parts of Kubernetes' own kinds beside policies and pods. The rows of kinds without a spec are in tables.cpp.

namespace manul::model {

namespace {

constexpr auto kServicePort = std::to_array<Field>({
    field<&ServicePort::name>("name", "Name of the port."),
    field<&ServicePort::protocol>("protocol", "TCP, UDP or SCTP.").fallback("TCP"),
    field<&ServicePort::port>("port", "Number on the service's address.").range(1, kMaxPort).required(),
    field<&ServicePort::target_port>("targetPort", "Number or name on the pods."),
    field<&ServicePort::node_port>("nodePort", "Number on every node.").range(0, kMaxPort),
});
constexpr auto kServiceSpec = std::to_array<Field>({
    field<&ServiceSpec::type>("type", "Where the service can be reached from.").fallback("ClusterIP"),
    field<&ServiceSpec::cluster_ip>("clusterIP", "Its first address; None: it has none."),
    field<&ServiceSpec::cluster_ips>("clusterIPs", "Its addresses."),
    field<&ServiceSpec::external_ips>("externalIPs", "Further addresses, from outside the cluster."),
    field<&ServiceSpec::load_balancer_ip>("loadBalancerIP", "The address that is asked for."),
    field<&ServiceSpec::load_balancer_class>("loadBalancerClass", "Who gives the address."),
    field<&ServiceSpec::ports>("ports", "Its ports."),
    field<&ServiceSpec::selector>("selector", "Labels of its pods."),
    field<&ServiceSpec::internal_traffic_policy>("internalTrafficPolicy", "Local: only pods of the client's node.")
        .fallback("Cluster"),
    field<&ServiceSpec::external_traffic_policy>("externalTrafficPolicy", "Local: only pods of the node that is asked.")
        .fallback("Cluster"),
    field<&ServiceSpec::ip_families>("ipFamilies", "Families of its addresses."),
});
constexpr auto kLoadBalancerIngress = std::to_array<Field>({
    field<&LoadBalancerIngress::ip>("ip", "An address."),
});
constexpr auto kLoadBalancerStatus = std::to_array<Field>({
    field<&LoadBalancerStatus::ingress>("ingress", "Where the service is reached from outside."),
});
constexpr auto kServiceStatus = std::to_array<Field>({
    field<&ServiceStatus::load_balancer>("loadBalancer", "The addresses that were given."),
});
constexpr auto kEndpointConditions = std::to_array<Field>({
    field<&EndpointConditions::ready>("ready", "It takes connections; absent: yes."),
    field<&EndpointConditions::serving>("serving", "As ready, also while it ends."),
    field<&EndpointConditions::terminating>("terminating", "It ends."),
});
constexpr auto kObjectReference = std::to_array<Field>({
    field<&ObjectReference::kind>("kind", "Kind of the object."),
    field<&ObjectReference::ns>("namespace", "Its namespace."),
    field<&ObjectReference::name>("name", "Its name."),
    field<&ObjectReference::uid>("uid", "Its identity."),
});
constexpr auto kSliceEndpoint = std::to_array<Field>({
    field<&SliceEndpoint::addresses>("addresses", "Addresses of the endpoint.").required(),
    field<&SliceEndpoint::conditions>("conditions", "Its state."),
    field<&SliceEndpoint::node_name>("nodeName", "The node that it runs on."),
    field<&SliceEndpoint::target_ref>("targetRef", "The pod."),
});
constexpr auto kSlicePort = std::to_array<Field>({
    field<&SlicePort::name>("name", "Name of the port."),
    field<&SlicePort::protocol>("protocol", "TCP, UDP or SCTP.").fallback("TCP"),
    field<&SlicePort::port>("port", "The number; absent: every port.").range(1, kMaxPort),
});
constexpr auto kLease = std::to_array<Field>({
    field<&LeaseSpec::holder_identity>("holderIdentity", "Who holds it; empty: nobody."),
    field<&LeaseSpec::lease_duration_seconds>("leaseDurationSeconds", "How long it holds without being renewed."),
    field<&LeaseSpec::acquire_time>("acquireTime", "When its holder took it."),
    field<&LeaseSpec::renew_time>("renewTime", "When its holder renewed it."),
    field<&LeaseSpec::lease_transitions>("leaseTransitions", "How often the holder changed."),
});
constexpr auto kPolicyRule = std::to_array<Field>({
    field<&PolicyRule::verbs>("verbs", "get, list, watch, create, update, patch, delete or *.").required(),
    field<&PolicyRule::api_groups>("apiGroups", "Groups of the resources; \"\" for v1, * for all."),
    field<&PolicyRule::resources>("resources", "Plural names, with /status for that part; * for all."),
    field<&PolicyRule::resource_names>("resourceNames", "Names of objects; empty: all."),
    field<&PolicyRule::non_resource_urls>("nonResourceURLs", "Paths beside the resources; only in a ClusterRole."),
});
constexpr auto kAggregationRule = std::to_array<Field>({
    field<&AggregationRule::cluster_role_selectors>("clusterRoleSelectors", "Labels of roles whose rules are added."),
});
constexpr auto kRbacSubject = std::to_array<Field>({
    field<&RbacSubject::kind>("kind", "User, Group or ServiceAccount.").required(),
    field<&RbacSubject::api_group>("apiGroup", "rbac.authorization.k8s.io; empty for service accounts."),
    field<&RbacSubject::name>("name", "Its name.").required(),
    field<&RbacSubject::ns>("namespace", "Namespace of a service account."),
});
constexpr auto kRoleRef = std::to_array<Field>({
    field<&RoleRef::api_group>("apiGroup", "rbac.authorization.k8s.io."),
    field<&RoleRef::kind>("kind", "Role or ClusterRole.").required(),
    field<&RoleRef::name>("name", "Its name.").required(),
});

}  // namespace

template <>
constinit const ObjectInfo Described<ServicePort>::kInfo =
    open(object<ServicePort>("ServicePort", "A port of a service.", kServicePort));
template <>
constinit const ObjectInfo Described<ServiceSpec>::kInfo =
    open(object<ServiceSpec>("Service", "One address for many pods.", kServiceSpec));
template <>
constinit const ObjectInfo Described<LoadBalancerIngress>::kInfo =
    open(object<LoadBalancerIngress>("LoadBalancerIngress", "An address.", kLoadBalancerIngress));
template <>
constinit const ObjectInfo Described<LoadBalancerStatus>::kInfo =
    open(object<LoadBalancerStatus>("LoadBalancerStatus", "Addresses.", kLoadBalancerStatus));
template <>
constinit const ObjectInfo Described<ServiceStatus>::kInfo =
    open(object<ServiceStatus>("ServiceStatus", "State of a service.", kServiceStatus));
template <>
constinit const ObjectInfo Described<EndpointConditions>::kInfo =
    open(object<EndpointConditions>("EndpointConditions", "State of an endpoint.", kEndpointConditions));
template <>
constinit const ObjectInfo Described<ObjectReference>::kInfo =
    open(object<ObjectReference>("ObjectReference", "An object.", kObjectReference));
template <>
constinit const ObjectInfo Described<SliceEndpoint>::kInfo =
    open(object<SliceEndpoint>("Endpoint", "An endpoint.", kSliceEndpoint));
template <>
constinit const ObjectInfo Described<SlicePort>::kInfo = open(object<SlicePort>("EndpointPort", "A port.", kSlicePort));
template <>
constinit const ObjectInfo Described<LeaseSpec>::kInfo =
    open(object<LeaseSpec>("Lease", "A right that one holder has at a time.", kLease));
template <>
constinit const ObjectInfo Described<PolicyRule>::kInfo =
    object<PolicyRule>("PolicyRule", "Allows the verbs on the resources.", kPolicyRule);
template <>
constinit const ObjectInfo Described<AggregationRule>::kInfo =
    object<AggregationRule>("AggregationRule", "Roles whose rules are added.", kAggregationRule);
template <>
constinit const ObjectInfo Described<RbacSubject>::kInfo =
    object<RbacSubject>("Subject", "Who gets the rights.", kRbacSubject);
template <>
constinit const ObjectInfo Described<RoleRef>::kInfo = object<RoleRef>("RoleRef", "The rights.", kRoleRef);

}  // namespace manul::model
