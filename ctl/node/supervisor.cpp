#include "ctl/node/supervisor.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>

#include "base/log.hpp"

namespace manul::ctl {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr log::Message kStarted{"NODE_RUN_STARTED", log::Level::info, "{} runs as process {}", "No action needed."};
constexpr log::Message kEnded{"NODE_RUN_ENDED", log::Level::warning, "{} ended with {}; it is started again in {} ms",
                              "Look at the daemon's last log lines; its kernel state stays in force meanwhile."};
constexpr log::Message kKilled{"NODE_RUN_KILLED", log::Level::warning, "{} did not stop within 10 s and was killed",
                               "Look at the daemon's last log lines; nothing in the kernel was lost."};
constexpr log::Message kCannotStart{"NODE_RUN_CANNOT_START", log::Level::error, "cannot start {}: {}",
                                    "Check that the program is installed and executable."};

constexpr milliseconds kStopPatience{10000};

struct Child {
    const SupervisedProgram* program;
    pid_t pid = -1;
    Clock::time_point started;
    Clock::time_point restart_at;
    RestartDelay delay;
};

void start(Child& child) {
    std::vector<char*> arguments;
    for (const std::string& argument : child.program->arguments) {
        arguments.push_back(const_cast<char*>(argument.c_str()));  // NOLINT: execv's signature; nothing is written
    }
    arguments.push_back(nullptr);
    child.started = Clock::now();
    child.pid = ::fork();
    if (child.pid == 0) {
        // Only async-signal-safe calls between fork and exec.
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a killed supervisor takes its daemons along: nobody would restart them
        if (child.program->niceness != 0) {
            (void)::setpriority(PRIO_PROCESS, 0, ::getpriority(PRIO_PROCESS, 0) + child.program->niceness);
        }
        ::execv(arguments.front(), arguments.data());
        ::_exit(127);
    }
    if (child.pid < 0) {
        log::emit(kCannotStart, child.program->name, std::strerror(errno));  // NOLINT(concurrency-mt-unsafe)
        child.restart_at = Clock::now() + child.delay.after_run_of(milliseconds(0));
    } else {
        log::emit(kStarted, child.program->name, child.pid);
    }
}

std::string describe(int status) {
    if (WIFSIGNALED(status)) {
        return "signal " + std::to_string(WTERMSIG(status));
    }
    return "exit code " + std::to_string(WEXITSTATUS(status));
}

void reap(std::vector<Child>& children) {
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG)) {
        const auto found = std::ranges::find(children, pid, &Child::pid);
        if (found == children.end()) {
            continue;
        }
        const auto lasted = std::chrono::duration_cast<milliseconds>(Clock::now() - found->started);
        const milliseconds wait = found->delay.after_run_of(lasted);
        found->pid = -1;
        found->restart_at = Clock::now() + wait;
        log::emit(kEnded, found->program->name, describe(status), wait.count());
    }
}

void stop_all(std::vector<Child>& children) {
    const auto deadline = Clock::now() + kStopPatience;
    for (const Child& child : children) {
        if (child.pid > 0) {
            ::kill(child.pid, SIGTERM);
        }
    }
    for (Child& child : children) {
        while (child.pid > 0) {
            if (::waitpid(child.pid, nullptr, WNOHANG) == child.pid) {
                child.pid = -1;
            } else if (Clock::now() >= deadline) {
                log::emit(kKilled, child.program->name);
                ::kill(child.pid, SIGKILL);
                ::waitpid(child.pid, nullptr, 0);
                child.pid = -1;
            } else {
                ::usleep(10000);
            }
        }
    }
}

}  // namespace

RestartDelay::Duration RestartDelay::after_run_of(Duration lasted) noexcept {
    constexpr Duration kForgiven{60000};
    constexpr Duration kFirst{1000};
    constexpr Duration kLongest{30000};
    if (lasted >= kForgiven) {
        next_ = Duration{0};
    }
    const Duration wait = next_;
    next_ = next_.count() == 0 ? kFirst : std::min(next_ * 2, kLongest);
    return wait;
}

std::optional<std::string> find_program(const std::string& name) {
    std::error_code ec;
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", ec).parent_path();
    const std::string folder = name.substr(name.find('-') + 1);  // manul-bgpd is built in bgpd/, manul-ipamd in ipam/
    const std::array places{self / name, self / "../sbin" / name, self / ".." / folder / name,
                            self / ".." / folder.substr(0, folder.size() - 1) / name};
    for (const auto& place : places) {
        if (::access(place.c_str(), X_OK) == 0) {
            return place.lexically_normal().string();
        }
    }
    return std::nullopt;
}

int supervise(const std::vector<SupervisedProgram>& programs) {
    std::signal(SIGHUP, SIG_IGN);  // NOLINT(bugprone-signal-handler): as its daemons
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGCHLD}) {
        sigaddset(&signals, signal);
    }
    sigprocmask(SIG_BLOCK, &signals, nullptr);

    std::vector<Child> children;
    children.reserve(programs.size());
    for (const SupervisedProgram& program : programs) {
        children.push_back(
            Child{.program = &program, .pid = -1, .started = {}, .restart_at = Clock::now(), .delay = {}});
    }
    for (;;) {
        auto wake = Clock::now() + std::chrono::hours(1);
        for (Child& child : children) {
            if (child.pid < 0 && child.restart_at <= Clock::now()) {
                start(child);
            }
            if (child.pid < 0) {
                wake = std::min(wake, child.restart_at);
            }
        }
        const auto wait = std::max(std::chrono::duration_cast<std::chrono::nanoseconds>(wake - Clock::now()),
                                   std::chrono::nanoseconds(1));
        const timespec limit{.tv_sec = wait.count() / 1000000000, .tv_nsec = wait.count() % 1000000000};
        const int signal = ::sigtimedwait(&signals, nullptr, &limit);
        if (signal == SIGTERM || signal == SIGINT) {
            stop_all(children);
            return 0;
        }
        reap(children);
    }
}

}  // namespace manul::ctl
