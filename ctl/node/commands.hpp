#pragma once

#include <optional>
#include <string>

#include "ctl/command.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds `node` and what is below it. `config`: the settings file that the command line names, for the daemons that
/// `node run` starts; read when the command runs.
void add_node_commands(CLI::App& app, Command& chosen, const std::optional<std::string>& config);

}  // namespace manul::ctl
