#pragma once

#include <string_view>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/model/finding.hpp"

/// YAML text as trees, for the codec and for readers of files that are no manifests.
namespace manul::codec {

struct YamlDocument {
    Tree tree;                    ///< null for a document without content
    model::Findings findings;     ///< what is wrong with its YAML, with paths: duplicate keys, aliases, tags, depth
    model::Findings advice = {};  ///< warnings about words that others read otherwise
};

struct YamlFile {
    std::vector<YamlDocument> documents;  ///< up to the place of a syntax error
    model::Findings findings;             ///< of the file as a whole: syntax, characters
};

[[nodiscard]] YamlFile parse_yaml(std::string_view text);
/// The same for YAML or JSON: what begins as JSON is read as such, since YAML reads some of it otherwise.
[[nodiscard]] YamlFile parse_documents(std::string_view text);

}  // namespace manul::codec
