#include "test/fuzz/bgp_speaker_world.hpp"

#include <algorithm>
#include <cstdlib>

#include "base/overloaded.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/path_attributes.hpp"
#include "bgpd/wire/route_refresh.hpp"

namespace manul::fuzz {

using namespace speaker;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

World::World(wire::FamilySet in_kernel) : held_(!in_kernel.empty()) { handle(KernelRoutes{in_kernel}); }

void World::handle(Event event) {
    const auto outcome = speaker_.handle(event, now_);
    const std::vector<Action> actions(outcome.actions.begin(), outcome.actions.end());
    for (const Action& action : actions) {
        carry_out(action);
    }
    while (!answers_.empty()) {
        const std::vector<Event> answers = std::exchange(answers_, {});
        for (const Event& answer : answers) {
            handle(answer);
        }
    }
}

void World::settle() {
    for (int turns = 0; speaker_.busy(); ++turns) {
        require(turns < 1000);
        handle(TurnEnd{});
    }
}

void World::advance(std::chrono::milliseconds duration) {
    const Time target = now_ + duration;
    for (int ticks = 0;; ++ticks) {
        const auto due = speaker_.next_deadline();
        if (!due || *due > target) {
            break;
        }
        require(ticks < 10'000);  // a deadline that stays due is a busy loop
        now_ = std::max(now_, *due);
        handle(Tick{});
        settle();
    }
    now_ = target;
}

void World::configure(std::shared_ptr<const Configuration> configuration) {
    configuration_ = std::move(configuration);
    handle(Configure{configuration_});
    std::ranges::for_each(fars, [this](Far& far) { check_maximum(far); });
}

void World::resolve(const net::Ip& next_hop, std::optional<Resolution> way) {
    ways_[next_hop] = way;
    if (tracked_.contains(next_hop)) {
        handle(NextHopChanged{next_hop, std::move(way)});
    }
}

void World::connect(std::size_t at) {
    Far& far = fars[at];
    close(at);
    const ConnectionId id(next_accepted_++);
    far.connection = id;
    far.agreed.reset();
    far.ours.reset();
    far.theirs.reset();
    far.sending.clear();
    far.heard.clear();
    handle(Accepted{id, {*net::Ip::parse("10.0.0.1"), 179}, {far.address, 40000}});
}

void World::close(std::size_t at) {
    if (const auto id = std::exchange(fars[at].connection, std::nullopt)) {
        handle(Closed{*id, "end of file"});
    }
}

PeerStatus World::status(const Far& far) const {
    for (PeerStatus& each : speaker_.peers()) {
        if (each.address == far.address) {
            return std::move(each);
        }
    }
    return {};
}

/// Hands over whole messages one by one, so that each can be compared with what became of it; what is left of the bytes
/// is offered, too.
void World::send(std::size_t at, ByteView bytes) {
    Far& far = fars[at];
    if (!far.connection) {
        return;
    }
    far.sending.insert(far.sending.end(), bytes.begin(), bytes.end());
    const Bytes all = std::exchange(far.sending, {});
    wire::Framer framer(all, wire::kMaxExtendedMessage);
    while (far.connection) {
        const auto frame = framer.next();
        if (!frame || !*frame) {
            break;
        }
        deliver(far, **frame);
    }
    if (far.connection && framer.consumed() < all.size()) {
        const ByteView rest = ByteView(all).subspan(framer.consumed());
        const ConnectionId id = *far.connection;
        const auto outcome = speaker_.handle(Received{id, rest}, now_);
        require(outcome.consumed == 0 || outcome.consumed == rest.size());
        const bool kept = outcome.consumed == 0;
        const std::vector<Action> actions(outcome.actions.begin(), outcome.actions.end());
        for (const Action& action : actions) {
            carry_out(action);
        }
        if (kept && far.connection == id) {
            far.sending.assign(rest.begin(), rest.end());
        }
    }
}

void World::deliver(Far& far, const wire::Frame& frame) {
    const ConnectionId id = *far.connection;
    const bool was_up = far.up;
    if (frame.type == wire::MessageType::open && !was_up) {
        if (const auto open = wire::decode_open(frame.body())) {
            far.ours = *open;
        }
    }
    const auto outcome = speaker_.handle(Received{id, frame.message}, now_);
    require(outcome.consumed == frame.message.size());
    const std::vector<Action> actions(outcome.actions.begin(), outcome.actions.end());
    std::ranges::for_each(actions, [this](const Action& action) { carry_out(action); });
    if (far.too_many && far.exact) {
        require(was_up && frame.type == wire::MessageType::update);
        note(far, frame.body());
    }
    check_maximum(far);
    if (!far.up) {
        return;
    }
    if (!was_up || far.connection != id) {
        far.announced.clear();
        far.exact = true;
    } else if (was_up && frame.type == wire::MessageType::update) {
        note(far, frame.body());
    } else if (frame.type == wire::MessageType::route_refresh) {
        far.exact = false;
    }
}

/// What the speaker must have made of an UPDATE that did not end the session.
void World::note(Far& far, ByteView body) {
    require(far.agreed.has_value());
    wire::UpdateDecoder decoder;
    const wire::Update update = decoder.decode(body, {.families = far.agreed->families,
                                                      .four_octet_as = far.agreed->four_octet_as,
                                                      .internal = far.agreed->internal,
                                                      .add_path = far.agreed->add_path_receive,
                                                      .needs_local_pref = far.agreed->internal});
    require(update.verdict != wire::Verdict::reset);
    const auto each = [&](const wire::NlriView& view, bool there) {
        for (auto at = view.begin(); at != view.end(); ++at) {
            if (there) {
                far.announced.insert({*at, at.path_id()});
            } else {
                far.announced.erase({*at, at.path_id()});
            }
        }
    };
    each(update.withdrawn, false);
    each(update.mp_withdrawn, false);
    each(update.announced, update.verdict != wire::Verdict::treat_as_withdraw);
    each(update.mp_announced, update.verdict != wire::Verdict::treat_as_withdraw);
}

/// Who is sent away has said more than was allowed, in this session.
void World::check_maximum(Far& far) const {
    const auto config = std::ranges::find(configuration_->peers, far.address, &PeerConfig::address);
    const bool limited = config != configuration_->peers.end() && config->max_prefixes.has_value();
    const auto more = [&](net::Family family) {
        const auto is_of = [&](const Path& path) { return path.first.family() == family; };
        return limited && std::cmp_greater(std::ranges::count_if(far.announced, is_of), *config->max_prefixes);
    };
    require(!std::exchange(far.too_many, false) || !far.exact || std::ranges::any_of(wire::kFamilies, more));
}

void World::carry_out(const Action& action) {
    const auto far_of = [&](ConnectionId id) {
        return std::ranges::find_if(fars, [&](const Far& far) { return far.connection == id; });
    };
    std::visit(overloaded{
                   [&](const Write& write) {
                       const auto far = far_of(write.connection);
                       if (far != fars.end()) {
                           hear(*far, write);
                       }
                   },
                   [&](const Connect& connect) {
                       const auto far = std::ranges::find(fars, connect.remote.address, &Far::address);
                       if (far != fars.end() && !far->connection) {
                           far->connection = connect.connection;
                           far->sending.clear();
                           far->heard.clear();
                           far->agreed.reset();
                           far->theirs.reset();
                           far->ours.reset();
                           answers_.emplace_back(Connected{connect.connection, {*net::Ip::parse("10.0.0.1"), 40000}});
                       } else {
                           answers_.emplace_back(Closed{connect.connection, "connection refused"});
                       }
                   },
                   [&](const Close& closed) {
                       const auto far = far_of(closed.connection);
                       if (far != fars.end()) {
                           far->connection.reset();
                           far->told.clear();
                           far->backlog = 0;
                       }
                   },
                   [&](const FibBatch& batch) {
                       for (const FibChange& change : *batch.changes) {
                           if (change.group == kNoRoute) {
                               require(fib_.erase(change.prefix) == 1);
                           } else {
                               require(change.group == kBlackhole || !groups_[change.group].empty());
                               fib_[change.prefix] = change.group;
                           }
                       }
                   },
                   [&](const FibGroup& group) {
                       groups_[group.group] = group.members;
                       if (group.members.empty()) {
                           for (const auto& [prefix, used] : fib_) {
                               require(used != group.group);
                           }
                       }
                   },
                   [&](const TrackNextHop& track) {
                       if (!track.wanted) {
                           require(tracked_.erase(track.next_hop) == 1);
                           return;
                       }
                       require(tracked_.insert(track.next_hop).second);
                       const auto way = ways_.find(track.next_hop);
                       answers_.emplace_back(NextHopChanged{
                           track.next_hop, way == ways_.end() ? Resolution{1, std::nullopt, 0, "eth0"} : way->second});
                   },
                   [&](const Monitored& news) {
                       for (const MonitorEvent& event : *news.events) {
                           report(station_, event);
                       }
                   },
                   [&](const FibComplete&) { held_ = false; },
                   [&](const PeerChanged& changed) {
                       const auto far = std::ranges::find(fars, changed.status->address, &Far::address);
                       if (far != fars.end()) {
                           far->up = !changed.removed && changed.status->state == SessionState::established;
                       }
                   },
                   [](const auto&) {},
               },
               action);
}

void World::hear(Far& far, const Write& write) {
    std::vector<ByteView> spans;
    write.chunk->append_spans(write.reader, spans);
    for (const ByteView span : spans) {
        far.heard.insert(far.heard.end(), span.begin(), span.end());
    }
    wire::Framer framer(far.heard, far.agreed ? far.agreed->max_send : wire::kMaxMessage);
    for (auto frame = framer.next();; frame = framer.next()) {
        require(frame.has_value());
        if (!*frame) {
            break;
        }
        hear_message(far, **frame);
    }
    require(framer.consumed() == far.heard.size());  // whole messages only
    far.heard.clear();
}

void World::hear_message(Far& far, const wire::Frame& frame) {
    if (frame.type == wire::MessageType::open) {
        const auto open = wire::decode_open(frame.body());
        require(open.has_value());
        far.theirs = *open;
        far.told.clear();
        return;
    }
    if (!far.agreed && far.theirs && far.ours && frame.type == wire::MessageType::keepalive) {
        const auto agreed = wire::negotiate(*far.theirs, *far.ours, std::nullopt);
        require(agreed.has_value());
        far.agreed = *agreed;
    }
    if (frame.type == wire::MessageType::route_refresh) {
        require(wire::decode_route_refresh(frame.message, true).has_value());
    }
    if (frame.type == wire::MessageType::notification) {
        const wire::Notification why = wire::decode_notification(frame.body());
        const wire::Notification reason = wire::hard_reset_reason(why).value_or(why);
        far.too_many = reason.code == wire::ErrorCode::cease && reason.subcode == wire::cease::kMaxPrefixes;
    }
    if (frame.type != wire::MessageType::update) {
        return;
    }
    require(far.agreed.has_value());
    wire::UpdateDecoder decoder;
    const wire::Update update = decoder.decode(frame.body(), {far.agreed->families, far.agreed->four_octet_as,
                                                              far.agreed->internal, far.agreed->add_path_send});
    require(update.verdict == wire::Verdict::ok);
    for (const auto* view : {&update.withdrawn, &update.mp_withdrawn}) {
        for (auto at = view->begin(); at != view->end(); ++at) {
            far.told.erase({*at, at.path_id()});
        }
    }
    for (const bool mp : {false, true}) {
        const wire::NlriView& view = mp ? update.mp_announced : update.announced;
        for (auto at = view.begin(); at != view.end(); ++at) {
            far.told[{*at, at.path_id()}] = {mp ? update.mp_next_hop : update.next_hop,
                                             Bytes(update.attributes.begin(), update.attributes.end())};
        }
    }
    if (update.attributes.empty()) {
        return;
    }
    // What no configuration may change.
    const wire::AttributeFacts facts = wire::attribute_facts(update.attributes);
    require(!facts.no_advertise);
    require(!facts.as_path.has_set());
    if (far.agreed->internal) {
        require(facts.local_pref.has_value());
    } else {
        require(!facts.no_export && !facts.local_pref && !facts.originator_id && facts.cluster_list.empty());
        require(facts.neighbour_as == far.theirs->as.number());
    }
}

void World::check() {
    check_received();
    check_stations();
    const net::Prefix everything[] = {*net::Prefix::parse("0.0.0.0/0"), *net::Prefix::parse("::/0")};
    std::set<net::Prefix> all;
    for (const net::Prefix& range : everything) {
        const auto inside = speaker_.prefixes(range, 100'000);
        all.insert(inside.begin(), inside.end());
    }
    for (const auto& [prefix, group] : fib_) {
        all.insert(prefix);
    }
    for (const Far& far : fars) {
        for (const auto& [path, told] : far.told) {
            all.insert(path.first);
        }
    }
    for (const net::Prefix& prefix : all) {
        const std::vector<RouteView> paths = speaker_.paths(prefix);
        if (held_) {
            continue;
        }
        check_selection(prefix, paths);
        check_kernel(prefix, paths);
        for (const ExportView& wanted : speaker_.exports(prefix)) {
            const auto far = std::ranges::find(fars, wanted.peer, &Far::address);
            if (far != fars.end()) {
                check_told(*far, prefix, wanted);
            }
        }
    }
}

/// The Adj-RIBs-In are what the peers announced, no more and no less.
void World::check_received() const {
    std::map<net::Ip, std::set<Path>> in_tables;
    for (const net::Prefix& range : {*net::Prefix::parse("0.0.0.0/0"), *net::Prefix::parse("::/0")}) {
        for (const net::Prefix& prefix : speaker_.prefixes(range, 100'000)) {
            for (const RouteView& view : speaker_.paths(prefix)) {
                if (view.peer) {
                    require(in_tables[*view.peer].insert({prefix, view.path_id.value_or(0)}).second);
                }
            }
        }
    }
    for (const Far& far : fars) {
        const PeerStatus now = status(far);
        const bool stale = now.v4.stale || now.v6.stale;
        if (now.state == SessionState::established && far.exact && !stale) {
            require(in_tables[far.address] == far.announced);
            require(now.v4.received + now.v6.received == far.announced.size());
        }
    }
}

void World::check_told(const Far& far, const net::Prefix& prefix, const ExportView& wanted) const {
    constexpr std::size_t kReads = std::size_t{64} << 10U;  // with more unread the speaker may hold back
    if (far.backlog > kReads || !far.agreed || far.agreed->add_path_send.has(prefix.family()) || !far.up) {
        return;
    }
    const auto told = far.told.find({prefix, 0});
    require((told != far.told.end()) == wanted.sent);
    if (!wanted.sent) {
        return;
    }
    const wire::PathAttributes attributes = wire::decode_attributes(told->second.attributes);
    require(wanted.route.has_value());
    require(wanted.route->as_path == attributes.path().to_string());
    require(wanted.route->med == attributes.med);
    require(wanted.route->local_preference == attributes.local_pref);
    require(wanted.route->next_hop == told->second.next_hop.address);
}

void World::report(Station& station, const MonitorEvent& event) const {
    std::visit(
        overloaded{
            [&](const MonitoredUp& up) {
                require(!up.sent_open.empty() && !up.received_open.empty());
                require(!station.peers.contains(up.peer.address));
                station.peers[up.peer.address] = {};
            },
            [&](const MonitoredDown& down) { require(station.peers.erase(down.peer.address) == 1); },
            [&](const MonitoredRoutes& routes) {
                if (!routes.peer.address) {
                    station.peers[std::nullopt];  // the Loc-RIB needs no session
                }
                require(station.peers.contains(routes.peer.address));
                auto& table = station.peers[routes.peer.address][routes.table];
                const auto far =
                    std::ranges::find_if(fars, [&](const Far& each) { return each.address == routes.peer.address; });
                wire::FamilySet path_ids;
                if (far != fars.end()) {
                    require(far->agreed.has_value());
                    path_ids = routes.table == MonitoredTable::sent ? far->agreed->add_path_send
                                                                    : far->agreed->add_path_receive;
                }
                wire::UpdateDecoder decoder;
                wire::Framer framer(routes.updates, wire::kMaxExtendedMessage);
                for (auto frame = framer.next();; frame = framer.next()) {
                    require(frame.has_value());
                    if (!*frame) {
                        break;
                    }
                    const wire::Update update = decoder.decode(
                        (*frame)->body(), {{net::Family::v4, net::Family::v6}, !routes.two_octet_as, true, path_ids});
                    require(update.verdict == wire::Verdict::ok);
                    for (const auto* view : {&update.withdrawn, &update.mp_withdrawn}) {
                        for (auto at = view->begin(); at != view->end(); ++at) {
                            table.erase({*at, at.path_id()});
                        }
                    }
                    for (const bool mp : {false, true}) {
                        const wire::NlriView& view = mp ? update.mp_announced : update.announced;
                        for (auto at = view.begin(); at != view.end(); ++at) {
                            table[{*at, at.path_id()}] = {mp ? update.mp_next_hop : update.next_hop,
                                                          Bytes(update.attributes.begin(), update.attributes.end())};
                        }
                    }
                }
                require(framer.consumed() == routes.updates.size());
            },
        },
        event);
}

/// Who was told all along, who comes only now, and the peers themselves agree.
void World::check_stations() {
    Station late;
    for (const MonitorEvent& event : speaker_.monitor_sessions()) {
        report(late, event);
    }
    for (std::optional<Cursor> next = Cursor{}; next;) {
        const MonitorPart part = speaker_.monitor_tables(*next, 3);
        for (const MonitorEvent& event : part.events) {
            report(late, event);
        }
        next = part.next;
    }
    require(station_.peers[std::nullopt][MonitoredTable::selected] ==
            late.peers[std::nullopt][MonitoredTable::selected]);
    const MonitoredSelf self = speaker_.monitored_self();
    require(self.selected[0] + self.selected[1] == late.peers[std::nullopt][MonitoredTable::selected].size());
    for (const Far& far : fars) {
        require(station_.peers.contains(far.address) == far.up);
        require(late.peers.contains(far.address) == far.up);
        if (!far.up) {
            continue;
        }
        auto& early_tables = station_.peers[far.address];
        auto& late_tables = late.peers[far.address];
        require(early_tables[MonitoredTable::received] == late_tables[MonitoredTable::received]);
        require(early_tables[MonitoredTable::accepted] == late_tables[MonitoredTable::accepted]);
        require(early_tables[MonitoredTable::sent] == far.told);
        if (far.backlog == 0 && !held_) {
            require(late_tables[MonitoredTable::sent] == far.told);
        }
        if (far.exact) {
            std::set<Path> received;
            for (const auto& [path, told] : early_tables[MonitoredTable::received]) {
                received.insert(path);
            }
            require(received == far.announced);
        }
    }
}

/// The first steps of the decision, as plainly as they can be said.
void World::check_selection(const net::Prefix& /*prefix*/, const std::vector<RouteView>& paths) const {
    std::vector<const RouteView*> usable;
    std::size_t best_count = 0;
    for (const RouteView& view : paths) {
        best_count += view.best ? 1U : 0U;
        if (view.accepted && view.next_hop_reachable) {
            usable.push_back(&view);
        }
    }
    require(best_count == (usable.empty() ? 0U : 1U));
    if (usable.empty()) {
        return;
    }
    const RouteView& best = **std::ranges::find_if(usable, [](const RouteView* view) { return view->best; });
    const auto has = [](const RouteView& view, const char* community) {
        return std::ranges::find(view.communities, community) != view.communities.end();
    };
    const auto length = [](const RouteView& view) {
        return view.as_path.empty() ? 0 : std::ranges::count(view.as_path, ' ') + 1;
    };
    for (const RouteView* view : usable) {
        if (view == &best || !view->peer) {
            require(view == &best || best.source != bgp::policy::SourceKind::kernel || !view->peer);
            continue;
        }
        if (!best.peer || has(best, "graceful-shutdown") || has(*view, "graceful-shutdown") ||
            has(best, "llgr-stale") != has(*view, "llgr-stale")) {
            continue;
        }
        const auto preference = [](const RouteView& one) { return one.local_preference.value_or(100); };
        require(preference(best) >= preference(*view));
        if (preference(best) == preference(*view)) {
            require(length(best) <= length(*view));
            if (length(best) == length(*view)) {
                require(best.origin <= view->origin);
            }
        }
    }
}

void World::check_kernel(const net::Prefix& prefix, const std::vector<RouteView>& paths) const {
    const auto best = std::ranges::find_if(paths, [](const RouteView& view) { return view.best; });
    const bool kept_away =
        configuration_ && std::ranges::any_of(configuration_->kept_from_kernel,
                                              [&](const auto& range) { return range.contains(prefix); });
    const auto route = fib_.find(prefix);
    if (best == paths.end() || (best->peer && kept_away)) {
        require(route == fib_.end());
        return;
    }
    if (!best->peer) {
        return;
    }
    require(route != fib_.end());
    const auto members = groups_.find(route->second);
    require(members != groups_.end());
    require(std::ranges::any_of(members->second,
                                [&](const FibMember& member) { return member.next_hop == best->next_hop; }));
}

void World::leave_and_check() {
    for (std::size_t far = 0; far < fars.size(); ++far) {
        close(far);
    }
    handle(Originate{std::make_shared<const std::vector<LocalRoute>>()});
    handle(HostRoutes{std::make_shared<const std::vector<HostRoute>>()});
    auto nothing = std::make_shared<Configuration>(configuration_ ? *configuration_ : Configuration{});
    nothing->peers.clear();
    nothing->ranges.clear();
    configure(nothing);
    settle();
    advance(std::chrono::seconds(130));  // leftovers of a start wait no longer
    settle();
    require(speaker_.prefixes(*net::Prefix::parse("0.0.0.0/0"), 1).empty());
    require(speaker_.prefixes(*net::Prefix::parse("::/0"), 1).empty());
    require(speaker_.peers().empty());
    require(fib_.empty());
    require(tracked_.empty());
}

}  // namespace manul::fuzz
