#pragma once

#include <string>

#include "config/codec/tree.hpp"
#include "serve/field_set.hpp"
#include "serve/status.hpp"

/// Who owns which fields of an object: metadata.managedFields, as Kubernetes keeps it.
///
/// Who applies owns every field that he sends, whatever its value was. Who updates (POST, PUT, any other patch) owns
/// what he changed. A field may have several owners as long as they want the same value. Invariant: no owner has a
/// field that the document does not have, and none a field that somebody else has changed since.
namespace manul::serve {

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
void record_update(codec::Tree& document, const codec::Tree* stored, const FieldWriter& by);

/// Server-side apply: the document that `config` makes of `stored` (null: there is none), with its owners. 409 names
/// each field that others own with another value, unless they are to lose it (`force`). What this manager applied
/// before and does not any more is removed when nobody else owns it.
[[nodiscard]] Outcome<codec::Tree> apply_fields(const codec::Tree* stored, const codec::Tree& config, bool force,
                                                const FieldWriter& by);

}  // namespace manul::serve
