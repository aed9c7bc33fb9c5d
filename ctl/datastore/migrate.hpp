#pragma once

#include <string>
#include <vector>

#include "ctl/context.hpp"

/// Moving the content of one datastore into another, as calicoctl does: lock, export, import elsewhere, unlock there.
namespace manul::ctl {

/// ClusterInformation `default` says datastoreReady: false. Daemons then keep what is in force and write nothing; new
/// pods are refused.
[[nodiscard]] ExitCode lock_datastore(const Context& context);
[[nodiscard]] ExitCode unlock_datastore(const Context& context);

struct ExportOptions {
    std::string file;             ///< empty: standard output
    std::string format = "yaml";  ///< yaml or json
    bool unlocked = false;        ///< even if the datastore is not locked, so that the file is no consistent snapshot
};
/// Writes every object except the daemons' own reports. A file is written completely or not at all, with mode 0600.
[[nodiscard]] ExitCode export_datastore(const Context& context, const ExportOptions& options);

struct ImportOptions {
    std::string file;                ///< - : standard input
    std::vector<std::string> nodes;  ///< "old=new"
    bool dry_run = false;
};
/// Into an empty datastore, which is locked from the first write on and stays locked. All of the file is checked, and
/// rehearsed in memory, before anything is written; an interrupted import is continued by the same command.
[[nodiscard]] ExitCode import_datastore(const Context& context, const ImportOptions& options);

/// The marks in ClusterInformation `default` that an import leaves and unlock removes.
inline constexpr const char* kImportAnnotation = "manul.io/import";

}  // namespace manul::ctl
