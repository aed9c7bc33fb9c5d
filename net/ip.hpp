#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace manul::net {

enum class Family : std::uint8_t { v4 = 4, v6 = 6 };

/// Number of bits in an address of the family.
[[nodiscard]] constexpr std::uint8_t address_bits(Family family) noexcept { return family == Family::v4 ? 32 : 128; }

/// IPv4 address; the value is in host byte order (10.0.0.1 is 0x0a000001).
class Ip4 {
public:
    static constexpr Family kFamily = Family::v4;
    static constexpr std::uint8_t kBits = 32;

    constexpr Ip4() noexcept = default;
    constexpr explicit Ip4(std::uint32_t value) noexcept : value_(value) {}
    constexpr Ip4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) noexcept
        : value_(std::uint32_t{a} << 24U | std::uint32_t{b} << 16U | std::uint32_t{c} << 8U | d) {}

    [[nodiscard]] constexpr std::uint32_t value() const noexcept { return value_; }
    [[nodiscard]] constexpr std::array<std::uint8_t, 4> bytes() const noexcept {
        return {static_cast<std::uint8_t>(value_ >> 24U), static_cast<std::uint8_t>(value_ >> 16U),
                static_cast<std::uint8_t>(value_ >> 8U), static_cast<std::uint8_t>(value_)};
    }
    /// Strict dotted quad: four decimal numbers without leading zeros.
    [[nodiscard]] static std::optional<Ip4> parse(std::string_view text) noexcept;
    [[nodiscard]] std::string to_string() const;

    auto operator<=>(const Ip4&) const = default;

private:
    std::uint32_t value_ = 0;
};

/// IPv6 address in network byte order.
class Ip6 {
public:
    static constexpr Family kFamily = Family::v6;
    static constexpr std::uint8_t kBits = 128;

    constexpr Ip6() noexcept = default;
    constexpr explicit Ip6(std::array<std::uint8_t, 16> bytes) noexcept : bytes_(bytes) {}

    [[nodiscard]] constexpr const std::array<std::uint8_t, 16>& bytes() const noexcept { return bytes_; }
    /// RFC 4291 text forms without zone; prints as RFC 5952.
    [[nodiscard]] static std::optional<Ip6> parse(std::string_view text) noexcept;
    [[nodiscard]] std::string to_string() const;

    [[nodiscard]] constexpr bool is_link_local() const noexcept {
        return bytes_[0] == 0xfe && (bytes_[1] & 0xc0U) == 0x80;
    }

    auto operator<=>(const Ip6&) const = default;

private:
    std::array<std::uint8_t, 16> bytes_{};
};

/// Address of either family. IPv4 sorts before IPv6.
class Ip {
public:
    constexpr Ip() noexcept = default;                          // 0.0.0.0
    constexpr Ip(Ip4 address) noexcept : family_(Family::v4) {  // NOLINT(google-explicit-constructor): an Ip4 is an Ip
        const auto bytes = address.bytes();
        for (std::size_t i = 0; i < 4; ++i) {
            bytes_[i] = bytes[i];
        }
    }
    constexpr Ip(Ip6 address) noexcept
        : family_(Family::v6), bytes_(address.bytes()) {}  // NOLINT(google-explicit-constructor)

    /// `bytes` has 4 or 16 bytes in network order; anything else gives nothing.
    [[nodiscard]] static std::optional<Ip> from_bytes(std::span<const std::uint8_t> bytes) noexcept;
    [[nodiscard]] static std::optional<Ip> parse(std::string_view text) noexcept;
    [[nodiscard]] std::string to_string() const;

    [[nodiscard]] constexpr Family family() const noexcept { return family_; }
    [[nodiscard]] constexpr bool is_v4() const noexcept { return family_ == Family::v4; }
    [[nodiscard]] constexpr bool is_v6() const noexcept { return family_ == Family::v6; }
    /// Precondition: the family is the one asked for.
    [[nodiscard]] constexpr Ip4 v4() const noexcept { return Ip4(bytes_[0], bytes_[1], bytes_[2], bytes_[3]); }
    [[nodiscard]] constexpr Ip6 v6() const noexcept { return Ip6(bytes_); }
    /// 4 or 16 bytes in network order.
    [[nodiscard]] constexpr std::span<const std::uint8_t> bytes() const noexcept {
        return std::span(bytes_).first(family_ == Family::v4 ? 4 : 16);
    }
    [[nodiscard]] constexpr bool bit(std::uint8_t index) const noexcept {
        return ((bytes_[index / 8U] >> (7U - index % 8U)) & 1U) != 0;
    }
    [[nodiscard]] bool is_unspecified() const noexcept;
    [[nodiscard]] bool is_loopback() const noexcept;
    [[nodiscard]] bool is_multicast() const noexcept;
    [[nodiscard]] bool is_link_local() const noexcept;
    /// The address `count` after this one; nothing on overflow.
    [[nodiscard]] std::optional<Ip> plus(std::uint64_t count) const noexcept;

    auto operator<=>(const Ip&) const = default;

private:
    Family family_ = Family::v4;
    std::array<std::uint8_t, 16> bytes_{};
};

[[nodiscard]] std::size_t hash_bytes(std::span<const std::uint8_t> bytes, std::size_t seed) noexcept;

}  // namespace manul::net

template <>
struct std::hash<manul::net::Ip4> {
    std::size_t operator()(manul::net::Ip4 ip) const noexcept { return std::hash<std::uint32_t>{}(ip.value()); }
};
template <>
struct std::hash<manul::net::Ip6> {
    std::size_t operator()(const manul::net::Ip6& ip) const noexcept { return manul::net::hash_bytes(ip.bytes(), 6); }
};
template <>
struct std::hash<manul::net::Ip> {
    std::size_t operator()(const manul::net::Ip& ip) const noexcept {
        return manul::net::hash_bytes(ip.bytes(), static_cast<std::size_t>(ip.family()));
    }
};
