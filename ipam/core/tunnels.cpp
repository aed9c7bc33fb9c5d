#include "ipam/core/tunnels.hpp"

#include <cstddef>

#include "config/model/vxlan_mac.hpp"

namespace manul::ipam {

namespace {

struct Names {
    std::string_view handle;
    std::string_view type;
};

/// As Calico calls them: both are stored.
constexpr Names names_of(Tunnel tunnel) noexcept {
    switch (tunnel) {
        case Tunnel::ipip:
            return {"ipip-tunnel-addr-", "ipipTunnelAddress"};
        case Tunnel::vxlan:
            return {"vxlan-tunnel-addr-", "vxlanTunnelAddress"};
        case Tunnel::vxlan_v6:
            return {"vxlan-v6-tunnel-addr-", "vxlanV6TunnelAddress"};
        case Tunnel::wireguard:
            return {"wireguard-tunnel-addr-", "wireguardTunnelAddress"};
        case Tunnel::wireguard_v6:
            return {"wireguard-v6-tunnel-addr-", "wireguardV6TunnelAddress"};
    }
    return {};
}

template <class T>
std::optional<net::Ip> widen(const std::optional<T>& address) {
    return address ? std::optional<net::Ip>(*address) : std::nullopt;
}

std::optional<net::Ip4> as_v4(const std::optional<net::Ip>& address) {
    return address ? std::optional(address->v4()) : std::nullopt;
}

std::optional<net::Ip6> as_v6(const std::optional<net::Ip>& address) {
    return address ? std::optional(address->v6()) : std::nullopt;
}

/// What other nodes know stays: of a node that had another name in Calico's time they know the MAC of that name.
std::optional<net::Mac> known_or(const std::optional<net::Mac>& known, std::string_view node, net::Family family) {
    return known ? known : model::vxlan_mac(node, family);
}

}  // namespace

std::string tunnel_handle(Tunnel tunnel, std::string_view node) {
    return std::string(names_of(tunnel).handle).append(node);
}

std::string_view tunnel_type(Tunnel tunnel) noexcept { return names_of(tunnel).type; }

net::Family tunnel_family(Tunnel tunnel) noexcept {
    return tunnel == Tunnel::vxlan_v6 || tunnel == Tunnel::wireguard_v6 ? net::Family::v6 : net::Family::v4;
}

std::optional<net::Ip> tunnel_address(const model::NodeSpec& spec, Tunnel tunnel) {
    switch (tunnel) {
        case Tunnel::ipip:
            return spec.bgp ? widen(spec.bgp->ipv4_ipip_tunnel_addr) : std::nullopt;
        case Tunnel::vxlan:
            return widen(spec.ipv4_vxlan_tunnel_addr);
        case Tunnel::vxlan_v6:
            return widen(spec.ipv6_vxlan_tunnel_addr);
        case Tunnel::wireguard:
            return spec.wireguard ? widen(spec.wireguard->interface_ipv4_address) : std::nullopt;
        case Tunnel::wireguard_v6:
            return spec.wireguard ? widen(spec.wireguard->interface_ipv6_address) : std::nullopt;
    }
    return std::nullopt;
}

void set_tunnel_address(model::NodeSpec& spec, Tunnel tunnel, const std::optional<net::Ip>& address,
                        std::string_view node) {
    switch (tunnel) {
        case Tunnel::ipip:
            if (address || spec.bgp) {
                model::NodeBgp bgp = spec.bgp.value_or(model::NodeBgp{});
                bgp.ipv4_ipip_tunnel_addr = as_v4(address);
                spec.bgp = bgp == model::NodeBgp{} ? std::nullopt : std::optional(bgp);
            }
            return;
        case Tunnel::vxlan:
            spec.ipv4_vxlan_tunnel_addr = as_v4(address);
            spec.vxlan_tunnel_mac_addr =
                address ? known_or(spec.vxlan_tunnel_mac_addr, node, net::Family::v4) : std::nullopt;
            return;
        case Tunnel::vxlan_v6:
            spec.ipv6_vxlan_tunnel_addr = as_v6(address);
            spec.vxlan_tunnel_mac_addr_v6 =
                address ? known_or(spec.vxlan_tunnel_mac_addr_v6, node, net::Family::v6) : std::nullopt;
            return;
        case Tunnel::wireguard:
        case Tunnel::wireguard_v6: {
            model::NodeWireguard wireguard = spec.wireguard.value_or(model::NodeWireguard{});
            if (tunnel == Tunnel::wireguard) {
                wireguard.interface_ipv4_address = as_v4(address);
            } else {
                wireguard.interface_ipv6_address = as_v6(address);
            }
            spec.wireguard = wireguard == model::NodeWireguard{} ? std::nullopt : std::optional(wireguard);
            return;
        }
    }
}

std::vector<std::string> tunnel_pools(Tunnel tunnel, const std::vector<Pool>& pools,
                                      const model::StringMap& node_labels, const TunnelSettings& settings) {
    std::vector<std::string> out;
    for (const Pool& pool : pools) {
        // Not by assignmentMode, which is about who names no pool: here the pools of that encapsulation are named.
        if (pool.disabled || pool.cidr.family() != tunnel_family(tunnel) || !pool.allows(model::AllowedUse::tunnel) ||
            !selects_node(pool, node_labels)) {
            continue;
        }
        const bool needed = (tunnel == Tunnel::ipip && pool.encapsulation == Pool::Encapsulation::ipip) ||
                            ((tunnel == Tunnel::vxlan || tunnel == Tunnel::vxlan_v6) &&
                             pool.encapsulation == Pool::Encapsulation::vxlan) ||
                            (tunnel == Tunnel::wireguard && settings.wireguard) ||
                            (tunnel == Tunnel::wireguard_v6 && settings.wireguard_v6);
        if (needed) {
            out.push_back(pool.name);
        }
    }
    return out;
}

}  // namespace manul::ipam
