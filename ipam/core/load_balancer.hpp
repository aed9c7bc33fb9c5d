#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/kube_controllers_configuration.hpp"
#include "config/model/service.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/core/pool.hpp"
#include "ipam/core/timestamp.hpp"
#include "net/ip.hpp"

/// Addresses of Services of type LoadBalancer out of IPPools with that use: which Services get some, which ones, and
/// how an allocation says whose it is. Pure. Blocks of such pools belong to kLoadBalancers and not to a node: no node
/// announces them, the addresses are announced as bgpd announces Services.
namespace manul::ipam {

/// What a Service is to have.
struct ServiceDemand {
    std::vector<net::Ip> addresses;  ///< by name; then these and no others
    bool ipv4 = false;
    bool ipv6 = false;
    std::vector<std::string> ipv4_pools;
    std::vector<std::string> ipv6_pools;

    [[nodiscard]] bool wants(net::Family family) const noexcept;
};

/// Nothing if addresses for load balancers are switched off, as by a configuration that does not mention them. Without
/// any configuration every Service gets one as soon as there is a pool.
[[nodiscard]] std::optional<model::AssignIps> assign_ips_of(const model::KubeControllersConfiguration* configuration);

/// Of type LoadBalancer, of no class other than `calico`, and, with RequestedServicesOnly, asking for an address.
[[nodiscard]] bool is_served(const model::Service& service, model::AssignIps assign);

/// From the annotations projectcalico.org/{loadBalancerIPs,ipv4pools,ipv6pools}, else spec.loadBalancerIP; families are
/// ipFamilies, else those of the cluster's addresses, else the one that has a pool. Errors name the annotation.
[[nodiscard]] Outcome<ServiceDemand> demand_of(const model::Service& service, const std::vector<Pool>& pools);

/// Whether an address that the Service has may stay.
[[nodiscard]] bool fits(const ServiceDemand& demand, const net::Ip& address, const std::vector<Pool>& pools);

[[nodiscard]] std::string service_handle(std::string_view ns, std::string_view name);
[[nodiscard]] model::StringMap service_attributes(std::string_view ns, std::string_view name, WallTime now);

/// "namespace/name" of the Service that an allocation belongs to, made by us or by Calico; nothing for others.
[[nodiscard]] std::optional<std::string> service_of(const model::StringMap& attributes);

}  // namespace manul::ipam
