#include "felix/eval/evaluate.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "felix/eval/packet.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/model/snapshot.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

namespace {

bool is_icmp(const Packet& packet) noexcept {
    return packet.protocol == (packet.family() == net::Family::v4 ? net::kIcmp : net::kIcmpv6);
}

bool icmp_equals(const IcmpMatch& match, const Packet& packet) noexcept {
    return packet.icmp_type == match.type && (!match.code || packet.icmp_code == match.code);
}

const SetSnapshot* find_set(const Snapshot& snapshot, const SetId& id) {
    const auto found = snapshot.sets.find(id);
    return found == snapshot.sets.end() ? nullptr : &found->second;
}

bool any_net(const std::vector<net::Prefix>& nets, const net::Ip& address) {
    return std::ranges::any_of(nets, [&address](const net::Prefix& net) { return net.contains(address); });
}

/// One end of the packet.
struct End {
    net::Ip address;
    net::Protocol protocol;
    std::optional<std::uint16_t> port;
};

bool any_port(const Snapshot& snapshot, const std::vector<net::PortRange>& numbers, const std::vector<SetId>& names,
              const End& end) {
    if (!end.port) {
        return false;
    }
    const auto in_named = [&](const SetId& id) {
        const SetSnapshot* set = find_set(snapshot, id);
        return set != nullptr && set->ports.contains(PortMember{end.address, end.protocol, *end.port});
    };
    return std::ranges::any_of(numbers, [&end](const net::PortRange& range) { return range.contains(*end.port); }) ||
           std::ranges::any_of(names, in_named);
}

bool matches_end(const Snapshot& snapshot, const EntityMatch& match, const End& end) {
    const auto contains = [&](const SetId& id) {
        const SetSnapshot* set = find_set(snapshot, id);
        return set != nullptr && set->contains(end.address);
    };
    if (!match.nets.empty() && !any_net(match.nets, end.address)) {
        return false;
    }
    if (any_net(match.not_nets, end.address) || !std::ranges::all_of(match.sets, contains) ||
        std::ranges::any_of(match.not_sets, contains)) {
        return false;
    }
    if (match.has_ports() && !any_port(snapshot, match.ports, match.named_ports, end)) {
        return false;
    }
    if ((match.not_ports.empty() && match.not_named_ports.empty()) || !end.protocol.has_ports()) {
        return true;  // what never has ports has none of those that are excluded
    }
    // A packet whose ports are not there (a later fragment) satisfies no criterion about them, a negative one neither.
    return end.port && !any_port(snapshot, match.not_ports, match.not_named_ports, end);
}

/// Walks a list of rules; the index of the one that decides, or nothing. Log rules are noted and passed by.
const Rule* walk(const Snapshot& snapshot, const std::vector<Rule>& rules, const Packet& packet,
                 std::vector<RuleStep>& steps, std::vector<RuleId>& logged) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const Rule& rule = rules[i];
        const bool matched = matches(snapshot, rule, packet);
        steps.push_back(RuleStep{i, rule.id, rule.action, matched});
        if (!matched) {
            continue;
        }
        if (rule.action != Action::log) {
            return &rule;
        }
        logged.push_back(rule.id);
    }
    return nullptr;
}

class Evaluator {
public:
    Evaluator(const Snapshot& snapshot, Direction direction, const Packet& packet)
        : snapshot_(snapshot), direction_(direction), packet_(packet) {}

    /// Tiers, then profiles, then deny.
    Evaluation run(const PolicyLists& lists, const std::vector<std::string>& profiles) {
        if (judge_tiers(lists)) {
            return std::move(out_);
        }
        for (const std::string& name : profiles) {
            if (judge_profile(name)) {
                return std::move(out_);
            }
        }
        decide(Verdict::deny, DecidedBy::no_profile, no_profile_matched_id(), std::nullopt);
        return std::move(out_);
    }

    /// Tiers alone.
    Evaluation run_tiers(const PolicyLists& lists) {
        if (!judge_tiers(lists)) {
            decide(Verdict::none, DecidedBy::nothing, RuleId{}, std::nullopt);
        }
        return std::move(out_);
    }

private:
    bool judge_tiers(const PolicyLists& lists) {
        return std::ranges::any_of(*lists, [this](const Shared<TierPolicies>& tier) { return judge_tier(*tier); });
    }

    void decide(Verdict verdict, DecidedBy by, RuleId rule, std::optional<DenyAction> deny_action) {
        out_.verdict = verdict;
        out_.decided_by = by;
        out_.rule = rule;
        out_.deny_action = deny_action;
    }

    void decide(const Rule& rule, DecidedBy by) {
        decide(rule.action == Action::allow ? Verdict::allow : Verdict::deny, by, rule.id, rule.deny_action);
    }

