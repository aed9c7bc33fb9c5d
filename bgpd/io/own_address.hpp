#pragma once

#include "config/settings.hpp"
#include "config/store/store.hpp"

namespace manul::bgp::io {

/// Creates this node's Node when it is absent, and detects its addresses again when they were detected before
/// (annotation manul.io/address-source): an address that a person wrote is never changed, and one that was found is
/// kept while none is found now. Blocks.
[[nodiscard]] store::StoreResult<void> refresh_own_node(store::Store& store, const config::Settings& settings);

}  // namespace manul::bgp::io
