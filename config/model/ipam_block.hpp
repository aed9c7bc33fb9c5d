#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/model/resource.hpp"
#include "net/prefix.hpp"

namespace manul::model {

/// What an allocated address belongs to; several addresses of one block share an entry.
struct AllocationAttribute {
    std::optional<std::string> handle_id;
    StringMap secondary;  ///< owner: pod, namespace, node, type, timestamp
    StringMap alternate_owner_attrs;
    std::optional<std::string> released_at;  ///< RFC 3339; the address rests until the cool-down has passed

    bool operator==(const AllocationAttribute&) const = default;
};

struct IpamBlockSpec {
    net::Prefix cidr;
    std::optional<std::string> affinity;  ///< "host:<node>" or "virtual:<name>"; absent: unowned
    std::optional<std::string> affinity_claim_time;
    std::vector<std::optional<std::uint32_t>> allocations;  ///< by ordinal: index into attributes
    std::vector<std::uint32_t> unallocated;                 ///< free ordinals, first in first out
    std::vector<AllocationAttribute> attributes;
    std::uint64_t sequence_number = 0;
    std::map<std::uint32_t, std::uint64_t> sequence_number_for_allocation;  ///< by ordinal
    bool deleted = false;
    bool strict_affinity = false;

    bool operator==(const IpamBlockSpec&) const = default;
};

struct IpamBlock final : ResourceOf<Kind::ipam_block> {
    IpamBlockSpec spec;
};

}  // namespace manul::model
