#include "config/command_line.hpp"
#include "felix/io/felix.hpp"

namespace {

constexpr manul::config::DaemonProgram kProgram{
    .name = "manul-felix",
    .usage =
        "usage: manul-felix [--config FILE] [--help] [--version]\n"
        "Enforces network policy on this node: reads the datastore, writes nftables rules and host routes.\n"
        "  --config FILE  settings (default: $MANUL_CONFIG, then /etc/manul/manul.yaml)\n"};

}  // namespace

int main(int argc, char** argv) {
    const auto start = manul::config::start_daemon(kProgram, argc, argv);
    return start ? manul::felix::io::run(start->settings) : start.error();
}
