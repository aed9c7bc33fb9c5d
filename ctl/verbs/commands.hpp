#pragma once

#include "ctl/command.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds the commands about objects: create, apply, get and so on, those that need no datastore included.
void add_object_commands(CLI::App& app, Command& chosen);

}  // namespace manul::ctl
