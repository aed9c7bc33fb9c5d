#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/tree.hpp"

/// Documents as text, as far as the store itself looks into them: where the members begin and end that it reads or
/// sets. A walk over the text costs a tenth of parsing and printing it.
namespace manul::store {

/// What a letter means outside of texts.
enum class Letter : std::uint8_t { other, blank, quote, opens, closes, separates };

inline constexpr std::array<Letter, 256> kLetters = [] {
    std::array<Letter, 256> out{};
    const auto set = [&](std::string_view letters, Letter meaning) {
        for (const char c : letters) {
            out[static_cast<unsigned char>(c)] = meaning;
        }
    };
    set(" \t\r\n", Letter::blank);
    set("\"", Letter::quote);
    set("{[", Letter::opens);
    set("}]", Letter::closes);
    set(",:", Letter::separates);
    return out;
}();

/// Walks JSON text that is known to be well formed (the store wrote it); on anything else it stops early.
class Walker {
public:
    explicit Walker(std::string_view text) : text_(text) {}

    [[nodiscard]] std::size_t position() const { return at_; }
    [[nodiscard]] std::size_t left() const { return text_.size() - at_; }
    [[nodiscard]] bool at_end() {
        skip_blanks();
        return at_ == text_.size();
    }

    bool accept(char wanted) {
        skip_blanks();
        if (at_ < text_.size() && text_[at_] == wanted) {
            ++at_;
            return true;
        }
        return false;
    }

    /// The raw text between the quotes.
    std::optional<std::string_view> string() {
        if (!accept('"')) {
            return std::nullopt;
        }
        const std::size_t start = at_;
        return skip_rest_of_string() ? std::optional(text_.substr(start, at_ - 1 - start)) : std::nullopt;
    }

    /// From the next value on.
    std::string_view rest() {
        skip_blanks();
        return text_.substr(at_);
    }

    /// The raw text of a value.
    std::optional<std::string_view> value() {
        skip_blanks();
        const std::size_t start = at_;
        return skip_value() ? std::optional(text_.substr(start, at_ - start)) : std::nullopt;
    }

    bool skip_value() {
        skip_blanks();
        std::size_t depth = 0;
        do {
            if (at_ >= text_.size()) {
                return false;
            }
            switch (letter()) {
                case Letter::blank:
                    ++at_;
                    break;
                case Letter::quote:
                    ++at_;
                    if (!skip_rest_of_string()) {
                        return false;
                    }
                    break;
                case Letter::opens:
                    ++depth;
                    ++at_;
                    break;
                case Letter::closes:
                    if (depth == 0) {
                        return false;
                    }
                    --depth;
                    ++at_;
                    break;
                case Letter::separates:
                    if (depth == 0) {
                        return false;
                    }
                    ++at_;
                    break;
                case Letter::other:
                    if (!skip_word()) {
                        return false;
                    }
                    break;
            }
        } while (depth > 0);
        return true;
    }

    /// Goes through the object that comes next: `each` gets a member's name and passes over its value, or returns
    /// false, which ends it. False when it did, and when there is no object or an empty one.
    template <typename Each>
    bool each_member(Each&& each) {
        if (!accept('{')) {
            return false;
        }
        do {
            const auto name = string();
            if (!name || !accept(':') || !each(*name)) {
                return false;
            }
        } while (accept(','));
        return accept('}');
    }

private:
    [[nodiscard]] Letter letter() const { return kLetters[static_cast<unsigned char>(text_[at_])]; }

    void skip_blanks() {
        while (at_ < text_.size() && letter() == Letter::blank) {
            ++at_;
        }
    }

    /// A number, or true, false, null; something ends it.
    bool skip_word() {
        do {
            ++at_;
        } while (at_ < text_.size() && letter() == Letter::other);
        return at_ < text_.size();
    }

    /// Behind the quote that ends it. Eight letters at a time: texts are most of a document.
    bool skip_rest_of_string() {
        for (;;) {
            while (at_ + sizeof(std::uint64_t) <= text_.size()) {
                std::uint64_t letters = 0;
                std::memcpy(&letters, text_.data() + at_, sizeof(letters));
                if (holds(letters, '"') || holds(letters, '\\')) {
                    break;
                }
                at_ += sizeof(letters);
            }
            while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\') {
                ++at_;
            }
            if (at_ >= text_.size()) {
                at_ = text_.size();
                return false;
            }
            if (text_[at_] == '"') {
                ++at_;
                return true;
            }
            at_ += 2;
        }
    }

