#include "felix/render/ruleset_writer.hpp"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "felix/render/dispatch.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::render {

ChainPtr RulesetWriter::find_chain(const TableKey& table, const std::string& name) const {
    const auto chains = chains_.find(table);
    if (chains == chains_.end()) {
        return nullptr;
    }
    const auto chain = chains->second.find(name);
    return chain == chains->second.end() ? nullptr : chain->second;
}

/// A rule more, or less, looks into its sets.
void RulesetWriter::use_sets(const TableKey& table, const Rule& rule, bool used) {
    for (const Match& match : rule.matches) {
        // Sets of the skeleton (pools) are not the calculation's.
        if (const auto* lookup = std::get_if<MatchSet>(&match); lookup != nullptr && lookup->set[1] == '_') {
            if (used) {
                sets_.acquire(table, lookup->set, changes_);
            } else {
                sets_.release(table, lookup->set, changes_);
            }
        }
    }
}

void RulesetWriter::put_chain(const TableKey& table, const std::string& name, const ChainPtr& chain) {
    ChainPtr& known = chains_[table][name];
    if (known && *known == *chain) {
        return;
    }
    static const std::vector<RulePtr> none;
    const std::vector<RulePtr>& before = known ? known->shared_rules() : none;
    const std::vector<RulePtr>& now = chain->shared_rules();
    const auto same = [](const RulePtr& a, const RulePtr& b) { return a->fingerprint == b->fingerprint; };
    const auto first = std::ranges::mismatch(before, now, same);
    const auto last = std::mismatch(before.rbegin(), std::make_reverse_iterator(first.in1), now.rbegin(),
                                    std::make_reverse_iterator(first.in2), same);
    // New references first: a set that both contents name must not vanish in between.
    for (auto rule = first.in2; rule != last.second.base(); ++rule) {
        use_sets(table, (*rule)->rule, true);
    }
    for (auto rule = first.in1; rule != last.first.base(); ++rule) {
        use_sets(table, (*rule)->rule, false);
    }
    known = chain;
    changes_.emplace_back(PutChain{table, name, chain});
}

void RulesetWriter::remove_chain(const TableKey& table, const std::string& name) {
    const ChainPtr chain = find_chain(table, name);
    if (chain == nullptr) {
        return;
    }
    for (const Rule& rule : chain->rules()) {
        use_sets(table, rule, false);
    }
    chains_[table].erase(name);
    changes_.emplace_back(RemoveChain{table, name});
}

void RulesetWriter::put_rules(const TableKey& table, const std::string& name, std::vector<RulePtr> rules) {
    if (rules.empty()) {
        remove_chain(table, name);
    } else {
        put_chain(table, name, Chain::make(std::move(rules)));
    }
}

void RulesetWriter::put_list(const TableKey& table, const std::string& name, Dispatched list) {
    std::unordered_map<std::string, ListParts>& lists = lists_[table];
    const auto known = lists.find(name);
    ListParts before;
    if (known != lists.end()) {
        before = std::exchange(known->second, {});
    }
    ListParts now;
    now.direct = list.direct;
    for (auto& [map, elements] : list.maps) {
        const auto old = before.maps.find(map);
        put_map(table, map, old == before.maps.end() ? nullptr : &old->second, elements);
        now.maps.emplace(map, std::move(elements));
    }
    for (auto& [chain, rules] : list.chains) {
        put_chain(table, chain, Chain::make(std::move(rules)));
        now.chains.insert(chain);
    }
    put_rules(table, name, std::move(list.rules));
    for (const auto& [map, elements] : before.maps) {
        if (!now.maps.contains(map)) {
            changes_.emplace_back(RemoveSet{table, map});
        }
    }
    for (const std::string& chain : before.chains) {
        if (!now.chains.contains(chain)) {
            remove_chain(table, chain);
        }
    }
    const bool is_plain = now.chains.empty() && now.maps.empty();
    if (known != lists.end() && is_plain) {
        lists.erase(known);
    } else if (known != lists.end()) {
        known->second = std::move(now);
    } else if (!is_plain) {
        lists.emplace(name, std::move(now));
    }
}

void RulesetWriter::put_map(const TableKey& table, const std::string& map, const std::vector<Element>* before,
                            const std::vector<Element>& now) {
    if (before == nullptr) {
        changes_.emplace_back(PutSet{table, map, port_map_type()});
    }
    static const std::vector<Element> none;
    ChangeElements change{table, map, {}, {}};
    auto old = (before == nullptr ? none : *before).begin();
    const auto end = (before == nullptr ? none : *before).end();
    for (const Element& element : now) {  // both are in the order of keys
        for (; old != end && old->key < element.key; ++old) {
            change.remove.push_back(old->key);
        }
        const bool was_there = old != end && old->key == element.key;
        if (!was_there || old->verdict != element.verdict) {
            if (was_there) {
                change.remove.push_back(element.key);
            }
            change.add.push_back(element);
        }
        old += was_there ? 1 : 0;
    }
    for (; old != end; ++old) {
        change.remove.push_back(old->key);
    }
    if (!change.remove.empty() || !change.add.empty()) {
        changes_.emplace_back(std::move(change));
    }
}

bool RulesetWriter::edit_list(const TableKey& table, const std::string& name, const std::vector<ListEntry>& gone,
                              const std::vector<ListEntry>& come, std::size_t fewest) {
    std::unordered_map<std::string, ListParts>& lists = lists_[table];
    const auto known = lists.find(name);
    if (known == lists.end() || known->second.direct == 0) {
        return false;
    }
    ListParts& parts = known->second;
    const std::size_t entries = parts.direct + come.size() - gone.size();
    auto& [map, elements] = *parts.maps.begin();
    std::optional<MapEdit> edit = edit_direct(elements, gone, come);
    if (entries <= fewest || !edit) {
        return false;
    }
    parts.direct = entries;
    for (const ElementKey& key : edit->remove) {
        elements.erase(std::ranges::lower_bound(elements, key, {}, &Element::key));
    }
    for (const Element& element : edit->add) {
        elements.insert(std::ranges::lower_bound(elements, element.key, {}, &Element::key), element);
    }
    if (!edit->remove.empty() || !edit->add.empty()) {
        changes_.emplace_back(ChangeElements{table, map, std::move(edit->remove), std::move(edit->add)});
    }
    return true;
}

void RulesetWriter::change_ranges(const TableKey& table, std::string_view set, const std::vector<Element>& before,
                                  const std::vector<Element>& now) {
    ChangeElements change{table, std::string(set), {}, {}};
    for (const Element& element : before) {
        if (!std::ranges::binary_search(now, element)) {
            change.remove.push_back(element.key);
        }
    }
    std::ranges::set_difference(now, before, std::back_inserter(change.add));
    if (!change.remove.empty() || !change.add.empty()) {
        changes_.emplace_back(std::move(change));
    }
}

}  // namespace manul::felix::render
