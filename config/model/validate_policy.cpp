#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "config/model/checks.hpp"
#include "config/model/enum_names.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/names.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/policy.hpp"
#include "config/model/profile.hpp"
#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "config/model/staged_policy.hpp"
#include "config/model/tier.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::model {

namespace {

bool is_icmp(const std::optional<net::Protocol>& protocol) {
    return protocol && (*protocol == net::kIcmp || *protocol == net::kIcmpv6);
}

/// One rule; `path` is where it stands.
class RuleChecks {
public:
    RuleChecks(Checks& checks, const Rule& rule, std::string path, PolicyType direction, RuleScope scope)
        : checks_(checks), rule_(rule), path_(std::move(path)), direction_(direction), scope_(scope) {}

    void all() {
        if (rule_.metadata) {
            checks_.annotations(path_ + ".metadata.annotations", rule_.metadata->annotations);
        }
        protocols();
        icmp();
        families();
        http();
        entity(rule_.source, path_ + ".source");
        entity(rule_.destination, path_ + ".destination");
        services();
        checks_.check(!rule_.deny_action || rule_.action == Action::deny, path_ + ".denyAction",
                      "only for action Deny");
    }

private:
    void protocols() {
        const auto family_clash = [&](const std::optional<net::Protocol>& protocol, const char* name) {
            if (!protocol || !rule_.ip_version) {
                return;
            }
            checks_.check(*protocol != net::kIcmp || *rule_.ip_version == net::Family::v4, path_ + name,
                          "ICMP exists in IPv4 alone, but ipVersion is 6; did you mean ICMPv6?");
            checks_.check(*protocol != net::kIcmpv6 || *rule_.ip_version == net::Family::v6, path_ + name,
                          "ICMPv6 exists in IPv6 alone, but ipVersion is 4; did you mean ICMP?");
        };
        family_clash(rule_.protocol, ".protocol");
        family_clash(rule_.not_protocol, ".notProtocol");
    }

    void icmp() {
        checks_.check(!rule_.icmp || is_icmp(rule_.protocol), path_ + ".icmp",
                      "needs protocol ICMP or ICMPv6 in the rule");
        checks_.check(!rule_.icmp || !rule_.icmp->code || rule_.icmp->type, path_ + ".icmp.code", "needs a type");
        checks_.check(!rule_.not_icmp || !rule_.not_icmp->code || rule_.not_icmp->type, path_ + ".notICMP.code",
                      "needs a type");
    }

    /// All CIDRs of a rule are of one family, that of ipVersion where it is given.
    void families() {
        std::optional<net::Family> family = rule_.ip_version;
        const auto look = [&](const std::vector<net::Prefix>& nets, const std::string& path, bool negative) {
            for (std::size_t i = 0; i < nets.size(); ++i) {
                const std::string at = indexed(path, i);
                checks_.check(!negative || nets[i].length() != 0, at,
                              "excludes every address, so the rule never matches");
                if (family && nets[i].family() != *family) {
                    checks_.error(at, rule_.ip_version ? "is of another family than ipVersion"
                                                       : "IPv4 and IPv6 cannot stand in one rule; write two rules");
                }
                family = family.value_or(nets[i].family());
            }
        };
        look(rule_.source.nets, path_ + ".source.nets", false);
        look(rule_.source.not_nets, path_ + ".source.notNets", true);
        look(rule_.destination.nets, path_ + ".destination.nets", false);
        look(rule_.destination.not_nets, path_ + ".destination.notNets", true);
    }

