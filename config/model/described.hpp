#pragma once

#include "config/model/admin_policy.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_filter.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/calico_node_status.hpp"
#include "config/model/cluster_information.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/field.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ip_reservation.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/ipam_configuration.hpp"
#include "config/model/ipam_handle.hpp"
#include "config/model/kube_controllers_configuration.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/lease.hpp"
#include "config/model/network_set.hpp"
#include "config/model/node.hpp"
#include "config/model/node_report.hpp"
#include "config/model/policy.hpp"
#include "config/model/profile.hpp"
#include "config/model/rbac.hpp"
#include "config/model/resource.hpp"
#include "config/model/service.hpp"
#include "config/model/staged_policy.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"

/// Every struct that has a table. Declared before any use, since a table takes the address of those below it.
namespace manul::model {

#define MANUL_DESCRIBED(type) \
    template <>               \
    constinit const ObjectInfo Described<type>::kInfo
MANUL_DESCRIBED(OwnerReference);
MANUL_DESCRIBED(Metadata);
MANUL_DESCRIBED(SecretKeyRef);
MANUL_DESCRIBED(BgpPassword);
MANUL_DESCRIBED(CidrEntry);
MANUL_DESCRIBED(NamedCommunity);
MANUL_DESCRIBED(PrefixAdvertisement);
MANUL_DESCRIBED(BmpCollector);
MANUL_DESCRIBED(MrtDump);
MANUL_DESCRIBED(Multipath);
MANUL_DESCRIBED(BgpConfigurationSpec);
MANUL_DESCRIBED(Bfd);
MANUL_DESCRIBED(MaxPrefixes);
MANUL_DESCRIBED(TcpAo);
MANUL_DESCRIBED(BgpPeerSpec);
MANUL_DESCRIBED(EndpointPort);
MANUL_DESCRIBED(HostEndpointSpec);
MANUL_DESCRIBED(WorkloadEndpointPort);
MANUL_DESCRIBED(IpNat);
MANUL_DESCRIBED(QosControls);
MANUL_DESCRIBED(WorkloadEndpointSpec);
MANUL_DESCRIBED(ProtoPort);
MANUL_DESCRIBED(RouteTableRange);
MANUL_DESCRIBED(HealthTimeoutOverride);
MANUL_DESCRIBED(BpfConntrackTimeouts);
MANUL_DESCRIBED(FelixConfigurationSpec);
MANUL_DESCRIBED(IpPoolSpec);
MANUL_DESCRIBED(IpReservationSpec);
MANUL_DESCRIBED(BlockAffinitySpec);
MANUL_DESCRIBED(AllocationAttribute);
MANUL_DESCRIBED(IpamBlockSpec);
MANUL_DESCRIBED(IpamHandleSpec);
MANUL_DESCRIBED(IpamConfigurationSpec);
MANUL_DESCRIBED(LabelRequirement);
MANUL_DESCRIBED(LabelSelector);
MANUL_DESCRIBED(IpBlock);
MANUL_DESCRIBED(KubernetesPeer);
MANUL_DESCRIBED(KubernetesPort);
MANUL_DESCRIBED(KubernetesIngressRule);
MANUL_DESCRIBED(KubernetesEgressRule);
MANUL_DESCRIBED(KubernetesNetworkPolicySpec);
MANUL_DESCRIBED(ContainerPort);
MANUL_DESCRIBED(Container);
MANUL_DESCRIBED(PodSpec);
MANUL_DESCRIBED(PodIp);
MANUL_DESCRIBED(PodStatus);
MANUL_DESCRIBED(NodeBgp);
MANUL_DESCRIBED(NodeWireguard);
MANUL_DESCRIBED(OrchRef);
MANUL_DESCRIBED(NodeAddress);
MANUL_DESCRIBED(NodeInterface);
MANUL_DESCRIBED(NodeSpec);
MANUL_DESCRIBED(NodeStatus);
MANUL_DESCRIBED(ClusterInformationSpec);
MANUL_DESCRIBED(ReportedSession);
MANUL_DESCRIBED(NotInForce);
MANUL_DESCRIBED(SettingOverride);
MANUL_DESCRIBED(ReportedCondition);
MANUL_DESCRIBED(NodeReportSpec);
MANUL_DESCRIBED(IcmpMatch);
MANUL_DESCRIBED(ServiceMatch);
MANUL_DESCRIBED(ServiceAccountMatch);
MANUL_DESCRIBED(EntityRule);
MANUL_DESCRIBED(HttpPath);
MANUL_DESCRIBED(HttpMatch);
MANUL_DESCRIBED(RuleMetadata);
MANUL_DESCRIBED(Rule);
MANUL_DESCRIBED(PolicySpec);
MANUL_DESCRIBED(GlobalNetworkPolicySpec);
MANUL_DESCRIBED(TierSpec);
MANUL_DESCRIBED(NetworkSetSpec);
MANUL_DESCRIBED(ProfileSpec);
MANUL_DESCRIBED(PrefixLengthRange);
MANUL_DESCRIBED(CommunityMatch);
MANUL_DESCRIBED(AddCommunity);
MANUL_DESCRIBED(PrependAsPath);
MANUL_DESCRIBED(SetPriority);
MANUL_DESCRIBED(FilterOperation);
MANUL_DESCRIBED(BgpFilterRule);
MANUL_DESCRIBED(BgpFilterSpec);
MANUL_DESCRIBED(NamespacedPods);
MANUL_DESCRIBED(AdminSubject);
MANUL_DESCRIBED(AdminEgressPeer);
MANUL_DESCRIBED(AdminPortNumber);
MANUL_DESCRIBED(AdminPortRange);
MANUL_DESCRIBED(AdminPort);
MANUL_DESCRIBED(AdminIngressRule);
MANUL_DESCRIBED(AdminEgressRule);
MANUL_DESCRIBED(BaselineAdminNetworkPolicySpec);
MANUL_DESCRIBED(AdminNetworkPolicySpec);
MANUL_DESCRIBED(ClusterPortRange);
MANUL_DESCRIBED(ClusterPort);
MANUL_DESCRIBED(ClusterPorts);
MANUL_DESCRIBED(ClusterProtocol);
MANUL_DESCRIBED(ClusterIngressRule);
MANUL_DESCRIBED(ClusterEgressRule);
MANUL_DESCRIBED(ClusterNetworkPolicySpec);
MANUL_DESCRIBED(StagedNetworkPolicySpec);
MANUL_DESCRIBED(StagedGlobalNetworkPolicySpec);
MANUL_DESCRIBED(StagedKubernetesNetworkPolicySpec);
MANUL_DESCRIBED(CalicoNodeStatusSpec);
MANUL_DESCRIBED(SpeakerStatus);
MANUL_DESCRIBED(AgentStatus);
MANUL_DESCRIBED(NodePeerStatus);
MANUL_DESCRIBED(NodeBgpStatus);
MANUL_DESCRIBED(RouteLearnedFrom);
MANUL_DESCRIBED(NodeRoute);
MANUL_DESCRIBED(NodeRoutesStatus);
MANUL_DESCRIBED(CalicoNodeStatusStatus);
MANUL_DESCRIBED(HostEndpointTemplate);
MANUL_DESCRIBED(AutoHostEndpoint);
MANUL_DESCRIBED(NodeController);
MANUL_DESCRIBED(CopyController);
MANUL_DESCRIBED(LoadBalancerController);
MANUL_DESCRIBED(MigrationController);
MANUL_DESCRIBED(Controllers);
MANUL_DESCRIBED(KubeControllersConfigurationSpec);
MANUL_DESCRIBED(ServicePort);
MANUL_DESCRIBED(ServiceSpec);
MANUL_DESCRIBED(LoadBalancerIngress);
MANUL_DESCRIBED(LoadBalancerStatus);
MANUL_DESCRIBED(ServiceStatus);
MANUL_DESCRIBED(EndpointConditions);
MANUL_DESCRIBED(ObjectReference);
MANUL_DESCRIBED(SliceEndpoint);
MANUL_DESCRIBED(SlicePort);
MANUL_DESCRIBED(LeaseSpec);
MANUL_DESCRIBED(PolicyRule);
MANUL_DESCRIBED(AggregationRule);
MANUL_DESCRIBED(RbacSubject);
MANUL_DESCRIBED(RoleRef);
#undef MANUL_DESCRIBED

}  // namespace manul::model
