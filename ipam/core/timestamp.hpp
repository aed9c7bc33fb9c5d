#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace manul::ipam {

/// Wall-clock time as records carry it. Always an argument here: the core never asks for the time.
using WallTime = std::chrono::sys_seconds;

/// RFC 3339 in UTC with whole seconds, "2026-01-31T12:00:00Z".
[[nodiscard]] std::string print_timestamp(WallTime time);
/// The same form; a fraction of a second and a numeric offset are understood too (other writers use them).
[[nodiscard]] std::optional<WallTime> parse_timestamp(std::string_view text) noexcept;

}  // namespace manul::ipam
