#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/limits.hpp"
#include "config/model/workload_endpoint.hpp"

namespace manul::model {

namespace {

constexpr std::int64_t kPeta = 1'000'000'000'000'000;
constexpr std::int64_t kMaxBurst = 34'359'738'360;

constexpr auto kEndpointPort = std::to_array<Field>({
    field<&EndpointPort::name>("name", "Name that rules use.").required(),
    field<&EndpointPort::protocol>("protocol", "TCP, UDP or SCTP.").required(),
    field<&EndpointPort::port>("port", "The number.").range(1, kMaxPort).required(),
});
constexpr auto kHostEndpoint = std::to_array<Field>({
    field<&HostEndpointSpec::node>("node", "Name of the node.").length(253).required(),
    field<&HostEndpointSpec::interface_name>("interfaceName", "An interface of the node, or * for all of them.")
        .length(15),
    field<&HostEndpointSpec::expected_ips>("expectedIPs", "Its addresses, as peers in rules."),
    field<&HostEndpointSpec::profiles>("profiles", "Profiles, in order."),
    field<&HostEndpointSpec::ports>("ports", "Named ports."),
});

constexpr auto kWorkloadEndpointPort = std::to_array<Field>({
    field<&WorkloadEndpointPort::name>("name", "Name that rules use; required without hostPort."),
    field<&WorkloadEndpointPort::protocol>("protocol", "TCP, UDP or SCTP.").fallback("TCP"),
    field<&WorkloadEndpointPort::port>("port", "The number inside the workload.").range(1, kMaxPort).required(),
    field<&WorkloadEndpointPort::host_port>("hostPort", "Published on the host under this number; 0: not.")
        .range(0, kMaxPort)
        .fallback("0"),
    field<&WorkloadEndpointPort::host_ip>(
        "hostIP", "Published on this address of the host alone; empty, as Calico writes it: on all."),
});
constexpr auto kIpNat = std::to_array<Field>({
    field<&IpNat::internal_ip>("internalIP", "An address of the endpoint.").required(),
    field<&IpNat::external_ip>("externalIP", "The address that is translated to it.").required(),
});
constexpr auto kQosControls = std::to_array<Field>({
    field<&QosControls::ingress_bandwidth>("ingressBandwidth", "bit/s").range(1'000, kPeta),
    field<&QosControls::egress_bandwidth>("egressBandwidth", "bit/s").range(1'000, kPeta),
    field<&QosControls::ingress_burst>("ingressBurst", "bit").range(1'000, kMaxBurst),
    field<&QosControls::egress_burst>("egressBurst", "bit").range(1'000, kMaxBurst),
    field<&QosControls::ingress_peakrate>("ingressPeakrate", "bit/s").range(1'010, kPeta / 100 * 101),
    field<&QosControls::egress_peakrate>("egressPeakrate", "bit/s").range(1'010, kPeta / 100 * 101),
    field<&QosControls::ingress_minburst>("ingressMinburst", "bytes").range(1'000, 100'000'000),
    field<&QosControls::egress_minburst>("egressMinburst", "bytes").range(1'000, 100'000'000),
    field<&QosControls::ingress_packet_rate>("ingressPacketRate", "packets/s").range(1, 10'000),
    field<&QosControls::egress_packet_rate>("egressPacketRate", "packets/s").range(1, 10'000),
    field<&QosControls::ingress_packet_burst>("ingressPacketBurst", "packets").range(1, 10'000).fallback("5"),
    field<&QosControls::egress_packet_burst>("egressPacketBurst", "packets").range(1, 10'000).fallback("5"),
    field<&QosControls::ingress_max_connections>("ingressMaxConnections", "connections").range(1, 4'294'967'295),
    field<&QosControls::egress_max_connections>("egressMaxConnections", "connections").range(1, 4'294'967'295),
    field<&QosControls::dscp, Dscp>("dscp", "DSCP of packets that leave the cluster."),
});
constexpr auto kWorkloadEndpoint = std::to_array<Field>({
    field<&WorkloadEndpointSpec::orchestrator>("orchestrator", "k8s or cni.").required(),
    field<&WorkloadEndpointSpec::workload>("workload", "Name of the workload."),
    field<&WorkloadEndpointSpec::node>("node", "The node that it runs on.").length(253).required(),
    field<&WorkloadEndpointSpec::container_id>("containerID", "Id of the container."),
    field<&WorkloadEndpointSpec::pod>("pod", "Name of the pod."),
    field<&WorkloadEndpointSpec::endpoint>("endpoint", "Interface inside the workload.").required(),
    field<&WorkloadEndpointSpec::service_account_name>("serviceAccountName", "Service account of the pod."),
    field<&WorkloadEndpointSpec::ip_networks, LooseCidr>("ipNetworks", "Its addresses, each a /32 or /128."),
    field<&WorkloadEndpointSpec::ip_nats>("ipNATs", "Floating addresses."),
    field<&WorkloadEndpointSpec::ipv4_gateway>("ipv4Gateway", "IPv4 gateway inside the workload."),
    field<&WorkloadEndpointSpec::ipv6_gateway>("ipv6Gateway", "IPv6 gateway inside the workload."),
    field<&WorkloadEndpointSpec::profiles>("profiles", "Profiles, in order."),
    field<&WorkloadEndpointSpec::interface_name>("interfaceName", "Interface on the host.").length(15),
    field<&WorkloadEndpointSpec::mac>("mac", "MAC address inside the workload."),
    field<&WorkloadEndpointSpec::ports>("ports", "Named and published ports."),
    field<&WorkloadEndpointSpec::allow_spoofed_source_prefixes, LooseCidr>(
        "allowSpoofedSourcePrefixes", "Other sources that it may send from, if workloadSourceSpoofing is Any."),
    field<&WorkloadEndpointSpec::qos_controls>("qosControls", "Limits of traffic."),
});

}  // namespace

template <>
constinit const ObjectInfo Described<EndpointPort>::kInfo =
    object<EndpointPort>("EndpointPort", "A named port.", kEndpointPort);
template <>
constinit const ObjectInfo Described<HostEndpointSpec>::kInfo =
    object<HostEndpointSpec>("HostEndpoint", "An interface of a node to which policy applies.", kHostEndpoint);
template <>
constinit const ObjectInfo Described<WorkloadEndpointPort>::kInfo =
    object<WorkloadEndpointPort>("WorkloadEndpointPort", "A named or published port.", kWorkloadEndpointPort);
template <>
constinit const ObjectInfo Described<IpNat>::kInfo = object<IpNat>("IPNAT", "A floating address.", kIpNat);
template <>
constinit const ObjectInfo Described<QosControls>::kInfo =
    object<QosControls>("QoSControls", "Limits of traffic.", kQosControls);
template <>
constinit const ObjectInfo Described<WorkloadEndpointSpec>::kInfo = object<WorkloadEndpointSpec>(
    "WorkloadEndpoint", "The interface of a workload; written by ipamd.", kWorkloadEndpoint);

}  // namespace manul::model
