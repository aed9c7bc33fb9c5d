#include "bgpd/wire/text.hpp"

#include <algorithm>
#include <cstdint>

namespace manul::bgp::wire {
namespace {

std::uint8_t octet(std::string_view text, std::size_t at) { return static_cast<std::uint8_t>(text[at]); }

/// Of a well-formed character: U+0000 to U+001F, and U+007F to U+009F, which some terminals obey as well.
bool is_control(std::string_view character) {
    const std::uint8_t lead = octet(character, 0);
    return lead < 0x20 || lead == 0x7f || (lead == 0xc2 && octet(character, 1) < 0xa0);
}

}  // namespace

std::size_t utf8_length(std::string_view text) noexcept {
    if (text.empty()) {
        return 0;
    }
    const std::uint8_t lead = octet(text, 0);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4 || text.size() < length) {
        return 0;
    }
    const bool continued = std::ranges::all_of(text.substr(1, length - 1),
                                               [](char c) { return (static_cast<std::uint8_t>(c) & 0xc0U) == 0x80; });
    if (!continued) {
        return 0;
    }
    // Longer than needed, surrogates, beyond U+10FFFF.
    const std::uint8_t second = length > 2 ? octet(text, 1) : 0;
    const bool wrong = (lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f) ||
                       (lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f);
    return wrong ? 0 : length;
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (length == 0) {
            return false;
        }
        text.remove_prefix(length);
    }
    return true;
}

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t length = utf8_length(text);
        if (length == 0) {
            out += '?';
            text.remove_prefix(1);
            continue;
        }
        out += is_control(text.substr(0, length)) ? std::string_view(" ") : text.substr(0, length);
        text.remove_prefix(length);
    }
    return out;
}

}  // namespace manul::bgp::wire
