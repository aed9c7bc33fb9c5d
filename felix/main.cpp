#include <cstdio>
#include <cstring>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "config/settings.hpp"
#include "felix/io/felix.hpp"
#include "felix/io/messages.hpp"

namespace {

constexpr const char* kUsage =
    "usage: manul-felix [--config FILE]\n"
    "Enforces network policy on this node: reads the datastore, writes nftables rules and host routes.\n";

}  // namespace

int main(int argc, char** argv) {
    using namespace manul;
    std::optional<std::string> config_file;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--version") {
            std::printf("manul-felix %s\n", MANUL_VERSION);
            return 0;
        }
        if (argument == "--help") {
            std::fputs(kUsage, stdout);
            return 0;
        }
        if (argument == "--config" && i + 1 < argc) {
            config_file = argv[++i];
        } else {
            std::fputs(kUsage, stderr);
            return 2;
        }
    }
    const auto settings = config::load_settings(config_file);
    if (!settings) {
        log::configure({.program = "manul-felix", .node = {}});
        log::emit(felix::io::kBadSettings, settings.error().message);
        return 2;
    }
    log::configure({settings->log_level, settings->log_format, "manul-felix", settings->node_name});
    return felix::io::run(*settings);
}
