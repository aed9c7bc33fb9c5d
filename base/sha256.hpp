#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace manul {

using Sha256Digest = std::array<std::uint8_t, 32>;

/// SHA-256 (FIPS 180-4) of short texts: names and identifiers that must be the same on every node. Not meant for bulk
/// data or for secrets.
[[nodiscard]] Sha256Digest sha256(std::string_view text) noexcept;

/// The first eight bytes of the digest as a big-endian number.
[[nodiscard]] std::uint64_t sha256_first64(std::string_view text) noexcept;

/// The first `bytes` bytes (at most 32) of the digest in lower-case hexadecimal.
[[nodiscard]] std::string sha256_hex(std::string_view text, std::size_t bytes = 32);

}  // namespace manul
