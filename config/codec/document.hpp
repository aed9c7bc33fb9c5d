#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"

/// What json.hpp does with texts, on trees; for the codec itself, and for who would parse a text twice.
namespace manul::codec {

/// decode of a parsed document; findings carry the lines of the tree.
[[nodiscard]] Decoded decode_tree(model::Kind kind, const Tree& document, Mode mode);
/// What validation says of a decoded resource beyond `decoding`, the findings of its decoding: what could not be
/// decoded holds a default, about which there is nothing to say.
[[nodiscard]] model::Findings validate_decoded(const model::Resource& resource, const model::Findings& decoding);
/// Adds what validate_decoded finds.
void add_validation(Decoded& decoded);
[[nodiscard]] Tree encode_tree(const model::Resource& resource);

/// What with_creation_defaults gives, and decode_and_validate says of it in strict mode.
struct Completed {
    Tree document;
    Decoded decoded;
};
[[nodiscard]] Result<Completed> complete_and_validate(model::Kind kind, std::string_view document);

/// to_json at the end of `out`.
void append_json(std::string& out, const Tree& tree);

/// Applies to `document` what differs between two encoded trees.
void apply_difference(Tree& document, const Tree& before, const Tree& after);

}  // namespace manul::codec
