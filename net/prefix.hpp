#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "net/ip.hpp"

namespace manul::net {

/// An IP prefix of either family. Host bits are always zero and the length always fits the family: a Prefix that
/// exists is a valid one. Sorts by family, address, then length (shorter first).
class Prefix {
public:
    constexpr Prefix() noexcept = default;  // 0.0.0.0/0

    /// Clears host bits. Nothing when `length` is longer than the family allows.
    [[nodiscard]] static std::optional<Prefix> masked(Ip address, std::uint8_t length) noexcept;
    /// Refuses host bits.
    [[nodiscard]] static std::optional<Prefix> exact(Ip address, std::uint8_t length) noexcept;
    /// The single address as /32 or /128.
    [[nodiscard]] static Prefix host(Ip address) noexcept;
    /// `address/length`, host bits refused.
    [[nodiscard]] static std::optional<Prefix> parse(std::string_view text) noexcept;
    /// `address/length` with host bits cleared, or a bare address as /32 or /128.
    [[nodiscard]] static std::optional<Prefix> parse_loose(std::string_view text) noexcept;

    /// A reference, so that a view of its bytes lives as long as the prefix; of a temporary prefix, a value.
    [[nodiscard]] constexpr const Ip& address() const& noexcept { return address_; }
    [[nodiscard]] constexpr Ip address() const&& noexcept { return address_; }
    [[nodiscard]] constexpr std::uint8_t length() const noexcept { return length_; }
    [[nodiscard]] constexpr Family family() const noexcept { return address_.family(); }
    [[nodiscard]] constexpr bool is_host() const noexcept { return length_ == address_bits(family()); }
    [[nodiscard]] bool contains(const Ip& address) const noexcept;
    [[nodiscard]] bool contains(const Prefix& other) const noexcept;
    [[nodiscard]] bool overlaps(const Prefix& other) const noexcept { return contains(other) || other.contains(*this); }
    /// The highest address inside.
    [[nodiscard]] Ip last() const noexcept;
    [[nodiscard]] std::string to_string() const;

    auto operator<=>(const Prefix&) const = default;

private:
    constexpr Prefix(Ip address, std::uint8_t length) noexcept : address_(address), length_(length) {}

    Ip address_;
    std::uint8_t length_ = 0;
};

/// `address/length` as an interface carries it: host bits are kept ("10.0.0.5/24").
struct InterfaceAddress {
    Ip address;
    std::uint8_t length = 32;

    /// Accepts a bare address as a full-length one.
    [[nodiscard]] static std::optional<InterfaceAddress> parse(std::string_view text) noexcept;
    [[nodiscard]] Prefix network() const noexcept;
    [[nodiscard]] std::string to_string() const;

    auto operator<=>(const InterfaceAddress&) const = default;
};

}  // namespace manul::net

template <>
struct std::hash<manul::net::Prefix> {
    std::size_t operator()(const manul::net::Prefix& prefix) const noexcept {
        return manul::net::hash_bytes(prefix.address().bytes(), prefix.length());
    }
};
