#pragma once

namespace manul::config {
struct Settings;
}

/// The daemon: store -> calculation -> dataplane, and reports on all of it.
namespace manul::felix::io {

/// Runs until asked to stop; returns the exit code. The kernel's rules, routes and groups stay when it ends.
[[nodiscard]] int run(const config::Settings& settings);

}  // namespace manul::felix::io
