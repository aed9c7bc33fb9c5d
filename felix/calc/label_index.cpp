#include "felix/calc/label_index.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "felix/calc/label_holders.hpp"
#include "felix/calc/symbol_table.hpp"

namespace manul::felix {

namespace {

/// A number that is free, or a new one at the end of `records`.
template <class Record>
std::uint32_t take_number(std::vector<std::uint32_t>& free, std::vector<Record>& records) {
    if (free.empty()) {
        records.emplace_back();
        return static_cast<std::uint32_t>(records.size() - 1);
    }
    const std::uint32_t number = free.back();
    free.pop_back();
    records[number] = Record{};
    return number;
}

template <class Map, class Key>
const typename Map::mapped_type* find_or_null(const Map& map, const Key& key) {
    const auto found = map.find(key);
    return found == map.end() ? nullptr : &found->second;
}

template <class Map, class Key, class Value>
void erase_from(Map& map, const Key& key, const Value& value) {
    const auto found = map.find(key);
    found->second.erase(value);
    if (found->second.empty()) {
        map.erase(found);
    }
}

void sort_unique(std::vector<Symbol>& symbols) {
    std::ranges::sort(symbols);
    symbols.erase(std::ranges::unique(symbols).begin(), symbols.end());
}

}  // namespace

// --- evaluation ------------------------------------------------------------------------------------------------------

std::optional<Symbol> LabelIndex::effective(ItemId item, Symbol key) const noexcept {
    if (const auto own = own_.value(item.value(), key)) {
        return own;
    }
    for (const Parent parent : items_[item.value()].parents) {
        if (const auto value = inherited_.value(parent, key)) {
            return value;
        }
    }
    return std::nullopt;
}

bool LabelIndex::matches(const SelectorRecord& selector, ItemId item) const {
    const auto lookup = [&](std::string_view key) -> std::optional<std::string_view> {
        // It asks for keys that it mentions: where that is one alone, its text need not be looked up for each item.
        const auto symbol = selector.keys.size() == 1 ? std::optional(selector.keys.front()) : symbols_.find(key);
        const auto value = symbol ? effective(item, *symbol) : std::nullopt;
        return value ? std::optional(symbols_.text(*value)) : std::nullopt;
    };
    return selector.expression->matches(lookup);
}

bool LabelIndex::mentions(const SelectorRecord& selector, const std::vector<Symbol>& keys) noexcept {
    return std::ranges::any_of(selector.keys, [&keys](Symbol key) { return std::ranges::binary_search(keys, key); });
}

// --- filing ----------------------------------------------------------------------------------------------------------

std::size_t LabelIndex::filed_under(const model::RequiredLabel& demand) const {
    const auto key = symbols_.find(demand.key);
    if (!key) {
        return 0;
    }
    if (demand.values.empty()) {
        const SelectorSet* filed = find_or_null(filed_by_key_, *key);
        return filed != nullptr ? filed->size() : 0;
    }
    std::size_t most = 0;
    for (const std::string& text : demand.values) {
        const auto value = symbols_.find(text);
        const SelectorSet* filed = value ? find_or_null(filed_by_label_, SymbolPair{*key, *value}) : nullptr;
        most = std::max(most, filed != nullptr ? filed->size() : 0);
    }
    return most;
}

void LabelIndex::file(SelectorId id, const std::vector<model::RequiredLabel>& demands) {
    SelectorRecord& record = selectors_[id.value()];
    // A demanded value counts for less than mere presence, and few values for less than many, where the files are
    // equally long: it meets fewer items.
    const model::RequiredLabel* best = nullptr;
    auto cost = [this](const model::RequiredLabel& demand) {
        return std::pair(filed_under(demand),
                         demand.values.empty() ? std::numeric_limits<std::size_t>::max() : demand.values.size());
    };
    for (const model::RequiredLabel& demand : demands) {
        if (best == nullptr || cost(demand) < cost(*best)) {
            best = &demand;
        }
    }
    if (best == nullptr) {
        unfiled_.insert(id);
    } else if (const Symbol key = symbols_.acquire(best->key); best->values.empty()) {
        record.filed_key = key;
        filed_by_key_[key].insert(id);
    } else {
        for (const std::string& value : best->values) {
            const SymbolPair label{record.filed_labels.empty() ? key : symbols_.acquire(best->key),
                                   symbols_.acquire(value)};
            record.filed_labels.push_back(label);
            filed_by_label_[label].insert(id);
        }
    }
}

void LabelIndex::unfile(SelectorId id) {
    SelectorRecord& record = selectors_[id.value()];
    for (const SymbolPair& label : record.filed_labels) {
        erase_from(filed_by_label_, label, id);
        symbols_.release(label.key);
        symbols_.release(label.value);
    }
    if (record.filed_key) {
        erase_from(filed_by_key_, *record.filed_key, id);
        symbols_.release(*record.filed_key);
    }
    unfiled_.erase(id);
}

// --- which items a selector must look at -----------------------------------------------------------------------------

std::size_t LabelIndex::holders_of(SymbolPair label) const {
    std::size_t count = own_.with(label).size();
    for (const Parent parent : inherited_.with(label)) {
        count += parents_[parent].children.size();
    }
    return count;
}

std::size_t LabelIndex::holders_of(const model::RequiredLabel& demand) const {
    const auto key = symbols_.find(demand.key);
    if (!key) {
        return 0;
    }
    std::size_t count = 0;
    if (demand.values.empty()) {
        for (const std::uint32_t value : own_.values_of(*key)) {
            count += own_.with({*key, Symbol(value)}).size();
        }
        for (const std::uint32_t value : inherited_.values_of(*key)) {
            for (const Parent parent : inherited_.with({*key, Symbol(value)})) {
                count += parents_[parent].children.size();
            }
        }
        return count;
    }
    for (const std::string& text : demand.values) {
        if (const auto value = symbols_.find(text)) {
            count += holders_of(SymbolPair{*key, *value});
        }
    }
    return count;
}

template <class Visit>
void LabelIndex::for_each_holder(const model::RequiredLabel& demand, const Visit& visit) const {
    const auto key = symbols_.find(demand.key);
    if (!key) {
        return;
    }
    const auto visit_own = [&](Symbol value) {
        for (const LabelHolders::Holder holder : own_.with({*key, value})) {
            visit(ItemId(holder));
        }
    };
    const auto visit_inherited = [&](Symbol value) {
        for (const Parent parent : inherited_.with({*key, value})) {
            for (const ItemId item : parents_[parent].children) {
                visit(item);
            }
        }
    };
    if (demand.values.empty()) {
        for (const std::uint32_t value : own_.values_of(*key)) {
            visit_own(Symbol(value));
        }
        for (const std::uint32_t value : inherited_.values_of(*key)) {
            visit_inherited(Symbol(value));
        }
        return;
    }
    for (const std::string& text : demand.values) {
        if (const auto value = symbols_.find(text)) {
            visit_own(*value);
            visit_inherited(*value);
        }
    }
}

template <class Visit>
void LabelIndex::for_each_candidate(const model::Selector& selector, const Visit& visit) const {
    const std::vector<model::RequiredLabel> demands = selector.required_labels();
    const model::RequiredLabel* rarest = nullptr;
    std::size_t fewest = 0;
    for (const model::RequiredLabel& demand : demands) {
        const std::size_t holders = holders_of(demand);
        if (rarest == nullptr || holders < fewest) {
            rarest = &demand;
            fewest = holders;
        }
    }
    if (rarest != nullptr) {
        for_each_holder(*rarest, visit);
        return;
    }
    for (std::size_t i = 0; i < items_.size(); ++i) {
        if (items_[i].used) {
            visit(ItemId(static_cast<std::uint32_t>(i)));
        }
    }
}

// --- selectors -------------------------------------------------------------------------------------------------------

SelectorId LabelIndex::add_selector(const model::Selector& selector, MatchChanges& changes) {
    const SelectorId id(take_number(free_selectors_, selectors_));
    SelectorRecord& record = selectors_[id.value()];
    record.expression = selector;
    for (const std::string& key : selector.keys()) {
        record.keys.push_back(symbols_.acquire(key));
        mentioning_[record.keys.back()].insert(id);
    }
    std::ranges::sort(record.keys);
    file(id, selector.required_labels());
    for_each_candidate(selector, [&](ItemId item) {
        if (!std::ranges::binary_search(items_[item.value()].matches, id) && matches(record, item)) {
            start(id, item, changes);
        }
    });
    return id;
}

void LabelIndex::remove_selector(SelectorId id, MatchChanges& changes) {
    SelectorRecord& record = selectors_[id.value()];
    for_each_candidate(*record.expression, [&](ItemId item) {
        std::vector<SelectorId>& list = items_[item.value()].matches;
        const auto found = std::ranges::lower_bound(list, id);
        if (found != list.end() && *found == id) {
            list.erase(found);
            changes.push_back(MatchChange{id, item, false});
        }
    });
    unfile(id);
    for (const Symbol key : record.keys) {
        erase_from(mentioning_, key, id);
        symbols_.release(key);
    }
    record = SelectorRecord{};
    free_selectors_.push_back(id.value());
}

// --- items -----------------------------------------------------------------------------------------------------------

ItemId LabelIndex::add_item(const model::StringMap& labels, std::span<const std::string> parents,
                            MatchChanges& changes) {
    const ItemId item(take_number(free_items_, items_));
    items_[item.value()].used = true;
    own_.assign(item.value(), labels);
    attach(item, parents);
    match_new(item, changes);
    return item;
}

void LabelIndex::update_item(ItemId item, const model::StringMap& labels, std::span<const std::string> parents,
                             MatchChanges& changes) {
    std::vector<Symbol> changed = own_.assign(item.value(), labels);
    const std::vector<Parent>& current = items_[item.value()].parents;
    const bool same_parents =
        std::ranges::equal(current, parents, [this](Parent a, const std::string& b) { return parents_[a].name == b; });
    keep_mentioned(changed);
    if (!same_parents) {
        const auto add_inherited = [&] {
            for (const Parent parent : items_[item.value()].parents) {
                for (const LabelHolders::Label& label : inherited_.labels(parent)) {
                    changed.push_back(label.label.key);
                }
            }
        };
        add_inherited();
        detach(item);
        attach(item, parents);
        add_inherited();
        keep_mentioned(changed);
    }
    reevaluate(item, changed, changes);
}

void LabelIndex::remove_item(ItemId item, MatchChanges& changes) {
    for (const SelectorId selector : items_[item.value()].matches) {
        changes.push_back(MatchChange{selector, item, false});
    }
    own_.assign(item.value(), {});
    detach(item);
    items_[item.value()] = ItemRecord{};
    free_items_.push_back(item.value());
}

// --- parents ---------------------------------------------------------------------------------------------------------

void LabelIndex::set_parent_labels(std::string_view name, const model::StringMap& labels, MatchChanges& changes) {
    const Parent parent = parent_named(name);
    parents_[parent].has_labels = !labels.empty();
    std::vector<Symbol> changed = inherited_.assign(parent, labels);
    keep_mentioned(changed);
    if (!changed.empty()) {
        for (const ItemId item : parents_[parent].children) {
            reevaluate(item, changed, changes);
        }
    }
    release_parent_if_unused(parent);
}

LabelIndex::Parent LabelIndex::parent_named(std::string_view name) {
    const auto [entry, is_new] = parent_numbers_.try_emplace(std::string(name), 0);
    if (is_new) {
        entry->second = take_number(free_parents_, parents_);
        parents_[entry->second].name = name;
    }
    return entry->second;
}

void LabelIndex::release_parent_if_unused(Parent parent) {
    ParentRecord& record = parents_[parent];
    if (record.children.empty() && !record.has_labels) {
        parent_numbers_.erase(record.name);
        record = ParentRecord{};
        free_parents_.push_back(parent);
    }
}

void LabelIndex::attach(ItemId item, std::span<const std::string> parents) {
    ItemRecord& record = items_[item.value()];
    for (const std::string& name : parents) {
        const Parent parent = parent_named(name);
        if (std::ranges::find(record.parents, parent) == record.parents.end()) {
            record.parents.push_back(parent);
            record.parent_slots.push_back(static_cast<std::uint32_t>(parents_[parent].children.size()));
            parents_[parent].children.push_back(item);
        }
    }
}

void LabelIndex::detach(ItemId item) {
    ItemRecord& record = items_[item.value()];
    for (std::size_t i = 0; i < record.parents.size(); ++i) {
        const Parent parent = record.parents[i];
        std::vector<ItemId>& children = parents_[parent].children;
        const std::uint32_t slot = record.parent_slots[i];
        if (slot + 1 < children.size()) {
            const ItemId moved = children.back();
            children[slot] = moved;
            ItemRecord& other = items_[moved.value()];
            const auto at = std::ranges::find(other.parents, parent) - other.parents.begin();
            other.parent_slots[static_cast<std::size_t>(at)] = slot;
        }
        children.pop_back();
        release_parent_if_unused(parent);
    }
    record.parents.clear();
    record.parent_slots.clear();
}

// --- which selectors an item must look at ----------------------------------------------------------------------------

void LabelIndex::keep_mentioned(std::vector<Symbol>& keys) const {
    std::erase_if(keys, [this](Symbol key) { return !mentioning_.contains(key); });
    sort_unique(keys);
}

void LabelIndex::start(SelectorId selector, ItemId item, MatchChanges& changes) {
    std::vector<SelectorId>& list = items_[item.value()].matches;
    list.insert(std::ranges::lower_bound(list, selector), selector);
    changes.push_back(MatchChange{selector, item, true});
}

void LabelIndex::try_candidate(SelectorId selector, ItemId item, MatchChanges& changes) {
    SelectorRecord& record = selectors_[selector.value()];
    if (std::exchange(record.visited, visit_) != visit_ &&
        !std::ranges::binary_search(items_[item.value()].matches, selector) && matches(record, item)) {
        start(selector, item, changes);
    }
}

template <class Visit>
void LabelIndex::for_each_label(ItemId item, const Visit& visit) const {
    for (const LabelHolders::Label& label : own_.labels(item.value())) {
        visit(label.label);
    }
    for (const Parent parent : items_[item.value()].parents) {
        for (const LabelHolders::Label& label : inherited_.labels(parent)) {
            visit(label.label);
        }
    }
}

/// Selector sets that can hold new matches of the item: filed under its labels, and those that demand nothing.
template <class Visit>
void LabelIndex::visit_filed(ItemId item, const Visit& visit) {
    for_each_label(item, [&](SymbolPair label) {
        if (const SelectorSet* filed = find_or_null(filed_by_label_, label)) {
            visit(*filed);
        }
        if (const SelectorSet* filed = find_or_null(filed_by_key_, label.key)) {
            visit(*filed);
        }
    });
    visit(unfiled_);
}

void LabelIndex::match_new(ItemId item, MatchChanges& changes) {
    ++visit_;
    visit_filed(item, [&](const SelectorSet& filed) {
        for (const SelectorId selector : filed) {
            try_candidate(selector, item, changes);
        }
    });
}

void LabelIndex::reevaluate(ItemId item, const std::vector<Symbol>& changed_keys, MatchChanges& changes) {
    if (changed_keys.empty()) {
        return;
    }
    std::vector<SelectorId>& list = items_[item.value()].matches;
    std::erase_if(list, [&](SelectorId selector) {
        const SelectorRecord& record = selectors_[selector.value()];
        if (!mentions(record, changed_keys) || matches(record, item)) {
            return false;
        }
        changes.push_back(MatchChange{selector, item, false});
        return true;
    });

    // New matches stand both in the files of the item's labels and among the selectors that mention a changed key:
    // walk what is shorter. Few are walked before anything is counted.
    constexpr std::size_t kFew = 16;
    std::size_t mentioning_count = 0;
    for (const Symbol key : changed_keys) {
        mentioning_count += mentioning_.at(key).size();
    }
    const auto filed_count = [&] {
        std::size_t count = 0;
        visit_filed(item, [&count](const SelectorSet& filed) { count += filed.size(); });
        return count;
    };
    ++visit_;
    if (mentioning_count <= kFew || mentioning_count < filed_count()) {
        for (const Symbol key : changed_keys) {
            for (const SelectorId selector : mentioning_.at(key)) {
                try_candidate(selector, item, changes);
            }
        }
        return;
    }
    visit_filed(item, [&](const SelectorSet& filed) {
        for (const SelectorId selector : filed) {
            if (mentions(selectors_[selector.value()], changed_keys)) {
                try_candidate(selector, item, changes);
            }
        }
    });
}

}  // namespace manul::felix
