#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "config/model/resource.hpp"
#include "felix/calc/symbol_table.hpp"

namespace manul::felix {

/// A label as two symbols.
struct SymbolPair {
    Symbol key;
    Symbol value;

    bool operator==(const SymbolPair&) const = default;
};

struct SymbolPairHash {
    std::size_t operator()(const SymbolPair& pair) const noexcept {
        return std::hash<std::uint64_t>{}(std::uint64_t{pair.key.value()} << 32U | pair.value.value());
    }
};

/// Numbered holders of labels, and for every label who holds it. Changing one holder costs time proportional to what
/// changes, however many hold the same label.
class LabelHolders {
public:
    using Holder = std::uint32_t;

    struct Label {
        SymbolPair label;
        std::uint32_t slot = 0;  ///< own position in the list of the label's holders
    };

    /// `symbols` outlives this.
    explicit LabelHolders(SymbolTable& symbols) noexcept : symbols_(symbols) {}

    /// Replaces the labels of a holder (a new number begins without) and returns the keys that changed. A returned key
    /// that nobody else refers to may name something else after the next acquire.
    std::vector<Symbol> assign(Holder holder, const model::StringMap& labels);

    [[nodiscard]] std::span<const Label> labels(Holder holder) const noexcept {
        return holder < holders_.size() ? std::span<const Label>(holders_[holder]) : std::span<const Label>();
    }
    [[nodiscard]] std::optional<Symbol> value(Holder holder, Symbol key) const noexcept;
    [[nodiscard]] std::span<const Holder> with(SymbolPair label) const noexcept;
    /// Every value that some holder has for the key.
    [[nodiscard]] const std::unordered_set<std::uint32_t>& values_of(Symbol key) const noexcept;

private:
    [[nodiscard]] Label* find(Holder holder, Symbol key) noexcept;
    void add_posting(Holder holder, Label& label);
    void remove_posting(const Label& label);

    SymbolTable& symbols_;
    std::vector<std::vector<Label>> holders_;  // each sorted by key
    std::unordered_map<SymbolPair, std::vector<Holder>, SymbolPairHash> postings_;
    std::unordered_map<Symbol, std::unordered_set<std::uint32_t>> values_;
};

}  // namespace manul::felix
