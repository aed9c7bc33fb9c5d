#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "bgpd/policy/filter.hpp"
#include "bgpd/rib/attribute_pool.hpp"
#include "bgpd/rib/decision.hpp"
#include "bgpd/rib/path.hpp"
#include "bgpd/rib/source.hpp"
#include "net/prefix_key.hpp"
#include "net/prefix_table.hpp"

/// The tables of one address family: for each prefix all paths of all sessions (the Adj-RIBs-In of RFC 4271
/// section 3.2, side by side) and which of them is selected (the Loc-RIB).
///
///   announce, withdraw, sweep -> log of touched prefixes -> decide() -> Changes -> readers -> end_turn()
///
/// A prefix touched for the first time in a turn enters the log with what was selected then; decide() runs the decision
/// process once for each, however often it was touched. Nothing else remembers what peers were told: whether a peer was
/// told a path follows from the path that was selected and from the rules, so the old one's attributes stay in the pool
/// until the turn has ended.
namespace manul::bgp::rib {

using Slot = std::uint32_t;

/// What a turn did to one prefix. kNoAttributes: nothing was, or is, selected.
struct Change {
    Slot slot;
    AttributeId old_attributes;
    AttributeId new_attributes;
    SourceId old_source;
    SourceId new_source;
};

/// What happened to one path of a prefix, for who watches the tables. kNoAttributes: there was, or is, none.
template <class Key>
struct PathChange {
    Key key;
    SourceId source;
    AttributeId before;
    AttributeId after;
    bool accepted_before = false;
    bool accepted_after = false;
    bool stale = false;  ///< `after` is kept, not announced
};

/// Paths that are stale when the source's paths become stale (again): they were announced two sessions ago and go
/// (RFC 4724 section 4.2); or the peer was about to send its table again in this session, and they stay with the rest.
enum class AlreadyStale : std::uint8_t { goes, stays };

/// What parts of the RIB have in common.
struct RibCore {
    NextHopTable next_hops;
    AttributePool attributes{next_hops};
    SourceTable sources;
    DecisionOptions options;
    InterfaceNames interfaces;

    /// The route as export filters see it.
    [[nodiscard]] policy::FilterRoute filter_route(AttributeId attributes, SourceId source) const noexcept;
};

template <class Key>
class LocRib {
public:
    using Entry = RibEntry<Key>;
    using Hint = typename net::PrefixTable<Entry>::Hint;

    explicit LocRib(RibCore& core) : core_(core) {}

    /// The source has this path to the prefix now; replaces what it had. The table takes a reference of its own.
    void announce(const Key& key, SourceId source, AttributeId attributes, PathFlags flags) {
        announce(key, prefetch(key), source, attributes, flags);
    }
    void announce(const Key& key, const Hint& hint, SourceId source, AttributeId attributes, PathFlags flags);
    /// The path of this source, the first one if it has several; nothing: it has none.
    [[nodiscard]] std::optional<Path> path_of(Slot slot, SourceId source) const noexcept;
    /// Another verdict about a path that the source announced before, stale or not: `flags` come from that path.
    void put(const Key& key, SourceId source, AttributeId attributes, PathFlags flags) {
        put(key, prefetch(key), source, attributes, flags);
    }
    /// The source does not have this path to the prefix any more.
    void withdraw(const Key& key, SourceId source, std::uint32_t path_id = 0) {
        withdraw(key, prefetch(key), source, path_id);
    }
    void withdraw(const Key& key, const Hint& hint, SourceId source, std::uint32_t path_id);
    /// Start loading what announce() and withdraw() will need, one after the other (net/prefix_table.hpp).
    [[gnu::always_inline]] Hint prefetch(const Key& key) const noexcept { return table_.prefetch(key); }
    [[gnu::always_inline]] void prefetch_entry(Hint& hint) const noexcept { table_.prefetch_entry(hint); }
    [[gnu::always_inline]] void prefetch_slot(Slot slot) const noexcept { table_.prefetch_slot(slot); }

    /// Looks at the slots from `from` on, `count` at most, until so many prefixes have come into the log: removes paths
    /// of lost sources and stale paths that nobody waits for any more, marks those kept for long, and logs prefixes
    /// with a path through a next hop that changed. Returns where to go on; end() when done.
    [[nodiscard]] Slot sweep(Slot from, Slot count, std::size_t most_logged = std::numeric_limits<std::size_t>::max());
    /// Makes all paths of the source stale.
    void mark_stale(SourceId source, AlreadyStale already);
    [[nodiscard]] bool stale(const Path& path) const noexcept {
        return path.flags.generation() != core_.sources[path.source].generation[family_index(Key::kFamily)];
    }
    /// Logs all prefixes in the range, to be decided again.
    void touch_range(Slot from, Slot count);

