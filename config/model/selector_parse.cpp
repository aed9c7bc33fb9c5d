#include <algorithm>
#include <cstddef>
#include <expected>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/model/selector.hpp"
#include "config/model/selector_node.hpp"

namespace manul::model {

namespace {

using Op = SelectorNode::Op;
using Nodes = std::vector<SelectorNode>;
using Parsed = std::expected<Nodes, SelectorError>;

/// Far above what people write, far below what would exhaust the stack.
constexpr int kMaxDepth = 200;

/// Recursive descent; one function for each level of precedence.
class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    Parsed parse() {
        skip_blanks();
        if (at_end()) {
            return Nodes{SelectorNode{Op::all, {}, {}, 1}};
        }
        MANUL_TRY(Nodes nodes, any_of());
        if (!at_end()) {
            return error("expected \"&&\", \"||\" or the end");
        }
        return nodes;
    }

private:
    [[nodiscard]] bool at_end() const { return position_ == text_.size(); }
    [[nodiscard]] std::string_view rest() const { return text_.substr(position_); }

    void skip_blanks() {
        while (!at_end() && (text_[position_] == ' ' || text_[position_] == '\t')) {
            ++position_;
        }
    }

    bool take(std::string_view token) {
        if (!rest().starts_with(token)) {
            return false;
        }
        position_ += token.size();
        skip_blanks();
        return true;
    }

    /// A word, or two with any number of blanks between them, that is not just the beginning of a longer word.
    bool take_words(std::string_view first, std::string_view second = {}) {
        if (!rest().starts_with(first)) {
            return false;
        }
        std::size_t end = position_ + first.size();
        if (!second.empty()) {
            while (end < text_.size() && (text_[end] == ' ' || text_[end] == '\t')) {
                ++end;
            }
            if (!text_.substr(end).starts_with(second)) {
                return false;
            }
            end += second.size();
        }
        if (end < text_.size() && is_label_character(text_[end])) {
            return false;
        }
        position_ = end;
        skip_blanks();
        return true;
    }

    [[nodiscard]] std::unexpected<SelectorError> error(std::string_view expected) const {
        std::string found = "the end";
        if (!at_end()) {
            std::size_t length = 1;
            while (is_label_character(text_[position_]) && position_ + length < text_.size() && length < 32 &&
                   is_label_character(text_[position_ + length])) {
                ++length;
            }
            found = "\"" + std::string(rest().substr(0, length)) + "\"";
        }
        return std::unexpected(SelectorError{position_, "at character " + std::to_string(position_ + 1) + ": " +
                                                            std::string(expected) + ", found " + found});
    }

    Parsed any_of() { return chain(Op::logical_or, "||", &Parser::all_of); }
    Parsed all_of() { return chain(Op::logical_and, "&&", &Parser::unary); }

    Parsed chain(Op op, std::string_view separator, Parsed (Parser::*operand)()) {
        std::vector<Nodes> operands;
        do {
            MANUL_TRY(Nodes nodes, (this->*operand)());
            operands.push_back(std::move(nodes));
        } while (take(separator));
        return joined(op, std::move(operands));
    }

    Parsed unary() {
        bool negative = false;
        while (rest().starts_with('!')) {
            take("!");
            negative = !negative;
        }
        MANUL_TRY(Nodes nodes, primary());
        return negative ? negated(std::move(nodes)) : std::move(nodes);
    }

    Parsed primary() {
        if (take("(")) {
            if (++depth_ > kMaxDepth) {
                return error("expected fewer than " + std::to_string(kMaxDepth) + " nested parentheses");
            }
            MANUL_TRY(Nodes nodes, any_of());
            if (!take(")")) {
                return error("expected \"&&\", \"||\" or \")\"");
            }
            --depth_;
            return nodes;
        }
        if (take("all(")) {
            return without_arguments(Op::all);
        }
        if (take("global(")) {
            return without_arguments(Op::global);
        }
        if (take("has(")) {
            MANUL_TRY(std::string key, label());
            if (!take(")")) {
                return error("expected \")\" after the label");
            }
            return Nodes{SelectorNode{Op::has, std::move(key), {}, 1}};
        }
        return comparison();
    }

    /// The rest of `all()` and `global()`; blanks may stand between the parentheses.
    Parsed without_arguments(Op op) {
        if (!take(")")) {
            return error("expected \")\"");
        }
        return Nodes{SelectorNode{op, {}, {}, 1}};
    }

