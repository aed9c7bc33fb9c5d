#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "felix/model/config.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/render/ruleset.hpp"

/// How packets are denied: counted, dropped or rejected, and first reported where the configuration asks for it. Every
/// rule that denies is made here, so that none is forgotten by the log.
namespace manul::felix::render {

/// NFLOG group of everything that felix logs.
inline constexpr std::uint16_t kLogGroup = 77;

/// "D|i|1f2e3a4b5c6d7e8f": what is logged (D a denial, L a Log rule), the direction, the rule.
[[nodiscard]] std::string log_prefix(char what, Direction direction, RuleId id);

/// "10/second" and the like as a token bucket; nothing for a text that is no rate, or for none.
[[nodiscard]] std::optional<Limit> parse_rate(std::string_view text, std::uint32_t burst);

/// What a denied packet meets, with counter.
[[nodiscard]] std::vector<Action> deny_actions(DenyAction action);

/// Appends what denies the packets that satisfy `matches`. With deny logging that is two rules: a limit ends its rule
/// when it is exceeded, and must not spare the packet.
void append_denial(std::vector<Rule>& rules, const std::vector<Match>& matches, DenyAction action, RuleId id,
                   Direction direction, const Config& config);

}  // namespace manul::felix::render
