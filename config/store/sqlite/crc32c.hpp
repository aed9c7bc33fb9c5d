#pragma once

#include <cstdint>
#include <string_view>

namespace manul::store::sqlite {

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4). `seed` is an earlier result, so that parts can be fed one after
/// another.
[[nodiscard]] std::uint32_t crc32c(std::string_view data, std::uint32_t seed = 0) noexcept;

}  // namespace manul::store::sqlite
