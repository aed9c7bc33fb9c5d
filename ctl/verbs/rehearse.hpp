#pragma once

#include <functional>
#include <optional>
#include <span>

#include "config/store/store.hpp"
#include "ctl/context.hpp"
#include "ctl/verbs/input.hpp"

/// What would happen: --dry-run, and diff.
namespace manul::ctl {

using WriteOne = std::function<store::StoreResult<store::Object>(store::Store&, const InputObject&)>;

/// Does everything in a store that keeps the writes to itself, and reports what each object would become. Objects that
/// fail with `tolerated` are skipped.
[[nodiscard]] ExitCode rehearse(const Context& context, std::span<const InputObject> objects, const WriteOne& write,
                                std::optional<store::StoreError::Code> tolerated);

struct DiffOptions {
    InputOptions input;
};
/// What `apply` would change, as a unified diff of YAML documents, without the fields that the store sets. `ok`:
/// nothing, `failed`: something, `trouble`: the comparison failed.
[[nodiscard]] ExitCode diff_objects(const Context& context, const DiffOptions& options);

}  // namespace manul::ctl
