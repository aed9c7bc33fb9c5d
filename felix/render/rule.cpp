#include "felix/render/rule.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/model/config.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/render/denial.hpp"
#include "felix/render/names.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

constexpr std::uint8_t kIcmpProtocol = 1;
constexpr std::uint8_t kIcmpv6Protocol = 58;
constexpr std::array<std::uint8_t, 3> kPortProtocols{6, 17, 132};

using Alternative = std::vector<Match>;

Match negated(Match match) {
    std::visit(
        [](auto& m) {
            if constexpr (requires { m.negated; }) {
                m.negated = !m.negated;
            }
        },
        match);
    return match;
}

/// The ways in which a packet can satisfy a rule: a list of "and" lists. Made from the cheapest test to the dearest.
class Alternatives {
public:
    /// With `disjoint` no packet satisfies two of them: rules that go on after a match must match once.
    explicit Alternatives(bool disjoint) : disjoint_(disjoint) {}

    void require(const Match& match) {
        for (Alternative& alternative : list_) {
            alternative.push_back(match);
        }
    }
    void require_any(const std::vector<Match>& choices) {
        std::vector<Alternative> result;
        for (const Alternative& alternative : list_) {
            Alternative so_far = alternative;
            for (const Match& choice : choices) {
                result.push_back(so_far);
                result.back().push_back(choice);
                if (disjoint_) {
                    so_far.push_back(negated(choice));
                }
            }
        }
        list_ = std::move(result);
    }
    /// Each of `choices` is an "and" list; they exclude each other.
    void require_one_of(const std::vector<Alternative>& choices) {
        std::vector<Alternative> result;
        for (const Alternative& alternative : list_) {
            for (const Alternative& choice : choices) {
                result.push_back(alternative);
                result.back().insert(result.back().end(), choice.begin(), choice.end());
            }
        }
        list_ = std::move(result);
    }

    [[nodiscard]] std::vector<Alternative> take() && { return std::move(list_); }

private:
    bool disjoint_;
    std::vector<Alternative> list_{{}};
};

std::uint8_t icmp_protocol(net::Family family) { return family == net::Family::v4 ? kIcmpProtocol : kIcmpv6Protocol; }

Field address_field(Side side) { return side == Side::source ? Field::source_address : Field::destination_address; }
Field port_field(Side side) { return side == Side::source ? Field::source_port : Field::destination_port; }

/// Sorted, overlapping and adjacent ranges joined.
std::vector<net::PortRange> joined(std::vector<net::PortRange> ports) {
    std::ranges::sort(ports);
    std::vector<net::PortRange> result;
    for (const net::PortRange& range : ports) {
        if (!result.empty() && range.first() <= std::uint32_t{result.back().last()} + 1) {
            result.back() = *net::PortRange::make(result.back().first(), std::max(result.back().last(), range.last()));
        } else {
            result.push_back(range);
        }
    }
    return result;
}

class RuleRenderer {
public:
    RuleRenderer(const felix::Rule& rule, const RuleContext& context)
        : rule_(rule), context_(context), ways_(rule.action == felix::Action::log) {}

    std::vector<Rule> render() {
        if (!rule_.can_match(context_.family) || asks_for_empty_set() || !add_protocol() || !add_icmp()) {
            return {};
        }
        add_ports(Side::destination, rule_.destination);
        add_ports(Side::source, rule_.source);
        add_addresses(Side::source, rule_.source);
        add_addresses(Side::destination, rule_.destination);
        std::vector<Rule> rules;
        for (Alternative& way : std::move(ways_).take()) {
            if (rule_.action == felix::Action::deny) {
                const DenyAction action =
                    context_.can_reject ? rule_.deny_action.value_or(context_.config->deny_action) : DenyAction::drop;
                append_denial(rules, way, action, rule_.id, context_.direction, *context_.config);
            } else {
                rules.push_back(Rule{std::move(way), actions(), rule_.id.value()});
            }
        }
        return rules;
    }

private:
    [[nodiscard]] bool asks_for_empty_set() const {
        const auto asks = [](const EntityMatch& match) {
            return !match.sets.empty() || (!match.named_ports.empty() && match.ports.empty());
        };
        return !context_.sets_can_match && (asks(rule_.source) || asks(rule_.destination));
    }

    /// False: no packet of this family can match.
    bool add_protocol() {
        if (rule_.protocol) {
            ways_.require(MatchProtocol{rule_.protocol->number()});
            // A service's ports are of TCP, UDP or SCTP. The kernel would take the lookup for another protocol's
            // packets too, but nft 1.0.6 dies of it, whatever it is asked to list.
            const bool has_ports =
                rule_.protocol->has_ports() || (!rule_.source.has_ports() && !rule_.destination.has_ports());
            return has_ports && rule_.protocol != rule_.not_protocol;
        }
        if (rule_.not_protocol) {
            ways_.require(MatchProtocol{rule_.not_protocol->number(), true});
        }
        // Numbered ports without a protocol: those of every protocol that has any.
        if (!rule_.source.ports.empty() || !rule_.destination.ports.empty()) {
            std::vector<Match> protocols(kPortProtocols.size());
            std::ranges::transform(kPortProtocols, protocols.begin(),
                                   [](std::uint8_t protocol) { return MatchProtocol{protocol}; });
            ways_.require_any(protocols);
        } else {
            // Only packets with ports can fail "none of these ports"; for the others the criterion holds.
            split_by_ports_ = true;
        }
        return true;
    }

