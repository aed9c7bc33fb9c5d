#pragma once

#include <string_view>

#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"
#include "serve/status.hpp"

/// Patches of documents.
namespace manul::serve {

/// RFC 7396: null removes, maps are merged, everything else replaces.
void merge_patch(codec::Tree& document, const codec::Tree& patch);

/// RFC 6902, all or nothing. `tests_failed` as reason (422) when a `test` does not hold.
[[nodiscard]] Outcome<void> json_patch(codec::Tree& document, const codec::Tree& patch);

/// Kubernetes' strategic merge patch: as a merge patch, but lists whose items have a key are merged by it, and the
/// directives $patch, $retainKeys, $setElementOrder and $deleteFromPrimitiveList are obeyed. For Kubernetes' own kinds.
[[nodiscard]] Outcome<void> strategic_merge_patch(codec::Tree& document, const codec::Tree& patch);

}  // namespace manul::serve
