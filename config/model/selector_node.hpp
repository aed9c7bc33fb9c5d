#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.hpp"
#include "config/model/selector.hpp"

/// The inner form of a selector, shared by its parser and its evaluation; not for other modules.
namespace manul::model {

/// Nodes lie in one vector in prefix order: a node is followed by its children, `span` counts it and all below it, so
/// that a sibling is found by adding the span and evaluation walks forward in memory.
struct Selector::Node {
    enum class Op : std::uint8_t {
        all,
        global,
        has,
        equal,
        not_equal,
        in,
        not_in,
        contains,
        starts_with,
        ends_with,
        logical_not,
        logical_and,
        logical_or,
    };

    Op op;
    std::string key;
    std::vector<std::string> values;  ///< one for comparisons; sorted, each once, for sets
    std::size_t span;
};

/// Node alone is the kind of resource.
using SelectorNode = Selector::Node;

inline constexpr std::size_t kMaxLabelLength = 512;

[[nodiscard]] constexpr bool is_label_character(char c) noexcept {
    return ascii::is_alphanumeric(c) || c == '_' || c == '.' || c == '/' || c == '-';
}

[[nodiscard]] std::expected<std::vector<SelectorNode>, SelectorError> parse_selector(std::string_view text);

/// `!operand`, or what it negates when it is a negation itself.
[[nodiscard]] std::vector<SelectorNode> negated(std::vector<SelectorNode> operand);
/// The only operand, or an AND or OR node above all of them.
[[nodiscard]] std::vector<SelectorNode> joined(SelectorNode::Op op, std::vector<std::vector<SelectorNode>> operands);
void sort_values(std::vector<std::string>& values);

}  // namespace manul::model
