#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"

namespace manul::bgp::wire {

/// One whole message inside a receive buffer.
struct Frame {
    MessageType type = MessageType::keepalive;
    ByteView message;  ///< with header

    [[nodiscard]] constexpr ByteView body() const noexcept { return message.subspan(kHeaderSize); }
};

/// A message header error (RFC 4271 section 6.1).
struct HeaderError {
    std::uint8_t subcode = 0;
    std::array<std::uint8_t, 2> data{};
    std::uint8_t data_size = 0;

    [[nodiscard]] Notification notification() const;
    bool operator==(const HeaderError&) const = default;
};

/// Cuts a byte stream into messages: give it what has been received so far, call `next` until it has no further whole
/// message, keep the bytes behind `consumed()` for the next time. Marker, length and type are checked as soon as they
/// are there, so a wrong header never waits for a body. Allocates nothing.
class Framer {
public:
    /// `max_message` is the largest UPDATE, NOTIFICATION and ROUTE-REFRESH accepted: kMaxExtendedMessage when we
    /// announced the extended message capability (RFC 8654), else kMaxMessage. OPEN and KEEPALIVE end at kMaxMessage.
    constexpr explicit Framer(ByteView buffer, std::size_t max_message = kMaxMessage) noexcept
        : buffer_(buffer), max_message_(max_message) {}

    /// The next whole message; nothing when more bytes are needed; an error ends the session.
    std::expected<std::optional<Frame>, HeaderError> next() noexcept;

    /// Bytes of the buffer that belong to messages returned so far.
    [[nodiscard]] constexpr std::size_t consumed() const noexcept { return consumed_; }

private:
    ByteView buffer_;
    std::size_t max_message_;
    std::size_t consumed_ = 0;
};

}  // namespace manul::bgp::wire
