#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::nft {

/// Compares the expressions of a wanted rule with those that the kernel reports. The kernel adds attributes of its own
/// (zero flags, upper bounds equal to lower ones) and renumbers registers; counts are not compared.
///
/// If equal, returns the names of the kernel's anonymous sets that the rule looks up, in the order of the matches that
/// need one, so that their elements can be compared too; if different, nothing.
[[nodiscard]] std::optional<std::vector<std::string>> match_expressions(net::Family family, const render::Rule& wanted,
                                                                        ByteView kernel);

}  // namespace manul::felix::nft
