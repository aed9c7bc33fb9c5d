#include "ipam/core/repair.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

#include "base/try.hpp"
#include "ipam/core/allocator.hpp"
#include "ipam/core/block.hpp"

namespace manul::ipam {

namespace {

World world_of(const Inventory& inventory, const std::string& node) {
    World world;
    world.node = node;
    world.pools = inventory.pools;
    world.settings = inventory.settings;
    return world;
}

Outcome<bool> allocate(Draft& draft, const Inventory& inventory, const Finding& finding, WallTime now) {
    World world = world_of(inventory, finding.node);
    world.settings.strict_affinity = false;  // the address is in use, wherever its block belongs
    world.settings.auto_allocate_blocks = true;
    Demand demand;
    demand.handle = finding.user->handles.front();
    demand.attributes = finding.user->attributes;
    demand.ipv4 = false;
    demand.addresses = {*finding.address};
    demand.use = finding.user->kind == User::Kind::tunnel ? model::AllowedUse::tunnel : model::AllowedUse::workload;
    MANUL_TRY([[maybe_unused]] const auto assigned, assign(draft, world, demand, now));
    return true;
}

Outcome<bool> recount_handle(Draft& draft, const Finding& finding) {
    Handle counted{.id = finding.handle, .blocks = {}};
    for (const net::Prefix& cidr : finding.handle_blocks) {
        MANUL_TRY(const bool exists, draft.block_exists(cidr));
        MANUL_TRY(const auto block, draft.block(cidr));
        if (exists && !block) {
            return false;  // nobody knows what it holds
        }
        const std::size_t count = block ? block->of_handle(finding.handle).size() : 0;
        if (count > 0) {
            counted.blocks[cidr] = static_cast<std::uint32_t>(count);
        }
    }
    MANUL_TRY(const auto stored, draft.handle(finding.handle));
    if (counted.blocks.empty()) {
        MANUL_CHECK(draft.put_handle(finding.handle, nullptr));
        return stored != nullptr;
    }
    if (stored && *stored == counted) {
        return false;
    }
    MANUL_CHECK(draft.put_handle(finding.handle, std::make_shared<const Handle>(std::move(counted))));
    return true;
}

/// Makes affinity and block of one node agree: the block decides.
Outcome<bool> align(Draft& draft, const Finding& finding) {
    const net::Prefix& cidr = *finding.block;
    MANUL_TRY(const bool exists, draft.block_exists(cidr));
    MANUL_TRY(const auto block, draft.block(cidr));
    if (exists && !block) {
        return false;
    }
    MANUL_TRY(const auto stored, draft.affinity(finding.node, cidr));
    if (!block || block->affinity() != host_affinity(finding.node)) {
        MANUL_CHECK(draft.put_affinity(finding.node, cidr, nullptr));
        return stored != nullptr;
    }
    if (stored && stored->is_confirmed() && stored->node == finding.node) {
        return false;
    }
    // The block is written too, so that whoever decides on what it said before loses the race.
    MANUL_CHECK(draft.put_block(cidr, std::make_shared<const Block>(*block)));
    MANUL_CHECK(draft.put_affinity(
        finding.node, cidr,
        std::make_shared<const Affinity>(Affinity{finding.node, cidr, model::AffinityState::confirmed})));
    return true;
}

Outcome<bool> remove_empty(Draft& draft, const Finding& finding) {
    MANUL_TRY(const auto block, draft.block(*finding.block));
    if (!block || !block->is_empty()) {
        return false;
    }
    MANUL_CHECK(draft.put_block(*finding.block, nullptr));
    if (const auto node = affinity_node(block->affinity())) {
        MANUL_CHECK(draft.put_affinity(std::string(*node), *finding.block, nullptr));
    }
    return true;
}

}  // namespace

Outcome<bool> repair(Draft& draft, const Inventory& inventory, const Finding& finding, WallTime now) {
    switch (finding.problem) {
        case Problem::leaked_address: {
            const World world = world_of(inventory, finding.node);
            MANUL_TRY(const Released done,
                      release_address(draft, world, *finding.address, *finding.block, finding.sequence, now));
            return done == Released::yes;
        }
        case Problem::unallocated_in_pool:
            return allocate(draft, inventory, finding, now);
        case Problem::handle_without_address:
        case Problem::handle_missing:
        case Problem::handle_count:
            return recount_handle(draft, finding);
        case Problem::affinity_without_block:
        case Problem::block_without_affinity:
        case Problem::owners_differ:
        case Problem::pending_affinity:
            return align(draft, finding);
        case Problem::block_outside_pools:
        case Problem::block_size:
        case Problem::overlapping_blocks:
            return remove_empty(draft, finding);
        default:
            return false;
    }
}

model::IpamBlockSpec salvage(const model::IpamBlockSpec& damaged, WallTime now) {
    model::IpamBlockSpec out = damaged;
    const std::size_t bits = static_cast<std::size_t>(net::address_bits(damaged.cidr.family()) - damaged.cidr.length());
    const std::size_t size = std::size_t{1} << std::min<std::size_t>(bits, 12);
    out.allocations.resize(size);
    out.attributes.clear();
    out.unallocated.clear();
    std::map<std::uint32_t, std::uint32_t> moved;  // index of an attribute before -> now
    std::vector<bool> is_free(size, true);
    for (std::size_t i = 0; i < size; ++i) {
        auto& index = out.allocations[i];
        if (!index) {
            continue;
        }
        if (*index >= damaged.attributes.size()) {
            index.reset();
            continue;
        }
        const auto [at, is_new] = moved.try_emplace(*index, static_cast<std::uint32_t>(out.attributes.size()));
        if (is_new) {
            model::AllocationAttribute attribute = damaged.attributes[*index];
            if (attribute.released_at && parse_timestamp(*attribute.released_at).value_or(WallTime::max()) > now) {
                attribute.released_at = print_timestamp(now);
            }
            out.attributes.push_back(std::move(attribute));
        }
        index = at->second;
        is_free[i] = false;
    }
    for (const std::uint32_t ordinal : damaged.unallocated) {  // the order tells which rested longest
        if (ordinal < size && is_free[ordinal]) {
            out.unallocated.push_back(ordinal);
            is_free[ordinal] = false;
        }
    }
    for (std::size_t i = 0; i < size; ++i) {
        if (is_free[i]) {
            out.unallocated.push_back(static_cast<std::uint32_t>(i));
        }
    }
    std::erase_if(out.sequence_number_for_allocation,
                  [&](const auto& one) { return one.first >= size || !out.allocations[one.first]; });
    for (const auto& [ordinal, sequence] : out.sequence_number_for_allocation) {
        out.sequence_number = std::max(out.sequence_number, sequence);
    }
    ++out.sequence_number;
    return out;
}

}  // namespace manul::ipam
