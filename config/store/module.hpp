#pragma once

#include <string>

#include "base/error.hpp"

/// Parts of the store that bring big libraries along are modules: only who uses such a datastore loads them.
namespace manul::store {

/// A symbol of a module, which stays loaded. It is looked for in $MANUL_MODULE_DIR, in the build tree that the running
/// program is part of, then where modules are installed. `package` is what to install when it is nowhere.
[[nodiscard]] Result<void*> load_symbol(const std::string& module, const std::string& symbol,
                                        const std::string& package);

}  // namespace manul::store
