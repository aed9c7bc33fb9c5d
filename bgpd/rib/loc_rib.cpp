#include "bgpd/rib/loc_rib.hpp"

#include <algorithm>
#include <utility>

namespace manul::bgp::rib {

policy::FilterRoute RibCore::filter_route(AttributeId id, SourceId source) const noexcept {
    const AttributeSet& set = attributes[id];
    const policy::SourceKind kind = sources[source].traits.kind;
    if (policy::is_host_route(kind)) {
        return {set.canonical(), false, interfaces[set.host_interface], set.host_priority};
    }
    const bool learned = kind != policy::SourceKind::local;
    return {set.canonical(), learned, learned ? interfaces[next_hops[set.next_hop].interface] : std::string_view(),
            policy::priority_of(set.local_pref)};
}

template <class Key>
std::optional<Path> LocRib<Key>::path_of(Slot slot, SourceId source) const noexcept {
    std::optional<Path> found;
    each_path(slot, [&](const Path& path) {
        if (!found && path.source == source) {
            found = path;
        }
    });
    return found;
}

template <class Key>
inline bool LocRib<Key>::log_first(Slot slot) {
    const std::size_t word = slot / 64;
    const std::uint64_t bit = std::uint64_t{1} << (slot % 64);
    if (word >= dirty_.size()) {
        dirty_.resize(std::max<std::size_t>(word + 1, dirty_.size() * 2));
    } else if ((dirty_[word] & bit) != 0) {
        return false;
    }
    dirty_[word] |= bit;
    const Entry& entry = table_[slot];
    if (entry.has_selected()) {
        log_.push_back({slot, entry.attributes, entry.source});
        return true;
    }
    log_.push_back({slot, kNoAttributes, kLocalSource});
    return false;
}

template <class Key>
void LocRib<Key>::touch(Slot slot) {
    if (log_first(slot)) {
        core_.attributes.add_reference(table_[slot].attributes);
    }
}

template <class Key>
inline void LocRib<Key>::give_up_first(Slot slot) {
    if (!log_first(slot)) {
        core_.attributes.release(table_[slot].attributes);
    }
}

template <class Key>
inline void LocRib<Key>::count(SourceId source, PathFlags flags, std::uint32_t step) noexcept {
    constexpr std::size_t kFamily = family_index(Key::kFamily);
    Source& known = core_.sources[source];
    auto& counts = known.counts[kFamily];
    counts.received += step;  // modulo 2^32: step is 1 or -1
    counts.accepted += flags.accepted() ? step : 0;
    counts.current += flags.generation() == known.generation[kFamily] ? step : 0;
}

/// A stale path has been announced again as it was.
template <class Key>
void LocRib<Key>::renew(SourceId source, PathFlags& flags, bool generation) noexcept {
    flags.set_generation(generation);
    ++core_.sources[source].counts[family_index(Key::kFamily)].current;
}

template <class Key>
void LocRib<Key>::announce(const Key& key, const Hint& hint, SourceId source, AttributeId attributes, PathFlags flags) {
    flags.set_generation(core_.sources[source].generation[family_index(Key::kFamily)]);
    put(key, hint, source, attributes, flags);
}

template <class Key>
void LocRib<Key>::put(const Key& key, const Hint& hint, SourceId source, AttributeId attributes, PathFlags flags) {
    const auto [slot, added] = table_.insert(key, hint);
    if (slot == decltype(table_)::kNone) {
        return;
    }
    Entry& entry = table_[slot];
    if (!entry.has_path()) {
        touch(slot);
        note(entry, source, {}, attributes, flags);
        core_.attributes.add_reference(attributes);
        entry.attributes = attributes;
        entry.source = source;
        entry.flags = flags;
        count(source, flags, 1);
        return;
    }
    const std::uint32_t path_id = core_.attributes[attributes].path_id;
    if (is_path(entry.attributes, entry.source, source, path_id)) {
        if (entry.attributes == attributes && entry.flags.same_path(flags)) {
            if (entry.flags.generation() != flags.generation()) {  // news to whoever forgot it with the session
                note(entry, source, {}, attributes, flags);
                renew(source, entry.flags, flags.generation());
            }
            return;
        }
        note(entry, source, entry.first(), attributes, flags);
        count(source, entry.flags, ~std::uint32_t{0});
        count(source, flags, 1);
        core_.attributes.add_reference(attributes);
        give_up_first(slot);
        entry.attributes = attributes;
        entry.flags = flags;
        return;
    }
    for (std::uint32_t at = entry.more; at != 0; at = nodes_[at].next) {
        PathNode& node = nodes_[at];
        if (!is_path(node.attributes, node.source, source, path_id)) {
            continue;
        }
        const Path before{node.attributes, node.source, node.flags};
        if (node.attributes == attributes && node.flags.same_path(flags)) {
            if (node.flags.generation() != flags.generation()) {
                note(entry, source, {}, attributes, flags);
                renew(source, node.flags, flags.generation());
            }
            return;
        }
        touch(slot);
        note(entry, source, before, attributes, flags);
        count(source, node.flags, ~std::uint32_t{0});
        count(source, flags, 1);
        core_.attributes.add_reference(attributes);
        core_.attributes.release(std::exchange(node.attributes, attributes));
        node.flags = flags;
        return;
    }
    touch(slot);
    note(entry, source, {}, attributes, flags);
    core_.attributes.add_reference(attributes);
    count(source, flags, 1);
    entry.more = nodes_.add({attributes, entry.more, source, flags});
}

template <class Key>
void LocRib<Key>::withdraw(const Key& key, const Hint& hint, SourceId source, std::uint32_t path_id) {
    const Slot slot = table_.find(key, hint);
    if (slot == decltype(table_)::kNone) {
        return;
    }
    const Entry& entry = table_[slot];
    if (!entry.has_path()) {
        return;
    }
    if (is_path(entry.attributes, entry.source, source, path_id)) {
        remove_path(slot, 0, 0);
        return;
    }
    std::uint32_t previous = 0;
    for (std::uint32_t at = entry.more; at != 0; previous = at, at = nodes_[at].next) {
        if (is_path(nodes_[at].attributes, nodes_[at].source, source, path_id)) {
            remove_path(slot, previous, at);
            return;
        }
    }
}

/// Removes the node, or the first path when `node` is 0; then the next one takes its place.
template <class Key>
void LocRib<Key>::remove_path(Slot slot, std::uint32_t previous, std::uint32_t node) {
    Entry& entry = table_[slot];
    if (node == 0) {
        note(entry, entry.source, entry.first(), kNoAttributes, {});
        count(entry.source, entry.flags, ~std::uint32_t{0});
        give_up_first(slot);
        if (entry.more == 0) {
            entry.attributes = kNoAttributes;
            entry.flags = PathFlags{};
            entry.source = kLocalSource;
            empty_.push_back(slot);
            return;
        }
        const std::uint32_t heir = entry.more;
        entry.attributes = nodes_[heir].attributes;
        entry.source = nodes_[heir].source;
        entry.flags = nodes_[heir].flags;
        entry.more = nodes_[heir].next;
        nodes_.remove(heir);
        return;
    }
    touch(slot);
    const Path gone{nodes_[node].attributes, nodes_[node].source, nodes_[node].flags};
    note(entry, gone.source, gone, kNoAttributes, {});
    count(gone.source, gone.flags, ~std::uint32_t{0});
    core_.attributes.release(nodes_[node].attributes);
    (previous == 0 ? entry.more : nodes_[previous].next) = nodes_[node].next;
    nodes_.remove(node);
}

template <class Key>
Slot LocRib<Key>::sweep(Slot from, Slot count, std::size_t most_logged) {
    const Slot last = std::min(from + count, table_.end());
    const bool any_changed = core_.next_hops.any_changed();
    const std::size_t logged_before = log_.size();
    for (Slot slot = from; slot < last; ++slot) {
        if (log_.size() - logged_before >= most_logged) {
            return slot;
        }
        const Entry& entry = table_[slot];
        if (entry.is_unused() || !entry.has_path()) {
            continue;
        }
        // Most stay as they are.
        if (entry.more == 0 && !any_changed && !core_.sources[entry.source].lost && !stale(entry.first())) {
            continue;
        }
        if (sweep_slot(slot)) {
            touch(slot);
        }
    }
    return last;
}

template <class Key>
typename LocRib<Key>::Fate LocRib<Key>::fate(const Path& path) const noexcept {
    const Source& source = core_.sources[path.source];
    if (source.lost) {
        return Fate::goes;
    }
    const bool is_stale = stale(path);
    if (!is_stale && !core_.next_hops.any_changed()) {
        return Fate::stays;  // without a look at the set, which mostly is in no cache
    }
    const AttributeSet& set = core_.attributes[path.attributes];
    if (is_stale) {
        constexpr std::size_t kFamily = family_index(Key::kFamily);
        if (source.drop_stale[kFamily] || (source.long_lived[kFamily] && set.marks.no_llgr)) {
            return Fate::goes;
        }
        if (source.long_lived[kFamily] && !set.marks.llgr_stale) {
            return Fate::long_lived;
        }
    }
    return core_.next_hops[set.next_hop].changed ? Fate::stays_changed : Fate::stays;
}

/// Removes and marks paths as their fate is; true when a path that stays leads through a changed next hop.
template <class Key>
bool LocRib<Key>::sweep_slot(Slot slot) {
    Entry& entry = table_[slot];
    bool changed = false;
    const auto mark = [&](auto& path) {
        touch(slot);
        const AttributeId marked = core_.attributes.intern_llgr_stale(path.attributes);
        note(entry, path.source, {path.attributes, path.source, path.flags}, marked, path.flags);
        core_.attributes.release(std::exchange(path.attributes, marked));
    };
    std::uint32_t previous = 0;
    for (std::uint32_t at = entry.more; at != 0;) {
        PathNode& node = nodes_[at];
        const std::uint32_t next = node.next;
        const Fate what = fate({node.attributes, node.source, node.flags});
        if (what == Fate::goes) {
            remove_path(slot, previous, at);
        } else {
            if (what == Fate::long_lived) {
                mark(node);
            }
            changed = changed || what == Fate::stays_changed;
            previous = at;
        }
        at = next;
    }
    switch (fate(entry.first())) {
        case Fate::goes:
            remove_path(slot, 0, 0);
            return false;  // touched already
        case Fate::long_lived:
            mark(entry);
            return false;
        case Fate::stays_changed:
            return true;
        case Fate::stays:
            break;
    }
    return changed;
}

template <class Key>
void LocRib<Key>::mark_stale(SourceId source, AlreadyStale already) {
    constexpr std::size_t kFamily = family_index(Key::kFamily);
    Source& known = core_.sources[source];
    if (std::exchange(known.has_stale[kFamily], true)) {
        if (already == AlreadyStale::stays) {
            refresh_generation(source);
        } else {
            known.drop_stale[kFamily] = true;
            static_cast<void>(sweep(0, table_.end()));
        }
    }
    known.drop_stale[kFamily] = false;
    known.long_lived[kFamily] = false;
    known.generation[kFamily] = !known.generation[kFamily];
    known.counts[kFamily].current = 0;
}

/// No path of the source is stale any more.
template <class Key>
void LocRib<Key>::refresh_generation(SourceId source) {
    const bool generation = core_.sources[source].generation[family_index(Key::kFamily)];
    for (Slot slot = 0; slot < table_.end(); ++slot) {
        if (!table_.is_used(slot) || !table_[slot].has_path()) {
            continue;
        }
        Entry& entry = table_[slot];
        if (entry.source == source) {
            entry.flags.set_generation(generation);
        }
        for (std::uint32_t at = entry.more; at != 0; at = nodes_[at].next) {
            if (nodes_[at].source == source) {
                nodes_[at].flags.set_generation(generation);
            }
        }
    }
}

template <class Key>
void LocRib<Key>::touch_range(Slot from, Slot count) {
    const Slot last = std::min(from + count, table_.end());
    for (Slot slot = from; slot < last; ++slot) {
        if (table_.is_used(slot) && table_[slot].has_path()) {
            touch(slot);
        }
    }
}

template <class Key>
void LocRib<Key>::decide(std::vector<Change>& changes, std::size_t most) {
    decided_ = std::min(most, log_.size() - log_first_);
    std::size_t count = changes.size();
    changes.resize(count + decided_);
    const auto due = touched();
    for (std::size_t i = 0; i < due.size(); ++i) {
        if (i + kAhead < due.size()) {
            table_.prefetch_slot(due[i + kAhead].slot);
        }
        const LogEntry& logged = due[i];
        decide_slot(logged.slot);
        const Entry& entry = table_[logged.slot];
        const bool selected = entry.has_selected();
        const AttributeId attributes = selected ? entry.attributes : kNoAttributes;
        const SourceId source = selected ? entry.source : kLocalSource;
        if (attributes != logged.old_attributes || source != logged.old_source) {
            changes[count++] = {logged.slot, logged.old_attributes, attributes, logged.old_source, source};
        }
    }
    changes.resize(count);
}

template <class Key>
void LocRib<Key>::decide_slot(Slot slot) {
    Entry& entry = table_[slot];
    if (!entry.has_path()) {
        return;
    }
    if (entry.more == 0) {
        entry.flags.set_selected(usable(entry.first()));
        entry.flags.set_multipath(false);
        return;
    }
    select_among(entry);
}

/// Runs the decision process over several paths and puts the selected one first. Index 0 is the first path, others are
/// node numbers.
template <class Key>
void LocRib<Key>::select_among(Entry& entry) {
    candidates_.clear();
    entry.flags.set_selected(false);
    entry.flags.set_multipath(false);
    if (usable(entry.first())) {
        candidates_.push_back(candidate(entry.first(), 0));
    }
    for (std::uint32_t at = entry.more; at != 0; at = nodes_[at].next) {
        PathNode& node = nodes_[at];
        node.flags.set_selected(false);
        node.flags.set_multipath(false);
        if (const Path path{node.attributes, node.source, node.flags}; usable(path)) {
            candidates_.push_back(candidate(path, at));
        }
    }
    if (candidates_.empty()) {
        return;
    }
    const std::size_t best = select(candidates_, scratch_);
    bool several = false;
    for (std::size_t i = 0; i < candidates_.size(); ++i) {
        if (i != best && in_multipath(candidates_, best, i, core_.options)) {
            const std::uint32_t at = candidates_[i].index;
            (at == 0 ? entry.flags : nodes_[at].flags).set_multipath(true);
            several = true;
        }
    }
    if (const std::uint32_t at = candidates_[best].index; at != 0) {
        PathNode& node = nodes_[at];
        std::swap(entry.attributes, node.attributes);
        std::swap(entry.source, node.source);
        std::swap(entry.flags, node.flags);
    }
    entry.flags.set_selected(true);
    entry.flags.set_multipath(several);
}

template <class Key>
void LocRib<Key>::write_journal(const Key& key, SourceId source, Path before, AttributeId after, PathFlags flags) {
    for (const AttributeId id : {before.attributes, after}) {
        if (id != kNoAttributes) {
            core_.attributes.add_reference(id);
        }
    }
    journal_.push_back(
        {key, source, before.attributes, after, before.attributes != kNoAttributes && before.flags.accepted(),
         after != kNoAttributes && flags.accepted(), after != kNoAttributes && stale({after, source, flags})});
}

template <class Key>
void LocRib<Key>::keep_journal(bool on) {
    keeps_journal_ = on;
    if (!on) {
        clear_journal();
    }
}

template <class Key>
void LocRib<Key>::clear_journal() {
    for (const PathChange<Key>& change : journal_) {
        for (const AttributeId id : {change.before, change.after}) {
            if (id != kNoAttributes) {
                core_.attributes.release(id);
            }
        }
    }
    journal_.clear();
}

template <class Key>
void LocRib<Key>::release_log() {
    const auto decided = touched();
    // Prefixes that come together mostly share their attributes.
    const auto begins_run = [&](std::size_t at) {
        return at < decided.size() && decided[at].old_attributes != decided[at - 1].old_attributes;
    };
    for (std::size_t i = 0; i < decided.size();) {
        const AttributeId attributes = decided[i].old_attributes;
        std::uint32_t references = 0;
        for (; references == 0 || (i < decided.size() && decided[i].old_attributes == attributes); ++i, ++references) {
            if (begins_run(i + kAhead)) {
                core_.attributes.prefetch(decided[i + kAhead].old_attributes);
            }
            if (begins_run(i + kAhead / 2)) {
                core_.attributes.prefetch_release(decided[i + kAhead / 2].old_attributes);
            }
            const Slot slot = decided[i].slot;
            dirty_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
        }
        if (attributes != kNoAttributes) {
            core_.attributes.release(attributes, references);
        }
    }
    log_first_ += std::exchange(decided_, 0);
    if (log_first_ == log_.size()) {
        log_.clear();
        log_first_ = 0;
    }
}

template class LocRib<net::PrefixKey4>;
template class LocRib<net::PrefixKey6>;

}  // namespace manul::bgp::rib
