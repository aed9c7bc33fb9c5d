// JSON text to tree and back. Not with a library, because what is needed is what libraries take away: lines for
// messages, numbers digit by digit, duplicate keys as errors, and the order of keys.

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/document.hpp"
#include "config/codec/seen_keys.hpp"
#include "config/codec/tree.hpp"

namespace manul::codec {

namespace {

/// Stands for itself inside quotes.
constexpr bool is_plain(char c) noexcept { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; }

/// How many characters at the beginning stand for themselves inside quotes. Eight at a time, as far as there are eight.
std::size_t plain_length(std::string_view text) noexcept {
    constexpr std::uint64_t kOnes = 0x0101010101010101U;
    const auto marks = [](std::uint64_t word, std::uint64_t below) { return (word - kOnes * below) & ~word; };
    std::size_t i = 0;
    for (; std::endian::native == std::endian::little && i + sizeof(std::uint64_t) <= text.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, text.data() + i, sizeof(word));
        // The highest bit of each letter that is a control character, a quote or a backslash; right up to the first.
        const std::uint64_t special =
            marks(word, 0x20) | marks(word ^ (kOnes * 0x22U), 1) | marks(word ^ (kOnes * 0x5cU), 1);
        if (const std::uint64_t found = special & (kOnes << 7U); found != 0) {
            return i + static_cast<std::size_t>(std::countr_zero(found)) / 8;
        }
    }
    while (i < text.size() && is_plain(text[i])) {
        ++i;
    }
    return i;
}

/// Length of the number at the beginning of `text`; 0 when there is none.
std::size_t number_length(std::string_view text) noexcept {
    std::size_t i = 0;
    const auto digits = [&] {
        const std::size_t start = i;
        while (i < text.size() && ascii::is_digit(text[i])) {
            ++i;
        }
        return i - start;
    };
    if (i < text.size() && text[i] == '-') {
        ++i;
    }
    const bool leading_zero = i < text.size() && text[i] == '0';
    const std::size_t whole = digits();
    if (whole == 0 || (leading_zero && whole > 1)) {
        return 0;
    }
    if (i < text.size() && text[i] == '.') {
        ++i;
        if (digits() == 0) {
            return 0;
        }
    }
    if (i < text.size() && (text[i] == 'e' || text[i] == 'E')) {
        ++i;
        if (i < text.size() && (text[i] == '+' || text[i] == '-')) {
            ++i;
        }
        if (digits() == 0) {
            return 0;
        }
    }
    return i;
}

void append_utf8(std::string& out, std::uint32_t code) {
    const auto byte = [&](std::uint32_t value) { out += static_cast<char>(static_cast<unsigned char>(value)); };
    if (code < 0x80) {
        byte(code);
    } else if (code < 0x800) {
        byte(0xc0U | code >> 6U);
        byte(0x80U | (code & 0x3fU));
    } else if (code < 0x10000) {
        byte(0xe0U | code >> 12U);
        byte(0x80U | (code >> 6U & 0x3fU));
        byte(0x80U | (code & 0x3fU));
    } else {
        byte(0xf0U | code >> 18U);
        byte(0x80U | (code >> 12U & 0x3fU));
        byte(0x80U | (code >> 6U & 0x3fU));
        byte(0x80U | (code & 0x3fU));
    }
}

class Parser {
public:
    explicit Parser(std::string_view text, bool takes_repeated = false)
        : text_(text), takes_repeated_(takes_repeated) {}

    Result<Tree> parse() {
        if (!is_utf8(text_)) {
            return fail("the text is not UTF-8");
        }
        Tree tree;
        MANUL_CHECK(value(tree, 0));
        skip_blanks();
        if (at_ != text_.size()) {
            return error("expected nothing more");
        }
        return tree;
    }

private:
    std::unexpected<Error> error(std::string_view what) const {
        const std::string_view before = text_.substr(0, at_);
        const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
        return fail("line " + std::to_string(line_) + ", column " + std::to_string(at_ - line_start + 1) + ": " +
                    std::string(what));
    }

    [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }

    void skip_blanks() {
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (c == '\n') {
                ++line_;
            } else if (c != ' ' && c != '\t' && c != '\r') {
                return;
            }
        }
    }

    bool take(char c) {
        skip_blanks();
        if (peek() != c) {
            return false;
        }
        ++at_;
        return true;
    }

    Result<void> value(Tree& out, int depth) {
        skip_blanks();
        if (out.key.empty()) {
            out.line = line_;
        }
        switch (peek()) {
            case '{':
                return map(out, depth + 1);
            case '[':
                return list(out, depth + 1);
            case '"':
                out.type = Tree::Type::text;
                return string(out.text);
            default:
                return word(out);
        }
    }

