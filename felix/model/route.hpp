#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "felix/model/overlay.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

/// Host route to a workload of this node.
struct WorkloadRoute {
    net::Prefix prefix;
    std::string interface;

    bool operator==(const WorkloadRoute&) const = default;
};

/// What the dataplane needs of an address pool. Addresses of nodes come as pools of one address where
/// natOutgoingExclusions spares them from masquerading.
struct IpPoolInfo {
    std::string name;
    net::Prefix cidr;
    bool nat_outgoing = false;

    bool operator==(const IpPoolInfo&) const = default;
};

/// Traffic of the cluster between its nodes, which host policy does not judge: tunnels carry what pods' policy judges.
struct Tunnels {
    std::vector<net::Prefix> peers;  ///< addresses of all nodes, and externalNodesList; sorted
    bool vxlan_v4 = false;
    bool vxlan_v6 = false;
    bool ip_in_ip = false;
    std::optional<std::uint16_t> wireguard_v4;  ///< port
    std::optional<std::uint16_t> wireguard_v6;

    [[nodiscard]] bool vxlan(net::Family family) const noexcept {
        return family == net::Family::v4 ? vxlan_v4 : vxlan_v6;
    }
    [[nodiscard]] bool has(TunnelKind kind) const noexcept {
        return kind == TunnelKind::ip_in_ip ? ip_in_ip : vxlan(family_of(kind));
    }
    [[nodiscard]] const std::optional<std::uint16_t>& wireguard(net::Family family) const noexcept {
        return family == net::Family::v4 ? wireguard_v4 : wireguard_v6;
    }

    bool operator==(const Tunnels&) const = default;
};

}  // namespace manul::felix
