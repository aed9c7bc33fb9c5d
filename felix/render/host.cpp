#include "felix/render/host.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/link_messages.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/rule_id.hpp"
#include "felix/render/by_family.hpp"
#include "felix/render/denial.hpp"
#include "felix/render/inputs.hpp"
#include "felix/render/names.hpp"
#include "felix/render/rule.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/ruleset_writer.hpp"
#include "felix/render/skeleton.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

/// One place where policy of one stage and direction is rendered.
struct Place {
    std::string_view prefix;  ///< of the names of its chains
    TableId table;
    HostStage stage;
    Direction direction;
    Acceptance acceptance;
    bool can_reject = true;
};
// "u" asks again what untracked policy said. "x" is normal egress behind output NAT, where nothing can be rejected.
constexpr Place kRawIn{"ui", TableId::raw, HostStage::untracked, Direction::ingress, Acceptance::untracked};
constexpr Place kRawOut{"uo", TableId::raw, HostStage::untracked, Direction::egress, Acceptance::untracked};
constexpr Place kPreUntracked{"ui", TableId::pre, HostStage::untracked, Direction::ingress, Acceptance::plain};
constexpr Place kPreDnat{"pi", TableId::pre, HostStage::pre_dnat, Direction::ingress, Acceptance::labelled};
constexpr Place kInUntracked{"ui", TableId::host, HostStage::untracked, Direction::ingress, Acceptance::plain};
constexpr Place kOutUntracked{"uo", TableId::host, HostStage::untracked, Direction::egress, Acceptance::plain};
constexpr Place kForwardIn{"fi", TableId::host, HostStage::forward, Direction::ingress, Acceptance::marked};
constexpr Place kForwardOut{"fo", TableId::host, HostStage::forward, Direction::egress, Acceptance::marked};
constexpr Place kNormalIn{"ni", TableId::host, HostStage::normal, Direction::ingress, Acceptance::marked};
constexpr Place kNormalOut{"no", TableId::host, HostStage::normal, Direction::egress, Acceptance::marked};
constexpr Place kNormalPost{"xo", TableId::host, HostStage::normal, Direction::egress, Acceptance::marked, false};

constexpr std::int32_t kRawPriority = -299;  // behind the check of workloads' sources
constexpr std::int32_t kBeforeDnat = -150;
constexpr std::int32_t kForwardInPriority = -20;
constexpr std::int32_t kForwardOutPriority = -10;
constexpr std::int32_t kFilter = 0;
constexpr std::int32_t kBehindPolicy = 10;

constexpr std::uint8_t kIcmpv6 = 58;

std::string chain_name(const Place& place, std::string_view rest) {
    std::string text(place.prefix);
    text.append("_").append(rest);
    return text;
}

MatchInterface::Way way_of(const Place& place) {
    return place.direction == Direction::ingress ? MatchInterface::Way::in : MatchInterface::Way::out;
}

bool has_pass(const std::vector<felix::Rule>& rules) {
    return std::ranges::any_of(rules, [](const felix::Rule& rule) { return rule.action == felix::Action::pass; });
}

Rule link_messages(Direction direction) {
    std::vector<std::uint8_t> types(kLinkMessages.begin(), kLinkMessages.end());
    if (direction == Direction::egress) {
        types.push_back(kMldReport2);
    }
    return {{MatchProtocol{kIcmpv6}, MatchIcmpTypes{std::move(types)}}, {accept()}};
}

