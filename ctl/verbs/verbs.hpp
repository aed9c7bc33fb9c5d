#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "ctl/context.hpp"
#include "ctl/verbs/input.hpp"

namespace manul::ctl {

enum class WriteVerb { create, apply, replace };

struct WriteOptions {
    InputOptions input;
    bool skip_empty = false;
    bool skip_exists = false;    ///< create only
    std::string confirm_within;  ///< apply only: undone after this time unless confirmed; empty: stays
};
/// create, apply, replace. All input is checked first; then apply and create go on after an object that fails, replace
/// stops there.
[[nodiscard]] ExitCode write_objects(const Context& context, WriteVerb verb, const WriteOptions& options);

/// All objects or none, undone by itself unless confirmed in time; see config/rollback.hpp.
[[nodiscard]] ExitCode apply_revertibly(const Context& context, const std::vector<InputObject>& objects,
                                        const std::string& within);
[[nodiscard]] ExitCode confirm_change(const Context& context);
[[nodiscard]] ExitCode roll_back_change(const Context& context);

struct DeleteOptions {
    InputOptions input;
    std::vector<std::string> words;  ///< KIND NAME...
    bool skip_not_exists = false;
    bool skip_empty = false;
    bool release_addresses = false;  ///< of Nodes: also what the node held, at once instead of after 15 minutes
    /// A node that lives writes its Node back; after this it counts as gone.
    std::chrono::milliseconds write_back_wait{3000};
};
[[nodiscard]] ExitCode delete_objects(const Context& context, const DeleteOptions& options);

struct GetOptions {
    InputOptions input;
    std::vector<std::string> words;  ///< KIND [NAME...]; several kinds as "pools,nodes"
    bool all_namespaces = false;
    bool export_ = false;
    std::string format;  ///< "", ps, wide, yaml, json, name, custom-columns=A,B
};
[[nodiscard]] ExitCode get_objects(const Context& context, const GetOptions& options);

[[nodiscard]] ExitCode validate_files(const Context& context, const InputOptions& options, bool skip_empty);
[[nodiscard]] ExitCode explain_kind(const Context& context, const std::string& path);
[[nodiscard]] ExitCode print_version(const Context& context, bool client_only);

}  // namespace manul::ctl
