#include "bgpd/speaker/routing.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "bgpd/wire/community.hpp"

namespace manul::bgp::speaker {

namespace {

using model::BgpConfigurationSpec;

bool kept_from_bgp(const model::IpPoolSpec& pool, model::ProgramClusterRoutes mode) {
    const bool ipip = pool.ipip_mode != model::EncapMode::never;
    const bool vxlan = pool.vxlan_mode != model::EncapMode::never;
    switch (mode) {
        case model::ProgramClusterRoutes::enabled:
            return false;
        case model::ProgramClusterRoutes::disabled:
            return true;
        case model::ProgramClusterRoutes::enabled_ipip_only:
            return !ipip;
        case model::ProgramClusterRoutes::enabled_no_encap_only:
            return ipip || vxlan;
    }
    return false;
}

void add_ranges(const PeerResources& resources, const BgpConfigurationSpec& global, Configuration& out) {
    for (const auto& [name, pool] : by_name(resources.pools)) {
        if (!pool->spec.disable_bgp_export) {
            out.relayable.push_back(pool->spec.cidr);
        }
        const auto mode = global.program_cluster_routes.value_or(model::ProgramClusterRoutes::enabled_no_encap_only);
        if (kept_from_bgp(pool->spec, mode)) {
            out.kept_from_kernel.push_back(pool->spec.cidr);
        }
    }
    for (const auto* ranges :
         {&global.service_load_balancer_ips, &global.service_external_ips, &global.service_cluster_ips}) {
        for (const net::Prefix& range : model::ranges_of(*ranges)) {
            out.relayable.push_back(range);
            out.kept_from_kernel.push_back(range);
        }
    }
}

/// Who is told besides peers: files and monitoring stations.
void set_observers(const BgpConfigurationSpec& global, Configuration& out) {
    for (const model::BmpCollector& collector : global.bmp_collectors) {
        out.stations.push_back({collector.address, collector.port});
    }
    if (global.mrt_dump) {
        out.table_dump = TableDump{.path = global.mrt_dump->path};
        if (global.mrt_dump->interval) {
            out.table_dump->interval = global.mrt_dump->interval->seconds();
        }
    }
}

/// Communities by literal value or by name.
void add_tagging(const BgpConfigurationSpec& global, Configuration& out) {
    std::map<std::string, std::string> values;
    for (const model::NamedCommunity& community : global.communities) {
        values.emplace(community.name, community.value);
    }
    for (const model::PrefixAdvertisement& advertisement : global.prefix_advertisements) {
        Tagging tagging{advertisement.cidr, {}, {}};
        for (const std::string& given : advertisement.communities) {
            const auto named = values.find(given);
            const std::string& text = named == values.end() ? given : named->second;
            if (const auto community = wire::Community::parse(text)) {
                tagging.communities.push_back(*community);
            } else if (const auto large = wire::LargeCommunity::parse(text)) {
                tagging.large_communities.push_back(*large);
            } else {
                out.findings.push_back("BGPConfiguration(default): prefixAdvertisements " +
                                       advertisement.cidr.to_string() + ": no community is called '" + given + "'");
            }
        }
        out.tagging.push_back(std::move(tagging));
    }
}

/// LOCAL_PREF of own routes: Calico's form of the kernel priority once a priority is set anywhere, so that a mixed mesh
/// agrees on the best route.
void set_local_preference(const BgpConfigurationSpec& global, Configuration& out) {
    if (!global.ipv4_normal_route_priority && !global.ipv6_normal_route_priority) {
        return;
    }
    constexpr std::uint32_t kHighest = 2147483647;
    out.local_preference_v4 = kHighest - global.ipv4_normal_route_priority.value_or(model::kDefaultRoutePriority);
    out.local_preference_v6 = kHighest - global.ipv6_normal_route_priority.value_or(model::kDefaultRoutePriority);
}

}  // namespace

void set_routing(const PeerResources& resources, const BgpConfigurationSpec& global,
                 const BgpConfigurationSpec& advertising, Configuration& out) {
    add_ranges(resources, global, out);
    set_local_preference(global, out);
    set_observers(global, out);
    add_tagging(advertising, out);
}

}  // namespace manul::bgp::speaker
