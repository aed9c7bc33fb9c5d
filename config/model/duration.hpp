#pragma once

#include <chrono>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

namespace manul::model {

/// A span of time in the text form of Kubernetes and Calico resources: "90s", "1m30s", "500ms", "0".
struct Duration {
    std::chrono::nanoseconds value{0};

    [[nodiscard]] static std::optional<Duration> parse(std::string_view text) noexcept;
    /// Hours, minutes and seconds with a fraction ("1m30s", "1.5s"); below a second "500ms", "20µs", "7ns".
    [[nodiscard]] std::string to_string() const;

    [[nodiscard]] constexpr std::chrono::milliseconds milliseconds() const noexcept {
        return std::chrono::duration_cast<std::chrono::milliseconds>(value);
    }
    [[nodiscard]] constexpr std::chrono::seconds seconds() const noexcept {
        return std::chrono::duration_cast<std::chrono::seconds>(value);
    }

    auto operator<=>(const Duration&) const = default;
};

}  // namespace manul::model
