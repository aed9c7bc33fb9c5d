#pragma once

#include "ctl/context.hpp"
#include "ctl/verbs/fetch.hpp"
#include "ctl/verbs/print.hpp"

namespace manul::ctl {

/// `get --watch`: prints the objects (not with `only_changes`), then every change, until SIGINT or SIGTERM comes or
/// nobody reads the output any more. When the datastore asks to list again, the new list is compared with what was
/// printed, so that nothing is printed twice and nothing is missed.
[[nodiscard]] ExitCode watch_objects(const Context& context, const ObjectQuery& query, Printer& printer,
                                     bool only_changes);

}  // namespace manul::ctl
