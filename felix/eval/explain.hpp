#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "felix/eval/packet.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/snapshot.hpp"

/// Rules in words, criterion by criterion, and which of them a packet satisfies.
namespace manul::felix {

struct Criterion {
    std::string text;  ///< "protocol TCP", "source in app == 'web'", "destination port one of 80, 443"
    bool holds = false;
};

/// All criteria of the rule, judged alone; a rule matches when all hold. A rule without any matches everything.
[[nodiscard]] std::vector<Criterion> criteria(const Snapshot& snapshot, const Rule& rule, const Packet& packet);

/// "Allow TCP from app == 'web' to port 80".
[[nodiscard]] std::string describe(const Snapshot& snapshot, const Rule& rule);

/// "Allow", "Deny", "Log" or "Pass".
[[nodiscard]] std::string_view to_string(Action action) noexcept;

}  // namespace manul::felix
