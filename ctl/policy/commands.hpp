#pragma once

#include "ctl/command.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds `policy` and what is below it.
void add_policy_commands(CLI::App& app, Command& chosen);

}  // namespace manul::ctl
