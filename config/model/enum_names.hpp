#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "config/model/admin_policy.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_filter.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/calico_node_status.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/kube_controllers_configuration.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/node.hpp"
#include "config/model/node_report.hpp"
#include "config/model/policy.hpp"
#include "config/model/rbac.hpp"
#include "config/model/service.hpp"
#include "config/model/staged_policy.hpp"
#include "config/model/tier.hpp"

namespace manul::model {

/// How documents write an enumeration, in the order of its values; an empty name stands for the empty text.
template <class E>
struct EnumNames;

/// The text of one value.
template <class E>
[[nodiscard]] constexpr std::string_view text_of(E value) noexcept {
    return EnumNames<E>::kNames[static_cast<std::size_t>(value)];
}

#define MANUL_ENUM_NAMES(type, ...)                                                    \
    template <>                                                                        \
    struct EnumNames<type> {                                                           \
        static constexpr auto kNames = std::to_array<std::string_view>({__VA_ARGS__}); \
    }
MANUL_ENUM_NAMES(EncapMode, "Never", "Always", "CrossSubnet");
MANUL_ENUM_NAMES(AllowedUse, "Workload", "Tunnel", "LoadBalancer");
MANUL_ENUM_NAMES(AssignmentMode, "Automatic", "Manual");
MANUL_ENUM_NAMES(AffinityState, "", "pending", "confirmed", "pendingDeletion");
MANUL_ENUM_NAMES(AffinityType, "host", "virtual");
MANUL_ENUM_NAMES(OnOff, "Enabled", "Disabled");
MANUL_ENUM_NAMES(NodeAddressType, "", "CalicoNodeIP", "InternalIP", "ExternalIP");
MANUL_ENUM_NAMES(BindMode, "None", "NodeIP");
MANUL_ENUM_NAMES(ProgramClusterRoutes, "Enabled", "Disabled", "EnabledIPIPOnly", "EnabledNoEncapOnly");
MANUL_ENUM_NAMES(NextHopMode, "Auto", "Self", "Keep");
MANUL_ENUM_NAMES(SourceAddressMode, "UseNodeIP", "None");
MANUL_ENUM_NAMES(ReversePeering, "Auto", "Manual");
MANUL_ENUM_NAMES(BfdMode, "Auto", "SingleHop", "MultiHop");
MANUL_ENUM_NAMES(AddPathMode, "Disabled", "Receive", "Send", "Both");
MANUL_ENUM_NAMES(BgpRole, "Provider", "Customer", "Peer", "RS", "RSClient");
MANUL_ENUM_NAMES(TcpAoAlgorithm, "HMAC-SHA1", "AES-128-CMAC");
MANUL_ENUM_NAMES(AddressFamily, "IPv4", "IPv6");
MANUL_ENUM_NAMES(Action, "Allow", "Deny", "Log", "Pass");
MANUL_ENUM_NAMES(DenyAction, "Drop", "Reject");
MANUL_ENUM_NAMES(PolicyType, "Ingress", "Egress");
MANUL_ENUM_NAMES(PerformanceHint, "AssumeNeededOnEveryNode");
MANUL_ENUM_NAMES(TierDefaultAction, "Deny", "Pass");
MANUL_ENUM_NAMES(ReportDaemon, "bgpd", "felix", "ipamd");
MANUL_ENUM_NAMES(SessionType, "mesh", "node", "global");
MANUL_ENUM_NAMES(SessionState, "Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established");
MANUL_ENUM_NAMES(LabelOperator, "In", "NotIn", "Exists", "DoesNotExist");
MANUL_ENUM_NAMES(AutoEnabledDisabled, "Auto", "Enabled", "Disabled");
MANUL_ENUM_NAMES(AcceptReturn, "Accept", "Return");
MANUL_ENUM_NAMES(FlowTableOffload, "Disabled", "All");
MANUL_ENUM_NAMES(ChainInsertMode, "Insert", "Append");
MANUL_ENUM_NAMES(EndpointToHostAction, "Drop", "Return", "Accept");
MANUL_ENUM_NAMES(NatOutgoingExclusions, "IPPoolsOnly", "IPPoolsAndHostIPs");
MANUL_ENUM_NAMES(ServiceLoopPrevention, "Drop", "Reject", "Disabled");
MANUL_ENUM_NAMES(WorkloadSourceSpoofing, "Disabled", "Any");
MANUL_ENUM_NAMES(RouteSource, "CalicoIPAM", "WorkloadIPs");
MANUL_ENUM_NAMES(FilterAction, "Accept", "Reject");
MANUL_ENUM_NAMES(MatchOperator, "Equal", "NotEqual", "In", "NotIn");
MANUL_ENUM_NAMES(FilterSource, "RemotePeers");
MANUL_ENUM_NAMES(FilterPeerType, "eBGP", "iBGP");
MANUL_ENUM_NAMES(StagedAction, "Set", "Delete", "Learn", "Ignore");
MANUL_ENUM_NAMES(AdminAction, "Allow", "Deny", "Pass");
MANUL_ENUM_NAMES(ClusterPolicyTier, "Admin", "Baseline");
MANUL_ENUM_NAMES(ClusterAction, "Accept", "Deny", "Pass");
MANUL_ENUM_NAMES(NodeStatusClass, "Agent", "BGP", "Routes");
MANUL_ENUM_NAMES(SpeakerState, "Ready", "NotReady");
MANUL_ENUM_NAMES(BgpPeerType, "NodeMesh", "NodePeer", "GlobalPeer");
MANUL_ENUM_NAMES(BgpSessionState, "Idle", "Connect", "Active", "OpenSent", "OpenConfirm", "Established", "Close");
MANUL_ENUM_NAMES(RouteKind, "FIB", "RIB");
MANUL_ENUM_NAMES(RouteSourceType, "Kernel", "Static", "Direct", "NodeMesh", "BGPPeer");
MANUL_ENUM_NAMES(ControllersLogSeverity, "None", "Debug", "Info", "Warning", "Error", "Fatal", "Panic");
MANUL_ENUM_NAMES(AssignIps, "AllServices", "RequestedServicesOnly");
MANUL_ENUM_NAMES(ServiceType, "ClusterIP", "NodePort", "LoadBalancer", "ExternalName");
MANUL_ENUM_NAMES(TrafficPolicy, "Cluster", "Local");
MANUL_ENUM_NAMES(SliceAddressType, "IPv4", "IPv6", "FQDN");
MANUL_ENUM_NAMES(RbacSubjectKind, "User", "Group", "ServiceAccount");
MANUL_ENUM_NAMES(RoleRefKind, "Role", "ClusterRole");
#undef MANUL_ENUM_NAMES

template <>
struct EnumNames<LogSeverity> {
    static constexpr auto kNames =
        std::to_array<std::string_view>({"Trace", "Debug", "Info", "Warning", "Error", "Fatal"});
    static constexpr bool kAnyLetterCase = true;
};
/// Manifests have them in lower case too: Calico lowers them before it looks.
template <>
struct EnumNames<PortProtocol> {
    static constexpr auto kNames = std::to_array<std::string_view>({"TCP", "UDP", "SCTP"});
    static constexpr bool kAnyLetterCase = true;
};

}  // namespace manul::model
