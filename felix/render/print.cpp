#include "felix/render/print.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

std::string_view ip_word(net::Family family) { return family == net::Family::v4 ? "ip" : "ip6"; }
std::string_view icmp_word(net::Family family) { return family == net::Family::v4 ? "icmp" : "icmpv6"; }

std::string protocol_word(std::uint8_t number) {
    switch (number) {
        case 1:
            return "icmp";
        case 6:
            return "tcp";
        case 17:
            return "udp";
        case 58:
            return "ipv6-icmp";
        case 132:
            return "sctp";
        default:
            return fmt::to_string(number);
    }
}

std::string field_text(net::Family family, Field field) {
    switch (field) {
        case Field::source_address:
            return fmt::format("{} saddr", ip_word(family));
        case Field::destination_address:
            return fmt::format("{} daddr", ip_word(family));
        case Field::protocol:
            return "meta l4proto";
        case Field::source_port:
            return "th sport";
        case Field::destination_port:
            return "th dport";
        case Field::in_interface:
            return "iifname";
        case Field::out_interface:
            return "oifname";
        case Field::in_group:
            return "iifgroup";
        case Field::out_group:
            return "oifgroup";
    }
    return {};
}

std::string_view field_type(net::Family family, Field field) {
    switch (field) {
        case Field::source_address:
        case Field::destination_address:
            return family == net::Family::v4 ? "ipv4_addr" : "ipv6_addr";
        case Field::protocol:
            return "inet_proto";
        case Field::source_port:
        case Field::destination_port:
            return "inet_service";
        case Field::in_interface:
        case Field::out_interface:
            return "ifname";
        case Field::in_group:
        case Field::out_group:
            return "devgroup";
    }
    return {};
}

std::string fields_text(net::Family family, const std::vector<Field>& fields) {
    std::vector<std::string> parts(fields.size());
    std::ranges::transform(fields, parts.begin(), [family](Field field) { return field_text(family, field); });
    return fmt::format("{}", fmt::join(parts, " . "));
}

std::string prefix_text(const net::Prefix& prefix) {
    return prefix.is_host() ? prefix.address().to_string() : prefix.to_string();
}

std::string prefixes_text(const std::vector<net::Prefix>& prefixes) {
    if (prefixes.size() == 1) {
        return prefix_text(prefixes.front());
    }
    std::vector<std::string> parts;
    std::ranges::transform(prefixes, std::back_inserter(parts), prefix_text);
    return fmt::format("{{ {} }}", fmt::join(parts, ", "));
}

std::string port_text(const net::PortRange& range) {
    return range.first() == range.last() ? fmt::to_string(range.first())
                                         : fmt::format("{}-{}", range.first(), range.last());
}

std::string ports_text(const std::vector<net::PortRange>& ports) {
    if (ports.size() == 1) {
        return port_text(ports.front());
    }
    std::vector<std::string> parts;
    std::ranges::transform(ports, std::back_inserter(parts), port_text);
    return fmt::format("{{ {} }}", fmt::join(parts, ", "));
}

std::string state_text(std::uint32_t bits) {
    static constexpr std::array<std::pair<std::uint32_t, std::string_view>, 5> kStates{{{kCtInvalid, "invalid"},
                                                                                        {kCtEstablished, "established"},
                                                                                        {kCtRelated, "related"},
                                                                                        {kCtNew, "new"},
                                                                                        {kCtUntracked, "untracked"}}};
    std::vector<std::string_view> words;
    for (const auto& [bit, word] : kStates) {
        if ((bits & bit) != 0) {
            words.push_back(word);
        }
    }
    return fmt::format("{}", fmt::join(words, ","));
}

const char* not_equal(bool negated) { return negated ? "!= " : ""; }

/// Prints one rule; remembers the protocol that was tested, since ports are written with its name.
class RulePrinter {
public:
    explicit RulePrinter(net::Family family) : family_(family) {}

