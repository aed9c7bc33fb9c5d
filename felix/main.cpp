#include "config/command_line.hpp"
#include "felix/io/felix.hpp"

namespace {

constexpr manul::config::DaemonProgram kProgram{
    .name = "manul-felix",
    .usage =
        "Usage: manul-felix [OPTIONS]\n"
        "Enforces network policy on this node: reads the datastore, writes nftables rules and host routes.\n"
        "\n"
        "Options:\n"
        "  --config FILE  settings file (default: $MANUL_CONFIG, then /etc/manul/manul.yaml)\n"
        "  --help         print this help message and exit\n"
        "  --version      print the version and exit\n"
        "\n"
        "See manul-felix(8) and manul.yaml(5).\n"};

}  // namespace

int main(int argc, char** argv) {
    const auto start = manul::config::start_daemon(kProgram, argc, argv);
    return start ? manul::felix::io::run(start->settings) : start.error();
}
