#pragma once

#include <string>

#include "ctl/context.hpp"

namespace manul::ctl {

/// A copy of the embedded store while it is in use.
[[nodiscard]] ExitCode back_up(const Context& context, const std::string& file);
/// Replaces the store's content by the backup; `force`: even if endpoints would be lost.
[[nodiscard]] ExitCode restore(const Context& context, const std::string& file, bool force);

}  // namespace manul::ctl
