#pragma once

#include <functional>

#include "ctl/context.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds patch, label and convert; a chosen verb is handed to `choose`, with whether it needs an open datastore.
void add_edit_verbs(CLI::App& app, const std::function<void(std::function<ExitCode(const Context&)>, bool)>& choose);

}  // namespace manul::ctl
