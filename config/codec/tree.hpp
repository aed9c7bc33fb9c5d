#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"

/// A document as a tree that remembers where it came from. YAML and JSON both are read into it; JSON keeps the text of
/// numbers, so that a document which passes through is not changed in a digit.
namespace manul::codec {

struct Tree {
    enum class Type : std::uint8_t { null, boolean, number, text, list, map };

    Type type = Type::null;
    std::string key;   ///< when it is a value of a map
    std::string text;  ///< of a scalar; "true" or "false" for a boolean
    std::vector<Tree> children;
    std::uint32_t line = 0;  ///< from 1; of the key where there is one

    [[nodiscard]] bool is_map() const noexcept { return type == Type::map; }
    [[nodiscard]] bool is_list() const noexcept { return type == Type::list; }
    [[nodiscard]] bool is_scalar() const noexcept {
        return type == Type::text || type == Type::number || type == Type::boolean;
    }

    /// The value of a key of a map, or null.
    [[nodiscard]] const Tree* find(std::string_view name) const noexcept;
    [[nodiscard]] Tree* find(std::string_view name) noexcept;
    /// The text at a path of keys; empty when there is none or it is no text.
    [[nodiscard]] std::string_view text_at(std::string_view first, std::string_view second = {}) const noexcept;
    /// The value of a key, added at the end as null when it is not there. Turns null into a map.
    Tree& make(std::string_view name);
    void erase(std::string_view name);
    /// Replaces the value and keeps key and line.
    void assign(Tree value);

    [[nodiscard]] static Tree of_text(std::string value);
    [[nodiscard]] static Tree of_number(std::string value);

    /// Equal as JSON values: neither the order of keys counts, nor how a number is written.
    [[nodiscard]] bool same_value(const Tree& other) const;
};

/// Deepest nesting that is read, far above any kind's.
inline constexpr int kMaxTreeDepth = 64;

/// One JSON value (RFC 8259) and nothing after it. Refused besides: duplicate keys, nesting deeper than
/// kMaxTreeDepth, text that is not UTF-8, NUL characters. The error names line and column.
[[nodiscard]] Result<Tree> parse_json(std::string_view text);
/// The same, but of a key that is given twice the last value counts; the paths of such keys are added to `repeated`.
[[nodiscard]] Result<Tree> parse_json(std::string_view text, std::vector<std::string>& repeated);
/// Compact JSON.
[[nodiscard]] std::string to_json(const Tree& tree);

/// Adds a text with its quotes and escapes, as JSON writes it.
void append_json_text(std::string& out, std::string_view text);

/// Whether the text is well-formed UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;
/// Whether the text is a number as JSON writes it.
[[nodiscard]] bool is_json_number(std::string_view text) noexcept;

/// The node at a finding's path ("spec.ingress[0].action", "metadata.labels[\"a.b/c\"]"), or the nearest one above it.
[[nodiscard]] const Tree& nearest(const Tree& tree, std::string_view path) noexcept;
/// A path with one more key, quoted when it is not a plain word.
[[nodiscard]] std::string path_with_key(std::string_view path, std::string_view key);

}  // namespace manul::codec
