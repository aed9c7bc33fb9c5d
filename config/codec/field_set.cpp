#include "config/codec/field_set.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/codec/merge_keys.hpp"
#include "config/codec/tree.hpp"

namespace manul::codec {

namespace {

/// By what an object is known, and what the server sets; nobody owns these.
constexpr auto kUnowned = std::to_array<std::string_view>(
    {"apiVersion", "kind", "metadata.name", "metadata.namespace", "metadata.uid", "metadata.resourceVersion",
     "metadata.generation", "metadata.creationTimestamp", "metadata.managedFields", "metadata.selfLink"});

/// Maps whose keys mean something together only (structType and mapType atomic in Kubernetes' types).
constexpr auto kWholeMaps = std::to_array<std::string_view>(
    {"spec.podSelector", "spec.selector", "spec.subject.namespaces", "spec.subject.pods.namespaceSelector",
     "spec.subject.pods.podSelector", "roleRef"});

bool is_one_of(const auto& names, const std::string& path) { return std::ranges::find(names, path) != names.end(); }

std::string below(const std::string& path, const std::string& name) { return path.empty() ? name : path + "." + name; }

/// Nothing when the item lacks its key.
std::optional<std::string> item_element(const Tree& item, const MergeKey& by) {
    if (by.key.empty()) {
        return item.is_scalar() ? std::optional("v:" + to_json(item)) : std::nullopt;
    }
    const Tree* first = item.is_map() ? item.find(by.key) : nullptr;
    if (first == nullptr || !first->is_scalar()) {
        return std::nullopt;
    }
    std::string keys = "\"" + std::string(by.key) + "\":" + to_json(*first);
    if (!by.second.empty()) {
        const Tree* second = item.find(by.second);
        if (second != nullptr || !by.usual.empty()) {
            keys += ",\"" + std::string(by.second) +
                    "\":" + (second != nullptr ? to_json(*second) : "\"" + std::string(by.usual) + "\"");
        }
    }
    return "k:{" + keys + "}";
}

/// ".name", "[port=80,protocol=\"TCP\"]", "[=\"x\"]".
std::string readable(const std::string& element) {
    const std::string rest = element.substr(2);
    if (element.starts_with("f:")) {
        return "." + rest;
    }
    if (element.starts_with("v:")) {
        return "[=" + rest + "]";
    }
    std::string out;
    if (const auto keys = parse_json(rest)) {
        for (const Tree& key : keys->children) {
            out += (out.empty() ? "" : ",") + key.key + "=" + to_json(Tree{.type = key.type, .text = key.text});
        }
    }
    return "[" + out + "]";
}

void add_paths(const FieldSet& set, const std::string& path, std::vector<std::string>& out) {
    if (set.member) {
        out.push_back(path);
    }
    for (const auto& [element, child] : set.children) {
        add_paths(child, path + readable(element), out);
    }
}

}  // namespace

const FieldSet* FieldSet::find(const std::string& element) const {
    const auto found = children.find(element);
    return found == children.end() ? nullptr : &found->second;
}

void FieldSet::add(const FieldSet& other) {
    member = member || other.member;
    for (const auto& [element, child] : other.children) {
        children[element].add(child);
    }
}

void FieldSet::remove(const FieldSet& other) {
    member = member && !other.member;
    for (const auto& [element, child] : other.children) {
        if (const auto found = children.find(element); found != children.end()) {
            found->second.remove(child);
            if (found->second.empty()) {
                children.erase(found);
            }
        }
    }
}

FieldSet FieldSet::common(const FieldSet& other) const {
    FieldSet out{.member = member && other.member, .children = {}};
    for (const auto& [element, child] : children) {
        if (const FieldSet* theirs = other.find(element)) {
            if (FieldSet both = child.common(*theirs); !both.empty()) {
                out.children[element] = std::move(both);
            }
        }
    }
    return out;
}

FieldSet FieldSet::parse(const Tree& fields) {
    FieldSet out;
    for (const Tree& child : fields.children) {
        if (child.key == ".") {
            out.member = true;
        } else if (child.key.starts_with("f:") || child.key.starts_with("k:") || child.key.starts_with("v:")) {
            FieldSet& inner = out.children[child.key];
            inner = parse(child);
            inner.member = inner.member || child.children.empty();
        }
    }
    return out;
}

Tree FieldSet::to_tree() const {
    Tree out{.type = Tree::Type::map};
    if (member && !children.empty()) {
        out.make(".").assign(Tree{.type = Tree::Type::map});
    }
    for (const auto& [element, child] : children) {
        out.children.push_back(child.to_tree());
        out.children.back().key = element;
    }
    return out;
}

std::vector<std::string> FieldSet::paths() const {
    std::vector<std::string> out;
    add_paths(*this, "", out);
    return out;
}

/// Parts by their elements: objects and lists may have thousands.
class FieldRules::PartsByElement {
public:
    /// `parts` must outlive it.
    explicit PartsByElement(const std::vector<Part>& parts) {
        for (const Part& part : parts) {
            by_element_.emplace(part.element, &part);
        }
    }
    [[nodiscard]] const Part* find(std::string_view element) const {
        const auto found = by_element_.find(element);
        return found == by_element_.end() ? nullptr : found->second;
    }

private:
    std::map<std::string_view, const Part*> by_element_;
};

std::optional<std::vector<FieldRules::Part>> FieldRules::parts_of(const Tree& value, const std::string& path) const {
    std::vector<Part> parts;
    if (value.is_map() && !(!is_custom_ && is_one_of(kWholeMaps, path))) {
        for (std::size_t i = 0; i < value.children.size(); ++i) {
            const std::string& name = value.children[i].key;
            std::string inner = below(path, name);
            if (!is_one_of(kUnowned, inner)) {
                parts.push_back({"f:" + name, std::move(inner), i, false});
            }
        }
        return parts;
    }
    const MergeKey* by = value.is_list() && (!is_custom_ || path.starts_with("metadata.")) ? merge_key(path) : nullptr;
    if (by == nullptr) {
        return std::nullopt;
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; i < value.children.size(); ++i) {
        auto element = item_element(value.children[i], *by);
        if (!element || !seen.insert(*element).second) {
            return std::nullopt;  // validation speaks of it
        }
        parts.push_back({*std::move(element), path, i, true});
    }
    return parts;
}

FieldSet FieldRules::fields_of(const Tree& document) const {
    FieldSet out;
    collect(out, document, "");
    return out;
}

void FieldRules::collect(FieldSet& out, const Tree& value, const std::string& path) const {
    const auto parts = parts_of(value, path);
    if (!parts || value.children.empty()) {
        out.member = true;
        return;
    }
    for (const Part& part : *parts) {
        FieldSet inner;
        inner.member = part.is_item;
        collect(inner, value.children[part.index], part.path);
        if (!inner.empty()) {
            out.children[part.element].add(inner);
        }
    }
}

FieldSet FieldRules::changed(const Tree& before, const Tree& after) const {
    FieldSet out;
    compare(out, &before, after, "");
    return out;
}

void FieldRules::compare(FieldSet& out, const Tree* before, const Tree& after, const std::string& path) const {
    const auto parts = parts_of(after, path);
    const auto old = before == nullptr ? std::nullopt : parts_of(*before, path);
    if (before == nullptr) {
        return collect(out, after, path);
    }
    if (!parts || !old) {
        if (!before->same_value(after)) {
            out.member = true;
            collect(out, after, path);
        }
        return;
    }
    const PartsByElement known(*old);
    for (const Part& part : *parts) {
        const Part* same = known.find(part.element);
        FieldSet inner;
        inner.member = part.is_item && same == nullptr;
        compare(inner, same == nullptr ? nullptr : &before->children[same->index], after.children[part.index],
                part.path);
        if (!inner.empty()) {
            out.children[part.element] = std::move(inner);
        }
    }
}

void FieldRules::keep_existing(FieldSet& set, const Tree& document) const { keep_existing(set, document, ""); }

void FieldRules::keep_existing(FieldSet& set, const Tree& value, const std::string& path) const {
    const std::vector<Part> parts = parts_of(value, path).value_or(std::vector<Part>{});
    const PartsByElement known(parts);
    for (auto child = set.children.begin(); child != set.children.end();) {
        const Part* part = known.find(child->first);
        const bool there = part != nullptr;
        if (there) {
            keep_existing(child->second, value.children[part->index], part->path);
        }
        child = there && !child->second.empty() ? std::next(child) : set.children.erase(child);
    }
}

void FieldRules::merge(Tree& document, const Tree& config) const { merge(document, config, ""); }

void FieldRules::merge(Tree& target, const Tree& config, const std::string& path) const {
    const auto parts = parts_of(config, path);
    const auto present = parts_of(target, path);
    if (!parts || !present) {
        return target.assign(config);
    }
    const PartsByElement known(*present);
    for (const Part& part : *parts) {
        const Tree& value = config.children[part.index];
        if (const Part* same = known.find(part.element)) {  // what is added comes behind: indices stay
            merge(target.children[same->index], value, part.path);
        } else {
            target.children.push_back(value);
        }
    }
}

void FieldRules::prune(Tree& document, const FieldSet& before, const FieldSet& kept) const {
    prune(document, before, kept, "");
}

void FieldRules::prune(Tree& node, const FieldSet& before, const FieldSet& kept, const std::string& path) const {
    const auto parts = parts_of(node, path);
    if (!parts) {
        return;
    }
    const PartsByElement known(*parts);
    std::vector<bool> goes(node.children.size());
    for (const auto& [element, child] : before.children) {
        const Part* part = known.find(element);
        if (part == nullptr) {
            continue;
        }
        Tree& inner = node.children[part->index];
        const FieldSet* still = kept.find(element);
        if (still != nullptr || !child.member) {  // an object's name, say, is nobody's, and stays
            prune(inner, child, still != nullptr ? *still : FieldSet{}, part->path);
        }
        goes[part->index] = still == nullptr && (child.member || inner.children.empty());
    }
    std::vector<Tree> left;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
        if (!goes[i]) {
            left.push_back(std::move(node.children[i]));
        }
    }
    node.children = std::move(left);
}

}  // namespace manul::codec
