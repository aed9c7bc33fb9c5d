#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>

#include "bgpd/speaker/speaker_impl.hpp"
#include "bgpd/wire/community.hpp"
#include "bgpd/wire/path_attributes.hpp"

/// Answers about peers and paths. What routes are told to whom: explain.cpp.
namespace manul::bgp::speaker {

template <>
const Family<net::PrefixKey4>& Speaker::Impl::family() const noexcept {
    return v4;
}
template <>
const Family<net::PrefixKey6>& Speaker::Impl::family() const noexcept {
    return v6;
}

/// The peer whose session, or kept routes, have this number; null: none.
const Peer* Speaker::Impl::peer_of(rib::SourceId source) const noexcept {
    for (const auto& peer : peers) {
        if (peer->source() == source) {
            return peer.get();
        }
    }
    return nullptr;
}

namespace {

void add_attributes(ByteView canonical, RouteView& view) {
    const wire::PathAttributes attributes = wire::decode_attributes(canonical);
    view.as_path = attributes.path().to_string();
    view.origin = static_cast<std::uint8_t>(attributes.origin);
    view.med = attributes.med;
    view.local_preference = attributes.local_pref;
    for (const auto& community : attributes.communities) {
        view.communities.push_back(community.to_string());
    }
    for (const auto& community : attributes.large_communities) {
        view.communities.push_back(community.to_string());
    }
    for (const auto& community : attributes.extended_communities) {
        view.communities.push_back(community.to_string());
    }
}

/// The rule of the peer's import filter that decided about the path; empty: none.
template <class Key>
std::string deciding_rule(const rib::RibCore& core, const Intake& intake, const Key& key, const rib::Path& path) {
    const auto& filter = intake.rules.import_rules[rib::family_index(Key::kFamily)];
    const policy::Refusal refusal = path.flags.refusal();
    if (!filter || (refusal != policy::Refusal::none && refusal != policy::Refusal::filtered)) {
        return {};
    }
    const auto peer = intake.context.external ? policy::PeerType::external : policy::PeerType::internal;
    const auto received = core.attributes.as_received(path.attributes);
    const std::size_t rule = filter->match(key, peer, core.filter_route(received, path.source));
    return rule == policy::FilterProgram::kNoMatch ? std::string() : (*filter)[rule].label;
}

}  // namespace

template <class Key>
RouteView Speaker::Impl::view_of(const Key& key, const rib::Path& path) const {
    const rib::AttributeSet& set = core.attributes[path.attributes];
    RouteView view;
    view.prefix = key.to_prefix();
    view.source = core.sources[path.source].traits.kind;
    const bool learned = view.source != policy::SourceKind::local && !policy::is_host_route(view.source);
    if (learned) {
        view.peer = core.sources[path.source].address;
    }
    if (set.next_hop != rib::kSelfNextHop) {
        view.next_hop = core.next_hops[set.next_hop].next_hop.address;
        view.next_hop_reachable = core.next_hops.reachable(set.next_hop);
    }
    view.interface = std::string(core.filter_route(path.attributes, path.source).interface);
    view.best = path.flags.selected();
    view.multipath = path.flags.multipath();
    view.accepted = path.flags.accepted();
    if (set.path_id != 0) {
        view.path_id = set.path_id;
    }
    if (const Peer* const peer = learned ? peer_of(path.source) : nullptr; peer != nullptr) {
        view.rule = deciding_rule(core, peer->intake, key, path);
    }
    add_attributes(set.canonical(), view);
    return view;
}

template <class Key>
std::string Speaker::Impl::verdict(const rib::Path& path, const std::optional<rib::Path>& best) const {
    const rib::LocRib<Key>& table = family<Key>().rib();
    if (path.flags.selected()) {
        return "best";
    }
    if (!path.flags.accepted()) {
        return policy::to_string(path.flags.refusal());
    }
    if (!table.usable(path)) {
        return "next hop unreachable";
    }
    if (!best) {
        return "not decided yet";
    }
    if (path.flags.multipath()) {
        return "multipath";
    }
    const rib::Comparison comparison = rib::compare(table.candidate(*best, 0), table.candidate(path, 0));
    // With deterministic MED a path can lose to another one of its own neighbouring AS although it beats the best.
    return rib::to_string(comparison.order < 0 ? comparison.step : rib::Step::multi_exit_disc);
}

template <class Key>
std::vector<RouteView> Speaker::Impl::paths_of(rib::Slot slot) const {
    const rib::LocRib<Key>& table = family<Key>().rib();
    std::optional<rib::Path> best;
    table.each_path(slot, [&](const rib::Path& path) {
        if (path.flags.selected()) {
            best = path;
        }
    });
    std::vector<RouteView> out;
    const Key key = table[slot].key();
    table.each_path(slot, [&](const rib::Path& path) {
        out.push_back(view_of(key, path));
        out.back().verdict = verdict<Key>(path, best);
        out.back().stale = table.stale(path);
    });
    return out;
}

template <class Key>
RouteView Speaker::Impl::sent_view(const Key& key, const rib::Path& path, const policy::ExportTarget& target,
                                   policy::ExportVerdict verdict) const {
    const rib::AttributeSet& set = core.attributes[path.attributes];
    const rib::Source& source = core.sources[path.source];
    Bytes attributes(set.canonical().begin(), set.canonical().end());
    if (const auto operations = policy::operations_of(target, verdict.treatment); operations.any()) {
        attributes = policy::with_operations(operations, attributes);
    }
    Bytes sent;
    policy::export_attributes(target, source.traits, source.router_id, attributes, sent);
    RouteView view;
    view.prefix = key.to_prefix();
    view.source = source.traits.kind;
    view.next_hop = policy::export_next_hop(target, source.traits, core.next_hops[set.next_hop].next_hop).address;
    view.best = true;
    view.verdict = "sent";
    const std::uint32_t rule = verdict.treatment.rule;
    view.rule = rule == 0 ? std::string() : (*target.filter)[rule - 1].label;
    add_attributes(sent, view);
    return view;
}

template std::vector<RouteView> Speaker::Impl::paths_of<net::PrefixKey4>(rib::Slot) const;
template std::vector<RouteView> Speaker::Impl::paths_of<net::PrefixKey6>(rib::Slot) const;
template RouteView Speaker::Impl::sent_view(const net::PrefixKey4&, const rib::Path&, const policy::ExportTarget&,
                                            policy::ExportVerdict) const;
template RouteView Speaker::Impl::sent_view(const net::PrefixKey6&, const rib::Path&, const policy::ExportTarget&,
                                            policy::ExportVerdict) const;

namespace {

template <class Key>
std::optional<net::Prefix> match(const rib::LocRib<Key>& table, const net::Ip& address) {
    const rib::Slot slot =
        table.table().longest_match(Key::host(address), [&](rib::Slot each) { return table[each].has_path(); });
    if (slot == net::PrefixTable<rib::RibEntry<Key>>::kNone) {
        return std::nullopt;
    }
    return table[slot].key().to_prefix();
}

template <class Key>
std::vector<net::Prefix> list(const rib::LocRib<Key>& table, const net::Prefix& within, std::size_t limit) {
    std::vector<net::Prefix> out;
    for (const rib::Slot slot : table.table().sorted(Key::from(within), limit)) {
        if (table[slot].has_path()) {
            out.push_back(table[slot].key().to_prefix());
        }
    }
    return out;
}

template <class Key>
std::optional<std::uint32_t> walk_table(const rib::RibCore& core, const rib::LocRib<Key>& table, std::uint32_t from,
                                        std::uint32_t count, const std::function<void(const TablePath&)>& visit) {
    const rib::Slot end = std::min(table.end(), from + std::min(count, table.end() - std::min(from, table.end())));
    for (rib::Slot slot = from; slot < end; ++slot) {
        if (!table.table().is_used(slot) || !table[slot].has_path()) {
            continue;
        }
        const net::Prefix prefix = table[slot].key().to_prefix();
        table.each_path(slot, [&](const rib::Path& path) {
            if (policy::is_host_route(core.sources[path.source].traits.kind)) {
                return;
            }
            const rib::AttributeSet& set = core.attributes[path.attributes];
            TablePath view{.prefix = prefix,
                           .peer = {},
                           .path_id = {},
                           .attributes = set.canonical(),
                           .next_hop = {},
                           .accepted = path.flags.accepted(),
                           .selected = path.flags.selected()};
            if (path.source != rib::kLocalSource) {
                const rib::Source& source = core.sources[path.source];
                view.peer = source.address;
                if (source.add_path[rib::family_index(Key::kFamily)]) {
                    view.path_id = set.path_id;
                }
                view.next_hop = core.next_hops[set.next_hop].next_hop;
            }
            visit(view);
        });
    }
    return end < table.end() ? std::optional(end) : std::nullopt;
}

}  // namespace

std::optional<std::uint32_t> Speaker::walk(net::Family family, std::uint32_t from, std::uint32_t count,
                                           const std::function<void(const TablePath&)>& visit) const {
    return family == net::Family::v4 ? walk_table(impl_->core, impl_->v4.rib(), from, count, visit)
                                     : walk_table(impl_->core, impl_->v6.rib(), from, count, visit);
}

std::vector<PeerStatus> Speaker::peers() const {
    std::vector<PeerStatus> out;
    out.reserve(impl_->peers.size());
    for (const auto& peer : impl_->peers) {
        out.push_back(peer->status(impl_->core.sources));
    }
    return out;
}

std::vector<RouteView> Speaker::paths(const net::Prefix& prefix) const {
    const auto in = [&]<class Key>(const rib::LocRib<Key>& table) {
        const rib::Slot slot = table.table().find(Key::from(prefix));
        return slot == net::PrefixTable<rib::RibEntry<Key>>::kNone ? std::vector<RouteView>()
                                                                   : impl_->paths_of<Key>(slot);
    };
    return prefix.family() == net::Family::v4 ? in(impl_->v4.rib()) : in(impl_->v6.rib());
}

std::optional<net::Prefix> Speaker::longest_match(const net::Ip& address) const {
    return address.is_v4() ? match(impl_->v4.rib(), address) : match(impl_->v6.rib(), address);
}

std::vector<net::Prefix> Speaker::prefixes(const net::Prefix& within, std::size_t limit) const {
    return within.family() == net::Family::v4 ? list(impl_->v4.rib(), within, limit)
                                              : list(impl_->v6.rib(), within, limit);
}

}  // namespace manul::bgp::speaker
