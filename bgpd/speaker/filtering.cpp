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

/// The first definition, of a peer or of a range of peers, that `holds` is true for; null: none.
template <class F>
const PeerConfig* find_definition(const Configuration& configuration, F&& holds) {
    for (const auto* definitions : {&configuration.peers, &configuration.ranges}) {
        if (const auto found = std::ranges::find_if(*definitions, holds); found != definitions->end()) {
            return &*found;
        }
    }
    return nullptr;
}

}  // namespace

/// What decides over routes of the peer has changed, or may have: they are judged again where they are.
void Speaker::Impl::change_intake(Peer& peer, const PeerConfig& wanted) {
    const policy::ImportContext before = peer.intake.context;
    policy::ImportContext& context = peer.intake.context;
    context.allowed_own_as = wanted.allowed_own_as;
    context.cluster_id = configuration->self.cluster_id;
    const bool other_rules =
        !std::ranges::equal(peer.config.rules.import_rules, wanted.rules.import_rules, policy::same_rules);
    peer.config.rules = wanted.rules;
    peer.intake.rules = wanted.rules;
    if (other_rules || context.allowed_own_as != before.allowed_own_as || context.cluster_id != before.cluster_id) {
        judge_again(peer);
    }
}

/// Gives every group what its filters say now.
void Speaker::Impl::apply_filters() {
    const auto rules_of = [&](const std::vector<std::string>& names, std::size_t family) -> policy::FilterPtr {
        const PeerConfig* const user =
            find_definition(*configuration, [&](const PeerConfig& peer) { return peer.filters == names; });
        return user != nullptr ? user->rules.export_rules[family] : nullptr;
    };
    v4.retarget(relayable, markings, [&](const std::vector<std::string>& names) { return rules_of(names, 0); });
    v6.retarget(relayable, markings, [&](const std::vector<std::string>& names) { return rules_of(names, 1); });
}

void Speaker::Impl::judge_again(Peer& peer) {
    if (peer.source()) {
        peer.intake.judged_to = {0, 0};
        judging = true;
        unfinished = true;
    }
}

/// A slice of judging kept paths again, for each peer that needs it.
void Speaker::Impl::judge_slice() {
    if (!judging) {
        return;
    }
    judging = false;
    for (const auto& peer : peers) {
        const auto source = peer->source();
        if (!source || !peer->intake.judged_to) {
            continue;
        }
        judge_slice(*source, peer->intake, v4, 0);
        judge_slice(*source, peer->intake, v6, 1);
        const auto& to = *peer->intake.judged_to;
        if (to[0] >= v4.rib().end() && to[1] >= v6.rib().end()) {
            peer->intake.judged_to.reset();
        } else {
            judging = true;
        }
    }
}

template <class Key>
void Speaker::Impl::judge_slice(rib::SourceId source, Intake& intake, Family<Key>& family, std::size_t index) {
    rib::LocRib<Key>& table = family.rib();
    rib::Slot& next = (*intake.judged_to)[index];
    std::vector<rib::Path> paths;
    const rib::Slot last = std::min(next + kSlotsPerTurn, table.end());
    for (; next < last; ++next) {
        if (!table.table().is_used(next)) {
            continue;
        }
        paths.clear();
        table.each_path(next, [&](const rib::Path& path) {
            if (path.source == source) {
                paths.push_back(path);
            }
        });
        for (const rib::Path& path : paths) {
            const rib::AttributeId received = core.attributes.as_received(path.attributes);
            rib::ImportRun run =
                import_run(intake, received, wire::attribute_facts(core.attributes[received].canonical()), index);
            const Key key = table[next].key();
            const auto verdict = run.judge(key);
            const bool marked = core.attributes[path.attributes].marks.llgr_stale;
            if (marked && !core.attributes[verdict.attributes].marks.llgr_stale) {
                const rib::AttributeId kept = core.attributes.intern_llgr_stale(verdict.attributes);
                table.put(key, source, kept, flags_of(path, verdict.refusal));
                core.attributes.release(kept);
            } else {
                table.put(key, source, verdict.attributes, flags_of(path, verdict.refusal));
            }
        }
    }
}

/// `received` stays valid as long as the run.
rib::ImportRun Speaker::Impl::import_run(const Intake& intake, rib::AttributeId received,
                                         const wire::AttributeFacts& facts, std::size_t family) {
    const rib::AttributeSet& set = core.attributes[received];
    const policy::Refusal refusal =
        policy::judge_attributes(intake.context, facts, core.next_hops[set.next_hop].next_hop, own_addresses);
    return {core,
            received,
            refusal,
            intake.rules.import_rules[family].get(),
            intake.context.external ? policy::PeerType::external : policy::PeerType::internal,
            own_addresses};
}

/// Only filters ask over which interface a route leads.
void Speaker::Impl::interface_changed() {
    v4.judge_exports_again();
    v6.judge_exports_again();
    for (const auto& peer : peers) {
        if (std::ranges::any_of(peer->intake.rules.import_rules,
                                [](const policy::FilterPtr& rules) { return rules && rules->asks_for_interface(); })) {
            judge_again(*peer);
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
    const bool wanted =
        configuration && find_definition(*configuration, [](const PeerConfig& peer) {
                             return peer.rules.export_rules[0] != nullptr || peer.rules.export_rules[1] != nullptr;
                         }) != nullptr;
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
        // What has no metric of its own is of the priority that own routes have.
        const std::uint32_t local_pref = own_local_preference(route.prefix.family());
        const std::uint32_t normal = policy::priority_of(local_pref);
        const std::uint32_t priority = route.workload || route.connected ? normal : route.metric;
        const bool travels = policy::local_pref_of(normal) == local_pref;
        const rib::AttributeId id =
            core.attributes.intern_host(own_attributes(true, travels ? policy::local_pref_of(priority) : local_pref),
                                        priority, core.interfaces.id(route.interface));
        announce(route.prefix, route.connected ? connected_source : kernel_source, id, rib::PathFlags::local(false));
        core.attributes.release(id);
    }
    host_routes_in_force = std::move(routes);
}

}  // namespace manul::bgp::speaker