/// Accepts ports that policy never closes: `ports` of one side of the packet; their nets are about the other machine.
void add_failsafe(std::vector<Rule>& rules, net::Family family, const std::vector<FailsafePort>& ports, Side port_side,
                  Side other_machine) {
    std::map<std::pair<std::uint8_t, std::optional<net::Prefix>>, std::vector<net::PortRange>> grouped;
    for (const FailsafePort& port : ports) {
        if (!port.net || port.net->family() == family) {
            grouped[{port.protocol.number(), port.net}].push_back(*net::PortRange::make(port.port, port.port));
        }
    }
    for (auto& [key, ranges] : grouped) {
        std::ranges::sort(ranges);
        const auto repeated = std::ranges::unique(ranges);
        ranges.erase(repeated.begin(), repeated.end());
        Rule rule{{MatchProtocol{key.first}, MatchPort{port_side, ranges}}, {accept()}};
        if (key.second && key.second->length() != 0) {
            rule.matches.emplace_back(MatchAddress{other_machine, {*key.second}});
        }
        rules.push_back(std::move(rule));
    }
}

}  // namespace

/// Makes all chains of one family.
class HostChains::Builder {
public:
    Builder(HostChains& owner, const Inputs& inputs, net::Family family)
        : owner_(owner), inputs_(inputs), family_(family) {
        for (const auto& [key, endpoint] : owner.endpoints_) {
            for (const std::string& interface : endpoint->interfaces) {
                named_.emplace_back(interface, &*endpoint);
            }
            wildcard_ = endpoint->wildcard ? &*endpoint : wildcard_;
        }
    }

    void build() {
        const bool pre_dnat = any(HostStage::pre_dnat, Direction::ingress);
        add_base(kRawIn, "host_in", raw(kRawIn), {Hook::Type::filter, Hook::Point::prerouting, kRawPriority});
        add_base(kRawOut, "host_out", raw(kRawOut), {Hook::Type::filter, Hook::Point::output, kRawPriority});
        if (pre_dnat) {
            std::vector<Rule> rules{established()};
            if (family_ == net::Family::v6) {
                rules.push_back(link_messages(Direction::ingress));
            }
            ask_untracked_again(kPreUntracked, rules);
            dispatch(kPreDnat, rules);
            add_base(kPreDnat, "pre_hook", std::move(rules),
                     {Hook::Type::filter, Hook::Point::prerouting, kBeforeDnat});
        }
        input(pre_dnat);
        forward(kForwardIn, "fwd_in", kForwardInPriority, pre_dnat);
        forward(kForwardOut, "fwd_out", kForwardOutPriority, pre_dnat);
        end_service_loops();
        if (wildcard_ != nullptr || !named_.empty()) {
            output();
        }
    }

    /// In order of dependence.
    [[nodiscard]] std::vector<std::pair<ChainKey, ChainPtr>> take() { return std::move(chains_); }

    /// The chain of a policy at a place; null when it has no rules there or they stand in the tier's chain.
    static ChainPtr leaf(const Place& place, net::Family family, const std::vector<felix::Rule>& rules,
                         const Inputs& inputs) {
        std::vector<Rule> rendered = rules_of(place, family, rules, inputs);
        return rendered.empty() ? nullptr : Chain::make(family, std::move(rendered));
    }

    /// Renders the chains of a policy or profile again; `base` is what their names have in common. `rules_at` gives its
    /// rules of a direction, null when it is gone.
    template <class RulesAt>
    static void renew_leaves(HostChains& owner, std::string_view base, const RulesAt& rules_at, const Inputs& inputs,
                             RulesetWriter& writer) {
        for (const Place& place : {kRawIn, kRawOut, kPreUntracked, kPreDnat, kInUntracked, kOutUntracked, kForwardIn,
                                   kForwardOut, kNormalIn, kNormalOut, kNormalPost}) {
            for (const net::Family family : kFamilies) {
                const auto known = owner.leaves_.find({{family, place.table}, chain_name(place, base)});
                if (known == owner.leaves_.end()) {
                    continue;
                }
                const std::vector<felix::Rule>* rules = rules_at(place.direction);
                if (rules == nullptr || has_pass(*rules) || known->second == nullptr) {
                    owner.leaves_.erase(known);  // the chains that name it, or hold it, may differ as well
                    owner.structure_changed_ = true;
                    continue;
                }
                ChainPtr chain = leaf(place, family, *rules, inputs);
                owner.structure_changed_ = owner.structure_changed_ || chain == nullptr;
                known->second = chain;
                if (chain != nullptr) {
                    owner.given_[known->first] = chain;
                    writer.put_chain(known->first.first, known->first.second, chain);
                }
            }
        }
    }

private:
    static std::vector<Rule> rules_of(const Place& place, net::Family family, const std::vector<felix::Rule>& rules,
                                      const Inputs& inputs) {
        RuleContext context = inputs.rule_context(family, place.direction);
        context.acceptance = place.acceptance;
        context.can_reject = place.can_reject;
        return render_rules(rules, context);
    }

