#include <array>
#include <string_view>
#include <type_traits>

#include "config/model/described.hpp"
#include "config/model/enum_names.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/field.hpp"
#include "config/model/limits.hpp"
#include "config/model/scalar.hpp"
#include "config/model/tables.hpp"

namespace manul::model {

namespace {

/// Of an enumeration: in any letter case, as in Calico.
struct AnyCase {};

}  // namespace

template <class E>
    requires std::is_enum_v<E>
struct ScalarAs<E, AnyCase> {
    static ScalarResult parse(void* value, const Scalar& in) {
        const auto index = detail::find_name(kInfo, in);
        if (!index) {
            return detail::bad();
        }
        *static_cast<E*>(value) = static_cast<E>(*index);
        return {};
    }
    static constexpr ScalarInfo kInfo{"enum", "one of", EnumNames<E>::kNames,  true, 0,
                                      0,      &parse,   &detail::print_enum<E>};
};

namespace {

constexpr auto kProtoPort = std::to_array<Field>({
    field<&ProtoPort::protocol>("protocol", "TCP, UDP or SCTP.").fallback("TCP"),
    field<&ProtoPort::port>("port", "The number.").range(1, kMaxPort).required(),
    field<&ProtoPort::net, CidrOrNone>("net",
                                       "Addresses of the other side; absent, or empty as Calico writes it: all."),
});
constexpr auto kRouteTableRange = std::to_array<Field>({
    field<&RouteTableRange::min>("min", "First table.").range(1, 4'294'967'295).required(),
    field<&RouteTableRange::max>("max", "Last table.").range(1, 4'294'967'295).required(),
});
constexpr auto kHealthTimeoutOverride = std::to_array<Field>({
    field<&HealthTimeoutOverride::name>("name", "Part of the daemon.").required(),
    field<&HealthTimeoutOverride::timeout>("timeout", "Longest silence.").required(),
});
constexpr auto kBpfConntrackTimeouts = std::to_array<Field>({
    field<&BpfConntrackTimeouts::creation_grace_period>("creationGracePeriod", "A duration or Auto.").without_effect(),
    field<&BpfConntrackTimeouts::tcp_syn_sent>("tcpSynSent", "A duration or Auto.").without_effect(),
    field<&BpfConntrackTimeouts::tcp_established>("tcpEstablished", "A duration or Auto.").without_effect(),
    field<&BpfConntrackTimeouts::tcp_fins_seen>("tcpFinsSeen", "A duration or Auto.").without_effect(),
    field<&BpfConntrackTimeouts::tcp_reset_seen>("tcpResetSeen", "A duration or Auto.").without_effect(),
    field<&BpfConntrackTimeouts::udp_timeout>("udpTimeout", "A duration or Auto.").without_effect(),
    field<&BpfConntrackTimeouts::generic_timeout>("genericTimeout", "A duration or Auto.").without_effect(),
    field<&BpfConntrackTimeouts::icmp_timeout>("icmpTimeout", "A duration or Auto.").without_effect(),
});

constexpr std::string_view kFailsafeInboundHostPorts =
    R"([{"protocol": "TCP", "port": 22}, {"protocol": "UDP", "port": 68}, {"protocol": "TCP", "po)"
    R"(rt": 179}, {"protocol": "TCP", "port": 2379}, {"protocol": "TCP", "port": 2380}, {"protoco)"
    R"(l": "TCP", "port": 5473}, {"protocol": "TCP", "port": 6443}, {"protocol": "TCP", "port": 6)"
    R"(666}, {"protocol": "TCP", "port": 6667}])";
constexpr std::string_view kFailsafeOutboundHostPorts =
    R"([{"protocol": "UDP", "port": 53}, {"protocol": "UDP", "port": 67}, {"protocol": "TCP", "po)"
    R"(rt": 179}, {"protocol": "TCP", "port": 2379}, {"protocol": "TCP", "port": 2380}, {"protoco)"
    R"(l": "TCP", "port": 5473}, {"protocol": "TCP", "port": 6443}, {"protocol": "TCP", "port": 6)"
    R"(666}, {"protocol": "TCP", "port": 6667}])";
constexpr std::string_view kKubeNodePortRanges = R"(["30000:32767"])";

