#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/model/felix_configuration.hpp"
#include "ipam/core/pool.hpp"

/// The MTU of pods where nobody configured one. Pure.
namespace manul::ipam {

struct Uplink {
    std::string name;
    std::uint32_t mtu = 0;
};

/// What FelixConfiguration says about MTUs; 0 = work it out.
struct MtuSettings {
    std::string interface_pattern;  ///< mtuIfacePattern
    std::uint32_t ipip = 0;
    std::uint32_t vxlan = 0;
    std::uint32_t vxlan_v6 = 0;
    std::uint32_t wireguard = 0;
    std::uint32_t wireguard_v6 = 0;
    bool wireguard_enabled = false;
    bool wireguard_enabled_v6 = false;

    [[nodiscard]] static MtuSettings from_model(const model::FelixConfigurationSpec& spec);
};

/// As Calico does: the smallest MTU of the node's network cards (links whose name matches the pattern), less what the
/// encapsulations in use add to a packet (config/model/tunnel_overhead.hpp). All pods have the one MTU, whatever their
/// pool. 0 when no link matches.
[[nodiscard]] std::uint32_t pod_mtu(std::span<const Uplink> links, std::span<const Pool> pools,
                                    const MtuSettings& settings);

}  // namespace manul::ipam
