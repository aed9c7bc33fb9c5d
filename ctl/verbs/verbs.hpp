#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/verbs/fetch.hpp"
#include "ctl/verbs/input.hpp"

namespace manul::ctl {

enum class WriteVerb { create, apply, replace };

struct WriteOptions {
    InputOptions input;
    bool skip_empty = false;
    bool skip_exists = false;    ///< create only
    bool dry_run = false;        ///< only say what would happen
    std::string confirm_within;  ///< apply only: undone after this time unless confirmed; empty: stays
};
/// Creates the object or, when it exists, updates it.
[[nodiscard]] store::StoreResult<store::Object> apply_object(store::Store& store, const InputObject& object);

/// create, apply, replace. All input is checked first; then apply and create continue after an object that fails,
/// replace stops there.
[[nodiscard]] ExitCode write_objects(const Context& context, WriteVerb verb, const WriteOptions& options);

/// All objects or none, undone by itself unless confirmed in time; see config/rollback.hpp.
[[nodiscard]] ExitCode apply_revertibly(const Context& context, const std::vector<InputObject>& objects,
                                        const std::string& within);
[[nodiscard]] ExitCode confirm_change(const Context& context);
[[nodiscard]] ExitCode roll_back_change(const Context& context);

struct DeleteOptions {
    ObjectQuery objects;
    bool all = false;  ///< also without names or a selector
    bool skip_not_exists = false;
    bool dry_run = false;
    bool skip_empty = false;
    bool release_addresses = false;  ///< of Nodes: also what the node held, at once instead of after 15 minutes
    /// A living node writes its Node back; after this time it counts as gone.
    std::chrono::milliseconds write_back_wait{3000};
    /// A pod's endpoint disappears shortly after the pod: a DEL is answered as soon as it cannot be lost.
    std::chrono::milliseconds last_pods_wait{2000};
};
[[nodiscard]] ExitCode delete_objects(const Context& context, const DeleteOptions& options);

struct GetOptions {
    ObjectQuery objects;
    std::string format;  ///< see print.hpp
    std::string sort_by;
    bool export_ = false;
    bool show_labels = false;
    bool no_headers = false;
    bool watch = false;
    bool watch_only = false;
    bool output_watch_events = false;
};
[[nodiscard]] ExitCode get_objects(const Context& context, const GetOptions& options);

[[nodiscard]] ExitCode validate_files(const Context& context, const InputOptions& options, bool skip_empty);
[[nodiscard]] ExitCode explain_kind(const Context& context, const std::string& path);

struct VersionOptions {
    bool client_only = false;
    std::string poll;  ///< check again at this interval and print changes; empty or 0: print once
};
[[nodiscard]] ExitCode print_version(const Context& context, const VersionOptions& options);

}  // namespace manul::ctl
