#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/resource.hpp"
#include "net/prefix.hpp"

namespace manul::model {

enum class EncapMode : std::uint8_t { never, always, cross_subnet };
enum class AllowedUse : std::uint8_t { workload, tunnel, load_balancer };
enum class AssignmentMode : std::uint8_t { automatic, manual };

struct IpPoolSpec {
    net::Prefix cidr;
    std::optional<std::uint8_t> block_size;  ///< prefix length of a block; absent: see effective_block_size
    EncapMode ipip_mode = EncapMode::never;
    EncapMode vxlan_mode = EncapMode::never;
    bool nat_outgoing = false;
    bool disabled = false;  ///< no new allocations
    bool disable_bgp_export = false;
    std::string node_selector;             ///< empty: all nodes
    std::string namespace_selector;        ///< empty: all namespaces
    std::vector<AllowedUse> allowed_uses;  ///< empty: see allows()
    AssignmentMode assignment_mode = AssignmentMode::automatic;

    bool operator==(const IpPoolSpec&) const = default;

    /// 26 for IPv4 and 122 for IPv6 unless given.
    [[nodiscard]] std::uint8_t effective_block_size() const noexcept;
    /// Whether `use` is allowed; Workload and Tunnel when nothing is listed.
    [[nodiscard]] bool allows(AllowedUse use) const noexcept;
};

struct IpPool final : ResourceOf<Kind::ip_pool> {
    IpPoolSpec spec;
};

}  // namespace manul::model
