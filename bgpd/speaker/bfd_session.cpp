#include "bgpd/speaker/bfd_session.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <span>

#include "bgpd/bfd/sessions.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::speaker {
namespace {

bool single_hop(const PeerConfig& peer, const BfdSettings& bfd, std::span<const net::InterfaceAddress> local,
                const std::optional<bfd::SessionConfig>& in_use) {
    switch (bfd.hops) {
        case BfdSettings::Hops::single:
            return true;
        case BfdSettings::Hops::multiple:
            return false;
        case BfdSettings::Hops::automatic:
            break;
    }
    return peer.address.is_link_local() || (in_use && in_use->single_hop) ||
           std::ranges::any_of(local,
                               [&](const net::InterfaceAddress& own) { return own.network().contains(peer.address); });
}

}  // namespace

std::optional<bfd::SessionConfig> bfd_session(const PeerConfig& peer, const std::optional<BfdSettings>& bfd,
                                              std::span<const net::InterfaceAddress> local,
                                              const std::optional<bfd::SessionConfig>& in_use) {
    if (!bfd) {
        return std::nullopt;
    }
    const std::chrono::microseconds interval = bfd->interval;
    return bfd::SessionConfig{
        .remote = peer.address,
        .local = peer.local_address,
        .single_hop = single_hop(peer, *bfd, local, in_use),
        .settings = {.desired_min_tx = interval, .required_min_rx = interval, .detect_multiplier = bfd->multiplier}};
}

}  // namespace manul::bgp::speaker