    std::string print(const Rule& rule) {
        for (std::size_t i = 0; i < rule.matches.size(); ++i) {
            const bool implied = i + 1 < rule.matches.size() && names_protocol(rule.matches[i + 1]);
            std::visit([&](const auto& match) { add(match, implied); }, rule.matches[i]);
        }
        for (const Action& action : rule.actions) {
            std::visit([&](const auto& a) { add(a); }, action);
        }
        if (rule.id != 0) {
            put(fmt::format("comment \"{:016x}\"", rule.id));
        }
        return std::move(text_);
    }

private:
    void put(std::string_view word) {
        if (!text_.empty()) {
            text_ += ' ';
        }
        text_ += word;
    }

    static std::string target_ports(const std::optional<net::PortRange>& ports) {
        return ports ? ":" + port_text(*ports) : std::string{};
    }

    static bool names_protocol(const Match& match) {
        return std::holds_alternative<MatchPort>(match) || std::holds_alternative<MatchIcmpTypes>(match) ||
               std::holds_alternative<MatchMidStream>(match) ||
               (std::holds_alternative<MatchIcmp>(match) && !std::get<MatchIcmp>(match).code);
    }

    void add(const MatchAddress& match, bool /*implied*/) {
        put(fmt::format("{} {} {}{}", ip_word(family_), match.side == Side::source ? "saddr" : "daddr",
                        not_equal(match.negated), prefixes_text(match.prefixes)));
    }
    void add(const MatchProtocol& match, bool implied) {
        if (!match.negated) {
            protocol_ = match.protocol;
        }
        const bool has_word = match.protocol == 1 || match.protocol == 58 || match.protocol == 6 ||
                              match.protocol == 17 || match.protocol == 132;
        if (match.negated || !implied || !has_word) {
            put(fmt::format("meta l4proto {}{}", not_equal(match.negated), protocol_word(match.protocol)));
        }
    }
    void add(const MatchPort& match, bool /*implied*/) {
        const bool named = protocol_ == 6 || protocol_ == 17 || protocol_ == 132;
        put(fmt::format("{} {} {}{}", named ? protocol_word(protocol_) : "th",
                        match.side == Side::source ? "sport" : "dport", not_equal(match.negated),
                        ports_text(match.ports)));
    }
    void add(const MatchIcmp& match, bool /*implied*/) {
        if (match.code) {
            put(fmt::format("@th,0,16 {}{:#06x}", not_equal(match.negated), match.type << 8U | *match.code));
        } else {
            put(fmt::format("{} type {}{}", icmp_word(family_), not_equal(match.negated), match.type));
        }
    }
    void add(const MatchIcmpTypes& match, bool /*implied*/) {
        put(fmt::format("{} type {{ {} }}", icmp_word(family_), fmt::join(match.types, ", ")));
    }
    void add(const MatchInterface& match, bool /*implied*/) {
        put(fmt::format("{} {}\"{}{}\"", match.way == MatchInterface::Way::in ? "iifname" : "oifname",
                        not_equal(match.negated), match.name, match.prefix ? "*" : ""));
    }
    void add(const MatchSet& match, bool /*implied*/) {
        put(fmt::format("{} {}@{}", fields_text(family_, match.fields), not_equal(match.negated), match.set));
    }
    void add(const MatchMidStream& /*match*/, bool /*implied*/) { put("tcp flags ! syn"); }
    void add(const MatchCtState& match, bool /*implied*/) { put(fmt::format("ct state {}", state_text(match.bits))); }
    void add(const MatchCtStatus& match, bool /*implied*/) { put(fmt::format("ct status {:#x}", match.bits)); }
    void add(const MatchCtLabel& match, bool /*implied*/) { put(fmt::format("ct label {}", match.bit)); }
    void add(const MatchFromNode& /*match*/, bool /*implied*/) { put("meta iif 0"); }
    void add(const MatchWorkloadGroup& match, bool /*implied*/) {
        put(fmt::format("{} & {:#010x} {} {:#010x}", match.way == MatchInterface::Way::in ? "iifgroup" : "oifgroup",
                        kGroupMask, match.negated ? "!=" : "==", kOurGroups));
    }
    void add(const MatchLocalDestination& /*match*/, bool /*implied*/) { put("fib daddr type local"); }
    void add(const MatchOwnSourceElsewhere& /*match*/, bool /*implied*/) {
        put("fib saddr . oif type != local fib saddr type local");
    }
    void add(const MatchSpoofed& /*match*/, bool /*implied*/) { put("fib saddr . iif oif missing"); }

