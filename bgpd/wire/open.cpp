#include "bgpd/wire/open.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <utility>

#include "base/bytes.hpp"
#include "base/try.hpp"
#include "bgpd/wire/capability.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"

//  +---------------+
//  |    version    |
//  +---------------+---------------+
//  |  my autonomous system         |
//  +-------------------------------+
//  |          hold time            |
//  +-------------------------------+-------------------------------+
//  |                       BGP identifier                          |
//  +---------------+-----------------------------------------------+
//  |  parameters   |  type, length, value ...                      |
//  +---------------+-----------------------------------------------+
// First type 255 (RFC 9072): a two-octet length follows, and parameters have two-octet lengths.

namespace manul::bgp::wire {
namespace {

constexpr std::uint8_t kCapabilitiesParameter = 2;
constexpr std::uint8_t kExtendedParameters = 255;

std::unexpected<Notification> refuse(std::uint8_t subcode, Bytes data = {}) {
    return std::unexpected(Notification{ErrorCode::open, subcode, std::move(data)});
}

std::expected<void, Notification> decode_parameters(ByteReader reader, Capabilities& into) {
    const auto length = reader.u8();
    if (!length) {
        return refuse(open_error::kUnspecific);
    }
    bool extended = false;
    std::size_t total = *length;
    // RFC 9072 section 2: the first type tells; the short length is then not looked at, but for 0.
    if (ByteReader ahead = reader; *length != 0 && ahead.u8() == kExtendedParameters) {
        const auto long_length = ahead.u16();
        if (!long_length) {
            return refuse(open_error::kUnspecific);
        }
        extended = true;
        total = *long_length;
        reader = ahead;
    }
    if (total != reader.left()) {
        return refuse(open_error::kUnspecific);
    }
    while (!reader.empty()) {
        const auto type = reader.u8();
        std::optional<std::size_t> size;
        if (extended) {
            if (const auto wide = reader.u16()) {
                size = *wide;
            }
        } else if (const auto narrow = reader.u8()) {
            size = *narrow;
        }
        const auto value = reader.bytes(size.value_or(reader.left() + 1));
        if (!type || !value) {
            return refuse(open_error::kUnspecific);
        }
        if (*type != kCapabilitiesParameter) {
            return refuse(open_error::kUnsupportedParameter);
        }
        MANUL_CHECK(decode_capabilities(*value, into));
    }
    return {};
}

/// RFC 9234 section 4.2. A peer that claims two roles is refused even where nothing is said of ours.
bool wrong_roles(const Capabilities& mine, const Capabilities& theirs, bool needs_role) {
    if (theirs.roles.size() > 1) {
        return true;
    }
    if (mine.roles.empty()) {
        return false;
    }
    return theirs.roles.empty() ? needs_role : !roles_match(static_cast<Role>(mine.roles[0]), theirs.roles[0]);
}

}  // namespace

std::expected<Open, Notification> decode_open(ByteView body) {
    ByteReader reader(body);
    const auto version = reader.u8();
    const auto my_as = reader.u16();
    const auto hold_time = reader.u16();
    const auto identifier = reader.u32();
    if (!identifier) {
        return refuse(open_error::kUnspecific);
    }
    if (*version != kVersion) {
        return refuse(open_error::kUnsupportedVersion, {0, kVersion});
    }
    Capabilities capabilities;
    MANUL_CHECK(decode_parameters(reader, capabilities));
    const auto as = net::Asn::make(capabilities.four_octet_as.value_or(*my_as));
    const bool stands_for_another = capabilities.four_octet_as == kAsTrans;  // and is nobody's (RFC 6793 section 9)
    if (*my_as == 0 || !as || stands_for_another) {
        return refuse(open_error::kBadPeerAs);
    }
    const auto id = net::RouterId::make(*identifier);
    if (!id) {
        return refuse(open_error::kBadIdentifier);
    }
    if (*hold_time == 1 || *hold_time == 2) {
        return refuse(open_error::kUnacceptableHoldTime);
    }
    return Open{*as, *id, *hold_time, std::move(capabilities)};
}

void encode_open(const Open& open, Bytes& out) {
    Capabilities announced = open.capabilities;
    if (announced.four_octet_as) {
        announced.four_octet_as = open.as.number();
    }
    Bytes capabilities;
    encode_capabilities(announced, capabilities);

    const std::size_t start = begin_message(out, MessageType::open);
    ByteWriter writer(out);
    writer.u8(kVersion);
    writer.u16(open.as.number() > 0xffff ? kAsTrans : static_cast<std::uint16_t>(open.as.number()));
    writer.u16(open.hold_time);
    writer.u32(open.identifier.value());
    if (capabilities.empty()) {
        writer.u8(0);
    } else if (capabilities.size() <= 253) {
        writer.u8(static_cast<std::uint8_t>(capabilities.size() + 2));
        writer.u8(kCapabilitiesParameter);
        writer.u8(static_cast<std::uint8_t>(capabilities.size()));
    } else {
        writer.u8(kExtendedParameters);
        writer.u8(kExtendedParameters);
        writer.u16(static_cast<std::uint16_t>(capabilities.size() + 3));
        writer.u8(kCapabilitiesParameter);
        writer.u16(static_cast<std::uint16_t>(capabilities.size()));
    }
    writer.bytes(capabilities);
    finish_message(out, start);
}

std::expected<Negotiated, Notification> negotiate(const Open& ours, const Open& peers,
                                                  std::optional<net::Asn> expected_as, bool needs_role) {
    if (expected_as && *expected_as != peers.as) {
        return refuse(open_error::kBadPeerAs);
    }
    const bool internal = ours.as == peers.as;
    if (internal && ours.identifier == peers.identifier) {
        return refuse(open_error::kBadIdentifier);
    }
    const Capabilities& mine = ours.capabilities;
    const Capabilities& theirs = peers.capabilities;
    const FamilySet common = mine.families() & theirs.families();
    if (common.empty()) {
        Capabilities missed;
        missed.multiprotocol = mine.multiprotocol;
        if (missed.multiprotocol.empty()) {
            missed.multiprotocol.push_back(AfiSafi::of(net::Family::v4));
        }
        Bytes data;
        encode_capabilities(missed, data);
        return refuse(open_error::kUnsupportedCapability, std::move(data));
    }
    if (!internal && wrong_roles(mine, theirs, needs_role)) {
        return refuse(open_error::kRoleMismatch);
    }
    FamilySet several_in;
    FamilySet several_out;
    for (const net::Family family : kFamilies) {
        const AddPath ours_of = mine.add_path_of(family);
        const AddPath theirs_of = theirs.add_path_of(family);
        if (common.has(family) && ours_of.receive && theirs_of.send) {
            several_in.add(family);
        }
        if (common.has(family) && ours_of.send && theirs_of.receive) {
            several_out.add(family);
        }
    }
    const bool restart = mine.graceful_restart && theirs.graceful_restart;
    return Negotiated{
        .peer_as = peers.as,
        .peer_identifier = peers.identifier,
        .internal = internal,
        .four_octet_as = mine.four_octet_as && theirs.four_octet_as,
        .hold_time = std::min(ours.hold_time, peers.hold_time),
        .families = common,
        .route_refresh = theirs.route_refresh,
        .enhanced_route_refresh = mine.enhanced_route_refresh && theirs.enhanced_route_refresh,
        .max_send = theirs.extended_message ? kMaxExtendedMessage : kMaxMessage,
        .max_receive = mine.extended_message ? kMaxExtendedMessage : kMaxMessage,
        .peer_graceful_restart = restart ? theirs.graceful_restart : std::nullopt,
        .notification_restart = restart && mine.graceful_restart->notification && theirs.graceful_restart->notification,
        .peer_long_lived_restart = restart && mine.long_lived_restart ? theirs.long_lived_restart : std::nullopt,
        .add_path_receive = several_in,
        .add_path_send = several_out,
        .ipv6_next_hops = mine.has(ipv4_over_ipv6()) && theirs.has(ipv4_over_ipv6()),
    };
}

}  // namespace manul::bgp::wire
