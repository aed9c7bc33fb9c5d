#include "config/codec/json.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/document.hpp"
#include "config/codec/schema.hpp"
#include "config/codec/tree.hpp"
#include "config/model/finding.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "config/model/tables.hpp"
#include "config/model/validate.hpp"

namespace manul::codec {

namespace {

using model::Finding;
using model::Findings;
using model::Kind;
using model::KindTable;
using model::Resource;

void check_header(Kind kind, const Tree& document, Findings& findings) {
    const auto expect = [&](std::string_view key, const std::string& wanted) {
        const Tree* node = document.find(key);
        if (node == nullptr || node->type != Tree::Type::text || node->text != wanted) {
            findings.push_back(
                {.path = std::string(key),
                 .message = "expected \"" + wanted + "\", found " + (node == nullptr ? "nothing" : describe(*node)),
                 .line = (node == nullptr ? document : *node).line});
        }
    };
    expect("apiVersion", model::api_version(kind));
    expect("kind", std::string(model::info(kind).name));
}

/// Metadata that the store writes, and which therefore is no content.
constexpr std::array<std::string_view, 4> kStoredFields{"resourceVersion", "uid", "generation", "creationTimestamp"};

Result<Tree> parse_document(std::string_view document) {
    MANUL_TRY(Tree tree, parse_json(document));
    if (!tree.is_map()) {
        return fail("expected a JSON object");
    }
    return tree;
}

}  // namespace

Decoded decode_tree(Kind kind, const Tree& document, Mode mode) {
    Decoded out;
    if (!document.is_map()) {
        out.findings.push_back({.message = "expected an object, found " + describe(document), .line = document.line});
        return out;
    }
    const KindTable& table = model::table(kind);
    const std::shared_ptr<Resource> resource = table.make();
    check_header(kind, document, out.findings);
    const Tree no_metadata{.type = Tree::Type::map, .line = document.line};
    const Tree* metadata = document.find("metadata");
    decode_object(model::metadata_table(), &resource->metadata, metadata == nullptr ? no_metadata : *metadata,
                  "metadata", mode, out.findings);
    decode_object(*table.object, table.self(*resource), document, "", mode, out.findings,
                  {"apiVersion", "kind", "metadata"});
    out.resource = resource;
    return out;
}

void apply_difference(Tree& document, const Tree& before, const Tree& after) {
    if (before.same_value(after)) {
        return;
    }
    const bool maps = document.is_map() && after.is_map();
    const bool lists = document.is_list() && before.is_list() && after.is_list() &&
                       document.children.size() == after.children.size() &&
                       before.children.size() == after.children.size();
    if (lists) {
        for (std::size_t i = 0; i < after.children.size(); ++i) {
            apply_difference(document.children[i], before.children[i], after.children[i]);
        }
        return;
    }
    if (!maps) {
        document.assign(after);
        return;
    }
    static const Tree nothing{};
    for (const Tree& old_child : before.children) {
        if (after.find(old_child.key) == nullptr) {
            document.erase(old_child.key);
        }
    }
    for (const Tree& new_child : after.children) {
        const Tree* old_child = before.find(new_child.key);
        if (old_child == nullptr || !old_child->same_value(new_child)) {
            apply_difference(document.make(new_child.key), old_child == nullptr ? nothing : *old_child, new_child);
        }
    }
}

Decoded decode(Kind kind, std::string_view document, Mode mode) {
    const auto tree = parse_json(document);
    if (!tree) {
        return {nullptr, {{.message = "not a JSON document: " + tree.error().message}}};
    }
    Decoded out = decode_tree(kind, *tree, mode);
    for (Finding& finding : out.findings) {
        finding.line = 0;  // stored documents are one line
    }
    return out;
}

Findings validate_decoded(const model::Resource& resource, const Findings& decoding) {
    Findings findings = model::validate(resource);
    std::erase_if(findings, [&](const Finding& finding) {
        return std::ranges::any_of(decoding, [&](const Finding& other) {
            return other.severity == Finding::Severity::error && !other.path.empty() &&
                   (finding.path == other.path || finding.path.starts_with(other.path + "[") ||
                    finding.path.starts_with(other.path + "."));
        });
    });
    return findings;
}

void add_validation(Decoded& decoded) {
    if (decoded.resource) {
        Findings more = validate_decoded(*decoded.resource, decoded.findings);
        std::ranges::move(more, std::back_inserter(decoded.findings));
    }
}

Decoded decode_and_validate(Kind kind, std::string_view document, Mode mode) {
    Decoded out = decode(kind, document, mode);
    add_validation(out);
    return out;
}

Result<std::string> merge(std::string_view document, const Resource& before, const Resource& after) {
    MANUL_TRY(Tree tree, parse_document(document));
    apply_difference(tree, encode_tree(before), encode_tree(after));
    return to_json(tree);
}

Result<Header> read_header(std::string_view document) {
    MANUL_TRY(const Tree tree, parse_document(document));
    return Header{.api_version = std::string(tree.text_at("apiVersion")),
                  .kind_name = std::string(tree.text_at("kind")),
                  .ns = std::string(tree.text_at("metadata", "namespace")),
                  .name = std::string(tree.text_at("metadata", "name")),
                  .resource_version = std::string(tree.text_at("metadata", "resourceVersion")),
                  .uid = std::string(tree.text_at("metadata", "uid"))};
}

Result<std::string> with_stored_fields(std::string_view document, const StoredFields& fields) {
    MANUL_TRY(Tree tree, parse_document(document));
    Tree& metadata = tree.make("metadata");
    const auto set = [&](std::string_view name, const std::optional<std::string>& value) {
        if (value && value->empty()) {
            metadata.erase(name);
        } else if (value) {
            metadata.make(name).assign(Tree::of_text(*value));
        }
    };
    set("uid", fields.uid);
    set("resourceVersion", fields.resource_version);
    if (fields.generation) {
        metadata.make("generation").assign(Tree::of_number(std::to_string(*fields.generation)));
    }
    set("creationTimestamp", fields.creation_timestamp);
    return to_json(tree);
}

bool same_content(std::string_view a, std::string_view b) {
    auto first = parse_document(a);
    auto second = parse_document(b);
    if (!first || !second) {
        return false;
    }
    for (Tree* tree : {&*first, &*second}) {
        if (Tree* metadata = tree->find("metadata")) {
            std::ranges::for_each(kStoredFields, [&](std::string_view name) { metadata->erase(name); });
        }
    }
    return first->same_value(*second);
}

}  // namespace manul::codec
