#include "felix/calc/rule_scanner.hpp"

#include <algorithm>
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/model/policy.hpp"
#include "config/model/profile.hpp"
#include "config/model/selector.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/calc/identity.hpp"
#include "felix/calc/policy_source.hpp"
#include "felix/calc/rule_json.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

namespace manul::felix {

namespace {

std::optional<DenyAction> to_felix(std::optional<model::DenyAction> action) noexcept {
    if (!action) {
        return std::nullopt;
    }
    return *action == model::DenyAction::drop ? DenyAction::drop : DenyAction::reject;
}

Action to_felix(model::Action action) noexcept {
    switch (action) {
        case model::Action::allow:
            return Action::allow;
        case model::Action::deny:
            return Action::deny;
        case model::Action::log:
            return Action::log;
        case model::Action::pass:
            return Action::pass;
    }
    std::unreachable();
}

/// As for Calico, each ICMP is of its own family.
std::optional<net::Family> family_of(const std::optional<net::Protocol>& protocol) noexcept {
    if (protocol == net::kIcmp) {
        return net::Family::v4;
    }
    return protocol == net::kIcmpv6 ? std::optional(net::Family::v6) : std::nullopt;
}

/// A code without a type is refused by validation; without one there is nothing to compare.
std::optional<IcmpMatch> to_felix(const std::optional<model::IcmpMatch>& match) noexcept {
    if (!match || !match->type) {
        return std::nullopt;
    }
    return IcmpMatch{*match->type, match->code};
}

/// The rules of one policy or profile, read one after another into felix's own form.
class Scanner {
public:
    /// `own_namespace` is empty where selectors mean the whole cluster.
    explicit Scanner(std::string own_namespace) : own_namespace_(std::move(own_namespace)) {}

    using MakeId = std::function<RuleId(const std::string& canonical, std::size_t n)>;

    Result<std::vector<Rule>> rules(const std::vector<model::Rule>& list, Direction direction, const MakeId& make_id,
                                    std::optional<DenyAction> deny_action) {
        std::vector<Rule> out;
        out.reserve(list.size());
        std::map<std::string, std::size_t> seen;
        for (std::size_t i = 0; i < list.size(); ++i) {
            const std::string where = "spec." + std::string(to_string(direction)) + "[" + std::to_string(i) + "]";
            MANUL_TRY(Rule rule, one(list[i], direction, where));
            const std::string canonical = canonical_json(list[i]);
            rule.id = make_id(canonical, seen[canonical]++);
            if (rule.action == Action::deny && !rule.deny_action) {
                rule.deny_action = deny_action;
            }
            out.push_back(std::move(rule));
        }
        return out;
    }

    [[nodiscard]] std::vector<SetSpec> take_sets() { return std::move(sets_); }
    [[nodiscard]] std::vector<std::string> take_notes() { return std::move(notes_); }

private:
    Result<Rule> one(const model::Rule& source, Direction direction, const std::string& where) {
        Rule rule;
        rule.action = to_felix(source.action);
        rule.family = source.ip_version ? source.ip_version : family_of(source.protocol);
        rule.protocol = source.protocol;
        rule.not_protocol = source.not_protocol;
        rule.icmp = to_felix(source.icmp);
        rule.not_icmp = to_felix(source.not_icmp);
        if (source.action == model::Action::deny) {
            rule.deny_action = to_felix(source.deny_action);
        }
        MANUL_TRY(rule.source, entity(source.source, source.protocol, where + ".source"));
        MANUL_TRY(rule.destination, entity(source.destination, source.protocol, where + ".destination"));
        const bool known = add_service(rule.source, source.source, Direction::ingress, direction) &&
                           add_service(rule.destination, source.destination, Direction::egress, direction);
        judge_unenforceable(rule, source, known, where);
        return rule;
    }

    /// A criterion that cannot be enforced makes an Allow or Pass match nothing, and leaves a Deny or Log to the
    /// criteria that can: never wider than written where that opens something.
    void judge_unenforceable(Rule& rule, const model::Rule& source, bool services_known, const std::string& where) {
        const bool opens = rule.action == Action::allow || rule.action == Action::pass;
        const auto report = [&](const std::string& what, Never reason) {
            if (opens) {
                rule.never = reason;
            }
            notes_.push_back(where + ": " + what + (opens ? "; the rule matches nothing" : "; it is ignored"));
        };
        if (source.has_unknown_fields) {
            report("has fields that this version does not know", Never::unknown_field);
        }
        if (source.http) {
            report("http is not enforced", Never::http);
        }
        if (!services_known) {
            report("services name none, or stand on the side of the policy's own endpoints", Never::services);
        }
    }

