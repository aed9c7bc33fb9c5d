#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/model/ipam_configuration.hpp"
#include "ipam/core/draft.hpp"
#include "ipam/core/pool.hpp"
#include "ipam/core/timestamp.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// Who owns which block. A claim is two objects: the node's BlockAffinity (pending, then confirmed) and the block that
/// names the node. The block decides; only confirmed affinities are announced as routes. In a store with transactions
/// both change at once. In one without, they are written in the order affinity pending, block, affinity confirmed, and
/// settle() repairs what a stop between two writes leaves behind.
namespace manul::ipam {

/// IPAMConfiguration.
struct IpamSettings {
    bool strict_affinity = false;  ///< no addresses from other nodes' blocks
    bool auto_allocate_blocks = true;
    std::uint32_t max_blocks_per_host = 0;  ///< 0 = no limit
    std::chrono::seconds cooldown{0};

    bool operator==(const IpamSettings&) const = default;
};
[[nodiscard]] IpamSettings settings_of(const model::IpamConfigurationSpec& spec);

/// What rarely changes: this node, the pools and the settings.
struct World {
    std::string node;
    model::StringMap node_labels;
    std::vector<Pool> pools;
    Reservations reservations;
    /// Addresses that pods of this node use although no endpoint has them (the datastore was lost, or is older than the
    /// pods), and the links that lead to them.
    std::map<net::Ip, std::string> unrecorded;
    IpamSettings settings;

    /// Whether automatic assignment may hand the address out.
    [[nodiscard]] bool may_give(const net::Ip& address) const {
        return !reservations.contains(address) && !unrecorded.contains(address);
    }
};

/// An empty block of another node is not reclaimed for this long after its claim: its owner is about to use it.
inline constexpr std::chrono::seconds kReclaimAge{60};

/// How a block was obtained.
enum class ClaimKind : std::uint8_t {
    created,    ///< it did not exist
    adopted,    ///< it had no owner, but room
    reclaimed,  ///< it was another node's, and empty
};
struct Claim {
    net::Prefix cidr;
    ClaimKind kind = ClaimKind::created;
};

/// Makes an affinity of this node and its block agree: completes an interrupted claim, undoes an interrupted release,
/// or drops an affinity whose block belongs to another node. True if the block is this node's now.
[[nodiscard]] Outcome<bool> settle(Draft& draft, const World& world, const net::Prefix& cidr, WallTime now);

/// Claims one more block of the pool for this node: the first that does not exist, walking from a place that depends
/// on the node's name (so that nodes seldom meet), or one without owner that has room, or an empty one of another
/// node. Nothing when the pool has none left.
[[nodiscard]] Outcome<std::optional<Claim>> claim_block(Draft& draft, const World& world, const Pool& pool,
                                                        WallTime now);

/// Claims this very block if it has no owner yet. False when it belongs to another node.
[[nodiscard]] Outcome<bool> claim_exact(Draft& draft, const World& world, const net::Prefix& cidr, WallTime now);

/// Gives a block of this node up: removes it when it is empty, else leaves it without owner (its addresses stay in use
/// until they are released). `only_empty`: do nothing unless it is empty. True when it was given up.
[[nodiscard]] Outcome<bool> give_up(Draft& draft, const World& world, const net::Prefix& cidr, bool only_empty,
                                    WallTime now);

}  // namespace manul::ipam
