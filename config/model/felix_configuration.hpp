#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/bgp_configuration.hpp"
#include "config/model/duration.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::model {

enum class AutoEnabledDisabled : std::uint8_t { auto_, enabled, disabled };
enum class AcceptReturn : std::uint8_t { accept, return_ };
enum class FlowTableOffload : std::uint8_t { disabled, all };
enum class ChainInsertMode : std::uint8_t { insert, append };
enum class EndpointToHostAction : std::uint8_t { drop, return_, accept };
enum class NatOutgoingExclusions : std::uint8_t { ip_pools_only, ip_pools_and_host_ips };
enum class ServiceLoopPrevention : std::uint8_t { drop, reject, disabled };
enum class WorkloadSourceSpoofing : std::uint8_t { disabled, any };
enum class RouteSource : std::uint8_t { calico_ipam, workload_ips };

enum class PortProtocol : std::uint8_t { tcp, udp, sctp };

/// A port that policy never closes.
struct ProtoPort {
    PortProtocol protocol = PortProtocol::tcp;
    std::uint16_t port = 0;
    std::optional<net::Prefix> net;  ///< the other side; absent: anybody

    bool operator==(const ProtoPort&) const = default;
};

struct RouteTableRange {
    std::uint32_t min = 0;
    std::uint32_t max = 0;

    bool operator==(const RouteTableRange&) const = default;
};

struct HealthTimeoutOverride {
    std::string name;
    Duration timeout;

    bool operator==(const HealthTimeoutOverride&) const = default;
};

/// Durations or "Auto".
struct BpfConntrackTimeouts {
    std::optional<std::string> creation_grace_period;
    std::optional<std::string> tcp_syn_sent;
    std::optional<std::string> tcp_established;
    std::optional<std::string> tcp_fins_seen;
    std::optional<std::string> tcp_reset_seen;
    std::optional<std::string> udp_timeout;
    std::optional<std::string> generic_timeout;
    std::optional<std::string> icmp_timeout;

    bool operator==(const BpfConntrackTimeouts&) const = default;
};

