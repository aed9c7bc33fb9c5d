#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace manul {

/// SHA-1 (RFC 3174), for stable short names only: Calico names host interfaces by it. Not for anything that needs to
/// withstand an attacker.
[[nodiscard]] constexpr std::array<std::uint8_t, 20> sha1(std::string_view text) noexcept {
    std::array<std::uint32_t, 5> state{0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U, 0xc3d2e1f0U};
    const std::uint64_t bits = std::uint64_t{text.size()} * 8;
    // The message, one bit, zeros, and the length in the last eight bytes of a block of 64.
    const std::size_t padded = (text.size() + 8) / 64 * 64 + 64;
    const auto byte_at = [&](std::size_t i) -> std::uint32_t {
        if (i < text.size()) {
            return static_cast<std::uint8_t>(text[i]);
        }
        if (i == text.size()) {
            return 0x80;
        }
        return i < padded - 8 ? 0 : static_cast<std::uint8_t>(bits >> (8 * ((padded - 1 - i) % 8)));
    };
    for (std::size_t block = 0; block < padded; block += 64) {
        std::array<std::uint32_t, 80> w{};
        for (std::size_t i = 0; i < 16; ++i) {
            const std::size_t at = block + i * 4;
            w[i] = byte_at(at) << 24U | byte_at(at + 1) << 16U | byte_at(at + 2) << 8U | byte_at(at + 3);
        }
        for (std::size_t i = 16; i < 80; ++i) {
            w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        }
        auto [a, b, c, d, e] = state;
        for (std::size_t i = 0; i < 80; ++i) {
            std::uint32_t f = 0;
            std::uint32_t k = 0;
            if (i < 20) {
                f = (b & c) | (~b & d);
                k = 0x5a827999U;
            } else if (i < 40) {
                f = b ^ c ^ d;
                k = 0x6ed9eba1U;
            } else if (i < 60) {
                f = (b & c) | (b & d) | (c & d);
                k = 0x8f1bbcdcU;
            } else {
                f = b ^ c ^ d;
                k = 0xca62c1d6U;
            }
            const std::uint32_t next = std::rotl(a, 5) + f + e + k + w[i];
            e = d;
            d = c;
            c = std::rotl(b, 30);
            b = a;
            a = next;
        }
        state = {state[0] + a, state[1] + b, state[2] + c, state[3] + d, state[4] + e};
    }
    std::array<std::uint8_t, 20> out{};
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<std::uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
    }
    return out;
}

/// The first `digits` (at most 40) hexadecimal digits of the SHA-1 of `text`, lower case.
[[nodiscard]] constexpr std::string sha1_hex(std::string_view text, std::size_t digits = 40) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const auto hash = sha1(text);
    std::string out;
    for (std::size_t i = 0; i < digits && i < 2 * hash.size(); ++i) {
        out.push_back(kDigits[(hash[i / 2] >> (i % 2 == 0 ? 4U : 0U)) & 0xfU]);
    }
    return out;
}

}  // namespace manul
