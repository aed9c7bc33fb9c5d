#pragma once

#include <vector>

#include "config/model/policy.hpp"

namespace manul::model {

struct ProfileSpec {
    std::vector<Rule> ingress;
    std::vector<Rule> egress;
    StringMap labels_to_apply;  ///< inherited by endpoints that list the profile; the endpoint's own label wins

    bool operator==(const ProfileSpec&) const = default;
};

struct Profile final : ResourceOf<Kind::profile> {
    ProfileSpec spec;
};

/// Exists without being stored: allows everything both ways.
inline constexpr const char* kDefaultAllowProfile = "projectcalico-default-allow";

}  // namespace manul::model
