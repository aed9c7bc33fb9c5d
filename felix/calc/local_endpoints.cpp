#include "felix/calc/local_endpoints.hpp"

#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/model/kind.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/active_policy.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/shared.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

void LocalEndpoints::put(const Resource& resource) {
    const model::Key key = resource->key();
    Resource& stored = endpoints_[key];
    if (stored != nullptr && stored->spec.interface_name != resource->spec.interface_name) {
        leave_interface(key, stored->spec.interface_name);
    }
    stored = resource;
    std::set<model::Key>& claimants = by_interface_[resource->spec.interface_name];
    claimants.insert(key);
    if (claimants.size() > 1) {
        contested_.insert(resource->spec.interface_name);
    }
    dirty_.insert(claimants.begin(), claimants.end());
}

void LocalEndpoints::remove(const model::Key& key) {
    const auto found = endpoints_.find(key);
    if (found != endpoints_.end()) {
        leave_interface(key, found->second->spec.interface_name);
        endpoints_.erase(found);
    }
}

void LocalEndpoints::leave_interface(const model::Key& key, const std::string& interface) {
    const auto claimants = by_interface_.find(interface);
    claimants->second.erase(key);
    if (claimants->second.size() < 2) {
        contested_.erase(interface);
    }
    dirty_.insert(key);
    dirty_.insert(claimants->second.begin(), claimants->second.end());
    if (claimants->second.empty()) {
        by_interface_.erase(claimants);
    }
}

void LocalEndpoints::translate_floating(bool enabled) {
    if (std::exchange(floating_, enabled) == enabled) {
        return;
    }
    for (const auto& [key, endpoint] : endpoints_) {
        if (!endpoint->spec.ip_nats.empty()) {
            dirty_.insert(key);
        }
    }
}

bool LocalEndpoints::owns_interface(const model::WorkloadEndpoint& endpoint) const {
    return *by_interface_.at(endpoint.spec.interface_name).begin() == endpoint.key();
}

void LocalEndpoints::flush(std::set<model::Key> changed, ActivePolicies& policies, Sequencer& sequencer) {
    changed.merge(std::exchange(dirty_, {}));
    for (const model::Key& key : changed) {
        const auto found = endpoints_.find(key);
        if (found == endpoints_.end() || !owns_interface(*found->second)) {
            routes_.remove(key);
            sequencer.drop_endpoint(endpoint_key(key));
            continue;
        }
        const model::WorkloadEndpoint& resource = *found->second;
        Endpoint endpoint = describe(resource);
        std::vector<net::Prefix> routed = resource.spec.ip_networks;
        if (floating_) {
            for (const model::IpNat& nat : resource.spec.ip_nats) {
                endpoint.floating.push_back({nat.external_ip, nat.internal_ip});
                routed.push_back(net::Prefix::host(nat.external_ip));  // for whoever announces the node's routes
            }
        }
        sequencer.set_endpoint(std::move(endpoint), policies.lists(key));
        routes_.set(key, resource.spec.interface_name, routed);
    }
    routes_.flush(sequencer);
}

std::map<model::Key, std::string> LocalEndpoints::conflicts() const {
    std::map<model::Key, std::string> out;
    for (const std::string& interface : contested_) {
        const std::set<model::Key>& claimants = by_interface_.at(interface);
        for (auto other = std::next(claimants.begin()); other != claimants.end(); ++other) {
            out.emplace(*other, "interface " + interface + " belongs to " + claimants.begin()->to_string());
        }
    }
    for (const RoutePlan::Loser& loser : routes_.losers()) {
        out.emplace(loser.endpoint,
                    "address " + loser.prefix.to_string() + " belongs to another endpoint of this node");
    }
    return out;
}

EndpointKey endpoint_key(const model::Key& key) {
    const bool is_host = key.kind == model::Kind::host_endpoint;
    return EndpointKey{is_host ? EndpointKind::host : EndpointKind::workload, key.ns, key.name};
}

Endpoint describe(const model::WorkloadEndpoint& resource) {
    Endpoint endpoint;
    endpoint.key = endpoint_key(resource.key());
    endpoint.interface = resource.spec.interface_name;
    endpoint.container_id = resource.spec.container_id;
    endpoint.resource_version = resource.metadata.resource_version;
    endpoint.mac = resource.spec.mac;
    for (const net::Prefix& prefix : resource.spec.ip_networks) {
        endpoint.addresses.push_back(prefix.address());
    }
    endpoint.profiles = resource.spec.profiles;
    endpoint.allowed_source_prefixes = resource.spec.allow_spoofed_source_prefixes;
    for (const model::WorkloadEndpointPort& port : resource.spec.ports) {
        if (port.host_port != 0) {
            endpoint.host_ports.push_back(
                HostPort{port.protocol.value_or(net::kTcp), port.host_port, port.host_ip, port.port});
        }
    }
    if (const auto& qos = resource.spec.qos_controls) {
        endpoint.dscp = qos->dscp;
        const auto count = [](const std::optional<std::uint64_t>& value) {
            return value ? std::optional(static_cast<std::uint32_t>(
                               std::min(*value, std::uint64_t{std::numeric_limits<std::uint32_t>::max()})))
                         : std::nullopt;
        };
        const std::uint32_t burst = endpoint.to_workload.packet_burst;
        endpoint.to_workload = {qos->ingress_bandwidth,
                                qos->ingress_burst,
                                qos->ingress_peakrate,
                                qos->ingress_minburst,
                                count(qos->ingress_packet_rate),
                                count(qos->ingress_packet_burst).value_or(burst),
                                count(qos->ingress_max_connections)};
        endpoint.from_workload = {qos->egress_bandwidth,
                                  qos->egress_burst,
                                  qos->egress_peakrate,
                                  qos->egress_minburst,
                                  count(qos->egress_packet_rate),
                                  count(qos->egress_packet_burst).value_or(burst),
                                  count(qos->egress_max_connections)};
    }
    return endpoint;
}

}  // namespace manul::felix
