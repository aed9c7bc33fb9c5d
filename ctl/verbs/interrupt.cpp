#include "ctl/verbs/interrupt.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>

namespace manul::ctl {

namespace {

// A handler, since libraries of some datastores have threads of their own: a blocked signal would go to one of those.
int signalled = -1;
std::array<struct sigaction, 2> actions_before;
constexpr std::array<int, 2> kSignals{SIGINT, SIGTERM};

extern "C" void note_signal(int /*signal*/) {
    const int kept = errno;
    constexpr std::uint64_t kOne = 1;
    (void)!::write(signalled, &kOne, sizeof kOne);
    errno = kept;
}

}  // namespace

Interrupt::Interrupt() {
    signalled = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction action{};
    action.sa_handler = note_signal;
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
        ::sigaction(kSignals[i], &action, &actions_before[i]);
    }
}

Interrupt::~Interrupt() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
        ::sigaction(kSignals[i], &actions_before[i], nullptr);
    }
    ::close(signalled);
}

bool Interrupt::wait(int other, int milliseconds) const noexcept {
    std::array<pollfd, 2> fds{pollfd{signalled, POLLIN, 0}, pollfd{other, POLLIN, 0}};
    (void)::poll(fds.data(), fds.size(), milliseconds);
    return (fds[0].revents & POLLIN) != 0;
}

}  // namespace manul::ctl
