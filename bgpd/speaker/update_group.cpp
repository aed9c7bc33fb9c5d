#include "bgpd/speaker/update_group.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace manul::bgp::speaker {

template <class Key>
typename UpdateGroup<Key>::Reader* UpdateGroup<Key>::find(rib::SourceId source) noexcept {
    const auto reader =
        std::ranges::find_if(readers_, [&](const Reader& each) { return each.outlet->source == source; });
    return reader == readers_.end() ? nullptr : &*reader;
}

template <class Key>
void UpdateGroup<Key>::join(Outlet& outlet, ToldBefore told) {
    readers_.push_back({.outlet = &outlet, .missed = {}});
    if (told == ToldBefore::anything) {
        out_.expect(std::exchange(outlet.told_ids[rib::family_index(Key::kFamily)], {}));
        detach(readers_.back());
        miss_rest(readers_.back(), 0);
        const bool complete = outlet.end_of_rib[rib::family_index(Key::kFamily)];
        readers_.back().owes = complete ? Ending::none : Ending::end_of_rib;
    } else {
        joining_.push_back(outlet.source);
    }
}

template <class Key>
void UpdateGroup<Key>::leave(const Outlet& outlet) {
    const auto reader = std::ranges::find_if(readers_, [&](const Reader& each) { return each.outlet == &outlet; });
    if (reader == readers_.end()) {
        return;
    }
    attach(*reader);
    readers_.erase(reader);
    std::erase(joining_, outlet.source);
    std::erase(refreshing_, outlet.source);
    for (Dump& dump : dumps_) {
        std::erase(dump.readers, outlet.source);
    }
    std::erase_if(dumps_, [](const Dump& dump) { return dump.readers.empty(); });
}

template <class Key>
void UpdateGroup<Key>::repeat(const Outlet& outlet) {
    for (const auto* waiting : {&joining_, &refreshing_}) {
        if (std::ranges::find(*waiting, outlet.source) != waiting->end()) {
            return;  // the table is about to be sent anyway
        }
    }
    refreshing_.push_back(outlet.source);
}

template <class Key>
void UpdateGroup<Key>::retarget(std::shared_ptr<const net::PrefixRanges> relayable,
                                std::shared_ptr<const policy::Markings> markings, policy::FilterPtr filter) {
    out_.retarget(std::move(relayable), std::move(markings), std::move(filter));
    retarget_next_ = 0;
}

template <class Key>
void UpdateGroup<Key>::judge_again() {
    out_.judge_again();
    retarget_next_ = 0;
}

template <class Key>
void UpdateGroup<Key>::detach(Reader& reader) {
    if (!reader.detached) {
        reader.detached = true;
        reader.missed.assign(rib_.end() / 64 + 1, 0);
        reader.cursor = 0;
        ++behind_;
    }
}

template <class Key>
void UpdateGroup<Key>::attach(Reader& reader) {
    if (reader.detached) {
        reader.detached = false;
        reader.owes = Ending::none;
        reader.missed = {};
        --behind_;
    }
}

template <class Key>
void UpdateGroup<Key>::miss(Reader& reader, rib::Slot slot) {
    if (slot / 64 >= reader.missed.size()) {
        reader.missed.resize(std::max<std::size_t>(slot / 64 + 1, reader.missed.size() * 2));
    }
    reader.missed[slot / 64] |= std::uint64_t{1} << (slot % 64);
}

template <class Key>
void UpdateGroup<Key>::miss_rest(Reader& reader, rib::Slot from) {
    for (rib::Slot slot = from; slot < rib_.end(); ++slot) {
        if (rib_.table().is_used(slot)) {
            miss(reader, slot);
        }
    }
}

template <class Key>
void UpdateGroup<Key>::send(const rib::ChunkPtr& chunk, Reader& reader, std::vector<Action>& actions) {
    const std::size_t size = chunk->size_for(reader.outlet->source);
    if (size > 0) {
        reader.outlet->bytes_out += size;
        reader.outlet->messages_out += chunk->messages_for(reader.outlet->source);
        actions.emplace_back(Write{reader.outlet->connection, reader.outlet->source, chunk});
    }
}

