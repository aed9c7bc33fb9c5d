#pragma once

#include <cstdint>

/// NOTIFICATION codes and subcodes (RFC 4271 section 4.5 and its successors) and the verdicts of RFC 7606.
namespace manul::bgp::wire {

enum class ErrorCode : std::uint8_t {
    header = 1,
    open = 2,
    update = 3,
    hold_timer_expired = 4,
    fsm = 5,
    cease = 6,
    route_refresh = 7,            // RFC 7313
    send_hold_timer_expired = 8,  // RFC 9687
};

namespace header_error {
inline constexpr std::uint8_t kNotSynchronized = 1;
inline constexpr std::uint8_t kBadLength = 2;  // data: the length field
inline constexpr std::uint8_t kBadType = 3;    // data: the type field
}  // namespace header_error

namespace open_error {
inline constexpr std::uint8_t kUnspecific = 0;
inline constexpr std::uint8_t kUnsupportedVersion = 1;  // data: our version, two octets
inline constexpr std::uint8_t kBadPeerAs = 2;
inline constexpr std::uint8_t kBadIdentifier = 3;
inline constexpr std::uint8_t kUnsupportedParameter = 4;
inline constexpr std::uint8_t kUnacceptableHoldTime = 6;
inline constexpr std::uint8_t kUnsupportedCapability = 7;  // data: the capabilities missed (RFC 5492)
inline constexpr std::uint8_t kRoleMismatch = 11;          // RFC 9234
}  // namespace open_error

namespace update_error {
inline constexpr std::uint8_t kMalformedAttributeList = 1;
inline constexpr std::uint8_t kUnrecognizedWellKnown = 2;  // data: the attribute
inline constexpr std::uint8_t kMissingWellKnown = 3;       // data: the attribute's type
inline constexpr std::uint8_t kAttributeFlags = 4;
inline constexpr std::uint8_t kAttributeLength = 5;
inline constexpr std::uint8_t kInvalidOrigin = 6;
inline constexpr std::uint8_t kInvalidNextHop = 8;
inline constexpr std::uint8_t kOptionalAttribute = 9;
inline constexpr std::uint8_t kInvalidNetworkField = 10;
inline constexpr std::uint8_t kMalformedAsPath = 11;
}  // namespace update_error

/// RFC 6608.
namespace fsm_error {
inline constexpr std::uint8_t kUnspecific = 0;
inline constexpr std::uint8_t kInOpenSent = 1;
inline constexpr std::uint8_t kInOpenConfirm = 2;
inline constexpr std::uint8_t kInEstablished = 3;
}  // namespace fsm_error

/// RFC 4486, 8538, 9384.
namespace cease {
inline constexpr std::uint8_t kMaxPrefixes = 1;
inline constexpr std::uint8_t kAdministrativeShutdown = 2;  // data: text, RFC 9003
inline constexpr std::uint8_t kPeerDeconfigured = 3;
inline constexpr std::uint8_t kAdministrativeReset = 4;  // data: text, RFC 9003
inline constexpr std::uint8_t kConnectionRejected = 5;
inline constexpr std::uint8_t kConfigurationChange = 6;
inline constexpr std::uint8_t kCollision = 7;
inline constexpr std::uint8_t kOutOfResources = 8;
inline constexpr std::uint8_t kHardReset = 9;
inline constexpr std::uint8_t kBfdDown = 10;
}  // namespace cease

namespace route_refresh_error {
inline constexpr std::uint8_t kInvalidLength = 1;
}  // namespace route_refresh_error

/// What an error in an UPDATE costs (RFC 7606 section 2), weakest first, so that the strongest is the maximum.
/// "AFI/SAFI disable" is not among them: RFC 7606 allows a session reset in its place, and a family that stays dead
/// until an operator notices is worse than a session that comes back by itself.
enum class Verdict : std::uint8_t {
    ok,
    discard_attribute,  ///< the attribute is dropped, the routes are used
    treat_as_withdraw,  ///< every route that the message announces counts as withdrawn
    reset,              ///< NOTIFICATION, session ends
};

}  // namespace manul::bgp::wire
