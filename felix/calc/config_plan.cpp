#include "felix/calc/config_plan.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "config/model/bgp_configuration.hpp"
#include "config/model/felix_configuration.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "felix/calc/sequencer.hpp"
#include "felix/model/config.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/route.hpp"

namespace manul::felix {

namespace {

/// Calico's default; it stands for "felix's own number".
constexpr std::uint8_t kBootProtocol = 3;

template <class To, class From>
void set(To& to, const std::optional<From>& from) {
    if (from) {
        to = From(*from);
    }
}

template <class T>
void set(std::optional<T>& to, const std::optional<T>& from) {
    if (from) {
        to = from;
    }
}

void set(bool& to, const std::optional<model::OnOff>& from) {
    if (from) {
        to = *from == model::OnOff::enabled;
    }
}

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> out;
    while (!text.empty()) {
        const std::size_t comma = text.find(',');
        if (const std::string_view part = text.substr(0, comma); !part.empty()) {
            out.emplace_back(part);
        }
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    }
    return out;
}

net::Protocol to_felix(model::PortProtocol protocol) noexcept {
    switch (protocol) {
        case model::PortProtocol::tcp:
            return net::kTcp;
        case model::PortProtocol::udp:
            return net::kUdp;
        case model::PortProtocol::sctp:
            return net::kSctp;
    }
    std::unreachable();
}

std::vector<FailsafePort> to_felix(const std::vector<model::ProtoPort>& ports) {
    std::vector<FailsafePort> out;
    out.reserve(ports.size());
    for (const model::ProtoPort& port : ports) {
        out.push_back(FailsafePort{to_felix(port.protocol), port.port, port.net});
    }
    return out;
}

EndpointToHost to_felix(model::EndpointToHostAction action) noexcept {
    switch (action) {
        case model::EndpointToHostAction::drop:
            return EndpointToHost::drop;
        case model::EndpointToHostAction::return_:
            return EndpointToHost::host_rules;
        case model::EndpointToHostAction::accept:
            return EndpointToHost::accept;
    }
    std::unreachable();
}

ServiceLoop to_felix(model::ServiceLoopPrevention action) noexcept {
    switch (action) {
        case model::ServiceLoopPrevention::drop:
            return ServiceLoop::drop;
        case model::ServiceLoopPrevention::reject:
            return ServiceLoop::reject;
        case model::ServiceLoopPrevention::disabled:
            return ServiceLoop::forward;
    }
    std::unreachable();
}

void overlay_interfaces(Config& config, const model::FelixConfigurationSpec& layer) {
    if (layer.interface_prefix) {
        if (std::vector<std::string> prefixes = split(*layer.interface_prefix); !prefixes.empty()) {
            config.interface_prefixes = std::move(prefixes);
        }
    }
    if (layer.interface_exclude) {
        config.excluded_interfaces = split(*layer.interface_exclude);
    }
}

void overlay_policy(Config& config, const model::FelixConfigurationSpec& layer) {
    if (layer.default_endpoint_to_host_action) {
        config.endpoint_to_host = to_felix(*layer.default_endpoint_to_host_action);
    }
    if (layer.nftables_filter_deny_action) {
        config.deny_action =
            *layer.nftables_filter_deny_action == model::DenyAction::drop ? DenyAction::drop : DenyAction::reject;
    }
    if (layer.disable_conntrack_invalid_check) {
        config.drop_invalid_state = !*layer.disable_conntrack_invalid_check;
    }
    if (layer.workload_source_spoofing) {
        config.allow_spoofed_sources = *layer.workload_source_spoofing == model::WorkloadSourceSpoofing::any;
    }
    set(config.cut_denied_connections, layer.cut_denied_connections);
    set(config.host_to_workload_policy, layer.host_to_workload_policy);
    if (layer.failsafe_inbound_host_ports) {
        config.failsafe_inbound = to_felix(*layer.failsafe_inbound_host_ports);
    }
    if (layer.failsafe_outbound_host_ports) {
        config.failsafe_outbound = to_felix(*layer.failsafe_outbound_host_ports);
    }
}

void overlay_tunnels(Config& config, const model::FelixConfigurationSpec& layer) {
    set(config.allow_vxlan_from_workloads, layer.allow_vxlan_packets_from_workloads);
    set(config.allow_ipip_from_workloads, layer.allow_ipip_packets_from_workloads);
    set(config.vxlan_port, layer.vxlan_port);
    set(config.vxlan_vni, layer.vxlan_vni);
    set(config.vxlan_mtu_v4, layer.vxlan_mtu);
    set(config.vxlan_mtu_v6, layer.vxlan_mtu_v6);
    set(config.ip_in_ip_mtu, layer.ipip_mtu);
    if (layer.program_cluster_routes) {
        const auto routes = *layer.program_cluster_routes;
        const bool all = routes == model::ProgramClusterRoutes::enabled;
        config.route_ip_in_ip_pools = all || routes == model::ProgramClusterRoutes::enabled_ipip_only;
        config.route_plain_pools = all || routes == model::ProgramClusterRoutes::enabled_no_encap_only;
    }
    set(config.vxlan_enabled, layer.vxlan_enabled);
    set(config.ip_in_ip_enabled, layer.ipip_enabled);
    set(config.external_nodes, layer.external_nodes_list);
    set(config.wireguard_enabled_v4, layer.wireguard_enabled);
    set(config.wireguard_enabled_v6, layer.wireguard_enabled_v6);
    set(config.wireguard_port_v4, layer.wireguard_listening_port);
    set(config.wireguard_port_v6, layer.wireguard_listening_port_v6);
}

void overlay_logging(Config& config, const model::FelixConfigurationSpec& layer) {
    set(config.log_prefix, layer.log_prefix);
    set(config.log_rate_limit, layer.log_action_rate_limit);
    set(config.log_rate_burst, layer.log_action_rate_limit_burst);
    set(config.log_denied, layer.deny_logging);
    set(config.log_denied_rate, layer.deny_logging_rate_limit);
}

void overlay_translation(Config& config, const model::FelixConfigurationSpec& layer) {
    set(config.floating_addresses, layer.floating_ips);
    if (layer.service_loop_prevention) {
        config.service_loop = to_felix(*layer.service_loop_prevention);
    }
    set(config.nat_port_range, layer.nat_port_range);
    set(config.nat_outgoing_address, layer.nat_outgoing_address);
    if (layer.nat_outgoing_exclusions) {
        config.nat_exclusions = *layer.nat_outgoing_exclusions == model::NatOutgoingExclusions::ip_pools_only
                                    ? NatExclusions::pools_only
                                    : NatExclusions::pools_and_host_ips;
    }
    set(config.nat_interface_filter, layer.iptables_nat_outgoing_interface_filter);
}

void overlay_routes(Config& config, const model::FelixConfigurationSpec& layer) {
    set(config.ip_forwarding, layer.ip_forwarding);
    if (layer.device_route_protocol && *layer.device_route_protocol != kBootProtocol) {
        config.route_protocol = *layer.device_route_protocol;
    }
    set(config.route_source_v4, layer.device_route_source_address);
    set(config.route_source_v6, layer.device_route_source_address_ipv6);
    set(config.route_priority_v4, layer.ipv4_normal_route_priority);
    set(config.route_priority_v6, layer.ipv6_normal_route_priority);
}

void overlay_monitoring(Config& config, const model::FelixConfigurationSpec& layer) {
    set(config.metrics.enabled, layer.prometheus_metrics_enabled);
    set(config.metrics.host, layer.prometheus_metrics_host);
    set(config.metrics.port, layer.prometheus_metrics_port);
    set(config.health.enabled, layer.health_enabled);
    set(config.health.host, layer.health_host);
    set(config.health.port, layer.health_port);
}

void overlay_intervals(Config& config, const model::FelixConfigurationSpec& layer) {
    if (layer.nftables_refresh_interval) {
        config.ruleset_refresh = layer.nftables_refresh_interval->milliseconds();
    }
    if (layer.route_refresh_interval) {
        config.route_refresh = layer.route_refresh_interval->milliseconds();
    }
}

}  // namespace

