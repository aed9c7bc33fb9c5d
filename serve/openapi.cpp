#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/model/kind.hpp"
#include "serve/documents.hpp"
#include "serve/protobuf.hpp"
#include "serve/schema.hpp"

// OpenAPI documents. What clients use of them: the schemas (explain, and validation by older clients), and the patch
// operation of each kind, whose parameters tell them that the server itself validates and can do dry runs.

namespace manul::serve {

namespace json = boost::json;

namespace {

std::string object_path(const model::KindInfo& info) {
    return (info.group.empty() ? "/api/" + std::string(info.version)
                               : "/apis/" + std::string(info.group) + "/" + std::string(info.version)) +
           (info.namespaced ? "/namespaces/{namespace}/" : "/") + std::string(info.plural) + "/{name}";
}

json::array patch_parameters() {
    json::array out;
    for (const char* name : {"dryRun", "fieldManager", "fieldValidation", "force"}) {
        out.push_back(
            json::object{{"name", name},
                         {"in", "query"},
                         {"schema", json::object{{"type", std::string_view(name) == "force" ? "boolean" : "string"}}}});
    }
    return out;
}

/// openapi.v2's messages; the numbers are those of its .proto file.
class V2Writer {
public:
    static std::string document() {
        ProtoWriter info;
        info.text(1, "Manul");
        info.text(2, "v" MANUL_VERSION);
        ProtoWriter paths;
        ProtoWriter definitions;
        for (const model::KindInfo& kind : model::all_kinds()) {
            paths.message(2, named(object_path(kind), path_item(kind.kind)));
            definitions.message(
                1, named(schema_name(kind.kind),
                         schema(kind_schema(kind.kind, "#/definitions/" + std::string(kMetadataSchema)), true)));
        }
        definitions.message(1, named(kMetadataSchema, schema(metadata_schema(), true)));
        ProtoWriter out;
        out.text(1, "2.0");
        out.message(2, info);
        out.message(8, paths);
        out.message(9, definitions);
        return std::move(out).bytes();
    }

private:
    static ProtoWriter named(std::string_view name, const ProtoWriter& value) {
        ProtoWriter out;
        out.text(1, name);
        out.message(2, value);
        return out;
    }

    static ProtoWriter any(const json::value& value) {
        ProtoWriter out;
        out.text(2, json::serialize(value));  // `yaml`, of which JSON is a part
        return out;
    }

    static ProtoWriter path_item(model::Kind kind) {
        ProtoWriter operation;
        for (const char* name : {"dryRun", "fieldManager", "fieldValidation", "force"}) {
            ProtoWriter query;
            query.text(2, "query");
            query.text(4, name);
            query.text(6, std::string_view(name) == "force" ? "boolean" : "string");
            ProtoWriter non_body;
            non_body.message(3, query);
            ProtoWriter parameter;
            parameter.message(2, non_body);
            ProtoWriter item;
            item.message(1, parameter);
            operation.message(8, item);
        }
        operation.message(9, ProtoWriter());
        operation.message(13, named("x-kubernetes-group-version-kind", any(group_version_kind(kind))));
        ProtoWriter out;
        out.message(8, operation);
        return out;
    }

    /// Older clients refuse what an object's properties do not name, so objects that are open have none there.
    static ProtoWriter schema(const json::object& from, bool top) {
        ProtoWriter out;
        const auto copy = [&](std::uint32_t number, const char* key) {
            if (const json::value* value = from.if_contains(key); value != nullptr && value->is_string()) {
                out.text(number, value->get_string());
            }
        };
        copy(1, "$ref");
        copy(3 + 1, "description");
        const bool either = from.contains("x-kubernetes-int-or-string");
        if (either) {
            out.text(2, "int-or-string");
        } else {
            copy(2, "format");
        }
        if (const json::value* required = from.if_contains("required")) {
            for (const json::value& name : required->as_array()) {
                out.text(19, name.as_string());
            }
        }
        if (const json::value* inner = from.if_contains("additionalProperties")) {
            ProtoWriter item;
            item.message(1, schema(inner->as_object(), false));
            out.message(21, item);
        }
        if (const json::value* type = from.if_contains("type"); type != nullptr || either) {
            ProtoWriter item;
            item.text(1, either ? std::string_view("string") : std::string_view(type->as_string()));
            out.message(22, item);
        }
        if (const json::value* items = from.if_contains("items")) {
            ProtoWriter item;
            item.message(1, schema(items->as_object(), false));
            out.message(23, item);
        }
        const bool open = from.contains("x-kubernetes-preserve-unknown-fields");
        if (const json::value* properties = from.if_contains("properties"); properties != nullptr && (top || !open)) {
            ProtoWriter list;
            for (const auto& property : properties->as_object()) {
                list.message(1, named(property.key(), schema(property.value().as_object(), false)));
            }
            out.message(25, list);
        }
        if (const json::value* kinds = from.if_contains("x-kubernetes-group-version-kind")) {
            out.message(31, named("x-kubernetes-group-version-kind", any(*kinds)));
        }
        return out;
    }
};

}  // namespace

std::string openapi_v3(const GroupVersion& version) {
    json::object schemas{{kMetadataSchema, metadata_schema()}};
    json::object paths;
    for (const model::KindInfo& info : model::all_kinds()) {
        if (info.group != version.group || info.version != version.version) {
            continue;
        }
        schemas[schema_name(info.kind)] =
            kind_schema(info.kind, "#/components/schemas/" + std::string(kMetadataSchema));
        paths[object_path(info)] =
            json::object{{"patch", json::object{{"parameters", patch_parameters()},
                                                {"responses", json::object{{"200", {{"description", "OK"}}}}},
                                                {"x-kubernetes-action", "patch"},
                                                {"x-kubernetes-group-version-kind", group_version_kind(info.kind)}}}};
    }
    return json::serialize(json::object{{"openapi", "3.0.0"},
                                        {"info", json::object{{"title", "Manul"}, {"version", "v" MANUL_VERSION}}},
                                        {"paths", std::move(paths)},
                                        {"components", json::object{{"schemas", std::move(schemas)}}}});
}

std::string openapi_v2() { return V2Writer::document(); }

}  // namespace manul::serve
