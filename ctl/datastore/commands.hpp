#pragma once

#include <functional>

#include "ctl/context.hpp"

namespace CLI {
class App;
}

namespace manul::ctl {

/// Adds `datastore`; a chosen command is handed to `choose`, with whether it needs an open datastore.
void add_datastore_commands(CLI::App& app,
                            const std::function<void(std::function<ExitCode(const Context&)>, bool)>& choose);

}  // namespace manul::ctl
