#include "bgpd/speaker/filters.hpp"

#include <array>
#include <optional>
#include <utility>
#include <variant>

namespace manul::bgp::speaker {

namespace {

using CommunityValue = std::variant<wire::Community, wire::LargeCommunity>;

std::optional<CommunityValue> community_of(const std::string& text) {
    if (const auto standard = wire::Community::parse(text)) {
        return *standard;
    }
    if (const auto large = wire::LargeCommunity::parse(text)) {
        return *large;
    }
    return std::nullopt;
}

policy::CidrMatch match_of(model::MatchOperator match) {
    switch (match) {
        case model::MatchOperator::equal:
            return policy::CidrMatch::equal;
        case model::MatchOperator::not_equal:
            return policy::CidrMatch::not_equal;
        case model::MatchOperator::in:
            return policy::CidrMatch::in;
        case model::MatchOperator::not_in:
            break;
    }
    return policy::CidrMatch::not_in;
}

std::vector<policy::FilterOperation> operations_of(const std::vector<model::FilterOperation>& operations) {
    std::vector<policy::FilterOperation> out;
    for (const model::FilterOperation& operation : operations) {
        if (operation.add_community) {
            if (const auto value = community_of(operation.add_community->value)) {
                out.emplace_back(policy::AddCommunity{*value});
            }
        }
        if (operation.prepend_as_path) {
            out.emplace_back(policy::PrependAsPath{operation.prepend_as_path->prefix});
        }
        if (operation.set_priority) {
            out.emplace_back(policy::SetPriority{operation.set_priority->value});
        }
    }
    return out;
}

/// Nothing for a rule that must not have an effect.
std::optional<policy::FilterRule> rule_of(const model::BgpFilterRule& rule) {
    const bool accept = rule.action == model::FilterAction::accept;
    if (accept && rule.has_unknown_fields) {
        return std::nullopt;
    }
    policy::FilterRule out;
    out.action = accept ? policy::FilterAction::accept : policy::FilterAction::reject;
    if (rule.match_operator && rule.cidr) {
        out.cidr_match = match_of(*rule.match_operator);
        out.cidr = *rule.cidr;
    }
    if (rule.prefix_length) {
        out.min_length = rule.prefix_length->min;
        out.max_length = rule.prefix_length->max;
    }
    out.remote_peers_only = rule.source.has_value();
    out.interface = rule.interface;
    if (rule.peer_type) {
        out.peer_type =
            *rule.peer_type == model::FilterPeerType::ebgp ? policy::PeerType::external : policy::PeerType::internal;
    }
    if (rule.communities && !rule.communities->values.empty()) {
        out.community = community_of(rule.communities->values.front());
        if (!out.community) {
            return std::nullopt;
        }
    }
    for (const net::Asn as : rule.as_path_prefix) {
        out.as_path_prefix.push_back(as.number());
    }
    out.priority = rule.priority;
    out.operations = operations_of(rule.operations);
    return out;
}

void append(const std::vector<model::BgpFilterRule>& rules, const std::string& label,
            std::vector<policy::FilterRule>& out) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
        if (auto rule = rule_of(rules[i])) {
            rule->label = label + "[" + std::to_string(i) + "]";
            out.push_back(*std::move(rule));
        }
    }
}

}  // namespace

std::expected<policy::PeerFilters, std::string> compile_filters(const std::vector<std::string>& names,
                                                                const FiltersByName& filters) {
    std::array<std::vector<policy::FilterRule>, 2> import_rules;
    std::array<std::vector<policy::FilterRule>, 2> export_rules;
    for (const std::string& name : names) {
        const auto found = filters.find(name);
        if (found == filters.end()) {
            return std::unexpected("BGPFilter(" + name + ") does not exist");
        }
        const model::BgpFilterSpec& spec = found->second->spec;
        append(spec.import_v4, name + " importV4", import_rules[0]);
        append(spec.import_v6, name + " importV6", import_rules[1]);
        append(spec.export_v4, name + " exportV4", export_rules[0]);
        append(spec.export_v6, name + " exportV6", export_rules[1]);
    }
    policy::PeerFilters out;
    for (std::size_t family = 0; family < 2; ++family) {
        if (!import_rules[family].empty()) {
            out.import_rules[family] = std::make_shared<const policy::FilterProgram>(std::move(import_rules[family]));
        }
        if (!export_rules[family].empty()) {
            out.export_rules[family] = std::make_shared<const policy::FilterProgram>(std::move(export_rules[family]));
        }
    }
    return out;
}

}  // namespace manul::bgp::speaker
