#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/checks.hpp"
#include "config/model/names.hpp"
#include "config/model/node.hpp"
#include "config/model/resource.hpp"

namespace manul::model {

namespace {

void check_communities(Checks& checks, const BgpConfigurationSpec& spec) {
    checks.check(spec.communities.empty() || !spec.prefix_advertisements.empty(), "spec.communities",
                 "needs prefixAdvertisements that use them");
    std::set<std::string, std::less<>> names;
    for (std::size_t i = 0; i < spec.communities.size(); ++i) {
        checks.check(is_community(spec.communities[i].value), indexed("spec.communities", i) + ".value",
                     "expected aa:nn or aa:nn:mm");
        names.insert(spec.communities[i].name);
    }
    for (std::size_t i = 0; i < spec.prefix_advertisements.size(); ++i) {
        const auto& entries = spec.prefix_advertisements[i].communities;
        for (std::size_t k = 0; k < entries.size(); ++k) {
            checks.check(is_community(entries[k]) || names.contains(entries[k]),
                         indexed(indexed("spec.prefixAdvertisements", i) + ".communities", k),
                         "expected aa:nn, aa:nn:mm or a name from spec.communities");
        }
    }
}

void check_configuration(Checks& checks, const BgpConfiguration& configuration) {
    const BgpConfigurationSpec& spec = configuration.spec;
    if (configuration.metadata.name != "default") {
        const auto only_default = [&](bool given, const char* field) {
            checks.check(!given, std::string("spec.") + field, "only in the object called \"default\"");
        };
        only_default(spec.node_to_node_mesh_enabled.has_value(), "nodeToNodeMeshEnabled");
        only_default(spec.as_number.has_value(), "asNumber");
        only_default(!spec.service_load_balancer_ips.empty(), "serviceLoadBalancerIPs");
        only_default(!spec.service_external_ips.empty(), "serviceExternalIPs");
        only_default(!spec.service_cluster_ips.empty(), "serviceClusterIPs");
        only_default(spec.node_mesh_password.has_value(), "nodeMeshPassword");
        only_default(spec.node_mesh_max_restart_time.has_value(), "nodeMeshMaxRestartTime");
    }
    if (!spec.node_to_node_mesh_enabled.value_or(true)) {
        checks.check(!spec.node_mesh_password, "spec.nodeMeshPassword", "needs nodeToNodeMeshEnabled: true");
        checks.check(!spec.node_mesh_max_restart_time, "spec.nodeMeshMaxRestartTime",
                     "needs nodeToNodeMeshEnabled: true");
    }
    check_communities(checks, spec);
    for (std::size_t i = 0; i < spec.ignored_interfaces.size(); ++i) {
        checks.check(spec.ignored_interfaces[i] != "*" && is_interface_glob(spec.ignored_interfaces[i]),
                     indexed("spec.ignoredInterfaces", i),
                     "expected the name of an interface, where * stands for any text, but not * alone");
    }
}

/// What names the peers: one at most, but for an address on an interface.
void check_peer_address(Checks& checks, const BgpPeerSpec& spec) {
    const bool on_interface = spec.peer_ip && spec.peer_ip->ip.is_link_local();
    const std::array given{std::pair(spec.peer_ip.has_value(), "peerIP"),
                           std::pair(!spec.peer_selector.empty(), "peerSelector"),
                           std::pair(!spec.local_workload_selector.empty(), "localWorkloadSelector"),
                           std::pair(spec.listen_range.has_value(), "listenRange"),
                           std::pair(!spec.interface.empty() && !on_interface, "interface")};
    const char* first = nullptr;
    for (const auto& [is_given, name] : given) {
        if (is_given && first != nullptr) {
            checks.error(std::string("spec.") + name, std::string("cannot stand beside ") + first);
        }
        first = is_given && first == nullptr ? name : first;
    }
}

void check_peer_timers(Checks& checks, const BgpPeerSpec& spec) {
    using std::chrono::seconds;
    if (spec.hold_time) {
        const auto hold = spec.hold_time->value;
        const bool fits = hold == seconds(0) || (hold >= seconds(3) && hold <= seconds(65535));
        checks.check(fits && hold % seconds(1) == seconds(0), "spec.holdTime",
                     "expected 0s, or whole seconds from 3s to 65535s");
    }
    if (spec.keepalive_time) {
        checks.check(spec.keepalive_time->value > seconds(0), "spec.keepaliveTime", "expected more than 0s");
    }
    for (const auto& [time, name] : {std::pair(spec.max_restart_time, "spec.maxRestartTime")}) {
        checks.check(!time || (time->value >= seconds(0) && time->value <= seconds(4095)), name,
                     "expected 0s to 4095s (RFC 4724)");
    }
}

void check_peer(Checks& checks, const BgpPeerSpec& spec) {
    checks.check(spec.node.empty() || is_dns_subdomain(spec.node), "spec.node", "expected the name of a node");
    checks.check(spec.node.empty() || spec.node_selector.empty(), "spec.nodeSelector", "cannot stand beside node");
    check_peer_address(checks, spec);
    check_peer_timers(checks, spec);
    checks.selector("spec.nodeSelector", spec.node_selector);
    checks.selector("spec.peerSelector", spec.peer_selector);
    checks.selector("spec.localWorkloadSelector", spec.local_workload_selector);
    checks.check(spec.peer_selector.empty() || !spec.as_number, "spec.asNumber",
                 "cannot stand beside peerSelector: the nodes have theirs");
    checks.check(spec.local_workload_selector.empty() || spec.as_number, "spec.asNumber",
                 "required with localWorkloadSelector");
    checks.check(!spec.keep_original_next_hop || spec.next_hop_mode == NextHopMode::auto_, "spec.keepOriginalNextHop",
                 "cannot stand beside nextHopMode; write nextHopMode: Keep alone");
    if (spec.reachable_by) {
        checks.check(spec.peer_ip.has_value(), "spec.reachableBy", "needs peerIP");
        checks.check(!spec.peer_ip || spec.peer_ip->ip.family() == spec.reachable_by->family(), "spec.reachableBy",
                     "is of another family than peerIP");
    }
    checks.check(spec.interface.empty() || is_interface_name(spec.interface), "spec.interface",
                 "expected the name of an interface");
    checks.check(!spec.role_strict || spec.role, "spec.roleStrict", "needs role");
    checks.check(!spec.tcp_ao || spec.password, "spec.tcpAO", "needs password, which is the key");
    checks.check(spec.families.size() < 2 || spec.families[0] != spec.families[1], "spec.families",
                 "a family is given twice");
}

void check_node(Checks& checks, const NodeSpec& spec) {
    if (!spec.bgp) {
        return;
    }
    const NodeBgp& bgp = *spec.bgp;
    checks.check(bgp != NodeBgp{}, "spec.bgp", "must not be empty; leave it out for a node without BGP");
    checks.check(!bgp.ipv4_address || bgp.ipv4_address->address.is_v4(), "spec.bgp.ipv4Address",
                 "expected an IPv4 address");
    checks.check(!bgp.ipv6_address || bgp.ipv6_address->address.is_v6(), "spec.bgp.ipv6Address",
                 "expected an IPv6 address");
}

}  // namespace

bool is_community(std::string_view text) {
    std::array<std::uint64_t, 3> parts{};
    std::size_t count = 0;
    while (count < parts.size()) {
        const std::size_t colon = text.find(':');
        const std::string_view digits = text.substr(0, colon);
        const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), parts[count]);
        if (ec != std::errc{} || end != digits.data() + digits.size()) {
            return false;
        }
        ++count;
        if (colon == std::string_view::npos) {
            const std::uint64_t limit = count == 2 ? 0xffff : 0xffffffff;
            return count >= 2 && *std::ranges::max_element(parts) <= limit;
        }
        text.remove_prefix(colon + 1);
    }
    return false;
}

bool is_interface_glob(std::string text) {
    std::ranges::replace(text, '*', '-');
    return is_interface_name(text);
}

void check_bgp_kinds(Checks& checks, const Resource& resource) {
    if (const auto* configuration = as<BgpConfiguration>(resource)) {
        check_configuration(checks, *configuration);
    } else if (const auto* peer = as<BgpPeer>(resource)) {
        check_peer(checks, peer->spec);
    } else if (const auto* node = as<Node>(resource)) {
        check_node(checks, node->spec);
    }
}

}  // namespace manul::model
