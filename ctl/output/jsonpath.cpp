#include "ctl/output/jsonpath.hpp"

#include <algorithm>
#include <charconv>
#include <compare>
#include <cstddef>
#include <utility>

#include <fmt/format.h>

#include "base/try.hpp"

namespace manul::ctl {

using codec::Tree;

namespace {

constexpr std::string_view kPathBlanks = " \t\r\n";
/// What ends the name of a field that stands without quotes.
constexpr std::string_view kEndsField = " \t\r\n.,[]{}()$@=!<>'\"";

std::optional<double> number_of(const Tree& value) {
    double number = 0;
    const char* const end = value.text.data() + value.text.size();
    const auto [at, failed] = std::from_chars(value.text.data(), end, number);
    return value.type == Tree::Type::number && failed == std::errc{} && at == end ? std::optional(number)
                                                                                  : std::nullopt;
}

/// Numbers by value, everything else by its text; unordered where the types differ.
std::partial_ordering compare(const Tree& a, const Tree& b) {
    const auto left = number_of(a);
    const auto right = number_of(b);
    if (left && right) {
        return *left <=> *right;
    }
    return a.type == b.type && a.is_scalar() ? std::partial_ordering(a.text <=> b.text)
                                             : std::partial_ordering::unordered;
}

void descend(const Tree& value, std::vector<const Tree*>& out) {
    out.push_back(&value);
    for (const Tree& child : value.children) {
        descend(child, out);
    }
}

}  // namespace

/// Reads one template or path from front to back.
class JsonPath::Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    [[nodiscard]] bool at_end() const noexcept { return at_ == text_.size(); }
    [[nodiscard]] bool sees(std::string_view token) const { return text_.substr(at_).starts_with(token); }
    bool accept(std::string_view token) {
        const bool there = sees(token);
        at_ += there ? token.size() : 0U;
        return there;
    }
    void skip_blanks() { at_ = std::min(text_.find_first_not_of(kPathBlanks, at_), text_.size()); }
    /// Everything up to one of these characters.
    std::string_view until(std::string_view ends) {
        const std::size_t begin = at_;
        at_ = std::min(text_.find_first_of(ends, at_), text_.size());
        return text_.substr(begin, at_ - begin);
    }
    /// A word that is no field: `range`, `end`.
    bool accept_word(std::string_view word) {
        if (!sees(word) || (at_ + word.size() < text_.size() && !kPathBlanks.contains(text_[at_ + word.size()]) &&
                            text_[at_ + word.size()] != '}')) {
            return false;
        }
        at_ += word.size();
        return true;
    }
    [[nodiscard]] bool sees_quote() const { return sees("'") || sees("\""); }

    [[nodiscard]] std::unexpected<Error> wrong(std::string_view problem) const {
        return fail(fmt::format("{} at character {} of '{}'", problem, at_ + 1, text_));
    }

    Result<std::string> quoted() {
        const char quote = text_[at_++];
        std::string out;
        for (; at_ < text_.size() && text_[at_] != quote; ++at_) {
            if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
                const char escaped = text_[++at_];
                out += escaped == 'n' ? '\n' : escaped == 't' ? '\t' : escaped == 'r' ? '\r' : escaped;
            } else {
                out += text_[at_];
            }
        }
        if (!accept(std::string_view(&quote, 1))) {
            return wrong("a quoted text has no end");
        }
        return out;
    }

    /// A path, up to what cannot belong to it.
    Result<JsonPath> path() {
        JsonPath out;
        if (!accept("@")) {
            (void)accept("$");
        }
        if (!at_end() && !kEndsField.contains(text_[at_])) {
            MANUL_CHECK(named(out));  // the dot before the first field may be left out
        }
        while (!at_end()) {
            if (accept("..")) {
                out.steps_.push_back({.kind = Step::Kind::descend});
                if (!sees("[")) {
                    MANUL_CHECK(named(out));
                }
            } else if (accept(".")) {
                if (!at_end() && !kEndsField.contains(text_[at_])) {
                    MANUL_CHECK(named(out));
                } else if (!at_end() && !sees("[") && !sees("}") && !kPathBlanks.contains(text_[at_]) && !sees(")")) {
                    return wrong("expected the name of a field");
                }
            } else if (accept("[")) {
                MANUL_TRY(Step step, bracket());
                out.steps_.push_back(std::move(step));
            } else {
                break;
            }
        }
        return out;
    }

