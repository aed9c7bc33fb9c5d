#pragma once

#include "ctl/verbs/input.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// The options of every command that reads files.
void add_input_options(CLI::App& command, InputOptions& input, bool required);

}  // namespace manul::ctl
