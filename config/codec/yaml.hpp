#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/codec/json.hpp"
#include "config/model/finding.hpp"
#include "config/model/resource.hpp"

/// Files written by people: YAML or JSON, several documents, lists. Only the safe part of YAML is accepted: no
/// aliases, no duplicate keys, no tags, booleans are `true` and `false`, numbers are decimal, quoted text is text.
namespace manul::codec {

/// One object of a file.
struct LoadedObject {
    model::Kind kind;
    std::string document;         ///< as JSON
    model::ResourcePtr resource;  ///< null when nothing could be decoded
    model::Findings findings;     ///< of decoding (strict) and validation, with file and line
    model::Findings advice = {};  ///< about an object without errors: traps, and fields that have no effect
    std::uint32_t line = 0;       ///< where it begins

    [[nodiscard]] bool ok() const noexcept { return resource && !model::has_errors(findings); }
};

struct LoadResult {
    std::vector<LoadedObject> objects;  ///< in the order of the file; items of lists are objects of their own
    model::Findings findings;           ///< of the file: syntax, unknown kinds, documents that are not objects

    /// No error anywhere.
    [[nodiscard]] bool ok() const noexcept;
    /// Everything, in the order of lines.
    [[nodiscard]] model::Findings all_findings() const;
};

/// `file_name` is only for messages. Namespaced objects without a namespace get `default_namespace`.
[[nodiscard]] LoadResult load_yaml(std::string_view text, std::string_view file_name,
                                   std::string_view default_namespace = "default");

/// One YAML or JSON document of any content as JSON text, for patches and settings.
[[nodiscard]] Result<std::string> yaml_to_json(std::string_view text, std::string_view file_name);

/// The JSON document as block-style YAML; strings that could be read as something else are quoted.
[[nodiscard]] Result<std::string> to_yaml(std::string_view document);

}  // namespace manul::codec
