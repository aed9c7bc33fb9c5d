#include <algorithm>
#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
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
        entity(rule_.source, ".source");
        entity(rule_.destination, ".destination");
        services();
        checks_.check(!rule_.deny_action || rule_.action == Action::deny, at(".denyAction"), "only for action Deny");
    }

private:
    [[nodiscard]] Place at(std::string_view field, std::string_view part = {}) const { return {path_, field, part}; }

    void protocols() {
        const auto family_clash = [&](const std::optional<net::Protocol>& protocol, const char* name) {
            if (!protocol || !rule_.ip_version) {
                return;
            }
            checks_.check(*protocol != net::kIcmp || *rule_.ip_version == net::Family::v4, at(name),
                          "ICMP exists in IPv4 alone, but ipVersion is 6; did you mean ICMPv6?");
            checks_.check(*protocol != net::kIcmpv6 || *rule_.ip_version == net::Family::v6, at(name),
                          "ICMPv6 exists in IPv6 alone, but ipVersion is 4; did you mean ICMP?");
        };
        family_clash(rule_.protocol, ".protocol");
        family_clash(rule_.not_protocol, ".notProtocol");
    }

    void icmp() {
        checks_.check(!rule_.icmp || is_icmp(rule_.protocol), at(".icmp"), "needs protocol ICMP or ICMPv6 in the rule");
        checks_.check(!rule_.icmp || !rule_.icmp->code || rule_.icmp->type, at(".icmp.code"), "needs a type");
        checks_.check(!rule_.not_icmp || !rule_.not_icmp->code || rule_.not_icmp->type, at(".notICMP.code"),
                      "needs a type");
    }

    /// All CIDRs of a rule are of one family, that of ipVersion where it is given.
    void families() {
        std::optional<net::Family> family = rule_.ip_version;
        const auto look = [&](const std::vector<net::Prefix>& nets, const Place& place, bool negative) {
            for (std::size_t i = 0; i < nets.size(); ++i) {
                if (negative && nets[i].length() == 0) {
                    checks_.error(indexed(place.text(), i), "excludes every address, so the rule never matches");
                }
                if (family && nets[i].family() != *family) {
                    checks_.error(indexed(place.text(), i),
                                  rule_.ip_version ? "is of another family than ipVersion"
                                                   : "IPv4 and IPv6 cannot stand in one rule; write two rules");
                }
                family = family.value_or(nets[i].family());
            }
        };
        look(rule_.source.nets, at(".source.nets"), false);
        look(rule_.source.not_nets, at(".source.notNets"), true);
        look(rule_.destination.nets, at(".destination.nets"), false);
        look(rule_.destination.not_nets, at(".destination.notNets"), true);
    }

    void http() {
        if (!rule_.http) {
            return;
        }
        const std::string here = path_ + ".http";
        checks_.check(!rule_.protocol || *rule_.protocol == net::kTcp, here, "needs protocol TCP");
        checks_.check(rule_.action == Action::allow, here, "only for action Allow");
        checks_.check(direction_ == PolicyType::ingress, here, "only in ingress rules");
        const std::set<std::string> distinct(rule_.http->methods.begin(), rule_.http->methods.end());
        checks_.check(distinct.size() == rule_.http->methods.size(), here + ".methods", "a method is given twice");
        for (std::size_t i = 0; i < rule_.http->paths.size(); ++i) {
            const HttpPath& path = rule_.http->paths[i];
            const std::string path_at = indexed(here + ".paths", i);
            const std::string exact = path.exact.value_or("");
            const std::string prefix = path.prefix.value_or("");
            checks_.check(exact.empty() != prefix.empty(), path_at, "exactly one of exact and prefix");
            const std::string text = !exact.empty() ? exact : !prefix.empty() ? prefix : "/";
            checks_.check(text.starts_with('/') && text.find_first_of("?# ") == std::string::npos, path_at,
                          "must begin with '/' and contain no '?', '#' or blank");
        }
    }

    void entity(const EntityRule& entity, std::string_view side) {
        checks_.selector(at(side, ".selector"), entity.selector);
        checks_.selector(at(side, ".notSelector"), entity.not_selector);
        namespace_selector(entity.namespace_selector, at(side, ".namespaceSelector"));
        if (entity.service_accounts) {
            checks_.selector(at(side, ".serviceAccounts.selector"), entity.service_accounts->selector);
        }
        ports(entity.ports, at(side, ".ports"));
        ports(entity.not_ports, at(side, ".notPorts"));
        if (entity.services) {
            const bool alone = entity.selector.empty() && entity.not_selector.empty() &&
                               entity.namespace_selector.empty() && entity.nets.empty() && entity.not_nets.empty() &&
                               !entity.service_accounts;
            checks_.check(alone, at(side, ".services"),
                          "cannot stand beside selectors, nets, notNets or serviceAccounts");
            checks_.check(is_dns_subdomain(entity.services->name), at(side, ".services.name"),
                          "expected the name of a service");
            checks_.check(entity.services->namespace_.empty() || is_dns_subdomain(entity.services->namespace_),
                          at(side, ".services.namespace"), "expected the name of a namespace");
        }
    }

    void namespace_selector(std::string_view text, const Place& place) {
        if (text.find("global") != std::string_view::npos) {
            const auto parsed = Selector::parse(text);
            if (parsed && parsed->is_global()) {
                return;
            }
        }
        checks_.selector(place, text);
    }

    void ports(const std::vector<Port>& ports, const Place& place) {
        if (ports.empty()) {
            return;
        }
        if (rule_.protocol) {
            if (!rule_.protocol->has_ports()) {
                checks_.error(place.text(),
                              "needs protocol TCP, UDP or SCTP in the rule, not " + rule_.protocol->to_string());
            }
            return;
        }
        for (std::size_t i = 0; i < ports.size(); ++i) {
            if (!std::holds_alternative<std::string>(ports[i])) {
                checks_.error(indexed(place.text(), i), "needs protocol TCP, UDP or SCTP in the rule");
            }
        }
    }

    void services() {
        const auto& [wrong, side] = direction_ == PolicyType::ingress ? std::pair(&rule_.destination, ".destination")
                                                                      : std::pair(&rule_.source, ".source");
        checks_.check(!wrong->services, at(side, ".services"),
                      direction_ == PolicyType::ingress ? "only for the source in ingress rules"
                                                        : "only for the destination in egress rules");
        checks_.check(
            !rule_.destination.services || (rule_.destination.ports.empty() && rule_.destination.not_ports.empty()),
            at(".destination.services"), "cannot stand beside ports: the service names them");
        for (const auto& [entity, name] :
             {std::pair(&rule_.source, ".source"), std::pair(&rule_.destination, ".destination")}) {
            checks_.check(!entity->services || scope_ != RuleScope::global || !entity->services->namespace_.empty(),
                          at(name, ".services.namespace"), "required in a GlobalNetworkPolicy");
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
