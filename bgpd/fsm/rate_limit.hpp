#pragma once

#include <algorithm>
#include <chrono>

#include "bgpd/fsm/event.hpp"

namespace manul::bgp::fsm {

/// A token bucket: kBurst events at once, then one each kInterval. Limits how often refused connections are answered,
/// so that somebody who connects without end costs a few answers a second.
class RateLimit {
public:
    static constexpr std::chrono::milliseconds kInterval{250};
    static constexpr int kBurst = 64;

    /// Takes a token; false when there is none left.
    [[nodiscard]] bool take(TimePoint now) noexcept {
        full_at_ = std::min(std::max(full_at_, now - kBurst * kInterval), now) + kInterval;
        return full_at_ <= now;
    }

private:
    TimePoint full_at_{};  ///< shifted by the burst into the past: then the bucket is full again
};

}  // namespace manul::bgp::fsm
