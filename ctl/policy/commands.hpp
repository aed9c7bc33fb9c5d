#pragma once

#include <functional>

#include "ctl/context.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds `policy` and what is below it. `choose` is called with what the parsed command line asks for, and whether that
/// needs the datastore.
void add_policy_commands(CLI::App& app,
                         std::function<void(std::function<ExitCode(const Context&)> run, bool needs_store)> choose);

}  // namespace manul::ctl
