#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "config/store/store.hpp"

/// The embedded store: one file, several processes of one host. Opening never touches the disk: the first call does,
/// and each call tries again after a failure, so a daemon starts while its datastore is away and works when it comes
/// back.
namespace manul::store {

struct SqliteOptions {
    /// Whose watchers are told of a commit first; also part of the own wake-up socket's name.
    std::string node;
    /// Its watches may learn of a commit with those of other nodes, up to 20 ms later when many come: for daemons that
    /// nobody waits for, so that they do not take the processor from the one that somebody does wait for.
    bool patient = false;
    /// Runs SQLite's quick_check on opening (about 1 ms a MB). Off for short-lived command-line programs.
    bool check_on_open = true;
    /// In whose name changed fields are recorded in metadata.managedFields, where an object has it. Empty: the
    /// documents that are written say who owns what.
    std::string manager;
    std::int64_t lock_timeout_ms = 5000;     ///< how long a write waits for other writers
    std::int64_t change_log_limit = 100000;  ///< entries kept; a watch that fell behind lists again
    std::int64_t change_log_trim = 1000;     ///< entries removed at a time
};

[[nodiscard]] std::unique_ptr<Store> open_sqlite(std::string path, SqliteOptions options = {});

}  // namespace manul::store
