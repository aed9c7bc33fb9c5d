#pragma once

#include "ctl/command.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds `bgp` and what is below it. All of it asks this node's daemon.
void add_bgp_commands(CLI::App& app, Command& chosen);

}  // namespace manul::ctl