    /// Whether the tier decided.
    bool judge_tier(const TierPolicies& tier) {
        TierStep& step = out_.tiers.emplace_back();
        step.tier = tier.tier;
        for (const PolicyId& id : tier.policies) {
            const auto policy = snapshot_.policies.find(id);
            if (policy == snapshot_.policies.end()) {
                continue;
            }
            PolicyStep& policy_step = step.policies.emplace_back();
            policy_step.id = id;
            const Rule* rule =
                walk(snapshot_, policy->second->rules(direction_), packet_, policy_step.rules, out_.logged);
            if (rule == nullptr) {
                continue;
            }
            if (rule->action == Action::pass) {
                step.outcome = TierStep::Outcome::passed;
                return false;
            }
            step.outcome = rule->action == Action::allow ? TierStep::Outcome::allowed : TierStep::Outcome::denied;
            decide(*rule, DecidedBy::policy_rule);
            return true;
        }
        if (tier.end == TierEnd::pass) {
            step.outcome = TierStep::Outcome::end_passed;
            return false;
        }
        step.outcome = TierStep::Outcome::end_denied;
        decide(Verdict::deny, DecidedBy::tier_end, tier_end_id(tier.tier, direction_), tier.deny_action);
        return true;
    }

    /// Whether the profile decided.
    bool judge_profile(const std::string& name) {
        ProfileStep& step = out_.profiles.emplace_back();
        step.name = name;
        const auto profile = snapshot_.profiles.find(name);
        if (profile == snapshot_.profiles.end()) {
            step.exists = false;
            decide(Verdict::deny, DecidedBy::missing_profile, missing_profile_id(name, direction_), std::nullopt);
            return true;
        }
        step.exists = profile->second->exists;
        const Rule* rule = walk(snapshot_, profile->second->rules(direction_), packet_, step.rules, out_.logged);
        if (rule == nullptr || rule->action == Action::pass) {
            return false;
        }
        decide(*rule, step.exists ? DecidedBy::profile_rule : DecidedBy::missing_profile);
        return true;
    }

    const Snapshot& snapshot_;
    Direction direction_;
    const Packet& packet_;
    Evaluation out_;
};

}  // namespace

bool matches(const Snapshot& snapshot, const Rule& rule, const Packet& packet) {
    if (!rule.can_match(packet.family())) {
        return false;
    }
    if ((rule.protocol && packet.protocol != *rule.protocol) ||
        (rule.not_protocol && packet.protocol == *rule.not_protocol)) {
        return false;
    }
    if (rule.icmp && !(is_icmp(packet) && icmp_equals(*rule.icmp, packet))) {
        return false;
    }
    if (rule.not_icmp) {
        const bool icmp = is_icmp(packet);
        if ((icmp && icmp_equals(*rule.not_icmp, packet)) || (!icmp && rule.not_icmp_needs_icmp())) {
            return false;
        }
    }
    return matches_end(snapshot, rule.source, {packet.source, packet.protocol, packet.source_port}) &&
           matches_end(snapshot, rule.destination, {packet.destination, packet.protocol, packet.destination_port});
}

Evaluation evaluate(const Snapshot& snapshot, const Endpoint& endpoint, Direction direction, const Packet& packet) {
    return Evaluator(snapshot, direction, packet).run(endpoint.lists(direction), endpoint.profiles);
}

bool is_failsafe(const Config& config, HostStage stage, Direction direction, const Packet& packet) {
    if (stage == HostStage::forward) {
        return false;
    }
    const bool in = direction == Direction::ingress;
    const net::Ip& other = in ? packet.source : packet.destination;
    const auto holds = [&](const std::vector<FailsafePort>& ports, const std::optional<std::uint16_t>& port) {
        return std::ranges::any_of(ports, [&](const FailsafePort& open) {
            return packet.protocol == open.protocol && port == open.port && (!open.net || open.net->contains(other));
        });
    };
    if (holds(in ? config.failsafe_inbound : config.failsafe_outbound, packet.destination_port)) {
        return true;
    }
    return stage == HostStage::untracked &&
           holds(in ? config.failsafe_outbound : config.failsafe_inbound, packet.source_port);
}

Evaluation evaluate(const Snapshot& snapshot, const HostEndpoint& endpoint, HostStage stage, Direction direction,
                    const Packet& packet) {
    if (is_failsafe(*snapshot.config, stage, direction, packet)) {
        Evaluation out;
        out.verdict = stage == HostStage::normal ? Verdict::allow : Verdict::none;
        out.decided_by = DecidedBy::failsafe;
        return out;
    }
    Evaluator evaluator(snapshot, direction, packet);
    const PolicyLists& lists = endpoint.lists(stage, direction);
    return stage == HostStage::normal ? evaluator.run(lists, endpoint.profiles) : evaluator.run_tiers(lists);
}

}  // namespace manul::felix
