#pragma once

#include <array>
#include <compare>
#include <cstdint>

#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "net/tagged_index.hpp"

namespace manul::net {

/// An IPv4 prefix as tables hold it: the address in host order, host bits clear. Sorts by address, then length.
struct PrefixKey4 {
    static constexpr Family kFamily = Family::v4;
    static constexpr std::uint8_t kBits = 32;
    using Address = std::uint32_t;

    Address address = 0;
    std::uint8_t length = 0;

    auto operator<=>(const PrefixKey4&) const = default;

    [[nodiscard]] static PrefixKey4 from(const Prefix& prefix) noexcept {
        return {prefix.address().v4().value(), prefix.length()};
    }
    [[nodiscard]] static PrefixKey4 host(const Ip& ip) noexcept { return {ip.v4().value(), kBits}; }
    [[nodiscard]] Prefix to_prefix() const noexcept { return *Prefix::masked(Ip4(address), length); }

    /// This address cut to `shorter` bits.
    [[nodiscard]] constexpr PrefixKey4 cut(std::uint8_t shorter) const noexcept {
        return {shorter == 0 ? 0 : address & (0xffff'ffffU << (32U - shorter)), shorter};
    }
    [[nodiscard]] constexpr std::uint64_t hash() const noexcept {
        return mix((std::uint64_t{length} << 32U | address) ^ 0x9e37'79b9'7f4a'7c15U, 0xd6e8'feb8'6659'fd93U);
    }
};

/// An IPv6 prefix as tables hold it: four words, the most significant first, each in host order.
struct PrefixKey6 {
    static constexpr Family kFamily = Family::v6;
    static constexpr std::uint8_t kBits = 128;
    using Address = std::array<std::uint32_t, 4>;

    Address address{};
    std::uint8_t length = 0;

    auto operator<=>(const PrefixKey6&) const = default;

    [[nodiscard]] static PrefixKey6 from(const Prefix& prefix) noexcept {
        PrefixKey6 key = host(prefix.address());
        key.length = prefix.length();
        return key;
    }
    [[nodiscard]] static PrefixKey6 host(const Ip& ip) noexcept {
        PrefixKey6 key;
        const auto bytes = ip.bytes();
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            key.address[i / 4] = key.address[i / 4] << 8U | bytes[i];
        }
        key.length = kBits;
        return key;
    }
    [[nodiscard]] Prefix to_prefix() const noexcept {
        std::array<std::uint8_t, 16> bytes{};
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            bytes[i] = static_cast<std::uint8_t>(address[i / 4] >> (24U - 8U * (i % 4)));
        }
        return *Prefix::masked(Ip6(bytes), length);
    }

    [[nodiscard]] constexpr PrefixKey6 cut(std::uint8_t shorter) const noexcept {
        PrefixKey6 key{address, shorter};
        for (std::uint32_t i = 0; i < 4; ++i) {
            const std::uint32_t kept = shorter > 32 * i ? shorter - 32 * i : 0;
            if (kept < 32) {
                key.address[i] &= kept == 0 ? 0 : 0xffff'ffffU << (32U - kept);
            }
        }
        return key;
    }
    [[nodiscard]] constexpr std::uint64_t hash() const noexcept {
        const std::uint64_t high = std::uint64_t{address[0]} << 32U | address[1];
        const std::uint64_t low = std::uint64_t{address[2]} << 32U | address[3];
        return mix(mix(high ^ 0x9e37'79b9'7f4a'7c15U, low ^ 0xa076'1d64'78bd'642fU) ^ length, 0xd6e8'feb8'6659'fd93U);
    }
};

}  // namespace manul::net
