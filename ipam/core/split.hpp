#pragma once

#include <cstdint>
#include <vector>

#include "base/error.hpp"
#include "config/model/ip_pool.hpp"

namespace manul::ipam {

/// The pools that `ipam split` puts in the place of one: `count` equal parts of its range named `split-<pool>-<i>`,
/// with the same settings. Blocks stay where they are: each lies in exactly one part. Refuses a count that is no power
/// of two, or that would make parts smaller than a block.
[[nodiscard]] Result<std::vector<model::IpPool>> split_pool(const model::IpPool& pool, std::uint64_t count);

}  // namespace manul::ipam
