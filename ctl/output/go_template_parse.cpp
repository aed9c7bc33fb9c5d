#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.hpp"
#include "base/try.hpp"
#include "ctl/output/go_template.hpp"
#include "ctl/output/template_functions.hpp"

// Text to nodes.

namespace manul::ctl {

namespace {

using codec::Tree;
using go::Call;
using go::Node;
using go::Operand;
using go::Pipeline;

constexpr std::string_view kBlanks = " \t\r\n";
constexpr int kDeepest = 64;

bool is_name(char c) { return ascii::is_alphanumeric(c) || c == '_'; }

/// What calicoctl's users look for first in an object or a list of Go's.
constexpr auto kGoNames =
    std::to_array<std::string_view>({"Items", "ObjectMeta", "ListMeta", "TypeMeta", "Kind", "APIVersion", "Name",
                                     "Namespace", "Labels", "Annotations", "Spec", "Status"});

/// The words of one action, one after the other. Says in `has_go_names` when a field is one of Go's.
class Words {
public:
    Words(std::string_view text, bool& has_go_names) : text_(text), has_go_names_(has_go_names) { skip_blanks(); }

    [[nodiscard]] bool at_end() const noexcept { return at_ == text_.size(); }
    [[nodiscard]] char next() const noexcept { return at_end() ? '\0' : text_[at_]; }
    [[nodiscard]] std::unexpected<Error> wrong(std::string_view problem) const {
        return fail(fmt::format("{} in {{{{{}}}}}", problem, text_));
    }
    bool accept(std::string_view token) {
        if (!text_.substr(at_).starts_with(token)) {
            return false;
        }
        at_ += token.size();
        skip_blanks();
        return true;
    }
    /// A name, if one is next; `skip` blanks behind it, which a field must follow without any.
    std::string name() {
        const std::size_t begin = at_;
        while (is_name(next())) {
            ++at_;
        }
        return std::string(text_.substr(begin, at_ - begin));
    }
    /// The keyword that the action begins with.
    bool accept_word(std::string_view word) {
        const std::size_t behind = at_ + word.size();
        return text_.substr(at_).starts_with(word) && (behind == text_.size() || !is_name(text_[behind])) &&
               accept(word);
    }

    /// `$x`, `$i, $e` before := or =.
    Result<Pipeline> pipeline(int depth = 0) {
        Pipeline out;
        const std::size_t begin = at_;
        while (next() == '$') {
            ++at_;
            out.variables.push_back(name());
            skip_blanks();
            if (!accept(",")) {
                break;
            }
        }
        out.declares = accept(":=");
        if (!out.declares && (out.variables.empty() || text_.substr(at_).starts_with("==") || !accept("="))) {
            out.variables.clear();
            at_ = begin;
        }
        do {
            MANUL_TRY(Call call, this->call(depth));
            out.calls.push_back(std::move(call));
        } while (accept("|"));
        return out;
    }

private:
    void skip_blanks() { at_ = std::min(text_.find_first_not_of(kBlanks, at_), text_.size()); }

    Result<Call> call(int depth) {
        Call out;
        while (!at_end() && next() != '|' && next() != ')') {
            MANUL_TRY(Operand operand, this->operand(depth));
            out.operands.push_back(std::move(operand));
            skip_blanks();
        }
        if (out.operands.empty()) {
            return wrong("expected a value, such as .metadata.name");
        }
        for (std::size_t i = 1; i < out.operands.size(); ++i) {
            if (out.operands.front().kind != Operand::Kind::function) {
                return wrong("only a function takes arguments");
            }
        }
        return out;
    }

    Result<Operand> operand(int depth) {
        Operand out;
        const char first = next();
        if (first == '$') {
            ++at_;
            out.kind = Operand::Kind::variable;
            out.name = name();
        } else if (first == '(') {
            if (depth == kDeepest) {
                return wrong("too many parentheses");
            }
            (void)accept("(");
            out.kind = Operand::Kind::pipeline;
            MANUL_TRY(Pipeline inner, pipeline(depth + 1));
            out.inner = std::move(inner.calls);
            if (next() != ')') {
                return wrong("expected )");
            }
            ++at_;
        } else if (first == '.') {
            if (at_ + 1 == text_.size() || !is_name(text_[at_ + 1])) {
                ++at_;
                return out;
            }
        } else {
            MANUL_CHECK(word(out));
            return out;
        }
        while (next() == '.') {
            ++at_;
            out.fields.push_back(name());
            if (out.fields.back().empty()) {
                return wrong("expected the name of a field after a dot");
            }
        }
        has_go_names_ |= !out.fields.empty() && std::ranges::find(kGoNames, out.fields.front()) != kGoNames.end();
        return out;
    }

