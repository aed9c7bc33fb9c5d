#include "config/codec/explain.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/codec/schema.hpp"
#include "config/model/field.hpp"
#include "config/model/kind.hpp"
#include "config/model/names.hpp"
#include "config/model/tables.hpp"

namespace manul::codec {

namespace {

using model::Field;
using model::ObjectInfo;
using model::TypeInfo;
using Shape = TypeInfo::Shape;

std::string join(std::span<const std::string_view> names) {
    std::string out;
    for (const std::string_view name : names) {
        out += (out.empty() ? "" : "|") + (name.empty() ? "\"\"" : std::string(name));
    }
    return out;
}

std::string type_text(const TypeInfo& type, const Field& field) {
    switch (type.shape) {
        case Shape::any:
            return "any";
        case Shape::optional:
            return type_text(*type.element, field);
        case Shape::list:
            return "[]" + type_text(*type.element, field);
        case Shape::map:
            return "map[string]" + type_text(*type.element, field);
        case Shape::object:
            return std::string(type.object->name);
        case Shape::scalar:
            break;
    }
    if (!type.scalar->names.empty()) {
        return join(type.scalar->names);
    }
    if (!field.allowed.empty()) {
        return join(field.allowed);
    }
    return std::string(type.scalar->name);
}

FieldDoc describe_field(const Field& field, std::string path) {
    return {.path = std::move(path),
            .type = type_text(*field.type, field),
            .doc = std::string(field.doc),
            .default_value = std::string(field.default_text),
            .required = field.is_required,
            .manul = field.is_manul,
            .immutable = field.is_immutable,
            .written_on_create = field.is_written_on_create,
            .without_effect = field.is_without_effect};
}

/// The fields of an object and of its base, in order.
std::vector<const Field*> fields_of(const ObjectInfo& object) {
    std::vector<const Field*> out;
    if (object.base != nullptr) {
        out = fields_of(*object.base);
    }
    for (const Field& field : object.fields) {
        out.push_back(&field);
    }
    return out;
}

std::string below(const std::string& path, std::string_view name) {
    return path.empty() ? std::string(name) : path + "." + std::string(name);
}

void list_object(const ObjectInfo& object, const std::string& path, std::vector<FieldDoc>& out) {
    for (const Field* field : fields_of(object)) {
        const std::string field_path = below(path, field->name);
        out.push_back(describe_field(*field, field_path));
        if (const ObjectInfo* inner = object_of(*field->type)) {
            list_object(*inner, field_path, out);
        }
    }
}

const Field& metadata_field() {
    static const Field metadata_row = [] {
        static const TypeInfo metadata_type{.shape = Shape::object, .object = &model::metadata_table()};
        Field field = model::known("metadata", "Name, namespace, labels and what the store keeps.");
        field.type = &metadata_type;
        return field;
    }();
    return metadata_row;
}

/// Fields at the top of a kind: metadata, then its own.
std::vector<const Field*> top_fields(model::Kind kind) {
    std::vector<const Field*> out{&metadata_field()};
    for (const Field& field : model::table(kind).object->fields) {
        out.push_back(&field);
    }
    return out;
}

std::string remarks(const FieldDoc& field) {
    std::string text;
    const auto add = [&](bool is_so, std::string_view remark) {
        if (is_so) {
            text += (text.empty() ? "" : ", ") + std::string(remark);
        }
    };
    add(field.required, "required");
    add(field.immutable, "immutable");
    add(!field.default_value.empty(), "default " + field.default_value);
    add(field.written_on_create, "stored on creation");
    add(field.manul, "Manul's own");
    add(field.without_effect, "without effect");
    return text.empty() ? text : "  (" + text + ")";
}

std::string field_lines(const std::vector<const Field*>& fields) {
    std::string text;
    for (const Field* field : fields) {
        const FieldDoc doc = describe_field(*field, std::string(field->name));
        text += "  " + doc.path + " <" + doc.type + ">" + remarks(doc) + "\n    " + doc.doc + "\n";
    }
    return text;
}

/// What a kind is about: its own text, else that of its spec.
std::string_view kind_doc(model::Kind kind) {
    const ObjectInfo& top = *model::table(kind).object;
    if (!top.doc.empty()) {
        return top.doc;
    }
    const Field& first = top.fields.front();
    const ObjectInfo* spec = object_of(*first.type);
    return spec == nullptr ? "" : spec->doc;
}

Result<const Field*> find_field(const std::vector<const Field*>& fields, std::string_view name,
                                const std::string& where) {
    const auto found = std::ranges::find(fields, name, &Field::name);
    if (found != fields.end()) {
        return *found;
    }
    std::vector<std::string_view> names;
    for (const Field* field : fields) {
        names.push_back(field->name);
    }
    const auto close = model::closest(name, names);
    return fail("there is no field \"" + std::string(name) + "\" in " + where +
                (close ? ", did you mean \"" + std::string(*close) + "\"?" : ""));
}

}  // namespace

Result<std::string> explain(model::Kind kind, std::string_view path) {
    const model::KindInfo& info = model::info(kind);
    std::string text = "KIND:     " + std::string(info.name) + "\nVERSION:  " + model::api_version(kind) + "\n";
    std::vector<const Field*> fields = top_fields(kind);
    if (path.empty()) {
        text += "\nDESCRIPTION:\n  " + std::string(kind_doc(kind)) + "\n";
        return text + "\nFIELDS:\n" + field_lines(fields);
    }
    const Field* field = nullptr;
    std::string where(info.name);
    for (std::string_view rest = path; !rest.empty() || field == nullptr;) {
        const std::size_t dot = rest.find('.');
        std::string_view name = rest.substr(0, dot);
        name = name.substr(0, name.find('['));  // a path copied from a message has indexes
        MANUL_TRY(field, find_field(fields, name, where));
        where = std::string(name);
        const ObjectInfo* inner = object_of(*field->type);
        fields = inner == nullptr ? std::vector<const Field*>{} : fields_of(*inner);
        rest = dot == std::string_view::npos ? std::string_view() : rest.substr(dot + 1);
    }
    const FieldDoc doc = describe_field(*field, std::string(path));
    text += "FIELD:    " + doc.path + " <" + doc.type + ">" + remarks(doc) + "\n\nDESCRIPTION:\n  " + doc.doc + "\n";
    if (fields.empty()) {
        return text;
    }
    return text + "\nFIELDS:\n" + field_lines(fields);
}

std::vector<FieldDoc> list_fields(model::Kind kind) {
    std::vector<FieldDoc> out;
    for (const Field* field : top_fields(kind)) {
        out.push_back(describe_field(*field, std::string(field->name)));
        if (const ObjectInfo* inner = object_of(*field->type)) {
            list_object(*inner, std::string(field->name), out);
        }
    }
    return out;
}

}  // namespace manul::codec
