#pragma once

#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"

/// What json.hpp does with texts, on trees; for the codec itself.
namespace manul::codec {

/// decode of a parsed document; findings carry the lines of the tree.
[[nodiscard]] Decoded decode_tree(model::Kind kind, const Tree& document, Mode mode);
/// What validation says of a decoded resource beyond `decoding`, the findings of its decoding: what could not be
/// decoded holds a default, about which there is nothing to say.
[[nodiscard]] model::Findings validate_decoded(const model::Resource& resource, const model::Findings& decoding);
[[nodiscard]] Tree encode_tree(const model::Resource& resource);

/// Applies to `document` what differs between two encoded trees.
void apply_difference(Tree& document, const Tree& before, const Tree& after);

}  // namespace manul::codec
