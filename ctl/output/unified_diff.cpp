#include "ctl/output/unified_diff.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

namespace manul::ctl {

namespace {

using Lines = std::vector<std::string_view>;

constexpr std::size_t kAround = 3;
constexpr std::size_t kLargestTable = std::size_t{1} << 24U;  ///< of comparisons; 4 bytes each

/// With their line feeds.
Lines lines_of(std::string_view text) {
    Lines out;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
        out.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return out;
}

struct Edit {
    char sign;  ///< ' ', '-' or '+'
    std::string_view line;
};

/// The lines between a common beginning and a common end: by their longest common subsequence.
void compare_middle(const Lines& before, const Lines& after, std::vector<Edit>& out) {
    const std::size_t width = after.size() + 1;
    std::vector<std::uint32_t> longest;  // [i * width + j]: of the lines from i and from j on
    if (before.size() * width <= kLargestTable) {
        longest.assign((before.size() + 1) * width, 0);
        for (std::size_t i = before.size(); i-- > 0;) {
            for (std::size_t j = after.size(); j-- > 0;) {
                longest[i * width + j] = before[i] == after[j]
                                             ? longest[(i + 1) * width + j + 1] + 1
                                             : std::max(longest[(i + 1) * width + j], longest[i * width + j + 1]);
            }
        }
    }
    std::size_t i = 0;
    std::size_t j = 0;
    while (i < before.size() || j < after.size()) {
        const bool both = !longest.empty() && i < before.size() && j < after.size();
        if (both && before[i] == after[j]) {
            out.push_back({' ', before[i++]});
            ++j;
        } else if (i < before.size() && (!both || longest[(i + 1) * width + j] >= longest[i * width + j + 1])) {
            out.push_back({'-', before[i++]});
        } else {
            out.push_back({'+', after[j++]});
        }
    }
}

std::vector<Edit> edits_between(const Lines& before, const Lines& after) {
    const auto [first, other] = std::ranges::mismatch(before, after);
    const auto start = static_cast<std::size_t>(first - before.begin());
    std::size_t end = 0;
    while (end < std::min(before.size(), after.size()) - start &&
           before[before.size() - 1 - end] == after[after.size() - 1 - end]) {
        ++end;
    }
    std::vector<Edit> out;
    for (std::size_t i = 0; i < start; ++i) {
        out.push_back({' ', before[i]});
    }
    compare_middle({first, before.end() - static_cast<std::ptrdiff_t>(end)},
                   {other, after.end() - static_cast<std::ptrdiff_t>(end)}, out);
    for (std::size_t i = before.size() - end; i < before.size(); ++i) {
        out.push_back({' ', before[i]});
    }
    return out;
}

/// "3,7": the first line and how many, as `diff -u` counts them.
std::string range_text(std::size_t lines_before, std::size_t count) {
    const std::size_t first = count == 0 ? lines_before : lines_before + 1;
    return count == 1 ? std::to_string(first) : fmt::format("{},{}", first, count);
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after, std::string_view before_heading,
                         std::string_view after_heading) {
    const std::vector<Edit> edits = edits_between(lines_of(before), lines_of(after));
    const auto changed_from = [&edits](std::size_t at) {
        while (at < edits.size() && edits[at].sign == ' ') {
            ++at;
        }
        return at;
    };
    std::string text;
    std::size_t old_line = 0;  // lines of either side before `at`
    std::size_t new_line = 0;
    std::size_t at = 0;
    for (std::size_t change = changed_from(0); change < edits.size(); change = changed_from(at)) {
        if (text.empty()) {
            text = fmt::format("--- {}\n+++ {}\n", before_heading, after_heading);
        }
        const std::size_t begin = std::max(at, change - std::min(change, kAround));
        old_line += begin - at;
        new_line += begin - at;
        std::size_t end = change;  // behind the last change of this hunk
        for (std::size_t next = change; next < edits.size() && next - end <= 2 * kAround; next = changed_from(end)) {
            end = next;
            while (end < edits.size() && edits[end].sign != ' ') {
                ++end;
            }
        }
        end = std::min(end + kAround, edits.size());
        std::string hunk;
        std::size_t removed = 0;
        std::size_t added = 0;
        for (at = begin; at < end; ++at) {
            removed += edits[at].sign != '+' ? 1U : 0U;
            added += edits[at].sign != '-' ? 1U : 0U;
            hunk += edits[at].sign;
            hunk += edits[at].line;
            hunk += edits[at].line.ends_with('\n') ? "" : "\n\\ No newline at end of file\n";
        }
        text += fmt::format("@@ -{} +{} @@\n{}", range_text(old_line, removed), range_text(new_line, added), hunk);
        old_line += removed;
        new_line += added;
    }
    return text;
}

std::string coloured_diff(std::string_view diff) {
    std::string out;
    for (const std::string_view line : lines_of(diff)) {
        const std::string_view colour = line.starts_with("---") || line.starts_with("+++") ? "\x1b[1m"
                                        : line.starts_with('-')                            ? "\x1b[31m"
                                        : line.starts_with('+')                            ? "\x1b[32m"
                                        : line.starts_with('@')                            ? "\x1b[36m"
                                                                                           : "";
        const bool ends = line.ends_with('\n');
        out += colour;
        out += line.substr(0, line.size() - (ends ? 1 : 0));
        out += colour.empty() ? "" : "\x1b[0m";
        out += ends ? "\n" : "";
    }
    return out;
}

}  // namespace manul::ctl
