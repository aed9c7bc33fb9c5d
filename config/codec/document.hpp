#pragma once

#include <cstdint>
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

/// Who wrote a document.
enum class Author : std::uint8_t { person, program };
/// Makes texts of what stands where the tables want them, as Calico's tools and Kubernetes do: nothing as the value of
/// a key of a map (`node-role/gateway:`) is the empty text; in files of people `true` is one, too, and a number that
/// reads as it is written (`rack: 7`). Of `1.20` those tools would make "1.2", so it is left to be refused. Fields of
/// Calico's kinds get their letter case in files of people (`exportv4`).
void settle_texts(model::Kind kind, Tree& document, Author author);

/// Applies to `document` what differs between two encoded trees.
void apply_difference(Tree& document, const Tree& before, const Tree& after);

}  // namespace manul::codec
