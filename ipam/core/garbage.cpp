#include "ipam/core/garbage.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "base/ascii.hpp"
#include "ipam/core/names.hpp"

namespace manul::ipam {

namespace {

/// Whether a handle may be that of one of the containers; when in doubt, it is.
bool is_of_any(const std::string& handle, const std::set<std::string>& containers) {
    return std::ranges::any_of(
        containers, [&](const std::string& id) { return handle.find(ascii::lowered(id)) != std::string::npos; });
}

/// The pool that keeps a block of this range on the node; null: nothing does.
const Pool* keeper_of(const net::Prefix& cidr, const World& world) {
    const auto at = std::ranges::find_if(world.pools, [&](const Pool& pool) {
        return pool.cidr.contains(cidr) && !pool.disabled && selects_node(pool, world.node_labels);
    });
    return at == world.pools.end() ? nullptr : &*at;
}

}  // namespace

std::vector<net::Prefix> EmptyBlocks::observe(const std::vector<BlockPtr>& own, const World& world, SteadyTime now,
                                              WallTime wall) {
    std::vector<net::Prefix> give_up;
    std::map<net::Prefix, SteadyTime> still_empty;
    std::map<const Pool*, std::size_t> left;
    for (const BlockPtr& block : own) {
        ++left[keeper_of(block->cidr(), world)];
    }
    for (const BlockPtr& stored : own) {
        Block block = *stored;
        block.end_cooldown(wall, world.settings.cooldown);
        if (!block.is_empty()) {
            continue;
        }
        const Pool* keeper = keeper_of(block.cidr(), world);
        if (keeper == nullptr) {
            give_up.push_back(block.cidr());
            continue;
        }
        const auto before = empty_since_.find(block.cidr());
        const SteadyTime since = before == empty_since_.end() ? now : before->second;
        if (now - since >= kGrace && left[keeper] > keep_) {
            --left[keeper];
            give_up.push_back(block.cidr());
        } else {
            still_empty.emplace(block.cidr(), since);
        }
    }
    empty_since_ = std::move(still_empty);
    return give_up;
}

std::vector<std::string> Leaks::observe(const std::vector<BlockPtr>& blocks, const std::string& node,
                                        const std::set<std::string>& alive,
                                        const std::optional<std::set<std::string>>& containers, SteadyTime now) {
    std::map<std::string, SteadyTime> suspected;
    for (const BlockPtr& block : blocks) {
        for (std::size_t i = 0; i < block->size(); ++i) {
            const OwnerPtr& owner = block->owner(static_cast<Block::Ordinal>(i));
            if (!owner || owner->is_cooling() || owner->node() != node || owner->handle.empty() ||
                owner->attributes.contains("type") || !owner->attributes.contains("pod") ||
                alive.contains(owner->handle)) {
                continue;
            }
            const auto before = suspected_since_.find(owner->handle);
            suspected.emplace(owner->handle, before == suspected_since_.end() ? now : before->second);
        }
    }
    suspected_since_ = std::move(suspected);
    std::vector<std::string> confirmed;
    for (const auto& [handle, since] : suspected_since_) {
        const bool without_link = containers && !is_of_any(handle, *containers);
        if (now - since >= (without_link ? kGraceWithoutLink : kGrace)) {
            confirmed.push_back(handle);
        }
    }
    return confirmed;
}

std::vector<std::string> without_users(const std::vector<std::string>& handles, const std::vector<BlockPtr>& blocks,
                                       const std::set<net::Ip>& used) {
    std::vector<std::string> out;
    for (const std::string& handle : handles) {
        const bool in_use = std::ranges::any_of(blocks, [&](const BlockPtr& block) {
            return std::ranges::any_of(block->of_handle(handle),
                                       [&](Block::Ordinal ordinal) { return used.contains(block->address(ordinal)); });
        });
        if (!in_use) {
            out.push_back(handle);
        }
    }
    return out;
}

}  // namespace manul::ipam
