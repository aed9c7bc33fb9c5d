#pragma once

#include <string>

#include "config/model/policy.hpp"

namespace manul::model {

struct GlobalNetworkPolicySpec : PolicySpec {
    std::string namespace_selector;
    bool do_not_track = false;      ///< before connection tracking; host endpoints only
    bool pre_dnat = false;          ///< before destination NAT; host endpoints only
    bool apply_on_forward = false;  ///< also forwarded traffic on host endpoints

    bool operator==(const GlobalNetworkPolicySpec&) const = default;
};

struct GlobalNetworkPolicy final : ResourceOf<Kind::global_network_policy> {
    GlobalNetworkPolicySpec spec;
};

}  // namespace manul::model
