#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace manul::net {

/// 48-bit hardware address.
class Mac {
public:
    constexpr Mac() noexcept = default;
    constexpr explicit Mac(std::array<std::uint8_t, 6> bytes) noexcept : bytes_(bytes) {}

    /// Six hexadecimal pairs separated by `:` or `-`.
    [[nodiscard]] static std::optional<Mac> parse(std::string_view text) noexcept;
    [[nodiscard]] std::string to_string() const;
    [[nodiscard]] constexpr const std::array<std::uint8_t, 6>& bytes() const noexcept { return bytes_; }

    auto operator<=>(const Mac&) const = default;

private:
    std::array<std::uint8_t, 6> bytes_{};
};

}  // namespace manul::net
