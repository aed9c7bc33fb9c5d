#include "serve/schema.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "config/model/field.hpp"
#include "config/model/kind.hpp"
#include "config/model/scalar.hpp"
#include "config/model/tables.hpp"

namespace manul::serve {

namespace json = boost::json;
using model::Field;
using model::ObjectInfo;
using model::TypeInfo;
using Shape = TypeInfo::Shape;

namespace {

/// Scalars that documents write as a number or as a text.
constexpr std::array<std::string_view, 5> kNumberOrText{"ASN", "protocol", "ports", "port", "DSCP"};
constexpr std::int64_t kNoMinimum = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kNoMaximum = std::numeric_limits<std::int64_t>::max();

json::array texts(std::span<const std::string_view> names) {
    json::array out;
    for (const std::string_view name : names) {
        out.push_back(json::string(name));
    }
    return out;
}

void describe_integer(const model::ScalarInfo& info, const Field& field, json::object& out) {
    const bool wide = info.max > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max());
    out["type"] = "integer";
    out["format"] = wide ? "int64" : "int32";
    if (field.min != kNoMinimum || info.min >= 0) {
        out["minimum"] = std::max(field.min, info.min);
    }
    if (field.max != kNoMaximum) {
        out["maximum"] = field.max;
    }
}

void describe_scalar(const model::ScalarInfo& info, const Field& field, json::object& out) {
    if (info.name == "boolean" || info.name == "number") {
        out["type"] = info.name;
        return;
    }
    if (info.max != 0) {
        return describe_integer(info, field, out);
    }
    if (std::ranges::find(kNumberOrText, info.name) != kNumberOrText.end()) {
        out["x-kubernetes-int-or-string"] = true;
        return;
    }
    if (info.name == "integer") {  // an IP version
        out["type"] = "integer";
        return;
    }
    out["type"] = "string";
    const std::span<const std::string_view> names = info.names.empty() ? field.allowed : info.names;
    const bool any_case = info.names.empty() ? field.any_letter_case : info.any_letter_case;
    if (!names.empty() && !any_case) {
        out["enum"] = texts(names);
    }
    if (field.max_length != 0) {
        out["maxLength"] = field.max_length;
    }
}

json::object describe_object(const ObjectInfo& object);

json::object describe_type(const TypeInfo& type, const Field& field) {
    json::object out;
    switch (type.shape) {
        case Shape::any:
            out["x-kubernetes-preserve-unknown-fields"] = true;
            break;
        case Shape::optional:
            return describe_type(*type.element, field);
        case Shape::list:
            out["type"] = "array";
            out["items"] = describe_type(*type.element, field);
            if (field.max_items != 0) {
                out["maxItems"] = field.max_items;
            }
            break;
        case Shape::map:
            out["type"] = "object";
            out["additionalProperties"] = describe_type(*type.element, field);
            break;
        case Shape::object:
            return describe_object(*type.object);
        case Shape::scalar:
            describe_scalar(*type.scalar, field, out);
            break;
    }
    return out;
}

std::string description_of(const Field& field) {
    std::string text(field.doc);
    if (!field.default_text.empty()) {
        text += " Default: " + std::string(field.default_text) + ".";
    }
    if (field.is_immutable) {
        text += " It cannot be changed.";
    }
    if (field.is_manul) {
        text += " Manul's own; not in Calico.";
    }
    if (field.is_without_effect) {
        text += " Accepted without effect.";
    }
    return text;
}

void add_fields(const ObjectInfo& object, json::object& properties, json::array& required) {
    if (object.base != nullptr) {
        add_fields(*object.base, properties, required);
    }
    for (const Field& field : object.fields) {
        json::object schema = describe_type(*field.type, field);
        schema["description"] = description_of(field);
        if (field.is_required) {
            required.push_back(json::string(field.name));
        }
        properties[field.name] = std::move(schema);
    }
}

json::object describe_object(const ObjectInfo& object) {
    json::object properties;
    json::array required;
    add_fields(object, properties, required);
    json::object out{{"type", "object"}};
    if (!object.doc.empty()) {
        out["description"] = object.doc;
    }
    out["properties"] = std::move(properties);
    if (!required.empty()) {
        out["required"] = std::move(required);
    }
    if (object.is_open) {
        out["x-kubernetes-preserve-unknown-fields"] = true;
    }
    return out;
}

/// "io.projectcalico" of "projectcalico.org"
std::string reversed(std::string_view group) {
    if (group.empty()) {
        return "io.k8s.api.core";
    }
    std::string out;
    while (!group.empty()) {
        const std::size_t dot = group.rfind('.');
        const bool last = dot == std::string_view::npos;
        out += (out.empty() ? "" : ".") + std::string(last ? group : group.substr(dot + 1));
        group = last ? std::string_view{} : group.substr(0, dot);
    }
    return out;
}

/// What the kind is, when its table of top fields does not say.
std::string kind_description(const ObjectInfo& top) {
    if (!top.doc.empty()) {
        return std::string(top.doc);
    }
    for (const Field& field : top.fields) {
        const TypeInfo* type = field.type;
        while (type->element != nullptr) {
            type = type->element;
        }
        if (field.name == "spec" && type->object != nullptr) {
            return std::string(type->object->doc);
        }
    }
    return {};
}

}  // namespace

std::string schema_name(model::Kind kind) {
    const model::KindInfo& info = model::info(kind);
    return reversed(info.group) + "." + std::string(info.version) + "." + std::string(info.name);
}

json::object group_version_kind(model::Kind kind) {
    const model::KindInfo& info = model::info(kind);
    return {{"group", info.group}, {"version", info.version}, {"kind", info.name}};
}

json::object kind_schema(model::Kind kind, const std::string& metadata_reference) {
    const ObjectInfo& top = *model::table(kind).object;
    json::object described = describe_object(top);
    json::object properties{{"apiVersion", {{"type", "string"}, {"description", "Group and version of the kind."}}},
                            {"kind", {{"type", "string"}, {"description", "The kind of object."}}},
                            {"metadata", {{"$ref", metadata_reference}, {"description", "What every object has."}}}};
    for (const auto& property : described["properties"].as_object()) {
        properties[property.key()] = property.value();
    }
    if (model::info(kind).group.empty() && !properties.contains("spec")) {
        properties["immutable"] = json::object{{"type", "boolean"}, {"description", "Kept as it is."}};
    }
    described["properties"] = std::move(properties);
    described["description"] = kind_description(top);
    described["x-kubernetes-group-version-kind"] = json::array{group_version_kind(kind)};
    return described;
}

json::object metadata_schema() {
    json::object out = describe_object(model::metadata_table());
    out.erase("required");  // generateName may stand in for the name
    return out;
}

}  // namespace manul::serve
