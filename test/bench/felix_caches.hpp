#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

namespace manul::felix::bench {

/// Leaves the caches to others: writes more memory than they hold, then does nothing for some ticks of the scheduler.
class CacheEvictor {
public:
    void run() {
        constexpr long kLeast = 32L << 20U;
        constexpr std::size_t kMost = std::size_t{768} << 20U;
        constexpr std::size_t kLine = 64;
        const auto last_level = static_cast<std::size_t>(std::max(::sysconf(_SC_LEVEL3_CACHE_SIZE), kLeast));
        memory_.resize(std::min(3 * last_level, kMost));
        for (std::size_t i = 0; i < memory_.size(); i += kLine) {
            memory_[i] = static_cast<char>(memory_[i] + 1);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }

private:
    std::vector<char> memory_;
};

}  // namespace manul::felix::bench
