#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace manul {

namespace detail {
inline constexpr std::string_view kBase64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}  // namespace detail

/// Base64 with padding (RFC 4648 section 4).
[[nodiscard]] inline std::string base64_encode(std::string_view bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t count = bytes.size() - at < 3 ? bytes.size() - at : 3;
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            bits = bits << 8U | (i < count ? static_cast<std::uint8_t>(bytes[at + i]) : 0U);
        }
        for (std::size_t i = 0; i < 4; ++i) {
            text += i <= count ? detail::kBase64Letters[bits >> (18U - 6U * i) & 0x3fU] : '=';
        }
    }
    return text;
}

/// The bytes; nothing when the text is not base64 with its padding. Line ends are allowed.
[[nodiscard]] inline std::optional<std::string> base64_decode(std::string_view text) {
    std::string bytes;
    std::uint32_t bits = 0;
    std::size_t letters = 0;
    std::size_t padding = 0;
    for (const char c : text) {
        if (c == '\n' || c == '\r') {
            continue;
        }
        const std::size_t value = c == '=' ? 0 : detail::kBase64Letters.find(c);
        if (value == std::string_view::npos || (padding > 0 && c != '=')) {
            return std::nullopt;
        }
        padding += c == '=' ? 1 : 0;
        bits = bits << 6U | static_cast<std::uint32_t>(value);
        if (++letters % 4 == 0) {
            if (padding > 2) {
                return std::nullopt;
            }
            for (std::size_t i = 0; i < 3 - padding; ++i) {
                bytes += static_cast<char>(bits >> (16U - 8U * i) & 0xffU);
            }
        }
    }
    if (letters % 4 != 0) {
        return std::nullopt;
    }
    return bytes;
}

}  // namespace manul
