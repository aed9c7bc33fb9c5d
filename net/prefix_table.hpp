#pragma once

#include <algorithm>
#include <array>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "net/prefix_key.hpp"
#include "net/tagged_index.hpp"

namespace manul::net {

/// What a table holds for a prefix. `key` is kept by the table; while a slot is free, the table keeps the number of the
/// next free one in the entry, so an entry must be able to hold one number in place of its content.
template <class E>
concept PrefixEntry = std::is_trivially_copyable_v<E> && requires(E entry, const E& constant, std::uint32_t number) {
    typename E::Key;
    { constant.key() } -> std::same_as<typename E::Key>;
    { E::with_key(constant.key()) } -> std::same_as<E>;
    { E::unused(number) } -> std::same_as<E>;
    { constant.is_unused() } -> std::same_as<bool>;
    { constant.next_unused() } -> std::same_as<std::uint32_t>;
};

/// A table of IP prefixes of one family: entries in dense pages, found by a tagged hash index (33 bytes a prefix for an
/// IPv4 entry of 16 bytes).
///
/// Entries never move, and a prefix keeps its slot number for as long as it is in the table; numbers of erased prefixes
/// are used again. Numbers are small and dense: change logs, bitmaps and batches refer to them. Longest match probes
/// the lengths that occur; there is no tree. Order is made when somebody asks for it (sorted()).
template <PrefixEntry Entry>
class PrefixTable {
public:
    using Key = typename Entry::Key;
    using Slot = std::uint32_t;
    static constexpr Slot kNone = TaggedIndex<1>::kNone;

    /// What is known about a prefix that is about to be looked for; see prefetch().
    struct Hint {
        std::uint64_t hash = 0;
        Slot slot = kNone;  ///< where it very likely is
    };

    /// The slot of the prefix, or kNone.
    [[nodiscard]] Slot find(const Key& key) const { return find_hashed(key, key.hash()); }
    [[nodiscard]] Slot find(const Key& key, const Hint& hint) const {
        const bool right = hint.slot < end_ && (*this)[hint.slot].key() == key;
        return right ? hint.slot : find_hashed(key, hint.hash);
    }

    /// The slot of the prefix, made when absent (`second` true). kNone when the table is full (4 billion prefixes).
    std::pair<Slot, bool> insert(const Key& key) { return insert(key, Hint{key.hash(), kNone}); }
    std::pair<Slot, bool> insert(const Key& key, const Hint& hint) {
        const std::uint64_t hash = hint.hash;
        if (const Slot found = find(key, hint); found != kNone) {
            return {found, false};
        }
        const Slot slot = take_slot();
        if (slot == kNone) {
            return {kNone, false};
        }
        (*this)[slot] = Entry::with_key(key);
        index_.insert(hash, slot);
        ++per_length_[key.length];
        return {slot, true};
    }

    /// Precondition: the slot is used.
    void erase(Slot slot) { erase(slot, Hint{(*this)[slot].key().hash(), slot}); }
    /// The same, for who has asked for the memory with prefetch().
    void erase(Slot slot, const Hint& hint) {
        Entry& entry = (*this)[slot];
        index_.erase(hint.hash, slot);
        --per_length_[entry.key().length];
        entry = Entry::unused(first_unused_);
        first_unused_ = slot;
        if (index_.size() == 0) {
            pages_.clear();
            end_ = 0;
            first_unused_ = kNone;
        }
    }

    [[nodiscard]] Entry& operator[](Slot slot) noexcept { return pages_[slot / kPage][slot % kPage]; }
    [[nodiscard]] const Entry& operator[](Slot slot) const noexcept { return pages_[slot / kPage][slot % kPage]; }

    /// All used slots are below end(); is_used() tells which are.
    [[nodiscard]] Slot end() const noexcept { return end_; }
    [[nodiscard]] bool is_used(Slot slot) const noexcept { return slot < end_ && !(*this)[slot].is_unused(); }
    [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }

    /// The longest prefix that contains `key` (often an address as full-length prefix) and for which `accept(slot)`
    /// holds, or kNone.
    template <class Accept>
    [[nodiscard]] Slot longest_match(const Key& key, Accept&& accept) const {
        for (int length = key.length; length >= 0; --length) {
            if (per_length_[static_cast<std::size_t>(length)] == 0) {
                continue;
            }
            const Slot slot = find(key.cut(static_cast<std::uint8_t>(length)));
            if (slot != kNone && accept(slot)) {
                return slot;
            }
        }
        return kNone;
    }
    [[nodiscard]] Slot longest_match(const Key& key) const {
        return longest_match(key, [](Slot) { return true; });
    }

    /// Slots of the prefixes inside `within`, in order of address, then length: at most `limit` of them, the first.
    [[nodiscard]] std::vector<Slot> sorted(const Key& within,
                                           std::size_t limit = std::numeric_limits<std::size_t>::max()) const {
        std::vector<std::pair<Key, Slot>> found;
        for (Slot slot = 0; slot < end_; ++slot) {
            const Entry& entry = (*this)[slot];
            if (!entry.is_unused() && entry.key().length >= within.length && entry.key().cut(within.length) == within) {
                found.emplace_back(entry.key(), slot);
            }
        }
        const auto cut = found.begin() + static_cast<std::ptrdiff_t>(std::min(limit, found.size()));
        std::partial_sort(found.begin(), cut, found.end());
        std::vector<Slot> slots;
        slots.reserve(static_cast<std::size_t>(cut - found.begin()));
        for (auto it = found.begin(); it != cut; ++it) {
            slots.push_back(it->second);
        }
        return slots;
    }

    /// Start loading what find(), insert() and erase() will read: first the cell of the index, then, when that has
    /// arrived, the entry. For many prefixes in a row.
    [[gnu::always_inline]] Hint prefetch(const Key& key) const noexcept {
        const Hint hint{key.hash(), kNone};
        index_.prefetch(hint.hash);
        return hint;
    }
    [[gnu::always_inline]] void prefetch_slot(Slot slot) const noexcept {
        if (slot < end_) {
            __builtin_prefetch(&(*this)[slot]);
        }
    }
    [[gnu::always_inline]] void prefetch_entry(Hint& hint) const noexcept {
        hint.slot = index_.guess(hint.hash);
        prefetch_slot(hint.slot);
    }
    [[nodiscard]] std::size_t memory_bytes() const noexcept {
        return index_.memory_bytes() + pages_.size() * (kPage * sizeof(Entry) + sizeof(pages_[0]));
    }

private:
    static constexpr std::size_t kPage = 1024;
    using Page = std::unique_ptr<Entry[]>;  // NOLINT(modernize-avoid-c-arrays): a page is allocated as one block

    [[nodiscard]] Slot find_hashed(const Key& key, std::uint64_t hash) const {
        return index_.find(hash, [&](Slot slot) { return (*this)[slot].key() == key; });
    }

    Slot take_slot() {
        if (first_unused_ != kNone) {
            return std::exchange(first_unused_, (*this)[first_unused_].next_unused());
        }
        if (end_ > TaggedIndex<1>::kMaxNumber) {
            return kNone;
        }
        if (end_ == pages_.size() * kPage) {
            pages_.push_back(std::make_unique_for_overwrite<Entry[]>(kPage));
        }
        return end_++;
    }

    std::vector<Page> pages_;
    TaggedIndex<256> index_;
    std::array<std::uint32_t, Key::kBits + 1> per_length_{};
    Slot end_ = 0;
    Slot first_unused_ = kNone;
};

}  // namespace manul::net
