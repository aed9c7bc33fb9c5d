#pragma once

#include "base/error.hpp"
#include "config/settings.hpp"

namespace manul::serve {

struct ServeOptions {
    bool insecure = false;  ///< plain HTTP, every caller is an admin; loopback only
};

/// What the settings must say before anything is opened; every mistake is named.
[[nodiscard]] Result<void> check_settings(const config::Settings& settings, const ServeOptions& options);

/// Serves until SIGTERM or SIGINT; returns the exit code of the process.
[[nodiscard]] Result<int> run(const config::Settings& settings, const ServeOptions& options);

}  // namespace manul::serve
