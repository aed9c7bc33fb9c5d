#include <algorithm>
#include <memory>
#include <utility>
#include <variant>

#include "base/overloaded.hpp"
#include "bgpd/rib/adj_rib_in.hpp"
#include "bgpd/speaker/speaker_impl.hpp"
#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/route_refresh.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::speaker {

void Speaker::Impl::on(const Connected& event) {
    const auto known = connections.find(event.connection);
    if (known == connections.end()) {
        return;
    }
    auto& link = known->second.peer->link(known->second.direction);
    link->local = event.local;
    link->up = true;
    feed(*known->second.peer, fsm::event::Connected{});
}

void Speaker::Impl::on(const Accepted& event) {
    Peer* const known = find_peer(event.remote.address);
    Peer* const peer = known != nullptr ? known : add_dynamic(event.remote.address);
    if (peer == nullptr) {  // RFC 4486 section 4
        const bool answers = strangers.take(now);
        if (answers) {
            Bytes bytes;
            wire::encode_notification(wire::make_cease(wire::cease::kConnectionRejected), bytes);
            send_bytes(event.connection, std::move(bytes));
        }
        actions.emplace_back(Close{event.connection, answers});
        return;
    }
    accepting = event;
    feed(*peer, fsm::event::Accepted{});
    if (accepting) {  // the machine has no opinion
        actions.emplace_back(Close{event.connection, false});
        accepting.reset();
    }
}

void Speaker::Impl::on(const Closed& event) {
    const auto known = connections.find(event.connection);
    if (known == connections.end()) {
        return;
    }
    const auto [peer, direction] = known->second;
    connections.erase(known);
    peer->link(direction).reset();
    feed(*peer, fsm::event::Lost{direction, event.reason});
}

void Speaker::Impl::on(const Received& event) {
    const auto known = connections.find(event.connection);
    if (known == connections.end()) {
        consumed = event.data.size();
        return;
    }
    const auto [peer, direction] = known->second;
    consumed = read_messages(*peer, direction, event.data);
    watch_next_hops();  // the answers can be there before the turn ends
    unfinished = true;
}

/// Gives the peer's session machine an event and does what it asks for.
void Speaker::Impl::feed(Peer& peer, const fsm::Event& event) {
    machine_actions.clear();
    peer.machine.handle(event, now, machine_actions);
    if (!machine_actions.empty()) {
        for (const fsm::Action& action : std::exchange(machine_actions, {})) {
            carry_out(peer, action);
        }
    }
    if (peer.machine.state() != peer.reported) {
        report(peer);
    }
    if (const auto deadline = peer.machine.next_deadline()) {
        arm(*deadline);
    }
}

void Speaker::Impl::carry_out(Peer& peer, const fsm::Action& action) {
    std::visit(overloaded{
                   [&](const fsm::action::Connect&) {
                       const ConnectionId id(next_connection);
                       next_connection = next_connection % (kFirstAcceptedConnection - 1) + 1;
                       peer.link(fsm::Direction::outgoing) = Peer::Link{id, {}, false, peer.config.port};
                       connections[id] = {&peer, fsm::Direction::outgoing};
                       actions.emplace_back(Connect{id,
                                                    {peer.config.address, peer.config.port},
                                                    peer.config.local_address,
                                                    socket_options(peer.config)});
                   },
                   [&](const fsm::action::Adopt&) {
                       peer.link(fsm::Direction::incoming) =
                           Peer::Link{accepting->connection, accepting->local, true, accepting->remote.port};
                       connections[accepting->connection] = {&peer, fsm::Direction::incoming};
                       accepting.reset();
                   },
                   [&](const fsm::action::Refuse& refuse) {
                       if (refuse.why) {
                           Bytes bytes;
                           wire::encode_notification(*refuse.why, bytes);
                           send_bytes(accepting->connection, std::move(bytes));
                       }
                       actions.emplace_back(Close{accepting->connection, refuse.why.has_value()});
                       accepting.reset();
                   },
                   [&](const fsm::action::Send& send) {
                       if (auto& link = peer.link(send.direction)) {
                           if (link->sent_open.empty()) {
                               link->sent_open = send.bytes;  // what is sent first
                           }
                           ++peer.messages_out;
                           send_bytes(link->id, send.bytes);
                       }
                   },
                   [&](const fsm::action::Close& close) {
                       if (auto& link = peer.link(close.direction)) {
                           if (!link->up) {
                               peer.remember_silence();
                           }
                           actions.emplace_back(Close{link->id, link->up});
                           connections.erase(link->id);
                           link.reset();
                       }
                   },
                   [&](const fsm::action::SessionUp& up) { session_up(peer, up); },
                   [&](const fsm::action::SessionDown& down) {
                       peer.last_error = down.end.to_string();
                       session_down(peer, down.end);
                   },
               },
               action);
}