    /// Who a service is: as source the addresses behind it, as destination these with its ports. Only the peer's side
    /// can be a service. False when it is not understood.
    bool add_service(EntityMatch& match, const model::EntityRule& source, Direction side, Direction direction) {
        if (!source.services) {
            return true;
        }
        const std::string& given = source.services->namespace_;
        const std::string& ns = given.empty() ? own_namespace_ : given;
        if (side != direction || ns.empty() || source.services->name.empty()) {
            return false;
        }
        const SetKind kind = direction == Direction::ingress ? SetKind::addresses : SetKind::ports;
        SetId id = want(service_set(ns, source.services->name, kind));
        (kind == SetKind::addresses ? match.sets : match.named_ports).push_back(std::move(id));
        return true;
    }

    Result<EntityMatch> entity(const model::EntityRule& source, std::optional<net::Protocol> protocol,
                               const std::string& where) {
        EntityMatch match;
        match.nets = source.nets;
        match.not_nets = source.not_nets;
        MANUL_TRY(const std::optional<model::Selector> positive, positive_selector(source, where));
        split_ports(source.ports, positive, protocol, match.ports, match.named_ports);
        split_ports(source.not_ports, positive, protocol, match.not_ports, match.not_named_ports);
        if (positive) {
            // Named ports alone already ask for an endpoint that the selector matches.
            if (match.named_ports.empty() || !match.ports.empty()) {
                match.sets.push_back(want(address_set(*positive)));
            }
        } else if (!source.not_selector.empty()) {
            MANUL_TRY(const model::Selector negative, parse_selector(source.not_selector, where + ".notSelector"));
            match.not_sets.push_back(want(address_set(negative)));
        }
        return match;
    }

    /// What the address must belong to; nothing when it may be any address, in the cluster or outside.
    Result<std::optional<model::Selector>> positive_selector(const model::EntityRule& source,
                                                             const std::string& where) const {
        if (source.selector.empty() && source.namespace_selector.empty() && source.not_selector.empty() &&
            !source.service_accounts) {
            return std::optional<model::Selector>();
        }
        std::vector<model::Selector> parts;
        if (!source.namespace_selector.empty()) {
            MANUL_TRY(const model::Selector namespaces,
                      parse_selector(source.namespace_selector, where + ".namespaceSelector"));
            parts.push_back(namespaces.is_global()
                                ? model::Selector::negate(model::Selector::has(model::kLabelNamespace))
                                : over_namespaces(namespaces));
        } else if (!own_namespace_.empty()) {
            parts.push_back(model::Selector::equals(model::kLabelNamespace, own_namespace_));
        }
        MANUL_CHECK(add_service_accounts(source, where, parts));
        if (!source.selector.empty()) {
            MANUL_TRY(model::Selector own, parse_selector(source.selector, where + ".selector"));
            parts.push_back(std::move(own));
        }
        if (parts.empty()) {
            return std::optional<model::Selector>();
        }
        if (!source.not_selector.empty()) {
            MANUL_TRY(const model::Selector negative, parse_selector(source.not_selector, where + ".notSelector"));
            parts.push_back(model::Selector::negate(negative));
        }
        return std::optional(model::Selector::conjunction(parts));
    }

    /// An empty selector of service accounts means every one, so the endpoint must at least have one.
    static Result<void> add_service_accounts(const model::EntityRule& source, const std::string& where,
                                             std::vector<model::Selector>& parts) {
        if (!source.service_accounts) {
            return {};
        }
        const model::ServiceAccountMatch& accounts = *source.service_accounts;
        if (!accounts.names.empty()) {
            parts.push_back(model::Selector::in(model::kLabelServiceAccount, accounts.names));
        }
        if (!accounts.selector.empty() || accounts.names.empty()) {
            MANUL_TRY(const model::Selector selector,
                      parse_selector(accounts.selector, where + ".serviceAccounts.selector"));
            parts.push_back(over_service_accounts(selector));
        }
        return {};
    }

    void split_ports(const std::vector<model::Port>& ports, const std::optional<model::Selector>& positive,
                     std::optional<net::Protocol> protocol, std::vector<net::PortRange>& numbers,
                     std::vector<SetId>& names) {
        for (const model::Port& port : ports) {
            if (const auto* range = std::get_if<net::PortRange>(&port)) {
                numbers.push_back(*range);
            } else {
                names.push_back(
                    want(named_port_set(positive.value_or(model::Selector()), std::get<std::string>(port), protocol)));
            }
        }
    }

    SetId want(SetSpec spec) {
        SetId id = spec.id;
        if (std::ranges::none_of(sets_, [&id](const SetSpec& known) { return known.id == id; })) {
            sets_.push_back(std::move(spec));
        }
        return id;
    }

