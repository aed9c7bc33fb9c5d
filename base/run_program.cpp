#include "base/run_program.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "base/unique_fd.hpp"

namespace manul {

namespace {

/// Everything the child prints until it closes its output.
Result<ProgramOutput> read_all(int fd, const ProgramRun& run) {
    const auto deadline = std::chrono::steady_clock::now() + run.longest;
    ProgramOutput output;
    std::array<char, 16384> buffer{};
    while (output.text.size() <= run.most_output) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
        pollfd ready{fd, POLLIN, 0};
        const int polled = left.count() <= 0 ? 0 : ::poll(&ready, 1, static_cast<int>(left.count()));
        if (polled == 0) {
            return fail(run.command.front() + " did not end within " + std::to_string(run.longest.count()) + " s");
        }
        const ssize_t count = polled < 0 ? -1 : ::read(fd, buffer.data(), buffer.size());
        if (count == 0) {
            return output;
        }
        if (count < 0 && errno != EINTR) {
            return fail("reading from " + run.command.front() + ": " + std::strerror(errno));
        }
        output.text.append(buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    }
    output.text.resize(run.most_output);
    output.cut = true;
    return output;
}

/// Null-terminated, as posix_spawn wants it.
std::vector<char*> pointers(std::vector<std::string>& texts) {
    std::vector<char*> out;
    out.reserve(texts.size() + 1);
    for (std::string& text : texts) {
        out.push_back(text.data());
    }
    out.push_back(nullptr);
    return out;
}

std::vector<std::string> environment_of(const ProgramRun& run) {
    std::vector<std::string> out;
    for (char** variable = environ; *variable != nullptr; ++variable) {
        out.emplace_back(*variable);
    }
    for (const auto& [name, value] : run.environment) {
        std::erase_if(out, [&](const std::string& entry) { return entry.starts_with(name + "="); });
        out.push_back(name);
        out.back().append("=").append(value);
    }
    return out;
}

}  // namespace

Result<ProgramOutput> run_program(const ProgramRun& run) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return fail(std::string("pipe: ") + std::strerror(errno));
    }
    const UniqueFd read_end(ends[0]);
    UniqueFd write_end(ends[1]);
    std::vector<std::string> arguments = run.command;
    std::vector<std::string> environment = environment_of(run);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
    if (run.with_errors) {
        ::posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
    }
    ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    pid_t child = 0;
    const int failed = ::posix_spawnp(&child, arguments.front().c_str(), &actions, nullptr, pointers(arguments).data(),
                                      pointers(environment).data());
    ::posix_spawn_file_actions_destroy(&actions);
    if (failed != 0) {
        return fail("cannot run " + run.command.front() + ": " + std::strerror(failed));
    }
    write_end.reset();
    auto output = read_all(read_end.get(), run);
    if (!output || output->cut) {
        ::kill(child, SIGKILL);
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (output) {
        output->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return output;
}

}  // namespace manul