    bool add_icmp() {
        const std::uint8_t own = icmp_protocol(context_.family);
        const bool other_protocol = rule_.protocol && rule_.protocol->number() != own;
        if (rule_.icmp) {
            if (other_protocol) {
                return false;
            }
            if (!rule_.protocol) {
                ways_.require(MatchProtocol{own});
            }
            ways_.require(MatchIcmp{rule_.icmp->type, rule_.icmp->code});
        }
        if (!rule_.not_icmp) {
            return true;
        }
        const MatchIcmp unlike{rule_.not_icmp->type, rule_.not_icmp->code, true};
        if (other_protocol) {
            return !rule_.not_icmp_needs_icmp();
        }
        if (rule_.protocol || rule_.icmp) {
            ways_.require(unlike);
        } else {
            ways_.require_one_of({{MatchProtocol{own, true}}, {MatchProtocol{own}, unlike}});
        }
        return true;
    }

    [[nodiscard]] MatchSet named_port(Side side, const SetId& set, bool unlike) const {
        return {{address_field(side), Field::protocol, port_field(side)}, names::member_set(set), unlike};
    }

    void add_ports(Side side, const EntityMatch& match) {
        std::vector<Match> any;
        if (!match.ports.empty()) {
            any.emplace_back(MatchPort{side, joined(match.ports)});
        }
        for (const SetId& set : match.named_ports) {
            any.emplace_back(named_port(side, set, false));
        }
        if (!any.empty()) {
            ways_.require_any(any);
        }
        Alternative unlike;
        if (!match.not_ports.empty()) {
            unlike.emplace_back(MatchPort{side, joined(match.not_ports), true});
        }
        for (const SetId& set : match.not_named_ports) {
            unlike.emplace_back(named_port(side, set, true));
        }
        if (!unlike.empty()) {
            exclude_ports(unlike);
        }
    }

    void exclude_ports(const Alternative& unlike) {
        if (!split_by_ports_) {
            ways_.require_one_of({unlike});
            return;
        }
        std::vector<Alternative> ways{{}};
        for (const std::uint8_t protocol : kPortProtocols) {
            ways.front().emplace_back(MatchProtocol{protocol, true});
            Alternative of_protocol{MatchProtocol{protocol}};
            of_protocol.insert(of_protocol.end(), unlike.begin(), unlike.end());
            ways.push_back(std::move(of_protocol));
        }
        ways_.require_one_of(ways);
    }

    void add_addresses(Side side, const EntityMatch& match) {
        const auto nets = normalized(match.nets, context_.family);
        if (!nets.empty() && nets.front().length() != 0) {
            ways_.require(MatchAddress{side, nets});
        }
        const auto not_nets = normalized(match.not_nets, context_.family);
        if (!not_nets.empty()) {
            ways_.require(MatchAddress{side, not_nets, true});
        }
        const std::vector<Field> fields{address_field(side)};
        for (const SetId& set : match.sets) {
            std::vector<Match> any{MatchSet{fields, names::member_set(set)}};
            if (context_.has_prefixes(set)) {
                any.emplace_back(MatchSet{fields, names::prefix_set(set)});
            }
            ways_.require_any(any);
        }
        for (const SetId& set : match.not_sets) {
            ways_.require(MatchSet{fields, names::member_set(set), true});
            if (context_.has_prefixes(set)) {
                ways_.require(MatchSet{fields, names::prefix_set(set), true});
            }
        }
    }

    [[nodiscard]] std::vector<Action> allow_actions() const {
        std::vector<Action> list{Count{}};
        switch (context_.acceptance) {
            case Acceptance::labelled:
                list.emplace_back(SetCtLabel{kAcceptedLabel});
                [[fallthrough]];
            case Acceptance::marked:
                list.emplace_back(SetCtMark{static_cast<std::uint32_t>(rule_.id.value()) & kMarkBits});
                break;
            case Acceptance::untracked:
                list.emplace_back(Notrack{});
                break;
            case Acceptance::plain:
                break;
        }
        list.emplace_back(accept());
        return list;
    }

    /// Of anything but a denial.
    [[nodiscard]] std::vector<Action> actions() const {
        switch (rule_.action) {
            case felix::Action::allow:
                return allow_actions();
            case felix::Action::pass:
                return {Count{}, return_to_caller()};
            case felix::Action::deny:
            case felix::Action::log:
                break;
        }
        std::vector<Action> list;
        if (const auto limit = parse_rate(context_.config->log_rate_limit, context_.config->log_rate_burst)) {
            list.emplace_back(*limit);
        }
        list.emplace_back(Log{kLogGroup, log_prefix('L', context_.direction, rule_.id)});
        return list;
    }

    const felix::Rule& rule_;
    const RuleContext& context_;
    Alternatives ways_;
    bool split_by_ports_ = false;  ///< the protocol is open, so ports are looked at where there are any
};

}  // namespace

std::vector<Rule> render_rule(const felix::Rule& rule, const RuleContext& context) {
    return RuleRenderer(rule, context).render();
}

std::vector<Rule> render_rules(const std::vector<felix::Rule>& rules, const RuleContext& context) {
    std::vector<Rule> result;
    for (const felix::Rule& rule : rules) {
        std::ranges::move(render_rule(rule, context), std::back_inserter(result));
    }
    return result;
}

std::vector<net::Prefix> normalized(const std::vector<net::Prefix>& nets, net::Family family) {
    std::vector<net::Prefix> own;
    std::ranges::copy_if(nets, std::back_inserter(own), [family](const auto& net) { return net.family() == family; });
    std::ranges::sort(own);
    std::vector<net::Prefix> result;
    for (const net::Prefix& net : own) {
        if (result.empty() || !result.back().contains(net)) {
            result.push_back(net);
        }
    }
    return result;
}

}  // namespace manul::felix::render