    void http() {
        if (!rule_.http) {
            return;
        }
        const std::string at = path_ + ".http";
        checks_.check(!rule_.protocol || *rule_.protocol == net::kTcp, at, "needs protocol TCP");
        checks_.check(rule_.action == Action::allow, at, "only for action Allow");
        checks_.check(direction_ == PolicyType::ingress, at, "only in ingress rules");
        const std::set<std::string> distinct(rule_.http->methods.begin(), rule_.http->methods.end());
        checks_.check(distinct.size() == rule_.http->methods.size(), at + ".methods", "a method is given twice");
        for (std::size_t i = 0; i < rule_.http->paths.size(); ++i) {
            const HttpPath& path = rule_.http->paths[i];
            const std::string path_at = indexed(at + ".paths", i);
            checks_.check(path.exact.has_value() != path.prefix.has_value(), path_at,
                          "exactly one of exact and prefix");
            const std::string text = path.exact.value_or(path.prefix.value_or("/"));
            checks_.check(text.starts_with('/') && text.find_first_of("?# ") == std::string::npos, path_at,
                          "must begin with '/' and contain no '?', '#' or blank");
        }
    }

    void entity(const EntityRule& entity, const std::string& path) {
        checks_.selector(path + ".selector", entity.selector);
        checks_.selector(path + ".notSelector", entity.not_selector);
        namespace_selector(entity.namespace_selector, path + ".namespaceSelector");
        if (entity.service_accounts) {
            checks_.selector(path + ".serviceAccounts.selector", entity.service_accounts->selector);
        }
        ports(entity.ports, path + ".ports");
        ports(entity.not_ports, path + ".notPorts");
        if (entity.services) {
            const bool alone = entity.selector.empty() && entity.not_selector.empty() &&
                               entity.namespace_selector.empty() && entity.nets.empty() && entity.not_nets.empty() &&
                               !entity.service_accounts;
            checks_.check(alone, path + ".services", "cannot stand beside selectors, nets, notNets or serviceAccounts");
            checks_.check(is_dns_subdomain(entity.services->name), path + ".services.name",
                          "expected the name of a service");
            checks_.check(entity.services->namespace_.empty() || is_dns_subdomain(entity.services->namespace_),
                          path + ".services.namespace", "expected the name of a namespace");
        }
    }

    void namespace_selector(const std::string& text, const std::string& path) {
        const auto parsed = Selector::parse(text);
        if (!parsed || !parsed->is_global()) {
            checks_.selector(path, text);
        }
    }

    void ports(const std::vector<Port>& ports, const std::string& path) {
        if (ports.empty()) {
            return;
        }
        if (rule_.protocol) {
            checks_.check(rule_.protocol->has_ports(), path,
                          "needs protocol TCP, UDP or SCTP in the rule, not " + rule_.protocol->to_string());
            return;
        }
        for (std::size_t i = 0; i < ports.size(); ++i) {
            checks_.check(std::holds_alternative<std::string>(ports[i]), indexed(path, i),
                          "needs protocol TCP, UDP or SCTP in the rule");
        }
    }

    void services() {
        const auto& [wrong, wrong_path] = direction_ == PolicyType::ingress
                                              ? std::pair(&rule_.destination, ".destination.services")
                                              : std::pair(&rule_.source, ".source.services");
        checks_.check(!wrong->services, path_ + wrong_path,
                      direction_ == PolicyType::ingress ? "only for the source in ingress rules"
                                                        : "only for the destination in egress rules");
        checks_.check(
            !rule_.destination.services || (rule_.destination.ports.empty() && rule_.destination.not_ports.empty()),
            path_ + ".destination.services", "cannot stand beside ports: the service names them");
        for (const auto& [entity, path] :
             {std::pair(&rule_.source, ".source"), std::pair(&rule_.destination, ".destination")}) {
            checks_.check(!entity->services || scope_ != RuleScope::global || !entity->services->namespace_.empty(),
                          path_ + path + ".services.namespace", "required in a GlobalNetworkPolicy");
        }
    }

