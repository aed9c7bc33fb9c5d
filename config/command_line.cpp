#include "config/command_line.hpp"

#include <algorithm>
#include <cstdio>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/log.hpp"
#include "config/messages.hpp"
#include "config/settings.hpp"

namespace manul::config {

namespace {

constexpr int kBadUsage = 2;

void print(std::FILE* stream, std::string_view text) { std::fwrite(text.data(), 1, text.size(), stream); }

}  // namespace

std::expected<DaemonStart, int> start_daemon(const DaemonProgram& program, int argc, const char* const* argv) {
    DaemonStart start;
    std::optional<std::string> file;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--help" || argument == "-h") {
            print(stdout, program.usage);
            return std::unexpected(0);
        }
        if (argument == "--version") {
            std::printf("%s " MANUL_VERSION "\n", std::string(program.name).c_str());
            return std::unexpected(0);
        }
        constexpr std::string_view kConfig = "--config=";
        if (argument.starts_with(kConfig)) {
            file = argument.substr(kConfig.size());
        } else if ((argument == "--config" || argument == "-c") && i + 1 < argc) {
            file = argv[++i];
        } else if (std::ranges::find(program.switches, argument) != program.switches.end()) {
            start.switches.push_back(argument);
        } else {
            const bool incomplete = argument == "--config" || argument == "-c";
            print(stderr, std::string(program.name) + ": " +
                              (incomplete ? "a file must follow " : "unknown argument ") + std::string(argument) +
                              "\n");
            print(stderr, program.usage);
            return std::unexpected(kBadUsage);
        }
    }
    auto settings = load_settings(file);
    if (!settings) {
        log::configure({.program = std::string(program.name), .node = {}});
        log::emit(kBadSettings, settings.error().message);
        return std::unexpected(kBadUsage);
    }
    start.settings = *std::move(settings);
    log::configure(
        {start.settings.log_level, start.settings.log_format, std::string(program.name), start.settings.node_name});
    return start;
}

}  // namespace manul::config
