#include "ctl/output/template_functions.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/base64.hpp"
#include "base/try.hpp"

namespace manul::ctl {

namespace {

using codec::Tree;

template <class Number>
std::optional<Number> read_number(std::string_view text) {
    Number number{};
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    return failed == std::errc{} && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

bool is_number(const Tree* value) { return value != nullptr && value->type == Tree::Type::number; }
bool is_nothing(const Tree* value) { return value == nullptr || value->type == Tree::Type::null; }

Tree of_truth(bool truth) { return {.type = Tree::Type::boolean, .text = truth ? "true" : "false"}; }

Result<std::partial_ordering> order_of(const Tree* a, const Tree* b) {
    if (is_nothing(a) || is_nothing(b)) {
        return is_nothing(a) && is_nothing(b) ? std::partial_ordering::equivalent : std::partial_ordering::unordered;
    }
    if (is_number(a) && is_number(b)) {
        return read_number<double>(a->text).value_or(0) <=> read_number<double>(b->text).value_or(0);
    }
    if (a->type != b->type || !a->is_scalar()) {
        return fail("values of these types cannot be compared: " + template_text(a) + ", " + template_text(b));
    }
    return std::partial_ordering(a->text <=> b->text);
}

/// eq takes several: whether the first equals any of the others.
Result<Tree> compared(std::string_view name, const TemplateValues& values) {
    if (values.size() < 2 || (values.size() > 2 && name != "eq")) {
        return fail(fmt::format("{} takes two values", name));
    }
    bool truth = false;
    for (std::size_t i = 1; i < values.size() && !truth; ++i) {
        MANUL_TRY(const std::partial_ordering order, order_of(values.front(), values[i]));
        truth = name == "eq"   ? std::is_eq(order)
                : name == "ne" ? std::is_neq(order)
                : name == "lt" ? std::is_lt(order)
                : name == "le" ? std::is_lteq(order)
                : name == "gt" ? std::is_gt(order)
                               : std::is_gteq(order);
    }
    return of_truth(truth);
}

/// One step into a map by key, into a list by place.
Result<const Tree*> indexed(const Tree* value, const Tree* by) {
    if (is_nothing(value) || is_nothing(by)) {
        return nullptr;
    }
    if (value->is_map()) {
        return value->find(by->text);
    }
    const auto place = is_number(by) ? read_number<std::size_t>(by->text) : std::nullopt;
    if (!value->is_list() || !place || *place >= value->children.size()) {
        return fail("index: there is no " + template_text(by) + " in " + template_text(value));
    }
    return &value->children[*place];
}

Result<Tree> length_of(const Tree* value) {
    if (value != nullptr && value->type == Tree::Type::text) {
        return Tree::of_number(std::to_string(value->text.size()));
    }
    if (is_nothing(value) || value->is_scalar()) {
        return fail("len: " + template_text(value) + " has no length");
    }
    return Tree::of_number(std::to_string(value->children.size()));
}

constexpr std::size_t kWidest = 1000;

/// `%[flags][width][.precision]verb`
struct Directive {
    bool left = false;
    bool zeros = false;
    bool sign = false;
    std::size_t width = 0;
    std::optional<int> precision;
    char verb = '\0';

    /// Takes itself off the front of the format, behind its %.
    static std::optional<Directive> read(std::string_view& format) {
        Directive out;
        for (; !format.empty() && std::string_view("-0+ #").contains(format.front()); format.remove_prefix(1)) {
            out.left |= format.front() == '-';
            out.zeros |= format.front() == '0';
            out.sign |= format.front() == '+';
        }
        const auto number = [&format]() -> std::size_t {
            const std::size_t end = std::min(format.find_first_not_of("0123456789"), format.size());
            const auto value =
                end == 0 ? std::optional<std::size_t>(0) : read_number<std::size_t>(format.substr(0, end));
            format.remove_prefix(end);
            return std::min(value.value_or(kWidest), kWidest);
        };
        out.width = number();
        if (format.starts_with('.')) {
            format.remove_prefix(1);
            out.precision = static_cast<int>(number());
        }
        if (format.empty()) {
            return std::nullopt;
        }
        out.verb = format.front();
        format.remove_prefix(1);
        return out;
    }

    [[nodiscard]] Result<std::string> apply(const Tree* value) const {
        const std::string plain = template_text(value);
        switch (verb) {
            case 's':
            case 'v':
                return padded(precision ? plain.substr(0, static_cast<std::size_t>(*precision)) : plain);
            case 'q': {
                std::string quoted;
                codec::append_json_text(quoted, plain);
                return padded(quoted);
            }
            case 't':
                return padded(plain);
            case 'd':
            case 'x':
            case 'f':
            case 'g':
            case 'e':
                break;
            default:
                return fail(fmt::format("printf: %{} is not known; there are %s %v %q %t %d %x %f %g %e", verb));
        }
        const auto number = read_number<double>(plain);
        if (!number) {
            return fail(fmt::format("printf: %{} takes a number, not '{}'", verb, plain));
        }
        if (verb == 'd' || verb == 'x') {
            if (std::abs(*number) > static_cast<double>(std::numeric_limits<std::int64_t>::max() / 2)) {
                return padded(plain);
            }
            const auto whole = read_number<std::int64_t>(plain).value_or(static_cast<std::int64_t>(*number));
            return padded(verb == 'x' ? fmt::format("{:x}", whole)
                                      : fmt::format("{}{}", sign && whole >= 0 ? "+" : "", whole));
        }
        const int digits = precision.value_or(6);
        return padded(verb == 'f'   ? fmt::format("{:.{}f}", *number, digits)
                      : verb == 'e' ? fmt::format("{:.{}e}", *number, digits)
                                    : fmt::format("{:g}", *number));
    }

private:
    [[nodiscard]] std::string padded(const std::string& text) const {
        const std::string fill(width - std::min(width, text.size()), zeros && !left ? '0' : ' ');
        return left ? text + fill : fill + text;
    }
};

Result<Tree> printf(const TemplateValues& values) {
    if (values.empty() || values.front() == nullptr || values.front()->type != Tree::Type::text) {
        return fail("printf takes a format first");
    }
    std::string out;
    std::string_view format = values.front()->text;
    std::size_t next = 1;
    while (!format.empty()) {
        const std::size_t percent = std::min(format.find('%'), format.size());
        out += format.substr(0, percent);
        format.remove_prefix(percent);
        if (format.starts_with("%%")) {
            out += '%';
            format.remove_prefix(2);
        } else if (!format.empty()) {
            format.remove_prefix(1);
            const auto directive = Directive::read(format);
            if (!directive || next == values.size()) {
                return fail(directive ? "printf: there are fewer values than in the format" : "printf: a % alone");
            }
            MANUL_TRY(const std::string text, directive->apply(values[next++]));
            out += text;
        }
    }
    return next == values.size() ? Result<Tree>(Tree::of_text(std::move(out)))
                                 : fail("printf: there are more values than in the format");
}

/// print puts blanks between values of which neither is a text; println between all.
Tree print(const TemplateValues& values, bool line) {
    std::string out;
    const auto is_text = [](const Tree* value) { return value != nullptr && value->type == Tree::Type::text; };
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (i > 0 && (line || (!is_text(values[i]) && !is_text(values[i - 1])))) {
            out += ' ';
        }
        out += template_text(values[i]);
    }
    return Tree::of_text(out + (line ? "\n" : ""));
}

/// The items of a list, or `key=value` of a map, with a text between; cut at so many bytes, as calicoctl cuts its
/// tables.
Result<Tree> join(const TemplateValues& values, bool cuts) {
    const auto most = cuts && values.size() == 3 && is_number(values[2]) ? read_number<std::size_t>(values[2]->text)
                                                                         : std::optional<std::size_t>(0);
    if (values.size() != (cuts ? 3 : 2) || values[1] == nullptr || values[1]->type != Tree::Type::text || !most) {
        return fail(cuts ? "joinAndTruncate takes a list, what goes between, and the longest text"
                         : "join takes a list and what goes between");
    }
    std::vector<std::string> items;
    if (!is_nothing(values[0]) && values[0]->is_scalar()) {
        items.push_back(template_text(values[0]));
    } else if (!is_nothing(values[0])) {
        for (const Tree& item : values[0]->children) {
            items.push_back((values[0]->is_map() ? item.key + "=" : std::string()) + template_text(&item));
        }
        if (values[0]->is_map()) {
            std::ranges::sort(items);
        }
    }
    std::string out = fmt::format("{}", fmt::join(items, values[1]->text));
    constexpr std::string_view kMore = "...";
    if (*most > 0 && out.size() > *most) {
        out.resize(*most - std::min(*most, kMore.size()));
        out += kMore;
    }
    return Tree::of_text(std::move(out));
}

Result<Tree> decoded(const TemplateValues& values) {
    auto bytes = values.size() == 1 ? base64_decode(template_text(values.front())) : std::nullopt;
    return bytes ? Result<Tree>(Tree::of_text(*std::move(bytes))) : fail("base64decode takes a text in base64");
}

constexpr auto kFunctions =
    std::to_array<std::string_view>({"and", "or", "not", "eq", "ne", "lt", "le", "gt", "ge", "index", "len", "print",
                                     "println", "printf", "join", "joinAndTruncate", "exists", "base64decode"});

Result<Tree> computed(std::string_view name, const TemplateValues& values) {
    if (name == "printf") {
        return printf(values);
    }
    if (name == "print" || name == "println") {
        return print(values, name == "println");
    }
    if (name == "join" || name == "joinAndTruncate") {
        return join(values, name != "join");
    }
    if (name == "base64decode") {
        return decoded(values);
    }
    if (name == "exists") {
        const Tree* at = values.empty() ? nullptr : values.front();
        for (std::size_t i = 1; i < values.size() && at != nullptr; ++i) {
            const auto next = indexed(at, values[i]);
            at = next ? *next : nullptr;
        }
        return of_truth(at != nullptr);
    }
    if (name == "not" || name == "len") {
        if (values.size() != 1) {
            return fail(std::string(name) + " takes one value");
        }
        return name == "len" ? length_of(values.front()) : of_truth(!template_truth(values.front()));
    }
    return compared(name, values);
}

}  // namespace

bool is_template_function(std::string_view name) { return std::ranges::find(kFunctions, name) != kFunctions.end(); }

std::string template_functions() {
    std::string out;
    for (const std::string_view name : kFunctions) {
        out += (out.empty() ? "" : ", ") + std::string(name);
    }
    return out;
}

Result<const Tree*> call_template_function(std::string_view name, const TemplateValues& arguments,
                                           std::deque<Tree>& made) {
    if (name == "index") {
        if (arguments.empty()) {
            return fail("index takes a value and what to look for in it");
        }
        const Tree* at = arguments.front();
        for (std::size_t i = 1; i < arguments.size(); ++i) {
            MANUL_TRY(at, indexed(at, arguments[i]));
        }
        return at;
    }
    MANUL_TRY(Tree result, computed(name, arguments));
    return &made.emplace_back(std::move(result));
}

std::string template_text(const Tree* value) {
    if (is_nothing(value)) {
        return "<no value>";
    }
    if (value->is_scalar()) {
        return value->text;
    }
    std::vector<std::string> items;
    for (const Tree& child : value->children) {
        items.push_back((value->is_map() ? child.key + ":" : std::string()) + template_text(&child));
    }
    if (value->is_map()) {
        std::ranges::sort(items);
    }
    return fmt::format("{}[{}]", value->is_map() ? "map" : "", fmt::join(items, " "));
}

bool template_truth(const Tree* value) {
    if (is_nothing(value)) {
        return false;
    }
    switch (value->type) {
        case Tree::Type::boolean:
            return value->text == "true";
        case Tree::Type::number:
            return read_number<double>(value->text) != 0.0;
        case Tree::Type::text:
            return !value->text.empty();
        default:
            return !value->children.empty();
    }
}

}  // namespace manul::ctl
