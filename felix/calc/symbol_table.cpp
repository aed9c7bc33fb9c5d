#include "felix/calc/symbol_table.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace manul::felix {

Symbol SymbolTable::acquire(std::string_view text) {
    if (const auto found = numbers_.find(text); found != numbers_.end()) {
        ++entries_[found->second].references;
        return Symbol(found->second);
    }
    std::uint32_t number = static_cast<std::uint32_t>(entries_.size());
    if (free_.empty()) {
        entries_.emplace_back();
    } else {
        number = free_.back();
        free_.pop_back();
    }
    const auto inserted = numbers_.emplace(std::string(text), number).first;
    entries_[number] = Entry{&inserted->first, 1};
    return Symbol(number);
}

void SymbolTable::release(Symbol symbol) {
    Entry& entry = entries_[symbol.value()];
    if (--entry.references == 0) {
        numbers_.erase(numbers_.find(*entry.text));
        entry.text = nullptr;
        free_.push_back(symbol.value());
    }
}

std::optional<Symbol> SymbolTable::find(std::string_view text) const {
    const auto found = numbers_.find(text);
    return found == numbers_.end() ? std::nullopt : std::optional(Symbol(found->second));
}

}  // namespace manul::felix
