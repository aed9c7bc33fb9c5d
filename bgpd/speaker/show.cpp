#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>

#include "bgpd/speaker/speaker_impl.hpp"
#include "bgpd/wire/community.hpp"
#include "bgpd/wire/path_attributes.hpp"

namespace manul::bgp::speaker {

namespace {

RouteView view_of(const rib::RibCore& core, const net::Prefix& prefix, const rib::Path& path) {
    const rib::AttributeSet& set = core.attributes[path.attributes];
    RouteView view;
    view.prefix = prefix;
    const policy::SourceKind kind = core.sources[path.source].traits.kind;
    if (kind != policy::SourceKind::local && !policy::is_host_route(kind)) {
        view.peer = core.sources[path.source].address;
        view.next_hop = core.next_hops[set.next_hop].next_hop.address;
        view.next_hop_reachable = core.next_hops.reachable(set.next_hop);
    }
    view.best = path.flags.selected();
    view.multipath = path.flags.multipath();
    const wire::PathAttributes attributes = wire::decode_attributes(set.canonical());
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
    return view;
}

template <class Key>
std::string verdict(const rib::LocRib<Key>& table, const rib::Path& path, const std::optional<rib::Path>& best) {
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
std::vector<RouteView> paths_of(const rib::RibCore& core, const rib::LocRib<Key>& table, const net::Prefix& prefix) {
    std::vector<RouteView> out;
    const rib::Slot slot = table.table().find(Key::from(prefix));
    if (slot == net::PrefixTable<rib::RibEntry<Key>>::kNone) {
        return out;
    }
    std::optional<rib::Path> best;
    table.each_path(slot, [&](const rib::Path& path) {
        if (path.flags.selected()) {
            best = path;
        }
    });
    table.each_path(slot, [&](const rib::Path& path) {
        out.push_back(view_of(core, prefix, path));
        out.back().verdict = verdict(table, path, best);
    });
    return out;
}

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
            const rib::AttributeSet& set = core.attributes[path.attributes];
            TablePath view{.prefix = prefix,
                           .peer = {},
                           .attributes = set.canonical(),
                           .next_hop = {},
                           .accepted = path.flags.accepted(),
                           .selected = path.flags.selected()};
            if (path.source != rib::kLocalSource) {
                view.peer = core.sources[path.source].address;
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
    return prefix.family() == net::Family::v4 ? paths_of(impl_->core, impl_->v4.rib(), prefix)
                                              : paths_of(impl_->core, impl_->v6.rib(), prefix);
}

std::optional<net::Prefix> Speaker::longest_match(const net::Ip& address) const {
    return address.is_v4() ? match(impl_->v4.rib(), address) : match(impl_->v6.rib(), address);
}

std::vector<net::Prefix> Speaker::prefixes(const net::Prefix& within, std::size_t limit) const {
    return within.family() == net::Family::v4 ? list(impl_->v4.rib(), within, limit)
                                              : list(impl_->v6.rib(), within, limit);
}

}  // namespace manul::bgp::speaker