/// Every field is optional: which object sets it matters (the node's own, one with a matching nodeSelector, `default`),
/// and both failsafe lists differ between absent and empty. codec/felix_settings.hpp merges objects and defaults.
struct FelixConfigurationSpec {
    std::optional<AutoEnabledDisabled> nftables_mode;
    std::optional<Duration> nftables_refresh_interval;
    std::optional<AcceptReturn> nftables_filter_allow_action;
    std::optional<AcceptReturn> nftables_mangle_allow_action;
    std::optional<DenyAction> nftables_filter_deny_action;
    std::optional<std::uint32_t> nftables_mark_mask;
    std::optional<FlowTableOffload> nftables_flow_table_offload;
    std::optional<std::string> nftables_flow_table_data_iface_pattern;
    std::optional<std::string> interface_prefix;
    std::optional<std::string> interface_exclude;
    std::optional<ChainInsertMode> chain_insert_mode;
    std::optional<EndpointToHostAction> default_endpoint_to_host_action;
    std::optional<std::string> log_prefix;
    std::optional<std::string> log_action_rate_limit;
    std::optional<std::uint32_t> log_action_rate_limit_burst;
    std::optional<OnOff> deny_logging;
    std::optional<std::string> deny_logging_rate_limit;
    std::optional<OnOff> cut_denied_connections;
    std::optional<OnOff> host_to_workload_policy;
    std::optional<bool> ipv6_support;
    std::optional<Duration> route_refresh_interval;
    std::optional<Duration> interface_refresh_interval;
    std::optional<Duration> ipsets_refresh_interval;
    std::optional<Duration> netlink_timeout;
    std::optional<bool> vxlan_enabled;
    std::optional<bool> ipip_enabled;
    std::optional<std::uint32_t> vxlan_mtu;
    std::optional<std::uint32_t> vxlan_mtu_v6;
    std::optional<std::uint32_t> ipip_mtu;
    std::optional<std::uint32_t> wireguard_mtu;
    std::optional<std::uint32_t> wireguard_mtu_v6;
    std::optional<std::uint16_t> vxlan_port;
    std::optional<std::uint32_t> vxlan_vni;
    std::optional<bool> allow_vxlan_packets_from_workloads;
    std::optional<bool> allow_ipip_packets_from_workloads;
    std::optional<std::vector<ProtoPort>> failsafe_inbound_host_ports;
    std::optional<std::vector<ProtoPort>> failsafe_outbound_host_ports;
    std::optional<std::vector<net::PortRange>> kube_node_port_ranges;
    std::optional<net::PortRange> nat_port_range;
    std::optional<net::Ip4> nat_outgoing_address;
    std::optional<NatOutgoingExclusions> nat_outgoing_exclusions;
    std::optional<std::string> iptables_nat_outgoing_interface_filter;
    std::optional<std::uint8_t> device_route_protocol;
    std::optional<net::Ip4> device_route_source_address;
    std::optional<net::Ip6> device_route_source_address_ipv6;
    std::optional<bool> remove_external_routes;
    std::optional<ProgramClusterRoutes> program_cluster_routes;
    std::optional<OnOff> ip_forwarding;
    std::optional<std::vector<net::Prefix>> external_nodes_list;
    std::optional<bool> disable_conntrack_invalid_check;
    std::optional<ServiceLoopPrevention> service_loop_prevention;
    std::optional<WorkloadSourceSpoofing> workload_source_spoofing;
    std::optional<OnOff> floating_ips;
    std::optional<std::string> local_subnet_l2_reachability;
    std::optional<std::string> mtu_iface_pattern;
    std::optional<RouteSource> route_source;
    std::optional<RouteTableRange> route_table_range;
    std::optional<std::vector<RouteTableRange>> route_table_ranges;
    std::optional<bool> route_sync_disabled;
    std::optional<std::uint32_t> ipv4_normal_route_priority;
    std::optional<std::uint32_t> ipv6_normal_route_priority;
    std::optional<std::uint32_t> ipv4_elevated_route_priority;
    std::optional<std::uint32_t> ipv6_elevated_route_priority;
    std::optional<bool> wireguard_enabled;
    std::optional<bool> wireguard_enabled_v6;
    std::optional<std::uint16_t> wireguard_listening_port;
    std::optional<std::uint16_t> wireguard_listening_port_v6;
    std::optional<std::uint32_t> wireguard_routing_rule_priority;
    std::optional<std::string> wireguard_interface_name;
    std::optional<std::string> wireguard_interface_name_v6;
    std::optional<bool> health_enabled;
    std::optional<std::uint16_t> health_port;
    std::optional<std::string> health_host;
    std::optional<std::vector<HealthTimeoutOverride>> health_timeout_overrides;
    std::optional<bool> prometheus_metrics_enabled;
    std::optional<std::uint16_t> prometheus_metrics_port;
    std::optional<std::string> prometheus_metrics_host;
    std::optional<Duration> reporting_interval;
    std::optional<std::string> endpoint_status_path_prefix;
    std::optional<LogSeverity> log_severity_screen;
    std::optional<LogSeverity> log_severity_file;
    std::optional<LogSeverity> log_severity_sys;
    std::optional<std::string> log_file_path;
    std::optional<Duration> flow_logs_flush_interval;
    std::optional<std::string> flow_logs_goldmane_server;
    std::optional<OnOff> flow_logs_local_reporter;
    std::optional<std::string> flow_logs_policy_evaluation_mode;
    std::optional<std::string> policy_sync_path_prefix;
    std::optional<bool> xdp_enabled;
    std::optional<bool> usage_reporting_enabled;
    std::optional<Duration> dataplane_watchdog_timeout;
    std::optional<std::string> node_selector;

