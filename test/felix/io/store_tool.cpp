#include <cstdio>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>

#include "config/codec/yaml.hpp"
#include "config/store/sqlite.hpp"

// Writes YAML documents into an SQLite store, for tests of felix alone:
//   felix-store-tool STORE apply < documents
//   felix-store-tool STORE delete < documents
namespace {

using namespace manul;

int complain(const std::string& text) {
    std::fprintf(stderr, "%s\n", text.c_str());
    return 1;
}

std::string apply(store::Store& store, const codec::LoadedObject& object) {
    auto result = store.update(object.resource->key(), object.document, std::nullopt);
    if (!result && result.error().code == store::StoreError::Code::not_found) {
        result = store.create(object.resource->key(), object.document);
    }
    return result ? std::string{} : result.error().message;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        return complain("usage: felix-store-tool STORE apply|delete");
    }
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    const codec::LoadResult loaded = codec::load_yaml(text, "input");
    for (const model::Finding& finding : loaded.all_findings()) {
        complain(finding.to_string());
    }
    if (!loaded.ok()) {
        return 1;
    }
    const auto store = store::open_sqlite(argv[1]);
    for (const codec::LoadedObject& object : loaded.objects) {
        if (std::string(argv[2]) == "delete") {
            if (const auto removed = store->remove(object.resource->key(), std::nullopt); !removed) {
                return complain(removed.error().message);
            }
        } else if (const std::string problem = apply(*store, object); !problem.empty()) {
            return complain(problem);
        }
    }
    return 0;
}
