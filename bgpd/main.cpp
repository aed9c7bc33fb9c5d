#include <array>
#include <string_view>

#include "bgpd/io/bgpd.hpp"
#include "config/command_line.hpp"

namespace {

constexpr std::array<std::string_view, 1> kSwitches{"--no-kernel"};

constexpr manul::config::DaemonProgram kProgram{
    .name = "manul-bgpd",
    .usage =
        "Usage: manul-bgpd [OPTIONS]\n"
        "Speaks BGP for this node: peers and routes come from the datastore, learned routes go into the kernel.\n"
        "\n"
        "Options:\n"
        "  --config FILE  settings file (default: $MANUL_CONFIG, then /etc/manul/manul.yaml)\n"
        "  --no-kernel    write no kernel routes: a pure route reflector\n"
        "  --help         print this help message and exit\n"
        "  --version      print the version and exit\n"
        "\n"
        "See manul-bgpd(8) and manul.yaml(5).\n",
    .switches = kSwitches};

}  // namespace

int main(int argc, char** argv) {
    auto start = manul::config::start_daemon(kProgram, argc, argv);
    if (!start) {
        return start.error();
    }
    start->settings.bgpd_kernel = start->settings.bgpd_kernel && start->switches.empty();
    return manul::bgp::io::run(start->settings);
}
