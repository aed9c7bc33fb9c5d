#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "net/ip.hpp"

/// A link-local address means nothing without its link. Inside a program it may carry the index of its interface, in
/// the second four octets, which are zero on the wire (RFC 4291 section 2.5.6). So two links can have the same
/// neighbour, and whatever is keyed by address keeps them apart. Sockets, netlink, messages and people get the plain
/// address, and the scope where each of them wants it.
namespace manul::net {

/// The same address on this interface; 0 takes a scope away. Addresses that are not link-local stay as they are.
[[nodiscard]] inline Ip with_scope(const Ip& address, std::uint32_t interface) noexcept {
    if (!address.is_v6() || !address.is_link_local()) {
        return address;
    }
    std::array<std::uint8_t, 16> bytes = address.v6().bytes();
    for (std::size_t i = 0; i < 4; ++i) {
        bytes[4 + i] = static_cast<std::uint8_t>(interface >> (24U - 8U * i));
    }
    return Ip6(bytes);
}

[[nodiscard]] inline Ip without_scope(const Ip& address) noexcept { return with_scope(address, 0); }

/// The interface; 0: none is named.
[[nodiscard]] inline std::uint32_t scope_of(const Ip& address) noexcept {
    if (!address.is_v6() || !address.is_link_local()) {
        return 0;
    }
    const auto bytes = address.bytes();
    return std::uint32_t{bytes[4]} << 24U | std::uint32_t{bytes[5]} << 16U | std::uint32_t{bytes[6]} << 8U | bytes[7];
}

}  // namespace manul::net
