#pragma once

#include <linux/netlink.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/bytes.hpp"

/// rtnetlink, cut in two. Pure, and in libraries of their own: `message` (framing), `encode` (values -> request bytes),
/// `decode` (bytes -> values). I/O: `socket` (requests, batches, dumps), `monitor` (change events), `netns`.
///
/// All numbers are in host byte order, as rtnetlink has them; addresses are bytes. Nothing here trusts a length: a walk
/// ends at the first message or attribute that does not fit into what is left, and says so.
namespace manul::netlink {

[[nodiscard]] constexpr std::size_t aligned(std::size_t length) noexcept { return (length + 3U) & ~std::size_t{3}; }

/// An unsigned integer of the host's byte order at the start of `bytes`; nothing when there are too few.
template <class T>
    requires std::is_integral_v<T>
[[nodiscard]] constexpr std::optional<T> host_integer(ByteView bytes) noexcept {
    if (bytes.size() < sizeof(T)) {
        return std::nullopt;
    }
    std::array<std::uint8_t, sizeof(T)> raw{};
    std::copy_n(bytes.begin(), sizeof(T), raw.begin());
    return std::bit_cast<T>(raw);
}

/// A kernel structure at the start of `bytes`; nothing when there are too few.
template <class T>
    requires std::is_trivially_copyable_v<T>
[[nodiscard]] std::optional<T> host_struct(ByteView bytes) noexcept {
    if (bytes.size() < sizeof(T)) {
        return std::nullopt;
    }
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
}

/// One attribute: type without the nested and byte-order flags, payload without padding.
struct Attribute {
    std::uint16_t type = 0;
    ByteView payload;

    [[nodiscard]] constexpr std::optional<std::uint8_t> u8() const noexcept {
        return host_integer<std::uint8_t>(payload);
    }
    [[nodiscard]] constexpr std::optional<std::uint16_t> u16() const noexcept {
        return host_integer<std::uint16_t>(payload);
    }
    [[nodiscard]] constexpr std::optional<std::uint32_t> u32() const noexcept {
        return host_integer<std::uint32_t>(payload);
    }
    /// The text up to the first NUL, or the whole payload.
    [[nodiscard]] std::string_view text() const noexcept;
};

/// Walks attributes: `while (auto attribute = walk.next()) ...; if (walk.damaged()) ...`. Fewer bytes at the end than
/// a header has are padding when they are zero, damage otherwise.
class AttributeWalk {
public:
    constexpr explicit AttributeWalk(ByteView bytes) noexcept : left_(bytes) {}

    [[nodiscard]] constexpr std::optional<Attribute> next() noexcept {
        if (damaged_ || left_.empty()) {
            return std::nullopt;
        }
        const auto length = host_integer<std::uint16_t>(left_);
        if (left_.size() < kHeader || *length < kHeader || *length > left_.size()) {
            damaged_ =
                left_.size() >= kHeader || std::ranges::any_of(left_, [](std::uint8_t byte) { return byte != 0; });
            left_ = {};
            return std::nullopt;
        }
        const auto type = host_integer<std::uint16_t>(left_.subspan(2));
        const Attribute found{static_cast<std::uint16_t>(*type & NLA_TYPE_MASK),
                              left_.subspan(kHeader, *length - kHeader)};
        left_ = left_.subspan(std::min(aligned(*length), left_.size()));
        return found;
    }
    [[nodiscard]] constexpr bool damaged() const noexcept { return damaged_; }

private:
    static constexpr std::size_t kHeader = 4;

    ByteView left_;
    bool damaged_ = false;
};

/// The first attribute of this type; nothing when there is none.
[[nodiscard]] std::optional<Attribute> find_attribute(ByteView attributes, std::uint16_t type) noexcept;
/// What it carries; empty when there is none.
[[nodiscard]] ByteView find_payload(ByteView attributes, std::uint16_t type) noexcept;

/// One message inside a received datagram; `payload` starts after the netlink header.
struct MessageView {
    std::uint16_t type = 0;
    std::uint16_t flags = 0;
    std::uint32_t sequence = 0;
    std::uint32_t port = 0;
    ByteView payload;
};

/// Walks the messages of one datagram, as AttributeWalk does.
class MessageWalk {
public:
    explicit MessageWalk(ByteView bytes) noexcept : left_(bytes) {}

    [[nodiscard]] std::optional<MessageView> next() noexcept;
    [[nodiscard]] bool damaged() const noexcept { return damaged_; }

private:
    ByteView left_;
    bool damaged_ = false;
};

/// Requests, one after another in one flat buffer that is meant to be reused: clear() keeps the memory. Sequence
/// numbers and the flags REQUEST and ACK are the socket's business.
class RequestBuffer {
public:
    /// Where a nested attribute began; give it to close().
    struct Nest {
        std::size_t at;
    };

    /// Starts a request; `fixed` is the structure that follows the netlink header (ifinfomsg, rtmsg, ...).
    template <class Fixed>
        requires std::is_trivially_copyable_v<Fixed>
    void begin(std::uint16_t type, std::uint16_t flags, const Fixed& fixed) {
        start(type, flags);
        append(std::span(reinterpret_cast<const std::uint8_t*>(&fixed), sizeof fixed));
    }
    /// Ends the request: writes its length.
    void end() noexcept;

    void bytes(std::uint16_t type, ByteView payload);
    void u8(std::uint16_t type, std::uint8_t value) { integer(type, value); }
    void u16(std::uint16_t type, std::uint16_t value) { integer(type, value); }
    void u32(std::uint16_t type, std::uint32_t value) { integer(type, value); }
    void i32(std::uint16_t type, std::int32_t value) { integer(type, static_cast<std::uint32_t>(value)); }
    /// With the terminating NUL that the kernel wants.
    void text(std::uint16_t type, std::string_view value);
    void flag(std::uint16_t type) { bytes(type, {}); }
    [[nodiscard]] Nest open(std::uint16_t type);
    void close(Nest nest) noexcept;
    /// A bare structure between attributes: a peer's ifinfomsg, one rtnexthop. Returns where it starts.
    template <class Fixed>
        requires std::is_trivially_copyable_v<Fixed>
    std::size_t raw(const Fixed& fixed) {
        const std::size_t at = data_.size();
        append(std::span(reinterpret_cast<const std::uint8_t*>(&fixed), sizeof fixed));
        return at;
    }
    /// Overwrites two bytes written earlier with the distance from there to the end (the length of an rtnexthop).
    void patch_length(std::size_t at) noexcept;

    [[nodiscard]] bool empty() const noexcept { return data_.empty(); }
    [[nodiscard]] std::size_t count() const noexcept { return count_; }  ///< requests that were begun
    [[nodiscard]] ByteView view() const noexcept { return data_; }
    [[nodiscard]] std::span<std::uint8_t> mutable_view() noexcept { return data_; }
    void clear() noexcept;

private:
    template <class T>
    void integer(std::uint16_t type, T value) {
        const auto raw_bytes = std::bit_cast<std::array<std::uint8_t, sizeof(T)>>(value);
        bytes(type, raw_bytes);
    }
    void start(std::uint16_t type, std::uint16_t flags);
    void append(ByteView payload);

    Bytes data_;
    std::size_t message_ = 0;
    std::size_t count_ = 0;
};

}  // namespace manul::netlink
