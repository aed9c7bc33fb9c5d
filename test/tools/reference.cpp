// Writes docs/reference/resources and docs/reference/openapi-v3.json from the field tables, or with --check says which
// of them is not what the tables say. Usage: reference [--check] DIRECTORY (docs/reference)

#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "config/codec/explain.hpp"
#include "config/model/kind.hpp"
#include "serve/documents.hpp"
#include "serve/schema.hpp"

namespace {

using namespace manul;

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        out += c == '|' ? std::string("\\|") : std::string(1, c);
    }
    return out;
}

std::string file_name(const model::KindInfo& info) {
    return std::string(info.plural) + (info.group.empty() ? "" : "." + std::string(info.group)) + ".md";
}

std::string remarks(const codec::FieldDoc& field) {
    std::string out;
    const auto add = [&out](bool holds, const char* text) {
        if (holds) {
            out += out.empty() ? text : std::string(", ") + text;
        }
    };
    add(field.required, "required");
    add(field.immutable, "cannot be changed");
    add(field.written_on_create, "stored when created");
    add(field.manul, "Manul's own");
    add(field.without_effect, "without effect");
    return out;
}

std::string kind_page(const model::KindInfo& info) {
    std::string out = "# " + std::string(info.name) + "\n\n`" + model::api_version(info.kind) + "`, " +
                      (info.namespaced ? "namespaced" : "cluster-wide") + ". `manulctl` and `kubectl` call it `" +
                      std::string(info.plural) + "`, `" + std::string(info.singular) + "`";
    for (std::string_view rest = info.short_names; !rest.empty();) {
        const std::size_t end = std::min(rest.find(','), rest.size());
        out += ", `" + std::string(rest.substr(0, end)) + "`";
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    out += ".\n\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n";
    for (const codec::FieldDoc& field : codec::list_fields(info.kind)) {
        const std::string notes = remarks(field);
        out += "| `" + field.path + "` | " + escaped(field.type) + " | " +
               (field.default_value.empty() ? "" : "`" + escaped(field.default_value) + "`") + " | " +
               escaped(field.doc) + (notes.empty() ? "" : " (" + notes + ")") + " |\n";
    }
    return out;
}

std::string index_page() {
    std::string out =
        "# Resources\n\nWritten from the field tables by `test/tools/reference.cpp`; `manulctl explain KIND[.FIELD]` "
        "tells "
        "the same.\n\n| Kind | Group and version | Scope |\n|---|---|---|\n";
    for (const model::KindInfo& info : model::all_kinds()) {
        out += "| [" + std::string(info.name) + "](" + file_name(info) + ") | `" + model::api_version(info.kind) +
               "` | " + (info.namespaced ? "namespace" : "cluster") + " |\n";
    }
    return out;
}

/// One schema a line, so that a change of a field is a change of a line.
std::string openapi() {
    std::string out = "{\"openapi\":\"3.0.0\",\"info\":{\"title\":\"Manul\",\"version\":\"v" MANUL_VERSION
                      "\"},\"paths\":{},\"components\":{\"schemas\":{\n\"" +
                      std::string(serve::kMetadataSchema) + "\":" + boost::json::serialize(serve::metadata_schema());
    for (const model::KindInfo& info : model::all_kinds()) {
        out += ",\n\"" + serve::schema_name(info.kind) + "\":" +
               boost::json::serialize(
                   serve::kind_schema(info.kind, "#/components/schemas/" + std::string(serve::kMetadataSchema)));
    }
    return out + "\n}}}\n";
}

std::map<std::string, std::string> wanted_files() {
    std::map<std::string, std::string> out{{"openapi-v3.json", openapi()}, {"resources/README.md", index_page()}};
    for (const model::KindInfo& info : model::all_kinds()) {
        out["resources/" + file_name(info)] = kind_page(info);
    }
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    const bool check = argc == 3 && std::string_view(argv[1]) == "--check";
    if (argc != 2 && !check) {
        std::cerr << "usage: reference [--check] DIRECTORY\n";
        return 2;
    }
    const std::filesystem::path top = argv[argc - 1];
    bool differs = false;
    for (const auto& [name, text] : wanted_files()) {
        const std::filesystem::path path = top / name;
        if (check) {
            std::ifstream file(path, std::ios::binary);
            if (std::string(std::istreambuf_iterator<char>(file), {}) != text) {
                std::cerr << path.string() << " is not what the field tables say\n";
                differs = true;
            }
            continue;
        }
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path, std::ios::binary) << text;
    }
    if (differs) {
        std::cerr << "write them again: build/test/serve/reference docs/reference\n";
    }
    return differs ? 1 : 0;
}
