#include "config/codec/tree.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/ascii.hpp"

namespace manul::codec {

const Tree* Tree::find(std::string_view name) const noexcept {
    if (!is_map()) {
        return nullptr;
    }
    const auto found = std::ranges::find(children, name, &Tree::key);
    return found == children.end() ? nullptr : &*found;
}

Tree* Tree::find(std::string_view name) noexcept { return const_cast<Tree*>(std::as_const(*this).find(name)); }

std::string_view Tree::text_at(std::string_view first, std::string_view second) const noexcept {
    const Tree* node = find(first);
    if (node != nullptr && !second.empty()) {
        node = node->find(second);
    }
    return node != nullptr && node->type == Type::text ? std::string_view(node->text) : std::string_view();
}

Tree& Tree::make(std::string_view name) {
    if (!is_map()) {
        assign(Tree{.type = Type::map});
    }
    if (Tree* found = find(name)) {
        return *found;
    }
    Tree& added = children.emplace_back();
    added.key = name;
    return added;
}

void Tree::erase(std::string_view name) {
    std::erase_if(children, [&](const Tree& child) { return child.key == name; });
}

void Tree::assign(Tree value) {
    type = value.type;
    text = std::move(value.text);
    children = std::move(value.children);
}

Tree Tree::of_text(std::string value) { return {.type = Type::text, .text = std::move(value)}; }

Tree Tree::of_number(std::string value) { return {.type = Type::number, .text = std::move(value)}; }

namespace {

/// 1.50 is 1.5, and 15e-1; whole numbers are compared digit by digit, as long as they are.
bool same_number(std::string_view a, std::string_view b) {
    const auto is_whole = [](std::string_view number) { return number.find_first_of(".eE") == std::string_view::npos; };
    if (a == b || (is_whole(a) && is_whole(b))) {
        return a == b;
    }
    double first = 0;
    double second = 0;
    const auto read = [](std::string_view number, double& out) {
        return std::from_chars(number.data(), number.data() + number.size(), out).ec == std::errc{};
    };
    return read(a, first) && read(b, second) && first == second;
}

}  // namespace

bool Tree::same_value(const Tree& other) const {
    const bool same_text = type == Type::number ? same_number(text, other.text) : text == other.text;
    if (type != other.type || !same_text || children.size() != other.children.size()) {
        return false;
    }
    if (!is_map()) {
        return std::ranges::equal(children, other.children,
                                  [](const Tree& a, const Tree& b) { return a.same_value(b); });
    }
    return std::ranges::all_of(children, [&](const Tree& child) {
        const Tree* twin = other.find(child.key);
        return twin != nullptr && child.same_value(*twin);
    });
}

namespace {

constexpr bool is_word_character(char c) noexcept { return ascii::is_alphanumeric(c) || c == '_' || c == '-'; }

/// Takes the next step of a path; nothing when there is none. `index` is set for "[3]", else `key`.
struct Step {
    std::string key;
    std::size_t index = 0;
    bool is_index = false;
};

bool take_step(std::string_view& path, Step& step) {
    step = {};
    if (path.starts_with('.')) {
        path.remove_prefix(1);
    }
    if (path.starts_with("[\"")) {
        const std::size_t end = path.find("\"]", 2);
        if (end == std::string_view::npos) {
            return false;
        }
        step.key = path.substr(2, end - 2);
        path.remove_prefix(end + 2);
        return true;
    }
    if (path.starts_with('[')) {
        const std::size_t end = path.find(']');
        if (end == std::string_view::npos) {
            return false;
        }
        std::from_chars(path.data() + 1, path.data() + end, step.index);
        step.is_index = true;
        path.remove_prefix(end + 1);
        return true;
    }
    const std::size_t end = std::min(path.find_first_of(".["), path.size());
    step.key = path.substr(0, end);
    path.remove_prefix(end);
    return !step.key.empty();
}

}  // namespace

const Tree& nearest(const Tree& tree, std::string_view path) noexcept {
    const Tree* node = &tree;
    Step step;
    while (!path.empty() && take_step(path, step)) {
        const Tree* next = nullptr;
        if (step.is_index) {
            next = node->is_list() && step.index < node->children.size() ? &node->children[step.index] : nullptr;
        } else {
            next = node->find(step.key);
        }
        if (next == nullptr) {
            break;
        }
        node = next;
    }
    return *node;
}

std::string path_with_key(std::string_view path, std::string_view key) {
    if (key.empty() || !std::ranges::all_of(key, is_word_character)) {
        return std::string(path) + "[\"" + std::string(key) + "\"]";
    }
    return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

}  // namespace manul::codec
