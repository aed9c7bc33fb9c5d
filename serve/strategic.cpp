#include <algorithm>
#include <cstddef>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/codec/merge_keys.hpp"
#include "config/codec/tree.hpp"
#include "serve/patch.hpp"

// Kubernetes' strategic merge patch (sigs.k8s.io, "Strategic Merge Patch in API conventions").

namespace manul::serve {

using codec::Tree;

namespace {

constexpr std::string_view kDirective = "$patch";
constexpr std::string_view kRetain = "$retainKeys";
constexpr std::string_view kOrder = "$setElementOrder/";
constexpr std::string_view kDelete = "$deleteFromPrimitiveList/";

Problem bad(const std::string& why) { return bad_request("the strategic merge patch cannot be applied: " + why); }

bool same_key(const Tree& a, const Tree& b, std::string_view key) {
    if (key.empty()) {
        return a.same_value(b);
    }
    const Tree* first = a.find(key);
    const Tree* second = b.find(key);
    return first != nullptr && second != nullptr && first->same_value(*second);
}

Outcome<void> merge_map(Tree& target, const Tree& patch, const std::string& path);

/// A value that was not there: directives mean nothing in it and are left out.
Tree without_directives(const Tree& value) {
    Tree out = value;
    std::erase_if(out.children, [](const Tree& child) {
        return child.key.starts_with('$') ||
               (child.is_map() && child.find(kDirective) != nullptr && child.text_at(kDirective) == "delete");
    });
    for (Tree& child : out.children) {
        child = without_directives(child);
    }
    std::erase_if(out.children, [&](const Tree& child) { return out.is_map() && child.type == Tree::Type::null; });
    return out;
}

Outcome<void> merge_list(Tree& target, const Tree& patch, const codec::MergeKey& by, const std::string& path) {
    const bool replaces = std::ranges::any_of(patch.children, [](const Tree& item) {
        return item.is_map() && item.text_at(kDirective) == "replace" && item.children.size() == 1;
    });
    if (replaces || !target.is_list()) {
        target.assign(Tree{.type = Tree::Type::list});
    }
    for (const Tree& item : patch.children) {
        const std::string directive(item.is_map() ? item.text_at(kDirective) : std::string_view{});
        if (directive == "replace" && item.children.size() == 1) {
            continue;
        }
        if (!by.key.empty() && (!item.is_map() || item.find(by.key) == nullptr)) {
            return std::unexpected(bad(path + ": an item has no " + std::string(by.key)));
        }
        const auto found = std::ranges::find_if(target.children,
                                                [&](const Tree& existing) { return same_key(existing, item, by.key); });
        if (directive == "delete") {
            if (found != target.children.end()) {
                target.children.erase(found);
            }
        } else if (found == target.children.end()) {
            target.children.push_back(without_directives(item));
        } else if (item.is_map()) {
            MANUL_CHECK(merge_map(*found, item, path));
        }
    }
    return {};
}

/// Items that `order` names come first and in its order, the others keep theirs behind them.
void set_order(Tree& list, const Tree& order, std::string_view key) {
    std::vector<Tree> named;
    for (const Tree& wanted : order.children) {
        const auto found =
            std::ranges::find_if(list.children, [&](const Tree& item) { return same_key(item, wanted, key); });
        if (found != list.children.end()) {
            named.push_back(std::move(*found));
            list.children.erase(found);
        }
    }
    named.insert(named.end(), std::make_move_iterator(list.children.begin()),
                 std::make_move_iterator(list.children.end()));
    list.children = std::move(named);
}

std::string below(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + "." + std::string(name);
}

/// `$retainKeys`: what it does not name goes.
void retain_keys(Tree& target, const Tree& patch) {
    if (const Tree* retained = patch.find(kRetain)) {
        std::erase_if(target.children, [&](const Tree& child) {
            return std::ranges::none_of(retained->children, [&](const Tree& name) { return name.text == child.key; });
        });
    }
}

/// `$deleteFromPrimitiveList/NAME`: the values that it names go.
void delete_values(Tree& target, const Tree& values) {
    Tree* list = target.find(std::string_view(values.key).substr(kDelete.size()));
    if (list != nullptr && values.is_list()) {
        std::erase_if(list->children, [&](const Tree& item) {
            return std::ranges::any_of(values.children, [&](const Tree& gone) { return gone.same_value(item); });
        });
    }
}

/// `$setElementOrder/NAME`, when everything else is done.
void set_orders(Tree& target, const Tree& patch, const std::string& path) {
    for (const Tree& change : patch.children) {
        if (!change.key.starts_with(kOrder) || !change.is_list()) {
            continue;
        }
        const std::string_view name = std::string_view(change.key).substr(kOrder.size());
        const codec::MergeKey* by = codec::merge_key(below(path, name));
        Tree* list = target.find(name);
        if (by != nullptr && list != nullptr && list->is_list()) {
            set_order(*list, change, by->key);
        }
    }
}

Outcome<void> merge_field(Tree& target, const Tree& change, const std::string& path) {
    const std::string_view name = change.key;
    if (change.type == Tree::Type::null || (change.is_map() && change.text_at(kDirective) == "delete")) {
        target.erase(name);
        return {};
    }
    if (change.is_map()) {
        return merge_map(target.make(name), change, path);
    }
    if (const codec::MergeKey* by = codec::merge_key(path); change.is_list() && by != nullptr) {
        return merge_list(target.make(name), change, *by, path);
    }
    target.make(name).assign(change);
    return {};
}

Outcome<void> merge_map(Tree& target, const Tree& patch, const std::string& path) {
    const std::string_view directive = patch.text_at(kDirective);
    if (directive == "replace" || !target.is_map()) {
        target.assign(Tree{.type = Tree::Type::map});
    } else if (directive == "delete") {
        target.assign(Tree{.type = Tree::Type::map});
        return {};
    } else if (!directive.empty() && directive != "merge") {
        return std::unexpected(bad("unknown directive $patch: " + std::string(directive)));
    }
    retain_keys(target, patch);
    for (const Tree& change : patch.children) {
        if (change.key.starts_with(kDelete)) {
            delete_values(target, change);
        } else if (!change.key.starts_with('$')) {
            MANUL_CHECK(merge_field(target, change, below(path, change.key)));
        }
    }
    set_orders(target, patch, path);
    return {};
}

}  // namespace

Outcome<void> strategic_merge_patch(Tree& document, const Tree& patch) {
    if (!patch.is_map()) {
        return std::unexpected(bad("expected an object"));
    }
    return merge_map(document, patch, "");
}

}  // namespace manul::serve
