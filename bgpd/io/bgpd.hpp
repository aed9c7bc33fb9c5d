#pragma once

#include "config/settings.hpp"

namespace manul::bgp::io {

/// The daemon: store, speaker, kernel and control socket wired together. Returns the exit code.
[[nodiscard]] int run(const config::Settings& settings);

}  // namespace manul::bgp::io
