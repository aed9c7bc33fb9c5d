#include <cstdio>
#include <optional>
#include <string>

#include "base/log.hpp"
#include "bgpd/io/bgpd.hpp"
#include "bgpd/io/messages.hpp"
#include "config/settings.hpp"

namespace {

constexpr const char* kUsage =
    "usage: manul-bgpd [--config FILE] [--no-kernel]\n"
    "Speaks BGP for this node: peers and routes come from the datastore, learned routes go into the kernel.\n"
    "  --no-kernel  a pure route reflector: no kernel routes\n";

}  // namespace

int main(int argc, char** argv) {
    using namespace manul;
    std::optional<std::string> config_file;
    bool kernel = true;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--version") {
            std::printf("manul-bgpd %s\n", MANUL_VERSION);
            return 0;
        }
        if (argument == "--help") {
            std::fputs(kUsage, stdout);
            return 0;
        }
        if (argument == "--no-kernel") {
            kernel = false;
        } else if (argument == "--config" && i + 1 < argc) {
            config_file = argv[++i];
        } else {
            std::fputs(kUsage, stderr);
            return 2;
        }
    }
    auto settings = config::load_settings(config_file);
    if (!settings) {
        log::configure({.program = "manul-bgpd", .node = {}});
        log::emit(bgp::io::kBadSettings, settings.error().message);
        return 2;
    }
    settings->bgpd_kernel = settings->bgpd_kernel && kernel;
    log::configure({settings->log_level, settings->log_format, "manul-bgpd", settings->node_name});
    return bgp::io::run(*settings);
}
