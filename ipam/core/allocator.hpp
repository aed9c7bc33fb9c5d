#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/ip_pool.hpp"
#include "ipam/core/affinity.hpp"
#include "ipam/core/draft.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// Requests for addresses, and their release, as changes to a Draft. Pure: the caller commits the draft with
/// compare-and-swap, and repeats from fresh reads if somebody else was faster.
///
/// Each function is all or nothing: an error leaves the draft as it was. After each of them a handle's counts equal
/// what its blocks hold (they are counted, never added up), so a stop between two writes cannot make them drift.
namespace manul::ipam {

/// What one attachment needs.
struct Demand {
    std::string handle;
    model::StringMap attributes;  ///< node, pod, namespace, timestamp, type
    bool ipv4 = true;
    bool ipv6 = false;
    std::vector<net::Ip> addresses;  ///< by name, at most one of a family; the rest is chosen
    std::vector<std::string> ipv4_pools;
    std::vector<std::string> ipv6_pools;
    /// Addresses outside all pools, for which the pod's owner is responsible: used as they are, not allocated.
    std::vector<net::Ip> unmanaged;
    model::AllowedUse use = model::AllowedUse::workload;
    model::StringMap namespace_labels;
    /// Set: gets a line for each pool and block that was chosen or passed over, and why.
    std::vector<std::string>* reasons = nullptr;
};

/// Why an address came out of this block.
enum class Choice : std::uint8_t { own_block, created_block, adopted_block, reclaimed_block, borrowed, requested };
/// "the node's own block had room".
[[nodiscard]] std::string_view describe(Choice choice) noexcept;

struct Assigned {
    net::Ip address;
    net::Prefix block;
    std::string pool;
    bool borrowed = false;  ///< out of another node's block: needs a route of its own
    Choice choice = Choice::own_block;

    bool operator==(const Assigned&) const = default;
};

/// One address for each requested family, IPv4 first: from blocks that the node owns, else from a block that it claims,
/// else (without strict affinity) borrowed. Errors: `try_again`, with figures, if nothing is free; `invalid_config` if
/// the request can never be met as it is.
[[nodiscard]] Outcome<std::vector<Assigned>> assign(Draft& draft, const World& world, const Demand& demand,
                                                    WallTime now);

/// Frees every address of a handle. An unknown handle is no error. Returns what was freed.
[[nodiscard]] Outcome<std::vector<net::Ip>> release_handle(Draft& draft, const World& world, const std::string& handle,
                                                           WallTime now);

enum class Released : std::uint8_t { yes, not_allocated, taken_over };
/// Frees one address. `sequence`: only while it is the allocation that the caller saw (`taken_over` otherwise).
[[nodiscard]] Outcome<Released> release_address(Draft& draft, const World& world, const net::Ip& address,
                                                const net::Prefix& block, std::optional<std::uint64_t> sequence,
                                                WallTime now);

struct PoolUsage {
    double total = 0;
    std::size_t in_use = 0;
    std::size_t cooling = 0;
    double reserved_free = 0;  ///< reserved and not in use
    std::size_t free_in_own = 0;
    std::size_t free_in_others = 0;
    std::size_t nodes = 0;       ///< that use addresses
    std::size_t unrecorded = 0;  ///< not allocated, but in use by pods of this node
    /// When the first and the last of the addresses in cool-down become available.
    std::optional<WallTime> first_rested;
    std::optional<WallTime> last_rested;
};
[[nodiscard]] Outcome<PoolUsage> usage_of(Draft& draft, const World& world, const Pool& pool, WallTime now);
/// "pool X has 0 free of 256: 200 in use by 12 nodes, 56 in cool-down until 2026-01-31T12:00:00Z".
[[nodiscard]] std::string describe(const Pool& pool, const PoolUsage& usage);

}  // namespace manul::ipam
