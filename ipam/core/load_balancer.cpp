#include "ipam/core/load_balancer.hpp"

#include <algorithm>
#include <utility>

#include <fmt/core.h>

#include "base/sha1.hpp"
#include "base/try.hpp"
#include "ipam/core/annotations.hpp"

namespace manul::ipam {

namespace {

constexpr const char* kAddressesAnnotation = "projectcalico.org/loadBalancerIPs";
constexpr const char* kIpv4PoolsAnnotation = "projectcalico.org/ipv4pools";
constexpr const char* kIpv6PoolsAnnotation = "projectcalico.org/ipv6pools";
constexpr const char* kClass = "calico";
constexpr const char* kType = "LoadBalancer";

bool is_type(std::string_view text) noexcept {
    return std::ranges::equal(text, std::string_view("loadbalancer"), [](char a, char b) {
        return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
    });
}

Outcome<std::vector<std::string>> list_of(const model::Service& service, const char* annotation) {
    const auto at = service.metadata.annotations.find(annotation);
    if (at == service.metadata.annotations.end()) {
        return std::vector<std::string>();
    }
    return read_text_list(annotation, at->second);
}

bool has_pool(const std::vector<Pool>& pools, net::Family family) {
    return std::ranges::any_of(pools, [&](const Pool& pool) {
        return pool.allows(model::AllowedUse::load_balancer) && !pool.disabled && pool.cidr.family() == family;
    });
}

}  // namespace

bool ServiceDemand::wants(net::Family family) const noexcept {
    if (!addresses.empty()) {
        return std::ranges::find(addresses, family, &net::Ip::family) != addresses.end();
    }
    return family == net::Family::v4 ? ipv4 : ipv6;
}

std::optional<model::AssignIps> assign_ips_of(const model::KubeControllersConfiguration* configuration) {
    if (configuration == nullptr) {
        return model::AssignIps::all_services;
    }
    const auto& controller = configuration->spec.controllers.load_balancer;
    return controller ? std::optional(controller->assign_ips) : std::nullopt;
}

bool is_served(const model::Service& service, model::AssignIps assign) {
    if (service.spec.type != model::ServiceType::load_balancer ||
        (!service.spec.load_balancer_class.empty() && service.spec.load_balancer_class != kClass)) {
        return false;
    }
    const model::StringMap& annotations = service.metadata.annotations;
    return assign == model::AssignIps::all_services || service.spec.load_balancer_class == kClass ||
           annotations.contains(kAddressesAnnotation) || annotations.contains(kIpv4PoolsAnnotation) ||
           annotations.contains(kIpv6PoolsAnnotation);
}

Outcome<ServiceDemand> demand_of(const model::Service& service, const std::vector<Pool>& pools) {
    ServiceDemand demand;
    MANUL_TRY(demand.ipv4_pools, list_of(service, kIpv4PoolsAnnotation));
    MANUL_TRY(demand.ipv6_pools, list_of(service, kIpv6PoolsAnnotation));
    MANUL_TRY(const auto texts, list_of(service, kAddressesAnnotation));
    for (const std::string& text : texts) {
        const auto address = net::Ip::parse(text);
        if (!address || demand.wants(address->family())) {
            return refuse(ErrorCode::invalid_config,
                          fmt::format("annotation {}: {} {}", kAddressesAnnotation, text,
                                      address ? "is the second one of its family" : "is no address"));
        }
        demand.addresses.push_back(*address);
    }
    if (demand.addresses.empty() && service.spec.load_balancer_ip) {
        demand.addresses.push_back(*service.spec.load_balancer_ip);
    }
    for (const model::AddressFamily family : service.spec.ip_families) {
        (family == model::AddressFamily::ipv4 ? demand.ipv4 : demand.ipv6) = true;
    }
    if (service.spec.ip_families.empty()) {
        for (const std::string& text : service.spec.cluster_ips) {
            if (const auto address = net::Ip::parse(text)) {
                (address->family() == net::Family::v4 ? demand.ipv4 : demand.ipv6) = true;
            }
        }
    }
    if (!demand.ipv4 && !demand.ipv6) {
        demand.ipv4 = has_pool(pools, net::Family::v4);
        demand.ipv6 = !demand.ipv4;
    }
    return demand;
}

bool fits(const ServiceDemand& demand, const net::Ip& address, const std::vector<Pool>& pools) {
    if (!demand.addresses.empty()) {
        return std::ranges::find(demand.addresses, address) != demand.addresses.end();
    }
    const auto pool = std::ranges::find_if(pools, [&](const Pool& each) {
        return each.cidr.contains(address) && each.allows(model::AllowedUse::load_balancer);
    });
    if (pool == pools.end() || !demand.wants(address.family())) {
        return false;
    }
    const auto& wanted = address.family() == net::Family::v4 ? demand.ipv4_pools : demand.ipv6_pools;
    return wanted.empty() || std::ranges::any_of(wanted, [&](const std::string& text) {
               return text == pool->name || text == pool->cidr.to_string();
           });
}

std::string service_handle(std::string_view ns, std::string_view name) {
    return "lb-" + sha1_hex(fmt::format("{}/{}", ns, name));
}

model::StringMap service_attributes(std::string_view ns, std::string_view name, WallTime now) {
    return {{"service", std::string(name)},
            {"namespace", std::string(ns)},
            {"type", kType},
            {"timestamp", print_timestamp(now)}};
}

std::optional<std::string> service_of(const model::StringMap& attributes) {
    const auto type = attributes.find("type");
    const auto ns = attributes.find("namespace");
    const auto name = attributes.find("service");
    if (type == attributes.end() || ns == attributes.end() || name == attributes.end() || !is_type(type->second)) {
        return std::nullopt;
    }
    return ns->second + "/" + name->second;
}

}  // namespace manul::ipam