    /// Decides what was logged, at most so many prefixes a turn. `changes` gets the prefixes whose selected path became
    /// another one; touched() gives all that were looked at (their multipath sets may differ).
    void decide(std::vector<Change>& changes, std::size_t most = std::numeric_limits<std::size_t>::max());
    struct LogEntry {
        Slot slot;
        AttributeId old_attributes;
        SourceId old_source;
    };
    [[nodiscard]] std::span<const LogEntry> touched() const noexcept {
        return std::span(log_).subspan(log_first_, decided_);
    }
    /// Some of what was logged waits for the next turn. What was selected before is nobody's knowledge until then but
    /// the log's; the entry itself shows no selected path, or still that one.
    [[nodiscard]] bool undecided() const noexcept { return log_.size() > log_first_ + decided_; }
    /// Ends the turn: gives back the old attributes and frees prefixes without a path, unless `keep` holds for their
    /// slot (a reader has yet to be told that the prefix is gone) or they wait for their decision; those are asked for
    /// again the next time.
    template <class Keep>
    void end_turn(Keep&& keep) {
        release_log();
        std::array<std::pair<Slot, Hint>, 2 * kAhead> gone;
        std::size_t kept = 0;
        for (std::size_t i = 0; i < empty_.size();) {
            std::size_t count = 0;
            for (; count < gone.size() && i < empty_.size(); ++i) {
                if (i + kAhead < empty_.size()) {
                    table_.prefetch_slot(empty_[i + kAhead]);
                }
                const Slot slot = empty_[i];
                if (!table_.is_used(slot) || table_[slot].has_path()) {
                    continue;  // listed twice, or announced again
                }
                if (is_dirty(slot) || keep(slot)) {
                    empty_[kept++] = slot;
                } else {
                    gone[count++] = {slot, table_.prefetch(table_[slot].key())};
                }
            }
            for (std::size_t g = 0; g < count; ++g) {
                const auto& [slot, hint] = gone[g];
                if (table_.is_used(slot)) {
                    table_.erase(slot, hint);
                }
            }
        }
        empty_.resize(kept);
    }
    /// Keeps a journal of what happens to paths from now on, or no longer. Both attribute sets of an entry stay in the
    /// pool until it is cleared.
    void keep_journal(bool on);
    [[nodiscard]] std::span<const PathChange<Key>> journal() const noexcept { return journal_; }
    void clear_journal();

    /// Anything was logged since the last end_turn().
    [[nodiscard]] bool pending() const noexcept { return !log_.empty() || !empty_.empty(); }

    [[nodiscard]] const net::PrefixTable<Entry>& table() const noexcept { return table_; }
    [[nodiscard]] const Entry& operator[](Slot slot) const noexcept { return table_[slot]; }
    [[nodiscard]] Slot end() const noexcept { return table_.end(); }
    /// Calls `f(const Path&)` for each path of the prefix, the selected one first (after a decision).
    template <class F>
    void each_path(Slot slot, F&& f) const {
        const Entry& entry = table_[slot];
        if (!entry.has_path()) {
            return;
        }
        f(entry.first());
        for (std::uint32_t node = entry.more; node != 0; node = nodes_[node].next) {
            f(Path{nodes_[node].attributes, nodes_[node].source, nodes_[node].flags});
        }
    }
    /// Whether the path takes part in the decision.
    [[nodiscard]] bool usable(const Path& path) const noexcept {
        return path.flags.accepted() && core_.next_hops.reachable(core_.attributes[path.attributes].next_hop);
    }
    [[nodiscard]] Candidate candidate(const Path& path, std::uint32_t index) const noexcept {
        const AttributeSet& set = core_.attributes[path.attributes];
        return {&set, &core_.sources[path.source], core_.next_hops[set.next_hop].metric, index};
    }

private:
    void put(const Key& key, const Hint& hint, SourceId source, AttributeId attributes, PathFlags flags);
    static constexpr std::size_t kAhead = 16;  ///< things whose memory is on its way while one is worked on

    void touch(Slot slot);
    /// Puts the prefix into the log, if it is not there yet. True when the log now holds the selected path, for which
    /// it needs a reference.
    [[nodiscard]] bool log_first(Slot slot);
    /// The first path is about to go, or to become another one: its reference is the log's now, or is given back. (So
    /// that the count, which mostly is in no cache, need not go up and down.)
    void give_up_first(Slot slot);
    [[nodiscard]] bool is_dirty(Slot slot) const noexcept {
        return slot / 64 < dirty_.size() && (dirty_[slot / 64] >> (slot % 64) & 1U) != 0;
    }
    /// The path at `source` is about to become `after`; with kNoAttributes, to go.
    void note(const Entry& entry, SourceId source, Path before, AttributeId after, PathFlags flags) {
        if (keeps_journal_) {
            write_journal(entry.key(), source, before, after, flags);
        }
    }
    void write_journal(const Key& key, SourceId source, Path before, AttributeId after, PathFlags flags);
    [[nodiscard]] bool is_path(AttributeId attributes, SourceId source, SourceId wanted,
                               std::uint32_t path_id) const noexcept {
        return source == wanted && (!core_.sources[source].add_path[family_index(Key::kFamily)] ||
                                    core_.attributes[attributes].path_id == path_id);
    }
    void remove_path(Slot slot, std::uint32_t previous, std::uint32_t node);
    void count(SourceId source, PathFlags flags, std::uint32_t step) noexcept;
    void renew(SourceId source, PathFlags& flags, bool generation) noexcept;
    void decide_slot(Slot slot);
    void select_among(Entry& entry);
    bool sweep_slot(Slot slot);
    void refresh_generation(SourceId source);
    /// What is to become of a path whose source or next hop changed.
    enum class Fate : std::uint8_t { stays, stays_changed, goes, long_lived };
    [[nodiscard]] Fate fate(const Path& path) const noexcept;
    void release_log();

    RibCore& core_;
    net::PrefixTable<Entry> table_;
    PathPool nodes_;
    std::vector<LogEntry> log_;
    std::size_t log_first_ = 0;         ///< what is before was decided in earlier turns
    std::size_t decided_ = 0;           ///< in this turn
    std::vector<std::uint64_t> dirty_;  ///< one bit a slot: in the log
    std::vector<Slot> empty_;           ///< slots whose last path went away
    std::vector<PathChange<Key>> journal_;
    bool keeps_journal_ = false;
    std::vector<Candidate> candidates_;
    std::vector<std::size_t> scratch_;
};

extern template class LocRib<net::PrefixKey4>;
extern template class LocRib<net::PrefixKey6>;

}  // namespace manul::bgp::rib
