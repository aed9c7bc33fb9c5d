#include "config/model/duration.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/ascii.hpp"

namespace manul::model {

namespace {

struct Unit {
    std::string_view name;
    std::int64_t nanoseconds;
};
constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::array<Unit, 8> kUnits{{{"ns", 1},
                                      {"us", 1'000},
                                      {"\u00b5s", 1'000},  // micro sign
                                      {"\u03bcs", 1'000},  // Greek mu
                                      {"ms", 1'000'000},
                                      {"s", kSecond},
                                      {"m", 60 * kSecond},
                                      {"h", 3600 * kSecond}}};

/// Takes the unit at the beginning of `text`: everything up to the next digit or dot.
const Unit* take_unit(std::string_view& text) noexcept {
    std::size_t length = 0;
    while (length < text.size() && !ascii::is_digit(text[length]) && text[length] != '.') {
        ++length;
    }
    for (const Unit& unit : kUnits) {
        if (unit.name == text.substr(0, length)) {
            text.remove_prefix(length);
            return &unit;
        }
    }
    return nullptr;
}

/// A decimal number with an optional fraction, times its unit; nothing on overflow.
std::optional<std::int64_t> take_term(std::string_view& text) noexcept {
    constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
    std::int64_t whole = 0;
    std::int64_t fraction = 0;
    std::int64_t scale = 1;
    std::size_t digits = 0;
    for (; !text.empty() && ascii::is_digit(text.front()); text.remove_prefix(1), ++digits) {
        const std::int64_t digit = text.front() - '0';
        if (whole > (kMax - digit) / 10) {
            return std::nullopt;
        }
        whole = whole * 10 + digit;
    }
    if (!text.empty() && text.front() == '.') {
        text.remove_prefix(1);
        for (; !text.empty() && ascii::is_digit(text.front()); text.remove_prefix(1), ++digits) {
            if (scale < 1'000'000) {  // finer than a nanosecond of any unit but hours; the rest is cut off
                fraction = fraction * 10 + (text.front() - '0');
                scale *= 10;
            }
        }
    }
    const Unit* unit = take_unit(text);
    if (digits == 0 || unit == nullptr || whole > kMax / unit->nanoseconds) {
        return std::nullopt;
    }
    const std::int64_t base = whole * unit->nanoseconds;
    const std::int64_t extra = fraction * (unit->nanoseconds / scale) + fraction * (unit->nanoseconds % scale) / scale;
    return base > kMax - extra ? std::nullopt : std::optional(base + extra);
}

/// `value / unit` with up to nine decimals, no trailing zeros.
std::string with_fraction(std::int64_t value, std::int64_t unit) {
    std::string text = std::to_string(value / unit);
    std::int64_t rest = value % unit;
    if (rest != 0) {
        text += '.';
        while (rest != 0) {
            unit /= 10;
            text += static_cast<char>('0' + rest / unit);
            rest %= unit;
        }
    }
    return text;
}

}  // namespace

std::optional<Duration> Duration::parse(std::string_view text) noexcept {
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) {
        text.remove_prefix(1);
    }
    if (text == "0") {
        return Duration{};
    }
    if (text.empty()) {
        return std::nullopt;
    }
    std::int64_t total = 0;
    while (!text.empty()) {
        const auto term = take_term(text);
        if (!term || total > std::numeric_limits<std::int64_t>::max() - *term) {
            return std::nullopt;
        }
        total += *term;
    }
    return Duration{std::chrono::nanoseconds(negative ? -total : total)};
}

std::string Duration::to_string() const {
    std::int64_t count = value.count();
    if (count == 0) {
        return "0s";
    }
    if (count == std::numeric_limits<std::int64_t>::min()) {
        ++count;  // has no positive twin; one nanosecond in 292 years
    }
    std::string text = count < 0 ? "-" : "";
    count = count < 0 ? -count : count;
    if (count < kSecond) {
        const Unit unit = count < 1'000 ? kUnits[0] : count < 1'000'000 ? kUnits[2] : kUnits[4];
        return text + with_fraction(count, unit.nanoseconds) + std::string(unit.name);
    }
    const std::int64_t minutes = count / (60 * kSecond);
    if (minutes >= 60) {
        text += std::to_string(minutes / 60) + "h";
    }
    if (minutes > 0) {
        text += std::to_string(minutes % 60) + "m";
    }
    return text + with_fraction(count % (60 * kSecond), kSecond) + "s";
}

}  // namespace manul::model
