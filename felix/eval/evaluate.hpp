#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "felix/eval/packet.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/model/snapshot.hpp"

/// What policy says about one packet, computed from the same values that the dataplane renders: for `policy trace`, for
/// "what would change", and as the reference that rendered rules are tested against.
///
/// One call judges one endpoint in one direction. A packet between two pods of a node meets two of them: the source's
/// egress, then the destination's ingress. Replies and packets of known connections are not judged at all.
/// felix/eval/path.hpp puts all judgements together that a packet meets on its way through a node.
namespace manul::felix {

enum class Verdict : std::uint8_t {
    allow,
    deny,
    none,  ///< of a stage of host policy that leaves the packet to what comes next
};

/// Where the decision fell.
enum class DecidedBy : std::uint8_t {
    policy_rule,
    tier_end,         ///< policies of the tier apply, none of their rules decided, and the tier does not pass
    profile_rule,     ///< of a profile that exists
    missing_profile,  ///< a profile that is listed but does not exist denies
    no_profile,       ///< no tier and no profile decided
    failsafe,         ///< host policy: the port is kept open
    nothing,          ///< host policy: no rule and no end of a tier decided, and the stage ends with neither
};

/// One rule looked at, in the order of evaluation.
struct RuleStep {
    std::size_t index = 0;  ///< in the policy's list of that direction
    RuleId id;
    Action action = Action::deny;
    bool matched = false;
};

struct PolicyStep {
    PolicyId id;
    std::vector<RuleStep> rules;  ///< up to the one that decided
};

struct TierStep {
    enum class Outcome : std::uint8_t {
        allowed,
        denied,
        passed,      ///< by a Pass rule
        end_denied,  ///< nothing matched, end of tier denies
        end_passed,  ///< nothing matched, end of tier passes
    };
    std::string tier;
    std::vector<PolicyStep> policies;
    Outcome outcome = Outcome::end_denied;
};

struct ProfileStep {
    std::string name;
    bool exists = true;
    std::vector<RuleStep> rules;
};

struct Evaluation {
    Verdict verdict = Verdict::deny;
    DecidedBy decided_by = DecidedBy::no_profile;
    RuleId rule;                            ///< what decided, as logs and counters name it
    std::optional<DenyAction> deny_action;  ///< of a denying rule or tier end that has its own; else the node's default
    std::vector<RuleId> logged;             ///< Log rules that matched on the way
    std::vector<TierStep> tiers;            ///< looked at
    std::vector<ProfileStep> profiles;      ///< looked at
};

[[nodiscard]] Evaluation evaluate(const Snapshot& snapshot, const Endpoint& endpoint, Direction direction,
                                  const Packet& packet);

/// The same of a host endpoint at one stage. All but `normal` end without a verdict where no tier decides; so does a
/// failsafe port, except at `normal`, which it allows.
[[nodiscard]] Evaluation evaluate(const Snapshot& snapshot, const HostEndpoint& endpoint, HostStage stage,
                                  Direction direction, const Packet& packet);

/// Whether the packet goes to a port that the configuration keeps open whatever host policy says. At the untracked
/// stage answers of such ports count as well, since nothing tells them from other packets there.
[[nodiscard]] bool is_failsafe(const Config& config, HostStage stage, Direction direction, const Packet& packet);

/// Whether every criterion of the rule holds. A set that the snapshot does not have has no members.
[[nodiscard]] bool matches(const Snapshot& snapshot, const Rule& rule, const Packet& packet);

}  // namespace manul::felix
