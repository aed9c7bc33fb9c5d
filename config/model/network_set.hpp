#pragma once

#include <vector>

#include "config/model/resource.hpp"
#include "net/prefix.hpp"

namespace manul::model {

/// Addresses that selectors match by the labels of the object.
struct NetworkSetSpec {
    std::vector<net::Prefix> nets;  ///< host bits cleared; both families may be mixed

    bool operator==(const NetworkSetSpec&) const = default;
};

struct NetworkSet final : ResourceOf<Kind::network_set> {
    NetworkSetSpec spec;
};

struct GlobalNetworkSet final : ResourceOf<Kind::global_network_set> {
    NetworkSetSpec spec;
};

}  // namespace manul::model
