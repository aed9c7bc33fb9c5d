#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "felix/model/policy.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

/// A port that stays reachable (or may be reached) whatever host policy says.
struct FailsafePort {
    net::Protocol protocol = net::kTcp;
    std::uint16_t port = 0;
    std::optional<net::Prefix> net;

    bool operator==(const FailsafePort&) const = default;
};

/// What happens to traffic from a workload to its own node after the workload's egress policy allowed it.
enum class EndpointToHost : std::uint8_t { drop, host_rules, accept };

/// Where the daemon answers over HTTP.
struct HttpListener {
    bool enabled = false;
    std::string host;  ///< address or "localhost"; empty: all addresses
    std::uint16_t port = 0;

    bool operator==(const HttpListener&) const = default;
};

/// What becomes of a packet to a service's address that nobody translated: routed on, it would come back for ever.
enum class ServiceLoop : std::uint8_t { drop, reject, forward };

enum class NatExclusions : std::uint8_t { pools_only, pools_and_host_ips };

/// The lists in force when FelixConfiguration gives none: what a node needs to stay manageable.
[[nodiscard]] std::vector<FailsafePort> default_failsafe_inbound();
[[nodiscard]] std::vector<FailsafePort> default_failsafe_outbound();

/// Effective FelixConfiguration of this node: built-in defaults, overlaid by `default`, by objects whose nodeSelector
/// matches (newest first, so that the oldest wins), then by `node.<name>`. With it the ranges of services, which
/// BGPConfiguration tells.
struct Config {
    std::vector<std::string> interface_prefixes{"cali"};
    std::vector<std::string> excluded_interfaces{"kube-ipvs0"};  ///< never a host endpoint's; "/.../" is a pattern
    EndpointToHost endpoint_to_host = EndpointToHost::drop;
    DenyAction deny_action = DenyAction::drop;
    bool ip_forwarding = true;  ///< felix switches the node's forwarding on
    bool drop_invalid_state = true;
    bool cut_denied_connections = false;   ///< established ones that policy would now deny come to an end
    bool host_to_workload_policy = false;  ///< what the node sends to its own pods is judged by their ingress policy
    bool allow_vxlan_from_workloads = false;
    bool allow_ipip_from_workloads = false;
    bool allow_spoofed_sources = false;  ///< workloadSourceSpoofing: Any
    std::uint16_t vxlan_port = 4789;
    std::uint32_t vxlan_vni = 4096;
    std::uint32_t vxlan_mtu_v4 = 0;  ///< 0: what the link with the node's address leaves
    std::uint32_t vxlan_mtu_v6 = 0;
    std::uint32_t ip_in_ip_mtu = 0;
    bool route_ip_in_ip_pools = true;  ///< programClusterRoutes: felix does so, not bgpd; pools with VXLAN always
    bool route_plain_pools = false;
    std::optional<bool> vxlan_enabled;     ///< absent: when a pool uses it
    std::optional<bool> ip_in_ip_enabled;  ///< likewise
    bool wireguard_enabled_v4 = false;
    bool wireguard_enabled_v6 = false;
    std::uint16_t wireguard_port_v4 = 51820;
    std::uint16_t wireguard_port_v6 = 51821;
    std::vector<net::Prefix> external_nodes;  ///< that may send tunnels here though they are no Nodes

    std::string log_prefix = "calico-packet";  ///< may hold %t tier, %k kind, %n name, %p policy
    std::string log_rate_limit;                ///< empty or "N/second", /minute, /hour, /day
    std::uint32_t log_rate_burst = 5;
    bool log_denied = false;                    ///< every denied packet is logged too
    std::string log_denied_rate = "10/second";  ///< for each rule that denies; like log_rate_limit

    std::vector<FailsafePort> failsafe_inbound = default_failsafe_inbound();
    std::vector<FailsafePort> failsafe_outbound = default_failsafe_outbound();

    std::optional<net::PortRange> nat_port_range;
    std::optional<net::Ip> nat_outgoing_address;
    NatExclusions nat_exclusions = NatExclusions::pools_only;
    std::string nat_interface_filter;
    bool floating_addresses = false;  ///< further addresses of workloads are translated

    ServiceLoop service_loop = ServiceLoop::drop;
    std::vector<net::Prefix> service_ranges;  ///< sorted

    std::uint8_t route_protocol = 177;
    std::optional<net::Ip> route_source_v4;
    std::optional<net::Ip> route_source_v6;
    std::uint32_t route_priority_v4 = 1024;  ///< "normal"; workload routes are one below
    std::uint32_t route_priority_v6 = 1024;

    std::chrono::milliseconds ruleset_refresh{180'000};  ///< 0: never
    std::chrono::milliseconds route_refresh{90'000};     ///< 0: never

    HttpListener metrics{.enabled = false, .host = "", .port = 9091};
    HttpListener health{.enabled = false, .host = "localhost", .port = 9099};

    bool operator==(const Config&) const = default;
};

}  // namespace manul::felix
