#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace manul::test {

/// Bytes from hexadecimal digits; everything that is not one (spaces, line ends) is skipped.
inline Bytes hex(std::string_view text) {
    Bytes bytes;
    unsigned digits = 0;
    std::uint32_t value = 0;
    for (const char c : text) {
        const auto at = std::string_view("0123456789abcdef").find(c);
        if (at == std::string_view::npos) {
            continue;
        }
        value = value << 4U | static_cast<std::uint32_t>(at);
        if (++digits % 2 == 0) {
            bytes.push_back(static_cast<std::uint8_t>(value));
            value = 0;
        }
    }
    return bytes;
}

inline std::string to_hex(ByteView bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += "0123456789abcdef"[byte >> 4U];
        text += "0123456789abcdef"[byte & 15U];
    }
    return text;
}

}  // namespace manul::test
