// Defaults that are stored in the document when an object is created, so that a later change of a default does not
// change objects that exist. All others are applied on reading, by the initial values of the structs.

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/document.hpp"
#include "config/codec/schema.hpp"
#include "config/codec/tree.hpp"
#include "config/model/enum_names.hpp"
#include "config/model/field.hpp"
#include "config/model/finding.hpp"
#include "config/model/kind.hpp"
#include "config/model/policy.hpp"
#include "config/model/staged_policy.hpp"
#include "config/model/tables.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"

namespace manul::codec {

namespace {

using model::Kind;

/// `types: []` means the same as no types (clients derive them then), `tier: ""` and `blockSize: 0` the same as none.
void set_if_absent(Tree& spec, std::string_view name, Tree value) {
    const Tree* given = spec.find(name);
    const bool is_empty =
        given != nullptr && given->type == value.type && given->children.empty() &&
        (given->text.empty() || (value.type == Tree::Type::number && name == "blockSize" && given->text == "0"));
    if (given == nullptr || given->type == Tree::Type::null || is_empty) {
        spec.make(name).assign(std::move(value));
    }
}

const model::ObjectInfo& spec_table(Kind kind) { return *model::table(kind).object->fields.front().type->object; }

/// The defaults that the table can name; derived ones follow from other fields.
void set_table_defaults(Tree& spec, const model::ObjectInfo& table) {
    if (table.base != nullptr) {
        set_table_defaults(spec, *table.base);
    }
    for (const model::Field& field : table.fields) {
        if (field.is_written_on_create && field.name != "blockSize" && !field.default_text.empty()) {
            set_if_absent(spec, field.name, default_tree(field));
        }
    }
}

bool is_given(const Tree& spec, std::string_view rules) {
    const Tree* list = spec.find(rules);
    return list != nullptr && !list->children.empty();
}

void set_policy_types(Tree& spec) {
    model::PolicySpec rules;
    rules.ingress.resize(is_given(spec, "ingress") ? 1 : 0);
    rules.egress.resize(is_given(spec, "egress") ? 1 : 0);
    Tree types{.type = Tree::Type::list};
    for (const model::PolicyType type : model::effective_types(rules)) {
        types.children.push_back(Tree::of_text(std::string(model::text_of(type))));
    }
    set_if_absent(spec, "types", std::move(types));
}

bool is_policy(Kind kind) {
    return kind == Kind::network_policy || kind == Kind::global_network_policy || kind == Kind::staged_network_policy ||
           kind == Kind::staged_global_network_policy;
}

/// A staged deletion has no types: it has no rules.
bool has_types(const Tree& spec) {
    return spec.text_at("stagedAction") != model::text_of(model::StagedAction::delete_);
}

void set_tier_label(Tree& document, Tree& spec) {
    set_if_absent(spec, "tier", Tree::of_text(model::kDefaultTier));
    const std::string tier(spec.text_at("tier"));
    document.make("metadata").make("labels").make(model::kLabelTier).assign(Tree::of_text(tier));
}

Result<Tree> parse_object(std::string_view document) {
    MANUL_TRY(Tree tree, parse_json(document));
    if (!tree.is_map()) {
        return fail("expected a JSON object");
    }
    return tree;
}

bool has_creation_defaults(Kind kind) { return kind == Kind::ip_pool || kind == Kind::tier || is_policy(kind); }

void add_creation_defaults(Kind kind, Tree& tree) {
    // Apart from the document, since make() may move its siblings.
    Tree& place = tree.make("spec");
    Tree spec{.type = place.type,
              .key = {},
              .text = std::move(place.text),
              .children = std::move(place.children),
              .line = place.line};
    if (kind == Kind::ip_pool) {
        const bool v6 = spec.text_at("cidr").find(':') != std::string_view::npos;
        set_if_absent(spec, "blockSize", Tree::of_number(v6 ? "122" : "26"));
    }
    if (kind == Kind::tier) {
        if (const auto* built_in = model::built_in_tier(tree.text_at("metadata", "name"))) {
            const auto order = static_cast<std::int64_t>(built_in->order);
            set_if_absent(spec, "order", Tree::of_number(std::to_string(order)));
            set_if_absent(spec, "defaultAction", Tree::of_text(std::string(model::text_of(built_in->default_action))));
        }
    }
    set_table_defaults(spec, spec_table(kind));
    if (is_policy(kind)) {
        if (has_types(spec)) {
            set_policy_types(spec);
        }
        set_tier_label(tree, spec);
    }
    tree.make("spec").assign(std::move(spec));
}

}  // namespace

Result<std::string> with_creation_defaults(Kind kind, std::string_view document) {
    if (!has_creation_defaults(kind)) {
        return std::string(document);
    }
    MANUL_TRY(Tree tree, parse_object(document));
    add_creation_defaults(kind, tree);
    return to_json(tree);
}

Result<Completed> complete_and_validate(Kind kind, std::string_view document) {
    MANUL_TRY(Tree tree, parse_object(document));
    if (has_creation_defaults(kind)) {
        add_creation_defaults(kind, tree);
    }
    Decoded decoded = decode_tree(kind, tree, Mode::strict);
    add_validation(decoded);
    for (model::Finding& finding : decoded.findings) {
        finding.line = 0;  // what is stored is one line
    }
    return Completed{std::move(tree), std::move(decoded)};
}

}  // namespace manul::codec
