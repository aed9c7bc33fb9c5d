#include "config/model/calico_node_status.hpp"
#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/kube_controllers_configuration.hpp"
#include "config/model/limits.hpp"

namespace manul::model {

namespace {

constexpr std::int64_t kSecondsOfDay = 86400;

constexpr auto kNodeStatusSpec = std::to_array<Field>({
    field<&CalicoNodeStatusSpec::node>("node", "Name of the node.").length(253).required(),
    field<&CalicoNodeStatusSpec::classes>("classes", "What is written into status.").items(3).required(),
    field<&CalicoNodeStatusSpec::update_period_seconds>("updatePeriodSeconds", "Time between updates; 0: only once.")
        .range(0, kSecondsOfDay)
        .required(),
});
constexpr auto kSpeakerStatus = std::to_array<Field>({
    field<&SpeakerStatus::state>("state", "Whether the speaker is ready."),
    field<&SpeakerStatus::version>("version", "Its version."),
    field<&SpeakerStatus::router_id>("routerID", "Its router id."),
    field<&SpeakerStatus::last_boot_time>("lastBootTime", "When it started."),
    field<&SpeakerStatus::last_reconfiguration_time>("lastReconfigurationTime", "When its configuration changed."),
});
constexpr auto kAgentStatus = std::to_array<Field>({
    field<&AgentStatus::bird_v4>("birdV4", "The speaker's IPv4 part."),
    field<&AgentStatus::bird_v6>("birdV6", "The speaker's IPv6 part."),
});
constexpr auto kNodePeerStatus = std::to_array<Field>({
    field<&NodePeerStatus::peer_ip>("peerIP", "Address of the peer."),
    field<&NodePeerStatus::type>("type", "Where the peer was configured."),
    field<&NodePeerStatus::state>("state", "State of the session."),
    field<&NodePeerStatus::since>("since", "When the session came into this state."),
});
constexpr auto kNodeBgpStatus = std::to_array<Field>({
    field<&NodeBgpStatus::number_established_v4>("numberEstablishedV4", "Established IPv4 sessions."),
    field<&NodeBgpStatus::number_not_established_v4>("numberNotEstablishedV4", "Other IPv4 sessions."),
    field<&NodeBgpStatus::number_established_v6>("numberEstablishedV6", "Established IPv6 sessions."),
    field<&NodeBgpStatus::number_not_established_v6>("numberNotEstablishedV6", "Other IPv6 sessions."),
    field<&NodeBgpStatus::peers_v4>("peersV4", "The IPv4 sessions."),
    field<&NodeBgpStatus::peers_v6>("peersV6", "The IPv6 sessions."),
});
constexpr auto kRouteLearnedFrom = std::to_array<Field>({
    field<&RouteLearnedFrom::source_type>("sourceType", "What the route came from."),
    field<&RouteLearnedFrom::peer_ip>("peerIP", "The peer that announced it."),
});
constexpr auto kNodeRoute = std::to_array<Field>({
    field<&NodeRoute::type>("type", "FIB: in the kernel. RIB: only known."),
    field<&NodeRoute::destination>("destination", "The prefix."),
    field<&NodeRoute::gateway>("gateway", "The next hop."),
    field<&NodeRoute::interface>("interface", "The outgoing interface."),
    field<&NodeRoute::learned_from>("learnedFrom", "Where the route came from."),
});
constexpr auto kNodeRoutesStatus = std::to_array<Field>({
    field<&NodeRoutesStatus::routes_v4>("routesV4", "IPv4 routes."),
    field<&NodeRoutesStatus::routes_v6>("routesV6", "IPv6 routes."),
});
constexpr auto kNodeStatusStatus = std::to_array<Field>({
    field<&CalicoNodeStatusStatus::last_updated>("lastUpdated", "When the node wrote this."),
    field<&CalicoNodeStatusStatus::agent>("agent", "The speaker."),
    field<&CalicoNodeStatusStatus::bgp>("bgp", "Its sessions."),
    field<&CalicoNodeStatusStatus::routes>("routes", "Its routes."),
});

constexpr auto kHostEndpointTemplate = std::to_array<Field>({
    field<&HostEndpointTemplate::generate_name>("generateName", "Begins the names of what is made; unique.")
        .length(253)
        .required(),
    field<&HostEndpointTemplate::interface_cidrs>("interfaceCIDRs", "Addresses of the node in these are expected."),
    field<&HostEndpointTemplate::interface_pattern>("interfacePattern",
                                                    "One for each interface whose name matches this regular "
                                                    "expression."),
    field<&HostEndpointTemplate::node_selector>("nodeSelector", "Nodes that get one; empty: all.").length(1024),
    field<&HostEndpointTemplate::labels>("labels", "Labels of what is made."),
    field<&HostEndpointTemplate::annotations>("annotations", "Annotations of what is made."),
});
constexpr auto kAutoHostEndpoint = std::to_array<Field>({
    field<&AutoHostEndpoint::auto_create>("autoCreate", "Makes HostEndpoints for nodes.").fallback("Disabled"),
    field<&AutoHostEndpoint::create_default_host_endpoint>("createDefaultHostEndpoint",
                                                           "With autoCreate: one for all interfaces of each node.")
        .fallback("Enabled"),
    field<&AutoHostEndpoint::templates>("templates", "Further ones for each node."),
});
constexpr auto kNodeController = std::to_array<Field>({
    field<&NodeController::reconciler_period>("reconcilerPeriod", "Time between full checks.").fallback("5m"),
    field<&NodeController::sync_labels>("syncLabels", "Labels of Kubernetes nodes are copied.").fallback("Enabled"),
    field<&NodeController::leak_grace_period>("leakGracePeriod", "How long a leaked address is kept; 0s: for ever.")
        .fallback("15m"),
    field<&NodeController::host_endpoint>("hostEndpoint", "HostEndpoints that are made by themselves."),
});
constexpr auto kCopyController = std::to_array<Field>({
    field<&CopyController::reconciler_period>("reconcilerPeriod", "Time between full checks.")
        .fallback("5m")
        .without_effect(),
});
constexpr auto kLoadBalancerController = std::to_array<Field>({
    field<&LoadBalancerController::assign_ips>("assignIPs", "Which services get an address.").fallback("AllServices"),
});
constexpr auto kMigrationController = std::to_array<Field>({
    field<&MigrationController::policy_name_migrator>("policyNameMigrator", "Renames policies of old releases.")
        .fallback("Enabled")
        .without_effect(),
});
constexpr auto kControllers = std::to_array<Field>({
    field<&Controllers::node>("node", "Nodes that went, and what they held."),
    field<&Controllers::policy>("policy", "Policies of Kubernetes."),
    field<&Controllers::workload_endpoint>("workloadEndpoint", "Pods."),
    field<&Controllers::service_account>("serviceAccount", "Service accounts."),
    field<&Controllers::namespace_>("namespace", "Namespaces."),
    field<&Controllers::load_balancer>("loadBalancer", "Addresses of services."),
    field<&Controllers::migration>("migration", "Migration of old objects."),
});
constexpr auto kKubeControllers = std::to_array<Field>({
    field<&KubeControllersConfigurationSpec::log_severity_screen>("logSeverityScreen", "Least severe messages to log.")
        .fallback("Info"),
    field<&KubeControllersConfigurationSpec::health_checks>("healthChecks", "Whether health is served.")
        .fallback("Enabled"),
    field<&KubeControllersConfigurationSpec::etcd_v3_compaction_period>("etcdV3CompactionPeriod",
                                                                        "Time between compactions of etcd; 0s: never.")
        .fallback("10m"),
    field<&KubeControllersConfigurationSpec::prometheus_metrics_port>("prometheusMetricsPort",
                                                                      "Port for metrics; 0: off.")
        .range(0, kMaxPort)
        .fallback("9094"),
    field<&KubeControllersConfigurationSpec::debug_profile_port>("debugProfilePort",
                                                                 "Port for profiles of the program.")
        .range(0, kMaxPort)
        .without_effect(),
    field<&KubeControllersConfigurationSpec::controllers>("controllers", "Chores; one that is absent is off."),
});

}  // namespace

template <>
constinit const ObjectInfo Described<CalicoNodeStatusSpec>::kInfo = object<CalicoNodeStatusSpec>(
    "CalicoNodeStatus", "Asks a node to write here what its BGP speaker knows.", kNodeStatusSpec);
template <>
constinit const ObjectInfo Described<SpeakerStatus>::kInfo =
    object<SpeakerStatus>("BGPDaemonStatus", "A speaker.", kSpeakerStatus);
template <>
constinit const ObjectInfo Described<AgentStatus>::kInfo =
    object<AgentStatus>("CalicoNodeAgentStatus", "The speaker by family.", kAgentStatus);
template <>
constinit const ObjectInfo Described<NodePeerStatus>::kInfo =
    object<NodePeerStatus>("CalicoNodePeer", "A session.", kNodePeerStatus);
template <>
constinit const ObjectInfo Described<NodeBgpStatus>::kInfo =
    object<NodeBgpStatus>("CalicoNodeBGPStatus", "Sessions.", kNodeBgpStatus);
template <>
constinit const ObjectInfo Described<RouteLearnedFrom>::kInfo =
    object<RouteLearnedFrom>("CalicoNodeRouteLearnedFrom", "Where a route came from.", kRouteLearnedFrom);
template <>
constinit const ObjectInfo Described<NodeRoute>::kInfo = object<NodeRoute>("CalicoNodeRoute", "A route.", kNodeRoute);
template <>
constinit const ObjectInfo Described<NodeRoutesStatus>::kInfo =
    object<NodeRoutesStatus>("CalicoNodeBGPRouteStatus", "Routes.", kNodeRoutesStatus);
template <>
constinit const ObjectInfo Described<CalicoNodeStatusStatus>::kInfo =
    object<CalicoNodeStatusStatus>("CalicoNodeStatusStatus", "What the node wrote.", kNodeStatusStatus);
template <>
constinit const ObjectInfo Described<HostEndpointTemplate>::kInfo =
    object<HostEndpointTemplate>("Template", "HostEndpoints that are made by themselves.", kHostEndpointTemplate);
template <>
constinit const ObjectInfo Described<AutoHostEndpoint>::kInfo =
    object<AutoHostEndpoint>("AutoHostEndpointConfig", "HostEndpoints that are made by themselves.", kAutoHostEndpoint);
template <>
constinit const ObjectInfo Described<NodeController>::kInfo =
    object<NodeController>("NodeControllerConfig", "Nodes.", kNodeController);
template <>
constinit const ObjectInfo Described<CopyController>::kInfo = object<CopyController>(
    "ControllerConfig", "Accepted; daemons read Kubernetes' objects themselves.", kCopyController);
template <>
constinit const ObjectInfo Described<LoadBalancerController>::kInfo =
    object<LoadBalancerController>("LoadBalancerControllerConfig", "Addresses of services.", kLoadBalancerController);
template <>
constinit const ObjectInfo Described<MigrationController>::kInfo =
    object<MigrationController>("MigrationControllerConfig", "Migration of old objects.", kMigrationController);
template <>
constinit const ObjectInfo Described<Controllers>::kInfo =
    object<Controllers>("ControllersConfig", "What is done once for the whole cluster.", kControllers);
template <>
constinit const ObjectInfo Described<KubeControllersConfigurationSpec>::kInfo =
    object<KubeControllersConfigurationSpec>("KubeControllersConfiguration",
                                             "Settings of what is done once for the whole cluster.", kKubeControllers);

}  // namespace manul::model
