#include "bgpd/speaker/neighbours.hpp"

#include <algorithm>
#include <utility>

#include "net/scoped.hpp"

namespace manul::bgp::speaker {
namespace {

/// Routers of unnumbered links advertise themselves each ten seconds.
constexpr std::chrono::seconds kSilence{35};

void place(PeerConfig& peer, const Links& links, const Neighbours& neighbours) {
    if (peer.interface.empty() && !peer.address.is_link_local()) {
        return;
    }
    const auto link = peer.interface.empty()
                          ? std::ranges::find_if(links,
                                                 [&](const auto& each) {
                                                     const auto& all = each.second.addresses;
                                                     return peer.local_address &&
                                                            std::ranges::find(all, *peer.local_address) != all.end();
                                                 })
                          : links.find(peer.interface);
    std::string problem;
    if (link == links.end()) {
        problem = peer.interface.empty() ? "a link-local address needs its interface"
                                         : "there is no interface " + peer.interface;
    } else if (!peer.any_neighbour) {
        peer.address = net::with_scope(peer.address, link->second.index);
    } else if (const auto neighbour = neighbours.on(link->second.index)) {
        peer.address = *neighbour;
    } else {
        problem = "no router has been heard on " + peer.interface;
    }
    peer.placed = problem.empty();
    if (peer.problem.empty()) {
        peer.problem = std::move(problem);
    }
}

}  // namespace

bool Neighbours::heard(std::uint32_t interface, const net::Ip& address, Time now, bool in_use) {
    const net::Ip scoped = net::with_scope(address, interface);
    const auto [known, added] = known_.try_emplace(interface, Known{scoped, now});
    if (added) {
        return true;
    }
    Known& neighbour = known->second;
    if (neighbour.address != scoped && (in_use || now - neighbour.at < kSilence)) {
        return false;
    }
    neighbour.at = now;
    return std::exchange(neighbour.address, scoped) != scoped;
}

std::optional<net::Ip> Neighbours::on(std::uint32_t interface) const {
    const auto known = known_.find(interface);
    return known == known_.end() ? std::nullopt : std::optional(known->second.address);
}

void place_on_links(Configuration& configuration, const Links& links, const Neighbours& neighbours) {
    for (PeerConfig& peer : configuration.peers) {
        place(peer, links, neighbours);
    }
}

}  // namespace manul::bgp::speaker
