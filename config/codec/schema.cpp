#include "config/codec/schema.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/model/field.hpp"
#include "config/model/finding.hpp"
#include "config/model/names.hpp"
#include "config/model/scalar.hpp"

namespace manul::codec {

namespace {

using model::Field;
using model::Finding;
using model::Findings;
using model::ObjectInfo;
using model::Scalar;
using model::ScalarForm;
using model::ScalarInfo;
using model::ScalarResult;
using model::TypeInfo;
using Shape = TypeInfo::Shape;

constexpr std::size_t kLongestQuote = 60;

std::string quote(std::string_view text) {
    if (text.size() <= kLongestQuote) {
        return "\"" + std::string(text) + "\"";
    }
    std::size_t end = kLongestQuote;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80) {
        --end;  // not in the middle of a character
    }
    return "\"" + std::string(text.substr(0, end)) + "…\"";
}

std::string join(std::span<const std::string_view> names) {
    std::string out;
    for (const std::string_view name : names) {
        if (!name.empty()) {
            out += (out.empty() ? "" : ", ") + std::string(name);
        }
    }
    return out;
}

std::string did_you_mean(std::string_view text, std::span<const std::string_view> candidates) {
    const auto close = model::closest(text, candidates);
    return close ? ", did you mean \"" + std::string(*close) + "\"?" : "";
}

/// Where a value stands. Put together only when there is something to say about it.
struct Path {
    const Path* above = nullptr;
    std::string_view key;  ///< of a field; of the outermost: all of it
    std::optional<std::size_t> index = {};

    [[nodiscard]] std::string text() const {
        if (above == nullptr) {
            return std::string(key);
        }
        return index ? above->text() + "[" + std::to_string(*index) + "]" : path_with_key(above->text(), key);
    }
};

struct IntegerRange {
    std::int64_t low;
    std::uint64_t high;
};

/// What a number field may hold: the table's range within the type's.
IntegerRange range_of(const ScalarInfo& scalar, const Field* field) {
    IntegerRange range{scalar.min, scalar.max};
    if (field != nullptr) {
        range.low = std::max(range.low, field->min);
        range.high = std::min(range.high, static_cast<std::uint64_t>(std::max<std::int64_t>(field->max, 0)));
    }
    return range;
}

std::string expected_text(const ScalarInfo& scalar, const Field* field) {
    if (!scalar.names.empty()) {
        return "one of " + join(scalar.names);
    }
    if (scalar.max == 0) {
        return std::string(scalar.expected);
    }
    const IntegerRange range = range_of(scalar, field);
    constexpr auto kNoLimit = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    std::string text(scalar.expected);
    if (range.high < kNoLimit) {
        return text + " from " + std::to_string(range.low) + " to " + std::to_string(range.high);
    }
    return range.low == 0 ? text + ", not negative" : text;
}

/// One decoding: carries what is the same everywhere.
class Decoder {
public:
    Decoder(Mode mode, Findings& findings) : mode_(mode), findings_(findings) {}

    /// Returns whether an unknown field was met at or below the value.
    bool value(const TypeInfo& type, void* out, const Tree& tree, const Path& path, const Field* field) {
        switch (type.shape) {
            case Shape::any:
                return false;
            case Shape::scalar:
                scalar(*type.scalar, out, tree, path, field);
                return false;
            case Shape::optional:
                return optional(type, out, tree, path, field);
            case Shape::list:
                return list(type, out, tree, path, field);
            case Shape::map:
                return map(type, out, tree, path, field);
            case Shape::object:
                return object(*type.object, out, tree, path, {});
        }
        return false;
    }

    bool object(const ObjectInfo& info, void* out, const Tree& tree, const Path& path,
                std::span<const std::string_view> skip) {
        if (!tree.is_map()) {
            mismatch("fields of " + std::string(info.name), tree, path);
            return false;
        }
        std::size_t known = 0;
        bool unknown = fields(info, out, tree, path, known);
        known += static_cast<std::size_t>(
            std::ranges::count_if(skip, [&](std::string_view name) { return tree.find(name) != nullptr; }));
        if (!info.is_open && known != tree.children.size()) {
            for (const Tree& child : tree.children) {
                if (!has_field(info, child.key) && std::ranges::find(skip, child.key) == skip.end()) {
                    report_unknown(info, child, path);
                    unknown = true;
                }
            }
        }
        if (unknown && info.mark_unknown != nullptr) {
            info.mark_unknown(out);
        }
        return unknown;
    }

private:
    void error(const Tree& tree, const Path& path, std::string message) {
        findings_.push_back({.path = path.text(), .message = std::move(message), .line = tree.line});
    }

    void mismatch(const std::string& expected, const Tree& tree, const Path& path, const std::string& note = {}) {
        error(tree, path, "expected " + expected + ", found " + describe(tree) + (note.empty() ? "" : "; " + note));
    }

