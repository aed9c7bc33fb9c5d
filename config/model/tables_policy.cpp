#include "config/model/described.hpp"
#include "config/model/field.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/network_set.hpp"
#include "config/model/policy.hpp"
#include "config/model/profile.hpp"
#include "config/model/tables.hpp"
#include "config/model/tier.hpp"

namespace manul::model {

namespace {

constexpr auto kIcmpMatch = std::to_array<Field>({
    field<&IcmpMatch::type>("type", "ICMP type.").range(0, 254),
    field<&IcmpMatch::code>("code", "ICMP code; needs a type.").range(0, 255),
});
constexpr auto kServiceMatch = std::to_array<Field>({
    field<&ServiceMatch::name>("name", "Name of the service.").required(),
    field<&ServiceMatch::namespace_>("namespace", "Its namespace; in a NetworkPolicy by default the policy's own."),
});
constexpr auto kServiceAccountMatch = std::to_array<Field>({
    field<&ServiceAccountMatch::names>("names", "Names of service accounts."),
    field<&ServiceAccountMatch::selector>("selector", "Labels of service accounts.").length(1024),
});
constexpr auto kEntityRule = std::to_array<Field>({
    field<&EntityRule::nets, RuleCidr>("nets", "The address is in any of these.").items(256),
    field<&EntityRule::not_nets, RuleCidr>("notNets", "The address is in none of these.").items(256),
    field<&EntityRule::selector>("selector", "Labels of endpoints and network sets.").length(1024),
    field<&EntityRule::not_selector>("notSelector", "Labels that must not match.").length(1024),
    field<&EntityRule::namespace_selector>("namespaceSelector", "Labels of the namespace; global() for what has none.")
        .length(1024),
    field<&EntityRule::services>("services", "The endpoints of a service."),
    field<&EntityRule::ports>("ports", "Numbers, ranges or names of ports, any of which matches.").items(50),
    field<&EntityRule::not_ports>("notPorts", "Ports none of which may match.").items(50),
    field<&EntityRule::service_accounts>("serviceAccounts", "Service accounts of the pods."),
});
constexpr auto kHttpPath = std::to_array<Field>({
    field<&HttpPath::exact>("exact", "The path itself.").length(1024),
    field<&HttpPath::prefix>("prefix", "The beginning of the path.").length(1024),
});
constexpr auto kHttpMatch = std::to_array<Field>({
    field<&HttpMatch::methods>("methods", "Any of these methods.").items(20),
    field<&HttpMatch::paths>("paths", "Any of these paths.").items(20),
});
constexpr auto kRuleMetadata = std::to_array<Field>({
    field<&RuleMetadata::annotations>("annotations", "Remarks, shown where the rule is shown."),
});
constexpr auto kRule = std::to_array<Field>({
    field<&Rule::action>("action", "What happens to a packet that matches.").required(),
    field<&Rule::metadata>("metadata", "Remarks about the rule."),
    field<&Rule::ip_version>("ipVersion", "4 or 6; absent: both."),
    field<&Rule::protocol>("protocol", "Name or number; absent: any."),
    field<&Rule::not_protocol>("notProtocol", "Any protocol but this."),
    field<&Rule::icmp>("icmp", "ICMP type and code; needs protocol ICMP or ICMPv6."),
    field<&Rule::not_icmp>("notICMP", "Any ICMP type and code but these."),
    field<&Rule::source>("source", "Where the packet comes from."),
    field<&Rule::destination>("destination", "Where the packet goes."),
    field<&Rule::http>("http", "HTTP requests; only with Allow, only for ingress."),
    field<&Rule::deny_action>("denyAction", "How Deny answers; by default as the policy says.").manul(),
});
constexpr auto kPolicy = std::to_array<Field>({
    field<&PolicySpec::tier>("tier", "The tier that the policy is in.").fallback("default").written_on_create(),
    field<&PolicySpec::order>("order", "Place in the tier, lowest first; absent: last."),
    field<&PolicySpec::selector>("selector", "Endpoints that the policy applies to; empty: all in scope.").length(1024),
    field<&PolicySpec::types>("types",
                              "Directions that the policy covers. Default: Egress if there are only egress rules, both "
                              "if there are both, else Ingress.")
        .items(2)
        .written_on_create(),
    field<&PolicySpec::ingress>("ingress", "Rules for packets to the endpoints, in order.").items(1024),
    field<&PolicySpec::egress>("egress", "Rules for packets from the endpoints, in order.").items(1024),
    field<&PolicySpec::service_account_selector>("serviceAccountSelector", "Labels of the pods' service accounts.")
        .length(1024),
    field<&PolicySpec::performance_hints>("performanceHints", "AssumeNeededOnEveryNode: keep active everywhere."),
    field<&PolicySpec::deny_action>("denyAction", "How Deny answers; by default as the tier says.").manul(),
});
constexpr auto kGlobalNetworkPolicy = std::to_array<Field>({
    field<&GlobalNetworkPolicySpec::namespace_selector>("namespaceSelector", "Namespaces that the policy applies to.")
        .length(1024),
    field<&GlobalNetworkPolicySpec::do_not_track>("doNotTrack", "Before connection tracking; host endpoints only.")
        .fallback("false"),
    field<&GlobalNetworkPolicySpec::pre_dnat>("preDNAT", "Before destination NAT; ingress of host endpoints only.")
        .fallback("false"),
    field<&GlobalNetworkPolicySpec::apply_on_forward>("applyOnForward", "Also for forwarded traffic of host endpoints.")
        .fallback("false"),
});
constexpr auto kTier = std::to_array<Field>({
    field<&TierSpec::order>("order", "Place among the tiers, lowest first.").fallback("1000000").written_on_create(),
    field<&TierSpec::default_action>("defaultAction",
                                     "What happens to a packet that a policy of the tier selects but no rule matches.")
        .fallback("Deny"),
    field<&TierSpec::deny_action>("denyAction", "How Deny answers; by default as FelixConfiguration says.").manul(),
});
constexpr auto kNetworkSet = std::to_array<Field>({
    field<&NetworkSetSpec::nets, LooseCidr>("nets", "Addresses and ranges of both families."),
});
constexpr auto kProfile = std::to_array<Field>({
    field<&ProfileSpec::ingress>("ingress", "Rules for packets to the endpoints.").items(1024),
    field<&ProfileSpec::egress>("egress", "Rules for packets from the endpoints.").items(1024),
    field<&ProfileSpec::labels_to_apply>("labelsToApply", "Labels that endpoints with this profile get."),
});

}  // namespace

template <>
constinit const ObjectInfo Described<IcmpMatch>::kInfo = object<IcmpMatch>("ICMP", "ICMP type and code.", kIcmpMatch);
template <>
constinit const ObjectInfo Described<ServiceMatch>::kInfo =
    object<ServiceMatch>("ServiceMatch", "A service.", kServiceMatch);
template <>
constinit const ObjectInfo Described<ServiceAccountMatch>::kInfo =
    object<ServiceAccountMatch>("ServiceAccountMatch", "Service accounts.", kServiceAccountMatch);
template <>
constinit const ObjectInfo Described<EntityRule>::kInfo =
    object<EntityRule>("EntityRule", "One side of a packet.", kEntityRule);
template <>
constinit const ObjectInfo Described<HttpPath>::kInfo = object<HttpPath>("HTTPPath", "One of the two.", kHttpPath);
template <>
constinit const ObjectInfo Described<HttpMatch>::kInfo = object<HttpMatch>("HTTPMatch", "HTTP requests.", kHttpMatch);
template <>
constinit const ObjectInfo Described<RuleMetadata>::kInfo =
    object<RuleMetadata>("RuleMetadata", "Remarks.", kRuleMetadata);
template <>
constinit const ObjectInfo Described<Rule>::kInfo =
    object<Rule>("Rule", "Matches when every given criterion holds.", kRule);
template <>
constinit const ObjectInfo Described<PolicySpec>::kInfo =
    object<PolicySpec>("NetworkPolicy", "What endpoints of one namespace may send and receive.", kPolicy);
template <>
constinit const ObjectInfo Described<GlobalNetworkPolicySpec>::kInfo =
    derived_object<GlobalNetworkPolicySpec, PolicySpec>(
        "GlobalNetworkPolicy", "What endpoints of all namespaces and hosts may send and receive.",
        kGlobalNetworkPolicy);
template <>
constinit const ObjectInfo Described<TierSpec>::kInfo =
    object<TierSpec>("Tier", "An ordered group of policies.", kTier);
template <>
constinit const ObjectInfo Described<NetworkSetSpec>::kInfo =
    object<NetworkSetSpec>("NetworkSet", "Addresses that selectors match by the object's labels.", kNetworkSet);
template <>
constinit const ObjectInfo Described<ProfileSpec>::kInfo =
    object<ProfileSpec>("Profile", "Rules and labels of the endpoints that list it.", kProfile);

}  // namespace manul::model
