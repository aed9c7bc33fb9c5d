#pragma once

#include "config/model/policy.hpp"

namespace manul::model {

struct NetworkPolicy final : ResourceOf<Kind::network_policy> {
    PolicySpec spec;
};

}  // namespace manul::model
