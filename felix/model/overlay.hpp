#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/prefix.hpp"

/// How packets come to the pods of other nodes where BGP does not program the routes.
namespace manul::felix {

/// A tunnel device of this node; at most one of each kind. `vxlan_v6` is IPv6 in IPv6.
enum class TunnelKind : std::uint8_t { vxlan, vxlan_v6, ip_in_ip };

inline constexpr std::array kTunnelKinds{TunnelKind::vxlan, TunnelKind::vxlan_v6, TunnelKind::ip_in_ip};

[[nodiscard]] constexpr net::Family family_of(TunnelKind kind) noexcept {
    return kind == TunnelKind::vxlan_v6 ? net::Family::v6 : net::Family::v4;
}

/// The names make the devices felix's own.
[[nodiscard]] constexpr std::string_view device_name(TunnelKind kind) noexcept {
    switch (kind) {
        case TunnelKind::vxlan:
            return "vxlan.manul";
        case TunnelKind::vxlan_v6:
            return "vxlan-v6.manul";
        case TunnelKind::ip_in_ip:
            return "ipip.manul";
    }
    std::unreachable();
}

/// A node's end of a tunnel.
struct TunnelEnd {
    net::Ip node;     ///< outer address
    net::Ip address;  ///< inner address, that of the device
    net::Mac mac;     ///< of the device; VXLAN alone

    bool operator==(const TunnelEnd&) const = default;
};

struct TunnelDevice {
    TunnelKind kind = TunnelKind::vxlan;
    TunnelEnd own;
    std::vector<TunnelEnd> peers;  ///< of the other nodes, by inner address; VXLAN alone
    std::uint32_t vni = 0;
    std::uint16_t port = 0;
    std::uint32_t mtu = 0;  ///< 0: what the link with the outer address leaves

    bool operator==(const TunnelDevice&) const = default;
};

/// A route to addresses of another node's pods.
struct ClusterRoute {
    net::Prefix prefix;
    std::optional<TunnelKind> tunnel;  ///< nothing: over the network that both nodes are in
    net::Ip via;                       ///< VXLAN: the inner address of the other end; else the node's own

    bool operator==(const ClusterRoute&) const = default;
};

}  // namespace manul::felix
