#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/core.h>

/// Structured logging with stable message identifiers. A message is declared once, beside the module that logs it
/// (`<module>/messages.hpp`), with what the operator should do about it; docs/reference/messages.md is generated from
/// these declarations. The sink (standard error, text or JSON) is chosen at start and hidden in log.cpp.
namespace manul::log {

enum class Level : std::uint8_t { debug, info, warning, error };
enum class Format : std::uint8_t { text, json };

/// One kind of log line. `text` is an fmt format string; `action` tells the operator what to do.
struct Message {
    std::string_view id;
    Level level;
    std::string_view text;
    std::string_view action;
};

struct Options {
    Level level = Level::info;
    Format format = Format::text;
    std::string program;  ///< printed with each line: manul-bgpd, ...
    std::string node;
};

void configure(Options options);
[[nodiscard]] bool enabled(Level level) noexcept;
/// Writes one line; safe from any thread.
void write(const Message& message, std::string_view formatted);

template <class... Args>
void emit(const Message& message, const Args&... args) {
    if (enabled(message.level)) {
        write(message, fmt::vformat(message.text, fmt::make_format_args(args...)));
    }
}

[[nodiscard]] bool parse_level(std::string_view text, Level& out) noexcept;

}  // namespace manul::log
