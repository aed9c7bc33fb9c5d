#include "ipam/core/timestamp.hpp"

#include <charconv>
#include <cstddef>
#include <system_error>

#include <fmt/core.h>

namespace manul::ipam {

namespace {

/// Exactly `digits` decimal digits at `at`.
std::optional<int> number(std::string_view text, std::size_t at, std::size_t digits) noexcept {
    if (at + digits > text.size()) {
        return std::nullopt;
    }
    const std::string_view part = text.substr(at, digits);
    int value = 0;
    const auto [end, ec] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (ec != std::errc{} || end != part.data() + part.size() || value < 0) {
        return std::nullopt;
    }
    return value;
}

/// "Z", "+hh:mm" or "-hh:mm" as the seconds that the offset adds.
std::optional<std::chrono::seconds> offset(std::string_view text) noexcept {
    if (text == "Z" || text == "z") {
        return std::chrono::seconds{0};
    }
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
        return std::nullopt;
    }
    const auto hours = number(text, 1, 2);
    const auto minutes = number(text, 4, 2);
    if (!hours || !minutes) {
        return std::nullopt;
    }
    const std::chrono::seconds value = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
    return text[0] == '-' ? -value : value;
}

}  // namespace

std::string print_timestamp(WallTime time) {
    const auto day = std::chrono::floor<std::chrono::days>(time);
    const std::chrono::year_month_day date(day);
    const std::chrono::hh_mm_ss clock(time - day);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                       clock.minutes().count(), clock.seconds().count());
}

std::optional<WallTime> parse_timestamp(std::string_view text) noexcept {
    const auto year = number(text, 0, 4);
    const auto month = number(text, 5, 2);
    const auto day = number(text, 8, 2);
    const auto hour = number(text, 11, 2);
    const auto minute = number(text, 14, 2);
    const auto second = number(text, 17, 2);
    if (!year || !month || !day || !hour || !minute || !second || text[4] != '-' || text[7] != '-' ||
        (text[10] != 'T' && text[10] != 't' && text[10] != ' ') || text[13] != ':' || text[16] != ':') {
        return std::nullopt;
    }
    std::size_t rest = 19;
    if (rest < text.size() && text[rest] == '.') {
        ++rest;
        while (rest < text.size() && text[rest] >= '0' && text[rest] <= '9') {
            ++rest;
        }
    }
    const auto shift = offset(text.substr(rest));
    const std::chrono::year_month_day date(std::chrono::year(*year), std::chrono::month(static_cast<unsigned>(*month)),
                                           std::chrono::day(static_cast<unsigned>(*day)));
    if (!shift || !date.ok() || *hour > 23 || *minute > 59 || *second > 60) {
        return std::nullopt;
    }
    return std::chrono::sys_days(date) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
           std::chrono::seconds(*second) - *shift;
}

}  // namespace manul::ipam