    // Accepted and kept without effect: parts of Felix that an nftables dataplane does not have.
    std::optional<bool> bpf_connect_time_load_balancing_enabled;
    std::optional<bool> bpf_disable_unprivileged;
    std::optional<bool> bpf_enabled;
    std::optional<bool> bpf_host_conntrack_bypass;
    std::optional<bool> bpf_ip_fragment_reassembly_enabled;
    std::optional<bool> bpf_kube_proxy_iptables_cleanup_enabled;
    std::optional<bool> bpf_policy_debug_enabled;
    std::optional<bool> debug_disable_log_dropping;
    std::optional<bool> endpoint_reporting_enabled;
    std::optional<bool> flow_logs_collector_debug_trace;
    std::optional<bool> generic_xdp_enabled;
    std::optional<bool> prometheus_go_metrics_enabled;
    std::optional<bool> prometheus_process_metrics_enabled;
    std::optional<bool> prometheus_wireguard_metrics_enabled;
    std::optional<bool> require_mtu_file;
    std::optional<bool> sidecar_acceleration_enabled;
    std::optional<bool> use_internal_dataplane_driver;
    std::optional<bool> wireguard_host_encryption_enabled;
    std::optional<bool> wireguard_threading_enabled;
    std::optional<std::string> bpf_ctlb_log_filter;
    std::optional<std::string> bpf_data_iface_pattern;
    std::optional<std::string> bpf_disable_gro_for_ifaces;
    std::optional<std::string> bpf_l3_iface_pattern;
    std::optional<std::string> cgroup_v2_path;
    std::optional<std::string> dataplane_driver;
    std::optional<std::string> debug_host;
    std::optional<std::string> debug_memory_profile_path;
    std::optional<std::string> feature_detect_override;
    std::optional<std::string> feature_gates;
    std::optional<std::string> log_debug_filename_regex;
    std::optional<std::string> metadata_addr;
    std::optional<std::string> openstack_region;
    std::optional<std::string> prometheus_metrics_ca_file;
    std::optional<std::string> prometheus_metrics_cert_file;
    std::optional<std::string> prometheus_metrics_key_file;
    std::optional<std::string> bpf_log_level;
    std::optional<std::string> bpf_external_service_mode;
    std::optional<std::string> bpf_enforce_rpf;
    std::optional<std::string> bpf_map_size_conntrack_scaling;
    std::optional<std::string> aws_src_dst_check;
    std::optional<std::string> bpf_attach_type;
    std::optional<std::string> bpf_connect_time_load_balancing;
    std::optional<std::string> bpf_conntrack_log_level;
    std::optional<std::string> bpf_conntrack_mode;
    std::optional<std::string> bpf_host_networked_nat_without_ctlb;
    std::optional<std::string> bpf_profiling;
    std::optional<std::string> bpf_redirect_to_peer;
    std::optional<std::string> istio_ambient_mode;
    std::optional<std::string> windows_manage_firewall_rules;
    std::optional<std::string> bpf_jit_hardening;
    std::optional<std::string> bpf_overlay_host_source_ip;
    std::optional<std::string> iptables_backend;
    std::optional<std::string> iptables_filter_allow_action;
    std::optional<std::string> iptables_mangle_allow_action;
    std::optional<std::string> iptables_filter_deny_action;
    std::optional<std::string> prometheus_metrics_client_auth;
    std::optional<Duration> bpf_ip_frag_timeout;
    std::optional<Duration> bpf_kube_proxy_min_sync_period;
    std::optional<Duration> debug_simulate_calc_graph_hang_after;
    std::optional<Duration> debug_simulate_dataplane_apply_delay;
    std::optional<Duration> debug_simulate_dataplane_hang_after;
    std::optional<Duration> endpoint_reporting_delay;
    std::optional<Duration> iptables_lock_probe_interval;
    std::optional<Duration> iptables_post_write_check_interval;
    std::optional<Duration> iptables_refresh_interval;
    std::optional<Duration> live_migration_route_convergence_time;
    std::optional<Duration> local_subnet_l2_reachability_refresh_interval;
    std::optional<Duration> reporting_ttl;
    std::optional<Duration> usage_reporting_initial_delay;
    std::optional<Duration> usage_reporting_interval;
    std::optional<Duration> wireguard_keep_alive;
    std::optional<Duration> xdp_refresh_interval;
    std::optional<std::int64_t> bpf_export_buffer_size_mb;
    std::optional<std::int64_t> bpf_ext_to_service_connmark;
    std::optional<std::int64_t> bpf_kube_proxy_healthz_port;
    std::optional<std::int64_t> bpf_maglev_max_endpoints_per_service;
    std::optional<std::int64_t> bpf_maglev_max_services;
    std::optional<std::int64_t> bpf_map_size_conntrack;
    std::optional<std::int64_t> bpf_map_size_conntrack_cleanup_queue;
    std::optional<std::int64_t> bpf_map_size_ipsets;
    std::optional<std::int64_t> bpf_map_size_if_state;
    std::optional<std::int64_t> bpf_map_size_nat_affinity;
    std::optional<std::int64_t> bpf_map_size_nat_backend;
    std::optional<std::int64_t> bpf_map_size_nat_frontend;
    std::optional<std::int64_t> bpf_map_size_per_cpu_conntrack;
    std::optional<std::int64_t> bpf_map_size_route;
    std::optional<std::int64_t> debug_port;
    std::optional<std::int64_t> go_gc_threshold;
    std::optional<std::int64_t> go_max_procs;
    std::optional<std::int64_t> go_memory_limit_mb;
    std::optional<std::int64_t> iptables_mark_mask;
    std::optional<std::int64_t> max_ipset_size;
    std::optional<std::int64_t> metadata_port;
    std::optional<std::vector<std::string>> bpf_dsr_optout_cidrs;
    std::optional<std::vector<std::string>> bpf_exclude_cidrs_from_nat;
    std::optional<std::vector<std::string>> bpf_force_track_packets_from_ifaces;
    std::optional<BpfConntrackTimeouts> bpf_conntrack_timeouts;
    std::optional<StringMap> bpf_log_filters;
    std::optional<net::PortRange> bpf_psnat_ports;
    std::optional<std::uint8_t> istio_dscp_mark;

    bool operator==(const FelixConfigurationSpec&) const = default;
};

struct FelixConfiguration final : ResourceOf<Kind::felix_configuration> {
    FelixConfigurationSpec spec;
};

}  // namespace manul::model
