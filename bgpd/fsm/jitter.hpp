#pragma once

#include <chrono>
#include <cstdint>

namespace manul::bgp::fsm {

/// Timer jitter of RFC 4271 section 10: a factor between 0.75 and 1. Deterministic from its seed, so that tests and
/// replays see the same times.
class Jitter {
public:
    explicit Jitter(std::uint32_t seed) noexcept : state_(seed == 0 ? 0x9e3779b9U : seed) {}

    [[nodiscard]] std::chrono::milliseconds apply(std::chrono::milliseconds base) noexcept {
        state_ ^= state_ << 13U;  // xorshift32
        state_ ^= state_ >> 17U;
        state_ ^= state_ << 5U;
        return base - base * static_cast<std::int64_t>(state_ % 1024U) / 4096;
    }

private:
    std::uint32_t state_;
};

}  // namespace manul::bgp::fsm
