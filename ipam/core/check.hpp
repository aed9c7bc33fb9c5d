#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipam/core/inventory.hpp"

/// Checks that everything the store says about addresses is consistent. Pure: an inventory in, findings out.
///
/// An inventory is several lists that were not read at the same moment, so concurrent changes look like errors. Callers
/// check twice and keep what both checks found (`in_both`).
namespace manul::ipam {

enum class Problem : std::uint8_t {
    leaked_address,          ///< allocated, but nobody uses it
    unallocated_in_pool,     ///< used, but not allocated: it may be given to somebody else
    unallocated_elsewhere,   ///< used, outside of all pools that are in use
    several_users,           ///< one address, two users
    wrong_handle,            ///< allocated to another than its user
    allocated_twice,         ///< in two blocks that overlap
    handle_without_address,  ///< nothing is allocated to it
    handle_missing,          ///< a block names it, but it does not exist
    handle_count,            ///< it counts other numbers than the blocks hold
    malformed_block,
    affinity_without_block,
    block_without_affinity,
    owners_differ,     ///< affinity and block name different nodes
    pending_affinity,  ///< a claim that was not completed for minutes
    block_outside_pools,
    block_size,
    overlapping_blocks,
    unknown_node,  ///< owns a block, but has no Node
    too_many_blocks,
    reserved_in_use,
    borrowed_under_strict_affinity,
    unreadable_object,
};
/// As reports name it: "leakedAddress".
[[nodiscard]] std::string_view name_of(Problem problem) noexcept;

struct Finding {
    Problem problem = Problem::unreadable_object;
    std::string subject;  ///< the address, block, handle or object
    std::string text;
    std::string repair;  ///< what repair() would do; empty: nothing, a person must decide

    // What repair() needs.
    std::optional<net::Ip> address;
    std::optional<net::Prefix> block;
    std::optional<std::uint64_t> sequence;
    std::string handle;
    std::string node;
    std::vector<net::Prefix> handle_blocks;  ///< all blocks that have addresses of the handle, and those that it names
    std::optional<User> user;

    bool operator==(const Finding&) const = default;
};

/// One address that is allocated (not merely resting).
struct Allocation {
    net::Ip address;
    net::Prefix block;
    std::string handle;
    std::optional<std::uint64_t> sequence;
    model::StringMap attributes;
    bool borrowed = false;  ///< by another node than the block's owner
    std::vector<std::string> users;

    [[nodiscard]] bool in_use() const noexcept { return !users.empty(); }
};

/// A handle to which nothing is allocated, as it was found: one that changed since then is another.
struct LeakedHandle {
    std::string id;
    std::string revision;  ///< empty: not known

    auto operator<=>(const LeakedHandle&) const = default;
};

struct CheckResult {
    std::vector<Finding> findings;
    std::vector<Allocation> allocations;
    std::size_t cooling = 0;
    std::map<std::string, std::size_t> allocations_by_node;
    std::vector<LeakedHandle> leaked_handles;

    [[nodiscard]] std::size_t count(Problem problem) const noexcept;
};

/// A pending affinity younger than this is a claim under way.
inline constexpr std::chrono::minutes kPendingAge{5};

[[nodiscard]] CheckResult check(const Inventory& inventory, WallTime now);

/// Those of `second` that `first` has too, address for address and allocation for allocation.
[[nodiscard]] CheckResult in_both(const CheckResult& first, CheckResult second);

}  // namespace manul::ipam
