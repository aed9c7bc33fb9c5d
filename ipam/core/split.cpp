#include "ipam/core/split.hpp"

#include <bit>
#include <cstddef>
#include <utility>

#include <fmt/core.h>

#include "base/try.hpp"
#include "ipam/core/pool.hpp"

namespace manul::ipam {

Result<std::vector<model::IpPool>> split_pool(const model::IpPool& pool, std::uint64_t count) {
    constexpr std::uint64_t kMostParts = 1024;
    if (!std::has_single_bit(count) || count < 2 || count > kMostParts) {
        return fail(
            fmt::format("the number of parts must be a power of two from 2 to {}, found {}", kMostParts, count));
    }
    const auto length = static_cast<unsigned>(pool.spec.cidr.length()) + static_cast<unsigned>(std::countr_zero(count));
    if (length > pool.spec.effective_block_size()) {
        return fail(fmt::format("{} parts of {} would be smaller than its blocks (/{})", count,
                                pool.spec.cidr.to_string(), pool.spec.effective_block_size()));
    }
    Pool parts;  // its "blocks" are the parts
    parts.cidr = pool.spec.cidr;
    parts.block_size = static_cast<std::uint8_t>(length);
    std::vector<model::IpPool> out;
    for (std::uint64_t i = 0; i < count; ++i) {
        model::IpPool part;
        part.metadata.name = fmt::format("split-{}-{}", pool.metadata.name, i);
        part.metadata.labels = pool.metadata.labels;
        part.spec = pool.spec;
        part.spec.block_size = pool.spec.effective_block_size();
        part.spec.cidr = parts.block(i);
        out.push_back(std::move(part));
    }
    return out;
}

}  // namespace manul::ipam
