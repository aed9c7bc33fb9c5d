#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"

/// Capabilities of the OPEN message (RFC 5492).
namespace manul::bgp::wire {

namespace capability_code {
inline constexpr std::uint8_t kMultiprotocol = 1;
inline constexpr std::uint8_t kRouteRefresh = 2;
inline constexpr std::uint8_t kExtendedMessage = 6;
inline constexpr std::uint8_t kGracefulRestart = 64;
inline constexpr std::uint8_t kFourOctetAs = 65;
inline constexpr std::uint8_t kEnhancedRouteRefresh = 70;
inline constexpr std::uint8_t kFqdn = 73;
}  // namespace capability_code

/// RFC 4724, with the NOTIFICATION bit of RFC 8538.
struct GracefulRestart {
    struct Entry {
        AfiSafi family;
        bool forwarding_kept = false;  ///< F bit
        bool operator==(const Entry&) const = default;
    };

    bool restarting = false;      ///< R bit: the speaker has just restarted
    bool notification = false;    ///< N bit: a NOTIFICATION does not end graceful restart
    std::uint16_t seconds = 120;  ///< restart time, 0-4095
    std::vector<Entry> families;

    [[nodiscard]] bool has(net::Family family) const noexcept;
    [[nodiscard]] bool forwarding_kept(net::Family family) const noexcept;
    bool operator==(const GracefulRestart&) const = default;
};

/// Host and domain name for display (draft-walton-bgp-hostname-capability).
struct Fqdn {
    std::string host;
    std::string domain;
    bool operator==(const Fqdn&) const = default;
};

/// One that we do not use; kept for display.
struct UnknownCapability {
    std::uint8_t code = 0;
    Bytes value;
    bool operator==(const UnknownCapability&) const = default;
};

/// What one side announces.
struct Capabilities {
    std::vector<AfiSafi> multiprotocol;  ///< also families that we do not speak
    bool route_refresh = false;
    bool extended_message = false;
    bool enhanced_route_refresh = false;
    std::optional<std::uint32_t> four_octet_as;
    std::optional<GracefulRestart> graceful_restart;
    std::optional<Fqdn> fqdn;
    std::vector<UnknownCapability> others;

    /// The families of unicast that this side speaks: IPv4 alone when it names none (RFC 4760 section 8).
    [[nodiscard]] FamilySet families() const noexcept;
    bool operator==(const Capabilities&) const = default;
};

/// Reads the value of one capabilities parameter and adds to `into`. Capabilities with an impossible length are kept as
/// unknown ones, except where the session would mean something else without them: then the NOTIFICATION to send.
/// Repeated ones add families; otherwise the last one counts.
std::expected<void, Notification> decode_capabilities(ByteView parameter, Capabilities& into);

/// Appends code, length and value of all of them, in ascending order of codes.
void encode_capabilities(const Capabilities& capabilities, Bytes& out);

/// "multiprotocol", "route-refresh", ...; empty for codes without a name here.
[[nodiscard]] std::string_view capability_name(std::uint8_t code) noexcept;

}  // namespace manul::bgp::wire
