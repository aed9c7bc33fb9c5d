#pragma once

#include <vector>

#include "config/model/resource.hpp"
#include "net/prefix.hpp"

namespace manul::model {

/// Addresses that automatic assignment never hands out.
struct IpReservationSpec {
    std::vector<net::Prefix> reserved_cidrs;

    bool operator==(const IpReservationSpec&) const = default;
};

struct IpReservation final : ResourceOf<Kind::ip_reservation> {
    IpReservationSpec spec;
};

}  // namespace manul::model