    /// The fields of the object and of its base, in the order of the tables. `known`: how many of them are there.
    bool fields(const ObjectInfo& info, void* out, const Tree& tree, const Path& path, std::size_t& known) {
        bool unknown = false;
        if (info.base != nullptr) {
            unknown = fields(*info.base, info.to_base(out), tree, path, known);
        }
        for (const Field& field : info.fields) {
            const Tree* child = tree.find(field.name);
            known += child != nullptr ? 1U : 0U;
            if (child == nullptr || child->type == Tree::Type::null || is_unset(field, *child)) {
                const bool has_parts = field.type->shape == Shape::object && field.member != nullptr;
                if (has_parts && needs_fields(*field.type->object)) {
                    const Tree nothing{.type = Tree::Type::map, .line = tree.line};
                    value(*field.type, field.member(out), nothing, Path{&path, field.name}, &field);
                } else if (field.is_required) {
                    error(child != nullptr ? *child : tree, Path{&path, field.name}, "required, but missing");
                }
                continue;
            }
            if (field.member != nullptr) {
                unknown |= value(*field.type, field.member(out), *child, Path{&path, field.name}, &field);
            }
        }
        return unknown;
    }

    /// What Go's types cannot tell from nothing: the empty text where a name or an address is wanted, and nothing or
    /// zero where a default is filled in.
    static bool is_unset(const Field& field, const Tree& value) {
        const ScalarInfo* scalar = field.type->shape == Shape::list ? nullptr : scalar_of(*field.type);
        if (scalar == nullptr || field.is_required) {
            return false;
        }
        const bool is_defaulted = field.is_written_on_create && !field.default_text.empty();
        if (value.type == Tree::Type::number) {
            return is_defaulted && value.text == "0" && field.min > 0;
        }
        constexpr auto kAddresses = std::to_array<std::string_view>({"IP", "IPv4", "IPv6", "address", "CIDR"});
        const bool has_empty = std::ranges::find(scalar->names, std::string_view()) != scalar->names.end();
        return value.type == Tree::Type::text && value.text.empty() &&
               ((is_defaulted && scalar->name == "string") || (!scalar->names.empty() && !has_empty) ||
                std::ranges::find(kAddresses, scalar->name) != kAddresses.end());
    }

    void report_unknown(const ObjectInfo& info, const Tree& child, const Path& path) {
        std::vector<std::string_view> names;
        std::string_view inner;
        for (const ObjectInfo* at = &info; at != nullptr; at = at->base) {
            for (const Field& field : at->fields) {
                names.push_back(field.name);
                const ObjectInfo* below = object_of(*field.type);
                if (inner.empty() && below != nullptr && has_field(*below, child.key)) {
                    inner = field.name;
                }
            }
        }
        std::string message = "unknown field";
        if (const std::string hint = did_you_mean(child.key, names); !hint.empty()) {
            message += hint;
        } else if (!inner.empty()) {
            message += ", it belongs inside \"" + std::string(inner) + "\"";
        }
        findings_.push_back({.path = Path{&path, child.key}.text(),
                             .message = std::move(message),
                             .severity = mode_ == Mode::strict ? Finding::Severity::error : Finding::Severity::warning,
                             .unknown_field = true,
                             .line = child.line});
    }

    static bool needs_fields(const ObjectInfo& info) { return std::ranges::any_of(info.fields, &Field::is_required); }

    static bool has_field(const ObjectInfo& info, std::string_view name) {
        return std::ranges::find(info.fields, name, &Field::name) != info.fields.end() ||
               (info.base != nullptr && has_field(*info.base, name));
    }

    bool optional(const TypeInfo& type, void* out, const Tree& tree, const Path& path, const Field* field) {
        void* inner = type.emplace(out);
        if (type.element->shape == Shape::scalar) {
            if (!scalar(*type.element->scalar, inner, tree, path, field)) {
                type.drop(out);
            }
            return false;
        }
        return value(*type.element, inner, tree, path, field);
    }

    bool list(const TypeInfo& type, void* out, const Tree& tree, const Path& path, const Field* field) {
        if (!tree.is_list()) {
            mismatch("a list", tree, path, tree.is_scalar() ? "write [" + tree.text + "]" : "");
            return false;
        }
        if (field != nullptr && field->max_items != 0 && tree.children.size() > field->max_items) {
            error(tree, path,
                  "expected at most " + std::to_string(field->max_items) + " items, found " +
                      std::to_string(tree.children.size()));
        }
        bool unknown = false;
        for (std::size_t i = 0; i < tree.children.size(); ++i) {
            const Tree& child = tree.children[i];
            const Path child_path{&path, {}, i};
            void* item = type.emplace(out);
            if (type.element->shape == Shape::scalar) {
                const std::size_t known = findings_.size();
                if (!scalar(*type.element->scalar, item, child, child_path, field)) {
                    type.drop(out);
                    if (findings_.size() == known) {  // means "absent", which an item cannot be
                        mismatch(expected_text(*type.element->scalar, field), child, child_path);
                    }
                }
            } else if (type.element->shape != Shape::optional || child.type != Tree::Type::null) {
                unknown |= value(*type.element, item, child, child_path, field);
            }
        }
        return unknown;
    }

