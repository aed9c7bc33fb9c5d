#include <array>
#include <string_view>

#include "bgpd/io/bgpd.hpp"
#include "config/command_line.hpp"

namespace {

constexpr std::array<std::string_view, 1> kSwitches{"--no-kernel"};

constexpr manul::config::DaemonProgram kProgram{
    .name = "manul-bgpd",
    .usage =
        "usage: manul-bgpd [--config FILE] [--no-kernel] [--help] [--version]\n"
        "Speaks BGP for this node: peers and routes come from the datastore, learned routes go into the kernel.\n"
        "  --config FILE  settings (default: $MANUL_CONFIG, then /etc/manul/manul.yaml)\n"
        "  --no-kernel    a pure route reflector: no kernel routes\n",
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
