#pragma once

#include <span>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/store.hpp"

/// What may be written: the object's own fields, then the rules against other objects.
namespace manul::store {

/// One write of a transaction; both texts without metadata.resourceVersion. Empty `before`: the object is new. Empty
/// `after`: it is removed.
struct PlannedWrite {
    model::Key key;
    std::string_view before;
    std::string_view after;
};

/// What the checks relied on. It becomes part of the transaction, so that a commit proves that it still holds.
struct Dependencies {
    std::vector<Mutation> keys;
    std::vector<KindUnchanged> kinds;
};

/// The document as it would be stored: parsed, and with `Checks::full` completed by the defaults that are stored and by
/// the labels that the store maintains.
[[nodiscard]] StoreResult<boost::json::object> admit_document(const model::Key& key, std::string_view text,
                                                              Checks checks);

/// Validates every written object and checks the transaction as a whole against what else is stored: a policy's tier
/// exists, a removed tier is empty, built-in tiers stay, pools neither overlap nor change what is immutable. All
/// findings are reported at once.
[[nodiscard]] StoreResult<Dependencies> admit_writes(Backend& backend, std::span<const PlannedWrite> writes);

}  // namespace manul::store
