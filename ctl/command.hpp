#pragma once

#include <cstdint>
#include <functional>

#include "ctl/context.hpp"

namespace manul::ctl {

/// What must be there before a command runs. Each includes the ones before.
enum class Needs : std::uint8_t { nothing, settings, datastore };

/// What the parsed command line asks for. Each folder's add_*_commands() adds its commands to the parser, and the one
/// that is chosen fills this in.
struct Command {
    std::function<ExitCode(const Context&)> run;
    Needs needs = Needs::datastore;
    ExitCode trouble = ExitCode::failed;  ///< when what it needs is not there
};

}  // namespace manul::ctl
