#pragma once

#include <string>
#include <string_view>

#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/model/field.hpp"
#include "config/model/finding.hpp"

/// The one walk over the field tables: tree to struct and back, for every kind.
namespace manul::codec {

/// Reads `tree` into `value`, an object of the type described. What is wrong is added to `findings` under `path`, and
/// what could not be read keeps its initial value.
void decode_value(const model::TypeInfo& type, void* value, const Tree& tree, const std::string& path, Mode mode,
                  model::Findings& findings);
/// The same for the fields of an object; `skip` names keys that others read.
void decode_object(const model::ObjectInfo& object, void* value, const Tree& tree, const std::string& path, Mode mode,
                   model::Findings& findings, std::initializer_list<std::string_view> skip = {});

/// What differs from the initial value, required fields always, in the order of the table.
[[nodiscard]] Tree encode_value(const model::TypeInfo& type, const void* value);

/// A default of a table as a tree; null when the field has none.
[[nodiscard]] Tree default_tree(const model::Field& field);

/// The innermost scalar of a type, through optionals, lists and maps; null when it has none.
[[nodiscard]] const model::ScalarInfo* scalar_of(const model::TypeInfo& type) noexcept;
/// The object type below optionals, lists and maps; null when there is none.
[[nodiscard]] const model::ObjectInfo* object_of(const model::TypeInfo& type) noexcept;

/// "\"abc\"", "17", "a list", "nothing": how messages call what was found.
[[nodiscard]] std::string describe(const Tree& tree);

}  // namespace manul::codec
