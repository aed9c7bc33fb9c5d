#pragma once

#include "ctl/command.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds `ipam` and what is below it.
void add_ipam_commands(CLI::App& app, Command& chosen);

}  // namespace manul::ctl