private:
    Result<void> named(JsonPath& out) {
        std::string name;
        while (!at_end() && !kEndsField.contains(text_[at_])) {
            at_ += text_[at_] == '\\' && at_ + 1 < text_.size() ? 1U : 0U;
            name += text_[at_++];
        }
        if (name.empty()) {
            return wrong("expected the name of a field");
        }
        out.steps_.push_back(name == "*" ? Step{.kind = Step::Kind::every}
                                         : Step{.kind = Step::Kind::fields, .fields = {{std::move(name)}}});
        return {};
    }

    Result<Step> bracket() {
        Step step;
        skip_blanks();
        if (accept("?(")) {
            MANUL_TRY(step, filter());
            skip_blanks();
        } else if (accept("*")) {
            step.kind = Step::Kind::every;
        } else if (sees_quote()) {
            step.kind = Step::Kind::fields;
            do {
                skip_blanks();
                if (!sees_quote()) {
                    return wrong("expected a field in quotes");
                }
                MANUL_TRY(std::string name, quoted());
                const auto path =
                    name.find('.') == std::string::npos ? Result<JsonPath>(fail("")) : JsonPath::parse(name);
                step.fields.push_back({std::move(name), path ? std::make_shared<const JsonPath>(*path) : nullptr});
                skip_blanks();
            } while (accept(","));
        } else {
            MANUL_TRY(step, numbers());
        }
        if (!accept("]")) {
            return wrong("expected ]");
        }
        return step;
    }

    Result<std::optional<std::int64_t>> integer() {
        skip_blanks();
        const std::string_view digits = until(" \t,:]");
        skip_blanks();
        if (digits.empty()) {
            return std::nullopt;
        }
        std::int64_t value = 0;
        const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (failed != std::errc{} || end != digits.data() + digits.size()) {
            return wrong(fmt::format("'{}' is no index", digits));
        }
        return value;
    }

    /// `3`, `-1`, `0,2`, `1:3`, `::2`
    Result<Step> numbers() {
        Step step{.kind = Step::Kind::indexes};
        do {
            MANUL_TRY(const auto index, integer());
            if (sees(":") && step.indexes.empty()) {
                return slice(index);
            }
            if (!index) {
                return wrong("expected an index, a slice, a field in quotes, * or ?(...)");
            }
            step.indexes.push_back(*index);
        } while (accept(","));
        return step;
    }

    Result<Step> slice(std::optional<std::int64_t> begin) {
        Step step{.kind = Step::Kind::slice, .begin = begin};
        (void)accept(":");
        MANUL_TRY(step.end, integer());
        if (accept(":")) {
            MANUL_TRY(const auto stride, integer());
            step.stride = stride.value_or(1);
            if (step.stride < 1) {
                return wrong("the step of a slice must be 1 or more");
            }
        }
        return step;
    }

    Result<Step> filter() {
        Step step{.kind = Step::Kind::filter};
        MANUL_TRY(step.left, operand());
        skip_blanks();
        for (const std::string_view sign : {"==", "!=", "<=", ">=", "<", ">"}) {
            if (accept(sign)) {
                step.comparison = sign;
                MANUL_TRY(step.right, operand());
                break;
            }
        }
        skip_blanks();
        if (!accept(")")) {
            return wrong("expected ) or one of == != < <= > >= in a filter");
        }
        return step;
    }

    Result<Operand> operand() {
        skip_blanks();
        Operand out;
        if (sees_quote()) {
            MANUL_TRY(std::string text, quoted());
            out.literal = Tree::of_text(std::move(text));
        } else if (sees("@") || sees("$") || sees(".")) {
            MANUL_TRY(JsonPath inner, path());
            out.path = std::make_shared<const JsonPath>(std::move(inner));
        } else {
            const std::string word(until(" \t=!<>)]"));
            if (word == "true" || word == "false") {
                out.literal.type = Tree::Type::boolean;
                out.literal.text = word;
            } else if (codec::is_json_number(word)) {
                out.literal = Tree::of_number(word);
            } else {
                return wrong("expected @.FIELD, a text in quotes, a number, true or false");
            }
        }
        return out;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

Result<JsonPath> JsonPath::parse(std::string_view text) {
    Parser parser(text);
    parser.skip_blanks();
    const bool braced = parser.accept("{");
    parser.skip_blanks();
    MANUL_TRY(JsonPath path, parser.path());
    parser.skip_blanks();
    if (braced && !parser.accept("}")) {
        return parser.wrong("expected }");
    }
    parser.skip_blanks();
    if (!parser.at_end()) {
        return parser.wrong("expected nothing more");
    }
    return path;
}

Result<std::vector<const Tree*>> JsonPath::find(const Tree& start) const {
    Values values{&start};
    for (const Step& step : steps_) {
        Values next;
        // A union is everything of its first member, then everything of the next.
        for (std::size_t member = 0; member < std::max({step.fields.size(), step.indexes.size(), std::size_t{1}});
             ++member) {
            for (const Tree* value : values) {
                MANUL_CHECK(take_step(step, member, *value, next));
            }
        }
        values = std::move(next);
    }
    return values;
}

Result<void> JsonPath::take_step(const Step& step, std::size_t member, const Tree& value, Values& out) {
    const bool counts = step.kind == Step::Kind::indexes || step.kind == Step::Kind::slice;
    if (counts && !value.is_list()) {
        return value.type == Tree::Type::null ? Result<void>()
                                              : fail("only a list has indexes, not " + joined_values({&value}, ""));
    }
    switch (step.kind) {
        case Step::Kind::fields:
            return take_field(step.fields[member], value, out);
        case Step::Kind::indexes:
            return take_index(step.indexes[member], value, out);
        case Step::Kind::slice:
            return take_slice(step, value, out);
        case Step::Kind::every:
            for (const Tree& child : value.children) {
                out.push_back(&child);
            }
            return {};
        case Step::Kind::descend:
            descend(value, out);
            return {};
        case Step::Kind::filter:
            for (const Tree& child : value.children) {
                MANUL_TRY(const bool passed, passes(step, child));
                if (passed) {
                    out.push_back(&child);
                }
            }
            return {};
    }
    return {};
}

Result<void> JsonPath::take_field(const Field& field, const Tree& value, Values& out) {
    if (const Tree* found = value.is_map() ? value.find(field.name) : nullptr) {
        out.push_back(found);
    } else if (field.path) {
        MANUL_TRY(const Values deeper, field.path->find(value));
        out.insert(out.end(), deeper.begin(), deeper.end());
    }
    return {};
}

Result<void> JsonPath::take_index(std::int64_t index, const Tree& value, Values& out) {
    const auto size = static_cast<std::int64_t>(value.children.size());
    const std::int64_t at = index < 0 ? index + size : index;
    if (at < 0 || at >= size) {
        return fail(fmt::format("index {} is outside a list of {}", index, size));
    }
    out.push_back(&value.children[static_cast<std::size_t>(at)]);
    return {};
}

/// What lies outside the list is not there, as in Python.
Result<void> JsonPath::take_slice(const Step& step, const Tree& list, Values& out) {
    const auto size = static_cast<std::int64_t>(list.children.size());
    const auto place = [size](std::int64_t at) { return std::clamp<std::int64_t>(at < 0 ? at + size : at, 0, size); };
    for (std::int64_t i = place(step.begin.value_or(0)); i < place(step.end.value_or(size)); i += step.stride) {
        out.push_back(&list.children[static_cast<std::size_t>(i)]);
    }
    return {};
}

Result<bool> JsonPath::passes(const Step& filter, const Tree& value) {
    const auto values_of = [&value](const Operand& operand) -> Result<Values> {
        return operand.path ? operand.path->find(value) : Result<Values>(Values{&operand.literal});
    };
    MANUL_TRY(const Values left, values_of(filter.left));
    if (filter.comparison.empty()) {
        return !left.empty();
    }
    MANUL_TRY(const Values right, values_of(filter.right));
    if (left.empty() || right.empty()) {
        return false;
    }
    const std::partial_ordering order = compare(*left.front(), *right.front());
    const std::string_view sign = filter.comparison;
    return sign == "=="   ? std::is_eq(order)
           : sign == "!=" ? std::is_neq(order)
           : sign == "<"  ? std::is_lt(order)
           : sign == "<=" ? std::is_lteq(order)
           : sign == ">"  ? std::is_gt(order)
                          : std::is_gteq(order);
}

bool comes_before(const Tree& a, const Tree& b) {
    const std::partial_ordering order = compare(a, b);
    return order == std::partial_ordering::unordered ? a.type < b.type : std::is_lt(order);
}

std::string joined_values(const std::vector<const Tree*>& values, std::string_view separator) {
    std::string out;
    for (std::size_t i = 0; i < values.size(); ++i) {
        out += i == 0 ? "" : separator;
        out += values[i]->is_scalar() ? values[i]->text : to_json(*values[i]);
    }
    return out;
}

Result<JsonPathTemplate> JsonPathTemplate::parse(std::string_view text) {
    JsonPathTemplate out;
    if (text.find('{') == std::string_view::npos) {
        MANUL_TRY(JsonPath path, JsonPath::parse(text));
        out.parts_.push_back({.kind = Part::Kind::path, .path = std::move(path)});
        return out;
    }
    JsonPath::Parser parser(text);
    MANUL_TRY(out.parts_, parse_parts(parser, false));
    return out;
}

Result<std::vector<JsonPathTemplate::Part>> JsonPathTemplate::parse_parts(JsonPath::Parser& parser, bool in_range) {
    std::vector<Part> parts;
    while (!parser.at_end()) {
        if (const std::string_view text = parser.until("{"); !text.empty()) {
            parts.push_back({.kind = Part::Kind::text, .text = std::string(text)});
        }
        if (!parser.accept("{")) {
            break;
        }
        parser.skip_blanks();
        if (parser.accept_word("end")) {
            parser.skip_blanks();
            if (!in_range || !parser.accept("}")) {
                return parser.wrong(in_range ? "expected }" : "{end} without {range}");
            }
            return parts;
        }
        if (parser.accept_word("range")) {
            Part range{.kind = Part::Kind::range};
            parser.skip_blanks();
            MANUL_TRY(range.path, parser.path());
            parser.skip_blanks();
            if (!parser.accept("}")) {
                return parser.wrong("expected }");
            }
            MANUL_TRY(range.body, parse_parts(parser, true));
            parts.push_back(std::move(range));
            continue;
        }
        while (!parser.accept("}")) {
            if (parser.sees_quote()) {
                MANUL_TRY(std::string text, parser.quoted());
                parts.push_back({.kind = Part::Kind::text, .text = std::move(text)});
            } else if (parser.sees(".") || parser.sees("[") || parser.sees("$") || parser.sees("@")) {
                MANUL_TRY(JsonPath path, parser.path());
                parts.push_back({.kind = Part::Kind::path, .path = std::move(path)});
            } else {
                return parser.wrong(parser.at_end() ? "a { has no }" : "expected a path, such as .metadata.name");
            }
            parser.skip_blanks();
        }
    }
    if (in_range) {
        return parser.wrong("a {range} has no {end}");
    }
    return parts;
}

Result<void> JsonPathTemplate::print(const std::vector<Part>& parts, const Tree& from, std::string& out) {
    for (const Part& part : parts) {
        if (part.kind == Part::Kind::text) {
            out += part.text;
            continue;
        }
        MANUL_TRY(const std::vector<const Tree*> values, part.path.find(from));
        if (part.kind == Part::Kind::path) {
            out += joined_values(values, " ");
            continue;
        }
        for (const Tree* value : values) {
            MANUL_CHECK(print(part.body, *value, out));
        }
    }
    return {};
}

Result<std::string> JsonPathTemplate::print(const Tree& document) const {
    std::string out;
    MANUL_CHECK(print(parts_, document, out));
    return out;
}

}  // namespace manul::ctl
