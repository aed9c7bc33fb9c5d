#pragma once

#include <memory>

#include "config/store/store.hpp"

/// What an administrator's lock (ClusterInformation `default`, datastoreReady: false) means to who follows a store.
namespace manul::store {

/// Whether it is locked. A store without ClusterInformation is not.
[[nodiscard]] StoreResult<bool> is_locked(Store& store);

/// The same store, for a process that puts into force what it reads. While the datastore is locked it looks as if it
/// were away: lists fail or, when it is locked between them and their watch, that watch does; watches tell nothing.
/// When the lock ends every watch ends as "list again", so that all that happened meanwhile is taken up at once, and
/// nothing of an import that was half done.
[[nodiscard]] std::unique_ptr<Store> obey_lock(std::unique_ptr<Store> store);

}  // namespace manul::store
