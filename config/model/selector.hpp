#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/model/resource.hpp"

/// Calico's selector expressions over labels: `app == 'web' && env in {'a', 'b'} || !has(x)`.
///
/// A Selector is an immutable, cheap to copy value that always is a valid expression: parsing is the only way in from
/// text, and the building blocks below cannot make an invalid one. Two selectors are equal when their canonical texts
/// are; there is no algebraic simplification (`a && a` differs from `a`).
namespace manul::model {

/// Where a selector looks labels up. Refers to the callable or map given, which must outlive the call that uses it.
/// A callable takes a std::string_view key and returns std::optional<std::string_view>.
class LabelLookup {
public:
    LabelLookup(const StringMap& labels) noexcept;  // NOLINT(google-explicit-constructor): a map of labels is one
    template <class F>
        requires(std::is_invocable_r_v<std::optional<std::string_view>, const F&, std::string_view>)
    LabelLookup(const F& function) noexcept  // NOLINT(google-explicit-constructor): as function_ref
        : object_(&function), call_([](const void* object, std::string_view key) -> std::optional<std::string_view> {
              return (*static_cast<const F*>(object))(key);
          }) {}

    [[nodiscard]] std::optional<std::string_view> operator()(std::string_view key) const { return call_(object_, key); }

private:
    const void* object_;
    std::optional<std::string_view> (*call_)(const void*, std::string_view);
};

struct SelectorError {
    std::size_t position = 0;  ///< byte offset in the text
    std::string message;       ///< says where and what was expected

    bool operator==(const SelectorError&) const = default;
};

/// A label that must be present with one of these values for a selector to match at all.
struct RequiredLabel {
    std::string key;
    std::vector<std::string> values;  ///< empty: present with any value

    bool operator==(const RequiredLabel&) const = default;
};

class Selector {
public:
    /// all()
    Selector();

    /// Empty text is all().
    [[nodiscard]] static std::expected<Selector, SelectorError> parse(std::string_view text);

    // Building blocks.
    [[nodiscard]] static Selector equals(std::string_view key, std::string_view value);
    [[nodiscard]] static Selector in(std::string_view key, std::vector<std::string> values);
    [[nodiscard]] static Selector not_in(std::string_view key, std::vector<std::string> values);
    [[nodiscard]] static Selector has(std::string_view key);
    [[nodiscard]] static Selector negate(const Selector& selector);
    /// AND of all; an operand all() is kept out unless nothing else is there.
    [[nodiscard]] static Selector conjunction(const std::vector<Selector>& operands);

    /// Every label key with `prefix` put in front ("pcns.").
    [[nodiscard]] Selector with_key_prefix(std::string_view prefix) const;
    /// has(label) for each all(): over namespaces, all() means what has one at all.
    [[nodiscard]] Selector with_all_as_has(std::string_view label) const;

    [[nodiscard]] bool matches(LabelLookup labels) const;

    /// Canonical text; parses back to an equal selector.
    [[nodiscard]] const std::string& to_string() const noexcept;
    /// The whole expression is all().
    [[nodiscard]] bool is_all() const noexcept;
    /// The whole expression is global().
    [[nodiscard]] bool is_global() const noexcept;
    /// Every label key that the result depends on, sorted, each once.
    [[nodiscard]] std::vector<std::string> keys() const;
    /// Necessary conditions, for an index: a label set that misses one of them cannot match. Not sufficient.
    [[nodiscard]] std::vector<RequiredLabel> required_labels() const;

    [[nodiscard]] bool operator==(const Selector& other) const noexcept { return to_string() == other.to_string(); }
    [[nodiscard]] auto operator<=>(const Selector& other) const noexcept { return to_string() <=> other.to_string(); }

    struct Node;

private:
    struct Program;
    explicit Selector(std::vector<Node> nodes);

    std::shared_ptr<const Program> program_;
};

}  // namespace manul::model

template <>
struct std::hash<manul::model::Selector> {
    std::size_t operator()(const manul::model::Selector& selector) const noexcept {
        return std::hash<std::string>{}(selector.to_string());
    }
};
