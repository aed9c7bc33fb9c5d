#pragma once

#include <memory>

#include "config/store/store.hpp"

namespace manul::store {

/// A Store that reads `base` and keeps what is written to itself: every write is checked as a real one would be, also
/// against what was written here before, and nobody else sees it. What the datastore's own server alone knows (rights,
/// quotas, admission plugins) is not asked. Lives no longer than `base`.
[[nodiscard]] std::unique_ptr<Store> make_rehearsal(Store& base);

}  // namespace manul::store
