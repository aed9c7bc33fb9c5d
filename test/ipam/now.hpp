#pragma once

#include <chrono>

#include "ipam/core/timestamp.hpp"

namespace manul::ipam::test {

/// The time of day of every test.
inline constexpr WallTime kNow{std::chrono::seconds{1'770'000'000}};

}  // namespace manul::ipam::test
