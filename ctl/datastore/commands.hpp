#pragma once

#include "ctl/command.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds `datastore` and what is below it.
void add_datastore_commands(CLI::App& app, Command& chosen);

}  // namespace manul::ctl