void Speaker::Impl::send_bytes(ConnectionId connection, Bytes bytes) {
    actions.emplace_back(
        Write{connection, rib::kLocalSource, std::make_shared<const rib::Chunk>(rib::Chunk{std::move(bytes), {}})});
}

void Speaker::Impl::report_as(Peer& peer, bool removed) {
    peer.remember_end();
    peer.reported = peer.machine.state();
    actions.emplace_back(PeerChanged{std::make_shared<const PeerStatus>(peer.status(core.sources)), removed});
}

void Speaker::Impl::session_up(Peer& peer, const fsm::action::SessionUp& up) {
    const auto& link = peer.link(up.direction);
    rib::Source source;
    source.traits.kind = up.negotiated.internal ? policy::SourceKind::internal : policy::SourceKind::external;
    source.traits.reflector_client = up.negotiated.internal && peer.config.reflector_client;
    source.traits.is_node = peer.config.is_node;
    source.traits.local_workload = peer.config.local_workload;
    source.router_id = up.negotiated.peer_identifier.value();
    source.address = peer.config.address;
    for (const net::Family family : wire::kFamilies) {
        source.add_path[rib::family_index(family)] = up.negotiated.add_path_receive.has(family);
    }
    auto number = resume(peer, source, up.negotiated);
    if (!number) {
        number = core.sources.add(source);
        peer.intake.judged_to.reset();
    }
    if (!number || !link) {
        feed(peer, fsm::event::Malformed{up.direction, wire::make_cease(wire::cease::kOutOfResources)});
        return;
    }
    auto session = std::make_unique<Session>();
    session->direction = up.direction;
    session->local = link->local;
    session->scope = net::scope_of(peer.config.address);
    session->outlet.connection = link->id;
    session->outlet.source = *number;
    session->families = up.negotiated.families;
    session->update_context = {up.negotiated.families, up.negotiated.four_octet_as, up.negotiated.internal};
    peer.intake.context = {.external = !up.negotiated.internal,
                           .remote_as = up.negotiated.peer_as,
                           .local_as = peer.config.local_as,
                           .node_as = configuration->self.as,
                           .router_id = configuration->self.router_id,
                           .cluster_id = configuration->self.cluster_id,
                           .allowed_own_as = peer.config.allowed_own_as,
                           .role = up.negotiated.internal ? std::nullopt : peer.config.role};
    peer.intake.rules = peer.config.rules;
    session->update_context.add_path = up.negotiated.add_path_receive;
    session->update_context.ipv6_next_hops = up.negotiated.ipv6_next_hops;
    session->update_context.needs_local_pref = up.negotiated.internal;
    session->peer_restart = up.negotiated.peer_graceful_restart;
    session->peer_long_restart = up.negotiated.peer_long_lived_restart;
    session->sends_end_of_rib = session->peer_restart.has_value();
    session->peer_restarted = session->peer_restart && session->peer_restart->restarting;
    session->outlet.marks_refresh = up.negotiated.enhanced_route_refresh;
    ++peer.times_up;
    peer.session = std::move(session);
    peer.was_up = true;
    offer_restart(peer);
    join_groups(peer, up.negotiated);
    monitor_up(peer);
    unfinished = true;
}

