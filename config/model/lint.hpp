#pragma once

#include "config/model/finding.hpp"
#include "config/model/resource.hpp"

namespace manul::model {

/// What is right but probably not what was meant: warnings about the traps that people fall into. Looks at one object
/// alone, so it never says what other policies may make good.
[[nodiscard]] Findings lint(const Resource& resource);

}  // namespace manul::model
