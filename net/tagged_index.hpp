#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace manul::net {

/// A hash index from 64-bit hashes to 25-bit numbers of things that live elsewhere (slots of a table, ids of a pool).
///
/// A cell has 4 bytes: the number and 7 tag bits of the hash, so that a probe reads the thing itself almost only when
/// it is the right one. Linear probing in `Shards` parts that grow one at a time: doubling one index of a million cells
/// stops the loop for 14 ms, a shard for less than 0.5 ms. Deletion shifts cells back and leaves no tombstones.
///
/// The hash must be mixed well: the top bits choose the shard, the next 7 are the tag, the low bits the cell.
template <std::size_t Shards>
class TaggedIndex {
    static_assert(Shards > 0 && (Shards & (Shards - 1)) == 0 && Shards <= 65536);

public:
    static constexpr std::uint32_t kNone = 0xffff'ffff;
    static constexpr std::uint32_t kMaxNumber = (std::uint32_t{1} << 25U) - 2;

    /// The number with this hash for which `is_it(number)` holds, or kNone.
    template <class IsIt>
    [[nodiscard]] std::uint32_t find(std::uint64_t hash, IsIt&& is_it) const {
        const Shard& shard = shards_[shard_of(hash)];
        if (shard.count == 0) {
            return kNone;
        }
        const std::uint32_t tag = tag_of(hash);
        for (std::uint32_t at = static_cast<std::uint32_t>(hash) & shard.mask;; at = (at + 1) & shard.mask) {
            const std::uint32_t cell = shard.cells[at];
            if (cell == 0) {
                return kNone;
            }
            if ((cell & kTagMask) == tag && is_it(number_of(cell))) {
                return number_of(cell);
            }
        }
    }

    /// Adds a number that is not in the index. `hash_of(number)` gives the hash of any number inside (used on growth).
    template <class HashOf>
    void insert(std::uint64_t hash, std::uint32_t number, HashOf&& hash_of) {
        assert(number <= kMaxNumber);
        Shard& shard = shards_[shard_of(hash)];
        if (shard.cells == nullptr || (shard.count + 1) * 4 > (shard.mask + 1) * 3) {
            grow(shard, hash_of);
        }
        place(shard, hash, number);
        ++shard.count;
        ++size_;
    }

    /// Removes a number that is in the index.
    template <class HashOf>
    void erase(std::uint64_t hash, std::uint32_t number, HashOf&& hash_of) {
        Shard& shard = shards_[shard_of(hash)];
        const std::uint32_t wanted = tag_of(hash) | (number + 1);
        std::uint32_t hole = static_cast<std::uint32_t>(hash) & shard.mask;
        while (shard.cells[hole] != wanted) {
            assert(shard.cells[hole] != 0);
            hole = (hole + 1) & shard.mask;
        }
        for (std::uint32_t at = (hole + 1) & shard.mask; shard.cells[at] != 0; at = (at + 1) & shard.mask) {
            const std::uint32_t home = static_cast<std::uint32_t>(hash_of(number_of(shard.cells[at]))) & shard.mask;
            if (((at - home) & shard.mask) >= ((at - hole) & shard.mask)) {
                shard.cells[hole] = shard.cells[at];
                hole = at;
            }
        }
        shard.cells[hole] = 0;
        --shard.count;
        --size_;
        if (shard.count == 0) {
            shard = Shard{};
        }
    }

    /// Starts loading the cell that find(hash) will read first.
    void prefetch(std::uint64_t hash) const noexcept {
        const Shard& shard = shards_[shard_of(hash)];
        __builtin_prefetch(shard.cells.get() + (static_cast<std::uint32_t>(hash) & shard.mask));
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t memory_bytes() const noexcept {
        std::size_t total = sizeof(*this);
        for (const Shard& shard : shards_) {
            total += shard.cells == nullptr ? 0 : (std::size_t{shard.mask} + 1) * sizeof(std::uint32_t);
        }
        return total;
    }

private:
    static constexpr std::uint32_t kTagMask = 0xfe00'0000;
    static constexpr std::uint32_t kFirstCapacity = 8;

    struct Shard {
        std::unique_ptr<std::uint32_t[]> cells;  // NOLINT(modernize-avoid-c-arrays): sized at run time
        std::uint32_t mask = 0;
        std::uint32_t count = 0;
    };

    static constexpr std::size_t shard_of(std::uint64_t hash) noexcept {
        return static_cast<std::size_t>(hash >> 48U) & (Shards - 1);
    }
    static constexpr std::uint32_t tag_of(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>(hash >> 16U) & kTagMask;
    }
    static constexpr std::uint32_t number_of(std::uint32_t cell) noexcept { return (cell & ~kTagMask) - 1; }

    static void place(Shard& shard, std::uint64_t hash, std::uint32_t number) noexcept {
        std::uint32_t at = static_cast<std::uint32_t>(hash) & shard.mask;
        while (shard.cells[at] != 0) {
            at = (at + 1) & shard.mask;
        }
        shard.cells[at] = tag_of(hash) | (number + 1);
    }

    template <class HashOf>
    static void grow(Shard& shard, HashOf&& hash_of) {
        const std::uint32_t old_capacity = shard.cells == nullptr ? 0 : shard.mask + 1;
        const std::uint32_t capacity = old_capacity == 0 ? kFirstCapacity : old_capacity * 2;
        Shard bigger{std::make_unique<std::uint32_t[]>(capacity), capacity - 1, shard.count};
        for (std::uint32_t at = 0; at < old_capacity; ++at) {
            if (const std::uint32_t cell = shard.cells[at]; cell != 0) {
                place(bigger, hash_of(number_of(cell)), number_of(cell));
            }
        }
        shard = std::move(bigger);
    }

    std::array<Shard, Shards> shards_;
    std::size_t size_ = 0;
};

/// 128-bit product folded to 64 bits: every bit of the result depends on every bit of both factors.
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64U);
}

}  // namespace manul::net
