#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/ip.hpp"

namespace manul::net {

/// Autonomous system number, never 0 (RFC 7607).
class Asn {
public:
    [[nodiscard]] static constexpr std::optional<Asn> make(std::uint32_t number) noexcept {
        if (number == 0) {
            return std::nullopt;
        }
        return Asn(number);
    }
    /// Plain decimal or RFC 5396 asdot ("64512", "1.10").
    [[nodiscard]] static std::optional<Asn> parse(std::string_view text) noexcept;

    [[nodiscard]] constexpr std::uint32_t number() const noexcept { return number_; }
    [[nodiscard]] std::string to_string() const { return std::to_string(number_); }

    auto operator<=>(const Asn&) const = default;

private:
    constexpr explicit Asn(std::uint32_t number) noexcept : number_(number) {}

    std::uint32_t number_;
};

/// BGP identifier, never 0 (RFC 6286); written as an IPv4 address.
class RouterId {
public:
    [[nodiscard]] static constexpr std::optional<RouterId> make(std::uint32_t value) noexcept {
        if (value == 0) {
            return std::nullopt;
        }
        return RouterId(value);
    }

    [[nodiscard]] constexpr std::uint32_t value() const noexcept { return value_; }
    [[nodiscard]] std::string to_string() const { return Ip4(value_).to_string(); }

    auto operator<=>(const RouterId&) const = default;

private:
    constexpr explicit RouterId(std::uint32_t value) noexcept : value_(value) {}

    std::uint32_t value_;
};

}  // namespace manul::net