void overlay(Config& config, const model::FelixConfigurationSpec& layer) {
    overlay_interfaces(config, layer);
    overlay_policy(config, layer);
    overlay_tunnels(config, layer);
    overlay_logging(config, layer);
    overlay_translation(config, layer);
    overlay_routes(config, layer);
    overlay_monitoring(config, layer);
    overlay_intervals(config, layer);
}

ConfigPlan::ConfigPlan(std::string node_name, model::FelixConfigurationSpec overrides)
    : node_name_(std::move(node_name)), overrides_(std::move(overrides)) {}

void ConfigPlan::put(const std::shared_ptr<const model::FelixConfiguration>& configuration) {
    configurations_.insert_or_assign(configuration->metadata.name, configuration);
    config_dirty_ = true;
}

void ConfigPlan::remove_configuration(const std::string& name) {
    configurations_.erase(name);
    config_dirty_ = true;
}

void ConfigPlan::put(const model::BgpConfiguration& configuration) {
    if (configuration.metadata.name != "default") {
        return;  // only there may ranges stand
    }
    std::vector<net::Prefix> ranges;
    for (const auto* list : {&configuration.spec.service_cluster_ips, &configuration.spec.service_external_ips,
                             &configuration.spec.service_load_balancer_ips}) {
        std::ranges::copy(model::ranges_of(*list), std::back_inserter(ranges));
    }
    std::ranges::sort(ranges);
    const auto repeated = std::ranges::unique(ranges);
    ranges.erase(repeated.begin(), repeated.end());
    set_service_ranges(std::move(ranges));
}

