#include "serve/patch.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/codec/tree.hpp"

namespace manul::serve {

using codec::Tree;

namespace {

/// A patch may not make a document of any size out of nothing (copy, copy, copy).
constexpr std::size_t kMostOperations = 10'000;
constexpr std::size_t kMostNodes = 1'000'000;

std::size_t count_nodes(const Tree& tree) {
    std::size_t count = 1;
    for (const Tree& child : tree.children) {
        count += count_nodes(child);
    }
    return count;
}

/// No JSON patch at all.
Problem bad_patch(const std::string& why) { return bad_request("the JSON patch cannot be applied: " + why); }

/// A patch that does not fit the document.
Problem unfit_patch(const std::string& why) {
    const std::string text = "the JSON patch cannot be applied: " + why;
    // Clients that read causes show nothing else.
    return {.code = 422, .reason = "Invalid", .message = text, .causes = {{"FieldValueInvalid", text, "patch"}}};
}

/// RFC 6901.
std::optional<std::vector<std::string>> pointer(std::string_view text) {
    std::vector<std::string> out;
    if (!text.empty() && text.front() != '/') {
        return std::nullopt;
    }
    while (!text.empty()) {
        text.remove_prefix(1);
        const std::size_t end = std::min(text.find('/'), text.size());
        std::string token;
        for (std::size_t i = 0; i < end; ++i) {
            if (text[i] != '~') {
                token += text[i];
                continue;
            }
            if (++i >= end || (text[i] != '0' && text[i] != '1')) {
                return std::nullopt;
            }
            token += text[i] == '0' ? '~' : '/';
        }
        out.push_back(std::move(token));
        text.remove_prefix(end);
    }
    return out;
}

/// The index that a token means in a list of `size` items; `-` only where something may be added at the end.
std::optional<std::size_t> index_of(std::string_view token, std::size_t size, bool adding) {
    if (token == "-") {
        return adding ? std::optional(size) : std::nullopt;
    }
    std::size_t index = 0;
    const auto [end, failed] = std::from_chars(token.data(), token.data() + token.size(), index);
    const bool plain =
        failed == std::errc{} && end == token.data() + token.size() && (token.size() == 1 || token.front() != '0');
    return plain && index < size + (adding ? 1 : 0) ? std::optional(index) : std::nullopt;
}

Tree* child_of(Tree& parent, const std::string& token) {
    if (parent.is_list()) {
        const auto index = index_of(token, parent.children.size(), false);
        return index ? &parent.children[*index] : nullptr;
    }
    return parent.find(token);
}

Tree* find(Tree& document, const std::vector<std::string>& path, std::size_t depth) {
    Tree* node = &document;
    for (std::size_t i = 0; i < depth && node != nullptr; ++i) {
        node = child_of(*node, path[i]);
    }
    return node;
}

class JsonPatch {
public:
    explicit JsonPatch(Tree& document) : document_(document) {}

    Outcome<void> apply(const Tree& operation) {
        if (!operation.is_map()) {
            return std::unexpected(bad_patch("an operation is no object"));
        }
        const std::string op(operation.text_at("op"));
        const Tree* target = operation.find("path");
        const auto path = target != nullptr && target->type == Tree::Type::text ? pointer(target->text) : std::nullopt;
        if (!path) {
            return std::unexpected(bad_patch("an operation has no path, or one that does not begin with /"));
        }
        where_ = op + " " + target->text;
        if (op == "remove") {
            MANUL_CHECK(take(*path));
            return {};
        }
        if (op == "move" || op == "copy") {
            const auto from = pointer(operation.text_at("from"));
            if (!from || operation.find("from") == nullptr) {
                return std::unexpected(missing("its source"));
            }
            const bool into_itself =
                from->size() < path->size() && std::equal(from->begin(), from->end(), path->begin());
            if (op == "move" && into_itself) {
                return std::unexpected(missing("a place outside of what it moves"));
            }
            if (op == "move") {
                MANUL_TRY(Tree value, take(*from));
                return add(*path, std::move(value));
            }
            const Tree* source = find(document_, *from, from->size());
            if (source == nullptr) {
                return std::unexpected(missing("its source"));
            }
            return add(*path, Tree(*source));
        }
        const Tree* value = operation.find("value");
        if (value == nullptr || (op != "add" && op != "replace" && op != "test")) {
            return std::unexpected(missing(value == nullptr ? "a value" : "an operation that is known"));
        }
        if (op == "add") {
            return add(*path, Tree(*value));
        }
        Tree* found = find(document_, *path, path->size());
        if (op == "test") {
            if (found == nullptr || !found->same_value(*value)) {
                return std::unexpected(unfit_patch(where_ + " does not hold"));
            }
            return {};
        }
        if (found == nullptr) {
            return std::unexpected(missing("something to replace"));
        }
        found->assign(*value);
        return {};
    }

private:
    Problem missing(const std::string& what) const { return unfit_patch(where_ + ": it lacks " + what); }

    Outcome<Tree> take(const std::vector<std::string>& path) {
        Tree* parent = path.empty() ? nullptr : find(document_, path, path.size() - 1);
        Tree* found = parent == nullptr ? nullptr : child_of(*parent, path.back());
        if (found == nullptr) {
            return std::unexpected(missing("something at its path"));
        }
        Tree value = std::move(*found);
        parent->children.erase(parent->children.begin() + (found - parent->children.data()));
        return value;
    }

    Outcome<void> add(const std::vector<std::string>& path, Tree value) {
        if (path.empty()) {
            document_.assign(std::move(value));
            return {};
        }
        Tree* parent = find(document_, path, path.size() - 1);
        if (parent != nullptr && parent->is_map()) {
            parent->make(path.back()).assign(std::move(value));
            return {};
        }
        const auto index = parent != nullptr && parent->is_list() ? index_of(path.back(), parent->children.size(), true)
                                                                  : std::nullopt;
        if (!index) {
            return std::unexpected(missing("a place to add to"));
        }
        value.key.clear();
        parent->children.insert(parent->children.begin() + static_cast<std::ptrdiff_t>(*index), std::move(value));
        return {};
    }

    Tree& document_;
    std::string where_;
};

}  // namespace

void merge_patch(Tree& document, const Tree& patch) {
    if (!patch.is_map()) {
        document.assign(patch);
        return;
    }
    if (!document.is_map()) {
        document.assign(Tree{.type = Tree::Type::map});
    }
    for (const Tree& change : patch.children) {
        if (change.type == Tree::Type::null) {
            document.erase(change.key);
        } else {
            merge_patch(document.make(change.key), change);
        }
    }
}

Outcome<void> json_patch(Tree& document, const Tree& patch) {
    if (!patch.is_list() || patch.children.size() > kMostOperations) {
        return std::unexpected(bad_patch("expected a list of at most 10000 operations"));
    }
    Tree changed = document;
    std::size_t nodes = count_nodes(changed);
    JsonPatch patcher(changed);
    for (const Tree& operation : patch.children) {
        MANUL_CHECK(patcher.apply(operation));
        if (operation.text_at("op") == "copy") {
            nodes = count_nodes(changed);
        }
        if (nodes > kMostNodes) {
            return std::unexpected(unfit_patch("the document would become too large"));
        }
    }
    document = std::move(changed);
    return {};
}

}  // namespace manul::serve
