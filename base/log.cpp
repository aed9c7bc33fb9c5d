#include "base/log.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <ctime>
#include <utility>

#include <fmt/format.h>

namespace manul::log {

namespace {

// Replaced once at start, before threads exist; read without a lock afterwards.
Options& options() {
    static Options current;
    return current;
}

std::string_view level_name(Level level) {
    constexpr std::array<std::string_view, 4> kNames{"debug", "info", "warning", "error"};
    return kNames[static_cast<std::size_t>(level)];
}

std::string timestamp() {
    const auto now = std::chrono::system_clock::now();
    const std::time_t seconds = std::chrono::system_clock::to_time_t(now);
    const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count() % 1000000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                       utc.tm_hour, utc.tm_min, utc.tm_sec, micros);
}

// What a peer, a user or the kernel sent may hold line breaks and terminal controls: one event stays one line.
void append_escaped(std::string& out, std::string_view text, bool json) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            out += fmt::format("\\u{:04x}", byte);
        } else {
            if (json && (c == '"' || c == '\\')) {
                out += '\\';
            }
            out += c;
        }
    }
}

}  // namespace

void configure(Options wanted) { options() = std::move(wanted); }

bool enabled(Level level) noexcept { return level >= options().level; }

bool parse_level(std::string_view text, Level& out) noexcept {
    for (const Level level : {Level::debug, Level::info, Level::warning, Level::error}) {
        if (level_name(level) == text) {
            out = level;
            return true;
        }
    }
    return false;
}

void write(const Message& message, std::string_view formatted) {
    const Options& now = options();
    std::string line;
    if (now.format == Format::json) {
        line = fmt::format(R"({{"time":"{}","level":"{}","program":"{}","node":"{}","id":"{}","message":")",
                           timestamp(), level_name(message.level), now.program, now.node, message.id);
        append_escaped(line, formatted, true);
        line += "\"}\n";
    } else {
        line = fmt::format("{} {:<7} {} ", timestamp(), level_name(message.level), message.id);
        append_escaped(line, formatted, false);
        line += '\n';
    }
    // One write() a line keeps lines of several threads apart; a full or closed standard error must not stop a daemon.
    [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace manul::log