    [[nodiscard]] bool any(HostStage stage, Direction direction) const {
        return std::ranges::any_of(owner_.endpoints_,
                                   [&](const auto& entry) { return !entry.second->lists(stage, direction)->empty(); });
    }
    static bool has_policy(const HostEndpoint& endpoint, const Place& place) {
        return place.stage == HostStage::normal || !endpoint.lists(place.stage, place.direction)->empty();
    }

    // --- base chains ---

    void add_base(const Place& place, const char* name, std::vector<Rule> rules, Hook hook) {
        if (!rules.empty()) {
            add(place.table, name, Chain::make(family_, std::move(rules), hook));
        }
    }

    std::vector<Rule> raw(const Place& place) {
        std::vector<Rule> rules;
        if (any(place.stage, place.direction)) {
            if (family_ == net::Family::v6) {
                rules.push_back(link_messages(place.direction));
            }
            dispatch(place, rules);
        }
        return rules;
    }

    void input(bool pre_dnat) {
        std::vector<Rule> rules{established()};
        if (family_ == net::Family::v6) {
            rules.push_back(
                {{MatchProtocol{kIcmpv6}, MatchIcmpTypes{{kWorkloadMessages.begin(), kWorkloadMessages.end()}}},
                 {accept()}});
        }
        for (std::vector<Match> tunnel : tunnel_packets(family_, *inputs_.config, inputs_.tunnels)) {
            tunnel.emplace_back(MatchLocalDestination{});
            Rule own{tunnel, {accept()}};
            own.matches.emplace_back(MatchSet{{Field::source_address}, std::string(names::kNodes)});
            rules.push_back(std::move(own));
            append_denial(rules, tunnel, DenyAction::drop, foreign_tunnel_id(), Direction::ingress, *inputs_.config);
        }
        for (const std::string& prefix : inputs_.config->interface_prefixes) {
            const MatchInterface from = workload(MatchInterface::Way::in, prefix);
            if (inputs_.config->endpoint_to_host == EndpointToHost::drop) {
                append_denial(rules, {from}, DenyAction::drop, endpoint_to_host_id(), Direction::egress,
                              *inputs_.config);
            } else {
                rules.push_back({{from}, {accept()}});  // "return" means the host's own rules, in other tables
            }
        }
        if (family_ == net::Family::v6) {
            rules.push_back(link_messages(Direction::ingress));
        }
        if (pre_dnat) {
            rules.push_back({{MatchCtLabel{kAcceptedLabel}}, {accept()}});
        }
        ask_untracked_again(kInUntracked, rules);
        dispatch(kNormalIn, rules);
        add_base(kNormalIn, "in_hook", std::move(rules), {Hook::Type::filter, Hook::Point::input, kFilter});
    }

    void forward(const Place& place, const char* name, std::int32_t priority, bool pre_dnat) {
        if (!any(place.stage, place.direction)) {
            return;
        }
        std::vector<Rule> rules{established()};
        // What allowed it earlier spoke for the endpoint that it came in by, not for the one that it leaves by.
        if (place.direction == Direction::ingress) {
            if (pre_dnat) {
                rules.push_back({{MatchCtLabel{kAcceptedLabel}}, {accept()}});
            }
            ask_untracked_again(kInUntracked, rules);
        }
        dispatch(place, rules);
        add_base(place, name, std::move(rules), {Hook::Type::filter, Hook::Point::forward, priority});
    }

