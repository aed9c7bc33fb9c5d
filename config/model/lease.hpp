#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/model/resource.hpp"

namespace manul::model {

struct LeaseSpec {
    std::string holder_identity;  ///< empty: nobody
    std::optional<std::uint32_t> lease_duration_seconds;
    std::string acquire_time;  ///< RFC 3339 with microseconds
    std::string renew_time;    ///< RFC 3339 with microseconds
    std::uint32_t lease_transitions = 0;

    bool operator==(const LeaseSpec&) const = default;
};

/// A right that one holder has at a time.
struct Lease final : ResourceOf<Kind::lease> {
    LeaseSpec spec;
};

}  // namespace manul::model
