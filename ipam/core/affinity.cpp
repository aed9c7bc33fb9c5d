#include "ipam/core/affinity.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include "base/try.hpp"

namespace manul::ipam {

namespace {

/// FNV-1a, the same on every machine and in every version.
std::uint64_t stable_hash(std::string_view text) noexcept {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    }
    return hash;
}

/// How many candidates beyond those known to be taken one search looks at (large reservations may cover many).
constexpr std::uint64_t kMaxSearch = 65536;
/// How many are looked at one by one before.
constexpr std::uint64_t kProbes = 16;

Outcome<void> confirm(Draft& draft, const std::string& node, const net::Prefix& cidr) {
    return draft.put_affinity(node, cidr,
                              std::make_shared<const Affinity>(Affinity{node, cidr, model::AffinityState::confirmed}));
}

/// Addresses of it that pods of this node have are theirs from the beginning: somebody deleted the block under them,
/// and they must not be given to others.
Outcome<void> create_block(Draft& draft, const World& world, const net::Prefix& cidr, WallTime now) {
    MANUL_TRY(const std::uint64_t sequence, draft.next_sequence());
    auto block = std::make_shared<Block>(Block::make(cidr, host_affinity(world.node), now, sequence));
    MANUL_TRY(const auto in_use, draft.in_use(cidr));
    for (const AddressInUse& one : in_use) {
        const std::string& id = one.handles.front();
        auto owner = std::make_shared<const Owner>(Owner{.handle = id, .attributes = one.attributes});
        if (!block->allocate_exact(*block->ordinal(one.address), owner)) {
            continue;
        }
        MANUL_TRY(const auto stored, draft.handle(id));
        auto handle = std::make_shared<Handle>(stored ? *stored : Handle{.id = id, .blocks = {}});
        handle->blocks[cidr] = static_cast<std::uint32_t>(block->of_handle(id).size());
        MANUL_CHECK(draft.put_handle(id, std::move(handle)));
    }
    return draft.put_block(cidr, std::move(block));
}

Outcome<void> adopt(Draft& draft, const World& world, const Block& block, WallTime now) {
    auto mine = std::make_shared<Block>(block);
    mine->set_affinity(host_affinity(world.node), now);
    MANUL_CHECK(draft.put_block(block.cidr(), std::move(mine)));
    return confirm(draft, world.node, block.cidr());
}

bool has_room(const Block& block, const World& world) {
    return std::ranges::any_of(block.free_ordinals(),
                               [&](Block::Ordinal o) { return world.may_give(block.address(o)); });
}

/// Blocks that somebody claims, to be asked whether a candidate is free.
class Taken {
public:
    Taken(const std::vector<Affinity>& affinities, std::uint8_t block_size) {
        for (const Affinity& affinity : affinities) {
            if (affinity.cidr.length() == block_size) {
                same_size_.insert(affinity.cidr);
            } else {
                other_size_.push_back(affinity.cidr);  // of an earlier pool in this range
            }
        }
    }
    [[nodiscard]] bool overlaps(const net::Prefix& cidr) const {
        return same_size_.contains(cidr) ||
               std::ranges::any_of(other_size_, [&](const net::Prefix& other) { return other.overlaps(cidr); });
    }
    [[nodiscard]] std::size_t size() const noexcept { return same_size_.size() + other_size_.size(); }

private:
    std::set<net::Prefix> same_size_;
    std::vector<net::Prefix> other_size_;
};

/// Takes an empty block away from another node.
Outcome<std::optional<Claim>> reclaim(Draft& draft, const World& world, const Pool& pool, WallTime now) {
    MANUL_TRY(const auto cidrs, draft.blocks_in(pool.cidr));
    for (const net::Prefix& cidr : cidrs) {
        MANUL_TRY(const auto stored, draft.block(cidr));
        if (!stored || cidr.length() != pool.block_size) {
            continue;
        }
        const auto owner = affinity_node(stored->affinity());
        // A claim in the future is of a clock that was set back since, or that is wrong: no reason to wait for it.
        const bool is_new = stored->claim_time() && now - *stored->claim_time() < kReclaimAge &&
                            *stored->claim_time() - now < kReclaimAge;
        if (!owner || *owner == world.node || is_new) {
            continue;
        }
        Block block = *stored;
        block.end_cooldown(now, world.settings.cooldown);
        if (!block.is_empty() || !has_room(block, world)) {
            continue;
        }
        const std::string rival(*owner);
        MANUL_CHECK(adopt(draft, world, block, now));
        MANUL_CHECK(draft.put_affinity(rival, cidr, nullptr));
        return Claim{cidr, ClaimKind::reclaimed};
    }
    return std::nullopt;
}

/// Claims a candidate if it does not exist, or has room and no owner.
Outcome<std::optional<Claim>> try_claim(Draft& draft, const World& world, const net::Prefix& cidr, WallTime now) {
    MANUL_TRY(const bool exists, draft.block_exists(cidr));
    if (!exists) {
        MANUL_CHECK(create_block(draft, world, cidr, now));
        MANUL_CHECK(confirm(draft, world.node, cidr));
        return Claim{cidr, ClaimKind::created};
    }
    MANUL_TRY(const auto block, draft.block(cidr));
    if (block && block->affinity().empty() && has_room(*block, world)) {
        MANUL_CHECK(adopt(draft, world, *block, now));
        return Claim{cidr, ClaimKind::adopted};
    }
    return std::nullopt;
}

}  // namespace

