#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// bgp_load: all peers of a BGP speaker under test, in one process with one thread, and the clock.
///
/// Every peer has a source address of its own, so hundreds need one network namespace only. All UPDATEs are encoded
/// before the clock starts. The receiving side keeps for every peer and prefix where the speaker says the route comes
/// from, and a phase ends when every receiver has exactly the expected table: a wrong best path or a lost withdrawal
/// shows as a timeout, not as a good time. The result is one JSON object.
namespace manul::bench {

struct Options {
    std::string scenario = "full";      ///< full, reflector, latency, timers, routes
    std::string load = "idle";          ///< of latency: idle, churn, feed
    std::string speaker = "10.99.0.1";  ///< address
    std::uint32_t speaker_as = 65000;
    std::vector<int> pids;  ///< processes of the speaker
    std::uint32_t senders = 2;
    std::uint32_t receivers = 2;
    std::uint32_t clients = 300;
    std::uint32_t blocks = 16;             ///< of a client
    std::uint32_t prefixes = 100'000;      ///< of a sender
    double share_of_v6 = 0.15;             ///< of a feed
    double prefixes_an_attribute_set = 6;  ///< mean
    double timeout = 180;                  ///< seconds, of a phase
    std::uint32_t probes = 300;
    double probe_gap = 0.02;        ///< seconds
    double churn = 5000;            ///< changed prefixes a second
    bool no_table = false;          ///< the speaker keeps none: who comes later learns nothing
    bool only_announce = false;     ///< of full: then sessions just stay
    std::uint16_t hold_time = 240;  ///< seconds; keepalives go out each third of it
    bool graceful_restart = false;  ///< the peers know it, so that a speaker that restarts waits for their End-of-RIB
};

/// Reads `name=value` arguments; ends the process on others.
[[nodiscard]] Options parse_options(int count, char** arguments);

[[noreturn]] void die(const std::string& why);
/// Seconds of the steady clock.
[[nodiscard]] double now();

/// A fast sequence of numbers that is the same everywhere.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() noexcept { return mixed(state_++); }
    /// Less than `bound`.
    std::uint32_t below(std::uint32_t bound) noexcept {
        return bound == 0 ? 0 : static_cast<std::uint32_t>(next() % bound);
    }
    /// At least 0, less than 1.
    double share() noexcept { return static_cast<double>(next() >> 11U) * 0x1.0p-53; }
    bool chance(double probability) noexcept { return share() < probability; }
    template <class T>
    void shuffle(std::vector<T>& items) {
        for (std::size_t i = items.size(); i > 1; --i) {
            std::swap(items[i - 1], items[below(static_cast<std::uint32_t>(i))]);
        }
    }

    [[nodiscard]] static std::uint64_t mixed(std::uint64_t x) noexcept {
        x += 0x9e37'79b9'7f4a'7c15U;
        x = (x ^ (x >> 30U)) * 0xbf58'476d'1ce4'e5b9U;
        x = (x ^ (x >> 27U)) * 0x94d0'49bb'1331'11ebU;
        return x ^ (x >> 31U);
    }

private:
    std::uint64_t state_;
};

}  // namespace manul::bench
