#include "config/model/selector.hpp"

#include <algorithm>
#include <cstddef>
#include <expected>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/model/resource.hpp"
#include "config/model/selector_node.hpp"

namespace manul::model {

struct Selector::Program {
    std::vector<SelectorNode> nodes;
    std::string text;
};

namespace {

using Op = SelectorNode::Op;

std::optional<std::string_view> look_up(const void* object, std::string_view key) {
    const auto& labels = *static_cast<const StringMap*>(object);
    const auto found = labels.find(key);
    return found == labels.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

bool evaluate(std::span<const SelectorNode> nodes, const LabelLookup& labels);

/// Whether any (`wanted` true) or no (`wanted` false: all) child gives `wanted`; stops at the first that decides.
bool some_child_is(std::span<const SelectorNode> nodes, bool wanted, const LabelLookup& labels) {
    for (std::size_t i = 1; i < nodes.front().span; i += nodes[i].span) {
        if (evaluate(nodes.subspan(i), labels) == wanted) {
            return true;
        }
    }
    return false;
}

bool compare(const SelectorNode& node, std::string_view value) {
    switch (node.op) {
        case Op::equal:
        case Op::not_equal:
            return (value == node.values.front()) == (node.op == Op::equal);
        case Op::in:
        case Op::not_in:
            return std::binary_search(node.values.begin(), node.values.end(), value, std::less<>{}) ==
                   (node.op == Op::in);
        case Op::contains:
            return value.find(node.values.front()) != std::string_view::npos;
        case Op::starts_with:
            return value.starts_with(node.values.front());
        case Op::ends_with:
            return value.ends_with(node.values.front());
        default:
            return true;  // has
    }
}

/// `nodes` begins with the node to evaluate.
bool evaluate(std::span<const SelectorNode> nodes, const LabelLookup& labels) {
    const SelectorNode& node = nodes.front();
    switch (node.op) {
        case Op::all:
        case Op::global:
            return true;
        case Op::logical_not:
            return !evaluate(nodes.subspan(1), labels);
        case Op::logical_and:
            return !some_child_is(nodes, false, labels);
        case Op::logical_or:
            return some_child_is(nodes, true, labels);
        default:
            break;
    }
    const auto value = labels(node.key);
    if (!value) {
        return node.op == Op::not_equal || node.op == Op::not_in;
    }
    return compare(node, *value);
}

void print_value(std::string& out, std::string_view value) {
    const char quote = value.find('"') == std::string_view::npos ? '"' : '\'';
    out += quote;
    out += value;
    out += quote;
}

std::string_view operator_text(Op op) {
    switch (op) {
        case Op::equal:
            return " == ";
        case Op::not_equal:
            return " != ";
        case Op::in:
            return " in ";
        case Op::not_in:
            return " not in ";
        case Op::contains:
            return " contains ";
        case Op::starts_with:
            return " starts with ";
        case Op::ends_with:
            return " ends with ";
        case Op::logical_and:
            return " && ";
        case Op::logical_or:
            return " || ";
        default:
            return "";
    }
}

void print(std::string& out, std::span<const SelectorNode> nodes) {
    const SelectorNode& node = nodes.front();
    switch (node.op) {
        case Op::all:
            out += "all()";
            return;
        case Op::global:
            out += "global()";
            return;
        case Op::has:
            out += "has(" + node.key + ")";
            return;
        case Op::logical_not:
            out += '!';
            print(out, nodes.subspan(1));
            return;
        case Op::logical_and:
        case Op::logical_or:
            out += '(';
            for (std::size_t i = 1; i < node.span; i += nodes[i].span) {
                if (i > 1) {
                    out += operator_text(node.op);
                }
                print(out, nodes.subspan(i));
            }
            out += ')';
            return;
        default:
            break;
    }
    out += node.key;
    out += operator_text(node.op);
    if (node.op != Op::in && node.op != Op::not_in) {
        print_value(out, node.values.front());
        return;
    }
    out += '{';
    for (std::size_t i = 0; i < node.values.size(); ++i) {
        if (i > 0) {
            out += ", ";
        }
        print_value(out, node.values[i]);
    }
    out += '}';
}

using Required = std::map<std::string, std::vector<std::string>>;

Required required(std::span<const SelectorNode> nodes);

/// Conditions of an AND: those of any operand. A key required twice keeps the shorter list: either is necessary.
void add_all(Required& out, Required&& more) {
    for (auto& [key, values] : more) {
        const auto [at, added] = out.try_emplace(key, values);
        if (!added && !values.empty() && (at->second.empty() || values.size() < at->second.size())) {
            at->second = std::move(values);
        }
    }
}

/// Conditions of an OR: keys that every operand requires, with any of their values.
void keep_common(Required& out, const Required& more) {
    for (auto at = out.begin(); at != out.end();) {
        const auto other = more.find(at->first);
        if (other == more.end()) {
            at = out.erase(at);
            continue;
        }
        if (at->second.empty() || other->second.empty()) {
            at->second.clear();
        } else {
            std::vector<std::string> merged;
            std::ranges::set_union(at->second, other->second, std::back_inserter(merged));
            at->second = std::move(merged);
        }
        ++at;
    }
}

Required required(std::span<const SelectorNode> nodes) {
    const SelectorNode& node = nodes.front();
    Required out;
    switch (node.op) {
        case Op::equal:
        case Op::in:
            out[node.key] = node.values;
            break;
        case Op::has:
        case Op::contains:
        case Op::starts_with:
        case Op::ends_with:
            out[node.key] = {};
            break;
        case Op::logical_and:
            for (std::size_t i = 1; i < node.span; i += nodes[i].span) {
                add_all(out, required(nodes.subspan(i)));
            }
            break;
        case Op::logical_or:
            out = required(nodes.subspan(1));
            for (std::size_t i = 1 + nodes[1].span; i < node.span; i += nodes[i].span) {
                keep_common(out, required(nodes.subspan(i)));
            }
            break;
        default:
            break;
    }
    return out;
}

bool is_key(std::string_view key) {
    return !key.empty() && key.size() <= kMaxLabelLength && std::ranges::all_of(key, is_label_character);
}

/// No quote is left to write it with, so no label can be compared with it.
bool is_writable(std::string_view value) { return !(value.find('"') != value.npos && value.find('\'') != value.npos); }

std::vector<SelectorNode> leaf(Op op, std::string_view key, std::vector<std::string> values) {
    return {SelectorNode{op, std::string(key), std::move(values), 1}};
}

std::vector<SelectorNode> set_leaf(Op op, std::string_view key, std::vector<std::string> values) {
    std::erase_if(values, [](const std::string& value) { return !is_writable(value); });
    sort_values(values);
    return leaf(op, key, std::move(values));
}

std::vector<SelectorNode> never() { return negated({SelectorNode{Op::all, {}, {}, 1}}); }

}  // namespace

LabelLookup::LabelLookup(const StringMap& labels) noexcept : object_(&labels), call_(&look_up) {}

Selector::Selector() {
    static const auto all = std::make_shared<const Program>(Program{{SelectorNode{Op::all, {}, {}, 1}}, "all()"});
    program_ = all;
}

Selector::Selector(std::vector<SelectorNode> nodes) {
    std::string text;
    print(text, nodes);
    program_ = std::make_shared<const Program>(Program{std::move(nodes), std::move(text)});
}

std::expected<Selector, SelectorError> Selector::parse(std::string_view text) {
    auto nodes = parse_selector(text);
    if (!nodes) {
        return std::unexpected(std::move(nodes).error());
    }
    return Selector(*std::move(nodes));
}

Selector Selector::equals(std::string_view key, std::string_view value) {
    return is_key(key) && is_writable(value) ? Selector(leaf(Op::equal, key, {std::string(value)})) : Selector(never());
}

Selector Selector::in(std::string_view key, std::vector<std::string> values) {
    return is_key(key) ? Selector(set_leaf(Op::in, key, std::move(values))) : Selector(never());
}

Selector Selector::not_in(std::string_view key, std::vector<std::string> values) {
    return is_key(key) ? Selector(set_leaf(Op::not_in, key, std::move(values))) : Selector();
}

Selector Selector::has(std::string_view key) {
    return is_key(key) ? Selector(leaf(Op::has, key, {})) : Selector(never());
}

Selector Selector::negate(const Selector& selector) { return Selector(negated(selector.program_->nodes)); }

Selector Selector::conjunction(const std::vector<Selector>& operands) {
    std::vector<std::vector<SelectorNode>> parts;
    for (const Selector& operand : operands) {
        if (!operand.is_all()) {
            parts.push_back(operand.program_->nodes);
        }
    }
    return parts.empty() ? Selector() : Selector(joined(Op::logical_and, std::move(parts)));
}

Selector Selector::with_key_prefix(std::string_view prefix) const {
    std::vector<SelectorNode> nodes = program_->nodes;
    for (SelectorNode& node : nodes) {
        if (!node.key.empty()) {
            node.key.insert(0, prefix);
        }
    }
    return Selector(std::move(nodes));
}

Selector Selector::with_all_as_has(std::string_view label) const {
    std::vector<SelectorNode> nodes = program_->nodes;
    for (SelectorNode& node : nodes) {
        if (node.op == Op::all) {
            node = SelectorNode{Op::has, std::string(label), {}, 1};
        }
    }
    return Selector(std::move(nodes));
}

bool Selector::matches(LabelLookup labels) const { return evaluate(program_->nodes, labels); }

const std::string& Selector::to_string() const noexcept { return program_->text; }

bool Selector::is_all() const noexcept { return program_->nodes.front().op == Op::all; }

bool Selector::is_global() const noexcept { return program_->nodes.front().op == Op::global; }

std::vector<std::string> Selector::keys() const {
    std::set<std::string> keys;
    for (const SelectorNode& node : program_->nodes) {
        if (!node.key.empty()) {
            keys.insert(node.key);
        }
    }
    return {keys.begin(), keys.end()};
}

std::vector<RequiredLabel> Selector::required_labels() const {
    std::vector<RequiredLabel> out;
    for (auto& [key, values] : required(program_->nodes)) {
        out.push_back({key, values});
    }
    return out;
}

}  // namespace manul::model
