#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"

/// Sets of fields of a document, as server-side apply owns them (Kubernetes' structured-merge-diff, "fieldsV1"). Maps
/// are owned key by key, the lists of merge_keys.hpp item by item, every other value as a whole.
namespace manul::codec {

/// A tree of path elements: `f:name` a field, `k:{"port":80}` the item with these keys, `v:"x"` the item that is this
/// value.
struct FieldSet {
    bool member = false;  ///< the place itself is in the set: a whole value, an empty map, or the presence of an item
    std::map<std::string, FieldSet> children;

    [[nodiscard]] bool empty() const noexcept { return !member && children.empty(); }
    [[nodiscard]] const FieldSet* find(const std::string& element) const;
    void add(const FieldSet& other);
    void remove(const FieldSet& other);
    [[nodiscard]] FieldSet common(const FieldSet& other) const;
    bool operator==(const FieldSet& other) const = default;

    /// What a fieldsV1 value says; what cannot be understood is left out.
    [[nodiscard]] static FieldSet parse(const Tree& fields);
    [[nodiscard]] Tree to_tree() const;
    /// Its members as people read them: `.spec.ports[port=80,protocol="TCP"].name`.
    [[nodiscard]] std::vector<std::string> paths() const;
};

/// Whether the kind is a custom one, as Kubernetes sees it: all that are not its own.
[[nodiscard]] inline bool is_custom(model::Kind kind) noexcept {
    const std::string_view group = model::info(kind).group;
    return group == "projectcalico.org" || group == "manul.io" || group == "policy.networking.k8s.io";
}

/// How documents of a kind are taken apart.
class FieldRules {
public:
    /// Kubernetes' own kinds have lists that are merged; of custom kinds only metadata has.
    explicit FieldRules(model::Kind kind) : is_custom_(is_custom(kind)) {}

    /// Every field that can be owned: not those by which an object is known, nor those that the server sets.
    [[nodiscard]] FieldSet fields_of(const Tree& document) const;
    /// The fields of `after` that are not in `before` with the same value.
    [[nodiscard]] FieldSet changed(const Tree& before, const Tree& after) const;
    /// Drops from the set what the document does not have.
    void keep_existing(FieldSet& set, const Tree& document) const;
    /// Puts every field of `config` into the document.
    void merge(Tree& document, const Tree& config) const;
    /// Removes what is in `before` from the document, unless something of it is in `kept`; maps that this empties, too.
    void prune(Tree& document, const FieldSet& before, const FieldSet& kept) const;

private:
    /// A field of a map, or an item of a list that is merged.
    struct Part {
        std::string element;
        std::string path;
        std::size_t index;  ///< of the node's children
        bool is_item;
    };
    class PartsByElement;
    /// Nothing: the value is owned as a whole.
    [[nodiscard]] std::optional<std::vector<Part>> parts_of(const Tree& value, const std::string& path) const;
    void collect(FieldSet& out, const Tree& value, const std::string& path) const;
    void compare(FieldSet& out, const Tree* before, const Tree& after, const std::string& path) const;
    void keep_existing(FieldSet& set, const Tree& value, const std::string& path) const;
    void merge(Tree& target, const Tree& config, const std::string& path) const;
    void prune(Tree& node, const FieldSet& before, const FieldSet& kept, const std::string& path) const;

    bool is_custom_;
};

}  // namespace manul::codec
