#include "felix/render/dispatch.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <fmt/format.h>

#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

namespace manul::felix::render {

namespace {

/// A rule with more ports than this is tried by every cell and beside them.
constexpr std::size_t kMostPorts = 64;
// A list in which many entries ask for no port is cut into parts with a map each: every cell repeats those entries.
constexpr std::size_t kCopiesPerEntry = 16;
constexpr std::size_t kCopiesFree = 1024;

constexpr std::array<std::uint8_t, 3> kPortProtocols{6, 17, 132};

bool contains(const std::vector<net::PortRange>& ranges, std::uint16_t port) {
    return std::ranges::any_of(ranges, [port](const net::PortRange& range) { return range.contains(port); });
}

std::size_t count_ports(const std::vector<net::PortRange>& ranges) {
    std::size_t count = 0;
    for (const net::PortRange& range : ranges) {
        count += std::size_t{range.last()} - range.first() + 1;
    }
    return count;
}

std::string cell_name(const std::string& list, const PortKey& key) {
    switch (key.protocol) {
        case 6:
            return fmt::format("{}_tcp_{}", list, key.port);
        case 17:
            return fmt::format("{}_udp_{}", list, key.port);
        default:
            return fmt::format("{}_sctp_{}", list, key.port);
    }
}

/// The rule without the tests that a packet in the key's cell has passed already.
RulePtr in_cell(net::Family family, const RulePtr& shared, const PortKey& key) {
    Rule rule = shared->rule;
    std::erase_if(rule.matches, [&key](const Match& match) {
        if (const auto* protocol = std::get_if<MatchProtocol>(&match)) {
            return (protocol->protocol == key.protocol) != protocol->negated;
        }
        const auto* port = std::get_if<MatchPort>(&match);
        return port != nullptr && port->side == Side::destination && contains(port->ports, key.port) != port->negated;
    });
    return rule.matches.size() == shared->rule.matches.size() ? shared : share(family, std::move(rule));
}

bool same(const std::vector<RulePtr>& a, const std::vector<RulePtr>& b) {
    return std::ranges::equal(a, b, {}, &SharedRule::fingerprint, &SharedRule::fingerprint);
}

/// A list that is turned into cells. Entries are numbered in their order.
class List {
public:
    List(net::Family family, std::string name, const std::vector<ListEntry>& entries, std::size_t first,
         std::size_t last)
        : family_(family), name_(std::move(name)), entries_(entries) {
        std::size_t keys = 0;
        for (std::size_t i = first; i < last; ++i) {
            keys += entries[i].reach->keys().size();
        }
        keys_.reserve(keys);
        for (std::size_t i = first; i < last; ++i) {
            for (const PortKey& key : entries[i].reach->keys()) {
                keys_.emplace_back(key, i);
            }
            if (entries[i].reach->is_loose()) {
                loose_.push_back(i);
            }
        }
        std::ranges::sort(keys_);
    }

    void write(const std::vector<RulePtr>& end, std::vector<RulePtr>& into, Dispatched& result) {
        const std::string map = "m_" + name_;
        std::vector<Element>& elements = result.maps[map];
        std::map<std::vector<std::size_t>, std::string> by_entries;
        elements.reserve(keys_.size());
        std::vector<std::size_t> all;
        for (std::size_t k = 0; k < keys_.size();) {
            const PortKey key = keys_[k].first;
            all.clear();
            for (; k < keys_.size() && keys_[k].first == key; ++k) {
                all.push_back(keys_[k].second);
            }
            add_loose(key, all);
            const ElementKey element = ElementKey::port(key.protocol, key.port);
            if (all.size() == 1 && end.empty() && !entries_[all.front()].chain.empty()) {
                elements.push_back({element, {}, go_to(std::string(entries_[all.front()].chain))});
                continue;
            }
            std::vector<RulePtr> rules;
            for (const std::size_t i : all) {
                const ListEntry& entry = entries_[i];
                rules.push_back(entry.chain.empty() ? in_cell(family_, *entry.rule, key) : *entry.rule);
            }
            rules.insert(rules.end(), end.begin(), end.end());
            // Keys of one policy mostly lead to equal cells, which are one chain then.
            const auto [first, is_new] = by_entries.try_emplace(all, cell_name(name_, key));
            const bool shared = !is_new && same(result.chains.at(first->second), rules);
            const std::string cell = shared ? first->second : cell_name(name_, key);
            if (!shared) {
                result.chains.emplace(cell, std::move(rules));
            }
            elements.push_back({element, {}, go_to(cell)});
        }
        into.push_back(share(family_, Rule{{}, {LookupVerdict{port_map_type().fields, map}}}));
        for (const std::size_t i : loose_) {
            into.push_back(*entries_[i].rule);
        }
        into.insert(into.end(), end.begin(), end.end());
    }

private:
    /// Entries that match the key among others, into their places.
    void add_loose(const PortKey& key, std::vector<std::size_t>& own) const {
        if (loose_.empty()) {
            return;
        }
        std::vector<std::size_t> matching;
        std::ranges::copy_if(loose_, std::back_inserter(matching),
                             [&](std::size_t i) { return entries_[i].reach->loose_matches(key); });
        std::vector<std::size_t> all;
        std::ranges::set_union(own, matching, std::back_inserter(all));
        own = std::move(all);
    }