constexpr auto kOffInfoDebugAnyCase = std::to_array<std::string_view>({"Off", "Info", "Debug"});
constexpr auto kTunnelDSRAnyCase = std::to_array<std::string_view>({"Tunnel", "DSR"});
constexpr auto kDisabledStrictLooseAnyCase = std::to_array<std::string_view>({"Disabled", "Strict", "Loose"});
constexpr auto kDisabledDoubleIfFullAnyCase = std::to_array<std::string_view>({"Disabled", "DoubleIfFull"});
constexpr auto kDoNothingEnableDisable = std::to_array<std::string_view>({"DoNothing", "Enable", "Disable"});
constexpr auto kTCTCXNetkit = std::to_array<std::string_view>({"TC", "TCX", "Netkit"});
constexpr auto kTCPEnabledDisabled = std::to_array<std::string_view>({"TCP", "Enabled", "Disabled"});
constexpr auto kOffDebug = std::to_array<std::string_view>({"Off", "Debug"});
constexpr auto kAutoUserspaceBPFProgram = std::to_array<std::string_view>({"Auto", "Userspace", "BPFProgram"});
constexpr auto kEnabledDisabled = std::to_array<std::string_view>({"Enabled", "Disabled"});
constexpr auto kAutoStrict = std::to_array<std::string_view>({"Auto", "Strict"});
constexpr auto kTunnelAddressHostAddress = std::to_array<std::string_view>({"TunnelAddress", "HostAddress"});
constexpr auto kLegacyNFTAuto = std::to_array<std::string_view>({"Legacy", "NFT", "Auto"});
constexpr auto kAcceptReturn = std::to_array<std::string_view>({"Accept", "Return"});
constexpr auto kDropReject = std::to_array<std::string_view>({"Drop", "Reject"});
constexpr auto kRequireAndVerifyClientCertRequireAnyClientCertVerifyClientCertIfGivenNoClientCert =
    std::to_array<std::string_view>(
        {"RequireAndVerifyClientCert", "RequireAnyClientCert", "VerifyClientCertIfGiven", "NoClientCert"});

