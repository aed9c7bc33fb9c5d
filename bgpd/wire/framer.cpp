#include "bgpd/wire/framer.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>

#include "base/bytes.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"

//  0                   1                   2                   3
//  +---------------------------------------------------------------+
//  |                     marker, 16 octets of 0xff                 |
//  +---------------------------------------------------------------+
//  |          length               |      type     |
//  +-----------------------------------------------+

namespace manul::bgp::wire {
namespace {

struct LengthLimits {
    std::size_t least;
    std::size_t most;
};

std::optional<LengthLimits> limits(std::uint8_t type, std::size_t max_message) {
    switch (static_cast<MessageType>(type)) {
        case MessageType::open:
            return LengthLimits{29, kMaxMessage};
        case MessageType::update:
            return LengthLimits{23, max_message};
        case MessageType::notification:
            return LengthLimits{21, max_message};
        case MessageType::keepalive:
            return LengthLimits{kHeaderSize, kHeaderSize};
        case MessageType::route_refresh:
            // A mark without its last octet has an error of its own (RFC 7313 section 5), which the reader finds.
            return LengthLimits{22, max_message};
    }
    return std::nullopt;
}

}  // namespace

Notification HeaderError::notification() const {
    return {ErrorCode::header, subcode, Bytes(data.begin(), data.begin() + data_size)};
}

std::expected<std::optional<Frame>, HeaderError> Framer::next() noexcept {
    const ByteView rest = buffer_.subspan(consumed_);
    const ByteView marker = rest.first(std::min(rest.size(), kMarkerSize));
    if (std::ranges::any_of(marker, [](std::uint8_t byte) { return byte != 0xff; })) {
        return std::unexpected(HeaderError{header_error::kNotSynchronized, {}, 0});
    }
    if (rest.size() < kHeaderSize) {
        return std::nullopt;
    }
    const std::size_t length = std::size_t{rest[kMarkerSize]} << 8U | rest[kMarkerSize + 1];
    const std::uint8_t type = rest[kMarkerSize + 2];
    const HeaderError bad_length{header_error::kBadLength, {rest[kMarkerSize], rest[kMarkerSize + 1]}, 2};
    if (length < kHeaderSize || length > max_message_) {
        return std::unexpected(bad_length);
    }
    const auto limit = limits(type, max_message_);
    if (!limit) {
        return std::unexpected(HeaderError{header_error::kBadType, {type}, 1});
    }
    if (length < limit->least || length > limit->most) {
        return std::unexpected(bad_length);
    }
    if (rest.size() < length) {
        return std::nullopt;
    }
    consumed_ += length;
    return Frame{static_cast<MessageType>(type), rest.first(length)};
}

}  // namespace manul::bgp::wire