template <class Key>
void UpdateGroup<Key>::send_mark(Reader& reader, wire::RouteRefresh::Kind kind, std::vector<Action>& actions) {
    if (reader.outlet->marks_refresh) {
        rib::Chunk chunk;
        wire::encode_route_refresh(Key::kFamily, kind, chunk.bytes);
        send(std::make_shared<const rib::Chunk>(std::move(chunk)), reader, actions);
    }
}

template <class Key>
void UpdateGroup<Key>::turn(std::span<const rib::Change> changes,
                            std::span<const typename rib::LocRib<Key>::LogEntry> touched,
                            std::vector<Action>& actions) {
    const bool several = out_.uses_add_path();
    if ((several ? touched.empty() : changes.empty()) || readers_.empty()) {
        return;
    }
    if (behind_ == 0) {
        out_.nobody_behind();
    }
    for (Reader& reader : readers_) {
        if (reader.outlet->backlog > kDetachBacklog) {
            detach(reader);
        }
        if (reader.detached) {
            if (several) {
                std::ranges::for_each(touched, [&](const auto& entry) { miss(reader, entry.slot); });
            } else {
                std::ranges::for_each(changes, [&](const rib::Change& change) { miss(reader, change.slot); });
            }
        }
    }
    if (behind_ == readers_.size()) {
        return;
    }
    if (const rib::ChunkPtr chunk = several ? out_.turn_of_paths(touched) : out_.turn(changes)) {
        for (Reader& reader : readers_) {
            // Who has just joined gets the whole table next.
            if (!reader.detached && std::ranges::find(joining_, reader.outlet->source) == joining_.end()) {
                send(chunk, reader, actions);
            }
        }
    }
}

template <class Key>
bool UpdateGroup<Key>::work(std::vector<Action>& actions) {
    // What is told of several paths is kept for all readers together: a table for one of them, by the new rules, would
    // hide from the others what these change.
    if (out_.uses_add_path() && retarget_slice(actions)) {
        return true;
    }
    if (!joining_.empty() && !rib_.undecided()) {  // else what is decided next would be told twice
        dumps_.push_back({std::exchange(joining_, {}), Ending::end_of_rib, 0});
    }
    start_refreshes(actions);
    bool more = false;
    for (Dump& dump : dumps_) {
        more = dump_slice(dump, actions) || more;
    }
    std::erase_if(dumps_, [](const Dump& dump) { return dump.readers.empty(); });
    for (Reader& reader : readers_) {
        if (reader.detached) {
            more = catch_up(reader, actions) || more;
        }
    }
    return retarget_slice(actions) || more;
}

/// One table at a time for each reader that asks again, and none while it does not read: else asking would fill our
/// memory.
template <class Key>
void UpdateGroup<Key>::start_refreshes(std::vector<Action>& actions) {
    std::vector<rib::SourceId> ready;
    std::erase_if(refreshing_, [&](rib::SourceId source) {
        Reader& reader = *find(source);
        const bool waits = reader.detached || reader.outlet->backlog > kDumpBacklog ||
                           std::ranges::any_of(dumps_, [&](const Dump& dump) {
                               return std::ranges::find(dump.readers, source) != dump.readers.end();
                           });
        if (!waits) {
            send_mark(reader, wire::RouteRefresh::Kind::begin, actions);
            ready.push_back(source);
        }
        return !waits;
    });
    if (!ready.empty()) {
        dumps_.push_back({std::move(ready), Ending::end_of_refresh, 0});
    }
}

