#include <algorithm>
#include <utility>

#include "bgpd/speaker/speaker_impl.hpp"
#include "bgpd/wire/community.hpp"
#include "bgpd/wire/path_attributes.hpp"

namespace manul::bgp::speaker {

namespace {

/// The session is not expected back soon, so neither side keeps routes (RFC 8538 section 5).
bool is_final(std::uint8_t cease) {
    return cease == wire::cease::kAdministrativeShutdown || cease == wire::cease::kPeerDeconfigured ||
           cease == wire::cease::kMaxPrefixes || cease == wire::cease::kBfdDown;
}

/// Everything else changes under a running session.
bool same_session(PeerConfig a, const PeerConfig& b) {
    a.name = b.name;
    a.origin = b.origin;
    a.port = b.port;
    a.passive = b.passive;
    a.reachable_by = b.reachable_by;
    a.max_prefixes = b.max_prefixes;
    a.max_prefixes_warning = b.max_prefixes_warning;
    a.bfd = b.bfd;
    a.filters = b.filters;
    a.rules = b.rules;
    a.next_hop_mode = b.next_hop_mode;
    a.allowed_own_as = b.allowed_own_as;
    return a == b;
}

/// Of a peer without a session: what comes of the next attempt is the same.
bool same_attempt(const PeerConfig& a, const PeerConfig& b) {
    return a.port == b.port && a.passive == b.passive && a.max_prefixes == b.max_prefixes;
}

/// What our OPEN says of us, and the families in which routes can be told at all.
bool same_speaker(const Self& a, const Self& b) {
    return a.node_name == b.node_name && a.as == b.as && a.router_id == b.router_id &&
           a.v4.has_value() == b.v4.has_value() && a.v6.has_value() == b.v6.has_value();
}

/// What routes are told with.
bool same_announcer(const Self& a, const Self& b) {
    return a.v4 == b.v4 && a.v6 == b.v6 && a.cluster_id == b.cluster_id;
}

std::shared_ptr<const policy::Markings> make_markings(const std::vector<Tagging>& taggings) {
    std::vector<policy::Marking> markings;
    for (const Tagging& tagging : taggings) {
        policy::Marking& marking = markings.emplace_back(policy::Marking{tagging.within, {}});
        std::ranges::for_each(tagging.communities, [&](auto community) {
            marking.operations.emplace_back(policy::AddCommunity{community});
        });
        std::ranges::for_each(tagging.large_communities, [&](auto community) {
            marking.operations.emplace_back(policy::AddCommunity{community});
        });
    }
    return markings.empty() ? nullptr : std::make_shared<const policy::Markings>(markings);
}

std::vector<net::Ip> listen_addresses(const Configuration& configuration) {
    std::vector<net::Ip> addresses;
    if (configuration.listen_on_node_address) {
        for (const auto& address : {configuration.self.v4, configuration.self.v6}) {
            if (address) {
                addresses.push_back(address->address);
            }
        }
    }
    return addresses;
}

}  // namespace

void Speaker::Impl::on(const Configure& event) {
    static const Configuration nothing;
    const auto before_holder = std::exchange(configuration, event.configuration);
    const Configuration& before = before_holder ? *before_holder : nothing;
    const bool first = before_holder == nullptr;
    if (first) {
        begin_start();
    }
    if (first || before.listen_port != configuration->listen_port ||
        listen_addresses(before) != listen_addresses(*configuration)) {
        actions.emplace_back(Listen{configuration->listen_port, listen_addresses(*configuration)});
    }
    apply_routing(before);
    set_monitoring(!configuration->stations.empty());

    for (std::size_t i = peers.size(); i-- > 0;) {
        const PeerConfig& now_there = peers[i]->config;
        const bool wanted = std::ranges::any_of(configuration->peers,
                                                [&](const PeerConfig& each) { return each.same_peer(now_there); });
        const PeerConfig* const range = !wanted && now_there.range ? range_of(now_there.address) : nullptr;
        if (range != nullptr && range->range == now_there.range) {
            PeerConfig changed = *range;
            changed.address = now_there.address;
            change_peer(*peers[i], changed, before.self);
        } else if (!wanted) {
            remove_peer(i);
        }
    }
    expect_ranges(before);
    for (const PeerConfig& wanted : configuration->peers) {
        if (Peer* const known = find_peer(wanted)) {
            change_peer(*known, wanted, before.self);
            continue;
        }
        Peer& peer = add_peer(wanted);
        expect(peer);
        start(peer);
    }
    apply_filters();
    apply_host_routes();
    update_bfd_sessions();
    unfinished = true;
}

/// What concerns routes: decision options, ranges, kernel.
void Speaker::Impl::apply_routing(const Configuration& before) {
    const Configuration& wanted = *configuration;
    core.options = {wanted.multipath.max, wanted.multipath.relax};
    core.sources[rib::kLocalSource].router_id = wanted.self.router_id.value();
    v4.set_kernel(wanted.program_kernel, net::PrefixRanges(wanted.kept_from_kernel));
    v6.set_kernel(wanted.program_kernel, net::PrefixRanges(wanted.kept_from_kernel));
    if (before.multipath != wanted.multipath || before.kept_from_kernel != wanted.kept_from_kernel ||
        before.program_kernel != wanted.program_kernel) {
        start_sweep(Sweep::everything);
    }
    if (before.relayable != wanted.relayable) {
        relayable = std::make_shared<const net::PrefixRanges>(wanted.relayable);
    }
    if (before.tagging != wanted.tagging) {
        markings = make_markings(wanted.tagging);
    }
    if (before.local_preference_v4 != wanted.local_preference_v4 ||
        before.local_preference_v6 != wanted.local_preference_v6) {
        for (const LocalRoute& route : local_routes) {
            announce_local(route);
        }
    }
}

Peer& Speaker::Impl::add_peer(const PeerConfig& wanted) {
    const auto seed =
        static_cast<std::uint32_t>(std::hash<net::Ip>{}(wanted.address)) ^ configuration->self.router_id.value();
    peers.push_back(std::make_unique<Peer>(wanted, configuration->self,
                                           RestartState{deferring, preserved_at_start & kernel_routes}, seed));
    peers.back()->shut_down = left;
    if (wanted.placed) {
        peer_by_address[wanted.address] = peers.back().get();
    }
    dynamic_peers += wanted.range ? 1U : 0U;
    return *peers.back();
}

/// Connections from the peer's address are welcome from now on.
void Speaker::Impl::expect(const Peer& peer) {
    if (peer.config.placed && !peer.config.range) {
        actions.emplace_back(ExpectPeer{peer.config.address, socket_options(peer.config)});
    }
}

/// The opposite, for a peer that goes or gets another address.
void Speaker::Impl::unexpect(const Peer& peer) {
    if (!peer.config.placed) {
        return;
    }
    if (!peer.config.range) {
        actions.emplace_back(ForgetPeer{peer.config.address});
    }
    peer_by_address.erase(peer.config.address);
}

void Speaker::Impl::start(Peer& peer) {
    if (peer.wanted_up()) {
        feed(peer, fsm::event::Start{});
    } else {
        report(peer);
    }
}

void Speaker::Impl::stop(Peer& peer, std::uint8_t cease, std::string_view text) {
    if (peer.machine.running()) {
        wire::Notification why = wire::make_cease(cease, text);
        const wire::Negotiated* negotiated = peer.machine.negotiated();
        // With RFC 8538 a plain NOTIFICATION lets the peer keep our routes.
        if (negotiated != nullptr && negotiated->notification_restart && is_final(cease)) {
            why = wire::make_hard_reset(why);
        }
        feed(peer, fsm::event::Stop{std::move(why), false});
    }
    if (is_final(cease)) {
        forget_routes(peer);
    }
}

void Speaker::Impl::change_peer(Peer& peer, const PeerConfig& wanted, const Self& before) {
    if (same_session(peer.config, wanted) && same_speaker(before, configuration->self) &&
        (peer.session != nullptr || same_attempt(peer.config, wanted))) {
        change_session(peer, wanted, before);
        return;
    }
    stop(peer, wire::cease::kConfigurationChange);
    change_intake(peer, wanted);  // for routes that are kept
    dynamic_peers -= peer.config.range ? 1U : 0U;
    dynamic_peers += wanted.range ? 1U : 0U;
    const bool moved = peer.config.placed != wanted.placed || peer.config.address != wanted.address;
    if (moved) {
        forget_routes(peer);  // another router on the link
        unexpect(peer);
    }
    peer.config = wanted;
    if (moved && wanted.placed) {
        peer_by_address[wanted.address] = &peer;
    }
    peer.held_down = obstacle(wanted);
    offer_restart(peer);
    expect(peer);
    start(peer);
}

/// The session, if there is one, goes on: what the peer sent is judged again where it is, and the peer is told what
/// differs.
void Speaker::Impl::change_session(Peer& peer, const PeerConfig& wanted, const Self& before) {
    const bool told_otherwise = peer.config.filters != wanted.filters ||
                                peer.config.next_hop_mode != wanted.next_hop_mode ||
                                !same_announcer(before, configuration->self);
    const bool other_limit = peer.config.max_prefixes != wanted.max_prefixes;
    const bool other_attempts = peer.config.passive != wanted.passive;
    change_intake(peer, wanted);
    // Neighbours that take AdminDown, or silence, for a failure of the path (BIRD does) would end the session over a
    // change of ours: BFD goes on without a say until they stop it, too.
    peer.lingering_bfd = !wanted.bfd && peer.session != nullptr && peer.bfd_up
                             ? (peer.config.bfd ? peer.config.bfd : peer.lingering_bfd)
                             : std::nullopt;
    peer.config = wanted;
    if (other_attempts) {
        offer_restart(peer);  // what the next connection is made with
    }
    if (peer.session != nullptr && told_otherwise) {
        join_groups(peer, *peer.machine.negotiated());
        unfinished = true;
    }
    if (peer.session != nullptr && other_limit) {
        check_prefix_limit(peer);
    }
}

void Speaker::Impl::remove_peer(std::size_t index) {
    Peer& peer = *peers[index];
    stop(peer, wire::cease::kPeerDeconfigured);
    report_removed(peer);
    dynamic_peers -= peer.config.range ? 1U : 0U;
    unexpect(peer);
    peers.erase(peers.begin() + static_cast<std::ptrdiff_t>(index));
}

void Speaker::Impl::on(const Originate& event) {
    originated_routes = event.routes;
    set_local_routes(left ? std::vector<LocalRoute>() : *event.routes);
    unfinished = true;
}

void Speaker::Impl::set_local_routes(const std::vector<LocalRoute>& wanted) {
    std::vector<LocalRoute> sorted = wanted;
    std::ranges::sort(sorted);
    const auto duplicates = std::ranges::unique(sorted, {}, &LocalRoute::prefix);
    sorted.erase(duplicates.begin(), duplicates.end());
    for (const LocalRoute& route : local_routes) {
        const auto same = std::ranges::lower_bound(sorted, route.prefix, {}, &LocalRoute::prefix);
        if (same == sorted.end() || same->prefix != route.prefix) {
            withdraw(route.prefix, rib::kLocalSource);
        }
    }
    for (const LocalRoute& route : sorted) {
        announce_local(route);
    }
    local_routes = std::move(sorted);
}

std::uint32_t Speaker::Impl::own_local_preference(net::Family family) const {
    if (!configuration) {
        return policy::kDefaultLocalPref;
    }
    return family == net::Family::v4 ? configuration->local_preference_v4 : configuration->local_preference_v6;
}

/// Of a route that starts at this host.
Bytes Speaker::Impl::own_attributes(bool advertise, std::uint32_t local_pref) {
    wire::PathAttributes attributes;
    attributes.origin = wire::Origin::igp;
    attributes.local_pref = local_pref;
    if (!advertise) {
        attributes.add(wire::kNoAdvertise);
    }
    Bytes canonical;
    wire::encode_attributes(attributes, canonical);
    return canonical;
}

void Speaker::Impl::announce_local(const LocalRoute& route) {
    const Bytes attributes = own_attributes(route.advertise, own_local_preference(route.prefix.family()));
    const rib::AttributeId id = route.gateway ? core.attributes.intern(attributes, {*route.gateway, std::nullopt})
                                              : core.attributes.intern_local(attributes);
    announce(route.prefix, rib::kLocalSource, id, rib::PathFlags::local(route.blackhole));
    core.attributes.release(id);
}

void Speaker::Impl::announce(const net::Prefix& prefix, rib::SourceId source, rib::AttributeId attributes,
                             rib::PathFlags flags) {
    if (prefix.family() == net::Family::v4) {
        v4.rib().announce(net::PrefixKey4::from(prefix), source, attributes, flags);
    } else {
        v6.rib().announce(net::PrefixKey6::from(prefix), source, attributes, flags);
    }
}

void Speaker::Impl::withdraw(const net::Prefix& prefix, rib::SourceId source) {
    if (prefix.family() == net::Family::v4) {
        v4.rib().withdraw(net::PrefixKey4::from(prefix), source);
    } else {
        v6.rib().withdraw(net::PrefixKey6::from(prefix), source);
    }
}

}  // namespace manul::bgp::speaker