    /// Whether one of eight letters is this.
    static bool holds(std::uint64_t letters, char wanted) {
        constexpr std::uint64_t kOnes = 0x0101010101010101U;
        const std::uint64_t zero_where_equal = letters ^ (kOnes * static_cast<unsigned char>(wanted));
        return ((zero_where_equal - kOnes) & ~zero_where_equal & (kOnes << 7U)) != 0;
    }

    std::string_view text_;
    std::size_t at_ = 0;
};

/// Between the quotes; empty when it is no text.
[[nodiscard]] inline std::string_view unquoted(std::string_view value) {
    return value.size() >= 2 && value.front() == '"' ? value.substr(1, value.size() - 2) : std::string_view{};
}

/// The members of a metadata object, their values as raw text. Texts that are set must outlive it.
class Metadata {
public:
    /// Nothing when what comes next is no object, or one that says something twice.
    static std::optional<Metadata> read(Walker& walker);

    /// As it is written; empty where there is none.
    [[nodiscard]] std::string_view raw(std::string_view name) const {
        const Member* member = find(name);
        return member == nullptr ? std::string_view{} : member->value;
    }
    /// Between the quotes; empty where there is no text.
    [[nodiscard]] std::string_view text(std::string_view name) const { return unquoted(raw(name)); }

    void set_raw(std::string_view name, std::string_view value) { set(name, value, false); }
    /// A text without characters that JSON escapes.
    void set_text(std::string_view name, std::string_view value) { set(name, value, true); }
    void erase(std::string_view name) {
        std::erase_if(members_, [&](const Member& member) { return member.name == name; });
    }
    /// As in `other`, which must outlive this too.
    void take(std::string_view name, const Metadata& other) {
        if (const std::string_view value = other.raw(name); !value.empty()) {
            set_raw(name, value);
        } else {
            erase(name);
        }
    }

    void append_to(std::string& out) const;

    /// The same members with the same values, in any order.
    [[nodiscard]] bool same_value(const Metadata& other) const;

private:
    struct Member {
        std::string_view name;
        std::string_view value;
        bool is_bare;  ///< a text without its quotes
    };

    [[nodiscard]] const Member* find(std::string_view name) const {
        const auto found = std::ranges::find(members_, name, &Member::name);
        return found == members_.end() ? nullptr : &*found;
    }
    void set(std::string_view name, std::string_view value, bool is_bare) {
        const auto found = std::ranges::find(members_, name, &Member::name);
        if (found == members_.end()) {
            members_.push_back({name, value, is_bare});
        } else {
            *found = {name, value, is_bare};
        }
    }

    std::vector<Member> members_;
};

/// The members of a document that the store looks at, as raw text; empty where there is none.
struct Outline {
    std::string_view api_version;
    std::string_view kind;
    std::string_view metadata;
    std::string_view spec;
    std::optional<Metadata> members;  ///< of metadata
};

/// Nothing when the text is no JSON object.
[[nodiscard]] std::optional<Outline> outline(std::string_view document);

/// What a new text of a document is compared with.
struct Before {
    std::optional<Metadata> metadata;
    std::string_view spec;  ///< the text from there on; empty where there is none
    bool same_spec = false;
};

/// `spec` is that of the new text.
[[nodiscard]] Before compare_with(std::string_view stored, std::string_view spec);

/// Whether both are the same JSON value.
[[nodiscard]] bool same_json(std::string_view a, std::string_view b);
/// Whether the text is the value of the tree (Tree::same_value). Stops at the first difference, and keeps nothing.
[[nodiscard]] bool is_value_of(std::string_view json, const codec::Tree& tree);
/// The same of the value at the beginning of a text.
[[nodiscard]] bool begins_with_value_of(std::string_view json, const codec::Tree& tree);

/// Where the members of a document's metadata begin.
[[nodiscard]] std::optional<std::size_t> inside_metadata(std::string_view document);

}  // namespace manul::store