/// One slice of a dump. Readers that do not keep up with the others go on alone.
template <class Key>
bool UpdateGroup<Key>::dump_slice(Dump& dump, std::vector<Action>& actions) {
    std::erase_if(dump.readers, [&](rib::SourceId source) { return find(source) == nullptr; });
    const auto slow = [&](rib::SourceId source) { return find(source)->outlet->backlog > kDumpBacklog; };
    if (std::ranges::all_of(dump.readers, slow)) {
        return false;  // a Backlog event ends the wait
    }
    std::erase_if(dump.readers, [&](rib::SourceId source) {
        Reader& reader = *find(source);
        if (!slow(source) && !reader.detached) {
            return false;
        }
        detach(reader);
        miss_rest(reader, dump.next);
        reader.owes = std::max(reader.owes, dump.ending);
        return true;
    });
    if (dump.readers.empty()) {
        return false;
    }
    const bool last = rib_.end() - dump.next <= kSlotsPerTurn;
    const bool end_of_rib = last && dump.ending == Ending::end_of_rib;
    if (const rib::ChunkPtr chunk = out_.dump(dump.next, kSlotsPerTurn, end_of_rib)) {
        for (const rib::SourceId source : dump.readers) {
            send(chunk, *find(source), actions);
            if (end_of_rib) {
                find(source)->outlet->end_of_rib[rib::family_index(Key::kFamily)] = true;
            }
        }
    }
    if (last && dump.ending == Ending::end_of_refresh) {
        for (const rib::SourceId source : dump.readers) {
            send_mark(*find(source), wire::RouteRefresh::Kind::end, actions);
        }
    }
    dump.next += kSlotsPerTurn;
    if (last) {
        dump.readers.clear();
    }
    return !last;
}

/// Tells a detached reader about some of what it missed, once it has read what waited for it.
template <class Key>
bool UpdateGroup<Key>::catch_up(Reader& reader, std::vector<Action>& actions) {
    if (reader.outlet->backlog > kResumeBacklog) {
        return false;
    }
    slots_.clear();
    for (; reader.cursor < reader.missed.size() && slots_.size() < kSlotsPerTurn; ++reader.cursor) {
        std::uint64_t& word = reader.missed[reader.cursor];
        for (; word != 0; word &= word - 1) {
            slots_.push_back(static_cast<rib::Slot>(reader.cursor * 64) +
                             static_cast<rib::Slot>(std::countr_zero(word)));
        }
    }
    bool done = reader.cursor == reader.missed.size();
    if (done) {
        // What was missed behind the cursor in the meantime is the next round's.
        reader.cursor = 0;
        done = std::ranges::all_of(reader.missed, [](std::uint64_t word) { return word == 0; });
    }
    if (const rib::ChunkPtr chunk =
            out_.state(reader.outlet->source, slots_, done && reader.owes == Ending::end_of_rib)) {
        send(chunk, reader, actions);
    }
    if (done) {
        if (reader.owes == Ending::end_of_rib) {
            reader.outlet->end_of_rib[rib::family_index(Key::kFamily)] = true;
        } else if (reader.owes == Ending::end_of_refresh) {
            send_mark(reader, wire::RouteRefresh::Kind::end, actions);
        }
        attach(reader);
    }
    return !done;
}

template <class Key>
bool UpdateGroup<Key>::retarget_slice(std::vector<Action>& actions) {
    if (!out_.retargeting()) {
        return false;
    }
    if (rib_.undecided()) {
        return true;  // what was told of these prefixes follows from the rules before, which are still needed
    }
    const rib::Slot last = std::min(rib_.end(), retarget_next_ + kSlotsPerTurn);
    if (const rib::ChunkPtr chunk = out_.retargeted(retarget_next_, kSlotsPerTurn)) {
        for (Reader& reader : readers_) {
            if (!reader.detached) {
                send(chunk, reader, actions);
                continue;
            }
            for (rib::Slot slot = retarget_next_; slot < last; ++slot) {
                miss(reader, slot);
            }
        }
    }
    retarget_next_ = last;
    if (last == rib_.end()) {
        out_.finish_retarget();
        return false;
    }
    return true;
}

template <class Key>
bool UpdateGroup<Key>::awaits(rib::Slot slot) const noexcept {
    return std::ranges::any_of(readers_, [&](const Reader& reader) {
        return reader.detached && slot / 64 < reader.missed.size() &&
               (reader.missed[slot / 64] >> (slot % 64) & 1U) != 0;
    });
}

template class UpdateGroup<net::PrefixKey4>;
template class UpdateGroup<net::PrefixKey6>;

}  // namespace manul::bgp::speaker
