#include "bgpd/wire/capability.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/text.hpp"
#include "net/ip.hpp"

namespace manul::bgp::wire {
namespace {

constexpr std::uint16_t kRestartBit = 0x8000;
constexpr std::uint16_t kNotificationBit = 0x4000;
constexpr std::uint16_t kSecondsMask = 0x0fff;
constexpr std::uint8_t kForwardingBit = 0x80;
constexpr std::uint32_t kLongestStaleTime = 0xffffff;  // 24 bits

std::unexpected<Notification> broken() {
    return std::unexpected(Notification{ErrorCode::open, open_error::kUnspecific, {}});
}

std::uint16_t u16_at(ByteView bytes, std::size_t at) {
    return static_cast<std::uint16_t>(std::uint32_t{bytes[at]} << 8U | bytes[at + 1]);
}

/// Restart flags and time, then entries of AFI, SAFI and flags (RFC 4724 section 3).
std::optional<GracefulRestart> decode_graceful_restart(ByteView value) {
    if (value.size() < 2 || value.size() % 4 != 2) {
        return std::nullopt;
    }
    const std::uint16_t head = u16_at(value, 0);
    GracefulRestart restart{
        (head & kRestartBit) != 0, (head & kNotificationBit) != 0, static_cast<std::uint16_t>(head & kSecondsMask), {}};
    for (std::size_t at = 2; at < value.size(); at += 4) {
        restart.families.push_back({{u16_at(value, at), value[at + 2]}, (value[at + 3] & kForwardingBit) != 0});
    }
    return restart;
}

/// Entries of AFI, SAFI, flags and three octets of seconds (RFC 9494 section 3).
std::optional<LongLivedRestart> decode_long_lived(ByteView value) {
    if (value.size() % 7 != 0) {
        return std::nullopt;
    }
    LongLivedRestart restart;
    for (std::size_t at = 0; at < value.size(); at += 7) {
        restart.families.push_back(
            {{u16_at(value, at), value[at + 2]},
             (value[at + 3] & kForwardingBit) != 0,
             std::uint32_t{value[at + 4]} << 16U | std::uint32_t{value[at + 5]} << 8U | value[at + 6]});
    }
    return restart;
}

/// Entries of AFI, SAFI and 1 (receive), 2 (send) or 3; with any other value in it the capability is one that is not
/// understood (RFC 7911 section 4).
bool decode_add_path(ByteView value, std::vector<AddPath>& into) {
    if (value.size() % 4 != 0) {
        return false;
    }
    std::vector<AddPath> entries;
    for (std::size_t at = 0; at < value.size(); at += 4) {
        const std::uint8_t mode = value[at + 3];
        if (mode < 1 || mode > 3) {
            return false;
        }
        entries.push_back({{u16_at(value, at), value[at + 2]}, (mode & 1U) != 0, (mode & 2U) != 0});
    }
    into.insert(into.end(), entries.begin(), entries.end());
    return true;
}

/// Entries of AFI, SAFI in two octets, and the next hop's AFI (RFC 8950 section 4).
bool decode_extended_next_hop(ByteView value, std::vector<ExtendedNextHop>& into) {
    if (value.size() % 6 != 0) {
        return false;
    }
    for (std::size_t at = 0; at < value.size(); at += 6) {
        const ExtendedNextHop entry{{u16_at(value, at), value[at + 3]}, u16_at(value, at + 4)};
        if (value[at + 2] == 0 && std::ranges::find(into, entry) == into.end()) {
            into.push_back(entry);
        }
    }
    return true;
}

/// Two strings with a length octet each; the second may be absent.
std::optional<Fqdn> decode_fqdn(ByteView value) {
    ByteReader reader(value);
    Fqdn name;
    for (std::string* part : {&name.host, &name.domain}) {
        const auto length = reader.u8();
        const auto text = length ? reader.bytes(*length) : reader.bytes(0);
        if (!text || (!length && part == &name.host)) {
            return std::nullopt;
        }
        *part = printable(std::string(text->begin(), text->end()));
    }
    return name;
}

/// Runs `body` and puts code and length before what it wrote.
template <class F>
void write_capability(Bytes& out, std::uint8_t code, F&& body) {
    out.push_back(code);
    const std::size_t length_at = out.size();
    out.push_back(0);
    body();
    out[length_at] = static_cast<std::uint8_t>(out.size() - length_at - 1);
}

}  // namespace

bool GracefulRestart::has(net::Family family) const noexcept {
    return std::ranges::any_of(families, [&](const Entry& entry) { return entry.family == AfiSafi::of(family); });
}

bool GracefulRestart::forwarding_kept(net::Family family) const noexcept {
    return std::ranges::any_of(
        families, [&](const Entry& entry) { return entry.family == AfiSafi::of(family) && entry.forwarding_kept; });
}

const LongLivedRestart::Entry* LongLivedRestart::find(net::Family family) const noexcept {
    const auto at = std::ranges::find(families, AfiSafi::of(family), &Entry::family);
    return at == families.end() ? nullptr : &*at;
}

ExtendedNextHop ipv4_over_ipv6() noexcept { return {AfiSafi::of(net::Family::v4), AfiSafi::of(net::Family::v6).afi}; }

const char* to_string(Role role) noexcept {
    switch (role) {
        case Role::provider:
            return "provider";
        case Role::route_server:
            return "route server";
        case Role::route_server_client:
            return "route server client";
        case Role::customer:
            return "customer";
        case Role::peer:
            return "peer";
    }
    return "";
}

bool roles_match(Role ours, std::uint8_t theirs) noexcept {
    constexpr std::array<Role, 5> kCounterparts{Role::customer, Role::route_server_client, Role::route_server,
                                                Role::provider, Role::peer};
    return theirs < kCounterparts.size() && kCounterparts[theirs] == ours;
}

bool Capabilities::has(const ExtendedNextHop& wanted) const noexcept {
    return std::ranges::find(extended_next_hop, wanted) != extended_next_hop.end();
}

AddPath Capabilities::add_path_of(net::Family family) const noexcept {
    const auto at = std::ranges::find(add_path, AfiSafi::of(family), &AddPath::family);
    return at == add_path.end() ? AddPath{AfiSafi::of(family), false, false} : *at;
}

FamilySet Capabilities::families() const noexcept {
    if (multiprotocol.empty()) {
        return {net::Family::v4};
    }
    FamilySet set;
    for (const AfiSafi& entry : multiprotocol) {
        if (const auto family = entry.family()) {
            set.add(*family);
        }
    }
    return set;
}

std::expected<void, Notification> decode_capabilities(ByteView parameter, Capabilities& into) {
    ByteReader reader(parameter);
    while (!reader.empty()) {
        const auto code = reader.u8();
        const auto length = reader.u8();
        const auto value = length ? reader.bytes(*length) : reader.bytes(parameter.size() + 1);
        if (!code || !value) {
            return broken();
        }
        bool known = false;
        switch (*code) {
            case capability_code::kMultiprotocol:
                if (value->size() != 4) {
                    return broken();  // ignoring it would silently mean "IPv4 only"
                }
                if (const AfiSafi entry{u16_at(*value, 0), (*value)[3]};
                    std::ranges::find(into.multiprotocol, entry) == into.multiprotocol.end()) {
                    into.multiprotocol.push_back(entry);
                }
                known = true;
                break;
            case capability_code::kRouteRefresh:
                known = value->empty();
                into.route_refresh = into.route_refresh || known;
                break;
            case capability_code::kExtendedNextHop:
                known = decode_extended_next_hop(*value, into.extended_next_hop);
                break;
            case capability_code::kExtendedMessage:
                known = value->empty();
                into.extended_message = into.extended_message || known;
                break;
            case capability_code::kEnhancedRouteRefresh:
                known = value->empty();
                into.enhanced_route_refresh = into.enhanced_route_refresh || known;
                break;
            case capability_code::kFourOctetAs:
                if (value->size() != 4) {
                    return broken();  // ignoring it would change how every AS_PATH reads
                }
                into.four_octet_as = std::uint32_t{u16_at(*value, 0)} << 16U | u16_at(*value, 2);
                known = true;
                break;
            case capability_code::kGracefulRestart:
                if (auto restart = decode_graceful_restart(*value)) {
                    into.graceful_restart = std::move(restart);
                    known = true;
                }
                break;
            case capability_code::kLongLivedGracefulRestart:
                if (auto restart = decode_long_lived(*value)) {
                    into.long_lived_restart = std::move(restart);
                    known = true;
                }
                break;
            case capability_code::kAddPath:
                known = decode_add_path(*value, into.add_path);
                break;
            case capability_code::kRole:
                if (value->size() == 1) {
                    if (std::ranges::find(into.roles, value->front()) == into.roles.end()) {
                        into.roles.push_back(value->front());
                    }
                    known = true;
                }
                break;
            case capability_code::kSoftwareVersion:
                if (!value->empty() && value->front() < value->size()) {
                    into.software_version =
                        printable(std::string(value->begin() + 1, value->begin() + 1 + value->front()));
                    known = true;
                }
                break;
            case capability_code::kFqdn:
                if (auto name = decode_fqdn(*value)) {
                    into.fqdn = std::move(name);
                    known = true;
                }
                break;
            default:
                break;
        }
        if (!known) {
            into.others.push_back({*code, Bytes(value->begin(), value->end())});
        }
    }
    return {};
}

void encode_capabilities(const Capabilities& capabilities, Bytes& out) {
    ByteWriter writer(out);
    for (const AfiSafi& entry : capabilities.multiprotocol) {
        write_capability(out, capability_code::kMultiprotocol, [&] {
            writer.u16(entry.afi);
            writer.u8(0);
            writer.u8(entry.safi);
        });
    }
    const auto flag = [&](bool announced, std::uint8_t code) {
        if (announced) {
            write_capability(out, code, [] {});
        }
    };
    flag(capabilities.route_refresh, capability_code::kRouteRefresh);
    if (!capabilities.extended_next_hop.empty()) {
        write_capability(out, capability_code::kExtendedNextHop, [&] {
            for (const ExtendedNextHop& entry : capabilities.extended_next_hop) {
                writer.u16(entry.family.afi);
                writer.u16(entry.family.safi);
                writer.u16(entry.next_hop_afi);
            }
        });
    }
    flag(capabilities.extended_message, capability_code::kExtendedMessage);
    for (const std::uint8_t role : capabilities.roles) {
        write_capability(out, capability_code::kRole, [&] { writer.u8(role); });
    }
    if (const auto& restart = capabilities.graceful_restart) {
        write_capability(out, capability_code::kGracefulRestart, [&] {
            const std::uint16_t seconds = std::min(restart->seconds, kSecondsMask);
            writer.u16(static_cast<std::uint16_t>((restart->restarting ? kRestartBit : 0) |
                                                  (restart->notification ? kNotificationBit : 0) | seconds));
            for (const GracefulRestart::Entry& entry : restart->families) {
                writer.u16(entry.family.afi);
                writer.u8(entry.family.safi);
                writer.u8(entry.forwarding_kept ? kForwardingBit : 0);
            }
        });
    }
    if (const auto as = capabilities.four_octet_as) {
        write_capability(out, capability_code::kFourOctetAs, [&] { writer.u32(*as); });
    }
    if (!capabilities.add_path.empty()) {
        write_capability(out, capability_code::kAddPath, [&] {
            for (const AddPath& entry : capabilities.add_path) {
                writer.u16(entry.family.afi);
                writer.u8(entry.family.safi);
                writer.u8(static_cast<std::uint8_t>((entry.receive ? 1 : 0) | (entry.send ? 2 : 0)));
            }
        });
    }
    flag(capabilities.enhanced_route_refresh, capability_code::kEnhancedRouteRefresh);
    if (const auto& restart = capabilities.long_lived_restart) {
        write_capability(out, capability_code::kLongLivedGracefulRestart, [&] {
            for (const LongLivedRestart::Entry& entry : restart->families) {
                const std::uint32_t seconds = std::min(entry.seconds, kLongestStaleTime);
                writer.u16(entry.family.afi);
                writer.u8(entry.family.safi);
                writer.u8(entry.forwarding_kept ? kForwardingBit : 0);
                writer.u8(static_cast<std::uint8_t>(seconds >> 16U));
                writer.u16(static_cast<std::uint16_t>(seconds));
            }
        });
    }
    if (const auto& name = capabilities.fqdn) {
        write_capability(out, capability_code::kFqdn, [&] {
            for (const std::string* part : {&name->host, &name->domain}) {
                // RFC 1035: a label has at most 63 octets; both parts together fit in the capability.
                const auto length = static_cast<std::uint8_t>(std::min<std::size_t>(part->size(), 120));
                writer.u8(length);
                out.insert(out.end(), part->begin(), part->begin() + length);
            }
        });
    }
    if (const auto& text = capabilities.software_version) {
        write_capability(out, capability_code::kSoftwareVersion, [&] {
            const auto length = static_cast<std::uint8_t>(std::min<std::size_t>(text->size(), 64));
            writer.u8(length);
            out.insert(out.end(), text->begin(), text->begin() + length);
        });
    }
    for (const UnknownCapability& other : capabilities.others) {
        write_capability(out, other.code, [&] { writer.bytes(other.value); });
    }
}

Omission Omission::everything() noexcept {
    Omission all;
    all.codes.set();
    for (const net::Family family : kFamilies) {
        all.families.add(family);
    }
    return all;
}

Omission Omission::of(ByteView capabilities) noexcept {
    Omission named;
    ByteReader reader(capabilities);
    while (true) {
        const auto code = reader.u8();
        const auto length = reader.u8();
        const auto value = reader.bytes(length.value_or(0));
        if (!length || !value) {
            return named;
        }
        if (*code != capability_code::kMultiprotocol || value->size() != 4) {
            named.codes.set(*code);
        } else if (const auto family = AfiSafi{u16_at(*value, 0), (*value)[3]}.family()) {
            named.families.add(*family);
        }
    }
}

Omission Omission::operator&(const Omission& other) const noexcept {
    return {codes & other.codes, families & other.families};
}

Omission Omission::operator|(const Omission& other) const noexcept {
    Omission both{codes | other.codes, families};
    for (const net::Family family : kFamilies) {
        if (other.families.has(family)) {
            both.families.add(family);
        }
    }
    return both;
}

Capabilities without(Capabilities capabilities, const Omission& left_out) {
    const auto unless = [&](std::uint8_t code, auto& member) {
        if (left_out.codes[code]) {
            member = {};
        }
    };
    const auto is_out = [&](const AfiSafi& entry) { return entry.family() && left_out.families.has(*entry.family()); };
    const auto names_one = [&](const auto& entry) { return is_out(entry.family); };
    std::erase_if(capabilities.multiprotocol, is_out);
    std::erase_if(capabilities.add_path, names_one);
    if (capabilities.graceful_restart) {
        std::erase_if(capabilities.graceful_restart->families, names_one);
    }
    if (capabilities.long_lived_restart) {
        std::erase_if(capabilities.long_lived_restart->families, names_one);
    }
    unless(capability_code::kMultiprotocol, capabilities.multiprotocol);
    unless(capability_code::kRouteRefresh, capabilities.route_refresh);
    unless(capability_code::kExtendedNextHop, capabilities.extended_next_hop);
    unless(capability_code::kExtendedMessage, capabilities.extended_message);
    unless(capability_code::kRole, capabilities.roles);
    unless(capability_code::kGracefulRestart, capabilities.graceful_restart);
    unless(capability_code::kFourOctetAs, capabilities.four_octet_as);
    unless(capability_code::kAddPath, capabilities.add_path);
    unless(capability_code::kEnhancedRouteRefresh, capabilities.enhanced_route_refresh);
    unless(capability_code::kLongLivedGracefulRestart, capabilities.long_lived_restart);
    unless(capability_code::kFqdn, capabilities.fqdn);
    unless(capability_code::kSoftwareVersion, capabilities.software_version);
    std::erase_if(capabilities.others, [&](const UnknownCapability& other) { return left_out.codes[other.code]; });
    return capabilities;
}

}  // namespace manul::bgp::wire