    Result<void> word(Tree& out) {
        const std::string_view rest = text_.substr(at_);
        if (const std::size_t length = number_length(rest)) {
            out.type = Tree::Type::number;
            out.text = rest.substr(0, length);
            at_ += length;
            return {};
        }
        for (const std::string_view name : {"true", "false", "null"}) {
            if (rest.starts_with(name)) {
                out.type = name == "null" ? Tree::Type::null : Tree::Type::boolean;
                out.text = name == "null" ? std::string_view() : name;
                at_ += name.size();
                return {};
            }
        }
        return error("expected a JSON value");
    }

    static Tree& add_child(Tree& out) {
        constexpr std::size_t kFew = 4;
        if (out.children.size() == out.children.capacity()) {
            out.children.reserve(std::max(kFew, out.children.size() * 2));
        }
        return out.children.emplace_back();
    }

    Result<void> list(Tree& out, int depth) {
        if (depth > kMaxTreeDepth) {
            return error("nested too deeply");
        }
        out.type = Tree::Type::list;
        ++at_;
        if (take(']')) {
            return {};
        }
        do {
            MANUL_CHECK(value(add_child(out), depth));
        } while (take(','));
        return take(']') ? Result<void>{} : error("expected ',' or ']'");
    }

    Result<void> map(Tree& out, int depth) {
        if (depth > kMaxTreeDepth) {
            return error("nested too deeply");
        }
        out.type = Tree::Type::map;
        ++at_;
        if (take('}')) {
            return {};
        }
        SeenKeys seen;
        do {
            skip_blanks();
            if (peek() != '"') {
                return error("expected a key in quotes");
            }
            std::string key;
            const std::uint32_t line = line_;
            MANUL_CHECK(string(key));
            if (!takes_repeated_ && seen.line_of(out, key)) {
                return error("the key \"" + key + "\" is given twice");
            }
            Tree& child = add_child(out);
            child.line = line;
            child.key = std::move(key);
            if (!take(':')) {
                return error("expected ':'");
            }
            MANUL_CHECK(value(child, depth));
        } while (take(','));
        return take('}') ? Result<void>{} : error("expected ',' or '}'");
    }

    Result<void> string(std::string& out) {
        ++at_;
        while (true) {
            const std::size_t length = plain_length(text_.substr(at_));
            out.append(text_, at_, length);
            at_ += length;
            if (at_ == text_.size()) {
                return error("the text is never closed");
            }
            if (static_cast<unsigned char>(text_[at_]) < 0x20) {
                return error("a control character must be escaped");
            }
            if (text_[at_++] == '"') {
                return {};
            }
            MANUL_CHECK(escape(out));
        }
    }

    Result<void> escape(std::string& out) {
        constexpr std::string_view kLetters = "\"\\/bfnrt";
        constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
        const char letter = peek();
        if (letter == 'u') {
            return unicode_escape(out);
        }
        const std::size_t index = letter == '\0' ? std::string_view::npos : kLetters.find(letter);
        if (index == std::string_view::npos) {
            return error("unknown escape");
        }
        out += kMeanings[index];
        ++at_;
        return {};
    }

    std::optional<std::uint32_t> hex4() {
        std::uint32_t code = 0;
        const std::string_view digits = text_.substr(std::min(at_, text_.size()), 4);
        for (const char c : digits) {
            const char l = static_cast<char>(c | 0x20);
            if (!ascii::is_digit(c) && !(l >= 'a' && l <= 'f')) {
                return std::nullopt;
            }
            code = code << 4U | static_cast<std::uint32_t>(ascii::is_digit(c) ? c - '0' : l - 'a' + 10);
        }
        at_ += digits.size();
        return digits.size() == 4 ? std::optional(code) : std::nullopt;
    }

    Result<void> unicode_escape(std::string& out) {
        ++at_;
        auto code = hex4();
        if (!code || *code == 0) {
            return error("expected four hexadecimal digits, not 0000");
        }
        if (*code >= 0xd800 && *code < 0xe000) {
            if (*code >= 0xdc00 || !text_.substr(at_).starts_with("\\u")) {
                return error("half of a surrogate pair");
            }
            at_ += 2;
            const auto low = hex4();
            if (!low || *low < 0xdc00 || *low >= 0xe000) {
                return error("half of a surrogate pair");
            }
            code = 0x10000 + ((*code - 0xd800) << 10U) + (*low - 0xdc00);
        }
        append_utf8(out, *code);
        return {};
    }

