#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/ip_pool.hpp"
#include "config/model/node.hpp"
#include "ipam/core/pool.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"

/// The addresses of a node's own tunnel ends: which it needs, and where they stand in its Node. Pure.
namespace manul::ipam {

enum class Tunnel : std::uint8_t { ipip, vxlan, vxlan_v6, wireguard, wireguard_v6 };
inline constexpr std::array kTunnels{Tunnel::ipip, Tunnel::vxlan, Tunnel::vxlan_v6, Tunnel::wireguard,
                                     Tunnel::wireguard_v6};

/// "vxlan-tunnel-addr-<node>".
[[nodiscard]] std::string tunnel_handle(Tunnel tunnel, std::string_view node);
/// Value of the attribute "type": "vxlanTunnelAddress".
[[nodiscard]] std::string_view tunnel_type(Tunnel tunnel) noexcept;
[[nodiscard]] net::Family tunnel_family(Tunnel tunnel) noexcept;

[[nodiscard]] std::optional<net::Ip> tunnel_address(const model::NodeSpec& spec, Tunnel tunnel);
/// Nothing removes it. A VXLAN address comes with the MAC of the device, unless there is one, and goes with it; `bgp`
/// and `wireguard` appear and disappear with their last field.
void set_tunnel_address(model::NodeSpec& spec, Tunnel tunnel, const std::optional<net::Ip>& address,
                        std::string_view node);

/// What a node uses besides what its pools say.
struct TunnelSettings {
    bool wireguard = false;  ///< switched on, and the node has a key
    bool wireguard_v6 = false;
};
/// The pools that a node's tunnel end of this kind may take its address from, as names; empty: it needs none.
[[nodiscard]] std::vector<std::string> tunnel_pools(Tunnel tunnel, const std::vector<Pool>& pools,
                                                    const model::StringMap& node_labels,
                                                    const TunnelSettings& settings);

}  // namespace manul::ipam
