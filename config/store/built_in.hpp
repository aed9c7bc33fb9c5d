#pragma once

#include <string>
#include <vector>

#include "config/model/kind.hpp"

/// Objects that exist in every store: the three fixed tiers, ClusterInformation and IPAMConfiguration `default`.
namespace manul::store {

struct BuiltInObject {
    model::Key key;
    std::string document;
};

/// `cluster_guid` goes into ClusterInformation.
[[nodiscard]] std::vector<BuiltInObject> built_in_objects(const std::string& cluster_guid);

}  // namespace manul::store