void ConfigPlan::remove_bgp_configuration(const std::string& name) {
    if (name == "default") {
        set_service_ranges({});
    }
}

void ConfigPlan::set_service_ranges(std::vector<net::Prefix> ranges) {
    if (ranges != service_ranges_) {
        service_ranges_ = std::move(ranges);
        config_dirty_ = true;
    }
}

void ConfigPlan::put(const model::IpPool& pool) {
    const std::string& name = pool.metadata.name;
    // Addresses of services alone, often another cluster's: no packet is from there, and what goes there leaves the
    // network of pods.
    if (pool.spec.allows(model::AllowedUse::workload) || pool.spec.allows(model::AllowedUse::tunnel)) {
        pools_.insert_or_assign(name, IpPoolInfo{name, pool.spec.cidr, pool.spec.nat_outgoing});
    } else {
        pools_.erase(name);
    }
    pool_tunnels_.insert_or_assign(name,
                                   PoolTunnels{pool.spec.cidr.family(), pool.spec.vxlan_mode != model::EncapMode::never,
                                               pool.spec.ipip_mode != model::EncapMode::never});
    pools_dirty_ = true;
}

void ConfigPlan::remove_pool(const std::string& name) {
    pools_.erase(name);
    pool_tunnels_.erase(name);
    pools_dirty_ = true;
}

void ConfigPlan::put(const model::Node& node) {
    const std::string& name = node.metadata.name;
    if (name == node_name_) {
        set_node_labels(node.metadata.labels);
    }
    std::vector<net::Ip> addresses;
    if (node.spec.bgp && node.spec.bgp->ipv4_address) {
        addresses.push_back(node.spec.bgp->ipv4_address->address);
    }
    if (node.spec.bgp && node.spec.bgp->ipv6_address) {
        addresses.push_back(node.spec.bgp->ipv6_address->address);
    }
    std::vector<net::Ip>& known = node_addresses_[name];
    if (known != addresses) {
        known = std::move(addresses);
        pools_dirty_ = true;
    }
}