    /// What still goes to a service's address was not translated.
    void end_service_loops() {
        const Config& config = *inputs_.config;
        auto ranges = normalized(config.service_ranges, family_);
        if (config.service_loop == ServiceLoop::forward || ranges.empty()) {
            return;
        }
        std::vector<Rule> rules;
        append_denial(rules, {MatchAddress{Side::destination, std::move(ranges)}},
                      config.service_loop == ServiceLoop::drop ? DenyAction::drop : DenyAction::reject,
                      service_loop_id(), Direction::ingress, config);
        add(TableId::host, "loop_hook",
            Chain::make(family_, std::move(rules), Hook{Hook::Type::filter, Hook::Point::forward, kBehindPolicy}));
    }

    void output() {
        std::vector<Rule> rules{established()};
        std::vector<Rule> translated{established()};
        if (family_ == net::Family::v6) {
            rules.push_back(link_messages(Direction::egress));
        }
        for (std::vector<Match>& tunnel : tunnel_packets(family_, *inputs_.config, inputs_.tunnels)) {
            tunnel.emplace_back(MatchSet{{Field::destination_address}, std::string(names::kNodes)});
            rules.push_back({std::move(tunnel), {accept()}});
        }
        // The interface is still that of the destination before translation; `post_hook` knows the right one.
        rules.push_back({{MatchCtStatus{kCtDestinationNat}}, {accept()}});
        for (const std::string& prefix : inputs_.config->interface_prefixes) {
            rules.push_back({{workload(MatchInterface::Way::out, prefix)}, {accept()}});
            translated.push_back({{workload(MatchInterface::Way::out, prefix)}, {accept()}});
        }
        ask_untracked_again(kOutUntracked, rules);
        dispatch(kNormalOut, rules);
        add_base(kNormalOut, "out_hook", std::move(rules), {Hook::Type::filter, Hook::Point::output, kFilter});

        std::vector<Rule> owners;
        dispatch(kNormalPost, owners);
        const std::string name = chain_name(kNormalPost, "dispatch");
        add(kNormalPost.table, name, Chain::make(family_, std::move(owners)));
        translated.push_back({{MatchFromNode{}, MatchCtStatus{kCtDestinationNat}}, {go_to(name)}});
        add_base(kNormalPost, "post_hook", std::move(translated),
                 {Hook::Type::filter, Hook::Point::postrouting, kBeforeDnat});
    }

    /// Whoever left the packet out of connection tracking: what untracked policy allowed needs no other.
    void ask_untracked_again(const Place& place, std::vector<Rule>& rules) {
        if (!any(place.stage, place.direction)) {
            return;
        }
        const std::string name = chain_name(place, "dispatch");
        if (asked_again_.insert({place.table, name}).second) {
            std::vector<Rule> owners;
            dispatch(place, owners);
            add(place.table, name, Chain::make(family_, std::move(owners)));
        }
        rules.push_back({{MatchCtState{kCtUntracked}}, {jump(name)}});
    }

    /// To the chain of the endpoint that has the interface, and never back: the last rules of their chain.
    void dispatch(const Place& place, std::vector<Rule>& rules) {
        const bool wildcard =
            wildcard_ != nullptr && place.stage != HostStage::untracked && has_policy(*wildcard_, place);
        for (const auto& [interface, endpoint] : named_) {
            const MatchInterface at{way_of(place), interface, false};
            if (has_policy(*endpoint, place)) {
                rules.push_back({{at}, {go_to(endpoint_chain(place, *endpoint))}});
            } else if (wildcard) {
                rules.push_back({{at}, {accept()}});
            }
        }
        if (wildcard) {
            const MatchInterface not_loopback{way_of(place), std::string(kLoopbackInterface), false, true};
            rules.push_back({{not_loopback}, {go_to(endpoint_chain(place, *wildcard_))}});
        }
    }

