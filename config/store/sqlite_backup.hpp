#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/store/store.hpp"

/// Copies of the embedded store, made and taken back while daemons use it.
namespace manul::store {

struct BackupReport {
    std::size_t objects = 0;
    std::int64_t revision = 0;         ///< of the store at the moment of the copy
    std::vector<std::string> damaged;  ///< objects whose bytes fail their checksum; they are copied as they are
};

/// The store at one moment as a SQLite file (0600) that is there whole or not at all. Writers are not stopped.
[[nodiscard]] StoreResult<BackupReport> back_up_sqlite(const std::string& store, const std::string& file);

struct RestoreOptions {
    /// Although endpoints that exist now are missing in the backup.
    bool force = false;
};
struct RestoreReport {
    std::size_t objects = 0;
    std::int64_t revision = 0;  ///< of the store from now on
};

/// Replaces everything in the store by what the backup holds, in one transaction: a failure changes nothing. The store
/// gets a new identity and a revision above both, so every daemon lists again; its file stays the same one. Refused are
/// a backup that is damaged, and one that lacks endpoints which exist now: their addresses would be given out again.
[[nodiscard]] StoreResult<RestoreReport> restore_sqlite(const std::string& store, const std::string& file,
                                                        const RestoreOptions& options);

}  // namespace manul::store
