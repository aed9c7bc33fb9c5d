#include "bgpd/wire/notification.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/message.hpp"

namespace manul::bgp::wire {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::array<std::string_view, 9> kCodeNames = {"",
                                                        "Message Header Error",
                                                        "OPEN Message Error",
                                                        "UPDATE Message Error",
                                                        "Hold Timer Expired",
                                                        "Finite State Machine Error",
                                                        "Cease",
                                                        "ROUTE-REFRESH Message Error",
                                                        "Send Hold Timer Expired"};
constexpr std::array<std::string_view, 4> kHeaderNames = {"", "Connection Not Synchronized", "Bad Message Length",
                                                          "Bad Message Type"};
constexpr std::array<std::string_view, 12> kOpenNames = {"",
                                                         "Unsupported Version Number",
                                                         "Bad Peer AS",
                                                         "Bad BGP Identifier",
                                                         "Unsupported Optional Parameter",
                                                         "",
                                                         "Unacceptable Hold Time",
                                                         "Unsupported Capability",
                                                         "",
                                                         "",
                                                         "",
                                                         "Role Mismatch"};
constexpr std::array<std::string_view, 12> kUpdateNames = {"",
                                                           "Malformed Attribute List",
                                                           "Unrecognized Well-known Attribute",
                                                           "Missing Well-known Attribute",
                                                           "Attribute Flags Error",
                                                           "Attribute Length Error",
                                                           "Invalid ORIGIN Attribute",
                                                           "",
                                                           "Invalid NEXT_HOP Attribute",
                                                           "Optional Attribute Error",
                                                           "Invalid Network Field",
                                                           "Malformed AS_PATH"};
constexpr std::array<std::string_view, 4> kFsmNames = {"", "Receive Unexpected Message in OpenSent State",
                                                       "Receive Unexpected Message in OpenConfirm State",
                                                       "Receive Unexpected Message in Established State"};
constexpr std::array<std::string_view, 11> kCeaseNames = {"",
                                                          "Maximum Number of Prefixes Reached",
                                                          "Administrative Shutdown",
                                                          "Peer De-configured",
                                                          "Administrative Reset",
                                                          "Connection Rejected",
                                                          "Other Configuration Change",
                                                          "Connection Collision Resolution",
                                                          "Out of Resources",
                                                          "Hard Reset",
                                                          "BFD Down"};
constexpr std::array<std::string_view, 2> kRefreshNames = {"", "Invalid Message Length"};

Names subcode_names(ErrorCode code) {
    switch (code) {
        case ErrorCode::header:
            return kHeaderNames;
        case ErrorCode::open:
            return kOpenNames;
        case ErrorCode::update:
            return kUpdateNames;
        case ErrorCode::fsm:
            return kFsmNames;
        case ErrorCode::cease:
            return kCeaseNames;
        case ErrorCode::route_refresh:
            return kRefreshNames;
        case ErrorCode::hold_timer_expired:
        case ErrorCode::send_hold_timer_expired:
            break;
    }
    return {};
}

std::string name(Names names, std::uint8_t value, std::string_view what) {
    if (value < names.size() && !names[value].empty()) {
        return std::string(names[value]);
    }
    return std::string(what) + " " + std::to_string(value);
}

/// Length of the UTF-8 character at the front of `text`; 0 when it is not a well-formed one.
std::size_t utf8_length(std::string_view text) {
    const auto lead = static_cast<std::uint8_t>(text.front());
    const std::size_t length = lead < 0x80 ? 1 : lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : 4;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || text.size() < length) {
        return 0;
    }
    const auto tail = text.substr(1, length - 1);
    const bool continued =
        std::ranges::all_of(tail, [](char c) { return (static_cast<std::uint8_t>(c) & 0xc0U) == 0x80; });
    return continued ? length : 0;
}

}  // namespace

std::optional<std::string> Notification::shutdown_text() const {
    const bool carries_text = code == ErrorCode::cease &&
                              (subcode == cease::kAdministrativeShutdown || subcode == cease::kAdministrativeReset);
    if (!carries_text || data.empty() || data.front() == 0 || std::size_t{data.front()} + 1 > data.size()) {
        return std::nullopt;
    }
    std::string text;
    std::string raw(data.begin() + 1, data.begin() + 1 + data.front());
    for (std::string_view rest = raw; !rest.empty();) {
        const std::size_t length = utf8_length(rest);
        if (length == 0) {
            return std::nullopt;
        }
        const auto byte = static_cast<std::uint8_t>(rest.front());
        // Control characters of the peer's choice must not reach logs and terminals (RFC 9003 section 5).
        text += byte < 0x20 || byte == 0x7f ? std::string_view(" ") : rest.substr(0, length);
        rest.remove_prefix(length);
    }
    return text;
}

std::string Notification::to_string() const {
    std::string text = name(kCodeNames, static_cast<std::uint8_t>(code), "code");
    if (subcode != 0) {
        text += "/" + name(subcode_names(code), subcode, "subcode");
    }
    if (const auto words = shutdown_text()) {
        text += ": " + *words;
    }
    if (const auto reason = hard_reset_reason(*this)) {
        text += " (" + name(kCodeNames, static_cast<std::uint8_t>(reason->code), "code") + "/" +
                name(subcode_names(reason->code), reason->subcode, "subcode");
        if (const auto words = reason->shutdown_text()) {
            text += ": " + *words;
        }
        text += ")";
    }
    return text;
}

Notification make_cease(std::uint8_t subcode, std::string_view text) {
    Notification notification{ErrorCode::cease, subcode, {}};
    if (!text.empty() && (subcode == cease::kAdministrativeShutdown || subcode == cease::kAdministrativeReset)) {
        std::string_view rest = text;
        std::size_t taken = 0;
        while (!rest.empty()) {
            const std::size_t length = std::max<std::size_t>(utf8_length(rest), 1);
            if (taken + length > 255) {
                break;
            }
            taken += length;
            rest.remove_prefix(length);
        }
        notification.data.push_back(static_cast<std::uint8_t>(taken));
        notification.data.insert(notification.data.end(), text.begin(),
                                 text.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    return notification;
}

Notification make_hard_reset(const Notification& why) {
    Notification reset{ErrorCode::cease, cease::kHardReset, {static_cast<std::uint8_t>(why.code), why.subcode}};
    reset.data.insert(reset.data.end(), why.data.begin(), why.data.end());
    return reset;
}

std::optional<Notification> hard_reset_reason(const Notification& notification) {
    if (notification.code != ErrorCode::cease || notification.subcode != cease::kHardReset ||
        notification.data.size() < 2) {
        return std::nullopt;
    }
    return Notification{static_cast<ErrorCode>(notification.data[0]), notification.data[1],
                        Bytes(notification.data.begin() + 2, notification.data.end())};
}

Notification decode_notification(ByteView body) {
    return {static_cast<ErrorCode>(body[0]), body[1], Bytes(body.begin() + 2, body.end())};
}

void encode_notification(const Notification& notification, Bytes& out) {
    const std::size_t start = begin_message(out, MessageType::notification);
    ByteWriter writer(out);
    writer.u8(static_cast<std::uint8_t>(notification.code));
    writer.u8(notification.subcode);
    writer.bytes(ByteView(notification.data).first(std::min(notification.data.size(), kMaxMessage - kHeaderSize - 2)));
    finish_message(out, start);
}

}  // namespace manul::bgp::wire
