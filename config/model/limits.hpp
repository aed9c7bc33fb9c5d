#pragma once

#include <cstdint>

/// Limits that fields of several kinds share; for the field tables (tables_*.cpp).
namespace manul::model {

inline constexpr std::int64_t kMaxPort = 65535;
/// A route's metric: the kernel has 32 bits, Calico's schema stops below the largest signed number.
inline constexpr std::int64_t kMaxRoutePriority = 2'147'483'646;

}  // namespace manul::model
