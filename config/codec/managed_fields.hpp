#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"
#include "config/codec/field_set.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"

/// Who owns which fields of an object: metadata.managedFields, as Kubernetes keeps it.
///
/// Who applies owns every field that he sends, whatever its value was. Who updates (POST, PUT, any other patch) owns
/// what he changed. A field may have several owners as long as they want the same value. Invariant: no owner has a
/// field that the document does not have, and none a field that somebody else has changed since.
namespace manul::codec {

/// Who writes, and how.
struct FieldWriter {
    std::string manager;
    std::string api_version;
    std::string subresource;
    std::string time;  ///< RFC 3339
    FieldRules rules;
};

/// Sets the owners in `document`, which takes the place of `stored` (null: there is none). Owners that the document
/// brings along count, since that is how a client hands fields over; none at all (`[]`, `[{}]`) forgets them.
void record_update(Tree& document, const Tree* stored, const FieldWriter& by);

struct FieldConflict {
    std::string manager;  ///< as Kubernetes calls it in conflicts
    std::string path;
};

/// Server-side apply: the document that `config` makes of `stored` (null: there is none), with its owners. The error
/// names each field that others own with another value, unless they are to lose it (`force`). What this manager applied
/// before and does not any more is removed when nobody else owns it.
[[nodiscard]] std::expected<Tree, std::vector<FieldConflict>> apply_fields(const Tree* stored, const Tree& config,
                                                                           bool force, const FieldWriter& by);

/// Whether the document says who owns its fields, without parsing it.
[[nodiscard]] inline bool has_owners(std::string_view document) noexcept {
    return document.find(R"("managedFields")") != std::string_view::npos;
}
/// record_update for texts, in the name of `manager`: who writes past the API.
[[nodiscard]] Result<std::string> with_recorded_update(model::Kind kind, std::string_view document,
                                                       std::string_view stored, const std::string& manager,
                                                       const std::string& time);

}  // namespace manul::codec
