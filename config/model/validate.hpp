#pragma once

#include "config/model/finding.hpp"
#include "config/model/kind.hpp"
#include "config/model/resource.hpp"

/// Rules that one object must keep, beyond the shape that decoding checks: names, labels, selectors and what fields
/// may stand beside each other. Rules against other objects (the tier exists, pools do not overlap) are the store's.
namespace manul::model {

/// Every rule that the object breaks, with field paths; warnings besides. Empty: nothing to say.
[[nodiscard]] Findings validate(const Resource& resource);

/// What an update may not do: change immutable fields, or the fixed fields of built-in objects. Both must be of one
/// kind and name. `validate` is not repeated.
[[nodiscard]] Findings validate_update(const Resource& before, const Resource& after);
/// Whether validate_update has something to say about the kind.
[[nodiscard]] bool has_update_rules(Kind kind) noexcept;

/// For a policy that did not decode or validate: whether tier, order, selectors and types are free of errors all the
/// same, so that it is known what it was meant to cover.
[[nodiscard]] bool policy_scope_is_readable(const Findings& findings) noexcept;

}  // namespace manul::model
