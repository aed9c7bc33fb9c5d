#include "ipam/core/mtu.hpp"

#include <algorithm>
#include <optional>
#include <regex>

#include "config/model/tunnel_overhead.hpp"

namespace manul::ipam {

namespace {

// Calico's default of mtuIfacePattern.
constexpr const char* kNetworkCards = "^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*)";
constexpr std::uint32_t kLeast = 68;  // RFC 791

std::optional<std::regex> compile(const std::string& pattern) {
    try {
        return std::regex(pattern, std::regex::ECMAScript | std::regex::optimize);
    } catch (const std::regex_error&) {
        return std::nullopt;
    }
}

std::regex cards_of(const std::string& pattern) {
    auto wanted = pattern.empty() ? std::nullopt : compile(pattern);
    return wanted ? *std::move(wanted) : std::regex(kNetworkCards);
}

}  // namespace

MtuSettings MtuSettings::from_model(const model::FelixConfigurationSpec& spec) {
    return {.interface_pattern = spec.mtu_iface_pattern.value_or(""),
            .ipip = spec.ipip_mtu.value_or(0),
            .vxlan = spec.vxlan_mtu.value_or(0),
            .vxlan_v6 = spec.vxlan_mtu_v6.value_or(0),
            .wireguard = spec.wireguard_mtu.value_or(0),
            .wireguard_v6 = spec.wireguard_mtu_v6.value_or(0),
            .wireguard_enabled = spec.wireguard_enabled.value_or(false),
            .wireguard_enabled_v6 = spec.wireguard_enabled_v6.value_or(false)};
}

std::uint32_t pod_mtu(std::span<const Uplink> links, std::span<const Pool> pools, const MtuSettings& settings) {
    const std::regex cards = cards_of(settings.interface_pattern);
    std::uint32_t uplink = 0;
    for (const Uplink& link : links) {
        if (std::regex_search(link.name, cards)) {
            uplink = uplink == 0 ? link.mtu : std::min(uplink, link.mtu);
        }
    }
    std::uint32_t least = uplink;
    const auto limit = [&](std::uint32_t configured, std::uint32_t overhead) {
        const std::uint32_t mtu = configured != 0 ? configured : uplink > overhead ? uplink - overhead : 0;
        if (mtu >= kLeast) {
            least = least == 0 ? mtu : std::min(least, mtu);
        }
    };
    for (const Pool& pool : pools) {
        const bool v6 = pool.cidr.family() == net::Family::v6;
        if (pool.encapsulation == Pool::Encapsulation::ipip) {
            limit(settings.ipip, model::kIpipOverhead);
        } else if (pool.encapsulation == Pool::Encapsulation::vxlan) {
            limit(v6 ? settings.vxlan_v6 : settings.vxlan, v6 ? model::kVxlanV6Overhead : model::kVxlanOverhead);
        }
    }
    if (settings.wireguard_enabled) {
        limit(settings.wireguard, model::kWireguardOverhead);
    }
    if (settings.wireguard_enabled_v6) {
        limit(settings.wireguard_v6, model::kWireguardV6Overhead);
    }
    return least;
}

}  // namespace manul::ipam
