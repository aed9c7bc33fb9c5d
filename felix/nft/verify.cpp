#include "felix/nft/verify.hpp"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "felix/nft/compare.hpp"
#include "felix/nft/expression.hpp"
#include "felix/render/nat.hpp"
#include "felix/render/print.hpp"
#include "net/ip.hpp"

namespace manul::felix::nft {

namespace {

using render::Element;
using render::ElementKey;
using render::Rule;
using render::SetType;
using render::TableKey;

/// Names the first few of many.
constexpr std::size_t kShown = 5;

std::string address_text(std::span<const std::uint8_t> bytes) {
    const auto address = net::Ip::from_bytes(bytes);
    return address ? address->to_string() : std::string("?");
}

std::string key_text(const ElementKey& key, net::Family family, const SetType& type) {
    const auto bytes = key.bytes();
    const std::size_t address = family == net::Family::v4 ? 4 : 16;
    const render::Field first = type.fields.empty() ? render::Field::source_address : type.fields.front();
    if (first == render::Field::in_group || first == render::Field::out_group) {
        return fmt::format("{:#x}", key.group_number());
    }
    if (first == render::Field::source_address || first == render::Field::destination_address) {
        if (bytes.size() == address) {
            return address_text(bytes);
        }
        if (bytes.size() >= address + 8) {  // with protocol and port
            return fmt::format("{} protocol {} port {}", address_text(bytes.first(address)), bytes[address],
                               bytes[address + 4] << 8U | bytes[address + 5]);
        }
    }
    std::string text;
    for (const std::uint8_t byte : bytes) {
        text += fmt::format("{:02x}", byte);
    }
    return text;
}

/// The chain of translations stays when its last rule went: without any such chain the kernel ends the translation of
/// connections that it has. Those of the node's own traffic are emptied when hostToWorkloadPolicy ends.
bool may_stay(const TableKey& table, const std::string& name, const KernelContent::Chain& chain) {
    const bool translates = table.id == render::TableId::nat && name == render::kPostChain;
    const bool own_traffic = table.id == render::TableId::ingress && (name == "out_hook" || name == "post_hook");
    return chain.rules.empty() && (translates || own_traffic);
}

class Verifier {
public:
    explicit Verifier(std::vector<Difference>& out) : out_(out) {}

    void table(const TableKey& key, const render::Table& wanted, const KernelContent& kernel) {
        key_ = key;
        for (const auto* entry : render::in_order(wanted.chains)) {
            const auto& [name, chain] = *entry;
            const auto held = kernel.chains.find(name);
            if (held == kernel.chains.end()) {
                add("chain " + name, "is missing");
            } else {
                compare_chain(name, *chain, held->second, kernel);
            }
        }
        for (const auto& [name, chain] : kernel.chains) {
            if (!wanted.chains.contains(name) && !may_stay(key, name, chain)) {
                add("chain " + name, fmt::format("is there, with {} rules, and should not be", chain.rules.size()));
            }
        }
        for (const auto* entry : render::in_order(wanted.sets)) {
            const auto& [name, set] = *entry;
            const auto held = kernel.sets.find(name);
            if (held == kernel.sets.end()) {
                add("set " + name, "is missing");
            } else {
                compare_set("set " + name, set, held->second);
            }
        }
        for (const auto& [name, set] : kernel.sets) {
            if (!set.anonymous && !wanted.sets.contains(name)) {
                add("set " + name, "is there and should not be");
            }
        }
    }

    void add(std::string object, std::string problem) {
        out_.push_back({key_, std::move(object), std::move(problem), 0, {}});
    }
    void at(const TableKey& key) { key_ = key; }

private:
    void add(std::string object, std::string problem, const Rule& wanted) {
        out_.push_back({key_, std::move(object), std::move(problem), wanted.id, print(key_.family, wanted)});
    }

    void compare_chain(const std::string& name, const render::Chain& wanted, const KernelContent::Chain& kernel,
                       const KernelContent& content) {
        if (wanted.hook() != kernel.hook) {
            add("chain " + name, "hangs at another hook or priority");
        }
        const render::RuleRange rules = wanted.rules();
        if (rules.size() != kernel.rules.size()) {
            add("chain " + name, fmt::format("has {} rules instead of {}", kernel.rules.size(), rules.size()));
        }
        for (std::size_t i = 0; i < std::min(rules.size(), kernel.rules.size()); ++i) {
            const std::string object = fmt::format("chain {}, rule {}", name, i);
            const auto anonymous = match_expressions(key_.family, rules[i], kernel.rules[i].expressions);
            if (!anonymous) {
                add(object, describe_other(kernel.rules[i], wanted.fingerprints()[i]), rules[i]);
            } else if (const auto problem = compare_values(rules[i], *anonymous, content)) {
                add(object, *problem, rules[i]);
            } else if (!kernel.rules[i].mark || kernel.rules[i].mark->fingerprint != wanted.fingerprints()[i]) {
                add(object, "does what it should, but its comment is not ours", rules[i]);
            }
        }
        for (std::size_t i = kernel.rules.size(); i < rules.size(); ++i) {
            add(fmt::format("chain {}, rule {}", name, i), "is missing", rules[i]);
        }
    }

    static std::string describe_other(const KernelRule& kernel, std::uint64_t wanted) {
        if (!kernel.mark) {
            return fmt::format("is a rule of somebody else (handle {})", kernel.handle);
        }
        return kernel.mark->fingerprint == wanted
                   ? fmt::format("carries our comment and does something else (handle {})", kernel.handle)
                   : fmt::format("is another rule (handle {})", kernel.handle);
    }

