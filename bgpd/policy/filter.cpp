#include "bgpd/policy/filter.hpp"

#include <algorithm>
#include <utility>

#include "base/overloaded.hpp"
#include "bgpd/wire/as_path.hpp"
#include "bgpd/wire/attribute.hpp"

namespace manul::bgp::policy {

namespace {

template <class Key>
bool cidr_holds(const FilterRule& rule, const Key& cidr, const Key& key) noexcept {
    const std::uint8_t low = rule.min_length.value_or(cidr.length);
    const std::uint8_t high = rule.max_length.value_or(Key::kBits);
    const bool length_fits = key.length >= low && key.length <= high;
    switch (*rule.cidr_match) {
        case CidrMatch::equal:
            return length_fits && key == cidr;
        case CidrMatch::not_equal:
            return !(length_fits && key == cidr);
        case CidrMatch::in:
        case CidrMatch::not_in:
            break;
    }
    const bool inside = length_fits && key.length >= cidr.length && key.cut(cidr.length) == cidr;
    return inside == (rule.cidr_match == CidrMatch::in);
}

bool community_holds(const std::variant<wire::Community, wire::LargeCommunity>& wanted,
                     const wire::AttributeFacts& facts) noexcept {
    return std::visit(
        overloaded{
            [&](wire::Community value) { return contains_community(facts.communities, value); },
            [&](const wire::LargeCommunity& value) { return contains_community(facts.large_communities, value); },
        },
        wanted);
}

bool path_begins_with(const wire::AsPathView& path, const std::vector<std::uint32_t>& prefix) {
    const std::vector<std::uint32_t> numbers = path.numbers();
    return numbers.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), numbers.begin());
}

/// All conditions but the cidr's.
bool rest_holds(const FilterRule& rule, PeerType peer, const FilterRoute& route,
                std::optional<wire::AttributeFacts>& facts) {
    if ((rule.peer_type && *rule.peer_type != peer) || (rule.remote_peers_only && !route.from_peer) ||
        (rule.priority && *rule.priority != route.priority)) {
        return false;
    }
    // A route over no interface has one without a name, as for BIRD: "*" means it, too.
    if (!rule.interface.empty() && !glob_matches(rule.interface, route.interface)) {
        return false;
    }
    if (!rule.community && rule.as_path_prefix.empty()) {
        return true;
    }
    if (!facts) {
        facts = wire::attribute_facts(route.attributes);
    }
    return (!rule.community || community_holds(*rule.community, *facts)) &&
           (rule.as_path_prefix.empty() || path_begins_with(facts->as_path, rule.as_path_prefix));
}

bool has_other_conditions(const FilterRule& rule) noexcept {
    return rule.remote_peers_only || !rule.interface.empty() || rule.peer_type || rule.community ||
           !rule.as_path_prefix.empty() || rule.priority;
}

}  // namespace

FilterProgram::FilterProgram(std::vector<FilterRule> rules) : rules_(std::move(rules)) {
    for (const FilterRule& rule : rules_) {
        if (!rule.cidr_match && !has_other_conditions(rule)) {
            first_without_condition_ =
                std::min(first_without_condition_, static_cast<std::size_t>(&rule - rules_.data()));
        }
        asks_for_route_ = asks_for_route_ || has_other_conditions(rule);
        const bool is_v4 = rule.cidr.family() == net::Family::v4;
        v4_.push_back(is_v4 ? net::PrefixKey4::from(rule.cidr) : net::PrefixKey4{});
        v6_.push_back(is_v4 ? net::PrefixKey6{} : net::PrefixKey6::from(rule.cidr));
        asks_for_interface_ = asks_for_interface_ || !rule.interface.empty();
    }
}

template <class Key>
std::size_t FilterProgram::first_match(const std::vector<Key>& cidrs, const Key& key, PeerType peer,
                                       const FilterRoute& route) const {
    std::optional<wire::AttributeFacts> facts;  // read when the first rule asks
    for (std::size_t i = 0; i < rules_.size(); ++i) {
        if (i == first_without_condition_) {
            return i;
        }
        const FilterRule& rule = rules_[i];
        if ((!rule.cidr_match || cidr_holds(rule, cidrs[i], key)) && rest_holds(rule, peer, route, facts)) {
            return i;
        }
    }
    return kNoMatch;
}

std::size_t FilterProgram::search(const net::PrefixKey4& key, PeerType peer, const FilterRoute& route) const {
    return first_match(v4_, key, peer, route);
}
std::size_t FilterProgram::search(const net::PrefixKey6& key, PeerType peer, const FilterRoute& route) const {
    return first_match(v6_, key, peer, route);
}

bool same_rules(const FilterPtr& a, const FilterPtr& b) noexcept {
    return a == b || (a != nullptr && b != nullptr && *a == *b);
}

bool PeerFilters::operator==(const PeerFilters& other) const noexcept {
    return std::ranges::equal(import_rules, other.import_rules, same_rules) &&
           std::ranges::equal(export_rules, other.export_rules, same_rules);
}

void apply(const std::vector<FilterOperation>& operations, wire::PathAttributes& attributes) {
    for (const FilterOperation& operation : operations) {
        std::visit(overloaded{
                       [&](const AddCommunity& add) {
                           std::visit([&](const auto& community) { attributes.add(community); }, add.value);
                       },
                       [&](const PrependAsPath& prepend) {
                           for (auto as = prepend.prefix.rbegin(); as != prepend.prefix.rend(); ++as) {
                               attributes.prepend(*as);
                           }
                       },
                       [&](const SetPriority& priority) { attributes.local_pref = local_pref_of(priority.value); },
                   },
                   operation);
    }
}

Bytes with_operations(const std::vector<FilterOperation>& operations, ByteView canonical) {
    wire::PathAttributes attributes = wire::decode_attributes(canonical);
    apply(operations, attributes);
    Bytes out;
    wire::encode_attributes(attributes, out);
    return out;
}

bool glob_matches(std::string_view glob, std::string_view text) noexcept {
    std::size_t g = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;  // last `*` seen
    std::size_t resume = 0;                     // where to go on when what follows it does not fit
    while (t < text.size()) {
        if (g < glob.size() && glob[g] == '*') {
            star = g++;
            resume = t;
        } else if (g < glob.size() && glob[g] == text[t]) {
            ++g;
            ++t;
        } else if (star != std::string_view::npos) {
            g = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    return std::all_of(glob.begin() + static_cast<std::ptrdiff_t>(g), glob.end(), [](char c) { return c == '*'; });
}

}  // namespace manul::bgp::policy
