#pragma once

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "config/codec/yaml.hpp"
#include "config/model/finding.hpp"
#include "config/model/kind.hpp"

/// Rows of tables that say which documents are right and what is found wrong with others.
namespace manul::test {

/// A document of `kind` with everything below the kind as YAML.
inline codec::LoadedObject load_body(const std::string& kind, const std::string& body) {
    const auto found = model::find_kind_by_alias(kind);
    auto loaded = codec::load_yaml("apiVersion: " + model::api_version(*found) +
                                       "\nkind: " + std::string(model::info(*found).name) + "\n" + body + "\n",
                                   "", "n");
    REQUIRE(loaded.objects.size() == 1);
    REQUIRE(loaded.findings.empty());
    return std::move(loaded.objects.front());
}

inline codec::LoadedObject load(const std::string& kind, const std::string& metadata, const std::string& spec) {
    return load_body(kind, "metadata: {" + metadata + "}\nspec: {" + spec + "}");
}

inline std::string findings(const codec::LoadedObject& object) {
    std::string text;
    for (const model::Finding& finding : object.findings) {
        text += finding.path + ": " + finding.message + "\n";
    }
    return text;
}

struct Row {
    const char* kind;
    const char* metadata;
    const char* spec;
    const char* finding;  ///< "" when the object is right; else what must be among the findings
};

inline void check_findings(const codec::LoadedObject& object, std::string_view wanted) {
    if (wanted.empty()) {
        CHECK(findings(object).empty());
    } else {
        CHECK_THAT(findings(object), Catch::Contains(std::string(wanted)));
    }
}

inline void check(const Row& row) {
    CAPTURE(row.kind, row.metadata, row.spec);
    check_findings(load(row.kind, row.metadata, row.spec), row.finding);
}

inline void check_body(const char* kind, const char* body, const char* finding) {
    check_findings(load_body(kind, body), finding);
}

}  // namespace manul::test
