#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/strong_id.hpp"

namespace manul::felix {

/// A label key or value as a number.
using Symbol = Id<struct SymbolTag, std::uint32_t>;

/// Texts that occur many times, stored once and counted, so that values which nobody has any more (a deployment's hash)
/// do not pile up.
class SymbolTable {
public:
    /// The symbol of `text`, with one reference more.
    Symbol acquire(std::string_view text);
    void release(Symbol symbol);
    [[nodiscard]] std::optional<Symbol> find(std::string_view text) const;
    /// Valid while somebody holds a reference.
    [[nodiscard]] std::string_view text(Symbol symbol) const { return *entries_[symbol.value()].text; }
    [[nodiscard]] std::size_t size() const noexcept { return numbers_.size(); }

private:
    struct Entry {
        const std::string* text = nullptr;  // the key in numbers_, whose nodes never move
        std::uint32_t references = 0;
    };
    struct TextHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };

    std::unordered_map<std::string, std::uint32_t, TextHash, std::equal_to<>> numbers_;
    std::vector<Entry> entries_;
    std::vector<std::uint32_t> free_;
};

}  // namespace manul::felix