constexpr auto kFelixConfiguration = std::to_array<Field>({
    field<&FelixConfigurationSpec::nftables_mode>("nftablesMode", "Whether nftables are used; here they always are.")
        .fallback("Auto")
        .without_effect(),
    field<&FelixConfigurationSpec::nftables_refresh_interval>(
        "nftablesRefreshInterval", "Time between full comparisons with the kernel; 0: never.")
        .fallback("180s"),
    field<&FelixConfigurationSpec::nftables_filter_allow_action, AnyCase>(
        "nftablesFilterAllowAction", "What an allowed packet does in filter chains.")
        .fallback("Accept")
        .without_effect(),
    field<&FelixConfigurationSpec::nftables_mangle_allow_action, AnyCase>("nftablesMangleAllowAction",
                                                                          "What an allowed packet does before routing.")
        .fallback("Accept")
        .without_effect(),
    field<&FelixConfigurationSpec::nftables_filter_deny_action, AnyCase>("nftablesFilterDenyAction",
                                                                         "How denied packets are answered.")
        .fallback("Drop"),
    field<&FelixConfigurationSpec::nftables_mark_mask>("nftablesMarkMask",
                                                       "Packet marks that Felix may use; Manul uses none.")
        .fallback("4294901760")
        .without_effect(),
    field<&FelixConfigurationSpec::nftables_flow_table_offload>("nftablesFlowTableOffload",
                                                                "Let accepted connections bypass the chains.")
        .fallback("Disabled")
        .without_effect(),
    field<&FelixConfigurationSpec::nftables_flow_table_data_iface_pattern>(
        "nftablesFlowTableDataIfacePattern", "Interfaces whose connections may be offloaded.")
        .without_effect(),
    field<&FelixConfigurationSpec::interface_prefix>(
        "interfacePrefix", "Beginnings of the names of workload interfaces, separated by commas.")
        .fallback("cali"),
    field<&FelixConfigurationSpec::interface_exclude>("interfaceExclude",
                                                      "Interfaces that no host endpoint stands for; /…/ is a pattern.")
        .fallback("kube-ipvs0"),
    field<&FelixConfigurationSpec::chain_insert_mode, AnyCase>("chainInsertMode", "No meaning in tables of our own.")
        .fallback("Insert")
        .without_effect(),
    field<&FelixConfigurationSpec::default_endpoint_to_host_action, AnyCase>(
        "defaultEndpointToHostAction",
        "What happens to traffic from a workload to its own node after its egress policy.")
        .fallback("Drop"),
    field<&FelixConfigurationSpec::log_prefix>(
        "logPrefix", "Beginning of lines that Log rules write; %t tier, %k kind, %n name, %p policy.")
        .fallback("calico-packet"),
    field<&FelixConfigurationSpec::log_action_rate_limit>("logActionRateLimit",
                                                          "Most lines of Log rules: N/second, /minute, /hour or /day."),
    field<&FelixConfigurationSpec::log_action_rate_limit_burst>("logActionRateLimitBurst",
                                                                "Lines above the rate that are let through at once.")
        .range(0, 9999)
        .fallback("5"),
    field<&FelixConfigurationSpec::deny_logging>("denyLogging",
                                                 "Log every denied packet, with both endpoints, tier, policy and rule.")
        .fallback("Disabled")
        .manul(),
    field<&FelixConfigurationSpec::deny_logging_rate_limit>(
        "denyLoggingRateLimit", "Most lines of denied packets for each rule: N/second, /minute, /hour or /day.")
        .fallback("10/second")
        .manul(),
    field<&FelixConfigurationSpec::cut_denied_connections>(
        "cutDeniedConnections",
        "Whether established connections of workloads come to an end when a change of policy denies them.")
        .fallback("Disabled")
        .manul(),
    field<&FelixConfigurationSpec::host_to_workload_policy>(
        "hostToWorkloadPolicy",
        "Whether what the node sends to its own workloads is judged by their ingress policy, probes included.")
        .fallback("Disabled")
        .manul(),
    field<&FelixConfigurationSpec::ipv6_support>("ipv6Support", "Whether IPv6 is handled.")
        .fallback("true")
        .without_effect(),
    field<&FelixConfigurationSpec::route_refresh_interval>("routeRefreshInterval",
                                                           "Time between full comparisons of routes.")
        .fallback("90s"),
    field<&FelixConfigurationSpec::interface_refresh_interval>("interfaceRefreshInterval",
                                                               "Time between full comparisons of interfaces.")
        .fallback("90s")
        .without_effect(),
    field<&FelixConfigurationSpec::ipsets_refresh_interval>("ipsetsRefreshInterval",
                                                            "Time between full comparisons of sets.")
        .fallback("90s")
        .without_effect(),
    field<&FelixConfigurationSpec::netlink_timeout>("netlinkTimeout", "Longest wait for an answer of the kernel.")
        .fallback("10s")
        .without_effect(),
    field<&FelixConfigurationSpec::vxlan_enabled>("vxlanEnabled", "Default: on when a pool uses VXLAN."),
    field<&FelixConfigurationSpec::ipip_enabled>("ipipEnabled", "Default: on when a pool uses IPIP."),
    field<&FelixConfigurationSpec::vxlan_mtu>("vxlanMTU", "0: found out.").fallback("0"),
    field<&FelixConfigurationSpec::vxlan_mtu_v6>("vxlanMTUV6", "0: found out.").fallback("0"),
    field<&FelixConfigurationSpec::ipip_mtu>("ipipMTU", "0: found out.").fallback("0"),
    field<&FelixConfigurationSpec::wireguard_mtu>("wireguardMTU", "0: found out.").fallback("0"),
    field<&FelixConfigurationSpec::wireguard_mtu_v6>("wireguardMTUV6", "0: found out.").fallback("0"),
    field<&FelixConfigurationSpec::vxlan_port>("vxlanPort", "UDP port of VXLAN.").range(1, kMaxPort).fallback("4789"),
    field<&FelixConfigurationSpec::vxlan_vni>("vxlanVNI", "VXLAN network identifier.")
        .range(1, 16777215)
        .fallback("4096"),
    field<&FelixConfigurationSpec::allow_vxlan_packets_from_workloads>("allowVXLANPacketsFromWorkloads",
                                                                       "Let workloads send VXLAN packets.")
        .fallback("false"),
    field<&FelixConfigurationSpec::allow_ipip_packets_from_workloads>("allowIPIPPacketsFromWorkloads",
                                                                      "Let workloads send IPIP packets.")
        .fallback("false"),
    field<&FelixConfigurationSpec::failsafe_inbound_host_ports>(
        "failsafeInboundHostPorts", "Ports of hosts that policy never closes; [] closes all.")
        .fallback(kFailsafeInboundHostPorts),
    field<&FelixConfigurationSpec::failsafe_outbound_host_ports>(
        "failsafeOutboundHostPorts", "Ports of others that policy never closes to hosts; [] closes all.")
        .fallback(kFailsafeOutboundHostPorts),
    field<&FelixConfigurationSpec::kube_node_port_ranges>("kubeNodePortRanges",
                                                          "Ports at which kube-proxy listens on nodes.")
        .items(7)
        .fallback(kKubeNodePortRanges)
        .without_effect(),
    field<&FelixConfigurationSpec::nat_port_range>("natPortRange", "Ports used by outgoing NAT."),
    field<&FelixConfigurationSpec::nat_outgoing_address>(
        "natOutgoingAddress", "Source of outgoing NAT; default: the address of the outgoing interface."),
    field<&FelixConfigurationSpec::nat_outgoing_exclusions>("natOutgoingExclusions",
                                                            "Destinations that outgoing NAT leaves alone.")
        .fallback("IPPoolsOnly"),
    field<&FelixConfigurationSpec::iptables_nat_outgoing_interface_filter>(
        "iptablesNATOutgoingInterfaceFilter", "Outgoing NAT on these interfaces alone; + at the end matches any rest."),
    field<&FelixConfigurationSpec::device_route_protocol>("deviceRouteProtocol", "Protocol number of workload routes.")
        .fallback("3"),
    field<&FelixConfigurationSpec::device_route_source_address>("deviceRouteSourceAddress",
                                                                "Preferred source of IPv4 workload routes."),
    field<&FelixConfigurationSpec::device_route_source_address_ipv6>("deviceRouteSourceAddressIPv6",
                                                                     "Preferred source of IPv6 workload routes."),
    field<&FelixConfigurationSpec::remove_external_routes>("removeExternalRoutes",
                                                           "Remove routes to workload interfaces that others made.")
        .fallback("true")
        .without_effect(),
    field<&FelixConfigurationSpec::program_cluster_routes>("programClusterRoutes",
                                                           "Which pools' routes felix programs; bgpd does the others.")
        .fallback("EnabledIPIPOnly"),
    field<&FelixConfigurationSpec::ip_forwarding>("ipForwarding", "Turn on forwarding in the kernel.")
        .fallback("Enabled"),
    field<&FelixConfigurationSpec::external_nodes_list, LooseCidr>(
        "externalNodesList", "Nodes outside the cluster that may send encapsulated traffic."),
    field<&FelixConfigurationSpec::disable_conntrack_invalid_check>(
        "disableConntrackInvalidCheck", "Let packets pass that connection tracking calls invalid.")
        .fallback("false"),
    field<&FelixConfigurationSpec::service_loop_prevention, AnyCase>(
        "serviceLoopPrevention", "What happens to packets for service addresses that nobody handled.")
        .fallback("Drop"),
    field<&FelixConfigurationSpec::workload_source_spoofing, AnyCase>(
        "workloadSourceSpoofing", "Any: workloads may ask to send from other addresses.")
        .fallback("Disabled"),
    field<&FelixConfigurationSpec::floating_ips>("floatingIPs", "Translate floating addresses of workloads.")
        .fallback("Disabled"),
    field<&FelixConfigurationSpec::local_subnet_l2_reachability>(
        "localSubnetL2Reachability", "How workloads are announced in the subnet of the node.")
        .fallback("Disabled")
        .without_effect(),
    field<&FelixConfigurationSpec::mtu_iface_pattern>("mtuIfacePattern", "Interfaces whose MTU counts."),
    field<&FelixConfigurationSpec::route_source, AnyCase>("routeSource", "Where routes to other nodes come from.")
        .fallback("CalicoIPAM")
        .without_effect(),
    field<&FelixConfigurationSpec::route_table_range>("routeTableRange", "Old form of routeTableRanges.")
        .without_effect(),
    field<&FelixConfigurationSpec::route_table_ranges>("routeTableRanges",
                                                       "Kernel routing tables that may be used; default 1 to 250.")
        .without_effect(),
    field<&FelixConfigurationSpec::route_sync_disabled>("routeSyncDisabled", "Do not program routes.")
        .fallback("false")
        .without_effect(),
    field<&FelixConfigurationSpec::ipv4_normal_route_priority>("ipv4NormalRoutePriority", "Metric of IPv4 routes.")
        .range(1, kMaxRoutePriority)
        .fallback("1024"),
    field<&FelixConfigurationSpec::ipv6_normal_route_priority>("ipv6NormalRoutePriority", "Metric of IPv6 routes.")
        .range(1, kMaxRoutePriority)
        .fallback("1024"),
    field<&FelixConfigurationSpec::ipv4_elevated_route_priority>("ipv4ElevatedRoutePriority",
                                                                 "Metric of preferred IPv4 routes.")
        .range(1, kMaxRoutePriority)
        .fallback("512")
        .without_effect(),
    field<&FelixConfigurationSpec::ipv6_elevated_route_priority>("ipv6ElevatedRoutePriority",
                                                                 "Metric of preferred IPv6 routes.")
        .range(1, kMaxRoutePriority)
        .fallback("512")
        .without_effect(),
    field<&FelixConfigurationSpec::wireguard_enabled>("wireguardEnabled", "Encrypt IPv4 traffic between nodes.")
        .fallback("false"),
    field<&FelixConfigurationSpec::wireguard_enabled_v6>("wireguardEnabledV6", "Encrypt IPv6 traffic between nodes.")
        .fallback("false"),
    field<&FelixConfigurationSpec::wireguard_listening_port>("wireguardListeningPort", "UDP port of IPv4 WireGuard.")
        .range(1, kMaxPort)
        .fallback("51820"),
    field<&FelixConfigurationSpec::wireguard_listening_port_v6>("wireguardListeningPortV6",
                                                                "UDP port of IPv6 WireGuard.")
        .range(1, kMaxPort)
        .fallback("51821"),
    field<&FelixConfigurationSpec::wireguard_routing_rule_priority>("wireguardRoutingRulePriority",
                                                                    "Priority of the routing rule.")
        .range(1, 32'765)
        .fallback("99")
        .without_effect(),
    field<&FelixConfigurationSpec::wireguard_interface_name>("wireguardInterfaceName", "Name of the IPv4 interface.")
        .length(15)
        .fallback("wireguard.cali")
        .without_effect(),
    field<&FelixConfigurationSpec::wireguard_interface_name_v6>("wireguardInterfaceNameV6",
                                                                "Name of the IPv6 interface.")
        .length(15)
        .fallback("wg-v6.cali")
        .without_effect(),
    field<&FelixConfigurationSpec::health_enabled>("healthEnabled", "Answer health checks.").fallback("false"),
    field<&FelixConfigurationSpec::health_port>("healthPort", "Port of health checks.")
        .range(1, kMaxPort)
        .fallback("9099"),
    field<&FelixConfigurationSpec::health_host>("healthHost", "Address of health checks.").fallback("localhost"),
    field<&FelixConfigurationSpec::health_timeout_overrides>("healthTimeoutOverrides",
                                                             "Longest silence of parts of the daemon.")
        .without_effect(),
    field<&FelixConfigurationSpec::prometheus_metrics_enabled>("prometheusMetricsEnabled", "Serve metrics.")
        .fallback("false"),
    field<&FelixConfigurationSpec::prometheus_metrics_port>("prometheusMetricsPort", "Port of metrics.")
        .range(0, kMaxPort)
        .fallback("9091"),
    field<&FelixConfigurationSpec::prometheus_metrics_host>("prometheusMetricsHost", "Address of metrics; empty: all."),
    field<&FelixConfigurationSpec::reporting_interval>("reportingInterval", "Time between reports; 0: none.")
        .fallback("30s")
        .without_effect(),
    field<&FelixConfigurationSpec::endpoint_status_path_prefix>("endpointStatusPathPrefix",
                                                                "Directory of endpoint states.")
        .fallback("/var/run/calico")
        .without_effect(),
    field<&FelixConfigurationSpec::log_severity_screen>("logSeverityScreen", "Least severe messages to log.")
        .fallback("Info")
        .without_effect(),
    field<&FelixConfigurationSpec::log_severity_file>("logSeverityFile", "Least severe messages in the file.")
        .fallback("Info")
        .without_effect(),
    field<&FelixConfigurationSpec::log_severity_sys>("logSeveritySys", "Least severe messages to syslog.")
        .fallback("Info")
        .without_effect(),
    field<&FelixConfigurationSpec::log_file_path>("logFilePath", "The log file, or none.")
        .fallback("/var/log/calico/felix.log")
        .without_effect(),
    field<&FelixConfigurationSpec::flow_logs_flush_interval>("flowLogsFlushInterval", "Time between flow records.")
        .fallback("300s")
        .without_effect(),
    field<&FelixConfigurationSpec::flow_logs_goldmane_server>("flowLogsGoldmaneServer", "Where flow records are sent.")
        .without_effect(),
    field<&FelixConfigurationSpec::flow_logs_local_reporter>("flowLogsLocalReporter", "Serve flow records on the node.")
        .fallback("Disabled")
        .without_effect(),
    field<&FelixConfigurationSpec::flow_logs_policy_evaluation_mode>(
        "flowLogsPolicyEvaluationMode", "How pending policies are evaluated in flow records.")
        .fallback("Continuous")
        .without_effect(),
    field<&FelixConfigurationSpec::policy_sync_path_prefix>("policySyncPathPrefix",
                                                            "Directory of the policy socket of workloads.")
        .without_effect(),
    field<&FelixConfigurationSpec::xdp_enabled>("xdpEnabled", "Has no effect with nftables.")
        .fallback("true")
        .without_effect(),
    field<&FelixConfigurationSpec::usage_reporting_enabled>("usageReportingEnabled",
                                                            "Has no effect: nothing is reported to anybody.")
        .fallback("true")
        .without_effect(),
    field<&FelixConfigurationSpec::dataplane_watchdog_timeout>("dataplaneWatchdogTimeout",
                                                               "Longest silence of the dataplane.")
        .fallback("90s")
        .without_effect(),
    field<&FelixConfigurationSpec::node_selector>("nodeSelector",
                                                  "Nodes that the object is for; not for default and node.<name>.")
        .length(1024),

    field<&FelixConfigurationSpec::bpf_connect_time_load_balancing_enabled>("bpfConnectTimeLoadBalancingEnabled",
                                                                            "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_disable_unprivileged>("bpfDisableUnprivileged", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_enabled>("bpfEnabled", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::bpf_host_conntrack_bypass>("bpfHostConntrackBypass", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_ip_fragment_reassembly_enabled>("bpfIPFragmentReassemblyEnabled",
                                                                       "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_kube_proxy_iptables_cleanup_enabled>("bpfKubeProxyIptablesCleanupEnabled",
                                                                            "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_policy_debug_enabled>("bpfPolicyDebugEnabled", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::debug_disable_log_dropping>("debugDisableLogDropping", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::endpoint_reporting_enabled>("endpointReportingEnabled", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::flow_logs_collector_debug_trace>("flowLogsCollectorDebugTrace", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::generic_xdp_enabled>("genericXDPEnabled", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::prometheus_go_metrics_enabled>("prometheusGoMetricsEnabled", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::prometheus_process_metrics_enabled>("prometheusProcessMetricsEnabled",
                                                                       "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::prometheus_wireguard_metrics_enabled>("prometheusWireGuardMetricsEnabled",
                                                                         "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::require_mtu_file>("requireMTUFile", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::sidecar_acceleration_enabled>("sidecarAccelerationEnabled", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::use_internal_dataplane_driver>("useInternalDataplaneDriver", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::wireguard_host_encryption_enabled>("wireguardHostEncryptionEnabled",
                                                                      "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::wireguard_threading_enabled>("wireguardThreadingEnabled", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_ctlb_log_filter>("bpfCTLBLogFilter", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::bpf_data_iface_pattern>("bpfDataIfacePattern", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_disable_gro_for_ifaces>("bpfDisableGROForIfaces", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_l3_iface_pattern>("bpfL3IfacePattern", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::cgroup_v2_path>("cgroupV2Path", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::dataplane_driver>("dataplaneDriver", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::debug_host>("debugHost", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::debug_memory_profile_path>("debugMemoryProfilePath", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::feature_detect_override>("featureDetectOverride", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::feature_gates>("featureGates", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::log_debug_filename_regex>("logDebugFilenameRegex", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::metadata_addr>("metadataAddr", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::openstack_region>("openstackRegion", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::prometheus_metrics_ca_file>("prometheusMetricsCAFile", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::prometheus_metrics_cert_file>("prometheusMetricsCertFile", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::prometheus_metrics_key_file>("prometheusMetricsKeyFile", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_log_level>("bpfLogLevel", "Accepted and kept.")
        .one_of_any_case(kOffInfoDebugAnyCase)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_external_service_mode>("bpfExternalServiceMode", "Accepted and kept.")
        .one_of_any_case(kTunnelDSRAnyCase)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_enforce_rpf>("bpfEnforceRPF", "Accepted and kept.")
        .one_of_any_case(kDisabledStrictLooseAnyCase)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_conntrack_scaling>("bpfMapSizeConntrackScaling", "Accepted and kept.")
        .one_of_any_case(kDisabledDoubleIfFullAnyCase)
        .without_effect(),
    field<&FelixConfigurationSpec::aws_src_dst_check>("awsSrcDstCheck", "Accepted and kept.")
        .one_of(kDoNothingEnableDisable)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_attach_type>("bpfAttachType", "Accepted and kept.")
        .one_of(kTCTCXNetkit)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_connect_time_load_balancing>("bpfConnectTimeLoadBalancing", "Accepted and kept.")
        .one_of(kTCPEnabledDisabled)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_conntrack_log_level>("bpfConntrackLogLevel", "Accepted and kept.")
        .one_of(kOffDebug)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_conntrack_mode>("bpfConntrackMode", "Accepted and kept.")
        .one_of(kAutoUserspaceBPFProgram)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_host_networked_nat_without_ctlb>("bpfHostNetworkedNATWithoutCTLB",
                                                                        "Accepted and kept.")
        .one_of(kEnabledDisabled)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_profiling>("bpfProfiling", "Accepted and kept.")
        .one_of(kEnabledDisabled)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_redirect_to_peer>("bpfRedirectToPeer", "Accepted and kept.")
        .one_of(kEnabledDisabled)
        .without_effect(),
    field<&FelixConfigurationSpec::istio_ambient_mode>("istioAmbientMode", "Accepted and kept.")
        .one_of(kEnabledDisabled)
        .without_effect(),
    field<&FelixConfigurationSpec::windows_manage_firewall_rules>("windowsManageFirewallRules", "Accepted and kept.")
        .one_of(kEnabledDisabled)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_jit_hardening>("bpfJITHardening", "Accepted and kept.")
        .one_of(kAutoStrict)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_overlay_host_source_ip>("bpfOverlayHostSourceIP", "Accepted and kept.")
        .one_of(kTunnelAddressHostAddress)
        .without_effect(),
    field<&FelixConfigurationSpec::iptables_backend>("iptablesBackend", "Accepted and kept.")
        .one_of_any_case(kLegacyNFTAuto)
        .without_effect(),
    field<&FelixConfigurationSpec::iptables_filter_allow_action>("iptablesFilterAllowAction", "Accepted and kept.")
        .one_of_any_case(kAcceptReturn)
        .without_effect(),
    field<&FelixConfigurationSpec::iptables_mangle_allow_action>("iptablesMangleAllowAction", "Accepted and kept.")
        .one_of_any_case(kAcceptReturn)
        .without_effect(),
    field<&FelixConfigurationSpec::iptables_filter_deny_action>("iptablesFilterDenyAction", "Accepted and kept.")
        .one_of_any_case(kDropReject)
        .without_effect(),
    field<&FelixConfigurationSpec::prometheus_metrics_client_auth>("prometheusMetricsClientAuth", "Accepted and kept.")
        .one_of(kRequireAndVerifyClientCertRequireAnyClientCertVerifyClientCertIfGivenNoClientCert)
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_ip_frag_timeout>("bpfIPFragTimeout", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::bpf_kube_proxy_min_sync_period>("bpfKubeProxyMinSyncPeriod", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::debug_simulate_calc_graph_hang_after>("debugSimulateCalcGraphHangAfter",
                                                                         "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::debug_simulate_dataplane_apply_delay>("debugSimulateDataplaneApplyDelay",
                                                                         "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::debug_simulate_dataplane_hang_after>("debugSimulateDataplaneHangAfter",
                                                                        "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::endpoint_reporting_delay>("endpointReportingDelay", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::iptables_lock_probe_interval>("iptablesLockProbeInterval", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::iptables_post_write_check_interval>("iptablesPostWriteCheckInterval",
                                                                       "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::iptables_refresh_interval>("iptablesRefreshInterval", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::live_migration_route_convergence_time>("liveMigrationRouteConvergenceTime",
                                                                          "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::local_subnet_l2_reachability_refresh_interval>(
        "localSubnetL2ReachabilityRefreshInterval", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::reporting_ttl>("reportingTTL", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::usage_reporting_initial_delay>("usageReportingInitialDelay", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::usage_reporting_interval>("usageReportingInterval", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::wireguard_keep_alive>("wireguardKeepAlive", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::xdp_refresh_interval>("xdpRefreshInterval", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::bpf_export_buffer_size_mb>("bpfExportBufferSizeMB", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_ext_to_service_connmark>("bpfExtToServiceConnmark", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_kube_proxy_healthz_port>("bpfKubeProxyHealthzPort", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_maglev_max_endpoints_per_service>("bpfMaglevMaxEndpointsPerService",
                                                                         "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_maglev_max_services>("bpfMaglevMaxServices", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_conntrack>("bpfMapSizeConntrack", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_conntrack_cleanup_queue>("bpfMapSizeConntrackCleanupQueue",
                                                                         "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_ipsets>("bpfMapSizeIPSets", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_if_state>("bpfMapSizeIfState", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_nat_affinity>("bpfMapSizeNATAffinity", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_nat_backend>("bpfMapSizeNATBackend", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_nat_frontend>("bpfMapSizeNATFrontend", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_per_cpu_conntrack>("bpfMapSizePerCpuConntrack", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_map_size_route>("bpfMapSizeRoute", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::debug_port>("debugPort", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::go_gc_threshold>("goGCThreshold", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::go_max_procs>("goMaxProcs", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::go_memory_limit_mb>("goMemoryLimitMB", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::iptables_mark_mask>("iptablesMarkMask", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::max_ipset_size>("maxIpsetSize", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::metadata_port>("metadataPort", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::bpf_dsr_optout_cidrs>("bpfDSROptoutCIDRs", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::bpf_exclude_cidrs_from_nat>("bpfExcludeCIDRsFromNAT", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_force_track_packets_from_ifaces>("bpfForceTrackPacketsFromIfaces",
                                                                        "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_conntrack_timeouts>("bpfConntrackTimeouts", "Accepted and kept.")
        .without_effect(),
    field<&FelixConfigurationSpec::bpf_log_filters>("bpfLogFilters", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::bpf_psnat_ports>("bpfPSNATPorts", "Accepted and kept.").without_effect(),
    field<&FelixConfigurationSpec::istio_dscp_mark, Dscp>("istioDSCPMark", "Accepted and kept.").without_effect(),
});

}  // namespace

template <>
constinit const ObjectInfo Described<ProtoPort>::kInfo =
    object<ProtoPort>("ProtoPort", "A port that policy never closes.", kProtoPort);
template <>
constinit const ObjectInfo Described<RouteTableRange>::kInfo =
    object<RouteTableRange>("RouteTableRange", "Kernel routing tables.", kRouteTableRange);
template <>
constinit const ObjectInfo Described<HealthTimeoutOverride>::kInfo = object<HealthTimeoutOverride>(
    "HealthTimeoutOverride", "Longest silence of a part of the daemon.", kHealthTimeoutOverride);
template <>
constinit const ObjectInfo Described<BpfConntrackTimeouts>::kInfo =
    object<BpfConntrackTimeouts>("BPFConntrackTimeouts", "Timeouts of connections.", kBpfConntrackTimeouts);
template <>
constinit const ObjectInfo Described<FelixConfigurationSpec>::kInfo = object<FelixConfigurationSpec>(
    "FelixConfiguration",
    "Settings of felix: of the cluster (default), of one node (node.<name>), or of the nodes of nodeSelector.",
    kFelixConfiguration);

const ObjectInfo& felix_table() noexcept { return Described<FelixConfigurationSpec>::kInfo; }

}  // namespace manul::model
