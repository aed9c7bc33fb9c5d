#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "test/bench/bgp/load/peers.hpp"

namespace manul::bench {

/// What processes have used.
struct Usage {
    double cpu = 0;           ///< seconds
    double resident = 0;      ///< MB
    double most = 0;          ///< MB, the largest resident size so far
    double proportional = 0;  ///< MB, shared pages divided among those who share them
};
[[nodiscard]] Usage usage_of(const std::vector<int>& pids);

/// The result: one JSON object with numbers.
class Report {
public:
    void add(std::string_view name, double value);
    void fail(const std::string& why);
    [[nodiscard]] bool ok() const noexcept { return problem_.empty(); }
    void print() const;

private:
    std::string members_;
    std::string problem_;
};

/// Waits until all sessions are up; false when they are not in time.
[[nodiscard]] bool establish(const Options& options, Peers& peers, Report& report);

/// One phase: from here until every receiver has what is expected. Reports wall time, time on the processor, messages.
class Phase {
public:
    Phase(const Options& options, Peers& peers, Report& report);
    /// Waits for the end; false when it does not come.
    [[nodiscard]] bool finish(std::string_view name);

private:
    const Options& options_;
    Peers& peers_;
    Report& report_;
    Usage usage_;
    Received received_;
    double began_;
};

// The scenarios.
void full(const Options& options, Report& report);
void reflector(const Options& options, Report& report);
void latency(const Options& options, Report& report);
void timers(const Options& options, Report& report);
void routes(const Options& options, Report& report);

}  // namespace manul::bench
