#pragma once

#include "config/store/store.hpp"
#include "ipam/core/check_report.hpp"
#include "ipam/core/inventory.hpp"
#include "ipam/core/timestamp.hpp"

namespace manul::ctl {

/// Everything that the store says about addresses. What cannot be understood is named in `unreadable`. The lists are
/// read one after the other: what changes meanwhile may look wrong.
[[nodiscard]] store::StoreResult<ipam::Inventory> read_inventory(store::Store& store);

/// Which cluster this is and whether its datastore is locked, as reports say it.
[[nodiscard]] store::StoreResult<ipam::ReportHeader> read_report_header(store::Store& store);

[[nodiscard]] ipam::WallTime wall_now();

}  // namespace manul::ctl