    Checks& checks_;
    const Rule& rule_;
    std::string path_;
    PolicyType direction_;
    RuleScope scope_;
};

void check_policy(Checks& checks, const PolicySpec& spec, RuleScope scope) {
    checks.check(is_dns_label(spec.tier), "spec.tier", "expected the name of a tier");
    checks.selector("spec.selector", spec.selector);
    checks.selector("spec.serviceAccountSelector", spec.service_account_selector);
    checks.check(spec.types.size() < 2 || spec.types[0] != spec.types[1], "spec.types", "a type is given twice");
    checks.check(spec.performance_hints.size() < 2, "spec.performanceHints", "there is only one hint to give");
    check_rules(checks, spec.ingress, PolicyType::ingress, scope);
    check_rules(checks, spec.egress, PolicyType::egress, scope);
}

void check_global(Checks& checks, const GlobalNetworkPolicySpec& spec) {
    checks.selector("spec.namespaceSelector", spec.namespace_selector);
    checks.check(!spec.do_not_track || !spec.pre_dnat, "spec.preDNAT", "cannot stand beside doNotTrack");
    checks.check(!spec.pre_dnat || spec.egress.empty(), "spec.egress", "a preDNAT policy has no egress rules");
    const bool names_egress = std::ranges::find(spec.types, PolicyType::egress) != spec.types.end();
    checks.check(!spec.pre_dnat || !names_egress, "spec.types", "a preDNAT policy has no Egress");
    checks.check(!(spec.do_not_track || spec.pre_dnat) || spec.apply_on_forward, "spec.applyOnForward",
                 "must be true with doNotTrack or preDNAT");
}

/// A staged deletion names the policy that would be gone, and says nothing else but its tier.
template <class Spec>
void check_staged_delete(Checks& checks, const Spec& policy, StagedAction action) {
    Spec empty;
    empty.tier = policy.tier;
    checks.check(action != StagedAction::delete_ || policy == empty, "spec",
                 "must have no other field but tier when stagedAction is Delete");
}

void check_tier(Checks& checks, const Tier& tier) {
    const BuiltInTier* built_in = built_in_tier(tier.metadata.name);
    if (built_in == nullptr) {
        return;
    }
    const auto order = static_cast<long>(built_in->order);
    checks.check(!tier.spec.order || *tier.spec.order == built_in->order, "spec.order",
                 "is fixed at " + std::to_string(order) + " in this built-in tier");
    checks.check(tier.spec.default_action == built_in->default_action, "spec.defaultAction",
                 "is fixed at " + std::string(text_of(built_in->default_action)) + " in this built-in tier");
}

}  // namespace

void check_rules(Checks& checks, const std::vector<Rule>& rules, PolicyType direction, RuleScope scope) {
    const char* list = direction == PolicyType::ingress ? "spec.ingress" : "spec.egress";
    for (std::size_t i = 0; i < rules.size(); ++i) {
        RuleChecks(checks, rules[i], indexed(list, i), direction, scope).all();
    }
}

void check_policy_kinds(Checks& checks, const Resource& resource) {
    if (const auto* policy = as<NetworkPolicy>(resource)) {
        check_policy(checks, policy->spec, RuleScope::namespaced);
    } else if (const auto* global = as<GlobalNetworkPolicy>(resource)) {
        check_policy(checks, global->spec, RuleScope::global);
        check_global(checks, global->spec);
    } else if (const auto* staged = as<StagedNetworkPolicy>(resource)) {
        check_policy(checks, staged->spec, RuleScope::namespaced);
        check_staged_delete<PolicySpec>(checks, staged->spec, staged->spec.staged_action);
    } else if (const auto* staged_global = as<StagedGlobalNetworkPolicy>(resource)) {
        check_policy(checks, staged_global->spec, RuleScope::global);
        check_global(checks, staged_global->spec);
        check_staged_delete<GlobalNetworkPolicySpec>(checks, staged_global->spec, staged_global->spec.staged_action);
    } else if (const auto* tier = as<Tier>(resource)) {
        check_tier(checks, *tier);
    } else if (const auto* profile = as<Profile>(resource)) {
        check_rules(checks, profile->spec.ingress, PolicyType::ingress, RuleScope::profile);
        check_rules(checks, profile->spec.egress, PolicyType::egress, RuleScope::profile);
        checks.labels("spec.labelsToApply", profile->spec.labels_to_apply);
    }
}

}  // namespace manul::model