void ConfigPlan::remove_node(const std::string& name) {
    if (name == node_name_) {
        set_node_labels({});
    }
    pools_dirty_ = node_addresses_.erase(name) != 0 || pools_dirty_;
}

void ConfigPlan::set_node_labels(const model::StringMap& labels) {
    if (labels != node_labels_) {
        node_labels_ = labels;
        config_dirty_ = true;
    }
}

Config ConfigPlan::effective() const {
    Config config;
    const auto overlay_named = [&](const std::string& name) {
        if (const auto found = configurations_.find(name); found != configurations_.end()) {
            overlay(config, found->second->spec);
        }
    };
    overlay_named("default");

    std::vector<const model::FelixConfiguration*> selected;
    for (const auto& [name, configuration] : configurations_) {
        if (configuration->spec.node_selector.value_or("").empty()) {
            continue;
        }
        const auto selector = model::Selector::parse(*configuration->spec.node_selector);
        if (selector && selector->matches(node_labels_)) {
            selected.push_back(configuration.get());
        }
    }
    std::ranges::sort(selected, [](const auto* a, const auto* b) {  // the oldest is laid on top
        return std::tie(a->metadata.creation_timestamp, a->metadata.name) >
               std::tie(b->metadata.creation_timestamp, b->metadata.name);
    });
    for (const model::FelixConfiguration* configuration : selected) {
        overlay(config, configuration->spec);
    }
    overlay_named("node." + node_name_);
    overlay(config, overrides_);
    config.service_ranges = service_ranges_;
    return config;
}

/// Of nodes and pools, as far as the configuration does not say otherwise.
Tunnels ConfigPlan::tunnels() const {
    Tunnels out;
    const Config& config = *current_;
    for (const auto& [name, pool] : pool_tunnels_) {
        (pool.family == net::Family::v4 ? out.vxlan_v4 : out.vxlan_v6) |= pool.vxlan;
        out.ip_in_ip |= pool.ip_in_ip;
    }
    if (config.vxlan_enabled) {
        out.vxlan_v4 = *config.vxlan_enabled;
        out.vxlan_v6 = *config.vxlan_enabled && out.vxlan_v6;
    }
    out.ip_in_ip = config.ip_in_ip_enabled.value_or(out.ip_in_ip);
    if (config.wireguard_enabled_v4) {
        out.wireguard_v4 = config.wireguard_port_v4;
    }
    if (config.wireguard_enabled_v6) {
        out.wireguard_v6 = config.wireguard_port_v6;
    }
    for (const auto& [name, addresses] : node_addresses_) {
        for (const net::Ip& address : addresses) {
            out.peers.push_back(net::Prefix::host(address));
        }
    }
    out.peers.insert(out.peers.end(), config.external_nodes.begin(), config.external_nodes.end());
    std::ranges::sort(out.peers);
    const auto repeated = std::ranges::unique(out.peers);
    out.peers.erase(repeated.begin(), repeated.end());
    return out;
}

void ConfigPlan::flush(Sequencer& sequencer) {
    if (std::exchange(config_dirty_, false)) {
        current_ = effective();
        pools_dirty_ = true;  // what is spared from masquerading may differ
        sequencer.set_config(current_);
    }
    if (std::exchange(pools_dirty_, false)) {
        std::vector<IpPoolInfo> pools;
        pools.reserve(pools_.size());
        for (const auto& [name, pool] : pools_) {
            pools.push_back(pool);
        }
        if (current_->nat_exclusions == NatExclusions::pools_and_host_ips) {
            for (const auto& [name, addresses] : node_addresses_) {
                for (const net::Ip& address : addresses) {
                    pools.push_back(IpPoolInfo{"node " + name, net::Prefix::host(address), false});
                }
            }
            for (const net::Prefix& external : current_->external_nodes) {
                pools.push_back(IpPoolInfo{"node " + external.to_string(), external, false});
            }
        }
        sequencer.set_pools(std::move(pools));
        sequencer.set_tunnels(tunnels());
    }
}

}  // namespace manul::felix
