#pragma once

#include <expected>
#include <span>
#include <string_view>
#include <vector>

#include "config/settings.hpp"

/// The command line that the three daemons share: --config FILE, --help, --version, and the switches of one of them.
namespace manul::config {

struct DaemonProgram {
    std::string_view name;
    std::string_view usage;  ///< what --help prints
    std::span<const std::string_view> switches = {};
};

struct DaemonStart {
    Settings settings;
    std::vector<std::string_view> switches;  ///< those of DaemonProgram::switches that were given
};

/// The settings to run with, the log configured by them; or the code to exit with at once: 0 after --help and
/// --version, 2 after a bad command line or bad settings, which it has reported.
[[nodiscard]] std::expected<DaemonStart, int> start_daemon(const DaemonProgram& program, int argc,
                                                           const char* const* argv);

}  // namespace manul::config
