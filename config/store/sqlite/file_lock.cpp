#include "config/store/sqlite/file_lock.hpp"

#include <fcntl.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): POSIX's half of it
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>  // NOLINT(modernize-deprecated-headers): POSIX timers
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <expected>
#include <mutex>
#include <system_error>

#include <fmt/format.h>

#include "config/store/document.hpp"
#include "config/store/store.hpp"

namespace manul::store::sqlite {

namespace {

using Clock = std::chrono::steady_clock;

int interrupt_signal() { return SIGRTMIN + 7; }

void ignore_signal(int /*signal*/) {}

/// Interrupts this thread's blocking system call after a while, and again every 20 ms: a signal that arrives just
/// before the call begins would be lost otherwise. (flock knows no time-out.)
class Interrupter {
public:
    explicit Interrupter(std::chrono::milliseconds after) {
        static std::once_flag once;
        std::call_once(once, [] {
            struct sigaction action{};
            action.sa_handler = ignore_signal;  // no SA_RESTART: the call returns EINTR
            ::sigaction(interrupt_signal(), &action, nullptr);
        });
        sigset_t signals{};
        sigemptyset(&signals);
        sigaddset(&signals, interrupt_signal());
        ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);

        sigevent event{};
        event.sigev_notify = SIGEV_THREAD_ID;
        event.sigev_signo = interrupt_signal();
        event._sigev_un._tid = ::gettid();
        armed_ = ::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
        if (armed_) {
            itimerspec times{};
            times.it_value.tv_sec = after.count() / 1000;
            times.it_value.tv_nsec = after.count() % 1000 * 1'000'000 + 1;
            times.it_interval.tv_nsec = 20'000'000;
            ::timer_settime(timer_, 0, &times, nullptr);
        }
    }
    ~Interrupter() {
        if (armed_) {
            ::timer_delete(timer_);
        }
    }
    Interrupter(const Interrupter&) = delete;
    Interrupter& operator=(const Interrupter&) = delete;

    [[nodiscard]] bool armed() const noexcept { return armed_; }

private:
    timer_t timer_{};
    bool armed_ = false;
};

}  // namespace

FileLock::~FileLock() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

StoreResult<void> FileLock::acquire(std::chrono::milliseconds timeout) {
    const auto failed = [&](const char* attempt) {
        return std::unexpected(error(
            StoreError::Code::unavailable,
            fmt::format("{}: {}: {}", path_, attempt, std::error_code(errno, std::generic_category()).message())));
    };
    if (fd_ < 0) {
        fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
        if (fd_ < 0) {
            return failed("cannot be opened for the writers' lock");
        }
    }
    if (::flock(fd_, LOCK_EX | LOCK_NB) == 0) {
        return {};
    }
    if (errno != EWOULDBLOCK && errno != EINTR) {
        return failed("lock");
    }
    const Interrupter interrupter(timeout);
    if (!interrupter.armed()) {
        return failed("timer for the lock");
    }
    const auto deadline = Clock::now() + timeout;
    while (::flock(fd_, LOCK_EX) != 0) {
        if (errno != EINTR) {
            return failed("lock");
        }
        if (Clock::now() >= deadline) {
            return std::unexpected(
                error(StoreError::Code::unavailable,
                      fmt::format("{}: another program has held the writers' lock for {} ms", path_, timeout.count())));
        }
    }
    return {};
}

void FileLock::release() noexcept { ::flock(fd_, LOCK_UN); }

}  // namespace manul::store::sqlite
