#pragma once

#include <algorithm>
#include <string>
#include <string_view>

/// Characters of the protocols, names and files that we read, which are ASCII whatever the locale says. Bytes beyond it
/// are in no class and change to nothing else.
namespace manul::ascii {

[[nodiscard]] constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
[[nodiscard]] constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
[[nodiscard]] constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
[[nodiscard]] constexpr bool is_alphanumeric(char c) noexcept { return is_lower(c) || is_upper(c) || is_digit(c); }

[[nodiscard]] constexpr char to_lower(char c) noexcept { return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c; }
[[nodiscard]] constexpr char to_upper(char c) noexcept { return is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c; }

[[nodiscard]] inline std::string lowered(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), &to_lower);
    return out;
}

[[nodiscard]] inline std::string uppered(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), &to_upper);
    return out;
}

/// Equal when the case of letters is ignored.
[[nodiscard]] inline bool same_letters(std::string_view a, std::string_view b) noexcept {
    return std::ranges::equal(a, b, {}, &to_lower, &to_lower);
}

/// One digit or more, and nothing else.
[[nodiscard]] inline bool is_number(std::string_view text) noexcept {
    return !text.empty() && std::ranges::all_of(text, &is_digit);
}

}  // namespace manul::ascii