    void add(const Count& /*action*/) { put("counter"); }
    void add(const Log& action) {
        put(fmt::format("log prefix \"{}\" group {} snaplen {}", action.prefix, action.group, kLogSnapLength));
    }
    void add(const Limit& action) {
        const std::string_view unit = action.seconds == 1      ? "second"
                                      : action.seconds == 60   ? "minute"
                                      : action.seconds == 3600 ? "hour"
                                                               : "day";
        put(fmt::format("limit rate {}{}/{} burst {} packets", action.over ? "over " : "", action.packets, unit,
                        action.burst));
    }
    void add(const ConnectionsOver& action) { put(fmt::format("ct count over {}", action.connections)); }
    void add(const SetCtMark& action) { put(fmt::format("ct mark set {:#010x}", action.value)); }
    void add(const SetCtLabel& action) { put(fmt::format("ct label set {}", action.bit)); }
    void add(const Notrack& /*action*/) { put("notrack"); }
    void add(const Masquerade& action) {
        put(fmt::format("masquerade{}{} fully-random", action.ports ? " to " : "", target_ports(action.ports)));
    }
    void add(const Snat& action) {
        const bool brackets = action.address.is_v6() && action.ports;
        put(fmt::format("snat to {}{}{}{} fully-random", brackets ? "[" : "", action.address.to_string(),
                        brackets ? "]" : "", target_ports(action.ports)));
    }
    void add(const Dnat& action) {
        const std::string address = action.address.to_string();
        put(!action.port             ? fmt::format("dnat to {}", address)
            : action.address.is_v4() ? fmt::format("dnat to {}:{}", address, *action.port)
                                     : fmt::format("dnat to [{}]:{}", address, *action.port));
    }
    void add(const SetDscp& action) {
        put(fmt::format("{} dscp set {:#04x}", family_ == net::Family::v4 ? "ip" : "ip6", action.value));
    }
    void add(const Reject& action) {
        put(action.tcp_reset ? "reject with tcp reset"
                             : fmt::format("reject with {} port-unreachable", icmp_word(family_)));
    }
    void add(const LookupVerdict& action) {
        put(fmt::format("{} vmap @{}", fields_text(family_, action.fields), action.map));
    }
    void add(const Verdict& verdict) { put(render::print(verdict)); }

    net::Family family_;
    std::uint8_t protocol_ = 0;
    std::string text_;
};

std::size_t field_size(net::Family family, Field field) {
    switch (field) {
        case Field::source_address:
        case Field::destination_address:
            return family == net::Family::v4 ? 4 : 16;
        case Field::in_interface:
        case Field::out_interface:
            return 16;
        default:
            return 4;
    }
}

std::string part_text(Field field, std::span<const std::uint8_t> bytes) {
    switch (field) {
        case Field::source_address:
        case Field::destination_address:
            return net::Ip::from_bytes(bytes).value_or(net::Ip{}).to_string();
        case Field::protocol:
            return protocol_word(bytes[0]);
        case Field::source_port:
        case Field::destination_port:
            return fmt::to_string(bytes[0] << 8U | bytes[1]);
        case Field::in_interface:
        case Field::out_interface: {
            const auto end = std::ranges::find(bytes, 0);
            return fmt::format("\"{}\"", std::string(bytes.begin(), end));
        }
        case Field::in_group:
        case Field::out_group:
            return fmt::format("{:#010x}", ElementKey::from_bytes(bytes).group_number());
    }
    return {};
}

std::string key_text(net::Family family, const std::vector<Field>& fields, const ElementKey& key) {
    std::vector<std::string> parts;
    std::span<const std::uint8_t> rest = key.bytes();
    for (const Field field : fields) {
        const std::size_t size = std::min(rest.size(), field_size(family, field));
        parts.push_back(part_text(field, rest.first(size)));
        rest = rest.subspan(size);
    }
    return fmt::format("{}", fmt::join(parts, " . "));
}

std::string element_text(net::Family family, const SetType& type, const Element& element) {
    std::string text = key_text(family, type.fields, element.key);
    if (type.shape == SetType::Shape::ranges && element.end != element.key) {
        text += "-" + key_text(family, type.fields, element.end);
    }
    if (type.shape == SetType::Shape::verdicts) {
        text += " : " + print(element.verdict);
    }
    return text;
}