    Result<void> word(Operand& out) {
        out.kind = Operand::Kind::literal;
        const char first = next();
        if (first == '"' || first == '`') {
            MANUL_TRY(out.literal, text());
            return {};
        }
        if (first == '-' || (first >= '0' && first <= '9')) {
            const std::size_t begin = at_++;
            while (is_name(next()) || next() == '.') {
                ++at_;
            }
            out.literal = Tree::of_number(std::string(text_.substr(begin, at_ - begin)));
            return codec::is_json_number(out.literal.text) ? Result<void>() : wrong("a number that is none");
        }
        std::string word = name();
        if (word == "true" || word == "false") {
            out.literal.type = Tree::Type::boolean;
            out.literal.text = std::move(word);
        } else if (word != "nil") {
            if (word.empty()) {
                return wrong(fmt::format("unexpected '{}'", first));
            }
            if (!is_template_function(word)) {
                return wrong(fmt::format("'{}' is not known; there are the functions {}", word, template_functions()));
            }
            out.kind = Operand::Kind::function;
            out.name = std::move(word);
        }
        return {};
    }

    Result<Tree> text() {
        const char quote = text_[at_++];
        std::string out;
        for (; !at_end() && next() != quote; ++at_) {
            if (next() != '\\' || quote == '`') {
                out += next();
                continue;
            }
            ++at_;
            switch (next()) {
                case 'n':
                    out += '\n';
                    break;
                case 't':
                    out += '\t';
                    break;
                case 'r':
                    out += '\r';
                    break;
                case '"':
                case '\\':
                    out += next();
                    break;
                default:
                    return wrong("an escape other than \\n, \\t, \\r, \\\" and \\\\");
            }
        }
        if (at_end()) {
            return wrong("a text has no end");
        }
        ++at_;
        return Tree::of_text(std::move(out));
    }

    std::string_view text_;
    bool& has_go_names_;
    std::size_t at_ = 0;
};

/// Text and actions in turn.
class Parser {
public:
    explicit Parser(std::string_view text) : text_(text) {}

    /// Up to the `end` or `else` of this block, which is then in `closing_`; of the whole template: up to its end.
    Result<std::vector<Node>> block(int depth, bool in_loop) {
        std::vector<Node> nodes;
        if (depth > kDeepest) {
            return fail("too many blocks in one another");
        }
        closing_.reset();
        while (true) {
            if (const std::string_view text = take_text(); !text.empty()) {
                nodes.push_back({.kind = Node::Kind::text, .text = std::string(text)});
            }
            if (text_.empty()) {
                return depth == 0 ? Result<std::vector<Node>>(std::move(nodes))
                                  : fail("a range, if or with has no {{end}}");
            }
            MANUL_TRY(const auto action, take_action());
            if (!action) {
                continue;  // a comment
            }
            Words words(*action, has_go_names_);
            if (words.accept_word("end") || words.accept_word("else")) {
                if (depth == 0) {
                    return words.wrong("no range, if or with is open");
                }
                closing_ = *action;
                return nodes;
            }
            MANUL_TRY(Node node, this->node(words, depth, in_loop));
            nodes.push_back(std::move(node));
        }
    }

    [[nodiscard]] bool has_go_names() const noexcept { return has_go_names_; }

private:
    /// The text before the next action. `{{- ` takes blanks before it away.
    std::string_view take_text() {
        const std::size_t begin = std::min(text_.find("{{"), text_.size());
        std::string_view text = text_.substr(0, begin);
        text_.remove_prefix(begin);
        if (trims_) {
            text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
        }
        if (text_.starts_with("{{-") && text_.size() > 3 && kBlanks.contains(text_[3])) {
            text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
        }
        return text;
    }