/// Our address as next hop for routes of the family: that of the session if it is of the family or of one that the peer
/// takes in its place (RFC 8950), else the node's. On an unnumbered link the node's IPv6 address stands before the
/// link-local one if there is one (RFC 2545 section 3); elsewhere the global one stands alone, for FRR withdraws routes
/// with both where it does not know the interface (without zebra).
std::optional<wire::NextHop> Speaker::Impl::own_next_hop(const Session& session, net::Family family) const {
    const Self& self = configuration->self;
    const net::Ip& local = session.local.address;
    if (local.family() == family || (local.is_v6() && session.update_context.ipv6_next_hops)) {
        const net::Ip plain = net::without_scope(local);
        return local.is_link_local() && self.v6 ? wire::NextHop{self.v6->address, plain.v6()}
                                                : wire::NextHop{plain, std::nullopt};
    }
    const auto& address = family == net::Family::v4 ? self.v4 : self.v6;
    return address ? std::optional(wire::NextHop{address->address, std::nullopt}) : std::nullopt;
}

namespace {

/// A next hop as our tables have it. Where the session is on one link, so are the link-local addresses that it names,
/// and they go before global ones, which nothing on this side may lead to. Elsewhere a link-local address has no scope,
/// whatever the peer wrote in its place.
wire::NextHop on_link_of(const Session& session, const wire::NextHop& received) {
    if (session.scope != 0 && received.link_local) {
        return {net::with_scope(*received.link_local, session.scope), std::nullopt};
    }
    return {net::with_scope(received.address, session.scope), received.link_local};
}

}  // namespace

/// The subnet that the peer and one of our interfaces are both in.
std::optional<net::Prefix> Speaker::Impl::shared_link(const net::Ip& peer) const {
    for (const net::InterfaceAddress& address : local_addresses) {
        if (address.network().contains(peer)) {
            return address.network();
        }
    }
    for (const auto& address : {configuration->self.v4, configuration->self.v6}) {
        if (address && address->network().contains(peer)) {
            return address->network();
        }
    }
    return std::nullopt;
}

/// Puts the peer into the groups that its configuration and ours give, out of those that it is in.
void Speaker::Impl::join_groups(Peer& peer, const wire::Negotiated& negotiated) {
    Session& session = *peer.session;
    for (const net::Family family : wire::kFamilies) {
        const auto next_hop = own_next_hop(session, family);
        if (!session.families.has(family) || !next_hop) {
            continue;
        }
        policy::ExportTarget target;
        target.external = !negotiated.internal;
        target.reflector_client = negotiated.internal && peer.config.reflector_client;
        target.is_node = target.external && peer.config.is_node;
        target.role = target.external ? peer.config.role : std::nullopt;
        target.knows_llgr = negotiated.peer_long_lived_restart.has_value();
        target.next_hop_mode = peer.config.next_hop_mode;
        target.local_as = peer.config.local_as;
        target.cluster_id = configuration->self.cluster_id;
        target.self = next_hop->address;
        target.self_link_local = next_hop->link_local;
        target.relayable = relayable;
        target.markings = markings;
        target.filters = peer.config.filters;
        target.filter = peer.config.rules.export_rules[rib::family_index(family)];
        if (target.external && peer.config.address.family() == family) {
            session.shared_link = shared_link(peer.config.address);
            target.shared_link = session.shared_link;
        }
        const wire::WriteContext context{negotiated.four_octet_as, negotiated.max_send,
                                         negotiated.add_path_send.has(family)};
        if (family == net::Family::v4) {
            v4.join(session.outlet, target, context);
        } else {
            v6.join(session.outlet, target, context);
        }
    }
}

void Speaker::Impl::session_down(Peer& peer, const fsm::SessionEnd& end) {
    if (peer.session == nullptr) {
        return;
    }
    monitor_down(peer, end);
    const Outlet& outlet = peer.session->outlet;
    peer.messages_out += outlet.messages_out;
    v4.leave(outlet);
    v6.leave(outlet);
    retain(peer, end);
    peer.session.reset();
    if (std::exchange(peer.lingering_bfd, std::nullopt)) {
        update_bfd_sessions();
    }
    expire_stale(peer);  // a restart time of 0 is over already
    unfinished = true;
}

