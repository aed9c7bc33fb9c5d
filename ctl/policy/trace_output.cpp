#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "ctl/policy/trace.hpp"
#include "felix/eval/explain.hpp"
#include "felix/eval/parse_packet.hpp"
#include "felix/model/rule_id.hpp"

// A trace in words and as JSON.
namespace manul::ctl {

namespace {

namespace json = boost::json;
using felix::DecidedBy;
using felix::Direction;
using felix::PolicyStep;
using felix::ProfileStep;
using felix::RuleStep;
using felix::TierStep;
using felix::Verdict;

std::string policy_text(const felix::PolicyId& id) {
    return fmt::format("{} {}{}{}", to_string(id.kind), id.ns, id.ns.empty() ? "" : "/", id.name);
}

std::string_view verdict_text(Verdict verdict) {
    return verdict == Verdict::deny ? "Deny" : verdict == Verdict::allow ? "Allow" : "None";
}

/// What the client dialed: "192.0.2.1:30080".
std::string dialed_text(const Trace& trace) {
    const bool v4 = trace.before_dnat->family() == net::Family::v4;
    return fmt::format("{}{}{}:{}", v4 ? "" : "[", trace.before_dnat->destination.to_string(), v4 ? "" : "]",
                       trace.before_dnat->destination_port.value_or(0));
}

/// "ingress of pod default/web, on node n1"; "untracked ingress of host endpoint up at eth0, on node n1".
std::string judge_text(const Judgement& judgement) {
    if (!judgement.stage) {
        return fmt::format("{} of {}, on node {}", to_string(judgement.direction), judgement.endpoint.label,
                           judgement.node);
    }
    return fmt::format("{} {} of {} at {}, on node {}", to_string(*judgement.stage), to_string(judgement.direction),
                       judgement.endpoint.label, judgement.interface, judgement.node);
}

std::string_view decided_text(DecidedBy by) {
    switch (by) {
        case DecidedBy::policy_rule:
            return "policyRule";
        case DecidedBy::tier_end:
            return "endOfTier";
        case DecidedBy::profile_rule:
            return "profileRule";
        case DecidedBy::missing_profile:
            return "missingProfile";
        case DecidedBy::no_profile:
            return "noProfile";
        case DecidedBy::failsafe:
            return "failsafe";
        case DecidedBy::nothing:
            return "nothing";
    }
    std::unreachable();
}

std::string_view outcome_text(TierStep::Outcome outcome) {
    switch (outcome) {
        case TierStep::Outcome::allowed:
            return "allowed";
        case TierStep::Outcome::denied:
            return "denied";
        case TierStep::Outcome::passed:
            return "passed";
        case TierStep::Outcome::end_denied:
            return "endOfTierDenied";
        case TierStep::Outcome::end_passed:
            return "endOfTierPassed";
    }
    std::unreachable();
}

std::string_view outcome_words(TierStep::Outcome outcome) {
    switch (outcome) {
        case TierStep::Outcome::allowed:
            return "decided: Allow";
        case TierStep::Outcome::denied:
            return "decided: Deny";
        case TierStep::Outcome::passed:
            return "passed on by a Pass rule";
        case TierStep::Outcome::end_denied:
            return "no rule decided: the end of the tier denies";
        case TierStep::Outcome::end_passed:
            return "no rule decided: the tier passes on";
    }
    std::unreachable();
}

const std::vector<felix::Rule>* rules_of(const felix::Snapshot& snapshot, const PolicyStep& step, Direction direction) {
    const auto found = snapshot.policies.find(step.id);
    return found == snapshot.policies.end() ? nullptr : &found->second->rules(direction);
}

const std::vector<felix::Rule>* rules_of(const felix::Snapshot& snapshot, const ProfileStep& step,
                                         Direction direction) {
    const auto found = snapshot.profiles.find(step.name);
    return found == snapshot.profiles.end() ? nullptr : &found->second->rules(direction);
}

std::string mismatch(const felix::Snapshot& snapshot, const felix::Rule& rule, const felix::Packet& packet) {
    std::string text;
    for (const felix::Criterion& criterion : felix::criteria(snapshot, rule, packet)) {
        if (!criterion.holds) {
            text += (text.empty() ? "it is not " : "; nor ") + criterion.text;
        }
    }
    return text;
}

/// Prints the judgements of one trace.
class Text {
public:
    Text(ClusterView& view, const Trace& trace) : view_(view), trace_(trace) {}

