#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"

/// `manulctl node run`: starts the three daemons and keeps them running in the foreground, for containers and the lab.
namespace manul::ctl {

/// When to start a program that ended: at once the first time, then after 1, 2, 4 ... 30 s; a run of a minute forgives.
class RestartDelay {
public:
    using Duration = std::chrono::milliseconds;

    [[nodiscard]] Duration after_run_of(Duration lasted) noexcept;

private:
    Duration next_{0};
};

/// Where a daemon's program is: beside this program, in sbin beside its bin, or in the build tree around it.
[[nodiscard]] std::optional<std::string> find_program(const std::string& name);

struct SupervisedProgram {
    std::string name;
    std::vector<std::string> arguments;  ///< the program's path first
    int niceness = 0;                    ///< added to this process's; without the right to that it stays the same
};

/// Blocks until SIGTERM or SIGINT, which it passes on; daemons that do not stop within 10 s are killed. Returns the
/// exit code of the process.
[[nodiscard]] int supervise(const std::vector<SupervisedProgram>& programs);

}  // namespace manul::ctl