    bool map(const TypeInfo& type, void* out, const Tree& tree, const Path& path, const Field* field) {
        if (!tree.is_map()) {
            mismatch("keys and values", tree, path);
            return false;
        }
        bool unknown = false;
        for (const Tree& child : tree.children) {
            const Path child_path{&path, child.key};
            if (void* item = type.insert(out, child.key)) {
                unknown |= value(*type.element, item, child, child_path, field);
            } else {
                error(child, child_path, "this key cannot stand here");
            }
        }
        return unknown;
    }

    /// Returns false when the value stays unset.
    bool scalar(const ScalarInfo& info, void* out, const Tree& tree, const Path& path, const Field* field) {
        if (!tree.is_scalar()) {
            mismatch(expected_text(info, field), tree, path);
            return false;
        }
        Scalar& in = scalar_;
        in.text = tree.text;
        in.form = tree.type == Tree::Type::text     ? ScalarForm::text
                  : tree.type == Tree::Type::number ? ScalarForm::number
                                                    : ScalarForm::boolean;
        ScalarResult result = info.parse(out, in);
        using Outcome = ScalarResult::Outcome;
        if (result.outcome == Outcome::bad) {
            const std::string hint = did_you_mean(in.text, info.names);
            mismatch(expected_text(info, field), tree, path, result.note);
            findings_.back().message += hint;
            return false;
        }
        if (result.outcome == Outcome::ok_with_warning) {
            findings_.push_back({.path = path.text(),
                                 .message = std::move(result.note),
                                 .severity = Finding::Severity::warning,
                                 .line = tree.line});
        }
        return result.outcome != Outcome::unset && (field == nullptr || fits(info, in, tree, path, *field));
    }

    /// Checks of the table beyond the type.
    bool fits(const ScalarInfo& info, const Scalar& in, const Tree& tree, const Path& path, const Field& field) {
        if (info.max != 0) {
            const IntegerRange range = range_of(info, &field);
            const Scalar& number = in;
            std::int64_t as_signed = 0;
            std::uint64_t as_unsigned = 0;
            const char* end = number.text.data() + number.text.size();
            const bool too_low =
                std::from_chars(number.text.data(), end, as_signed).ec == std::errc{} && as_signed < range.low;
            const bool too_high =
                std::from_chars(number.text.data(), end, as_unsigned).ec == std::errc{} && as_unsigned > range.high;
            if (too_low || too_high) {
                mismatch(expected_text(info, &field), tree, path);
                return false;
            }
        }
        if (field.max_length != 0 && in.text.size() > field.max_length) {
            error(tree, path,
                  "expected at most " + std::to_string(field.max_length) + " characters, found " +
                      std::to_string(in.text.size()));
            return false;
        }
        if (!field.allowed.empty()) {
            const bool allowed = std::ranges::any_of(field.allowed, [&](std::string_view name) {
                return field.any_letter_case ? ascii::same_letters(name, in.text) : name == in.text;
            });
            if (!allowed && !(field.any_letter_case && in.text.empty())) {
                mismatch("one of " + join(field.allowed), tree, path);
                findings_.back().message += did_you_mean(in.text, field.allowed);
                return false;
            }
        }
        return true;
    }

    Mode mode_;
    Findings& findings_;
    Scalar scalar_;  ///< the one being read; its memory is used again
};

}  // namespace

void decode_value(const TypeInfo& type, void* value, const Tree& tree, const std::string& path, Mode mode,
                  Findings& findings) {
    Decoder(mode, findings).value(type, value, tree, Path{nullptr, path}, nullptr);
}

void decode_object(const ObjectInfo& object, void* value, const Tree& tree, const std::string& path, Mode mode,
                   Findings& findings, std::initializer_list<std::string_view> skip) {
    Decoder(mode, findings).object(object, value, tree, Path{nullptr, path}, skip);
}

const ScalarInfo* scalar_of(const TypeInfo& type) noexcept {
    const TypeInfo* at = &type;
    while (at->element != nullptr) {
        at = at->element;
    }
    return at->scalar;
}

const ObjectInfo* object_of(const TypeInfo& type) noexcept {
    const TypeInfo* at = &type;
    while (at->element != nullptr) {
        at = at->element;
    }
    return at->object;
}

std::string describe(const Tree& tree) {
    switch (tree.type) {
        case Tree::Type::null:
            return "nothing";
        case Tree::Type::boolean:
        case Tree::Type::number:
            return tree.text;
        case Tree::Type::text:
            return quote(tree.text);
        case Tree::Type::list:
            return "a list";
        case Tree::Type::map:
            return "a map";
    }
    return {};
}

}  // namespace manul::codec
