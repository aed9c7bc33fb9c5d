#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

/// Long lists of policies and rules, so that a packet meets few of them: a verdict map leads from the packet's protocol
/// and destination port to a *cell*, a chain that holds, in the order of the list, everything that can match this
/// protocol and port, be it for a rule with that port or for one without any. Packets whose key has no cell meet what
/// asks for no particular port, again in order. So order and outcome are those of the list, and what a packet costs
/// depends on what could match it, not on the length of the list.
///
/// Shape: `[map lookup, goto cell] [entries for all other packets] [end]`. Cells are entered by goto and end like the
/// list: with `end`, or by falling off their end into the chain behind the caller's jump.
namespace manul::felix::render {

/// Below these a plain list is quicker than a lookup (75 ns; an entry that does not match costs 17 to 90).
struct DispatchLimits {
    std::size_t entries = 8;     ///< of a tier's list
    std::size_t port_rules = 5;  ///< of a policy's rules
};

/// What a cell is for.
struct PortKey {
    std::uint8_t protocol = 0;
    std::uint16_t port = 0;
    auto operator<=>(const PortKey&) const = default;
};

/// Which protocols and destination ports some rules can match at all.
class Reach {
public:
    [[nodiscard]] static Reach of(const std::vector<RulePtr>& rules);
    [[nodiscard]] static Reach of(const Rule& rule);

    /// Of the rules that ask for few ports of one protocol, sorted. These rules match nothing else.
    [[nodiscard]] const std::vector<PortKey>& keys() const noexcept { return keys_; }
    /// Whether there are other rules: without ports, with excluded, named, source or very many ports.
    [[nodiscard]] bool is_loose() const noexcept { return !loose_.empty(); }
    /// Whether one of those can match this key.
    [[nodiscard]] bool loose_matches(const PortKey& key) const;

    bool operator==(const Reach&) const = default;

private:
    struct Loose {
        std::optional<std::uint8_t> protocol;
        std::vector<std::uint8_t> not_protocols;
        std::vector<net::PortRange> ports;
        std::vector<net::PortRange> not_ports;
        bool operator==(const Loose&) const = default;
    };
    void add(const Rule& rule);
    void sort();

    std::vector<PortKey> keys_;
    std::vector<Loose> loose_;
};

/// One entry of a list: a policy with a chain of its own, or a single rule that stands in the list itself. A view: what
/// it names belongs to the policy.
struct ListEntry {
    const Reach* reach = nullptr;
    std::string_view chain;         ///< empty: a rule of its own
    const RulePtr* rule = nullptr;  ///< that, or the jump to the chain

    /// A verdict that leaves the tier: only good in the tier chain itself and in cells that it goes to.
    [[nodiscard]] bool leaves_tier() const;
};

/// A chain and what it needs besides: cells and parts, and maps that lead to them (from protocol and port).
struct Dispatched {
    std::vector<RulePtr> rules;
    std::map<std::string, std::vector<RulePtr>> chains;
    std::map<std::string, std::vector<Element>> maps;
    /// Entries of a list whose one map leads straight to each of them: policies that ask for ports alone. 0: another.
    std::size_t direct = 0;
};

/// What changes in the map of such a list, when policies come into it and go.
struct MapEdit {
    std::vector<Element> add;  ///< in the order of keys, as in the map
    std::vector<ElementKey> remove;
};
/// Nothing: a port becomes or was one of several policies, or somebody asks for no port. All entries are policies.
[[nodiscard]] std::optional<MapEdit> edit_direct(const std::vector<Element>& map, const std::vector<ListEntry>& gone,
                                                 const std::vector<ListEntry>& come);

/// The tier chain `name`; `end` are its last rules. A list of no more than `limits.entries` stays as it is, and the
/// reach of its entries is not looked at.
[[nodiscard]] Dispatched dispatch_tier(net::Family family, const std::string& name,
                                       const std::vector<ListEntry>& entries, const std::vector<RulePtr>& end,
                                       const DispatchLimits& limits);
/// The chain `name` with the rules of one policy, none of which leaves the tier.
[[nodiscard]] Dispatched dispatch_rules(net::Family family, const std::string& name, std::vector<RulePtr> rules,
                                        const DispatchLimits& limits);

/// Key fields of every map here.
[[nodiscard]] const SetType& port_map_type();

}  // namespace manul::felix::render
