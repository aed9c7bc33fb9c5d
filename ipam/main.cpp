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
        "Claims blocks of the address pools for this node, assigns each pod an address from them, and answers the\n"
        "CNI plugin. One manul-ipamd in the cluster also does the chores that are due once for all nodes.\n"
        "\n"
        "Options:\n"
        "  --config FILE  settings file (default: $MANUL_CONFIG, then /etc/manul/manul.yaml)\n"
        "  --help         print this help message and exit\n"
        "  --version      print the version and exit\n"
        "\n"
        "See manul-ipamd(8) and manul.yaml(5).\n"};

/// Unused memory that each thread keeps. By default the C library returns the pages of each transaction to the kernel,
/// and the next one has them mapped again, one page fault after the other, while a pod waits.
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
