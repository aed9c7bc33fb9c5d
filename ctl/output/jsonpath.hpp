#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/codec/tree.hpp"

namespace manul::ctl {

/// JSONPath as kubectl understands it: fields, `['a.b']` (a field of that name, else a path), `[n]`, `[a:b:step]`,
/// `[*]`, `..`, unions, and filters `[?(@.x=="y")]`; in a template also text, `{"quoted"}` and
/// `{range PATH}...{end}`.
/// `$` and `@` are both what the path starts from.
///
/// A parsed path is a value without pointers into anything; what it finds points into the document.
class JsonPath {
public:
    /// One path: `.metadata.name`, also without the dot or in braces.
    [[nodiscard]] static Result<JsonPath> parse(std::string_view text);

    /// What the path leads to, in the order of the document. An absent field gives nothing; an index beyond the end of
    /// a list is an error.
    [[nodiscard]] Result<std::vector<const codec::Tree*>> find(const codec::Tree& start) const;

private:
    friend class JsonPathTemplate;
    class Parser;

    struct Operand {
        std::shared_ptr<const JsonPath> path;  ///< null: the literal
        codec::Tree literal;
    };
    struct Field {
        std::string name;
        std::shared_ptr<const JsonPath> path = nullptr;  ///< what `['a.b']` means where there is no field `a.b`
    };
    /// One step from values to values.
    struct Step {
        enum class Kind : std::uint8_t { fields, indexes, slice, every, descend, filter };

        Kind kind = Kind::every;
        std::vector<Field> fields;
        std::vector<std::int64_t> indexes;
        std::optional<std::int64_t> begin;
        std::optional<std::int64_t> end;
        std::int64_t stride = 1;
        Operand left;
        std::string comparison;  ///< empty: whether `left` leads anywhere
        Operand right;
    };
    using Values = std::vector<const codec::Tree*>;

    /// `member`: which of the fields or indexes of a union.
    [[nodiscard]] static Result<void> take_step(const Step& step, std::size_t member, const codec::Tree& value,
                                                Values& out);
    [[nodiscard]] static Result<void> take_field(const Field& field, const codec::Tree& value, Values& out);
    [[nodiscard]] static Result<void> take_index(std::int64_t index, const codec::Tree& value, Values& out);
    [[nodiscard]] static Result<void> take_slice(const Step& step, const codec::Tree& list, Values& out);
    [[nodiscard]] static Result<bool> passes(const Step& filter, const codec::Tree& value);

    std::vector<Step> steps_;
};

/// A text with paths in braces, as `get -o jsonpath=` takes it. A text without any brace is one path.
class JsonPathTemplate {
public:
    [[nodiscard]] static Result<JsonPathTemplate> parse(std::string_view text);
    [[nodiscard]] Result<std::string> print(const codec::Tree& document) const;

private:
    struct Part {
        enum class Kind : std::uint8_t { text, path, range };

        Kind kind = Kind::text;
        std::string text;
        JsonPath path;
        std::vector<Part> body;  ///< of a range
    };

    [[nodiscard]] static Result<std::vector<Part>> parse_parts(JsonPath::Parser& parser, bool in_range);
    [[nodiscard]] static Result<void> print(const std::vector<Part>& parts, const codec::Tree& from, std::string& out);

    std::vector<Part> parts_;
};

/// For sorting: absent values first, then numbers by value, then texts.
[[nodiscard]] bool comes_before(const codec::Tree& a, const codec::Tree& b);

/// A list of values for people: texts without quotes, anything with structure as JSON.
[[nodiscard]] std::string joined_values(const std::vector<const codec::Tree*>& values, std::string_view separator);

}  // namespace manul::ctl
