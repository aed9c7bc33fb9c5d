#pragma once

#include <algorithm>
#include <chrono>

#include "bgpd/fsm/event.hpp"

namespace manul::bgp::fsm {

/// How often somebody whose connections come to nothing is answered: so many times in a row, then once a pause, so that
/// who connects without end costs a few connections a second.
class Patience {
public:
    static constexpr std::chrono::milliseconds kPause{250};
    static constexpr int kInARow = 64;

    /// Takes note of one more; false when that happens too often.
    [[nodiscard]] bool has_some_left(TimePoint now) noexcept {
        spent_ = std::min(std::max(spent_, now - kInARow * kPause), now) + kPause;
        return spent_ <= now;
    }

private:
    TimePoint spent_{};
};

}  // namespace manul::bgp::fsm
