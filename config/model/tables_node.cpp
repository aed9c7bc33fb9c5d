#include "config/model/cluster_information.hpp"
#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/node.hpp"
#include "config/model/node_report.hpp"

namespace manul::model {

namespace {

constexpr auto kNodeBgp = std::to_array<Field>({
    field<&NodeBgp::as_number>("asNumber", "AS of the node; default: the cluster's."),
    field<&NodeBgp::ipv4_address>("ipv4Address", "IPv4 address; its length is the subnet for CrossSubnet."),
    field<&NodeBgp::ipv6_address>("ipv6Address", "IPv6 address; its length is the subnet for CrossSubnet."),
    field<&NodeBgp::ipv4_ipip_tunnel_addr>("ipv4IPIPTunnelAddr", "Address of the IPIP interface."),
    field<&NodeBgp::route_reflector_cluster_id>("routeReflectorClusterID", "Given: the node is a route reflector."),
});
constexpr auto kNodeWireguard = std::to_array<Field>({
    field<&NodeWireguard::interface_ipv4_address>("interfaceIPv4Address", "IPv4 address of the WireGuard interface."),
    field<&NodeWireguard::interface_ipv6_address>("interfaceIPv6Address", "IPv6 address of the WireGuard interface."),
});
constexpr auto kOrchRef = std::to_array<Field>({
    field<&OrchRef::node_name>("nodeName", "Name of the node there."),
    field<&OrchRef::orchestrator>("orchestrator", "For example k8s.").required(),
});
constexpr auto kNodeAddress = std::to_array<Field>({
    field<&NodeAddress::address>("address", "The address.").required(),
    field<&NodeAddress::type>("type", "Where it comes from."),
});
constexpr auto kNodeInterface = std::to_array<Field>({
    field<&NodeInterface::name>("name", "Name of the interface."),
    field<&NodeInterface::addresses>("addresses", "Its addresses."),
});
constexpr auto kNode = std::to_array<Field>({
    field<&NodeSpec::bgp>("bgp", "BGP of the node; absent: it does not speak BGP."),
    field<&NodeSpec::ipv4_vxlan_tunnel_addr>("ipv4VXLANTunnelAddr",
                                             "Address of the IPv4 VXLAN interface; kept by ipamd."),
    field<&NodeSpec::vxlan_tunnel_mac_addr>("vxlanTunnelMACAddr", "MAC of the IPv4 VXLAN interface; kept by ipamd."),
    field<&NodeSpec::ipv6_vxlan_tunnel_addr>("ipv6VXLANTunnelAddr",
                                             "Address of the IPv6 VXLAN interface; kept by ipamd."),
    field<&NodeSpec::vxlan_tunnel_mac_addr_v6>("vxlanTunnelMACAddrV6",
                                               "MAC of the IPv6 VXLAN interface; kept by ipamd."),
    field<&NodeSpec::wireguard>("wireguard", "Addresses of the WireGuard interface."),
    field<&NodeSpec::orch_refs>("orchRefs", "Names of the node in orchestrators."),
    field<&NodeSpec::addresses>("addresses", "Addresses of the node."),
    field<&NodeSpec::interfaces>("interfaces", "Interfaces of the node."),
});
constexpr auto kNodeStatus = std::to_array<Field>({
    field<&NodeStatus::wireguard_public_key>("wireguardPublicKey", "Key of the IPv4 WireGuard interface."),
    field<&NodeStatus::wireguard_public_key_v6>("wireguardPublicKeyV6", "Key of the IPv6 WireGuard interface."),
    field<&NodeStatus::pod_cidrs>("podCIDRs", "Ranges of the node's pods."),
});

constexpr auto kClusterInformation = std::to_array<Field>({
    field<&ClusterInformationSpec::cluster_guid>("clusterGUID", "Identity of the cluster."),
    field<&ClusterInformationSpec::cluster_type>("clusterType", "What the cluster runs on, such as k8s,bgp."),
    field<&ClusterInformationSpec::calico_version>("calicoVersion", "Version of Calico that wrote the object."),
    field<&ClusterInformationSpec::datastore_ready>("datastoreReady",
                                                    "false: daemons stop applying and new pods are refused.")
        .fallback("true"),
    field<&ClusterInformationSpec::variant>("variant", "Variant of Calico."),
});

constexpr auto kReportedSession = std::to_array<Field>({
    field<&ReportedSession::peer>("peer", "Address of the peer.").required(),
    field<&ReportedSession::family>("family", "Address families of the session."),
    field<&ReportedSession::type>("type", "Why there is a session.").fallback("global"),
    field<&ReportedSession::as_number>("asNumber", "AS of the peer."),
    field<&ReportedSession::state>("state", "State of the session.").fallback("Idle"),
    field<&ReportedSession::since>("since", "When it entered that state."),
    field<&ReportedSession::last_error>("lastError", "Why the last session ended."),
});
constexpr auto kNotInForce = std::to_array<Field>({
    field<&NotInForce::kind>("kind", "Kind and group of the object.").required(),
    field<&NotInForce::ns>("namespace", "Its namespace."),
    field<&NotInForce::name>("name", "Its name.").required(),
    field<&NotInForce::reason>("reason", "Why the stored version is not in force."),
    field<&NotInForce::token_refused>("tokenRefused", "The version that was refused."),
    field<&NotInForce::token_in_force>("tokenInForce", "The version in force; empty: none."),
});
constexpr auto kSettingOverride = std::to_array<Field>({
    field<&SettingOverride::field>("field", "The setting.").required(),
    field<&SettingOverride::value>("value", "Its value in force."),
    field<&SettingOverride::source>("source", "Where the value comes from."),
});
constexpr auto kReportedCondition = std::to_array<Field>({
    field<&ReportedCondition::reason>("reason", "A stable word.").required(),
    field<&ReportedCondition::message>("message", "What people should know."),
});
constexpr auto kNodeReport = std::to_array<Field>({
    field<&NodeReportSpec::daemon>("daemon", "The daemon that wrote the report.").required().manul(),
    field<&NodeReportSpec::node>("node", "The node that it runs on.").required().manul(),
    field<&NodeReportSpec::version>("version", "Version of the daemon.").manul(),
    field<&NodeReportSpec::in_sync>("inSync", "It has seen everything in the store.").fallback("false").manul(),
    field<&NodeReportSpec::last_tokens>("lastTokens", "By kind: the last version in force.").manul(),
    field<&NodeReportSpec::sessions>("sessions", "BGP sessions.").manul(),
    field<&NodeReportSpec::not_in_force>("notInForce", "Objects that are not in force as stored.").manul(),
    field<&NodeReportSpec::overrides>("overrides", "Settings that do not come from the store.").manul(),
    field<&NodeReportSpec::conditions>("conditions", "What people should know.").manul(),
});

}  // namespace

template <>
constinit const ObjectInfo Described<NodeBgp>::kInfo = object<NodeBgp>("NodeBGP", "BGP of a node.", kNodeBgp);
template <>
constinit const ObjectInfo Described<NodeWireguard>::kInfo =
    object<NodeWireguard>("NodeWireguard", "WireGuard of a node.", kNodeWireguard);
template <>
constinit const ObjectInfo Described<OrchRef>::kInfo =
    object<OrchRef>("OrchRef", "A node in an orchestrator.", kOrchRef);
template <>
constinit const ObjectInfo Described<NodeAddress>::kInfo =
    object<NodeAddress>("NodeAddress", "An address.", kNodeAddress);
template <>
constinit const ObjectInfo Described<NodeInterface>::kInfo =
    object<NodeInterface>("NodeInterface", "An interface.", kNodeInterface);
template <>
constinit const ObjectInfo Described<NodeSpec>::kInfo = object<NodeSpec>("Node", "A node of the cluster.", kNode);
template <>
constinit const ObjectInfo Described<NodeStatus>::kInfo =
    object<NodeStatus>("NodeStatus", "Kept by the node.", kNodeStatus);
template <>
constinit const ObjectInfo Described<ClusterInformationSpec>::kInfo = object<ClusterInformationSpec>(
    "ClusterInformation", "The cluster as a whole; the only object is called default.", kClusterInformation);
template <>
constinit const ObjectInfo Described<ReportedSession>::kInfo =
    object<ReportedSession>("ReportedSession", "A BGP session.", kReportedSession);
template <>
constinit const ObjectInfo Described<NotInForce>::kInfo =
    object<NotInForce>("NotInForce", "A refused object.", kNotInForce);
template <>
constinit const ObjectInfo Described<SettingOverride>::kInfo =
    object<SettingOverride>("SettingOverride", "A setting from elsewhere.", kSettingOverride);
template <>
constinit const ObjectInfo Described<ReportedCondition>::kInfo =
    object<ReportedCondition>("ReportedCondition", "Something worth knowing.", kReportedCondition);
template <>
constinit const ObjectInfo Described<NodeReportSpec>::kInfo = object<NodeReportSpec>(
    "NodeReport", "What one daemon of one node knows; written by that daemon alone.", kNodeReport);

}  // namespace manul::model
