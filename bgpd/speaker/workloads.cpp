#include "bgpd/speaker/workloads.hpp"

#include <algorithm>

#include "bgpd/speaker/routing.hpp"

namespace manul::bgp::speaker {
namespace {

bool concerns(const model::BgpPeer& peer, const model::Node& own) {
    if (!peer.spec.node.empty()) {
        return peer.spec.node == own.metadata.name;
    }
    const auto selector = model::Selector::parse(peer.spec.node_selector);
    return selector && selector->matches(own.metadata.labels);
}

}  // namespace

std::vector<const model::WorkloadEndpoint*> chosen_workloads(const model::Selector& selector,
                                                             const PeerResources& resources) {
    std::vector<const model::WorkloadEndpoint*> chosen;
    for (const auto& endpoint : resources.endpoints) {
        model::StringMap labels = endpoint->metadata.labels;
        labels.emplace(model::kLabelNamespace, endpoint->metadata.ns);
        if (endpoint->spec.node == resources.node_name && selector.matches(labels)) {
            chosen.push_back(endpoint.get());
        }
    }
    return chosen;
}

std::vector<WorkloadAddress> workload_addresses(const PeerResources& resources) {
    std::vector<WorkloadAddress> out;
    const auto configurations = by_name(resources.configurations);
    const auto nodes = by_name(resources.nodes);
    const auto global = configurations.find("default");
    const auto own = nodes.find(resources.node_name);
    if (global == configurations.end() || own == nodes.end()) {
        return out;
    }
    const auto& v4 = global->second->spec.local_workload_peering_ip_v4;
    const auto& v6 = global->second->spec.local_workload_peering_ip_v6;
    for (const auto& peer : resources.peers) {
        const auto selector = model::Selector::parse(peer->spec.local_workload_selector);
        if (peer->spec.local_workload_selector.empty() || !selector || !concerns(*peer, *own->second)) {
            continue;
        }
        for (const model::WorkloadEndpoint* workload : chosen_workloads(*selector, resources)) {
            for (const net::Prefix& address : workload->spec.ip_networks) {
                const bool is_v4 = address.family() == net::Family::v4;
                if ((is_v4 ? v4.has_value() : v6.has_value()) && !workload->spec.interface_name.empty()) {
                    out.push_back({workload->spec.interface_name, is_v4 ? net::Ip(*v4) : net::Ip(*v6)});
                }
            }
        }
    }
    std::ranges::sort(out);
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

}  // namespace manul::bgp::speaker
