#pragma once

#include <string>

#include "config/model/resource.hpp"

namespace manul::model {

struct ClusterInformationSpec {
    std::string cluster_guid;
    std::string cluster_type;
    std::string calico_version;
    bool datastore_ready = true;  ///< false: daemons stop applying, new pods are refused
    std::string variant;

    bool operator==(const ClusterInformationSpec&) const = default;
};

struct ClusterInformation final : ResourceOf<Kind::cluster_information> {
    ClusterInformationSpec spec;
};

}  // namespace manul::model
