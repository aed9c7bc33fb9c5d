#include <algorithm>
#include <functional>
#include <utility>

#include "bgpd/speaker/speaker_impl.hpp"
#include "bgpd/wire/as_path.hpp"

/// What peers are told and why, what other filters would change, and walks over the tables in parts: nothing here
/// looks at more than the slots it is given, so that questions never hold up sessions.
namespace manul::bgp::speaker {

namespace {

bool path_matches(const RouteQuery& query, const wire::AsPathView& path) {
    const auto numbers = path.numbers();
    const auto& wanted = query.as_path;
    if (query.path_from_start && query.path_to_end) {
        return numbers == wanted;
    }
    if (wanted.size() > numbers.size()) {
        return false;
    }
    if (query.path_from_start) {
        return std::equal(wanted.begin(), wanted.end(), numbers.begin());
    }
    if (query.path_to_end) {
        return std::equal(wanted.rbegin(), wanted.rend(), numbers.rbegin());
    }
    return std::search(numbers.begin(), numbers.end(), wanted.begin(), wanted.end()) != numbers.end();
}

/// Why the built-in rules let nothing out, for people.
std::string why_not(const policy::ExportTarget& target, const policy::SourceTraits& source,
                    const policy::RouteMarks& marks, policy::Permission permission) {
    if (marks.no_advertise) {
        return "not sent: it carries NO_ADVERTISE";
    }
    if (marks.no_export && target.external) {
        return "not sent: it carries NO_EXPORT";
    }
    switch (permission) {
        case policy::Permission::never:
            return marks.llgr_stale ? "not sent: stale for long, and the peer does not know LLGR_STALE"
                   : target.cluster_id
                       ? "not sent: learned from an internal peer, and neither it nor this peer is a client"
                       : "not sent: learned from an internal peer, and this node is no route reflector";
        case policy::Permission::by_filter:
            return policy::is_host_route(source.kind)
                       ? "not sent: a route of this host itself, which only an export filter lets out"
                       : "not sent: between external peers only an export filter lets routes pass";
        case policy::Permission::inside_ranges:
            return "not sent: learned, and outside the IP pools and service ranges";
        case policy::Permission::always:
            break;
    }
    return "sent";
}

/// Goes over at most `slots` slots of both families and says where to go on.
template <class V4, class V6>
std::optional<Cursor> in_part(Cursor from, std::size_t slots, std::pair<rib::Slot, rib::Slot> ends, V4&& v4, V6&& v6) {
    std::size_t left = slots;
    if (from.family == net::Family::v4) {
        const auto to = static_cast<rib::Slot>(std::min<std::size_t>(ends.first, std::size_t{from.slot} + left));
        if (from.slot < to) {
            v4(from.slot, to);
            left -= to - from.slot;
        }
        if (to < ends.first) {
            return Cursor{net::Family::v4, to};
        }
        from = {net::Family::v6, 0};
    }
    const auto to = static_cast<rib::Slot>(std::min<std::size_t>(ends.second, std::size_t{from.slot} + left));
    if (from.slot < to) {
        v6(from.slot, to);
    }
    return to < ends.second ? std::optional(Cursor{net::Family::v6, to}) : std::nullopt;
}

/// Whether the query asks for this path, but for its community, which a filter may have changed on the way to a peer.
bool asks_for(const RouteQuery& query, const rib::Path& path, const rib::RibCore& core) {
    using Table = RouteQuery::Table;
    const bool in_table = query.table == Table::all || (query.table == Table::accepted && path.flags.accepted()) ||
                          (query.table == Table::rejected && !path.flags.accepted()) ||
                          ((query.table == Table::best || query.table == Table::sent) && path.flags.selected());
    if (!in_table) {
        return false;
    }
    if (query.table != Table::sent && query.peer &&
        (path.source == rib::kLocalSource || core.sources[path.source].address != *query.peer)) {
        return false;
    }
    if (query.as_path.empty() && !query.path_from_start && !query.path_to_end) {
        return true;
    }
    return path_matches(query, wire::attribute_facts(core.attributes[path.attributes].canonical()).as_path);
}

}  // namespace

template <class Key>
void Speaker::Impl::add_routes(const RouteQuery& query, rib::Slot from, rib::Slot to,
                               std::vector<RouteView>& out) const {
    if (query.within && query.within->family() != Key::kFamily) {
        return;
    }
    const rib::LocRib<Key>& table = family<Key>().rib();
    const auto range = query.within ? std::optional(Key::from(*query.within)) : std::nullopt;
    const UpdateGroup<Key>* group = nullptr;
    rib::SourceId reader;
    if (query.table == RouteQuery::Table::sent) {
        const auto known = query.peer ? peer_by_address.find(*query.peer) : peer_by_address.end();
        if (known == peer_by_address.end() || known->second->session == nullptr) {
            return;
        }
        reader = known->second->session->outlet.source;
        group = family<Key>().group_of(reader);
        if (group == nullptr) {
            return;
        }
    }
    const auto has_community = [&](const RouteView& view) {
        return query.community.empty() ||
               std::ranges::find(view.communities, query.community) != view.communities.end();
    };
    for (rib::Slot slot = from; slot < to; ++slot) {
        if (!table.table().is_used(slot) || !table[slot].has_path()) {
            continue;
        }
        const Key key = table[slot].key();
        if (range && (range->length > key.length || key.cut(range->length) != *range)) {
            continue;
        }
        if (group != nullptr) {
            const rib::Path best = table[slot].first();
            if (!table[slot].has_selected() || best.source == reader || !asks_for(query, best, core)) {
                continue;
            }
            if (const auto told = group->out().verdict(best.attributes, best.source, key); told.accepted) {
                RouteView view = sent_view(key, best, group->out().target(), told);
                if (has_community(view)) {
                    out.push_back(std::move(view));
                }
            }
            continue;
        }
        bool any = false;
        table.each_path(slot, [&](const rib::Path& path) { any = any || asks_for(query, path, core); });
        if (!any) {
            continue;
        }
        std::vector<RouteView> views = paths_of<Key>(slot);
        std::size_t at = 0;
        table.each_path(slot, [&](const rib::Path& path) {
            RouteView& view = views[at++];
            if (asks_for(query, path, core) && has_community(view)) {
                out.push_back(std::move(view));
            }
        });
    }
}

template <class Key>
void Speaker::Impl::count_sent(rib::Slot from, rib::Slot to, SentCounts& out) const {
    const rib::LocRib<Key>& table = family<Key>().rib();
    constexpr std::size_t kIndex = Key::kFamily == net::Family::v4 ? 0 : 1;
    struct Reader {
        rib::SourceId source;
        std::uint32_t* count;
    };
    std::map<const UpdateGroup<Key>*, std::vector<Reader>> groups;
    for (const auto& peer : peers) {
        if (peer->session != nullptr) {
            const rib::SourceId source = peer->session->outlet.source;
            if (const auto* group = family<Key>().group_of(source)) {
                groups[group].push_back({source, &out.peers[peer->config.address][kIndex]});
            }
        }
    }
    for (const auto& [group, readers] : groups) {
        std::uint32_t all = 0;
        std::map<rib::SourceId, std::uint32_t> own;
        for (rib::Slot slot = from; slot < to; ++slot) {
            const auto& entry = table[slot];
            if (!entry.is_unused() && entry.has_selected() &&
                group->out().verdict(entry.attributes, entry.source, entry.key()).accepted) {
                ++all;
                ++own[entry.source];
            }
        }
        for (const Reader& reader : readers) {
            *reader.count += all - (own.contains(reader.source) ? own[reader.source] : 0);
        }
    }
}

template <class Key>
ExportView Speaker::Impl::export_to(const Peer& peer, const Key& key) const {
    ExportView view{peer.config.address, peer.config.name, false, {}, std::nullopt};
    const rib::LocRib<Key>& table = family<Key>().rib();
    const rib::SourceId reader = peer.session->outlet.source;
    const UpdateGroup<Key>* const group = family<Key>().group_of(reader);
    const rib::Slot slot = table.table().find(key);
    if (group == nullptr) {
        view.reason = "not sent: no own address in this family to name as next hop";
        return view;
    }
    if (slot == net::PrefixTable<rib::RibEntry<Key>>::kNone || !table[slot].has_selected()) {
        view.reason = "not sent: no path is selected";
        return view;
    }
    const rib::Path best = table[slot].first();
    const policy::ExportTarget& target = group->out().target();
    const policy::SourceTraits& source = core.sources[best.source].traits;
    const policy::RouteMarks& marks = core.attributes[best.attributes].marks;
    if (best.source == reader) {
        view.reason = "not sent: the best path is its own";
        return view;
    }
    const auto verdict = group->out().verdict(best.attributes, best.source, key);
    view.sent = verdict.accepted;
    if (const std::uint32_t rule = verdict.treatment.rule; rule != 0) {
        view.reason = std::string(verdict.accepted ? "sent: accepted by " : "not sent: rejected by ") + "filter " +
                      (*target.filter)[rule - 1].label;
    } else {
        view.reason = verdict.accepted ? "sent" : why_not(target, source, marks, permission(target, source, marks));
    }
    if (verdict.accepted) {
        view.route = sent_view(key, best, target, verdict);
    }
    return view;
}

template <class Key>
std::string Speaker::Impl::import_text(const Peer& peer, const Key& key, rib::AttributeId received,
                                       const policy::FilterProgram* filter) const {
    const rib::AttributeSet& set = core.attributes[received];
    auto refusal = policy::judge_attributes(peer.intake.context, wire::attribute_facts(set.canonical()),
                                            core.next_hops[set.next_hop].next_hop, own_addresses);
    if (refusal == policy::Refusal::none) {
        refusal = policy::judge_prefix(key, own_addresses);
    }
    if (refusal != policy::Refusal::none || filter == nullptr) {
        return policy::to_string(refusal);
    }
    const auto type = peer.intake.context.external ? policy::PeerType::external : policy::PeerType::internal;
    const std::size_t rule = filter->match(key, type, core.filter_route(received, *peer.source()));
    if (rule == policy::FilterProgram::kNoMatch) {
        return "accepted";
    }
    const policy::FilterRule& decided = (*filter)[rule];
    return (decided.action == policy::FilterAction::accept ? "accepted by " : "rejected by ") + decided.label +
           (decided.operations.empty() ? "" : ", with operations");
}

template <class Key>
void Speaker::Impl::try_filters(const std::map<net::Ip, policy::PeerFilters>& rules, rib::Slot from, rib::Slot to,
                                std::vector<FilterDifference>& out) const {
    constexpr std::size_t kIndex = Key::kFamily == net::Family::v4 ? 0 : 1;
    const rib::LocRib<Key>& table = family<Key>().rib();
    const auto export_text = [](const policy::ExportTarget& target, policy::ExportVerdict verdict) {
        const std::uint32_t rule = verdict.treatment.rule;
        const std::string by = rule == 0 ? "" : " by " + (*target.filter)[rule - 1].label;
        return (verdict.accepted ? "sent" : "not sent") + by +
               (policy::operations_of(target, verdict.treatment).of_rule != nullptr ? ", with operations" : "");
    };
    for (const auto& [address, wanted] : rules) {
        const auto known = peer_by_address.find(address);
        if (known == peer_by_address.end() || known->second->session == nullptr) {
            continue;
        }
        const Peer& peer = *known->second;
        const rib::SourceId source = peer.session->outlet.source;
        const UpdateGroup<Key>* const group = family<Key>().group_of(source);
        std::optional<policy::ExportTarget> target;
        if (group != nullptr) {
            target = group->out().target();
            target->filter = wanted.export_rules[kIndex];
        }
        for (rib::Slot slot = from; slot < to; ++slot) {
            if (!table.table().is_used(slot) || !table[slot].has_path()) {
                continue;
            }
            const Key key = table[slot].key();
            if (const auto path = table.path_of(slot, source)) {
                const rib::AttributeId received = core.attributes.as_received(path->attributes);
                auto before = import_text(peer, key, received, peer.intake.rules.import_rules[kIndex].get());
                auto after = import_text(peer, key, received, wanted.import_rules[kIndex].get());
                if (before != after) {
                    out.push_back({address, true, key.to_prefix(), std::move(before), std::move(after)});
                }
            }
            if (!target || !table[slot].has_selected() || table[slot].source == source) {
                continue;
            }
            const rib::Path best = table[slot].first();
            auto before = export_text(group->out().target(), group->out().verdict(best.attributes, best.source, key));
            auto after = export_text(
                *target,
                policy::judge_export(*target, core.sources[best.source].traits, core.attributes[best.attributes].marks,
                                     key, [&] { return core.filter_route(best.attributes, best.source); }));
            if (before != after) {
                out.push_back({address, false, key.to_prefix(), std::move(before), std::move(after)});
            }
        }
    }
}

RoutePage Speaker::routes(const RouteQuery& query, Cursor from, std::size_t slots) const {
    RoutePage page;
    page.next = in_part(
        from, slots, {impl_->v4.rib().end(), impl_->v6.rib().end()},
        [&](rib::Slot begin, rib::Slot end) { impl_->add_routes<net::PrefixKey4>(query, begin, end, page.routes); },
        [&](rib::Slot begin, rib::Slot end) { impl_->add_routes<net::PrefixKey6>(query, begin, end, page.routes); });
    return page;
}

SentCounts Speaker::sent_counts(Cursor from, std::size_t slots) const {
    SentCounts counts;
    counts.next = in_part(
        from, slots, {impl_->v4.rib().end(), impl_->v6.rib().end()},
        [&](rib::Slot begin, rib::Slot end) { impl_->count_sent<net::PrefixKey4>(begin, end, counts); },
        [&](rib::Slot begin, rib::Slot end) { impl_->count_sent<net::PrefixKey6>(begin, end, counts); });
    return counts;
}

std::vector<ExportView> Speaker::exports(const net::Prefix& prefix) const {
    std::vector<ExportView> out;
    for (const auto& peer : impl_->peers) {
        if (peer->session != nullptr && peer->session->families.has(prefix.family())) {
            out.push_back(prefix.family() == net::Family::v4 ? impl_->export_to(*peer, net::PrefixKey4::from(prefix))
                                                             : impl_->export_to(*peer, net::PrefixKey6::from(prefix)));
        }
    }
    return out;
}

FilterTrial Speaker::try_filters(const std::map<net::Ip, policy::PeerFilters>& rules, Cursor from,
                                 std::size_t slots) const {
    FilterTrial trial;
    trial.next = in_part(
        from, slots, {impl_->v4.rib().end(), impl_->v6.rib().end()},
        [&](rib::Slot begin, rib::Slot end) {
            impl_->try_filters<net::PrefixKey4>(rules, begin, end, trial.differences);
        },
        [&](rib::Slot begin, rib::Slot end) {
            impl_->try_filters<net::PrefixKey6>(rules, begin, end, trial.differences);
        });
    return trial;
}

}  // namespace manul::bgp::speaker
