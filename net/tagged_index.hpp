#pragma once

#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace manul::net {

/// A hash index from 64-bit hashes to 32-bit numbers of things that live elsewhere (slots of a table, ids of a pool).
///
/// A cell has 8 bytes: the number and half of the hash, so that a probe reads the thing itself only when it is the
/// right one, and neither growth nor removal reads any. Linear probing in `Shards` parts that grow one at a time:
/// doubling one index of a million cells stops the loop for 14 ms, a shard for less than 0.1 ms. Deletion shifts cells
/// back and leaves no tombstones.
///
/// The hash must be mixed well: the top bits choose the shard, the low half is kept in the cell and chooses its place.
template <std::size_t Shards>
class TaggedIndex {
    static_assert(Shards > 0 && (Shards & (Shards - 1)) == 0 && Shards <= 65536);

public:
    static constexpr std::uint32_t kNone = 0xffff'ffff;
    static constexpr std::uint32_t kMaxNumber = kNone - 2;

    /// The number with this hash for which `is_it(number)` holds, or kNone.
    template <class IsIt>
    [[nodiscard]] std::uint32_t find(std::uint64_t hash, IsIt&& is_it) const {
        const Shard& shard = shards_[shard_of(hash)];
        if (shard.count == 0) {
            return kNone;
        }
        const std::uint32_t tag = tag_of(hash);
        const Cell* const cells = shard.cells.get();
        for (std::uint32_t at = tag & shard.mask;; at = (at + 1) & shard.mask) {
            const Cell cell = cells[at];
            if (cell.number_plus_1 == 0) {
                return kNone;
            }
            if (cell.tag == tag && is_it(cell.number_plus_1 - 1)) {
                return cell.number_plus_1 - 1;
            }
        }
    }

    /// Adds a number that is not in the index.
    void insert(std::uint64_t hash, std::uint32_t number) {
        assert(number <= kMaxNumber);
        Shard& shard = shards_[shard_of(hash)];
        if (shard.cells == nullptr || (shard.count + 1) * 4 > (shard.mask + 1) * 3) {
            grow(shard);
        }
        place(shard, {tag_of(hash), number + 1});
        ++shard.count;
        ++size_;
    }

    /// Removes a number that is in the index.
    void erase(std::uint64_t hash, std::uint32_t number) {
        Shard& shard = shards_[shard_of(hash)];
        Cell* const cells = shard.cells.get();
        const std::uint32_t mask = shard.mask;
        std::uint32_t hole = tag_of(hash) & mask;
        while (cells[hole].number_plus_1 != number + 1) {
            assert(cells[hole].number_plus_1 != 0);
            hole = (hole + 1) & mask;
        }
        for (std::uint32_t at = (hole + 1) & mask; cells[at].number_plus_1 != 0; at = (at + 1) & mask) {
            const std::uint32_t home = cells[at].tag & mask;
            if (((at - home) & mask) >= ((at - hole) & mask)) {
                cells[hole] = cells[at];
                hole = at;
            }
        }
        cells[hole] = Cell{};
        --shard.count;
        --size_;
        if (shard.count == 0) {
            shard = Shard{};
        }
    }

    /// Starts loading the cell that find(hash) will read first. (Inline by force, as all that does nothing but
    /// prefetch: g++ 12 takes such a function for one without effect, and drops calls of it.)
    [[gnu::always_inline]] void prefetch(std::uint64_t hash) const noexcept {
        const Shard& shard = shards_[shard_of(hash)];
        __builtin_prefetch(shard.cells.get() + (tag_of(hash) & shard.mask));
    }
    /// What find(hash) will very likely return.
    [[nodiscard]] std::uint32_t guess(std::uint64_t hash) const noexcept {
        return find(hash, [](std::uint32_t) { return true; });
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t memory_bytes() const noexcept {
        std::size_t total = sizeof(*this);
        for (const Shard& shard : shards_) {
            total += shard.cells == nullptr ? 0 : (std::size_t{shard.mask} + 1) * sizeof(Cell);
        }
        return total;
    }

private:
    static constexpr std::uint32_t kFirstCapacity = 8;

    struct Cell {
        std::uint32_t tag = 0;
        std::uint32_t number_plus_1 = 0;  ///< 0: the cell is empty
    };
    struct Shard {
        std::unique_ptr<Cell[]> cells;  // NOLINT(modernize-avoid-c-arrays): sized at run time
        std::uint32_t mask = 0;
        std::uint32_t count = 0;
    };

    static constexpr std::size_t shard_of(std::uint64_t hash) noexcept {
        return static_cast<std::size_t>(hash >> 48U) & (Shards - 1);
    }
    static constexpr std::uint32_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint32_t>(hash); }

    static void place(Shard& shard, Cell cell) noexcept {
        std::uint32_t at = cell.tag & shard.mask;
        while (shard.cells[at].number_plus_1 != 0) {
            at = (at + 1) & shard.mask;
        }
        shard.cells[at] = cell;
    }

    static void grow(Shard& shard) {
        const std::uint32_t old_capacity = shard.cells == nullptr ? 0 : shard.mask + 1;
        const std::uint32_t capacity = old_capacity == 0 ? kFirstCapacity : old_capacity * 2;
        Shard bigger{std::make_unique<Cell[]>(capacity), capacity - 1, shard.count};  // NOLINT: as above
        for (std::uint32_t at = 0; at < old_capacity; ++at) {
            if (shard.cells[at].number_plus_1 != 0) {
                place(bigger, shard.cells[at]);
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
