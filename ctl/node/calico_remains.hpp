#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "ctl/node/checksystem.hpp"

namespace manul::ctl {

/// What Calico left on this node.
struct CalicoRemains {
    std::set<std::string> tables;    ///< with its rules: "ip filter", "ip6 calico"
    std::vector<std::string> links;  ///< tunnel devices
    std::size_t bird_routes = 0;     ///< of the main table, by protocol
    std::size_t felix_routes = 0;
};

[[nodiscard]] CalicoRemains find_calico_remains();

/// What each of them does to packets, and the command that removes it.
[[nodiscard]] std::vector<SystemCheck> judge_calico_remains(const CalicoRemains& remains);

}  // namespace manul::ctl
