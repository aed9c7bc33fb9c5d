#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>

namespace manul::felix::bench {

/// What was asked for.
struct Options {
    std::vector<std::string> wanted;
    std::optional<std::string> json;
    std::string only;  ///< changes with this text in their names

    [[nodiscard]] bool any_of(std::initializer_list<std::string_view> names) const {
        return std::ranges::any_of(names, [this](std::string_view name) { return wants(name); });
    }
    [[nodiscard]] bool wants(std::string_view name) const { return std::ranges::find(wanted, name) != wanted.end(); }
    /// Of several choices none was named, or this one.
    [[nodiscard]] bool includes(std::string_view name, std::initializer_list<std::string_view> choices) const {
        return wants(name) || !any_of(choices);
    }
};

inline Options parse(int count, char** words) {
    Options options;
    for (int i = 1; i < count; ++i) {
        const std::string word = words[i];
        if (word == "--json" && i + 1 < count) {
            options.json = words[++i];
        } else if (word == "--only" && i + 1 < count) {
            options.only = words[++i];
        } else {
            options.wanted.push_back(word);
        }
    }
    return options;
}

/// Of this process.
inline std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t total = 0;
    std::size_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

/// Figures as a table, and as JSON at the end.
class Report {
public:
    void heading() const {
        fmt::print("{:<6} {:<48} {:<4} {:>8} {:>8} {:>7} {:>7}  {:>9} {:>9} {:>6} {:>7}\n", "size", "change (ms)", "",
                   "p50", "p99", "calc", "kernel", "bare p50", "bare p99", "ratio", "target");
    }
    /// Milliseconds of each round.
    struct Rounds {
        std::vector<double> ours;
        std::vector<double> bare;
        std::vector<double> calculation;  ///< of `ours`
        std::vector<double> kernel;       ///< of `ours`
    };
    void times(std::string_view size, const std::string& what, bool cold, Rounds rounds, double target) {
        const double p50 = at(rounds.ours, 50);
        const double p99 = at(rounds.ours, 99);
        std::vector<double>& bare = rounds.bare;
        std::string parts = fmt::format("{:>7} {:>7}", "-", "-");
        std::string json_parts;
        if (!rounds.kernel.empty()) {
            const double calculation = at(rounds.calculation, 50);
            const double kernel = at(rounds.kernel, 50);
            parts = fmt::format("{:7.2f} {:7.2f}", calculation, kernel);
            json_parts = fmt::format(R"(,"calculation_p50_ms":{:.3f},"kernel_p50_ms":{:.3f})", calculation, kernel);
        }
        std::string beside = fmt::format("{:>9} {:>9} {:>6}", "-", "-", "-");
        std::string json_beside;
        if (!bare.empty()) {
            const double bare_p50 = at(bare, 50);
            const double bare_p99 = at(bare, 99);
            beside = fmt::format("{:9.2f} {:9.2f} {:6.2f}", bare_p50, bare_p99, bare_p50 > 0 ? p50 / bare_p50 : 0);
            json_beside = fmt::format(R"(,"bare_p50_ms":{:.3f},"bare_p99_ms":{:.3f})", bare_p50, bare_p99);
        }
        fmt::print("{:<6} {:<48} {:<4} {:8.2f} {:8.2f} {}  {} {:>7}{}\n", size, what, cold ? "cold" : "hot", p50, p99,
                   parts, beside, target > 0 ? fmt::format("{:.0f}", target) : "-",
                   target > 0 && p99 > target ? "  missed" : "");
        (void)std::fflush(stdout);
        add(fmt::format(
            R"({{"size":"{}","change":"{}","cache":"{}","p50_ms":{:.3f},"p99_ms":{:.3f}{}{},"target_ms":{}}})", size,
            what, cold ? "cold" : "hot", p50, p99, json_parts, json_beside, target));
    }
    void figure(std::string_view size, std::string_view what, double value, std::string_view unit, double target) {
        fmt::print("{:<6} {:<48} {:>13.2f} {}{}\n", size, what, value, unit,
                   target > 0 ? fmt::format(", target {:.2f}{}", target, value > target ? "  missed" : "") : "");
        (void)std::fflush(stdout);
        add(fmt::format(R"({{"size":"{}","figure":"{}","value":{:.3f},"unit":"{}","target":{}}})", size, what, value,
                        unit, target));
    }
    void write(const std::string& path) const {
        std::ofstream file(path);
        file << "[";
        for (std::size_t i = 0; i < lines_.size(); ++i) {
            file << (i == 0 ? "\n" : ",\n") << lines_[i];
        }
        file << "\n]\n";
    }

private:
    static double at(std::vector<double>& list, std::size_t percent) {
        std::ranges::sort(list);
        return list[std::min(list.size() - 1, list.size() * percent / 100)];
    }
    void add(std::string line) { lines_.push_back(std::move(line)); }

    std::vector<std::string> lines_;
};

}  // namespace manul::felix::bench
