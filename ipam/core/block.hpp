#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/ipam_block.hpp"
#include "ipam/core/timestamp.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// One block of addresses: the unit that a node claims and that routes are announced for. A value: the allocator
/// copies it, changes the copy and lets the store compare revisions.
///
/// In and out goes Calico's stored form (`model::IpamBlockSpec`). Invariants: every ordinal is either allocated
/// (an owner, perhaps one in cool-down) or exactly once in the queue of free ones; freed ordinals join the queue at its
/// end, so an address rests as long as possible; `sequence_number` grows with each write and is noted for each
/// allocation, so that a stale release cannot free an address that was given to somebody else meanwhile.
namespace manul::ipam {

/// The largest block: an IPv4 /20 or an IPv6 /116.
inline constexpr std::size_t kMaxBlockAddresses = 4096;

/// Whom an address belongs to. Addresses of one block that one request took share it.
struct Owner {
    std::string handle;           ///< empty: none, the address is in cool-down or was written by somebody else
    model::StringMap attributes;  ///< node, pod, namespace, timestamp, type
    model::StringMap alternate;
    std::optional<WallTime> released_at;  ///< set: freed, but resting until the cool-down has passed

    [[nodiscard]] bool is_cooling() const noexcept { return released_at.has_value(); }
    /// attributes["node"], empty when absent.
    [[nodiscard]] std::string_view node() const noexcept;

    bool operator==(const Owner&) const = default;
};
using OwnerPtr = std::shared_ptr<const Owner>;

/// As an entry of a stored block's `attributes`.
[[nodiscard]] model::AllocationAttribute to_attribute(const Owner& owner);

enum class ReleaseError : std::uint8_t {
    not_allocated,
    sequence_mismatch,  ///< the address was given to somebody else since the caller looked
};

class Block {
public:
    using Ordinal = std::uint32_t;
    using Reserved = std::function<bool(const net::Ip&)>;

    /// An empty block of `affinity` ("host:<node>", or empty). Precondition: at most kMaxBlockAddresses addresses.
    /// `first_sequence`: a number that no earlier block of this range reached.
    [[nodiscard]] static Block make(const net::Prefix& cidr, std::string affinity, WallTime now,
                                    std::uint64_t first_sequence);
    /// Refuses a block that is not consistent; the text says what is wrong with it.
    [[nodiscard]] static std::expected<Block, std::string> from_model(const model::IpamBlockSpec& spec);
    [[nodiscard]] model::IpamBlockSpec to_model() const;
    /// The stored form without `attributes`: these are the owners, in the order of `owners`. For whoever has them
    /// printed already; a block is written with every pod, and nearly all of its owners are those of the last time.
    [[nodiscard]] model::IpamBlockSpec to_model(std::vector<OwnerPtr>& owners) const;

    [[nodiscard]] const net::Prefix& cidr() const noexcept { return cidr_; }
    /// "host:<node>", "virtual:<name>" or empty.
    [[nodiscard]] const std::string& affinity() const noexcept { return affinity_; }
    [[nodiscard]] std::optional<WallTime> claim_time() const noexcept { return claim_time_; }
    [[nodiscard]] std::uint64_t sequence_number() const noexcept { return sequence_number_; }
    [[nodiscard]] std::size_t size() const noexcept { return owners_.size(); }
    [[nodiscard]] std::size_t free_count() const noexcept { return free_.size(); }
    [[nodiscard]] std::size_t cooling_count() const noexcept { return cooling_; }
    [[nodiscard]] std::size_t in_use_count() const noexcept { return size() - free_count() - cooling_; }
    /// Nothing is allocated and nothing rests.
    [[nodiscard]] bool is_empty() const noexcept { return free_count() == size(); }
    [[nodiscard]] const std::deque<Ordinal>& free_ordinals() const noexcept { return free_; }

    [[nodiscard]] net::Ip address(Ordinal ordinal) const;
    [[nodiscard]] std::optional<Ordinal> ordinal(const net::Ip& address) const noexcept;
    /// Null when free.
    [[nodiscard]] const OwnerPtr& owner(Ordinal ordinal) const { return owners_[ordinal]; }
    [[nodiscard]] std::optional<std::uint64_t> sequence_of(Ordinal ordinal) const;

    void set_affinity(std::string affinity, WallTime now);
    /// Puts freed addresses whose rest is over at the end of the queue. A `released_at` in the future counts as now
    /// (clocks jump), and is corrected. True when something changed.
    bool end_cooldown(WallTime now, std::chrono::seconds cooldown);

    /// The longest-free address that is not reserved. Nothing when there is none.
    std::optional<net::Ip> allocate(const OwnerPtr& owner, const Reserved& reserved);
    /// This very address; false when it is not free.
    bool allocate_exact(Ordinal ordinal, const OwnerPtr& owner);
    /// Frees an address, or lets it rest when `cooldown` is not zero. `sequence`: refuse unless it is the number
    /// noted at allocation. An address that rests already is `not_allocated`.
    std::expected<OwnerPtr, ReleaseError> release(Ordinal ordinal, std::optional<std::uint64_t> sequence, WallTime now,
                                                  std::chrono::seconds cooldown);
    /// The allocated ordinals of a handle, ascending.
    [[nodiscard]] std::vector<Ordinal> of_handle(std::string_view handle) const;

    /// To be called once for each write of the block.
    void count_write() noexcept { ++sequence_number_; }

    bool operator==(const Block&) const;

private:
    Block() = default;

    net::Prefix cidr_;
    std::string affinity_;
    std::optional<WallTime> claim_time_;
    std::uint64_t sequence_number_ = 0;
    std::vector<OwnerPtr> owners_;          ///< by ordinal
    std::vector<std::uint64_t> sequences_;  ///< by ordinal; kNoSequence: not known
    std::deque<Ordinal> free_;
    std::size_t cooling_ = 0;
    bool strict_affinity_ = false;  ///< a copy that old versions of Calico kept; carried along
};

/// Who owns the blocks of load balancers, wherever the name of a node is expected: names of nodes hold no colon.
inline constexpr std::string_view kLoadBalancers = "virtual:load-balancer";
inline constexpr std::string_view kVirtual = "virtual:";

/// "host:<node>"; of an owner that is no node, its own name.
[[nodiscard]] std::string host_affinity(std::string_view node);
/// The node of "host:<node>"; nothing for other affinities.
[[nodiscard]] std::optional<std::string_view> affinity_node(std::string_view affinity) noexcept;

/// Everything that is wrong with a stored block, one finding a line; empty when it is sound. `now` judges release
/// times. For `ipam check`; from_model() alone refuses what cannot be used.
[[nodiscard]] std::vector<std::string> check_block(const model::IpamBlockSpec& spec, std::optional<WallTime> now);

}  // namespace manul::ipam
