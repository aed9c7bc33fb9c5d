#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/model/kind.hpp"
#include "config/store/store.hpp"

/// Changes that undo themselves unless somebody confirms them: so that a policy that cuts its author off does not stay.
///
/// The change and a record of what was there before are written in one transaction, so there is no moment at which the
/// one is stored without the other, whoever dies when. The record is the Secret `manul-system/manul-rollback` (a
/// Secret, since it may hold Secrets). Confirming removes it. Every manul-felix watches it and counts the time on its
/// own steady clock from when it first sees it; the first whose time is up writes the old versions back and removes the
/// record, again in one transaction. A felix that cannot reach the store by then enforces the old versions on its own
/// node, which may be what lets it reach the store again.
namespace manul::config {

[[nodiscard]] const model::Key& rollback_key();

/// What there was before a change that waits for its confirmation.
struct PendingRollback {
    struct Entry {
        model::Key key;
        std::optional<std::string> before;  ///< document; nothing: the object did not exist
    };
    std::chrono::seconds within{0};
    std::vector<Entry> objects;
    store::Revision revision;  ///< of the record, and so of every object that the change wrote
};

[[nodiscard]] Result<PendingRollback> parse_rollback(const store::Object& record);

/// One object to write.
struct RevertibleWrite {
    model::Key key;
    std::string document;
    std::optional<store::Revision> expected;  ///< as in Store::update
};
/// Writes all objects, or none, with the record of what they replace. Fails with already_exists while another change
/// waits. What is stored as written already is left out.
[[nodiscard]] store::StoreResult<store::Revision> write_revertibly(store::Store& store,
                                                                   const std::vector<RevertibleWrite>& writes,
                                                                   std::chrono::seconds within);

/// The change that waits; nothing when none does.
[[nodiscard]] store::StoreResult<std::optional<PendingRollback>> pending_rollback(store::Store& store);
/// The change stays. False: none waits.
[[nodiscard]] store::StoreResult<bool> confirm(store::Store& store);
/// Writes the old versions back and removes the record. Objects that somebody wrote since are left as they are; their
/// names are returned. A record that is gone by now (confirmed, or rolled back by somebody else) is success.
[[nodiscard]] store::StoreResult<std::vector<model::Key>> roll_back(store::Store& store,
                                                                    const PendingRollback& pending);

}  // namespace manul::config
