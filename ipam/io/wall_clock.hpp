#pragma once

#include <chrono>

#include "ipam/core/timestamp.hpp"

/// This host's clock, for what is stored and shown; durations are measured on the steady one.
namespace manul::ipam {

[[nodiscard]] inline WallTime wall_now() {
    return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

}  // namespace manul::ipam
