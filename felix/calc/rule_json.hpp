#pragma once

#include <string>

#include "config/model/policy.hpp"

namespace manul::felix {

/// The rule as canonical JSON: no blanks, fields in the order of the API, absent ones left out, maps sorted by key.
/// Equal rules give equal texts on every node and in every version that knows the same fields; rule ids are made of it.
[[nodiscard]] std::string canonical_json(const model::Rule& rule);

}  // namespace manul::felix
