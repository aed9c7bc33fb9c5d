#pragma once

#include <functional>

#include "ctl/context.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds `ipam` and what is below it. `choose` is called with what the parsed command line asks for.
void add_ipam_commands(CLI::App& app, std::function<void(std::function<ExitCode(const Context&)>)> choose);

}  // namespace manul::ctl
