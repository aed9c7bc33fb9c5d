#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

enum class SetKind : std::uint8_t {
    addresses,  ///< members are addresses and prefixes
    ports,      ///< members are (address, protocol, port): endpoints that declare a named port
};

/// Identity of an address set: `s:` (addresses) or `p:` (named ports) and 32 hexadecimal digits of the SHA-256 of the
/// canonical selector text (for ports: with protocol and port name). Equal selectors of different policies share a set.
struct SetId {
    std::string text;

    [[nodiscard]] static SetId of_selector(std::string_view canonical_selector);
    /// `protocol` is empty when the rule names none.
    [[nodiscard]] static SetId of_named_port(std::string_view canonical_selector, std::string_view protocol,
                                             std::string_view port_name);

    auto operator<=>(const SetId&) const = default;
};

/// One endpoint's named port.
struct PortMember {
    net::Ip address;
    net::Protocol protocol = net::kTcp;
    std::uint16_t port = 0;

    auto operator<=>(const PortMember&) const = default;
};

/// Members of one family, each list sorted and without duplicates.
struct FamilyMembers {
    std::vector<net::Ip> addresses;     ///< single addresses: endpoints, and nets of full length
    std::vector<net::Prefix> prefixes;  ///< shorter ones, of NetworkSets; may contain each other; never of length 0
    std::vector<PortMember> ports;      ///< only in sets of kind ports, which have nothing else

    [[nodiscard]] bool empty() const noexcept { return addresses.empty() && prefixes.empty() && ports.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return addresses.size() + prefixes.size() + ports.size(); }

    bool operator==(const FamilyMembers&) const = default;
};

struct SetMembers {
    FamilyMembers v4;
    FamilyMembers v6;

    [[nodiscard]] const FamilyMembers& of(net::Family family) const noexcept {
        return family == net::Family::v4 ? v4 : v6;
    }
    [[nodiscard]] FamilyMembers& of(net::Family family) noexcept { return family == net::Family::v4 ? v4 : v6; }
    [[nodiscard]] bool empty() const noexcept { return v4.empty() && v6.empty(); }

    bool operator==(const SetMembers&) const = default;
};

struct AddressSet {
    SetId id;
    SetKind kind = SetKind::addresses;
    std::string description;  ///< canonical selector, for people
    SetMembers members;

    bool operator==(const AddressSet&) const = default;
};

}  // namespace manul::felix

template <>
struct std::hash<manul::felix::SetId> {
    std::size_t operator()(const manul::felix::SetId& id) const noexcept { return std::hash<std::string>{}(id.text); }
};
template <>
struct std::hash<manul::felix::PortMember> {
    std::size_t operator()(const manul::felix::PortMember& member) const noexcept {
        return std::hash<manul::net::Ip>{}(member.address) * 31 +
               (std::size_t{member.protocol.number()} << 16U | member.port);
    }
};