/// Reads whole messages; returns how many bytes they had. When the connection goes away under way, the rest is of no
/// interest to anybody.
std::size_t Speaker::Impl::read_messages(Peer& peer, fsm::Direction direction, ByteView data) {
    const ConnectionId id = peer.link(direction)->id;
    wire::Framer framer(data, peer.machine.max_receive(direction));
    while (true) {
        const auto frame = framer.next();
        if (!frame) {
            note_malformed(peer, frame.error().notification().to_string() + ": the session was ended");
            feed(peer, fsm::event::Malformed{direction, frame.error().notification()});
            return data.size();
        }
        if (!*frame) {
            return framer.consumed();
        }
        ++peer.messages_in;
        if ((*frame)->type == wire::MessageType::open) {
            peer.link(direction)->received_open.assign((*frame)->message.begin(), (*frame)->message.end());
            if (const auto open = wire::decode_open((*frame)->body()); !open) {
                note_malformed(peer, open.error().to_string() + ": the session was ended");
            }
        }
        const bool established = peer.session != nullptr && peer.session->direction == direction;
        feed(peer, fsm::event::Received{direction, **frame});
        const auto& link = peer.link(direction);
        if (!link || link->id != id) {
            return data.size();
        }
        if (!established || peer.session == nullptr) {
            continue;
        }
        switch ((*frame)->type) {
            case wire::MessageType::update:
                read_update(peer, (*frame)->body());
                break;
            case wire::MessageType::route_refresh:
                read_route_refresh(peer, (*frame)->message);
                break;
            case wire::MessageType::keepalive:
                peer.session->heard_keepalive = true;
                break;
            default:
                break;
        }
        if (!link || link->id != id) {
            return data.size();
        }
    }
}

void Speaker::Impl::read_update(Peer& peer, ByteView body) {
    Session& session = *peer.session;
    ++session.updates_in;
    const wire::Update update = decoder.decode(body, session.update_context);
    if (update.verdict != wire::Verdict::ok) {
        note_malformed(peer, update);
    }
    if (update.verdict == wire::Verdict::reset) {
        feed(peer, fsm::event::Malformed{session.direction, update.fault.notification()});
        return;
    }
    withdraw(session, update.withdrawn);
    withdraw(session, update.mp_withdrawn);
    if (update.verdict == wire::Verdict::treat_as_withdraw) {
        withdraw(session, update.announced);
        withdraw(session, update.mp_announced);
    } else {
        announce(peer, update.announced, update.attributes, update.next_hop);
        announce(peer, update.mp_announced, update.attributes, update.mp_next_hop);
        check_prefix_limit(peer);
    }
    if (update.end_of_rib && peer.session != nullptr) {
        end_of_rib(peer, *update.end_of_rib);
    }
}

/// Counts the UPDATE and keeps in words what was wrong.
void Speaker::Impl::note_malformed(Peer& peer, const wire::Update& update) {
    const auto outcome = [&] {
        switch (update.verdict) {
            case wire::Verdict::ok:
                break;
            case wire::Verdict::discard_attribute:
                return ": the attribute was left out";
            case wire::Verdict::treat_as_withdraw:
                return ": its routes count as withdrawn";
            case wire::Verdict::reset:
                return ": the session was ended";
        }
        return "";
    };
    peer.withdrawn_in += update.verdict == wire::Verdict::treat_as_withdraw ? 1U : 0U;
    const std::uint8_t attribute = update.fault.attribute;
    note_malformed(peer, update.fault.notification().to_string() +
                             (attribute != 0 ? " (" + wire::attribute_name(attribute) + ")" : std::string()) +
                             outcome());
}

void Speaker::Impl::note_malformed(Peer& peer, std::string what) {
    ++peer.malformed_in;
    peer.last_malformed = std::move(what);
}

void Speaker::Impl::announce(const Peer& peer, const wire::NlriView& prefixes, ByteView attributes,
                             const wire::NextHop& next_hop) {
    if (prefixes.empty()) {
        return;
    }
    const Session& session = *peer.session;
    const policy::ImportContext& context = peer.intake.context;
    Bytes marked;
    wire::AttributeFacts facts = wire::attribute_facts(attributes);
    if (policy::gets_otc(context, facts)) {
        Bytes as;
        ByteWriter(as).u32(context.remote_as.number());
        wire::encode_with_attribute(attributes, wire::attribute_flag::kOptional | wire::attribute_flag::kTransitive,
                                    wire::attribute_type::kOnlyToCustomer, as, marked);
        attributes = marked;
        facts = wire::attribute_facts(attributes);
    }
    prefixes.each_run([&](std::uint32_t path_id, const wire::NlriView& run_of) {
        const rib::AttributeId id = core.attributes.intern(attributes, facts, on_link_of(session, next_hop), path_id);
        rib::ImportRun run = import_run(peer.intake, id, facts, rib::family_index(prefixes.family()));
        core.attributes.release(id);  // the run holds it
        if (prefixes.family() == net::Family::v4) {
            rib::announce_all(v4.rib(), session.outlet.source, run_of, run);
        } else {
            rib::announce_all(v6.rib(), session.outlet.source, run_of, run);
        }
    });
}

