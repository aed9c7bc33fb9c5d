#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <span>
#include <vector>

namespace manul {

using Bytes = std::vector<std::uint8_t>;
using ByteView = std::span<const std::uint8_t>;

/// Why a read failed: more was asked for than is left. `offset` counts from the start of the outermost message.
struct ShortRead {
    std::size_t offset = 0;
    std::size_t wanted = 0;
    std::size_t left = 0;

    bool operator==(const ShortRead&) const = default;
};

/// Reads network byte order from a span. Every read is checked; a sub-reader keeps the absolute offset, so that errors
/// point into the whole message. Cheap to copy: a copy is a look-ahead.
class ByteReader {
public:
    template <class T>
    using Read = std::expected<T, ShortRead>;

    constexpr explicit ByteReader(ByteView data, std::size_t offset = 0) noexcept : data_(data), offset_(offset) {}

    [[nodiscard]] constexpr bool empty() const noexcept { return data_.empty(); }
    [[nodiscard]] constexpr std::size_t left() const noexcept { return data_.size(); }
    [[nodiscard]] constexpr std::size_t offset() const noexcept { return offset_; }
    [[nodiscard]] constexpr ByteView rest() const noexcept { return data_; }

    constexpr Read<std::uint8_t> u8() noexcept { return integer<std::uint8_t>(); }
    constexpr Read<std::uint16_t> u16() noexcept { return integer<std::uint16_t>(); }
    constexpr Read<std::uint32_t> u32() noexcept { return integer<std::uint32_t>(); }
    constexpr Read<std::uint64_t> u64() noexcept { return integer<std::uint64_t>(); }

    constexpr Read<ByteView> bytes(std::size_t count) noexcept {
        if (data_.size() < count) {
            return std::unexpected(ShortRead{offset_, count, data_.size()});
        }
        const ByteView taken = data_.first(count);
        data_ = data_.subspan(count);
        offset_ += count;
        return taken;
    }

    /// A reader over the next `count` bytes, which this reader then skips.
    constexpr Read<ByteReader> sub(std::size_t count) noexcept {
        const std::size_t start = offset_;
        auto taken = bytes(count);
        if (!taken) {
            return std::unexpected(taken.error());
        }
        return ByteReader(*taken, start);
    }

private:
    template <class T>
    constexpr Read<T> integer() noexcept {
        if (data_.size() < sizeof(T)) {
            return std::unexpected(ShortRead{offset_, sizeof(T), data_.size()});
        }
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            value = value << 8U | data_[i];
        }
        data_ = data_.subspan(sizeof(T));
        offset_ += sizeof(T);
        return static_cast<T>(value);
    }

    ByteView data_;
    std::size_t offset_;
};

/// Appends network byte order to a vector that the caller owns and may reuse.
class ByteWriter {
public:
    explicit ByteWriter(Bytes& out) noexcept : out_(out) {}

    void u8(std::uint8_t value) { out_.push_back(value); }
    void u16(std::uint16_t value) { integer(value); }
    void u32(std::uint32_t value) { integer(value); }
    void u64(std::uint64_t value) { integer(value); }
    void bytes(ByteView data) { out_.insert(out_.end(), data.begin(), data.end()); }

    [[nodiscard]] std::size_t size() const noexcept { return out_.size(); }

    /// Overwrites two bytes written earlier (a length that is known only afterwards).
    void patch_u16(std::size_t at, std::uint16_t value) {
        out_[at] = static_cast<std::uint8_t>(value >> 8U);
        out_[at + 1] = static_cast<std::uint8_t>(value);
    }

private:
    template <class T>
    void integer(T value) {
        for (std::size_t i = sizeof(T); i-- > 0;) {
            out_.push_back(static_cast<std::uint8_t>(static_cast<std::uint64_t>(value) >> (8U * i)));
        }
    }

    Bytes& out_;
};

}  // namespace manul
