#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "bgpd/wire/error.hpp"

namespace manul::bgp::wire {

/// Why a session ends, as the two sides tell each other (RFC 4271 section 4.5). A received one may hold any code.
struct Notification {
    ErrorCode code = ErrorCode::cease;
    std::uint8_t subcode = 0;
    Bytes data;

    /// The operator's words in a Cease with subcode 2 or 4 (RFC 9003), with control characters replaced; nothing when
    /// there are none or they are not well-formed.
    [[nodiscard]] std::optional<std::string> shutdown_text() const;
    /// "Cease/Administrative Shutdown: maintenance" in the words of the RFCs; unknown codes as numbers.
    [[nodiscard]] std::string to_string() const;

    bool operator==(const Notification&) const = default;
};

/// A Cease. `text` goes with subcodes 2 and 4 only and is cut to 255 octets at a character boundary (RFC 9003).
[[nodiscard]] Notification make_cease(std::uint8_t subcode, std::string_view text = {});
/// Cease/Hard Reset that carries another NOTIFICATION (RFC 8538): the receiver keeps no routes.
[[nodiscard]] Notification make_hard_reset(const Notification& why);
/// What a Hard Reset carries; nothing for other notifications and for an empty one.
[[nodiscard]] std::optional<Notification> hard_reset_reason(const Notification& notification);

/// Precondition: the framer found the length acceptable, so `body` has at least two octets.
[[nodiscard]] Notification decode_notification(ByteView body);
/// Appends the whole message; data beyond the message limit is cut.
void encode_notification(const Notification& notification, Bytes& out);

}  // namespace manul::bgp::wire
