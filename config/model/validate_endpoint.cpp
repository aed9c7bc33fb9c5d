#include <algorithm>
#include <cstddef>

#include "config/model/checks.hpp"
#include "config/model/dscp.hpp"
#include "config/model/host_endpoint.hpp"
#include "config/model/names.hpp"
#include "config/model/resource.hpp"
#include "config/model/workload_endpoint.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::model {

namespace {

constexpr const char* kPortName =
    "expected a port name: at most 15 lower-case letters, digits and single '-', at least one letter";

void check_host_endpoint(Checks& checks, const HostEndpointSpec& spec) {
    checks.check(!spec.interface_name.empty() || !spec.expected_ips.empty(), "spec",
                 "needs interfaceName or expectedIPs");
    checks.check(spec.interface_name.empty() || spec.interface_name == "*" || is_interface_name(spec.interface_name),
                 "spec.interfaceName", "expected * or the name of an interface");
    checks.check(is_dns_subdomain(spec.node), "spec.node", "expected the name of a node");
    for (std::size_t i = 0; i < spec.profiles.size(); ++i) {
        checks.check(is_dns_subdomain(spec.profiles[i]), indexed("spec.profiles", i), "expected the name of a profile");
    }
    for (std::size_t i = 0; i < spec.ports.size(); ++i) {
        const std::string path = indexed("spec.ports", i);
        checks.check(is_iana_service_name(spec.ports[i].name), path + ".name", kPortName);
        checks.port_protocol(path + ".protocol", spec.ports[i].protocol);
    }
}

void check_workload_ports(Checks& checks, const WorkloadEndpointSpec& spec) {
    for (std::size_t i = 0; i < spec.ports.size(); ++i) {
        const WorkloadEndpointPort& port = spec.ports[i];
        const std::string path = indexed("spec.ports", i);
        checks.check(!port.name.empty() || port.host_port != 0, path + ".name", "required without hostPort");
        checks.check(port.name.empty() || is_iana_service_name(port.name), path + ".name", kPortName);
        checks.port_protocol(path + ".protocol", port.protocol.value_or(net::kTcp));
    }
}

void check_workload_endpoint(Checks& checks, const WorkloadEndpointSpec& spec) {
    const auto has_address = [&](const net::Ip& ip) {
        return std::ranges::find(spec.ip_networks, net::Prefix::host(ip)) != spec.ip_networks.end();
    };
    for (std::size_t i = 0; i < spec.ip_networks.size(); ++i) {
        checks.check(spec.ip_networks[i].is_host(), indexed("spec.ipNetworks", i),
                     "expected a single address, /32 or /128");
    }
    for (std::size_t i = 0; i < spec.ip_nats.size(); ++i) {
        const IpNat& nat = spec.ip_nats[i];
        const std::string path = indexed("spec.ipNATs", i);
        checks.check(nat.internal_ip.family() == nat.external_ip.family(), path,
                     "both addresses must be of one family");
        checks.check(has_address(nat.internal_ip), path + ".internalIP", "must be one of ipNetworks");
    }
    checks.check(spec.interface_name.empty() || is_interface_name(spec.interface_name), "spec.interfaceName",
                 "expected the name of an interface");
    check_workload_ports(checks, spec);
}

}  // namespace

void check_endpoint_kinds(Checks& checks, const Resource& resource) {
    if (const auto* host = as<HostEndpoint>(resource)) {
        check_host_endpoint(checks, host->spec);
        const auto dscp = host->metadata.annotations.find(kDscpAnnotation);
        if (dscp != host->metadata.annotations.end() && !dscp_of_text(dscp->second)) {
            checks.warning(
                "metadata.annotations." + dscp->first,
                "\"" + dscp->second + "\" is no code point (0 to 63, or a name such as EF), and has no effect");
        }
    } else if (const auto* workload = as<WorkloadEndpoint>(resource)) {
        check_workload_endpoint(checks, workload->spec);
    }
}

}  // namespace manul::model
