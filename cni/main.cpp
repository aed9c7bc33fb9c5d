#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <string>

#include "cni/net_conf.hpp"
#include "cni/plugin.hpp"
#include "cni/result.hpp"

namespace {

/// Standard input to its end. It is the runtime's, so its size is not limited here. Nobody types a configuration: at a
/// terminal, where people look what this program is, there is none. Input that is not needed may never come: the
/// caller's own standard input, inherited and never closed.
bool read_input(std::string& out, bool needed) {
    // Whoever has something to say writes it at once: half a second is plenty, and nobody who tries VERSION by hand is
    // kept waiting.
    constexpr int kPatienceMs = 500;
    if (::isatty(STDIN_FILENO) == 1) {
        return true;
    }
    std::array<char, 65536> chunk;
    for (;;) {
        pollfd more{STDIN_FILENO, POLLIN, 0};
        if (!needed && ::poll(&more, 1, kPatienceMs) == 0) {
            return true;
        }
        const ssize_t count = ::read(STDIN_FILENO, chunk.data(), chunk.size());
        if (count > 0) {
            out.append(chunk.data(), static_cast<std::size_t>(count));
        } else if (count == 0 || errno != EINTR) {
            return count == 0;
        }
    }
}

}  // namespace

int main() {
    ::umask(077);
    (void)::signal(SIGPIPE, SIG_IGN);
    std::string input;
    manul::cni::Outcome outcome;
    const manul::cni::Environment environment = manul::cni::Environment::of_process();
    const bool needed = manul::cni::needs_input(environment);
    if (read_input(input, needed) || !needed) {
        outcome = manul::cni::run(environment, input);
    } else {
        outcome = {
            1, manul::cni::print_error({5, "cannot read the network configuration from standard input", {}}, {}), {}};
    }
    if (!outcome.note.empty()) {
        (void)std::fprintf(stderr, "manul: %s\n", outcome.note.c_str());
    }
    if (!outcome.output.empty() && (std::puts(outcome.output.c_str()) < 0 || std::fflush(stdout) != 0)) {
        return 1;  // a result that nobody got is none
    }
    return outcome.exit_status;
}