    std::string take(bool brief) {
        const std::string dialed = trace_.before_dnat ? fmt::format(" (dialed {})", dialed_text(trace_)) : "";
        line(0, fmt::format("{} -> {}: {}{}", end_text(trace_.source), end_text(trace_.destination),
                            describe(trace_.packet), dialed));
        for (const Judgement& judgement : trace_.judgements) {
            const felix::Snapshot& snapshot = view_.node(judgement.node);
            line(0, "");
            const Verdict verdict = judgement.evaluation.verdict;
            line(0, fmt::format("{}: {}", judge_text(judgement),
                                verdict == Verdict::none ? "no decision" : verdict_text(verdict)));
            if (!brief) {
                steps(snapshot, judgement);
            }
            line(1, "=> " + decision_text(judgement.evaluation));
        }
        if (trace_.judgements.empty()) {
            line(0, "");
            line(0, "No workload or host endpoint of the cluster is judged on this way.");
        }
        for (const std::string& note : trace_.notes) {
            line(0, "");
            line(0, "note: " + note);
        }
        line(0, "");
        line(0, trace_.verdict == Verdict::deny ? "DENIED" : "ALLOWED");
        return std::move(out_);
    }

private:
    [[nodiscard]] static std::string end_text(const End& end) {
        return end.node.empty() || end.kind == End::Kind::node ? end.label : end.label + " on " + end.node;
    }

    void line(std::size_t depth, std::string_view text) {
        out_.append(text.empty() ? 0 : depth * 2, ' ').append(text).append("\n");
    }

    void steps(const felix::Snapshot& snapshot, const Judgement& judgement) {
        for (const TierStep& tier : judgement.evaluation.tiers) {
            line(1, "tier " + tier.tier);
            for (const PolicyStep& policy : tier.policies) {
                line(2, policy_text(policy.id));
                rules(3, snapshot, rules_of(snapshot, policy, judgement.direction), policy.rules, judgement.packet);
            }
            line(2, outcome_words(tier.outcome));
        }
        for (const ProfileStep& profile : judgement.evaluation.profiles) {
            line(1, "profile " + profile.name + (profile.exists ? "" : " does not exist"));
            rules(2, snapshot, rules_of(snapshot, profile, judgement.direction), profile.rules, judgement.packet);
        }
    }

    void rules(std::size_t depth, const felix::Snapshot& snapshot, const std::vector<felix::Rule>* rules,
               const std::vector<RuleStep>& steps, const felix::Packet& packet) {
        if (steps.empty()) {
            line(depth, "no rules in this direction");
        }
        for (const RuleStep& step : steps) {
            const felix::Rule* rule = rules == nullptr ? nullptr : &rules->at(step.index);
            const std::string text = rule == nullptr ? std::string(to_string(step.action)) : describe(snapshot, *rule);
            line(depth, fmt::format("{} rule {}: {}", step.matched ? "*" : " ", step.index, text));
            if (!step.matched && rule != nullptr) {
                line(depth + 2, mismatch(snapshot, *rule, packet));
            }
        }
    }

