#include <malloc.h>

#include <cstdio>
#include <string>
#include <utility>

#include "base/daemon.hpp"
#include "config/command_line.hpp"
#include "config/open_store.hpp"
#include "ipam/io/daemon.hpp"

namespace {

constexpr manul::config::DaemonProgram kProgram{
    .name = "manul-ipamd",
    .usage =
        "Usage: manul-ipamd [OPTIONS]\n"
        "Gives this node blocks of addresses out of the pools, and each pod an address out of the node's blocks; "
        "answers\n"
        "the CNI plugin. One manul-ipamd of the cluster does what is to be done once for all nodes.\n"
        "\n"
        "Options:\n"
        "  --config FILE  settings file (default: $MANUL_CONFIG, then /etc/manul/manul.yaml)\n"
        "  --help         print this help message and exit\n"
        "  --version      print the version and exit\n"
        "\n"
        "See manul-ipamd(8) and manul.yaml(5).\n"};

/// Of unused memory, per thread. Unasked, the C library gives the pages of each transaction back to the kernel, and the
/// next one has them mapped again, one fault after the other, while a pod waits.
constexpr int kKeptBytes = 512 << 10;

int complain(const std::string& text) {
    std::fprintf(stderr, "manul-ipamd: %s\n", text.c_str());
    return 1;
}

}  // namespace

int main(int argc, char** argv) {
    ::mallopt(M_TOP_PAD, kKeptBytes);
    const auto start = manul::config::start_daemon(kProgram, argc, argv);
    if (!start) {
        return start.error();
    }
    auto store = manul::config::open_store_patiently(start->settings);
    if (!store) {
        return complain(store.error().message);
    }
    manul::Daemon daemon("manul-ipamd");
    manul::ipam::Ipamd ipamd(daemon, start->settings, *std::move(store));
    if (const auto opened = ipamd.open(); !opened) {
        return complain(opened.error().message);
    }
    daemon.ready();
    return daemon.run();
}
