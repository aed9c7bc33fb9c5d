#include "net/mac.hpp"

#include <charconv>
#include <cstddef>

namespace manul::net {

std::optional<Mac> Mac::parse(std::string_view text) noexcept {
    if (text.size() != 17 || (text[2] != ':' && text[2] != '-')) {
        return std::nullopt;
    }
    std::array<std::uint8_t, 6> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        const char* pair = text.data() + i * 3;
        const auto [end, ec] = std::from_chars(pair, pair + 2, bytes[i], 16);
        if (ec != std::errc{} || end != pair + 2 || (i < 5 && pair[2] != text[2])) {
            return std::nullopt;
        }
    }
    return Mac(bytes);
}

std::string Mac::to_string() const {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text;
    for (const std::uint8_t byte : bytes_) {
        if (!text.empty()) {
            text += ':';
        }
        text += kDigits[byte >> 4U];
        text += kDigits[byte & 0xfU];
    }
    return text;
}

}  // namespace manul::net