    net::Family family_;
    std::string name_;
    const std::vector<ListEntry>& entries_;
    std::vector<std::pair<PortKey, std::size_t>> keys_;  ///< each with every entry that names it
    std::vector<std::size_t> loose_;
};

/// How many entries from `first` on can share a map without being repeated too often.
std::size_t end_of_part(const std::vector<ListEntry>& entries, std::size_t first, bool with_leaving) {
    std::set<PortKey> keys;
    std::size_t counted = first;
    std::size_t loose = 0;
    std::size_t own = 0;
    std::size_t i = first;
    for (; i < entries.size() && (with_leaving || !entries[i].leaves_tier()); ++i) {
        own += entries[i].reach->keys().size();
        loose += entries[i].reach->is_loose() ? 1U : 0U;
        const std::size_t most = kCopiesPerEntry * (i - first + own) + kCopiesFree;
        if (i == first || own * loose + own <= most) {
            continue;  // however many keys are the same
        }
        for (; counted <= i; ++counted) {
            const std::vector<PortKey>& more = entries[counted].reach->keys();
            keys.insert(more.begin(), more.end());
        }
        if (keys.size() * loose + own > most) {
            break;
        }
    }
    return i;
}

bool has_keys(const std::vector<ListEntry>& entries, std::size_t first, std::size_t last) {
    return std::any_of(entries.begin() + static_cast<std::ptrdiff_t>(first),
                       entries.begin() + static_cast<std::ptrdiff_t>(last),
                       [](const ListEntry& entry) { return !entry.reach->keys().empty(); });
}

}  // namespace

const SetType& port_map_type() {
    static const SetType kType{{Field::protocol, Field::destination_port}, SetType::Shape::verdicts};
    return kType;
}

// --- reach ----------------------------------------------------------------------------------------------------------

Reach Reach::of(const std::vector<RulePtr>& rules) {
    Reach reach;
    for (const RulePtr& rule : rules) {
        reach.add(rule->rule);
    }
    reach.sort();
    return reach;
}

Reach Reach::of(const Rule& rule) {
    Reach reach;
    reach.add(rule);
    reach.sort();
    return reach;
}

void Reach::add(const Rule& rule) {
    Loose test;
    for (const Match& match : rule.matches) {
        if (const auto* protocol = std::get_if<MatchProtocol>(&match)) {
            if (protocol->negated) {
                test.not_protocols.push_back(protocol->protocol);
            } else {
                test.protocol = protocol->protocol;
            }
        } else if (const auto* port = std::get_if<MatchPort>(&match);
                   port != nullptr && port->side == Side::destination) {
            (port->negated ? test.not_ports : test.ports) = port->ports;
        }
    }
    const bool has_port = test.protocol && std::ranges::find(kPortProtocols, *test.protocol) != kPortProtocols.end();
    if (!has_port || test.ports.empty() || count_ports(test.ports) > kMostPorts) {
        loose_.push_back(std::move(test));
        return;
    }
    for (const net::PortRange& range : test.ports) {
        for (std::uint32_t port = range.first(); port <= range.last(); ++port) {
            keys_.push_back({*test.protocol, static_cast<std::uint16_t>(port)});
        }
    }
}

void Reach::sort() {
    std::ranges::sort(keys_);
    keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
}

bool Reach::loose_matches(const PortKey& key) const {
    return std::ranges::any_of(loose_, [&key](const Loose& test) {
        return (!test.protocol || *test.protocol == key.protocol) &&
               std::ranges::find(test.not_protocols, key.protocol) == test.not_protocols.end() &&
               (test.ports.empty() || contains(test.ports, key.port)) && !contains(test.not_ports, key.port);
    });
}

bool ListEntry::leaves_tier() const {
    return chain.empty() && std::ranges::any_of((*rule)->rule.actions, [](const Action& action) {
               const auto* verdict = std::get_if<Verdict>(&action);
               return verdict != nullptr && verdict->kind == Verdict::Kind::return_to_caller;
           });
}

// --- lists ----------------------------------------------------------------------------------------------------------

Dispatched dispatch_tier(net::Family family, const std::string& name, const std::vector<ListEntry>& entries,
                         const std::vector<RulePtr>& end, const DispatchLimits& limits) {
    Dispatched result;
    if (entries.size() <= limits.entries) {
        result.rules.reserve(entries.size() + end.size());
        std::ranges::transform(entries, std::back_inserter(result.rules),
                               [](const ListEntry& entry) { return *entry.rule; });
        result.rules.insert(result.rules.end(), end.begin(), end.end());
        return result;
    }
    const bool is_direct =
        has_keys(entries, 0, entries.size()) && std::ranges::all_of(entries, [](const ListEntry& entry) {
            return !entry.chain.empty() && !entry.reach->is_loose();
        });
    result.direct = is_direct ? entries.size() : 0;
    const bool leaves = std::ranges::any_of(entries, &ListEntry::leaves_tier);
    if (leaves && has_keys(entries, 0, entries.size()) && end_of_part(entries, 0, true) == entries.size()) {
        List(family, name, entries, 0, entries.size()).write(end, result.rules, result);
        return result;
    }
    // Parts are called, so that their cells, and policies without any other candidate, come back to the tier's end.
    std::size_t parts = 0;
    for (std::size_t first = 0; first < entries.size();) {
        const std::size_t last = std::max(end_of_part(entries, first, false), first + 1);
        if (entries[first].leaves_tier() || last - first <= limits.entries || !has_keys(entries, first, last)) {
            for (std::size_t i = first; i < last; ++i) {
                result.rules.push_back(*entries[i].rule);
            }
        } else {
            const std::string part = fmt::format("{}_{}", name, ++parts);
            List(family, part, entries, first, last).write({}, result.chains[part], result);
            result.rules.push_back(share(family, Rule{{}, {jump(part)}}));
        }
        first = last;
    }
    result.rules.insert(result.rules.end(), end.begin(), end.end());
    return result;
}

std::optional<MapEdit> edit_direct(const std::vector<Element>& map, const std::vector<ListEntry>& gone,
                                   const std::vector<ListEntry>& come) {
    const auto find = [&map](const ElementKey& key) {
        const auto found = std::ranges::lower_bound(map, key, {}, &Element::key);
        return found != map.end() && found->key == key ? &*found : nullptr;
    };
    MapEdit edit;
    for (const ListEntry& entry : gone) {
        for (const PortKey& key : entry.reach->keys()) {
            const Element* known = find(ElementKey::port(key.protocol, key.port));
            if (known == nullptr || known->verdict.chain != entry.chain) {
                return std::nullopt;
            }
            edit.remove.push_back(known->key);
        }
    }
    for (const ListEntry& entry : come) {
        if (entry.reach->is_loose()) {
            return std::nullopt;
        }
        for (const PortKey& key : entry.reach->keys()) {
            const ElementKey element = ElementKey::port(key.protocol, key.port);
            const auto goes = std::ranges::find(edit.remove, element);
            if (const Element* known = find(element); known != nullptr && goes == edit.remove.end()) {
                return std::nullopt;
            } else if (known != nullptr && known->verdict.chain == entry.chain) {
                edit.remove.erase(goes);  // a policy that was edited keeps this port
            } else {
                edit.add.push_back({element, {}, go_to(std::string(entry.chain))});
            }
        }
    }
    std::ranges::sort(edit.add, {}, &Element::key);
    const auto twice = std::ranges::adjacent_find(edit.add, {}, &Element::key);
    return twice == edit.add.end() ? std::optional(std::move(edit)) : std::nullopt;
}

Dispatched dispatch_rules(net::Family family, const std::string& name, std::vector<RulePtr> rules,
                          const DispatchLimits& limits) {
    std::vector<Reach> reaches;
    reaches.reserve(rules.size());
    std::size_t with_ports = 0;
    for (const RulePtr& rule : rules) {
        reaches.push_back(Reach::of(rule->rule));
        with_ports += reaches.back().keys().empty() ? 0U : 1U;
    }
    Dispatched result;
    if (with_ports > limits.port_rules) {
        std::vector<ListEntry> entries;
        entries.reserve(rules.size());
        for (std::size_t i = 0; i < rules.size(); ++i) {
            entries.push_back({&reaches[i], {}, &rules[i]});
        }
        if (end_of_part(entries, 0, true) == entries.size()) {
            List(family, name, entries, 0, entries.size()).write({}, result.rules, result);
            return result;
        }
    }
    result.rules = std::move(rules);
    return result;
}

}  // namespace manul::felix::render
