#pragma once

#include <string>
#include <vector>

#include "config/codec/tree.hpp"
#include "config/store/store.hpp"
#include "serve/access.hpp"
#include "serve/audit.hpp"
#include "serve/status.hpp"

namespace manul::serve {

/// POST /apis/manul.io/v1/transactions: several writes, all or nothing, as Store::transact; for the daemons' own
/// client.
///
///   {"checks": "full" | "own_fields_only",
///    "ops": [{"put": OBJECT, "precondition": P}, {"remove": REFERENCE, …}, {"check": REFERENCE, …}]}
///
/// P is {"absent": true}, {"present": true} or {"resourceVersion": R}; REFERENCE has apiVersion, kind, namespace, name.
/// The answer has the revision, and for a single put or remove the object. Changed fields of objects that have owners
/// become those of `by`.
struct TransactionWriter {
    std::string manager;
    std::string time;  ///< RFC 3339
};
[[nodiscard]] Outcome<Response> transaction(store::Store& store, const Access& access, const codec::Tree& body,
                                            const TransactionWriter& by, std::vector<AuditEntry>& audit);

}  // namespace manul::serve