    std::string own_namespace_;
    std::vector<SetSpec> sets_;
    std::vector<std::string> notes_;
};

Rule single_rule(Action action, RuleId id) {
    Rule rule;
    rule.action = action;
    rule.id = id;
    return rule;
}

}  // namespace

std::string SetSpec::description() const {
    if (of_service) {
        return (kind == SetKind::ports ? "ports of " : "endpoints of ") + selector.to_string();
    }
    if (kind == SetKind::addresses) {
        return selector.to_string();
    }
    return "port " + port_name + (protocol ? " (" + protocol->to_string() + ")" : "") + " of " + selector.to_string();
}

SetSpec address_set(model::Selector selector) {
    SetSpec spec;
    spec.id = SetId::of_selector(selector.to_string());
    spec.selector = std::move(selector);
    return spec;
}

SetSpec named_port_set(model::Selector selector, std::string port_name, std::optional<net::Protocol> protocol) {
    SetSpec spec;
    spec.kind = SetKind::ports;
    spec.id = SetId::of_named_port(selector.to_string(), protocol ? std::to_string(protocol->number()) : "", port_name);
    spec.selector = std::move(selector);
    spec.port_name = std::move(port_name);
    spec.protocol = protocol;
    return spec;
}

SetSpec service_set(const std::string& ns, const std::string& name, SetKind kind) {
    SetSpec spec;
    spec.kind = kind;
    spec.of_service = true;
    spec.selector = model::Selector::equals(kServiceLabel, service_key(ns, name));
    // No selector of endpoints reads like this, so the two kinds of sets cannot be taken for each other.
    const std::string text = "service " + service_key(ns, name);
    spec.id = kind == SetKind::addresses ? SetId::of_selector(text) : SetId::of_named_port(text, {}, {});
    return spec;
}

Result<ScannedPolicy> scan_policy(const PolicySource& source, std::optional<DenyAction> tier_deny_action) {
    const model::PolicySpec& spec = *source.spec;
    Scanner scanner(source.id.ns);
    ScannedPolicy out;
    out.policy.id = source.id;
    out.policy.tier = spec.tier;
    out.policy.order = spec.order;
    for (const model::PolicyType type : model::effective_types(spec)) {
        (type == model::PolicyType::ingress ? out.policy.has_ingress : out.policy.has_egress) = true;
    }
    out.policy.do_not_track = source.do_not_track;
    out.policy.pre_dnat = source.pre_dnat;
    out.policy.apply_on_forward = source.apply_on_forward;

    const std::optional<DenyAction> deny_action = spec.deny_action ? to_felix(spec.deny_action) : tier_deny_action;
    const auto read = [&](const std::vector<model::Rule>& rules, Direction direction) {
        const auto make_id = [&](const std::string& canonical, std::size_t n) {
            return rule_id(source.id, direction, canonical, n);
        };
        return scanner.rules(rules, direction, make_id, deny_action);
    };
    // Rules of a direction that is not in `types` are without effect.
    if (out.policy.has_ingress) {
        MANUL_TRY(out.policy.ingress, read(spec.ingress, Direction::ingress));
    }
    if (out.policy.has_egress) {
        MANUL_TRY(out.policy.egress, read(spec.egress, Direction::egress));
    }
    out.sets = scanner.take_sets();
    out.notes = source.notes;
    std::ranges::move(scanner.take_notes(), std::back_inserter(out.notes));
    return out;
}

Result<ScannedProfile> scan_profile(const std::string& name, const model::ProfileSpec& spec) {
    Scanner scanner{std::string()};
    ScannedProfile out;
    out.profile.name = name;
    const auto read = [&](const std::vector<model::Rule>& rules, Direction direction) {
        const auto make_id = [&](const std::string& canonical, std::size_t n) {
            return profile_rule_id(name, direction, canonical, n);
        };
        return scanner.rules(rules, direction, make_id, std::nullopt);
    };
    MANUL_TRY(out.profile.ingress, read(spec.ingress, Direction::ingress));
    MANUL_TRY(out.profile.egress, read(spec.egress, Direction::egress));
    out.sets = scanner.take_sets();
    out.notes = scanner.take_notes();
    return out;
}

Profile allow_all_profile(const std::string& name) {
    model::Rule allow;
    allow.action = model::Action::allow;
    const std::string canonical = canonical_json(allow);
    Profile profile;
    profile.name = name;
    profile.ingress = {single_rule(Action::allow, profile_rule_id(name, Direction::ingress, canonical, 0))};
    profile.egress = {single_rule(Action::allow, profile_rule_id(name, Direction::egress, canonical, 0))};
    return profile;
}

Profile empty_profile(const std::string& name) {
    Profile profile;
    profile.name = name;
    return profile;
}

Profile missing_profile(const std::string& name) {
    Profile profile;
    profile.name = name;
    profile.exists = false;
    profile.ingress = {single_rule(Action::deny, missing_profile_id(name, Direction::ingress))};
    profile.egress = {single_rule(Action::deny, missing_profile_id(name, Direction::egress))};
    return profile;
}

}  // namespace manul::felix
