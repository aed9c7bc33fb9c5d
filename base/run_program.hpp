#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace manul {

struct ProgramRun {
    std::vector<std::string> command;  ///< the program, which PATH finds, and its arguments
    std::vector<std::pair<std::string, std::string>> environment = {};  ///< besides this process's own
    std::chrono::seconds longest{30};
    std::size_t most_output = std::size_t{1} << 20U;
    bool with_errors = false;  ///< what it writes to standard error belongs to the output; otherwise it goes to ours
};

struct ProgramOutput {
    std::string text;
    bool cut = false;  ///< there was more; the program was ended
    int status = 0;    ///< exit code; 128 + signal
};

/// Runs a program without a shell, its standard input empty, and waits for it. Fails when it cannot be started, and
/// when it takes too long: then it is killed.
[[nodiscard]] Result<ProgramOutput> run_program(const ProgramRun& run);

}  // namespace manul