void Speaker::Impl::withdraw(const Session& session, const wire::NlriView& prefixes) {
    prefixes.each_run([&](std::uint32_t path_id, const wire::NlriView& run_of) {
        if (prefixes.family() == net::Family::v4) {
            rib::withdraw_all(v4.rib(), session.outlet.source, path_id, run_of);
        } else {
            rib::withdraw_all(v6.rib(), session.outlet.source, path_id, run_of);
        }
    });
}

void Speaker::Impl::check_prefix_limit(Peer& peer) {
    if (!peer.config.max_prefixes) {
        return;
    }
    for (const net::Family family : wire::kFamilies) {
        const std::uint32_t most = *peer.config.max_prefixes;
        const auto& counts = core.sources[peer.session->outlet.source].counts[rib::family_index(family)];
        // Stale routes are of an earlier table, which had its own maximum; a peer that begins refreshes (RFC 7313) and
        // never ends one must not gather tables, though.
        const bool refreshing = peer.stale[rib::family_index(family)].stage == Stale::Stage::refreshing;
        const bool gathers = refreshing && counts.received > std::uint64_t{most} * 2;
        const std::uint32_t received = gathers ? counts.received : counts.current;
        bool& warned = peer.session->warned[rib::family_index(family)];
        const bool many = std::uint64_t{received} * 100 > std::uint64_t{most} * peer.config.max_prefixes_warning;
        if (many != std::exchange(warned, many) && many) {
            actions.emplace_back(ManyPrefixes{peer.config.address, family, received, most});
        }
        if (received > most) {
            wire::Notification why = wire::make_cease(wire::cease::kMaxPrefixes);
            ByteWriter data(why.data);  // RFC 4486 section 4
            data.u16(wire::AfiSafi::of(family).afi);
            data.u8(wire::AfiSafi::of(family).safi);
            data.u32(most);
            if (peer.machine.negotiated()->notification_restart) {
                why = wire::make_hard_reset(why);  // its routes are to go, so it need not keep ours
            }
            return feed(peer, fsm::event::Malformed{peer.session->direction, std::move(why)});
        }
    }
}

void Speaker::Impl::read_route_refresh(Peer& peer, ByteView message) {
    const bool marks = peer.session->outlet.marks_refresh;
    const auto refresh = wire::decode_route_refresh(message, marks);
    if (!refresh) {
        note_malformed(peer, refresh.error().to_string() + ": the session was ended");
        feed(peer, fsm::event::Malformed{peer.session->direction, refresh.error()});
        return;
    }
    const auto family = refresh->family.family();
    if (!family || !peer.session->families.has(*family)) {
        return;
    }
    const std::size_t index = rib::family_index(*family);
    // RFC 7313 section 4: marks before the first table is complete say nothing.
    const bool heeds_marks = marks && (!peer.session->sends_end_of_rib || peer.session->end_of_rib[index]);
    switch (refresh->subtype) {
        case std::to_underlying(wire::RouteRefresh::Kind::request):
            *family == net::Family::v4 ? v4.repeat(peer.session->outlet) : v6.repeat(peer.session->outlet);
            break;
        case std::to_underlying(wire::RouteRefresh::Kind::begin):
            if (heeds_marks) {
                mark_stale(peer, *family);
                set_stage(peer, *family, Stale::Stage::refreshing, kStalePathTime);
            }
            break;
        case std::to_underlying(wire::RouteRefresh::Kind::end):
            if (peer.stale[index].stage == Stale::Stage::refreshing) {
                drop_stale(peer, *family);
            }
            break;
        default:
            break;  // RFC 7313 section 5: other subtypes are ignored
    }
}

}  // namespace manul::bgp::speaker
