#include "test/bench/bgp/load/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <system_error>

namespace manul::bench {

namespace {

/// Of a file of lines "Name:  123 kB".
double megabytes(const std::string& file, std::string_view name) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(name)) {
            return std::stod(line.substr(name.size())) / 1024;
        }
    }
    return 0;
}

}  // namespace

Usage usage_of(const std::vector<int>& pids) {
    Usage usage;
    for (const int pid : pids) {
        const std::string directory = fmt::format("/proc/{}/", pid);
        std::error_code gone;
        for (const auto& thread : std::filesystem::directory_iterator(directory + "task", gone)) {
            double nanoseconds = 0;  // on the processor, user and system time; "stat" counts in steps of 10 ms
            std::ifstream(thread.path() / "schedstat") >> nanoseconds;
            usage.cpu += nanoseconds * 1e-9;
        }
        usage.resident += megabytes(directory + "status", "VmRSS:");
        usage.most += megabytes(directory + "status", "VmHWM:");
        usage.proportional += megabytes(directory + "smaps_rollup", "Pss:");
    }
    return usage;
}

void Report::add(std::string_view name, double value) { members_ += fmt::format(", \"{}\": {:.12g}", name, value); }

void Report::fail(const std::string& why) {
    if (problem_.empty()) {
        problem_ = why;
    }
}

void Report::print() const {
    const std::string error = ok() ? std::string() : fmt::format(", \"error\": \"{}\"", problem_);
    std::puts(fmt::format("{{\"ok\": {}{}{}}}", ok(), error, members_).c_str());
    std::fflush(stdout);
}

bool establish(const Options& options, Peers& peers, Report& report) {
    constexpr double kSettle = 0.7;
    const double began = now();
    if (!peers.run_until([&] { return peers.established() == peers.all().size(); }, options.timeout)) {
        report.fail(fmt::format("only {} of {} sessions came up; last notification: {}", peers.established(),
                                peers.all().size(), peers.last_notification()));
        return false;
    }
    report.add("establish_s", now() - began);
    peers.run_for(kSettle);
    const Usage usage = usage_of(options.pids);
    report.add("idle_rss_mb", usage.resident);
    report.add("idle_pss_mb", usage.proportional);
    return true;
}

Phase::Phase(const Options& options, Peers& peers, Report& report)
    : options_(options),
      peers_(peers),
      report_(report),
      usage_(usage_of(options.pids)),
      received_(peers.received()),
      began_(now()) {}

bool Phase::finish(std::string_view name) {
    constexpr double kLastWork = 0.15;  // the speaker may still be at work when the last receiver is content
    const bool ok = peers_.run_until([&] { return peers_.converged(); }, options_.timeout);
    double last = 0;
    for (const Peer& peer : peers_.all()) {
        last = std::max(last, peer.right_at);
    }
    peers_.run_for(kLastWork);
    const Usage usage = usage_of(options_.pids);
    report_.add(fmt::format("{}_s", name), (ok && last > 0 ? last : now()) - began_);
    report_.add(fmt::format("{}_cpu_s", name), usage.cpu - usage_.cpu);
    report_.add(fmt::format("{}_rss_mb", name), usage.resident);
    report_.add(fmt::format("{}_updates", name), static_cast<double>(peers_.received().updates - received_.updates));
    report_.add(fmt::format("{}_prefixes", name), static_cast<double>(peers_.received().prefixes - received_.prefixes));
    if (!ok) {
        report_.fail(fmt::format("{}: {} prefixes are missing or wrong", name, peers_.missing()));
    }
    return ok;
}

}  // namespace manul::bench
