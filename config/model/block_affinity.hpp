#pragma once

#include <cstdint>
#include <string>

#include "config/model/resource.hpp"
#include "net/prefix.hpp"

namespace manul::model {

enum class AffinityState : std::uint8_t {
    unset,  ///< objects of old versions; counts as confirmed
    pending,
    confirmed,
    pending_deletion,
};
enum class AffinityType : std::uint8_t { host, virtual_ };

struct BlockAffinitySpec {
    AffinityState state = AffinityState::unset;
    std::string node;
    AffinityType type = AffinityType::host;
    net::Prefix cidr;
    bool deleted = false;

    bool operator==(const BlockAffinitySpec&) const = default;

    /// Only confirmed affinities count for routing.
    [[nodiscard]] bool is_confirmed() const noexcept {
        return !deleted && (state == AffinityState::confirmed || state == AffinityState::unset);
    }
};

struct BlockAffinity final : ResourceOf<Kind::block_affinity> {
    BlockAffinitySpec spec;
};

}  // namespace manul::model
