#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "ctl/node/checksystem.hpp"

namespace manul::ctl {

/// What Calico left on this node.
struct CalicoRemains {
    std::set<std::string> tables;         ///< with its rules: "ip filter", "ip6 calico"
    std::set<std::string> legacy_tables;  ///< of iptables-legacy: "ip filter"
    std::size_t ip_sets = 0;
    std::vector<std::string> links;    ///< tunnel devices, and those of its eBPF dataplane
    std::vector<std::string> shapers;  ///< devices that limit what pods send
    std::size_t bird_routes = 0;       ///< of the main table, by protocol
    std::size_t felix_routes = 0;
};

[[nodiscard]] CalicoRemains find_calico_remains();

/// What each of them does to packets, and the command that removes it.
[[nodiscard]] std::vector<SystemCheck> judge_calico_remains(const CalicoRemains& remains);

}  // namespace manul::ctl
