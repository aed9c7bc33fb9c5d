#pragma once

#include <string>
#include <vector>

#include "config/model/ipam_block.hpp"
#include "ipam/core/check.hpp"
#include "ipam/core/draft.hpp"

/// What `ipam check --repair` does about a finding, as changes of a Draft. Pure. Everything is looked at again in the
/// draft before it changes: a finding that is out of date changes nothing.
namespace manul::ipam {

/// True when something changed. Precondition: `finding.repair` is not empty and the problem is not malformed_block.
[[nodiscard]] Outcome<bool> repair(Draft& draft, const Inventory& inventory, const Finding& finding, WallTime now);

/// A damaged block made consistent, with as much kept as it says clearly: an ordinal with an owner stays allocated,
/// whatever the list of free ones says; one without (or whose owner cannot be told) is free once.
[[nodiscard]] model::IpamBlockSpec salvage(const model::IpamBlockSpec& damaged, WallTime now);

}  // namespace manul::ipam
