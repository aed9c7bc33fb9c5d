#include "bgpd/speaker/originate.hpp"

#include <algorithm>

#include "net/prefix_set.hpp"

namespace manul::bgp::speaker {

std::vector<LocalRoute> local_routes(const OriginResources& resources) {
    std::vector<net::Prefix> exported;
    for (const auto& pool : resources.pools) {
        if (!pool->spec.disable_bgp_export) {
            exported.push_back(pool->spec.cidr);
        }
    }
    const net::PrefixSet exportable(exported);

    std::vector<LocalRoute> routes;
    std::vector<net::Prefix> blocks;
    for (const auto& affinity : resources.affinities) {
        const auto& spec = affinity->spec;
        if (spec.node == resources.node_name && spec.type == model::AffinityType::host && spec.is_confirmed()) {
            blocks.push_back(spec.cidr);
            routes.push_back({spec.cidr, true, exportable.contains(spec.cidr), {}});
        }
    }
    const net::PrefixSet own(blocks);
    for (const auto& endpoint : resources.endpoints) {
        if (endpoint->spec.node != resources.node_name) {
            continue;
        }
        for (const net::Prefix& address : endpoint->spec.ip_networks) {
            if (!own.contains(address) && exportable.contains(address)) {
                routes.push_back({address, false, true, {}});
            }
        }
    }
    if (resources.configuration) {
        for (const net::Prefix& prefix : service_prefixes(resources.services, resources.configuration->spec)) {
            routes.push_back({prefix, false, true, {}});
        }
    }
    std::ranges::sort(routes);
    const auto duplicates = std::ranges::unique(routes, {}, &LocalRoute::prefix);
    routes.erase(duplicates.begin(), duplicates.end());
    return routes;
}

void add_ways_to_peers(const Configuration& configuration, std::vector<LocalRoute>& routes) {
    for (const PeerConfig& peer : configuration.peers) {
        const net::Prefix host = net::Prefix::host(peer.address);
        const auto place = std::ranges::lower_bound(routes, host, {}, &LocalRoute::prefix);
        if (peer.reachable_by && (place == routes.end() || place->prefix != host)) {
            routes.insert(place, {host, false, false, peer.reachable_by});
        }
    }
}

}  // namespace manul::bgp::speaker