    // --- chains of endpoints, tiers, policies ---

    std::string endpoint_chain(const Place& place, const HostEndpoint& endpoint) {
        std::string name = chain_name(place, names::host_chain(endpoint.key.name));
        if (!known_.insert({place.table, name}).second) {
            return name;
        }
        std::vector<Rule> rules;
        if (place.stage != HostStage::untracked && inputs_.config->drop_invalid_state) {
            append_denial(rules, {MatchCtState{kCtInvalid}}, DenyAction::drop, invalid_state_id(), place.direction,
                          *inputs_.config);
        }
        if (const auto failsafe = failsafe_chain(place)) {
            rules.push_back({{}, {jump(*failsafe)}});
        }
        for (const Shared<TierPolicies>& tier : *endpoint.lists(place.stage, place.direction)) {
            rules.push_back({{}, {jump(tier_chain(place, *tier))}});
        }
        if (place.stage == HostStage::normal) {
            for (const std::string& profile : endpoint.profiles) {
                if (const auto chain = profile_chain(place, profile)) {
                    rules.push_back({{}, {jump(*chain)}});
                }
            }
            append_denial(rules, {}, denial(place, std::nullopt), no_profile_matched_id(), place.direction,
                          *inputs_.config);
        }
        add(place.table, name, Chain::make(family_, std::move(rules)));
        return name;
    }

    std::optional<std::string> failsafe_chain(const Place& place) {
        if (place.stage == HostStage::forward) {
            return std::nullopt;
        }
        const Config& config = *inputs_.config;
        const bool in = place.direction == Direction::ingress;
        const Side other = in ? Side::source : Side::destination;
        std::vector<Rule> rules;
        add_failsafe(rules, family_, in ? config.failsafe_inbound : config.failsafe_outbound, Side::destination, other);
        if (place.stage == HostStage::untracked) {  // nothing else tells answers here
            add_failsafe(rules, family_, in ? config.failsafe_outbound : config.failsafe_inbound, Side::source, other);
        }
        if (rules.empty()) {
            return std::nullopt;
        }
        std::string name = chain_name(place, "failsafe");
        if (known_.insert({place.table, name}).second) {
            add(place.table, name, Chain::make(family_, std::move(rules)));
        }
        return name;
    }

    std::string tier_chain(const Place& place, const TierPolicies& tier) {
        std::string name = chain_name(place, names::tier_chain(tier.tier, names::tier_identity(tier)));
        if (!known_.insert({place.table, name}).second) {
            return name;
        }
        std::vector<Rule> rules;
        for (const PolicyId& id : tier.policies) {
            const Policy* policy = inputs_.policy(id);
            if (policy == nullptr) {
                continue;
            }
            const std::vector<felix::Rule>& own = policy->rules(place.direction);
            if (has_pass(own)) {  // its `return` must leave the tier
                std::ranges::move(rules_of(place, family_, own, inputs_), std::back_inserter(rules));
                remember_leaf(place, chain_name(place, names::policy_chain(id)), nullptr);
            } else if (const auto chain = leaf_chain(place, names::policy_chain(id), own)) {
                rules.push_back({{}, {jump(*chain)}});
            }
        }
        if (tier.end == TierEnd::deny) {
            append_denial(rules, {}, denial(place, tier.deny_action), tier_end_id(tier.tier, place.direction),
                          place.direction, *inputs_.config);
        }
        add(place.table, name, Chain::make(family_, std::move(rules)));
        return name;
    }

    std::optional<std::string> profile_chain(const Place& place, const std::string& profile) {
        const Profile* value = inputs_.profile(profile);
        return value == nullptr ? std::nullopt
                                : leaf_chain(place, names::profile_chain(profile), value->rules(place.direction));
    }

