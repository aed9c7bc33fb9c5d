#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "bgpd/speaker/bfd_session.hpp"
#include "bgpd/speaker/speaker_impl.hpp"

/// Routes that outlive what announced them: over our own restart and that of a peer (RFC 4724, 8538, 9494), and while a
/// peer sends its table again (RFC 7313). A path is stale when its generation is not its source's; stale paths are used
/// like others until the stage that its peer is in ends.
namespace manul::bgp::speaker {

// ---- our own restart ------------------------------------------------------------------------------------------------

void Speaker::Impl::on(const KernelRoutes& event) {
    if (!std::exchange(heard_kernel, true)) {
        preserved_at_start = event.families;
    }
    kernel_routes = event.families;
    for (const auto& peer : peers) {
        offer_restart(*peer);
    }
}

/// The first configuration has come.
void Speaker::Impl::begin_start() {
    started = now;
    deferring = !preserved_at_start.empty();
    v4.hold(deferring);
    v6.hold(deferring);
    arm(now + kReconnectWait);
}

/// RFC 4724 section 4.1: peers that restart, too, wait for us; those without the capability have forgotten us anyway.
bool Speaker::Impl::selection_ready() const {
    if (!configuration || !originated_routes) {
        return false;
    }
    const bool patient = now < started + kReconnectWait;
    return now >= started + kSelectionDeferral || std::ranges::all_of(peers, [&](const auto& peer) {
               if (!peer->wanted_up() && !peer->looked_for()) {
                   return true;
               }
               return peer->session != nullptr ? !peer->session->awaited() : !patient;
           });
}

void Speaker::Impl::end_deferral() {
    deferring = false;
    v4.hold(false);
    v6.hold(false);
    for (const auto& peer : peers) {
        offer_restart(*peer);
    }
}

/// Tells the outside once that the kernel routes named so far are all there are.
void Speaker::Impl::complete_fib() {
    if (fib_complete || !configuration || !originated_routes || more_work || unfinished || deferring) {
        return;
    }
    const bool loaded = std::ranges::all_of(peers, [](const auto& peer) {
        return (!peer->wanted_up() && !peer->looked_for()) || (peer->session != nullptr && peer->session->loaded());
    });
    if (loaded || now >= started + kSelectionDeferral) {
        fib_complete = true;
        actions.emplace_back(FibComplete{});
    }
}

/// What the next OPEN says. The forwarding bits of the first one speak of the earlier run; later ones of this run,
/// whose routes the peer may still have.
void Speaker::Impl::offer_restart(Peer& peer) {
    RestartState state;
    state.restarting = deferring;
    state.preserved = peer.was_up ? kernel_routes : preserved_at_start & kernel_routes;
    peer.machine.set_settings(peer_settings(peer.config, configuration->self, state));
}

/// Where RFC 8538 is spoken the peer is told; else a connection that just ends is what it takes for a restart.
void Speaker::Impl::on(const Finish& /*event*/) {
    for (const auto& peer : peers) {
        const wire::Negotiated* negotiated = peer->machine.negotiated();
        const bool may_tell = negotiated != nullptr && negotiated->notification_restart;
        feed(*peer, fsm::event::Stop{wire::make_cease(wire::cease::kAdministrativeReset), !may_tell});
    }
    finished = true;
}

/// Nothing of this node stays with peers or in the kernel.
void Speaker::Impl::leave(std::string_view text) {
    left = true;
    set_local_routes({});
    for (const auto& peer : peers) {
        stop(*peer, wire::cease::kAdministrativeShutdown, text);
        peer->shut_down = true;
        report(*peer);
    }
    if (deferring) {
        end_deferral();
    }
    unfinished = true;
}

// ---- a peer's restart -----------------------------------------------------------------------------------------------

void Speaker::Impl::set_stage(Peer& peer, net::Family family, Stale::Stage stage, std::chrono::seconds length) {
    Stale& stale = peer.stale[rib::family_index(family)];
    stale.stage = stage;
    stale.until = now + length;
    arm(stale.until);
}

void Speaker::Impl::mark_stale(const Peer& peer, net::Family family) {
    const bool refreshing = peer.stale[rib::family_index(family)].stage == Stale::Stage::refreshing;
    const auto already = refreshing ? rib::AlreadyStale::stays : rib::AlreadyStale::goes;
    family == net::Family::v4 ? v4.rib().mark_stale(*peer.source(), already)
                              : v6.rib().mark_stale(*peer.source(), already);
    unfinished = true;
}

/// The session is gone: keeps the routes of the families that the peer will come back with.
void Speaker::Impl::retain(Peer& peer, const fsm::SessionEnd& end) {
    const Session& session = *peer.session;
    const rib::SourceId source = session.outlet.source;
    wire::FamilySet kept;
    for (const net::Family family : wire::kFamilies) {
        if (end.graceful && session.peer_restart && session.peer_restart->has(family) &&
            core.sources[source].counts[rib::family_index(family)].received > 0) {
            kept.add(family);
        }
    }
    if (kept.empty()) {
        peer.stale = {};
        core.sources[source].lost = true;
        start_sweep(Sweep::affected);
        return;
    }
    peer.retained = source;
    for (const net::Family family : wire::kFamilies) {
        mark_stale(peer, family);
        peer.stale[rib::family_index(family)] = {};
        if (!kept.has(family)) {
            core.sources[source].drop_stale[rib::family_index(family)] = true;
            start_sweep(Sweep::affected);
            continue;
        }
        const auto* long_lived = session.peer_long_restart ? session.peer_long_restart->find(family) : nullptr;
        peer.stale[rib::family_index(family)].long_lived_seconds = long_lived != nullptr ? long_lived->seconds : 0;
        set_stage(peer, family, Stale::Stage::absent, std::chrono::seconds(session.peer_restart->seconds));
    }
}

/// The peer is back: the source of the routes that were kept, if they may stay.
std::optional<rib::SourceId> Speaker::Impl::resume(Peer& peer, const rib::Source& source,
                                                   const wire::Negotiated& negotiated) {
    if (!peer.retained) {
        return std::nullopt;
    }
    const rib::SourceId id = *peer.retained;
    if (core.sources[id].traits != source.traits || core.sources[id].router_id != source.router_id ||
        core.sources[id].add_path != source.add_path) {
        forget_routes(peer);
        return std::nullopt;
    }
    peer.retained.reset();
    const auto& restart = negotiated.peer_graceful_restart;
    const auto& long_restart = negotiated.peer_long_lived_restart;
    for (const net::Family family : wire::kFamilies) {
        const Stale::Stage stage = peer.stale[rib::family_index(family)].stage;
        const bool comes_again = negotiated.families.has(family);  // whatever the capability says beside it
        // RFC 4724 section 4.2, RFC 9494 section 4.2: routes stay when forwarding did.
        if (stage == Stale::Stage::absent && comes_again && restart && restart->forwarding_kept(family)) {
            set_stage(peer, family, Stale::Stage::returning, kStalePathTime);
        } else if (const auto* entry = long_restart && comes_again ? long_restart->find(family) : nullptr;
                   stage != Stale::Stage::none &&
                   (stage != Stale::Stage::long_lived || entry == nullptr || !entry->forwarding_kept)) {
            peer.stale[rib::family_index(family)] = {};
            core.sources[id].drop_stale[rib::family_index(family)] = true;
            start_sweep(Sweep::affected);
        }
    }
    return id;
}

/// Nobody waits for the family's stale routes any more.
void Speaker::Impl::drop_stale(Peer& peer, net::Family family) {
    peer.stale[rib::family_index(family)] = {};
    const bool last =
        std::ranges::all_of(peer.stale, [](const Stale& each) { return each.stage == Stale::Stage::none; });
    if (const auto source = peer.source()) {
        core.sources[*source].drop_stale[rib::family_index(family)] = true;
    }
    if (peer.session == nullptr && last) {
        forget_routes(peer);
    }
    start_sweep(Sweep::affected);
}

/// The routes of a session that is gone go, too.
void Speaker::Impl::forget_routes(Peer& peer) {
    if (peer.retained) {
        core.sources[*std::exchange(peer.retained, std::nullopt)].lost = true;
        peer.stale = {};
        start_sweep(Sweep::affected);
    }
}

void Speaker::Impl::expire_stale(Peer& peer) {
    for (const net::Family family : wire::kFamilies) {
        Stale& stale = peer.stale[rib::family_index(family)];
        if (stale.stage == Stale::Stage::none) {
            continue;
        }
        if (now < stale.until) {
            arm(stale.until);
        } else if (stale.stage == Stale::Stage::absent && stale.long_lived_seconds > 0 && peer.retained) {
            set_stage(peer, family, Stale::Stage::long_lived, std::chrono::seconds(stale.long_lived_seconds));
            core.sources[*peer.retained].long_lived[rib::family_index(family)] = true;
            start_sweep(Sweep::affected);
        } else {
            drop_stale(peer, family);
        }
    }
}

void Speaker::Impl::end_of_rib(Peer& peer, net::Family family) {
    peer.session->end_of_rib[rib::family_index(family)] = true;
    monitor_end_of_rib(peer, family);
    const Stale::Stage stage = peer.stale[rib::family_index(family)].stage;
    if (stage == Stale::Stage::returning || stage == Stale::Stage::long_lived) {
        drop_stale(peer, family);
    }
}

// ---- BFD ------------------------------------------------------------------------------------------------------------

/// Asks for the BFD sessions that the peers of now and the addresses of now give.
void Speaker::Impl::update_bfd_sessions() {
    std::vector<bfd::SessionConfig> wanted;
    for (const auto& peer : peers) {
        const auto& bfd = peer->config.bfd ? peer->config.bfd : peer->lingering_bfd;
        const auto before = peer->bfd_asked;
        peer->bfd_asked = peer->config.placed
                              ? bfd_session(peer->config, bfd, local_addresses, peer->bfd_up ? before : std::nullopt)
                              : std::nullopt;
        peer->bfd_up = peer->bfd_up && before && peer->bfd_asked && bfd::same_path(*before, *peer->bfd_asked);
        if (peer->bfd_asked) {
            wanted.push_back(*peer->bfd_asked);
        }
    }
    if (wanted != bfd_sessions) {
        bfd_sessions = std::move(wanted);
        actions.emplace_back(SetBfdSessions{bfd_sessions});
    }
}

/// RFC 5882 section 4.3, RFC 9384.
void Speaker::Impl::on(const BfdChanged& event) {
    Peer* const peer = find_peer(event.peer);
    if (peer == nullptr) {
        return;
    }
    peer->bfd_up = event.up;
    if (event.up) {
        return;
    }
    peer->lingering_bfd.reset();
    update_bfd_sessions();  // it need not go on, or may have to take another way
    if (event.on_purpose || peer->session == nullptr || !peer->config.bfd) {
        return;
    }
    if (peer->config.bfd->graceful) {
        const auto direction = peer->session->direction;
        auto& link = peer->link(direction);
        actions.emplace_back(Close{link->id, false});
        connections.erase(link->id);
        link.reset();
        feed(*peer, fsm::event::Lost{direction, "BFD down"});
    } else {
        stop(*peer, wire::cease::kBfdDown);
        start(*peer);
    }
    report(*peer);
}

}  // namespace manul::bgp::speaker