    std::string_view text_;
    bool takes_repeated_;
    std::size_t at_ = 0;
    std::uint32_t line_ = 1;
};

void write(std::string& out, const Tree& tree) {
    switch (tree.type) {
        case Tree::Type::null:
            out += "null";
            return;
        case Tree::Type::boolean:
        case Tree::Type::number:
            out += tree.text;
            return;
        case Tree::Type::text:
            append_json_text(out, tree.text);
            return;
        case Tree::Type::list:
        case Tree::Type::map:
            break;
    }
    const bool is_map = tree.is_map();
    out += is_map ? '{' : '[';
    bool first = true;
    for (const Tree& child : tree.children) {
        if (!first) {
            out += ',';
        }
        first = false;
        if (is_map) {
            append_json_text(out, child.key);
            out += ':';
        }
        write(out, child);
    }
    out += is_map ? '}' : ']';
}

}  // namespace

void append_json_text(std::string& out, std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    out += '"';
    for (;;) {
        const std::size_t plain = plain_length(text);
        out.append(text.substr(0, plain));
        if (plain == text.size()) {
            break;
        }
        const char special = text[plain];
        const auto code = static_cast<unsigned char>(special);
        text.remove_prefix(plain + 1);
        if (code >= 0x20) {
            out += '\\';
            out += special;
        } else if (special == '\n') {
            out += "\\n";
        } else if (special == '\t') {
            out += "\\t";
        } else if (special == '\r') {
            out += "\\r";
        } else {
            out += "\\u00";
            out += kHex[code >> 4U];
            out += kHex[code & 0xfU];
        }
    }
    out += '"';
}

namespace {

void drop_repeated(Tree& tree, const std::string& path, std::vector<std::string>& repeated) {
    if (tree.is_map()) {
        std::map<std::string, std::size_t, std::less<>> last;
        for (std::size_t i = 0; i < tree.children.size(); ++i) {
            last[tree.children[i].key] = i;
        }
        if (last.size() < tree.children.size()) {
            std::vector<Tree> kept;
            std::set<std::string> told;
            for (std::size_t i = 0; i < tree.children.size(); ++i) {
                Tree& child = tree.children[i];
                if (last.at(child.key) == i) {
                    kept.push_back(std::move(child));
                } else if (told.insert(child.key).second) {
                    repeated.push_back(path_with_key(path, child.key));
                }
            }
            tree.children = std::move(kept);
        }
    }
    for (std::size_t i = 0; i < tree.children.size(); ++i) {
        Tree& child = tree.children[i];
        if (child.is_map() || child.is_list()) {
            drop_repeated(child, tree.is_map() ? path_with_key(path, child.key) : path + "[" + std::to_string(i) + "]",
                          repeated);
        }
    }
}

}  // namespace

Result<Tree> parse_json(std::string_view text) { return Parser(text).parse(); }

Result<Tree> parse_json(std::string_view text, std::vector<std::string>& repeated) {
    auto tree = Parser(text, true).parse();
    if (tree) {
        drop_repeated(*tree, "", repeated);
    }
    return tree;
}

std::string to_json(const Tree& tree) {
    std::string out;
    append_json(out, tree);
    return out;
}

void append_json(std::string& out, const Tree& tree) { write(out, tree); }

bool is_json_number(std::string_view text) noexcept { return !text.empty() && number_length(text) == text.size(); }

bool is_utf8(std::string_view text) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    for (std::size_t i = 0; i < text.size();) {
        if (std::uint64_t word = 0; i + sizeof(word) <= text.size()) {
            std::memcpy(&word, text.data() + i, sizeof(word));
            if ((word & 0x8080808080808080U) == 0) {  // ASCII, as nearly everything is
                i += sizeof(word);
                continue;
            }
        }
        const unsigned char lead = byte(i);
        const std::size_t length = lead < 0x80 ? 1U : lead < 0xc2 ? 0U : lead < 0xe0 ? 2U : lead < 0xf0 ? 3U : 4U;
        if (length == 0 || lead > 0xf4 || i + length > text.size()) {
            return false;
        }
        for (std::size_t k = 1; k < length; ++k) {
            if ((byte(i + k) & 0xc0U) != 0x80) {
                return false;
            }
        }
        // Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte.
        const unsigned char second = length > 1 ? byte(i + 1) : 0;
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second >= 0xa0) || (lead == 0xf0 && second < 0x90) ||
            (lead == 0xf4 && second >= 0x90)) {
            return false;
        }
        i += length;
    }
    return true;
}

}  // namespace manul::codec