std::string print_set(net::Family family, const std::string& set_name, const Set& set) {
    std::vector<std::string_view> types(set.type.fields.size());
    std::ranges::transform(set.type.fields, types.begin(), [family](Field field) { return field_type(family, field); });
    const bool map = set.type.shape == SetType::Shape::verdicts;
    std::string text = fmt::format("  {} {} {{\n    type {}{}\n", map ? "map" : "set", set_name,
                                   fmt::join(types, " . "), map ? " : verdict" : "");
    if (set.type.shape == SetType::Shape::ranges) {
        text += "    flags interval\n";
    }
    std::vector<ElementKey> members(set.member_keys().begin(), set.member_keys().end());
    std::ranges::sort(members);
    std::vector<std::string> elements;
    elements.reserve(members.size() + set.elements.size());
    for (const ElementKey& key : members) {
        elements.push_back(element_text(family, set.type, Element{key, {}, {}}));
    }
    for (const auto& [key, element] : set.elements) {
        elements.push_back(element_text(family, set.type, element));
    }
    if (!elements.empty()) {
        text += fmt::format("    elements = {{\n      {}\n    }}\n", fmt::join(elements, ",\n      "));
    }
    return text + "  }\n";
}

std::string print_chain(net::Family family, const std::string& chain_name, const Chain& chain) {
    static constexpr std::array<std::string_view, 5> kPoints{"prerouting", "input", "forward", "output", "postrouting"};
    std::string text = fmt::format("  chain {} {{\n", chain_name);
    if (const auto& hook = chain.hook()) {
        text += fmt::format("    type {} hook {} priority {}; policy accept;\n",
                            hook->type == Hook::Type::nat ? "nat" : "filter",
                            kPoints[static_cast<std::size_t>(hook->point)], hook->priority);
    }
    for (const Rule& rule : chain.rules()) {
        text += fmt::format("    {}\n", print(family, rule));
    }
    return text + "  }\n";
}

}  // namespace

std::string print(net::Family family, const Rule& rule) { return RulePrinter(family).print(rule); }

std::string print(const Verdict& verdict) {
    switch (verdict.kind) {
        case Verdict::Kind::accept:
            return "accept";
        case Verdict::Kind::drop:
            return "drop";
        case Verdict::Kind::return_to_caller:
            return "return";
        case Verdict::Kind::jump:
            return "jump " + verdict.chain;
        case Verdict::Kind::go_to:
            return "goto " + verdict.chain;
    }
    return {};
}

std::string print(const TableKey& key, const Table& table) {
    std::string text = fmt::format("table {} {} {{\n", ip_word(key.family), name(key.id));
    for (const auto* set : in_order(table.sets)) {
        text += print_set(key.family, set->first, set->second);
    }
    for (const auto* chain : in_order(table.chains)) {
        text += print_chain(key.family, chain->first, *chain->second);
    }
    return text + "}\n";
}

std::string print(const Ruleset& ruleset) {
    std::string text;
    for (const auto& [key, table] : ruleset.tables) {
        text += print(key, table);
    }
    return text;
}

namespace {

/// Rules that earlier versions wrote in another form than today's for the same text: a restart must not take those in
/// the kernel for right. Masquerading with ports lacked a flag without which the kernel ignores them.
bool had_another_form(const Rule& rule) {
    return std::ranges::any_of(rule.actions, [](const Action& action) {
        const auto* masquerade = std::get_if<Masquerade>(&action);
        return masquerade != nullptr && masquerade->ports;
    });
}

}  // namespace

std::uint64_t fingerprint(net::Family family, const Rule& rule) {
    // Most rules of classes and tiers are plain jumps.
    const Verdict* only = rule.matches.empty() && rule.actions.size() == 1 && rule.id == 0
                              ? std::get_if<Verdict>(&rule.actions.front())
                              : nullptr;
    return fnv1a(only != nullptr ? print(*only) : print(family, rule) + (had_another_form(rule) ? "\n2" : ""));
}

std::uint64_t fnv1a(std::string_view text) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) {
        hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3;
    }
    return hash;
}

}  // namespace manul::felix::render
