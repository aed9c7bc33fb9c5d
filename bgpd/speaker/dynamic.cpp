#include <algorithm>

#include "bgpd/speaker/speaker_impl.hpp"

/// Peers that nobody named: whoever connects from a listen range becomes one, for as long as it stays.
namespace manul::bgp::speaker {

namespace {

/// More would let one range take the memory of the whole speaker.
constexpr std::size_t kMostDynamicPeers = 4096;

}  // namespace

/// The narrowest range that the address is in.
const PeerConfig* Speaker::Impl::range_of(const net::Ip& address) const {
    const PeerConfig* best = nullptr;
    for (const PeerConfig& range : configuration->ranges) {
        if (range.range->contains(address) && (best == nullptr || range.range->length() > best->range->length())) {
            best = &range;
        }
    }
    return best;
}

Peer* Speaker::Impl::add_dynamic(const net::Ip& address) {
    const PeerConfig* const range = configuration ? range_of(address) : nullptr;
    if (range == nullptr || !obstacle(*range).empty() || dynamic_peers >= kMostDynamicPeers) {
        return nullptr;
    }
    PeerConfig config = *range;
    config.address = address;
    Peer& peer = add_peer(config);
    start(peer);
    if (config.bfd) {
        update_bfd_sessions();
    }
    return &peer;
}

void Speaker::Impl::expect_ranges(const Configuration& before) {
    const auto same = [](const PeerConfig& a, const PeerConfig& b) {
        return a.range == b.range && socket_options(a) == socket_options(b);
    };
    const auto has = [&](const std::vector<PeerConfig>& ranges, const PeerConfig& wanted) {
        return std::ranges::any_of(ranges, [&](const PeerConfig& each) { return same(each, wanted); });
    };
    for (const PeerConfig& range : before.ranges) {
        if (!has(configuration->ranges, range)) {
            actions.emplace_back(ForgetRange{*range.range});
        }
    }
    for (const PeerConfig& range : configuration->ranges) {
        if (!has(before.ranges, range)) {
            actions.emplace_back(ExpectRange{*range.range, socket_options(range)});
        }
    }
}

/// A peer of a range that has no connection any more is forgotten, together with its routes.
void Speaker::Impl::forget_idle() {
    if (dynamic_peers == 0) {
        return;
    }
    bool watched = false;
    for (std::size_t i = peers.size(); i-- > 0;) {
        const Peer& peer = *peers[i];
        if (peer.config.range && peer.session == nullptr && !peer.retained && !peer.links[0] && !peer.links[1]) {
            watched = watched || peer.bfd_asked;
            remove_peer(i);
        }
    }
    if (watched) {
        update_bfd_sessions();
    }
}

}  // namespace manul::bgp::speaker
