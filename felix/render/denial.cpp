#include "felix/render/denial.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <system_error>
#include <utility>

#include <fmt/format.h>

namespace manul::felix::render {

std::string log_prefix(char what, Direction direction, RuleId id) {
    return fmt::format("{}|{}|{:016x}", what, direction == Direction::ingress ? 'i' : 'e', id.value());
}

std::optional<Limit> parse_rate(std::string_view text, std::uint32_t burst) {
    static constexpr std::array<std::pair<std::string_view, std::uint32_t>, 4> kUnits{
        {{"/second", 1}, {"/minute", 60}, {"/hour", 3600}, {"/day", 86400}}};
    std::uint32_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || count == 0) {
        return std::nullopt;
    }
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    const auto* found = std::ranges::find(kUnits, unit, &std::pair<std::string_view, std::uint32_t>::first);
    return found == kUnits.end() ? std::nullopt : std::optional(Limit{count, found->second, burst});
}

std::vector<Action> deny_actions(DenyAction action) {
    if (action == DenyAction::reject) {
        return {Count{}, Reject{}};
    }
    return {Count{}, drop()};
}

void append_denial(std::vector<Rule>& rules, const std::vector<Match>& matches, DenyAction action, RuleId id,
                   Direction direction, const Config& config) {
    if (config.log_denied) {
        Rule& log = rules.emplace_back(Rule{matches, {}, id.value()});
        if (const auto limit = parse_rate(config.log_denied_rate, config.log_rate_burst)) {
            log.actions.emplace_back(*limit);
        }
        log.actions.emplace_back(Log{kLogGroup, log_prefix('D', direction, id)});
    }
    rules.push_back(Rule{matches, deny_actions(action), id.value()});
}

}  // namespace manul::felix::render
