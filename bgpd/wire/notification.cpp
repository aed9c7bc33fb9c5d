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
#include "bgpd/wire/text.hpp"

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

}  // namespace

std::optional<std::string> Notification::shutdown_text() const {
    const bool carries_text = code == ErrorCode::cease &&
                              (subcode == cease::kAdministrativeShutdown || subcode == cease::kAdministrativeReset);
    if (!carries_text || data.empty() || data.front() == 0 || std::size_t{data.front()} + 1 > data.size()) {
        return std::nullopt;
    }
    const std::string text(data.begin() + 1, data.begin() + 1 + data.front());
    return is_utf8(text) ? std::optional(printable(text)) : std::nullopt;
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
    Notification reset{ErrorCode::cease, cease::kHardReset, {}};
    ByteWriter data(reset.data);
    data.u8(static_cast<std::uint8_t>(why.code));
    data.u8(why.subcode);
    data.bytes(why.data);
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
