#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/model/finding.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"
#include "config/store/backend.hpp"
#include "config/store/store.hpp"

/// What may be written: first each object for itself, then the transaction against what else is stored.
namespace manul::store {

/// A document that may be written, as far as its own fields go.
struct Admitted {
    codec::Tree document;
    model::ResourcePtr resource;
};

/// Parses a document, checks its envelope, completes it by the defaults that are stored and the labels that the store
/// maintains, and validates it. All findings are in the error's details. A field that nobody here knows is refused, but
/// for one that `before`, the stored document (empty: a new object), has with the same value: a newer version wrote it,
/// and a change of something else must neither lose it nor fail for it.
[[nodiscard]] StoreResult<Admitted> admit_document(const model::Key& key, std::string_view text,
                                                   std::string_view before = {});

/// Removes what is said of `after` about unknown fields that the stored document has as well, with the same value.
void drop_kept_fields(model::Findings& findings, const codec::Tree& after, const codec::Tree& stored);

/// One write of a transaction. Without `after` it is a removal.
struct PlannedWrite {
    model::Key key;
    std::optional<std::string_view> before;  ///< as stored; empty text when it is damaged
    model::ResourcePtr after;
};

/// What the checks relied on. It becomes part of the transaction, so that a commit proves that it still holds.
struct Dependencies {
    std::vector<Mutation> keys;
    std::vector<KindUnchanged> kinds;
};

/// Checks the transaction as a whole, as it would leave the store: nothing immutable changes, a policy's tier and a
/// peer's filters exist, a removed tier is empty and not built in, a new pool overlaps no other pool nor blocks of
/// another size. All findings are reported at once.
[[nodiscard]] StoreResult<Dependencies> admit_writes(Backend& backend, std::span<const PlannedWrite> writes);

/// Several findings as one `invalid` error.
[[nodiscard]] StoreError invalid(std::vector<std::string> findings);

}  // namespace manul::store