    /// Nothing when the policy or profile has no rules of this family.
    std::optional<std::string> leaf_chain(const Place& place, std::string_view base,
                                          const std::vector<felix::Rule>& rules) {
        std::string name = chain_name(place, base);
        const ChainKey key{{family_, place.table}, name};
        const auto cached = owner_.leaves_.find(key);
        const bool fresh = cached == owner_.leaves_.end();
        const ChainPtr chain = fresh ? leaf(place, family_, rules, inputs_) : cached->second;
        if (fresh) {
            remember_leaf(place, name, chain);
        }
        if (chain == nullptr) {
            return std::nullopt;
        }
        if (known_.insert({place.table, name}).second) {
            add(place.table, name, chain);
        }
        return name;
    }

    void remember_leaf(const Place& place, const std::string& name, const ChainPtr& chain) {
        owner_.leaves_.insert_or_assign({{family_, place.table}, name}, chain);
    }

    [[nodiscard]] DenyAction denial(const Place& place, std::optional<DenyAction> own) const {
        return place.can_reject ? own.value_or(inputs_.config->deny_action) : DenyAction::drop;
    }

    void add(TableId table, const std::string& name, ChainPtr chain) {
        chains_.emplace_back(ChainKey{{family_, table}, name}, std::move(chain));
    }

    HostChains& owner_;
    const Inputs& inputs_;
    net::Family family_;
    std::vector<std::pair<std::string, const HostEndpoint*>> named_;
    const HostEndpoint* wildcard_ = nullptr;
    std::set<std::pair<TableId, std::string>> known_;
    std::set<std::pair<TableId, std::string>> asked_again_;
    std::vector<std::pair<ChainKey, ChainPtr>> chains_;
};

void HostChains::put(const Shared<HostEndpoint>& endpoint) {
    endpoints_.insert_or_assign(endpoint->key, endpoint);
    structure_changed_ = true;
}

void HostChains::remove(const EndpointKey& key) {
    structure_changed_ = endpoints_.erase(key) != 0 || structure_changed_;
}

void HostChains::touch_everything() {
    leaves_.clear();
    structure_changed_ = true;
}

void HostChains::render(const Inputs& inputs, RulesetWriter& writer) {
    for (const PolicyId& id : std::exchange(touched_policies_, {})) {
        const Policy* policy = inputs.policy(id);
        Builder::renew_leaves(
            *this, names::policy_chain(id),
            [policy](Direction direction) { return policy == nullptr ? nullptr : &policy->rules(direction); }, inputs,
            writer);
    }
    for (const std::string& name : std::exchange(touched_profiles_, {})) {
        const Profile* profile = inputs.profile(name);
        Builder::renew_leaves(
            *this, names::profile_chain(name),
            [profile](Direction direction) { return profile == nullptr ? nullptr : &profile->rules(direction); },
            inputs, writer);
    }
    if (!std::exchange(structure_changed_, false)) {
        return;
    }
    std::map<ChainKey, ChainPtr> wanted;
    for (const net::Family family : kFamilies) {
        Builder builder(*this, inputs, family);
        builder.build();
        for (auto& [key, chain] : builder.take()) {
            const auto before = given_.find(key);
            if (before == given_.end() || (before->second != chain && !(*before->second == *chain))) {
                writer.put_chain(key.first, key.second, chain);
            }
            wanted.emplace(key, std::move(chain));
        }
    }
    for (const auto& [key, chain] : given_) {
        if (!wanted.contains(key)) {
            writer.remove_chain(key.first, key.second);
        }
    }
    // Those without a chain stay: a policy that has none now may have one after its next edit.
    std::erase_if(leaves_,
                  [&wanted](const auto& leaf) { return leaf.second != nullptr && !wanted.contains(leaf.first); });
    given_ = std::move(wanted);
}

}  // namespace manul::felix::render
