#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

#include "base/daemon.hpp"
#include "base/log.hpp"
#include "config/open_store.hpp"
#include "config/settings.hpp"
#include "ipam/daemon.hpp"

namespace {

constexpr int kUsage = 2;

int complain(const std::string& text, int code) {
    std::fprintf(stderr, "manul-ipamd: %s\n", text.c_str());
    return code;
}

}  // namespace

int main(int argc, char** argv) {
    std::optional<std::string> settings_file;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--version") {
            std::puts(MANUL_VERSION);
            return 0;
        }
        if (argument == "--config" && i + 1 < argc) {
            settings_file = argv[++i];
        } else {
            return complain("usage: manul-ipamd [--config FILE] [--version]", kUsage);
        }
    }
    const auto settings = manul::config::load_settings(settings_file);
    if (!settings) {
        return complain(settings.error().message, kUsage);
    }
    manul::log::configure({settings->log_level, settings->log_format, "manul-ipamd", settings->node_name});
    auto store = manul::config::open_store_patiently(*settings);
    if (!store) {
        return complain(store.error().message, 1);
    }
    manul::Daemon daemon("manul-ipamd");
    manul::ipam::Ipamd ipamd(daemon, *settings, *std::move(store));
    if (const auto opened = ipamd.open(); !opened) {
        return complain(opened.error().message, 1);
    }
    daemon.ready();
    return daemon.run();
}