    std::expected<std::string, SelectorError> label() {
        std::size_t length = 0;
        while (position_ + length < text_.size() && is_label_character(text_[position_ + length])) {
            ++length;
        }
        if (length == 0) {
            return error("expected a label, \"has(…)\", \"all()\", \"!\" or \"(\"");
        }
        if (length > kMaxLabelLength) {
            return error("expected a label of at most " + std::to_string(kMaxLabelLength) + " characters");
        }
        std::string key(rest().substr(0, length));
        position_ += length;
        skip_blanks();
        return key;
    }

    std::optional<Op> comparison_operator() {
        if (take("==")) {
            return Op::equal;
        }
        if (take("!=")) {
            return Op::not_equal;
        }
        if (take_words("in")) {
            return Op::in;
        }
        if (take_words("not", "in")) {
            return Op::not_in;
        }
        if (take_words("contains")) {
            return Op::contains;
        }
        if (take_words("starts", "with")) {
            return Op::starts_with;
        }
        if (take_words("ends", "with")) {
            return Op::ends_with;
        }
        return std::nullopt;
    }

    Parsed comparison() {
        MANUL_TRY(std::string key, label());
        const auto op = comparison_operator();
        if (!op) {
            return error(
                "expected \"==\", \"!=\", \"in\", \"not in\", \"contains\", \"starts with\" or \"ends with\" "
                "after the label");
        }
        if (*op == Op::in || *op == Op::not_in) {
            MANUL_TRY(std::vector<std::string> values, value_set());
            return Nodes{SelectorNode{*op, std::move(key), std::move(values), 1}};
        }
        MANUL_TRY(std::string value, quoted());
        return Nodes{SelectorNode{*op, std::move(key), {std::move(value)}, 1}};
    }

    std::expected<std::string, SelectorError> quoted() {
        if (at_end() || (text_[position_] != '"' && text_[position_] != '\'')) {
            return error("expected a value in quotes");
        }
        const std::size_t end = text_.find(text_[position_], position_ + 1);
        if (end == std::string_view::npos) {
            return std::unexpected(SelectorError{
                position_, "at character " + std::to_string(position_ + 1) + ": this quote is never closed"});
        }
        std::string value(text_.substr(position_ + 1, end - position_ - 1));
        position_ = end + 1;
        skip_blanks();
        return value;
    }

    std::expected<std::vector<std::string>, SelectorError> value_set() {
        if (!take("{")) {
            return error("expected \"{\" and a list of values");
        }
        std::vector<std::string> values;
        while (!take("}")) {
            MANUL_TRY(std::string value, quoted());
            values.push_back(std::move(value));
            if (take("}")) {
                break;
            }
            if (!take(",")) {
                return error("expected \",\" or \"}\"");
            }
        }
        sort_values(values);
        return values;
    }

    std::string_view text_;
    std::size_t position_ = 0;
    int depth_ = 0;
};

}  // namespace

std::expected<std::vector<SelectorNode>, SelectorError> parse_selector(std::string_view text) {
    return Parser(text).parse();
}

std::vector<SelectorNode> negated(std::vector<SelectorNode> operand) {
    if (operand.front().op == Op::logical_not) {
        operand.erase(operand.begin());
        return operand;
    }
    const std::size_t span = operand.size() + 1;
    operand.insert(operand.begin(), SelectorNode{Op::logical_not, {}, {}, span});
    return operand;
}

std::vector<SelectorNode> joined(SelectorNode::Op op, std::vector<std::vector<SelectorNode>> operands) {
    if (operands.size() == 1) {
        return std::move(operands.front());
    }
    std::size_t span = 1;
    for (const auto& operand : operands) {
        span += operand.size();
    }
    std::vector<SelectorNode> nodes;
    nodes.reserve(span);
    nodes.push_back(SelectorNode{op, {}, {}, span});
    for (auto& operand : operands) {
        std::ranges::move(operand, std::back_inserter(nodes));
    }
    return nodes;
}

void sort_values(std::vector<std::string>& values) {
    std::ranges::sort(values);
    const auto repeated = std::ranges::unique(values);
    values.erase(repeated.begin(), repeated.end());
}

}  // namespace manul::model
