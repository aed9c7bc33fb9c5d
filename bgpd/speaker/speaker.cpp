#include "bgpd/speaker/speaker.hpp"

#include <algorithm>
#include <utility>
#include <variant>

#include "bgpd/speaker/speaker_impl.hpp"
#include "bgpd/wire/route_refresh.hpp"

namespace manul::bgp::speaker {

Speaker::Speaker() : impl_(std::make_unique<Impl>()) {}

Speaker::Impl::Impl() {
    rib::Source source;
    source.traits.kind = policy::SourceKind::connected;
    connected_source = *core.sources.add(source);
    source.traits.kind = policy::SourceKind::kernel;
    kernel_source = *core.sources.add(source);
}

Speaker::~Speaker() = default;

Speaker::Outcome Speaker::handle(const Event& event, Time now) {
    impl_->now = now;
    impl_->actions.clear();
    impl_->consumed = 0;
    std::visit([&](const auto& what) { impl_->on(what); }, event);
    return {impl_->actions, impl_->consumed};
}

std::optional<Time> Speaker::next_deadline() const { return impl_->earliest; }

bool Speaker::busy() const { return !impl_->finished && (impl_->more_work || impl_->unfinished); }

Peer* Speaker::Impl::find_peer(const net::Ip& address) noexcept {
    const auto peer = peer_by_address.find(address);
    return peer == peer_by_address.end() ? nullptr : peer->second;
}

Peer* Speaker::Impl::find_peer(const PeerConfig& wanted) noexcept {
    if (wanted.interface.empty() && wanted.placed) {
        return find_peer(wanted.address);
    }
    const auto same = [&](const auto& peer) { return peer->config.same_peer(wanted); };
    const auto found = std::ranges::find_if(peers, same);
    return found == peers.end() ? nullptr : found->get();
}

void Speaker::Impl::on(const TurnEnd& /*event*/) {
    if (finished) {
        return;
    }
    unfinished = false;
    if (deferring && selection_ready()) {
        end_deferral();
    }
    judge_slice();
    forget_idle();
    auto fib = std::make_shared<std::vector<FibChange>>();
    v4.decide(*fib);
    v6.decide(*fib);
    monitor_decisions();
    fib_groups.take_definitions(actions);
    if (!fib->empty()) {
        actions.emplace_back(FibBatch{std::move(fib)});
    }
    fib_groups.take_removals(actions);
    const bool more4 = v4.send(actions);
    const bool more6 = v6.send(actions);
    monitor_writes();
    more_work = more4 || more6 || judging;
    core.next_hops.end_turn();
    end_sweep();
    watch_next_hops();
    complete_fib();
}

void Speaker::Impl::on(const Tick& /*event*/) {
    if (earliest && *earliest <= now) {
        earliest.reset();
        for (std::size_t i = 0; i < peers.size(); ++i) {
            const auto due = peers[i]->machine.next_deadline();
            if (due && *due <= now) {
                feed(*peers[i], fsm::event::Tick{});
            } else if (due) {
                arm(*due);
            }
            expire_stale(*peers[i]);
        }
        for (const std::chrono::seconds wait : {kReconnectWait, kSelectionDeferral}) {
            if (fib_complete || !configuration) {
                break;
            }
            if (now < started + wait) {
                arm(started + wait);
            } else {
                unfinished = true;  // a wait may be over
            }
        }
    }
}

void Speaker::Impl::arm(Time deadline) noexcept {
    if (!earliest || deadline < *earliest) {
        earliest = deadline;
    }
}

void Speaker::Impl::on(const Backlog& event) {
    const auto connection = connections.find(event.connection);
    if (connection == connections.end()) {
        return;
    }
    Peer& peer = *connection->second.peer;
    const fsm::Direction direction = connection->second.direction;
    if (peer.session != nullptr && peer.session->direction == direction) {
        peer.session->outlet.backlog = event.bytes;
        unfinished = true;  // long work may go on
    }
    feed(peer, fsm::event::Backlog{direction, event.bytes > 0});
}

void Speaker::Impl::on(const NextHopChanged& event) {
    fib_groups.resolve(event.next_hop, event.resolution);
    const auto metric =
        event.resolution ? std::optional<std::uint32_t>(event.resolution->metric) : std::optional<std::uint32_t>{};
    const rib::InterfaceId interface =
        event.resolution ? core.interfaces.id(event.resolution->interface_name) : rib::kNoInterface;
    const bool other_interface = core.next_hops.interface_of(event.next_hop) != interface;
    if (core.next_hops.resolve(event.next_hop, metric, interface)) {
        start_sweep(Sweep::affected);
    }
    if (other_interface) {
        interface_changed();
    }
    unfinished = true;
}

void Speaker::Impl::on(const LocalAddresses& event) {
    local_addresses = event.addresses;
    std::vector<net::Ip> addresses;
    addresses.reserve(event.addresses.size());
    for (const net::InterfaceAddress& address : event.addresses) {
        addresses.push_back(address.address);
    }
    update_bfd_sessions();
    for (const auto& peer : peers) {
        if (peer->session != nullptr && peer->intake.context.external &&
            peer->session->shared_link != shared_link(peer->config.address)) {
            join_groups(*peer, *peer->machine.negotiated());  // next hops are to be told anew
            unfinished = true;
        }
    }
    policy::OwnAddresses current(std::move(addresses));
    if (current == own_addresses) {
        return;
    }
    own_addresses = std::move(current);
    for (const auto& peer : peers) {
        judge_again(*peer);
    }
}

void Speaker::Impl::on(const PeerCommand& event) {
    if (event.what == PeerCommand::What::leave) {
        return leave(event.text);
    }
    if (event.what == PeerCommand::What::enable && !event.peer && std::exchange(left, false) && originated_routes) {
        set_local_routes(*originated_routes);
        unfinished = true;
    }
    for (const auto& peer : peers) {
        if (event.peer && *event.peer != peer->config.address) {
            continue;
        }
        switch (event.what) {
            case PeerCommand::What::reset:
                stop(*peer, wire::cease::kAdministrativeReset, event.text);
                start(*peer);
                break;
            case PeerCommand::What::shutdown:
                stop(*peer, wire::cease::kAdministrativeShutdown, event.text);
                peer->shut_down = true;
                report(*peer);
                break;
            case PeerCommand::What::leave:
                break;
            case PeerCommand::What::enable:
                peer->shut_down = false;
                start(*peer);
                break;
            case PeerCommand::What::refresh_in:
                if (peer->session != nullptr && peer->machine.negotiated()->route_refresh) {
                    Bytes bytes;
                    for (const net::Family family : wire::kFamilies) {
                        if (peer->session->families.has(family)) {
                            wire::encode_route_refresh(family, wire::RouteRefresh::Kind::request, bytes);
                            ++peer->messages_out;
                        }
                    }
                    send_bytes(peer->session->outlet.connection, std::move(bytes));
                }
                break;
            case PeerCommand::What::refresh_out:
                if (peer->session != nullptr) {
                    v4.repeat(peer->session->outlet);
                    v6.repeat(peer->session->outlet);
                    unfinished = true;
                }
                break;
        }
    }
}

/// Both families are gone over, always together: what is looked for (a lost session, a next hop) concerns both.
void Speaker::Impl::start_sweep(Sweep what) {
    v4.start_sweep(what);
    v6.start_sweep(what);
    unfinished = true;
}

/// When no table is being gone over any more, nothing refers to lost sessions.
void Speaker::Impl::end_sweep() {
    if (v4.unswept() || v6.unswept()) {
        return;
    }
    core.next_hops.clear_changed();
    for (std::size_t i = 1; i < core.sources.size(); ++i) {
        const rib::SourceId id(static_cast<std::uint16_t>(i));
        rib::Source& source = core.sources[id];
        for (std::size_t family = 0; family < source.drop_stale.size(); ++family) {
            source.has_stale[family] = source.has_stale[family] && !source.drop_stale[family];
            source.drop_stale[family] = false;
            source.long_lived[family] = false;
        }
        if (source.lost) {
            core.sources.remove(id);
        }
    }
}

void Speaker::Impl::watch_next_hops() {
    for (const auto& watch : core.next_hops.take_watches()) {
        actions.emplace_back(TrackNextHop{watch.address, watch.wanted});
        if (!watch.wanted) {
            fib_groups.resolve(watch.address, std::nullopt);
        }
    }
}

}  // namespace manul::bgp::speaker
