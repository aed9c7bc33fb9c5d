#include "felix/render/ruleset.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "felix/render/print.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix::render {

namespace {

struct TableName {
    TableId id;
    std::string_view name;
};
constexpr std::array<TableName, 6> kTableNames{{{TableId::raw, "manul_raw"},
                                                {TableId::pre, "manul_pre"},
                                                {TableId::nat, "manul_nat"},
                                                {TableId::egress, "manul_e"},
                                                {TableId::ingress, "manul_i"},
                                                {TableId::host, "manul_h"}}};

bool same_table(const Table& a, const Table& b) {
    return a.sets == b.sets && a.chains.size() == b.chains.size() &&
           std::ranges::all_of(a.chains, [&b](const auto& entry) {
               const auto other = b.chains.find(entry.first);
               return other != b.chains.end() && *other->second == *entry.second;
           });
}

void change_elements(Set& set, const ChangeElements& change) {
    if (set.type.shape == SetType::Shape::members) {
        return;  // its owner has done that
    }
    for (const ElementKey& key : change.remove) {
        set.elements.erase(key);
    }
    for (const Element& element : change.add) {
        set.elements.insert_or_assign(element.key, element);
    }
}

}  // namespace

std::string_view name(TableId table) noexcept { return kTableNames[static_cast<std::size_t>(table)].name; }

std::optional<TableId> find_table(std::string_view name) noexcept {
    const auto* found = std::ranges::find(kTableNames, name, &TableName::name);
    return found == kTableNames.end() ? std::nullopt : std::optional(found->id);
}

RulePtr share(net::Family family, Rule rule) {
    const std::uint64_t print = fingerprint(family, rule);
    return std::make_shared<const SharedRule>(SharedRule{std::move(rule), print});
}

std::vector<RulePtr> share(net::Family family, std::vector<Rule> rules) {
    std::vector<RulePtr> shared;
    shared.reserve(rules.size());
    for (Rule& rule : rules) {
        shared.push_back(share(family, std::move(rule)));
    }
    return shared;
}

ChainPtr Chain::make(net::Family family, std::vector<Rule> rules, std::optional<Hook> hook) {
    return make(share(family, std::move(rules)), hook);
}

ChainPtr Chain::make(std::vector<RulePtr> rules, std::optional<Hook> hook) {
    Chain chain;
    chain.hook_ = hook;
    chain.fingerprints_.reserve(rules.size());
    for (const RulePtr& rule : rules) {
        chain.fingerprints_.push_back(rule->fingerprint);
    }
    chain.rules_ = std::move(rules);
    return std::make_shared<const Chain>(std::move(chain));
}

ElementKey::ElementKey(const net::Ip& address) noexcept { append(address.bytes()); }

ElementKey::ElementKey(const net::Ip& address, std::uint8_t protocol, std::uint16_t port) noexcept {
    append(address.bytes());
    append_port(protocol, port);
}

ElementKey ElementKey::port(std::uint8_t protocol, std::uint16_t port) noexcept {
    ElementKey key;
    key.append_port(protocol, port);
    return key;
}

ElementKey ElementKey::interface(std::string_view name) noexcept {
    std::array<std::uint8_t, 16> padded{};  // IFNAMSIZ, with a zero at the end
    std::copy_n(name.begin(), std::min(name.size(), padded.size() - 1), padded.begin());
    return from_bytes(padded);
}

ElementKey ElementKey::group(std::uint32_t number) noexcept {
    ElementKey key;
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &number, bytes.size());
    key.append(bytes);
    return key;
}

ElementKey ElementKey::from_bytes(std::span<const std::uint8_t> bytes) noexcept {
    ElementKey key;
    key.append(bytes.first(std::min(bytes.size(), kCapacity)));
    return key;
}

std::uint32_t ElementKey::group_number() const noexcept {
    std::uint32_t number = 0;
    std::memcpy(&number, bytes_.data(), sizeof(number));
    return number;
}

std::optional<ElementKey> ElementKey::next() const noexcept {
    ElementKey following = *this;
    for (std::size_t i = size_; i-- > 0;) {
        if (++following.bytes_[i] != 0) {
            return following;
        }
    }
    return std::nullopt;
}

void ElementKey::append(std::span<const std::uint8_t> bytes) noexcept {
    std::ranges::copy(bytes, bytes_.begin() + size_);
    size_ = static_cast<std::uint8_t>(size_ + bytes.size());
}

void ElementKey::append_port(std::uint8_t protocol, std::uint16_t port) noexcept {
    append(std::array<std::uint8_t, 4>{protocol, 0, 0, 0});
    append(std::array<std::uint8_t, 4>{static_cast<std::uint8_t>(port >> 8U), static_cast<std::uint8_t>(port), 0, 0});
}

std::vector<Element> join_ranges(const std::vector<Element>& ranges) {
    std::vector<Element> result;
    for (const Element& range : ranges) {
        if (!result.empty()) {
            const auto after = result.back().end.next();
            if (!after || range.key <= *after) {
                result.back().end = std::max(result.back().end, range.end);
                continue;
            }
        }
        result.push_back(range);
    }
    return result;
}

std::vector<Element> ranges_of(const std::vector<net::Prefix>& prefixes) {
    std::vector<Element> ranges;
    ranges.reserve(prefixes.size());
    for (const net::Prefix& prefix : prefixes) {
        ranges.push_back({ElementKey(prefix.address()), ElementKey(prefix.last()), {}});
    }
    return join_ranges(ranges);
}

const Members& Set::member_keys() const {
    static const Members kNone;
    return members ? *members : kNone;
}

bool Set::operator==(const Set& other) const {
    return type == other.type && elements == other.elements && member_keys() == other.member_keys();
}

bool same(const Ruleset& a, const Ruleset& b) {
    return std::ranges::equal(a.tables, b.tables, [](const auto& x, const auto& y) {
        return x.first == y.first && same_table(x.second, y.second);
    });
}

void apply(Ruleset& ruleset, const Change& change) {
    std::visit(
        overloaded{
            [&](const PutTable& c) { ruleset.tables.try_emplace(c.table); },
            [&](const RemoveTable& c) { ruleset.tables.erase(c.table); },
            [&](const PutChain& c) { ruleset.tables[c.table].chains.insert_or_assign(c.name, c.chain); },
            [&](const RemoveChain& c) { ruleset.tables[c.table].chains.erase(c.name); },
            [&](const PutSet& c) { ruleset.tables[c.table].sets.try_emplace(c.name, Set{c.type, c.members, {}}); },
            [&](const RemoveSet& c) { ruleset.tables[c.table].sets.erase(c.name); },
            [&](const ChangeElements& c) { change_elements(ruleset.tables[c.table].sets[c.set], c); },
        },
        change);
}

}  // namespace manul::felix::render
