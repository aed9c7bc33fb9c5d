#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/strong_id.hpp"
#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "felix/calc/label_holders.hpp"
#include "felix/calc/symbol_table.hpp"

/// Which selectors match which labelled items, kept up to date change by change.
///
///        labels of an item ----+
///                              +--> effective labels --> matches --> changes (started, stopped)
///        labels of its parents-+                           ^
///                                        selectors --------+
///
/// An item is anything with labels: an endpoint, a network set. It inherits the labels of its parents (profiles): its
/// own label of a key wins, then the first parent in its list. A parent that does not exist has no labels.
///
/// Nothing is scanned that cannot be concerned. A selector that demands labels (`a == 'x' && ...`) is filed under one
/// demand, the one under which the fewest selectors stand; an item looks only at the selectors filed under labels that
/// it has, and of them only at those that mention a label which changed. A new selector looks only at the items that
/// have the rarest label it demands. Selectors that demand nothing (`!has(x)`) are looked at when a key that they
/// mention changes.
namespace manul::felix {

using ItemId = Id<struct ItemTag, std::uint32_t>;
using SelectorId = Id<struct SelectorTag, std::uint32_t>;

struct MatchChange {
    SelectorId selector;
    ItemId item;
    bool started = false;

    auto operator<=>(const MatchChange&) const = default;
};

using MatchChanges = std::vector<MatchChange>;

class LabelIndex {
public:
    LabelIndex() = default;
    LabelIndex(const LabelIndex&) = delete;
    LabelIndex& operator=(const LabelIndex&) = delete;

    // Every call appends the matches that it started and stopped. Ids are used again after removal.
    SelectorId add_selector(const model::Selector& selector, MatchChanges& changes);
    void remove_selector(SelectorId selector, MatchChanges& changes);

    ItemId add_item(const model::StringMap& labels, std::span<const std::string> parents, MatchChanges& changes);
    void update_item(ItemId item, const model::StringMap& labels, std::span<const std::string> parents,
                     MatchChanges& changes);
    void remove_item(ItemId item, MatchChanges& changes);

    /// Empty labels for a parent that does not exist (any more).
    void set_parent_labels(std::string_view parent, const model::StringMap& labels, MatchChanges& changes);

    /// Selectors that match the item, ascending.
    [[nodiscard]] std::span<const SelectorId> matches(ItemId item) const noexcept {
        return items_[item.value()].matches;
    }

private:
    using Parent = std::uint32_t;

    struct SelectorRecord {
        std::optional<model::Selector> expression;  // nothing: the id is free
        std::vector<Symbol> keys;                   // mentioned, sorted; one reference each
        std::vector<SymbolPair> filed_labels;       // under these, or
        std::optional<Symbol> filed_key;            // under any value of this key, or unfiled
        std::uint64_t visited = 0;                  // the last visit() that came by
    };
    struct ItemRecord {
        bool used = false;
        std::vector<Parent> parents;
        std::vector<std::uint32_t> parent_slots;  // own position in each parent's list of children
        std::vector<SelectorId> matches;          // sorted
    };
    struct ParentRecord {
        std::string name;
        std::vector<ItemId> children;
        bool has_labels = false;
    };

    [[nodiscard]] bool matches(const SelectorRecord& selector, ItemId item) const;
    [[nodiscard]] std::optional<Symbol> effective(ItemId item, Symbol key) const noexcept;
    [[nodiscard]] static bool mentions(const SelectorRecord& selector, const std::vector<Symbol>& keys) noexcept;

    void file(SelectorId id, const std::vector<model::RequiredLabel>& demands);
    void unfile(SelectorId id);
    [[nodiscard]] std::size_t filed_under(const model::RequiredLabel& demand) const;
    [[nodiscard]] std::size_t holders_of(const model::RequiredLabel& demand) const;
    [[nodiscard]] std::size_t holders_of(SymbolPair label) const;
    template <class Visit>
    void for_each_holder(const model::RequiredLabel& demand, const Visit& visit) const;
    template <class Visit>
    void for_each_candidate(const model::Selector& selector, const Visit& visit) const;
    template <class Visit>
    void for_each_label(ItemId item, const Visit& visit) const;

    void attach(ItemId item, std::span<const std::string> parents);
    void detach(ItemId item);
    void release_parent_if_unused(Parent parent);
    Parent parent_named(std::string_view name);

    /// Keys that some selector mentions, sorted and each once.
    void keep_mentioned(std::vector<Symbol>& keys) const;
    void start(SelectorId selector, ItemId item, MatchChanges& changes);
    void reevaluate(ItemId item, const std::vector<Symbol>& changed_keys, MatchChanges& changes);
    void match_new(ItemId item, MatchChanges& changes);
    void try_candidate(SelectorId selector, ItemId item, MatchChanges& changes);
    template <class Visit>
    void visit_filed(ItemId item, const Visit& visit);

    using SelectorSet = std::unordered_set<SelectorId>;

    SymbolTable symbols_;
    LabelHolders own_{symbols_};        // holder = item number
    LabelHolders inherited_{symbols_};  // holder = parent number
    std::vector<SelectorRecord> selectors_;
    std::vector<ItemRecord> items_;
    std::vector<ParentRecord> parents_;
    std::vector<std::uint32_t> free_selectors_;
    std::vector<std::uint32_t> free_items_;
    std::vector<std::uint32_t> free_parents_;
    std::unordered_map<std::string, Parent> parent_numbers_;

    std::unordered_map<SymbolPair, SelectorSet, SymbolPairHash> filed_by_label_;
    std::unordered_map<Symbol, SelectorSet> filed_by_key_;
    SelectorSet unfiled_;
    std::unordered_map<Symbol, SelectorSet> mentioning_;
    std::uint64_t visit_ = 0;
};

}  // namespace manul::felix
