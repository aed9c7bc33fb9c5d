#include "felix/calc/label_holders.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <unordered_set>
#include <utility>
#include <vector>

#include "config/model/resource.hpp"
#include "felix/calc/symbol_table.hpp"

namespace manul::felix {

namespace {

Symbol key_of(const LabelHolders::Label& label) noexcept { return label.label.key; }

}  // namespace

std::vector<Symbol> LabelHolders::assign(Holder holder, const model::StringMap& labels) {
    if (holder >= holders_.size()) {
        holders_.resize(std::size_t{holder} + 1);
    }
    std::vector<Label> next;
    next.reserve(labels.size());
    for (const auto& [key, value] : labels) {
        next.push_back(Label{{symbols_.acquire(key), symbols_.acquire(value)}, 0});
    }
    std::ranges::sort(next, {}, key_of);

    std::vector<Symbol> changed;
    const std::vector<Label> previous = std::exchange(holders_[holder], {});
    for (const Label& old : previous) {
        const auto same = std::ranges::lower_bound(next, old.label.key, {}, key_of);
        if (same != next.end() && same->label == old.label) {
            same->slot = old.slot;
        } else {
            changed.push_back(old.label.key);
            remove_posting(old);
        }
    }
    for (Label& label : next) {
        const auto same = std::ranges::lower_bound(previous, label.label.key, {}, key_of);
        if (same == previous.end() || same->label != label.label) {
            if (same == previous.end() || same->label.key != label.label.key) {
                changed.push_back(label.label.key);
            }
            add_posting(holder, label);
        }
    }
    holders_[holder] = std::move(next);
    for (const Label& old : previous) {
        symbols_.release(old.label.key);
        symbols_.release(old.label.value);
    }
    return changed;
}

std::optional<Symbol> LabelHolders::value(Holder holder, Symbol key) const noexcept {
    const std::span<const Label> list = labels(holder);
    const auto found = std::ranges::lower_bound(list, key, {}, key_of);
    return found != list.end() && found->label.key == key ? std::optional(found->label.value) : std::nullopt;
}

std::span<const LabelHolders::Holder> LabelHolders::with(SymbolPair label) const noexcept {
    const auto found = postings_.find(label);
    return found == postings_.end() ? std::span<const Holder>() : std::span<const Holder>(found->second);
}

const std::unordered_set<std::uint32_t>& LabelHolders::values_of(Symbol key) const noexcept {
    static const std::unordered_set<std::uint32_t> none;
    const auto found = values_.find(key);
    return found == values_.end() ? none : found->second;
}

LabelHolders::Label* LabelHolders::find(Holder holder, Symbol key) noexcept {
    std::vector<Label>& list = holders_[holder];
    return &*std::ranges::lower_bound(list, key, {}, key_of);
}

void LabelHolders::add_posting(Holder holder, Label& label) {
    std::vector<Holder>& posting = postings_[label.label];
    label.slot = static_cast<std::uint32_t>(posting.size());
    posting.push_back(holder);
    values_[label.label.key].insert(label.label.value.value());
}

void LabelHolders::remove_posting(const Label& label) {
    const auto found = postings_.find(label.label);
    std::vector<Holder>& posting = found->second;
    if (label.slot + 1 < posting.size()) {
        const Holder moved = posting.back();
        posting[label.slot] = moved;
        find(moved, label.label.key)->slot = label.slot;
    }
    posting.pop_back();
    if (posting.empty()) {
        postings_.erase(found);
        const auto values = values_.find(label.label.key);
        values->second.erase(label.label.value.value());
        if (values->second.empty()) {
            values_.erase(values);
        }
    }
}

}  // namespace manul::felix
