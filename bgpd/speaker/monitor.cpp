#include "bgpd/speaker/monitor.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <memory>
#include <utility>

#include "bgpd/speaker/route_run.hpp"
#include "bgpd/speaker/speaker_impl.hpp"
#include "bgpd/wire/framer.hpp"

namespace manul::bgp::speaker {

namespace {

/// Stale paths of a peer that sends its table again are still its own; those of a peer that has come back are not,
/// until it announces them.
bool shows_stale(const Peer& peer, net::Family family) {
    return peer.stale[rib::family_index(family)].stage == Stale::Stage::refreshing;
}

/// The mark behind a table.
MonitoredRoutes end_mark(MonitoredTable table, const MonitoredPeer& peer, wire::FamilySet families) {
    MonitoredRoutes routes{table, peer, false, {}};
    wire::UpdateWriter writer(routes.updates, {});
    for (const net::Family family : wire::kFamilies) {
        if (families.has(family)) {
            writer.end_of_rib(family);
        }
    }
    return routes;
}

/// UPDATEs alone: what else a session says is no route.
void append_updates(ByteView messages, Bytes& out) {
    wire::Framer framer(messages, wire::kMaxExtendedMessage);
    for (auto frame = framer.next(); frame && *frame; frame = framer.next()) {
        if ((*frame)->type == wire::MessageType::update) {
            out.insert(out.end(), (*frame)->message.begin(), (*frame)->message.end());
        }
    }
}

}  // namespace

void Speaker::Impl::set_monitoring(bool on) {
    if (std::exchange(monitoring, on) != on) {
        v4.rib().keep_journal(on);
        v6.rib().keep_journal(on);
        count_selected = on;
    }
}

void Speaker::Impl::tell_stations(std::vector<MonitorEvent> events) {
    if (!events.empty()) {
        actions.emplace_back(Monitored{std::make_shared<const std::vector<MonitorEvent>>(std::move(events))});
    }
}

MonitoredPeer Speaker::Impl::monitored_self() const {
    return {std::nullopt, configuration->self.as, configuration->self.router_id.value()};
}

/// Of an established session; the machine may have forgotten it already.
MonitoredPeer Speaker::Impl::far_end(const Peer& peer) const {
    return {peer.config.address, peer.intake.context.remote_as, core.sources[peer.session->outlet.source].router_id};
}

/// The next hop to show for routes that start here.
net::Ip Speaker::Impl::shown_self(net::Family family) const {
    const auto& address = family == net::Family::v4 ? configuration->self.v4 : configuration->self.v6;
    return address ? address->address : family == net::Family::v4 ? net::Ip(net::Ip4()) : net::Ip(net::Ip6());
}

MonitoredUp Speaker::Impl::monitored_up(const Peer& peer) const {
    const auto& link = peer.links[static_cast<std::size_t>(peer.session->direction)];
    return {far_end(peer), peer.session->local, link->remote_port, link->sent_open, link->received_open};
}

void Speaker::Impl::monitor_up(const Peer& peer) {
    if (monitoring) {
        tell_stations({monitored_up(peer)});
    }
}

/// What the session did last is told before its end is.
void Speaker::Impl::monitor_down(const Peer& peer, const fsm::SessionEnd& end) {
    if (!monitoring) {
        return;
    }
    monitor_journal();
    const auto inner = end.notification ? wire::hard_reset_reason(*end.notification) : std::nullopt;
    const bool deconfigured = end.cause == fsm::SessionEnd::Cause::stopped && end.notification &&
                              (inner ? *inner : *end.notification) == wire::make_cease(wire::cease::kPeerDeconfigured);
    tell_stations({MonitoredDown{far_end(peer), end, deconfigured}});
}

/// A peer that came up under a station's eyes has sent its whole table. (The mark that it is sent is among the
/// UPDATEs.)
void Speaker::Impl::monitor_end_of_rib(const Peer& peer, net::Family family) {
    if (!monitoring) {
        return;
    }
    monitor_journal();
    tell_stations({end_mark(MonitoredTable::received, far_end(peer), {family}),
                   end_mark(MonitoredTable::accepted, far_end(peer), {family})});
}

/// Adj-RIB-In: what happened to paths since the last call.
template <class Key>
void Speaker::Impl::monitor_journal(rib::LocRib<Key>& rib, std::vector<MonitorEvent>& out) {
    const Peer* peer = nullptr;
    std::optional<rib::SourceId> of;
    std::optional<RouteRun> received;
    std::optional<RouteRun> accepted;
    const auto end_run = [&] {
        if (received) {
            received->take(out);
            accepted->take(out);
            received.reset();
            accepted.reset();
        }
    };
    for (const rib::PathChange<Key>& change : rib.journal()) {
        if (of != change.source) {
            end_run();
            of = change.source;
            peer = peer_of(change.source);
            if (peer != nullptr && peer->session != nullptr) {
                const bool path_ids = peer->session->update_context.add_path.has(Key::kFamily);
                const MonitoredPeer who = far_end(*peer);
                received.emplace(core, MonitoredRoutes{MonitoredTable::received, who, false, {}}, path_ids);
                accepted.emplace(core, MonitoredRoutes{MonitoredTable::accepted, who, false, {}}, path_ids);
            }
        }
        if (!received) {
            continue;  // stale paths of a peer that is away, or routes of this host
        }
        if (change.stale && !shows_stale(*peer, Key::kFamily)) {
            continue;
        }
        const auto raw = [&](rib::AttributeId id) {
            return id == rib::kNoAttributes ? id : core.attributes.as_received(id);
        };
        const rib::AttributeId any = change.after != rib::kNoAttributes ? change.after : change.before;
        const std::uint32_t path_id = core.attributes[any].path_id;
        const net::Ip self;
        if (raw(change.before) != raw(change.after)) {
            received->add(change.key, raw(change.after), path_id, self);
        }
        if (change.accepted_after) {
            if (!change.accepted_before || change.before != change.after) {
                accepted->add(change.key, change.after, path_id, self);
            }
        } else if (change.accepted_before) {
            accepted->add(change.key, rib::kNoAttributes, path_id, self);
        }
    }
    end_run();
    rib.clear_journal();
}

void Speaker::Impl::monitor_journal() {
    std::vector<MonitorEvent> events;
    monitor_journal(v4.rib(), events);
    monitor_journal(v6.rib(), events);
    tell_stations(std::move(events));
}

/// Loc-RIB: what the turn's decisions changed. The host's own routes are in the tables for export filters alone.
template <class Key>
void Speaker::Impl::monitor_selected(const Family<Key>& family, std::vector<MonitorEvent>& out) {
    std::uint64_t& count = selected[rib::family_index(Key::kFamily)];
    RouteRun run(core, {MonitoredTable::selected, monitored_self(), false, {}}, false);
    const net::Ip self = shown_self(Key::kFamily);
    const auto shown = [&](rib::AttributeId attributes, rib::SourceId source) {
        return policy::is_host_route(core.sources[source].traits.kind) ? rib::kNoAttributes : attributes;
    };
    for (const rib::Change& change : family.changes()) {
        const rib::AttributeId before = shown(change.old_attributes, change.old_source);
        const rib::AttributeId after = shown(change.new_attributes, change.new_source);
        count += (after != rib::kNoAttributes ? 1U : 0U);
        count -= (before != rib::kNoAttributes ? 1U : 0U);
        if (before != after) {
            run.add(family.rib()[change.slot].key(), after, 0, self);
        }
    }
    run.take(out);
    if (count_selected) {  // stations are new: what was there before has not been counted
        count = 0;
        for (rib::Slot slot = 0; slot < family.rib().end(); ++slot) {
            const auto& entry = family.rib()[slot];
            count += !entry.is_unused() && entry.has_selected() &&
                             shown(entry.attributes, entry.source) != rib::kNoAttributes
                         ? 1U
                         : 0U;
        }
    }
}

/// Between decision and messages.
void Speaker::Impl::monitor_decisions() {
    if (!monitoring || !configuration) {
        return;
    }
    monitor_journal();
    std::vector<MonitorEvent> events;
    monitor_selected(v4, events);
    monitor_selected(v6, events);
    count_selected = false;
    tell_stations(std::move(events));
}

/// Adj-RIB-Out: what the turn has written to peers, as it was written.
void Speaker::Impl::monitor_writes() {
    if (!monitoring) {
        return;
    }
    std::vector<MonitorEvent> events;
    std::vector<ByteView> spans;
    for (const Action& action : actions) {
        const Write* const write = std::get_if<Write>(&action);
        const auto known = write != nullptr ? connections.find(write->connection) : connections.end();
        if (known == connections.end() || known->second.peer->session == nullptr ||
            known->second.peer->session->outlet.connection != write->connection) {
            continue;
        }
        const Peer& peer = *known->second.peer;
        MonitoredRoutes routes{MonitoredTable::sent, far_end(peer), !peer.session->update_context.four_octet_as, {}};
        spans.clear();
        write->chunk->append_spans(write->reader, spans);
        for (const ByteView span : spans) {
            append_updates(span, routes.updates);
        }
        if (!routes.updates.empty()) {
            events.emplace_back(std::move(routes));
        }
    }
    tell_stations(std::move(events));
}

// ---- what was there before a station came ---------------------------------------------------------------------------

std::vector<MonitorEvent> Speaker::monitor_sessions() const {
    std::vector<MonitorEvent> out;
    if (!impl_->configuration) {
        return out;
    }
    // RFC 9069 section 5.2: the OPENs of the Loc-RIB are made up and say how its routes are written.
    const Self& self = impl_->configuration->self;
    wire::Open open{.as = self.as, .identifier = self.router_id, .hold_time = 0, .capabilities = {}};
    open.capabilities.four_octet_as = self.as.number();
    open.capabilities.extended_next_hop = {wire::ipv4_over_ipv6()};
    open.capabilities.extended_message = true;
    for (const net::Family family : wire::kFamilies) {
        open.capabilities.multiprotocol.push_back(wire::AfiSafi::of(family));
    }
    MonitoredUp own{impl_->monitored_self(), {net::Ip(net::Ip4()), 0}, 0, {}, {}};
    wire::encode_open(open, own.sent_open);
    own.received_open = own.sent_open;
    out.emplace_back(std::move(own));
    for (const auto& peer : impl_->peers) {
        if (peer->session != nullptr) {
            out.emplace_back(impl_->monitored_up(*peer));
        }
    }
    return out;
}

template <class Key>
void Speaker::Impl::monitor_part(Family<Key>& family, rib::Slot from, rib::Slot to, std::vector<MonitorEvent>& out) {
    const rib::LocRib<Key>& rib = family.rib();
    struct Runs {
        RouteRun received;
        RouteRun accepted;
    };
    std::map<rib::SourceId, std::optional<Runs>> of_source;
    RouteRun best(core, {MonitoredTable::selected, monitored_self(), false, {}}, false);
    const net::Ip self = shown_self(Key::kFamily);
    for (rib::Slot slot = from; slot < to; ++slot) {
        if (!rib.table().is_used(slot)) {
            continue;
        }
        const Key key = rib[slot].key();
        rib.each_path(slot, [&](const rib::Path& path) {
            if (path.flags.selected() && !policy::is_host_route(core.sources[path.source].traits.kind)) {
                best.add(key, path.attributes, 0, self);
            }
            const auto [at, added] = of_source.try_emplace(path.source);
            if (const Peer* peer = added ? peer_of(path.source) : nullptr;
                peer != nullptr && peer->session != nullptr) {
                const bool path_ids = peer->session->update_context.add_path.has(Key::kFamily);
                const MonitoredPeer who = far_end(*peer);
                at->second.emplace(RouteRun(core, {MonitoredTable::received, who, false, {}}, path_ids),
                                   RouteRun(core, {MonitoredTable::accepted, who, false, {}}, path_ids));
            }
            if (at->second && (!rib.stale(path) || shows_stale(*peer_of(path.source), Key::kFamily))) {
                const std::uint32_t path_id = core.attributes[path.attributes].path_id;
                at->second->received.add(key, core.attributes.as_received(path.attributes), path_id, self);
                if (path.flags.accepted()) {
                    at->second->accepted.add(key, path.attributes, path_id, self);
                }
            }
        });
    }
    for (auto& [source, runs] : of_source) {
        if (runs) {
            runs->received.take(out);
            runs->accepted.take(out);
        }
    }
    best.take(out);
    family.each_group([&](UpdateGroup<Key>& group) {
        const rib::ChunkPtr chunk = group.out().told(from, to - from);
        if (!chunk) {
            return;
        }
        group.each_reader([&](const Outlet& reader) {
            const Peer* const peer = peer_of(reader.source);
            if (peer == nullptr || peer->session == nullptr) {
                return;
            }
            MonitoredRoutes routes{
                MonitoredTable::sent, far_end(*peer), !peer->session->update_context.four_octet_as, {}};
            std::vector<ByteView> spans;
            chunk->append_spans(reader.source, spans);
            for (const ByteView span : spans) {
                append_updates(span, routes.updates);
            }
            if (!routes.updates.empty()) {
                out.emplace_back(std::move(routes));
            }
        });
    });
}

/// RFC 7854 section 5: a mark stands behind each table.
void Speaker::Impl::monitor_marks(std::vector<MonitorEvent>& out) const {
    out.emplace_back(end_mark(MonitoredTable::selected, monitored_self(), {net::Family::v4, net::Family::v6}));
    for (const auto& peer : peers) {
        if (peer->session != nullptr) {
            for (const auto table : {MonitoredTable::received, MonitoredTable::accepted, MonitoredTable::sent}) {
                out.emplace_back(end_mark(table, far_end(*peer), peer->session->families));
            }
        }
    }
}

MonitoredSelf Speaker::monitored_self() const {
    return {impl_->configuration ? impl_->monitored_self() : MonitoredPeer{}, impl_->selected};
}

MonitorPart Speaker::monitor_tables(Cursor from, std::size_t slots) {
    MonitorPart part;
    Impl& impl = *impl_;
    const bool v4 = from.family == net::Family::v4;
    const rib::Slot end = v4 ? impl.v4.rib().end() : impl.v6.rib().end();
    const auto to = static_cast<rib::Slot>(std::min<std::size_t>(end, std::size_t{from.slot} + slots));
    if (impl.configuration && from.slot < to) {
        v4 ? impl.monitor_part(impl.v4, from.slot, to, part.events)
           : impl.monitor_part(impl.v6, from.slot, to, part.events);
    }
    if (to < end) {
        part.next = Cursor{from.family, to};
    } else if (v4) {
        part.next = Cursor{net::Family::v6, 0};
    } else if (impl.configuration) {
        impl.monitor_marks(part.events);
    }
    return part;
}

}  // namespace manul::bgp::speaker
