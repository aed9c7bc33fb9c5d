#include <algorithm>
#include <utility>

#include "bgpd/rib/import_run.hpp"
#include "bgpd/speaker/speaker_impl.hpp"
#include "bgpd/wire/path_attributes.hpp"

/// Filters under running sessions, and the host's own routes, which are there for filters alone.
namespace manul::bgp::speaker {

namespace {

rib::PathFlags flags_of(const rib::Path& path, policy::Refusal refusal) noexcept {
    rib::PathFlags flags = path.flags;
    flags.set_refusal(refusal);
    return flags;
}

}  // namespace

/// A BGPFilter, or the list of filters of a BGPPeer, has changed: what the peer sent is judged again where it is, and
/// the peer is told what differs.
void Speaker::Impl::change_filters(Peer& peer, const PeerConfig& wanted) {
    const bool other_list = peer.config.filters != wanted.filters;
    const bool other_import =
        !std::ranges::equal(peer.config.rules.import_rules, wanted.rules.import_rules, policy::same_rules);
    peer.config.filters = wanted.filters;
    peer.config.rules = wanted.rules;
    if (peer.session == nullptr) {
        return;
    }
    peer.session->rules = wanted.rules;
    if (other_import) {
        judge_again(*peer.session);
    }
    if (other_list) {
        v4.change_group(peer.session->outlet);
        v6.change_group(peer.session->outlet);
        join_groups(peer, *peer.machine.negotiated(), true);
    }
}

/// Gives every group what its filters say now.
void Speaker::Impl::apply_filters() {
    const auto rules_of = [&](const std::vector<std::string>& names, std::size_t family) -> policy::FilterPtr {
        for (const PeerConfig& peer : configuration->peers) {
            if (peer.filters == names) {
                return peer.rules.export_rules[family];
            }
        }
        return nullptr;
    };
    v4.retarget(relayable, [&](const std::vector<std::string>& names) { return rules_of(names, 0); });
    v6.retarget(relayable, [&](const std::vector<std::string>& names) { return rules_of(names, 1); });
}

void Speaker::Impl::judge_again(Session& session) {
    session.judged_to = {0, 0};
    judging = true;
    unfinished = true;
}

/// A slice of judging kept paths again, for each session that needs it.
void Speaker::Impl::judge_slice() {
    if (!judging) {
        return;
    }
    judging = false;
    for (const auto& peer : peers) {
        if (peer->session == nullptr || !peer->session->judged_to) {
            continue;
        }
        judge_slice(*peer->session, v4, 0);
        judge_slice(*peer->session, v6, 1);
        const auto& to = *peer->session->judged_to;
        if (to[0] >= v4.rib().end() && to[1] >= v6.rib().end()) {
            peer->session->judged_to.reset();
        } else {
            judging = true;
        }
    }
}

template <class Key>
void Speaker::Impl::judge_slice(Session& session, Family<Key>& family, std::size_t index) {
    rib::LocRib<Key>& table = family.rib();
    rib::Slot& next = (*session.judged_to)[index];
    std::vector<rib::Path> paths;
    const rib::Slot last = std::min(next + kSlotsPerTurn, table.end());
    for (; next < last; ++next) {
        if (!table.table().is_used(next)) {
            continue;
        }
        paths.clear();
        table.each_path(next, [&](const rib::Path& path) {
            if (path.source == session.outlet.source) {
                paths.push_back(path);
            }
        });
        for (const rib::Path& path : paths) {
            const rib::AttributeId received = core.attributes.as_received(path.attributes);
            rib::ImportRun run =
                import_run(session, received, wire::attribute_facts(core.attributes[received].canonical()), index);
            const Key key = table[next].key();
            const auto verdict = run.judge(key);
            const bool marked = core.attributes[path.attributes].marks.llgr_stale;
            if (marked && !core.attributes[verdict.attributes].marks.llgr_stale) {
                const rib::AttributeId kept = core.attributes.intern_llgr_stale(verdict.attributes);
                table.put(key, session.outlet.source, kept, flags_of(path, verdict.refusal));
                core.attributes.release(kept);
            } else {
                table.put(key, session.outlet.source, verdict.attributes, flags_of(path, verdict.refusal));
            }
        }
    }
}

/// `received` stays valid as long as the run.
rib::ImportRun Speaker::Impl::import_run(const Session& session, rib::AttributeId received,
                                         const wire::AttributeFacts& facts, std::size_t family) {
    const rib::AttributeSet& set = core.attributes[received];
    const policy::Refusal refusal =
        policy::judge_attributes(session.import, facts, core.next_hops[set.next_hop].next_hop, own_addresses);
    return {core,
            received,
            refusal,
            session.rules.import_rules[family].get(),
            session.import.external ? policy::PeerType::external : policy::PeerType::internal,
            own_addresses};
}

/// Only filters ask over which interface a route leads.
void Speaker::Impl::interface_changed() {
    v4.judge_exports_again();
    v6.judge_exports_again();
    for (const auto& peer : peers) {
        if (peer->session != nullptr &&
            std::ranges::any_of(peer->session->rules.import_rules,
                                [](const policy::FilterPtr& rules) { return rules && rules->asks_for_interface(); })) {
            judge_again(*peer->session);
        }
    }
}

void Speaker::Impl::on(const HostRoutes& event) {
    host_routes = event.routes;
    apply_host_routes();
    unfinished = true;
}

/// Brings the tables in line with the host's routes. Without export filters nobody could be told about them, and they
/// are left out.
void Speaker::Impl::apply_host_routes() {
    const bool wanted = configuration && std::ranges::any_of(configuration->peers, [](const PeerConfig& peer) {
                            return peer.rules.export_rules[0] != nullptr || peer.rules.export_rules[1] != nullptr;
                        });
    std::vector<HostRoute> routes;
    if (wanted && host_routes) {
        routes = *host_routes;
        std::ranges::sort(routes);
        // Of several routes for a prefix the one with the lowest metric is used.
        const auto others = std::ranges::unique(routes, [](const HostRoute& a, const HostRoute& b) {
            return a.prefix == b.prefix && a.connected == b.connected;
        });
        routes.erase(others.begin(), others.end());
    }
    const auto same_place = [](const HostRoute& a, const HostRoute& b) {
        return std::pair(a.prefix, a.connected) < std::pair(b.prefix, b.connected);
    };
    for (const HostRoute& route : host_routes_in_force) {
        if (!std::binary_search(routes.begin(), routes.end(), route, same_place)) {
            withdraw(route.prefix, route.connected ? connected_source : kernel_source);
        }
    }
    for (const HostRoute& route : routes) {
        const std::uint32_t priority = route.workload ? policy::kNormalPriority : route.metric;
        const rib::AttributeId id = core.attributes.intern_host(own_attributes(route.prefix, true), priority,
                                                                core.interfaces.id(route.interface));
        announce(route.prefix, route.connected ? connected_source : kernel_source, id, rib::PathFlags::local(false));
        core.attributes.release(id);
    }
    host_routes_in_force = std::move(routes);
}

}  // namespace manul::bgp::speaker
