#pragma once

#include <expected>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bgpd/policy/filter.hpp"
#include "config/model/bgp_filter.hpp"

/// From BGPFilter resources to what the tables evaluate.
namespace manul::bgp::speaker {

using FiltersByName = std::map<std::string, const model::BgpFilter*>;

/// The rules of the named filters, one behind the other. A rule with a field that this version does not know may be
/// narrower than it looks: as an Accept it is left out, as a Reject it counts with what is known. The error names a
/// filter that does not exist.
[[nodiscard]] std::expected<policy::PeerFilters, std::string> compile_filters(const std::vector<std::string>& names,
                                                                              const FiltersByName& filters);

}  // namespace manul::bgp::speaker
