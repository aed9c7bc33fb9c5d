#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "config/store/kubernetes/access.hpp"

namespace manul::store::kubernetes {

/// What a credential plugin answered.
struct ExecCredential {
    std::string token;
    std::string certificate;      ///< PEM
    std::string key;              ///< PEM
    std::chrono::seconds life{};  ///< ask again after this time
};

/// Runs the plugin and waits for it, at most 30 s.
[[nodiscard]] Result<ExecCredential> run_exec_plugin(const ExecPlugin& plugin);

/// `output` as the plugin printed it; `unix_now` tells how long it holds.
[[nodiscard]] Result<ExecCredential> parse_exec_credential(const std::string& output, std::int64_t unix_now);

}  // namespace manul::store::kubernetes