    /// The lists of values that the rule looks up in anonymous sets.
    std::optional<std::string> compare_values(const Rule& rule, const std::vector<std::string>& names,
                                              const KernelContent& content) const {
        std::size_t next = 0;
        for (const render::Match& match : rule.matches) {
            const auto list = value_list(key_.family, match);
            if (!list) {
                continue;
            }
            const auto held = next < names.size() ? content.sets.find(names[next]) : content.sets.end();
            ++next;
            if (held == content.sets.end() || !held->second.read) {
                return "looks up a set that cannot be read";
            }
            std::map<ElementKey, Element> elements;
            for (const Element& element : list->elements) {
                elements.emplace(element.key, Element{element.key, list->ranges ? element.end : ElementKey{}, {}});
            }
            const auto shape = list->ranges ? SetType::Shape::ranges : SetType::Shape::members;
            if (elements_of(held->second, shape) != elements) {
                return "matches another list of values";
            }
        }
        return std::nullopt;
    }

    /// Both ends of each range; members and verdicts as they are.
    static std::map<ElementKey, Element> elements_of(const KernelContent::Set& set, SetType::Shape shape) {
        std::map<ElementKey, Element> elements;
        for (const auto& [key, verdict] : set.elements) {
            Element element{key, {}, {}};
            if (shape == SetType::Shape::verdicts) {
                element.verdict = verdict;
            } else if (shape == SetType::Shape::ranges) {
                const auto behind = set.ends.upper_bound(key);
                element.end = behind == set.ends.end() ? last_of(key) : previous(*behind);
            }
            elements.emplace(key, element);
        }
        return elements;
    }

    static ElementKey last_of(const ElementKey& key) {
        return ElementKey::from_bytes(std::vector<std::uint8_t>(key.bytes().size(), 0xff));
    }
    static ElementKey previous(const ElementKey& key) {
        std::vector<std::uint8_t> bytes(key.bytes().begin(), key.bytes().end());
        for (std::size_t i = bytes.size(); i-- > 0;) {
            if (bytes[i]-- != 0) {
                break;
            }
        }
        return ElementKey::from_bytes(bytes);
    }

    void compare_set(const std::string& object, const render::Set& wanted, const KernelContent::Set& kernel) {
        if (wanted.type.shape != kernel.shape || kernel.key_type != key_type(key_.family, wanted.type.fields)) {
            add(object, "is of another type");
            return;
        }
        if (!kernel.read) {
            return;
        }
        std::map<ElementKey, Element> mine = wanted.elements;
        for (const ElementKey& key : wanted.member_keys()) {
            mine.emplace(key, Element{key, {}, {}});
        }
        const auto theirs = elements_of(kernel, wanted.type.shape);
        std::vector<std::string> missing;
        std::vector<std::string> extra;
        std::vector<std::string> other;
        const auto text = [&](const ElementKey& key) { return key_text(key, key_.family, wanted.type); };
        for (const auto& [key, element] : mine) {
            const auto held = theirs.find(key);
            if (held == theirs.end()) {
                missing.push_back(text(key));
            } else if (held->second != element) {
                other.push_back(text(key));
            }
        }
        for (const auto& [key, element] : theirs) {
            if (!mine.contains(key)) {
                extra.push_back(text(key));
            }
        }
        report(object, missing, "lacks");
        report(object, extra, "has too many:");
        report(object, other, "holds with another end or verdict:");
    }

    void report(const std::string& object, const std::vector<std::string>& keys, std::string_view verb) {
        if (keys.empty()) {
            return;
        }
        std::string list;
        for (std::size_t i = 0; i < std::min(keys.size(), kShown); ++i) {
            list += (i == 0 ? " " : ", ") + keys[i];
        }
        add(object, fmt::format("{}{}{} ({} elements)", verb, list, keys.size() > kShown ? ", ..." : "", keys.size()));
    }

    std::vector<Difference>& out_;
    TableKey key_;
};

}  // namespace

std::vector<Difference> verify(const render::Ruleset& wanted, const KernelContents& kernel) {
    std::vector<Difference> differences;
    Verifier verifier(differences);
    for (const auto& [key, table] : wanted.tables) {
        const auto held = kernel.find(key);
        verifier.at(key);
        if (held == kernel.end()) {
            verifier.add({}, "is missing");
        } else {
            verifier.table(key, table, held->second);
        }
    }
    for (const auto& [key, content] : kernel) {
        if (!wanted.tables.contains(key)) {
            verifier.at(key);
            verifier.add({}, "is there and should not be");
        }
    }
    return differences;
}

Extent extent(const render::Ruleset& wanted, const KernelContents& kernel) {
    Extent total;
    for (const auto& [key, table] : wanted.tables) {
        ++total.tables;
        total.chains += table.chains.size();
        for (const auto& [name, chain] : table.chains) {
            total.rules += chain->rules().size();
        }
        total.sets += table.sets.size();
        const auto held = kernel.find(key);
        for (const auto& [name, set] : table.sets) {
            const KernelContent::Set* there = nullptr;
            if (held != kernel.end()) {
                const auto found = held->second.sets.find(name);
                there = found == held->second.sets.end() ? nullptr : &found->second;
            }
            if (there == nullptr) {
                continue;  // a difference, which verify() tells
            }
            total.elements += there->read ? set.member_keys().size() + set.elements.size() : 0;
            total.sets_not_read += there->read ? 0 : 1;
        }
    }
    return total;
}

}  // namespace manul::felix::nft