    ClusterView& view_;
    const Trace& trace_;
    std::string out_;
};

json::array rules_json(const felix::Snapshot& snapshot, const std::vector<felix::Rule>* rules,
                       const std::vector<RuleStep>& steps, const felix::Packet& packet) {
    json::array list;
    for (const RuleStep& step : steps) {
        json::object entry{{"index", step.index},
                           {"id", fmt::format("{:016x}", step.id.value())},
                           {"action", to_string(step.action)},
                           {"matched", step.matched}};
        if (rules != nullptr) {
            const felix::Rule& rule = rules->at(step.index);
            entry["text"] = describe(snapshot, rule);
            json::array criteria;
            for (const felix::Criterion& criterion : felix::criteria(snapshot, rule, packet)) {
                criteria.emplace_back(json::object{{"text", criterion.text}, {"holds", criterion.holds}});
            }
            entry["criteria"] = std::move(criteria);
        }
        list.emplace_back(std::move(entry));
    }
    return list;
}

json::object packet_json(const felix::Packet& packet) {
    json::object out{{"protocol", packet.protocol.to_string()}};
    const auto add = [&out](const char* name, const auto& number) {
        if (number) {
            out[name] = *number;
        }
    };
    add("sourcePort", packet.source_port);
    add("destinationPort", packet.destination_port);
    add("icmpType", packet.icmp_type);
    add("icmpCode", packet.icmp_code);
    return out;
}

json::object judgement_json(const felix::Snapshot& snapshot, const Judgement& judgement) {
    const felix::Packet& packet = judgement.packet;
    const felix::Evaluation& evaluation = judgement.evaluation;
    json::array tiers;
    for (const TierStep& tier : evaluation.tiers) {
        json::array policies;
        for (const PolicyStep& policy : tier.policies) {
            policies.emplace_back(json::object{
                {"kind", to_string(policy.id.kind)},
                {"namespace", policy.id.ns},
                {"name", policy.id.name},
                {"rules",
                 rules_json(snapshot, rules_of(snapshot, policy, judgement.direction), policy.rules, packet)}});
        }
        tiers.emplace_back(json::object{
            {"name", tier.tier}, {"outcome", outcome_text(tier.outcome)}, {"policies", std::move(policies)}});
    }
    json::array profiles;
    for (const ProfileStep& profile : evaluation.profiles) {
        profiles.emplace_back(json::object{
            {"name", profile.name},
            {"exists", profile.exists},
            {"rules", rules_json(snapshot, rules_of(snapshot, profile, judgement.direction), profile.rules, packet)}});
    }
    json::array logged;
    for (const felix::RuleId id : evaluation.logged) {
        logged.emplace_back(fmt::format("{:016x}", id.value()));
    }
    return {{"node", judgement.node},
            {"direction", to_string(judgement.direction)},
            {"endpoint", judgement.endpoint.label},
            {"interface", judgement.interface},
            {"stage", judgement.stage ? json::value(to_string(*judgement.stage)) : json::value()},
            {"verdict", verdict_text(evaluation.verdict)},
            {"decidedBy", decided_text(evaluation.decided_by)},
            {"decision", decision_text(evaluation)},
            {"ruleID", fmt::format("{:016x}", evaluation.rule.value())},
            {"loggedRuleIDs", std::move(logged)},
            {"tiers", std::move(tiers)},
            {"profiles", std::move(profiles)}};
}

json::object end_json(const End& end, const net::Ip& address) {
    return {{"label", end.label}, {"node", end.node}, {"interface", end.interface}, {"address", address.to_string()}};
}

}  // namespace

std::string decision_text(const felix::Evaluation& evaluation) {
    const std::string_view verb = evaluation.verdict == Verdict::deny ? "denied" : "allowed";
    const bool in_policy = !evaluation.tiers.empty() && !evaluation.tiers.back().policies.empty();
    switch (evaluation.decided_by) {
        case DecidedBy::policy_rule:
            if (in_policy) {
                const TierStep& tier = evaluation.tiers.back();
                const PolicyStep& policy = tier.policies.back();
                return fmt::format("{} by rule {} of {} in tier {}", verb, policy.rules.back().index,
                                   policy_text(policy.id), tier.tier);
            }
            break;
        case DecidedBy::tier_end:
            if (in_policy) {
                std::string policies;
                for (const PolicyStep& policy : evaluation.tiers.back().policies) {
                    policies += (policies.empty() ? "" : ", ") + policy_text(policy.id);
                }
                return fmt::format("{} at the end of tier {}: no rule matched of {}", verb,
                                   evaluation.tiers.back().tier, policies);
            }
            break;
        case DecidedBy::profile_rule:
            return fmt::format("{} by rule {} of profile {}", verb, evaluation.profiles.back().rules.back().index,
                               evaluation.profiles.back().name);
        case DecidedBy::missing_profile:
            return fmt::format("denied: profile {} does not exist", evaluation.profiles.back().name);
        case DecidedBy::failsafe:
            return evaluation.verdict == Verdict::allow ? "allowed: a failsafe port"
                                                        : "left to what comes next: a failsafe port";
        case DecidedBy::nothing:
            return "left to what comes next: no rule decided";
        case DecidedBy::no_profile:
            break;
    }
    return std::string("denied: no policy applies and no profile allows it");
}

std::string trace_text(ClusterView& view, const Trace& trace, bool brief) { return Text(view, trace).take(brief); }

json::object trace_json(ClusterView& view, const Trace& trace) {
    json::array judgements;
    for (const Judgement& judgement : trace.judgements) {
        judgements.emplace_back(judgement_json(view.node(judgement.node), judgement));
    }
    json::array notes(trace.notes.begin(), trace.notes.end());
    return {{"verdict", verdict_text(trace.verdict)},
            {"dialed", trace.before_dnat ? json::value(dialed_text(trace)) : json::value()},
            {"source", end_json(trace.source, trace.packet.source)},
            {"destination", end_json(trace.destination, trace.packet.destination)},
            {"packet", packet_json(trace.packet)},
            {"judgements", std::move(judgements)},
            {"notes", std::move(notes)}};
}

}  // namespace manul::ctl
