#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <utility>
#include <vector>

namespace manul {

/// What FlatSet and FlatMap share: a hash table in one piece of memory (open addressing, linear probing) for many small
/// keys, where a node on the heap for each costs more than the key. A slot is its key, or has it as `key`. Slots move
/// when anything is added or removed, and so become invalid with iterators and pointers. Keys and values must be
/// default constructible and cheap to move.
template <class Slot, class Key, class Hash>
class FlatTable {
public:
    class Iterator {
    public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = Slot;
        using difference_type = std::ptrdiff_t;
        using pointer = const Slot*;
        using reference = const Slot&;

        Iterator() = default;
        Iterator(const FlatTable& table, std::size_t at) : table_(&table), at_(at) { skip_free(); }
        reference operator*() const { return table_->slots_[at_]; }
        pointer operator->() const { return &table_->slots_[at_]; }
        Iterator& operator++() {
            ++at_;
            skip_free();
            return *this;
        }
        Iterator operator++(int) {
            Iterator before = *this;
            ++*this;
            return before;
        }
        bool operator==(const Iterator& other) const { return at_ == other.at_; }

    private:
        void skip_free() {
            while (at_ < table_->tags_.size() && table_->tags_[at_] == kFree) {
                ++at_;
            }
        }

        const FlatTable* table_ = nullptr;
        std::size_t at_ = 0;
    };
    using value_type = Slot;
    using const_iterator = Iterator;
    using iterator = Iterator;

    [[nodiscard]] Iterator begin() const { return Iterator(*this, 0); }
    [[nodiscard]] Iterator end() const { return Iterator(*this, tags_.size()); }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] bool contains(const Key& key) const { return find_slot(key) != nullptr; }

    /// Room for so many without moving any. Worth it before many are added, above all from another table: in the order
    /// of their hashes they would crowd at the beginning of one that is too small.
    void reserve(std::size_t count) {
        const std::size_t wanted = count + count / kSpareShare + 1;
        if (wanted > tags_.size()) {
            rehash(std::max(wanted, tags_.size() + tags_.size() / 2));
        }
    }

    /// Whether it was there.
    bool erase(const Key& key) {
        const Slot* found = find_slot(key);
        if (found == nullptr) {
            return false;
        }
        // Slots behind it that a free one would cut off from their places move up.
        auto hole = static_cast<std::size_t>(found - slots_.data());
        for (std::size_t at = next(hole); tags_[at] != kFree; at = next(at)) {
            if (distance(home(hash(key_of(slots_[at]))), at) >= distance(hole, at)) {
                slots_[hole] = std::move(slots_[at]);
                tags_[hole] = tags_[at];
                hole = at;
            }
        }
        slots_[hole] = Slot{};
        tags_[hole] = kFree;
        --size_;
        return true;
    }

protected:
    [[nodiscard]] const Slot* find_slot(const Key& key) const {
        if (size_ == 0) {
            return nullptr;
        }
        const std::uint64_t hashed = hash(key);
        for (std::size_t at = home(hashed); tags_[at] != kFree; at = next(at)) {
            if (tags_[at] == tag(hashed) && key_of(slots_[at]) == key) {
                return &slots_[at];
            }
        }
        return nullptr;
    }
    /// The slot of the key, and whether it is new; of a new one everything but the key is as constructed.
    std::pair<Slot*, bool> find_or_add(const Key& key) {
        if ((size_ + 1) * kSpareShare > tags_.size() * (kSpareShare - 1)) {
            rehash(std::max(kFewest, tags_.size() + tags_.size() / 2));
        }
        const std::uint64_t hashed = hash(key);
        std::size_t at = home(hashed);
        for (; tags_[at] != kFree; at = next(at)) {
            if (tags_[at] == tag(hashed) && key_of(slots_[at]) == key) {
                return {&slots_[at], false};
            }
        }
        tags_[at] = tag(hashed);
        key_of(slots_[at]) = key;
        ++size_;
        return {&slots_[at], true};
    }

private:
    static constexpr std::uint8_t kFree = 0;
    static constexpr std::uint8_t kUsed = 0x80;
    static constexpr std::size_t kFewest = 8;
    static constexpr std::size_t kSpareShare = 4;  // at least one slot in so many is free

    template <class S>
    static auto& key_of(S& slot) {
        if constexpr (requires { slot.key; }) {
            return slot.key;
        } else {
            return slot;
        }
    }
    /// Multiplied, so that the upper half depends on all of a weak hash.
    static std::uint64_t hash(const Key& key) { return std::uint64_t{Hash{}(key)} * 0x9e3779b97f4a7c15U; }
    static std::uint8_t tag(std::uint64_t hashed) { return static_cast<std::uint8_t>((hashed >> 8U) | kUsed); }
    /// From the upper half, so that any number of slots will do.
    [[nodiscard]] std::size_t home(std::uint64_t hashed) const { return ((hashed >> 32U) * tags_.size()) >> 32U; }
    [[nodiscard]] std::size_t next(std::size_t at) const { return at + 1 == tags_.size() ? 0 : at + 1; }
    [[nodiscard]] std::size_t distance(std::size_t from, std::size_t to) const {
        return to >= from ? to - from : to + tags_.size() - from;
    }

    void rehash(std::size_t count) {
        const std::vector<std::uint8_t> old_tags = std::exchange(tags_, std::vector<std::uint8_t>(count, kFree));
        std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(count));
        for (std::size_t i = 0; i < old.size(); ++i) {
            if (old_tags[i] == kFree) {
                continue;
            }
            std::size_t at = home(hash(key_of(old[i])));
            while (tags_[at] != kFree) {
                at = next(at);
            }
            tags_[at] = old_tags[i];
            slots_[at] = std::move(old[i]);
        }
    }

    std::vector<std::uint8_t> tags_;  ///< a few bits of the hash of each slot that is used
    std::vector<Slot> slots_;
    std::size_t size_ = 0;
};

template <class Key, class Hash = std::hash<Key>>
class FlatSet : public FlatTable<Key, Key, Hash> {
public:
    FlatSet() = default;
    FlatSet(std::initializer_list<Key> keys) {
        for (const Key& key : keys) {
            insert(key);
        }
    }
    /// Whether it is new.
    bool insert(const Key& key) { return this->find_or_add(key).second; }

    bool operator==(const FlatSet& other) const {
        return this->size() == other.size() &&
               std::ranges::all_of(*this, [&other](const Key& key) { return other.contains(key); });
    }
};

template <class Key, class Value>
struct FlatMapSlot {
    Key key;
    Value value;
};

template <class Key, class Value, class Hash = std::hash<Key>>
class FlatMap : public FlatTable<FlatMapSlot<Key, Value>, Key, Hash> {
public:
    /// Made by default when it is not there.
    Value& operator[](const Key& key) { return this->find_or_add(key).first->value; }
    /// Null when it is not there.
    [[nodiscard]] Value* find(const Key& key) {
        const auto* found = this->find_slot(key);
        return found == nullptr ? nullptr : &const_cast<FlatMapSlot<Key, Value>*>(found)->value;
    }
};

}  // namespace manul