IpamSettings settings_of(const model::IpamConfigurationSpec& spec) {
    return {spec.strict_affinity, spec.auto_allocate_blocks, spec.max_blocks_per_host,
            std::chrono::seconds(spec.ip_cooldown_seconds)};
}

Outcome<bool> settle(Draft& draft, const World& world, const net::Prefix& cidr, WallTime now) {
    MANUL_TRY(const auto affinity, draft.affinity(world.node, cidr));
    MANUL_TRY(const auto block, draft.block(cidr));
    if (!affinity) {
        return false;
    }
    if (!block) {
        MANUL_TRY(const bool unreadable, draft.block_exists(cidr));
        if (unreadable) {
            return false;
        }
        MANUL_CHECK(create_block(draft, world, cidr, now));
        MANUL_CHECK(confirm(draft, world.node, cidr));
        return true;
    }
    if (block->affinity() == host_affinity(world.node)) {
        if (!affinity->is_confirmed()) {
            // Written although unchanged: a rival that looked at this block must lose its compare-and-swap.
            MANUL_CHECK(draft.put_block(cidr, std::make_shared<const Block>(*block)));
            MANUL_CHECK(confirm(draft, world.node, cidr));
        }
        return true;
    }
    if (block->affinity().empty()) {
        MANUL_CHECK(adopt(draft, world, *block, now));
        return true;
    }
    MANUL_CHECK(draft.put_affinity(world.node, cidr, nullptr));
    return false;
}

Outcome<std::optional<Claim>> claim_block(Draft& draft, const World& world, const Pool& pool, WallTime now) {
    const std::uint64_t count = pool.block_count();
    const std::uint64_t start = stable_hash(world.node) % count;
    // In most pools there is room nearby: a few blocks are looked at one by one before the whole cluster's claims are.
    MANUL_TRY(const auto odd, draft.odd_blocks(pool.cidr, pool.block_size));
    const std::uint64_t probes = std::min(count, kProbes);
    for (std::uint64_t i = 0; i < probes; ++i) {
        const net::Prefix cidr = pool.block((start + i) % count);
        if (world.reservations.covers(cidr) ||
            std::ranges::any_of(odd, [&](const net::Prefix& other) { return other.overlaps(cidr); })) {
            continue;
        }
        MANUL_TRY(auto claim, try_claim(draft, world, cidr, now));
        if (claim) {
            return claim;
        }
    }
    MANUL_TRY(const auto affinities, draft.affinities_in(pool.cidr));
    const Taken taken(affinities, pool.block_size);
    const std::uint64_t steps = std::min<std::uint64_t>(count, kMaxSearch + taken.size());
    for (std::uint64_t i = probes; i < steps; ++i) {
        const net::Prefix cidr = pool.block((start + i) % count);
        if (taken.overlaps(cidr) || world.reservations.covers(cidr)) {
            continue;
        }
        MANUL_TRY(auto claim, try_claim(draft, world, cidr, now));
        if (claim) {
            return claim;
        }
    }
    return reclaim(draft, world, pool, now);
}

Outcome<bool> claim_exact(Draft& draft, const World& world, const net::Prefix& cidr, WallTime now) {
    MANUL_TRY(const bool exists, draft.block_exists(cidr));
    if (!exists) {
        MANUL_TRY(const auto affinities, draft.affinities_in(cidr));
        if (std::ranges::any_of(affinities,
                                [&](const Affinity& a) { return a.node != world.node || a.cidr != cidr; })) {
            return false;  // a claim under way, or blocks of another size
        }
        MANUL_CHECK(create_block(draft, world, cidr, now));
        MANUL_CHECK(confirm(draft, world.node, cidr));
        return true;
    }
    MANUL_TRY(const auto block, draft.block(cidr));
    if (block && block->affinity().empty()) {
        MANUL_CHECK(adopt(draft, world, *block, now));
        return true;
    }
    return block && block->affinity() == host_affinity(world.node);
}

Outcome<bool> give_up(Draft& draft, const World& world, const net::Prefix& cidr, bool only_empty, WallTime now) {
    MANUL_TRY(const auto stored, draft.block(cidr));
    if (stored && stored->affinity() == host_affinity(world.node)) {
        auto block = std::make_shared<Block>(*stored);
        block->end_cooldown(now, world.settings.cooldown);
        if (block->is_empty()) {
            MANUL_CHECK(draft.put_block(cidr, nullptr));
        } else if (only_empty) {
            return false;
        } else {
            block->set_affinity("", now);
            MANUL_CHECK(draft.put_block(cidr, std::move(block)));
        }
    }
    MANUL_CHECK(draft.put_affinity(world.node, cidr, nullptr));
    return true;
}

}  // namespace manul::ipam
