#pragma once

#include <string_view>

#include "config/model/selector.hpp"

namespace manul::model {

/// The selector with has(label) for each all(): over namespaces, all() means what has one at all.
[[nodiscard]] Selector with_all_as_has(const Selector& selector, std::string_view label);

}  // namespace manul::model
