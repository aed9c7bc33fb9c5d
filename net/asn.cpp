#include "net/asn.hpp"

#include <charconv>

namespace manul::net {

std::optional<Asn> Asn::parse(std::string_view text) noexcept {
    const auto whole = [](std::string_view digits, auto limit) -> std::optional<std::uint32_t> {
        decltype(limit) value = 0;
        const auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (ec != std::errc{} || end != digits.data() + digits.size()) {
            return std::nullopt;
        }
        return std::uint32_t{value};
    };
    const std::size_t dot = text.find('.');
    if (dot == std::string_view::npos) {
        const auto number = whole(text, std::uint32_t{});
        return number ? make(*number) : std::nullopt;
    }
    const auto high = whole(text.substr(0, dot), std::uint16_t{});
    const auto low = whole(text.substr(dot + 1), std::uint16_t{});
    if (!high || !low) {
        return std::nullopt;
    }
    return make(*high << 16U | *low);
}

}  // namespace manul::net
