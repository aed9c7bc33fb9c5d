#include "config/calico/names.hpp"

#include <algorithm>
#include <cstddef>

#include <fmt/format.h>

#include "base/ascii.hpp"
#include "base/sha1.hpp"

namespace manul::calico {

namespace {

constexpr std::size_t kHashDigits = 8;

std::string qualified(std::string_view original, const std::string& name) {
    return name == original ? name : name + "-" + sha1_hex(original, kHashDigits);
}

bool is_separator(char c) noexcept { return c == '.' || c == '-'; }

}  // namespace

std::string normalised_name(std::string_view name) {
    std::string out;
    bool replacing = false;  // a run of characters that cannot stay becomes one '-'
    for (char c : name) {
        c = c == '/' ? '.' : ascii::to_lower(c);
        const bool stays = is_separator(c) || ascii::is_lower(c) || ascii::is_digit(c);
        if (stays || !replacing) {
            out += stays ? c : '-';
        }
        replacing = !stays;
    }
    std::string joined;  // a run of separators with a dot in it becomes one dot
    for (std::size_t at = 0; at < out.size();) {
        const auto end = static_cast<std::size_t>(
            std::find_if_not(out.begin() + static_cast<std::ptrdiff_t>(at), out.end(), is_separator) - out.begin());
        const std::string_view run = std::string_view(out).substr(at, end - at);
        joined += run.find('.') == std::string_view::npos ? run : ".";
        if (end < out.size()) {
            joined += out[end];
        }
        at = end + 1;
    }
    const std::size_t first = joined.find_first_not_of(".-");
    const std::size_t last = joined.find_last_not_of(".-");
    return first == std::string::npos ? std::string() : joined.substr(first, last - first + 1);
}

std::string converted_name(std::string_view name) { return qualified(name, normalised_name(name)); }

std::string converted_name_without_dots(std::string_view name) {
    std::string out = normalised_name(name);
    std::ranges::replace(out, '.', '-');
    return qualified(name, out);
}

std::string address_name(const net::Ip& address) {
    if (!address.is_v6()) {
        std::string name = address.to_string();
        std::ranges::replace(name, '.', '-');
        return name;
    }
    std::string name;
    const auto bytes = address.v6().bytes();
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        name += fmt::format("{}{:02x}{:02x}", name.empty() ? "" : "-", bytes[i], bytes[i + 1]);
    }
    return name;
}

}  // namespace manul::calico