    /// What is between the braces; nothing for a comment.
    Result<std::optional<std::string_view>> take_action() {
        const std::string_view rest = text_.substr(2);
        std::size_t end = 0;
        char quote = '\0';
        for (; end < rest.size(); ++end) {
            const char c = rest[end];
            if (quote != '\0') {
                end += c == '\\' && quote == '"' ? 1U : 0U;
                quote = c == quote ? '\0' : quote;
            } else if (c == '"' || c == '`') {
                quote = c;
            } else if (rest.substr(end).starts_with("/*")) {
                end = std::min(rest.find("*/", end), rest.size() - 1);
            } else if (rest.substr(end).starts_with("}}")) {
                break;
            }
        }
        if (end >= rest.size()) {
            return fail("a {{ has no }}");
        }
        std::string_view action = rest.substr(0, end);
        text_ = rest.substr(end + 2);
        if (action.size() > 1 && action.front() == '-' && kBlanks.contains(action[1])) {
            action.remove_prefix(1);
        }
        trims_ = action.size() > 1 && action.back() == '-' && kBlanks.contains(action[action.size() - 2]);
        if (trims_) {
            action.remove_suffix(1);
        }
        action.remove_prefix(std::min(action.find_first_not_of(kBlanks), action.size()));
        return action.starts_with("/*") ? std::nullopt : std::optional(action);
    }

    Result<Node> node(Words& words, int depth, bool in_loop) {
        Node out;
        for (const auto& [word, kind] : {std::pair("if", Node::Kind::branch), std::pair("with", Node::Kind::with),
                                         std::pair("range", Node::Kind::range)}) {
            if (words.accept_word(word)) {
                out.kind = kind;
                MANUL_CHECK(compound(out, words, depth, in_loop || kind == Node::Kind::range));
                return out;
            }
        }
        for (const auto& [word, kind] :
             {std::pair("break", Node::Kind::leave), std::pair("continue", Node::Kind::next)}) {
            if (words.accept_word(word)) {
                out.kind = kind;
                return in_loop ? Result<Node>(std::move(out)) : words.wrong("no range is open");
            }
        }
        for (const std::string_view word : {"define", "template", "block"}) {
            if (words.accept_word(word)) {
                return words.wrong(fmt::format("'{}' is not supported", word));
            }
        }
        out.kind = Node::Kind::print;
        MANUL_CHECK(take_pipeline(out, words));
        return out;
    }

    static Result<void> take_pipeline(Node& out, Words& words) {
        MANUL_TRY(out.pipeline, words.pipeline());
        const std::size_t most = out.kind == Node::Kind::range ? 2 : 1;
        if (out.pipeline.variables.size() > most || !words.at_end()) {
            return words.wrong(words.at_end() ? "too many variables" : fmt::format("unexpected '{}'", words.next()));
        }
        return {};
    }

    /// A block with its condition, body and `else`.
    Result<void> compound(Node& out, Words& words, int depth, bool in_loop) {
        MANUL_CHECK(take_pipeline(out, words));
        MANUL_TRY(out.body, block(depth + 1, in_loop));
        Words closing(*closing_, has_go_names_);
        if (closing.accept_word("end")) {
            return closing.at_end() ? Result<void>() : closing.wrong("nothing may follow end");
        }
        (void)closing.accept_word("else");
        if (!closing.at_end()) {  // {{else if x}}: a block in the else that shares its end
            Node inner;
            inner.kind = closing.accept_word("if") ? Node::Kind::branch : Node::Kind::with;
            if (inner.kind == Node::Kind::with && !closing.accept_word("with")) {
                return closing.wrong("only if or with may follow else");
            }
            MANUL_CHECK(compound(inner, closing, depth + 1, in_loop));
            out.otherwise.push_back(std::move(inner));
            return {};
        }
        MANUL_TRY(out.otherwise, block(depth + 1, in_loop));
        return closing_->starts_with("end") ? Result<void>() : Words(*closing_, has_go_names_).wrong("a second else");
    }

    std::string_view text_;
    std::optional<std::string_view> closing_;
    bool trims_ = false;  ///< the last action ended with -}}
    bool has_go_names_ = false;
};

}  // namespace

Result<GoTemplate> GoTemplate::parse(std::string_view text) {
    GoTemplate out;
    Parser parser(text);
    MANUL_TRY(out.nodes_, parser.block(0, false));
    out.has_go_names_ = parser.has_go_names();
    return out;
}

}  // namespace manul::ctl
