#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/model/bgp_peer.hpp"
#include "config/model/resource.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

/// Services and their endpoints, as far as the project reads them.
namespace manul::model {

inline constexpr const char* kLabelServiceName = "kubernetes.io/service-name";  ///< on an EndpointSlice
inline constexpr const char* kHeadless = "None";                                ///< clusterIP of a headless service

enum class ServiceType : std::uint8_t { cluster_ip, node_port, load_balancer, external_name };
enum class TrafficPolicy : std::uint8_t { cluster, local };

struct ServicePort {
    std::string name;
    std::optional<net::Protocol> protocol;  ///< absent: TCP
    std::uint16_t port = 0;
    std::optional<std::variant<std::uint16_t, std::string>> target_port;
    std::uint16_t node_port = 0;

    bool operator==(const ServicePort&) const = default;
};

struct ServiceSpec {
    ServiceType type = ServiceType::cluster_ip;
    std::string cluster_ip;  ///< an address, "None" (headless) or empty
    std::vector<std::string> cluster_ips;
    std::vector<net::Ip> external_ips;
    std::optional<net::Ip> load_balancer_ip;
    std::string load_balancer_class;
    std::vector<ServicePort> ports;
    StringMap selector;
    TrafficPolicy internal_traffic_policy = TrafficPolicy::cluster;
    TrafficPolicy external_traffic_policy = TrafficPolicy::cluster;
    std::vector<AddressFamily> ip_families;

    bool operator==(const ServiceSpec&) const = default;

    [[nodiscard]] bool is_headless() const noexcept { return cluster_ip == kHeadless; }
};

struct LoadBalancerIngress {
    std::optional<net::Ip> ip;  ///< absent: only a host name is known

    bool operator==(const LoadBalancerIngress&) const = default;
};

struct LoadBalancerStatus {
    std::vector<LoadBalancerIngress> ingress;

    bool operator==(const LoadBalancerStatus&) const = default;
};

struct ServiceStatus {
    LoadBalancerStatus load_balancer;

    bool operator==(const ServiceStatus&) const = default;
};

struct Service final : ResourceOf<Kind::service> {
    ServiceSpec spec;
    ServiceStatus status;
};

enum class SliceAddressType : std::uint8_t { ipv4, ipv6, fqdn };

/// An absent condition counts as its comment says.
struct EndpointConditions {
    std::optional<bool> ready;        ///< true
    std::optional<bool> serving;      ///< as ready
    std::optional<bool> terminating;  ///< false

    bool operator==(const EndpointConditions&) const = default;
};

struct ObjectReference {
    std::string kind;
    std::string ns;
    std::string name;
    std::string uid;

    bool operator==(const ObjectReference&) const = default;
};

struct SliceEndpoint {
    std::vector<std::string> addresses;  ///< all of one endpoint; names with addressType FQDN
    EndpointConditions conditions;
    std::string node_name;
    std::optional<ObjectReference> target_ref;

    bool operator==(const SliceEndpoint&) const = default;

    [[nodiscard]] bool is_ready() const noexcept { return conditions.ready.value_or(true); }
};

struct SlicePort {
    std::string name;
    std::optional<net::Protocol> protocol;  ///< absent: TCP
    std::optional<std::uint16_t> port;      ///< absent: all ports

    bool operator==(const SlicePort&) const = default;
};

/// Part of the endpoints of the service that the label kLabelServiceName names.
struct EndpointSlice final : ResourceOf<Kind::endpoint_slice> {
    SliceAddressType address_type = SliceAddressType::ipv4;
    std::vector<SliceEndpoint> endpoints;
    std::vector<SlicePort> ports;
};

}  // namespace manul::model
