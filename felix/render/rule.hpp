#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "felix/model/config.hpp"
#include "felix/model/policy.hpp"
#include "felix/render/ruleset.hpp"

/// One rule of a policy or profile as nftables rules of one family.
namespace manul::felix::render {

/// Bits of the connection mark that hold the end of the id of the rule that allowed.
inline constexpr std::uint32_t kMarkBits = 0x7fffffff;

/// Label of connections whose first packet a preDNAT policy allowed. A mark would not do: it is written whole, and
/// reading it back ends a rule for packets without a connection.
inline constexpr std::uint8_t kAcceptedLabel = 77;

/// What an Allow does before it accepts.
enum class Acceptance : std::uint8_t {
    marked,     ///< the connection's mark names the rule
    labelled,   ///< marked, and labelled as accepted before destination NAT (felix/render/host.hpp)
    untracked,  ///< the packet stays without a connection
    plain,      ///< nothing
};

struct RuleContext {
    net::Family family = net::Family::v4;
    Direction direction = Direction::ingress;
    const Config* config = nullptr;
    /// Whether the set holds prefixes of the family beside single addresses.
    std::function<bool(const SetId&)> has_prefixes;
    Acceptance acceptance = Acceptance::marked;
    bool sets_can_match = true;  ///< false: no set has a member of the family, so what asks for one matches nothing
    bool can_reject = true;      ///< the kernel rejects nothing at postrouting: packets are dropped there
};

/// In order, first match decides. Most rules give one; an "or" across kinds of sets (single addresses or prefixes,
/// numbered or named ports) gives one a combination. Nothing when no packet of the family can match.
[[nodiscard]] std::vector<Rule> render_rule(const felix::Rule& rule, const RuleContext& context);
[[nodiscard]] std::vector<Rule> render_rules(const std::vector<felix::Rule>& rules, const RuleContext& context);

/// Those of the family, sorted, without those that lie inside others: what a MatchAddress may hold.
[[nodiscard]] std::vector<net::Prefix> normalized(const std::vector<net::Prefix>& nets, net::Family family);

}  // namespace manul::felix::render
