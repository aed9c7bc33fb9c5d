#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/resource.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::model {

struct WorkloadEndpointPort {
    std::string name;
    std::optional<net::Protocol> protocol;  ///< absent: TCP
    std::uint16_t port = 0;
    std::uint16_t host_port = 0;  ///< 0: not published on the host
    std::optional<net::Ip> host_ip;

    bool operator==(const WorkloadEndpointPort&) const = default;
};

struct IpNat {
    net::Ip internal_ip;
    net::Ip external_ip;

    bool operator==(const IpNat&) const = default;
};

/// Bandwidths in bit/s, bursts in bit, minimum bursts in bytes, packet rates in packets/s. Absent: no limit.
struct QosControls {
    std::optional<std::uint64_t> ingress_bandwidth;
    std::optional<std::uint64_t> egress_bandwidth;
    std::optional<std::uint64_t> ingress_burst;
    std::optional<std::uint64_t> egress_burst;
    std::optional<std::uint64_t> ingress_peakrate;
    std::optional<std::uint64_t> egress_peakrate;
    std::optional<std::uint64_t> ingress_minburst;
    std::optional<std::uint64_t> egress_minburst;
    std::optional<std::uint64_t> ingress_packet_rate;
    std::optional<std::uint64_t> egress_packet_rate;
    std::optional<std::uint64_t> ingress_packet_burst;
    std::optional<std::uint64_t> egress_packet_burst;
    std::optional<std::uint64_t> ingress_max_connections;
    std::optional<std::uint64_t> egress_max_connections;
    std::optional<std::uint8_t> dscp;

    bool operator==(const QosControls&) const = default;
};

struct WorkloadEndpointSpec {
    std::string orchestrator;  ///< "k8s" or "cni"
    std::string workload;
    std::string node;
    std::string container_id;
    std::string pod;
    std::string endpoint;  ///< interface name inside the container: "eth0"
    std::string service_account_name;
    std::vector<net::Prefix> ip_networks;  ///< each a single address
    std::vector<IpNat> ip_nats;
    std::optional<net::Ip4> ipv4_gateway;
    std::optional<net::Ip6> ipv6_gateway;
    std::vector<std::string> profiles;
    std::string interface_name;  ///< on the host
    std::optional<net::Mac> mac;
    std::vector<WorkloadEndpointPort> ports;
    std::vector<net::Prefix> allow_spoofed_source_prefixes;
    std::optional<QosControls> qos_controls;

    bool operator==(const WorkloadEndpointSpec&) const = default;
};

struct WorkloadEndpoint final : ResourceOf<Kind::workload_endpoint> {
    WorkloadEndpointSpec spec;
};

/// The name that an endpoint must have: node, orchestrator, workload and endpoint joined by '-', each '-' inside a part
/// doubled. A part that a resource name cannot hold ("_", capital letters, '-' at its ends) is replaced by its SHA-1.
/// Empty when a part is missing.
[[nodiscard]] std::string workload_endpoint_name(const WorkloadEndpointSpec& spec);

inline constexpr const char* kLabelNamespace = "projectcalico.org/namespace";
inline constexpr const char* kLabelOrchestrator = "projectcalico.org/orchestrator";
inline constexpr const char* kLabelServiceAccount = "projectcalico.org/serviceaccount";
inline constexpr const char* kLabelName = "projectcalico.org/name";
inline constexpr const char* kLabelTier = "projectcalico.org/tier";
inline constexpr const char* kNamespaceLabelPrefix = "pcns.";
inline constexpr const char* kServiceAccountLabelPrefix = "pcsa.";

}  // namespace manul::model
