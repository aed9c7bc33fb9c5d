#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/tree.hpp"
#include "config/codec/yaml.hpp"

namespace manul::codec {

namespace {

/// Words that some YAML reader takes for something else than text.
constexpr auto kWords = std::to_array<std::string_view>({"true", "false", "yes", "no", "on", "off", "y", "n", "null",
                                                         "nil", "~", "<<", "=", ".inf", "-.inf", "+.inf", ".nan"});

/// Made of what numbers, dates and times are written with, and not an address.
bool looks_like_a_number(std::string_view text) {
    constexpr std::string_view kOfNumbers = "0123456789abcdefABCDEFxXoOtTzZ_+-.: ";
    const char first = text.front();
    const bool starts_so = (first >= '0' && first <= '9') || first == '+' || first == '-' || first == '.';
    const bool is_dotted = std::ranges::count(text, '.') >= 2 && text.find_first_not_of("0123456789.") == text.npos;
    return starts_so && !is_dotted && text.find_first_not_of(kOfNumbers) == std::string_view::npos;
}

bool is_plain(std::string_view text) {
    if (text.empty() || text.front() == ' ' || text.back() == ' ' || text.back() == ':') {
        return false;
    }
    if (std::string_view("!&*?|>@`\"'%#{}[],:-").find(text.front()) != std::string_view::npos) {
        return false;
    }
    if (text.find(": ") != text.npos || text.find(" #") != text.npos || text.starts_with("...")) {
        return false;
    }
    const bool has_control = std::ranges::any_of(text, [](char c) {
        const auto code = static_cast<unsigned char>(c);
        return code < 0x20 || code == 0x7f;
    });
    const bool has_odd_break = text.find("\xc2\x85") != text.npos || text.find("\xe2\x80\xa8") != text.npos ||
                               text.find("\xe2\x80\xa9") != text.npos || text.find("\xef\xbb\xbf") != text.npos;
    return !has_control && !has_odd_break && !looks_like_a_number(text) &&
           std::ranges::none_of(kWords, [&](std::string_view word) { return ascii::same_letters(word, text); });
}

std::string scalar(std::string_view text) {
    // JSON's quoted form is YAML's double-quoted form.
    return is_plain(text) ? std::string(text) : to_json(Tree::of_text(std::string(text)));
}

class Writer {
public:
    std::string write(const Tree& tree) {
        if (is_inline(tree)) {
            inline_value(tree);
            out_ += '\n';
        } else {
            block(tree, 0, false);
        }
        return std::move(out_);
    }

private:
    static bool is_inline(const Tree& tree) { return tree.children.empty(); }

    void inline_value(const Tree& tree) {
        switch (tree.type) {
            case Tree::Type::null:
                out_ += "null";
                return;
            case Tree::Type::boolean:
            case Tree::Type::number:
                out_ += tree.text;
                return;
            case Tree::Type::text:
                out_ += scalar(tree.text);
                return;
            case Tree::Type::list:
                out_ += "[]";
                return;
            case Tree::Type::map:
                out_ += "{}";
                return;
        }
    }

    /// `begun`: the first line is already indented, by the "- " of a list.
    void block(const Tree& tree, std::size_t indent, bool begun) {
        for (const Tree& child : tree.children) {
            if (!begun) {
                out_.append(indent, ' ');
            }
            begun = false;
            if (tree.is_list()) {
                list_item(child, indent);
            } else {
                map_entry(child, indent);
            }
        }
    }

    void list_item(const Tree& child, std::size_t indent) {
        out_ += "- ";
        if (is_inline(child)) {
            inline_value(child);
            out_ += '\n';
        } else {
            block(child, indent + 2, true);
        }
    }

    void map_entry(const Tree& child, std::size_t indent) {
        out_ += scalar(child.key) + ":";
        if (is_inline(child)) {
            out_ += ' ';
            inline_value(child);
            out_ += '\n';
            return;
        }
        out_ += '\n';
        block(child, child.is_list() ? indent : indent + 2, false);
    }

    std::string out_;
};

}  // namespace

Result<std::string> to_yaml(std::string_view document) {
    MANUL_TRY(const Tree tree, parse_json(document));
    return Writer().write(tree);
}

}  // namespace manul::codec
