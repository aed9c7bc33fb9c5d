#include "ipam/core/allocator.hpp"

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "base/try.hpp"

namespace manul::ipam {

namespace {

/// One request on its way through the draft.
class Assignment {
public:
    Assignment(Draft& draft, const World& world, const Demand& demand, WallTime now)
        : draft_(draft), world_(world), demand_(demand), now_(now) {
        Owner owner;
        owner.handle = demand.handle;
        owner.attributes = demand.attributes;
        owner_ = std::make_shared<const Owner>(std::move(owner));
    }

    Outcome<std::vector<Assigned>> run() {
        std::vector<Assigned> out;
        for (const net::Family family : {net::Family::v4, net::Family::v6}) {
            const auto named = std::ranges::find(demand_.addresses, family, &net::Ip::family);
            if (named != demand_.addresses.end()) {
                MANUL_TRY(Assigned assigned, exact(*named));
                out.push_back(std::move(assigned));
            } else if (demand_.addresses.empty() && (family == net::Family::v4 ? demand_.ipv4 : demand_.ipv6)) {
                // Who names addresses gets these and no others, as with Calico.
                MANUL_TRY(Assigned assigned, any(family));
                out.push_back(std::move(assigned));
            }
        }
        if (out.empty()) {
            return refuse(ErrorCode::invalid_config, "the request asks for no address of either family");
        }
        MANUL_CHECK(count(out));
        return out;
    }

private:
    template <class... Args>
    void note(fmt::format_string<const Args&...> format, const Args&... args) {
        if (demand_.reasons != nullptr) {
            demand_.reasons->push_back(fmt::format(format, args...));
        }
    }
    Assigned chosen(const net::Ip& address, const net::Prefix& block, const Pool& pool, Choice choice) {
        note("block {}: gives {}, because {}", block.to_string(), address.to_string(), describe(choice));
        return {address, block, pool.name, choice == Choice::borrowed, choice};
    }
    static Choice choice_of(ClaimKind kind) noexcept {
        switch (kind) {
            case ClaimKind::adopted:
                return Choice::adopted_block;
            case ClaimKind::reclaimed:
                return Choice::reclaimed_block;
            case ClaimKind::created:
                break;
        }
        return Choice::created_block;
    }

    Outcome<Assigned> any(net::Family family) {
        PoolQuery query{.family = family,
                        .use = demand_.use,
                        .wanted = family == net::Family::v4 ? demand_.ipv4_pools : demand_.ipv6_pools,
                        .node_labels = world_.node_labels,
                        .namespace_labels = demand_.namespace_labels};
        std::vector<std::string> passed_over;
        const auto pools = select_pools(world_.pools, query, &passed_over);
        for (const std::string& pool : passed_over) {
            note("pool {}: passed over", pool);
        }
        if (!pools) {
            // Without any usable pool a retry helps once somebody applies one; a named pool is the request's mistake.
            return refuse(query.wanted.empty() ? ErrorCode::try_again : ErrorCode::invalid_config,
                          pools.error().message);
        }
        for (const Pool* pool : *pools) {
            note("pool {} ({}): {}", pool->name, pool->cidr.to_string(),
                 query.wanted.empty() ? "serves this node, namespace and use" : "asked for by name");
        }
        MANUL_TRY(auto own, from_own_blocks(*pools));
        if (own) {
            return *std::move(own);
        }
        MANUL_TRY(const bool at_limit, block_limit_reached(*pools));
        if (at_limit) {
            note("no new block: this node owns {}, as many as maxBlocksPerHost allows",
                 world_.settings.max_blocks_per_host);
        } else if (!world_.settings.auto_allocate_blocks) {
            note("no new block: autoAllocateBlocks is off");
        } else {
            MANUL_TRY(auto claimed, from_new_block(*pools));
            if (claimed) {
                return *std::move(claimed);
            }
        }
        if (!world_.settings.strict_affinity) {
            MANUL_TRY(auto borrowed, from_others(*pools));
            if (borrowed) {
                return *std::move(borrowed);
            }
        }
        return exhausted(*pools, at_limit);
    }

    Outcome<std::optional<Assigned>> from_own_blocks(const std::vector<const Pool*>& pools) {
        // Who asks for reasons hears of every block; an allocation has no time for those that are full.
        MANUL_TRY(const auto blocks,
                  demand_.reasons != nullptr ? draft_.blocks_of(world_.node) : draft_.roomy_blocks_of(world_.node));
        for (const Pool* pool : pools) {
            for (const net::Prefix& cidr : blocks) {
                if (!pool->cidr.contains(cidr)) {
                    continue;
                }
                MANUL_TRY(const bool mine, settle(draft_, world_, cidr, now_));
                if (!mine) {
                    note("block {}: claimed by this node, but another one's", cidr.to_string());
                    continue;
                }
                MANUL_TRY(const auto address, take(cidr));
                if (address) {
                    return chosen(*address, cidr, *pool, Choice::own_block);
                }
                note("block {}: this node's, but nothing in it is free", cidr.to_string());
            }
        }
        return std::nullopt;
    }

    Outcome<std::optional<Assigned>> from_new_block(const std::vector<const Pool*>& pools) {
        for (const Pool* pool : pools) {
            MANUL_TRY(const auto claim, claim_block(draft_, world_, *pool, now_));
            if (!claim) {
                note("pool {}: has no block left to claim", pool->name);
                continue;
            }
            MANUL_TRY(const auto address, take(claim->cidr));
            if (address) {
                return chosen(*address, claim->cidr, *pool, choice_of(claim->kind));
            }
        }
        return std::nullopt;
    }

    Outcome<std::optional<Assigned>> from_others(const std::vector<const Pool*>& pools) {
        for (const Pool* pool : pools) {
            MANUL_TRY(const auto blocks, draft_.blocks_in(pool->cidr));
            // Each attachment begins elsewhere, so that borrowers do not queue for one block.
            const std::size_t start = blocks.empty() ? 0 : std::hash<std::string>{}(demand_.handle) % blocks.size();
            for (std::size_t i = 0; i < blocks.size(); ++i) {
                const net::Prefix& cidr = blocks[(start + i) % blocks.size()];
                MANUL_TRY(const auto block, draft_.block(cidr));
                if (!block || !pool->cidr.contains(cidr) || block->affinity().starts_with("virtual:")) {
                    continue;
                }
                MANUL_TRY(const auto address, take(cidr));
                if (address) {
                    return chosen(*address, cidr, *pool, Choice::borrowed);
                }
            }
        }
        return std::nullopt;
    }

    /// The next address of a block, nothing when it has none to give.
    Outcome<std::optional<net::Ip>> take(const net::Prefix& cidr) {
        MANUL_TRY(const auto stored, draft_.block(cidr));
        if (!stored || (stored->free_count() == 0 && stored->cooling_count() == 0)) {
            return std::nullopt;
        }
        auto block = std::make_shared<Block>(*stored);
        block->end_cooldown(now_, world_.settings.cooldown);
        const auto address = block->allocate(owner_, [&](const net::Ip& ip) { return !world_.may_give(ip); });
        if (address) {
            MANUL_CHECK(draft_.put_block(cidr, std::move(block)));
        }
        return address;
    }

    Outcome<Assigned> exact(const net::Ip& address) {
        const std::string text = address.to_string();
        const Pool* pool = pool_of(world_.pools, address);
        if (pool == nullptr) {
            return refuse(ErrorCode::invalid_config,
                          fmt::format("{} was asked for, but lies in no enabled IPPool", text));
        }
        if (!pool->allows(demand_.use)) {
            return refuse(ErrorCode::invalid_config,
                          fmt::format("{} was asked for, but IPPool {} does not allow this use", text, pool->name));
        }
        const net::Prefix cidr = pool->block_of(address);
        MANUL_TRY(bool mine, settle(draft_, world_, cidr, now_));
        if (!mine && world_.settings.auto_allocate_blocks) {
            MANUL_TRY(mine, claim_exact(draft_, world_, cidr, now_));
        }
        MANUL_TRY(const auto stored, draft_.block(cidr));
        if (!stored) {
            return refuse(ErrorCode::try_again,
                          fmt::format("{} was asked for, but its block {} cannot be used", text, cidr.to_string()));
        }
        if (!mine && world_.settings.strict_affinity && !stored->affinity().empty()) {
            return refuse(ErrorCode::invalid_config,
                          fmt::format("{} was asked for, but its block {} belongs to {} and strictAffinity is on", text,
                                      cidr.to_string(), stored->affinity()));
        }
        auto block = std::make_shared<Block>(*stored);
        block->end_cooldown(now_, world_.settings.cooldown);
        const Block::Ordinal ordinal = *block->ordinal(address);
        if (const OwnerPtr& other = block->owner(ordinal)) {
            return no_room(other->is_cooling()
                               ? fmt::format("{} was asked for, but rests (cool-down of {} s)", text,
                                             world_.settings.cooldown.count())
                               : fmt::format("{} was asked for, but is in use ({})", text, other->handle));
        }
        if (const auto link = world_.unrecorded.find(address); link != world_.unrecorded.end()) {
            return no_room(
                fmt::format("{} was asked for, but a pod of this node that the datastore does not know has it "
                            "(link {})",
                            text, link->second));
        }
        block->allocate_exact(ordinal, owner_);
        MANUL_CHECK(draft_.put_block(cidr, std::move(block)));
        Assigned assigned = chosen(address, cidr, *pool, Choice::requested);
        assigned.borrowed = !mine;
        return assigned;
    }

    /// The limit counts for each family by itself, and only blocks that could serve the request.
    Outcome<bool> block_limit_reached(const std::vector<const Pool*>& pools) {
        if (world_.settings.max_blocks_per_host == 0) {
            return false;
        }
        MANUL_TRY(const auto blocks, draft_.blocks_of(world_.node));
        const auto owned = std::ranges::count_if(blocks, [&](const net::Prefix& block) {
            return std::ranges::any_of(pools, [&](const Pool* pool) { return pool->cidr.contains(block); });
        });
        return static_cast<std::size_t>(owned) >= world_.settings.max_blocks_per_host;
    }

    Outcome<Assigned> exhausted(const std::vector<const Pool*>& pools, bool at_limit) {
        std::vector<std::string> figures;
        bool others_have_room = false;
        for (const Pool* pool : pools) {
            MANUL_TRY(const PoolUsage usage, usage_of(draft_, world_, *pool, now_));
            others_have_room = others_have_room || usage.free_in_others > 0;
            figures.push_back(describe(*pool, usage));
        }
        std::string why;
        if (at_limit) {
            why = fmt::format("this node's blocks are full and it may own only {} (maxBlocksPerHost); ",
                              world_.settings.max_blocks_per_host);
        } else if (!world_.settings.auto_allocate_blocks) {
            why = "this node's blocks are full and it may not claim more (autoAllocateBlocks is off); ";
        } else if (others_have_room) {
            why = "what is free belongs to other nodes and strictAffinity is on; ";
        }
        return no_room(fmt::format("no free address: {}{}", why, fmt::join(figures, "; ")),
                       "apply a further IPPool, or look for leaked addresses with `manulctl ipam check`");
    }

    /// Makes the handle say what its blocks hold.
    Outcome<void> count(const std::vector<Assigned>& assigned) {
        MANUL_TRY(const auto stored, draft_.handle(demand_.handle));
        auto handle = std::make_shared<Handle>(stored ? *stored : Handle{.id = demand_.handle, .blocks = {}});
        for (const Assigned& a : assigned) {
            MANUL_TRY(const auto block, draft_.block(a.block));
            handle->blocks[a.block] = static_cast<std::uint32_t>(block->of_handle(demand_.handle).size());
        }
        return draft_.put_handle(demand_.handle, std::move(handle));
    }

    Draft& draft_;
    const World& world_;
    const Demand& demand_;
    WallTime now_;
    OwnerPtr owner_;
};

/// Puts a block back after a release. One without owner goes when nothing is left in it.
Outcome<void> put_released(Draft& draft, std::shared_ptr<Block> block) {
    const net::Prefix cidr = block->cidr();
    if (block->affinity().empty() && block->is_empty()) {
        return draft.put_block(cidr, nullptr);
    }
    return draft.put_block(cidr, std::move(block));
}

/// Makes a handle agree with one of its blocks; removes it with its last address.
Outcome<void> recount(Draft& draft, const std::string& id, const net::Prefix& cidr) {
    MANUL_TRY(const auto stored, draft.handle(id));
    if (!stored) {
        return {};
    }
    MANUL_TRY(const auto block, draft.block(cidr));
    auto handle = std::make_shared<Handle>(*stored);
    const std::size_t left = block ? block->of_handle(id).size() : 0;
    if (left == 0) {
        handle->blocks.erase(cidr);
    } else {
        handle->blocks[cidr] = static_cast<std::uint32_t>(left);
    }
    if (handle->blocks.empty()) {
        return draft.put_handle(id, nullptr);
    }
    return draft.put_handle(id, std::move(handle));
}

template <class F>
auto all_or_nothing(Draft& draft, F&& work) {
    const Draft::Savepoint before = draft.savepoint();
    auto result = std::forward<F>(work)();
    if (!result) {
        draft.roll_back(before);
    }
    return result;
}

Outcome<std::vector<net::Ip>> release_all(Draft& draft, const World& world, const std::string& id, WallTime now) {
    std::vector<net::Ip> freed;
    MANUL_TRY(const auto handle, draft.handle(id));
    if (!handle) {
        return freed;
    }
    for (const auto& [cidr, expected] : handle->blocks) {
        MANUL_TRY(const bool exists, draft.block_exists(cidr));
        MANUL_TRY(const auto stored, draft.block(cidr));
        if (exists && !stored) {
            return refuse(ErrorCode::try_again,
                          fmt::format("block {} cannot be understood; its addresses stay allocated", cidr.to_string()));
        }
        if (!stored) {
            continue;
        }
        auto block = std::make_shared<Block>(*stored);
        for (const Block::Ordinal ordinal : block->of_handle(id)) {
            if (block->release(ordinal, std::nullopt, now, world.settings.cooldown)) {
                freed.push_back(block->address(ordinal));
            }
        }
        MANUL_CHECK(put_released(draft, std::move(block)));
    }
    MANUL_CHECK(draft.put_handle(id, nullptr));
    return freed;
}

Outcome<Released> release_one(Draft& draft, const World& world, const net::Ip& address, const net::Prefix& cidr,
                              std::optional<std::uint64_t> sequence, WallTime now) {
    MANUL_TRY(const auto stored, draft.block(cidr));
    const auto ordinal = stored ? stored->ordinal(address) : std::nullopt;
    if (!ordinal) {
        return Released::not_allocated;
    }
    auto block = std::make_shared<Block>(*stored);
    const auto former = block->release(*ordinal, sequence, now, world.settings.cooldown);
    if (!former) {
        return former.error() == ReleaseError::not_allocated ? Released::not_allocated : Released::taken_over;
    }
    MANUL_CHECK(put_released(draft, std::move(block)));
    if (!(*former)->handle.empty()) {
        MANUL_CHECK(recount(draft, (*former)->handle, cidr));
    }
    return Released::yes;
}

}  // namespace

Outcome<std::vector<Assigned>> assign(Draft& draft, const World& world, const Demand& demand, WallTime now) {
    return all_or_nothing(draft, [&] { return Assignment(draft, world, demand, now).run(); });
}

Outcome<std::vector<net::Ip>> release_handle(Draft& draft, const World& world, const std::string& handle,
                                             WallTime now) {
    return all_or_nothing(draft, [&] { return release_all(draft, world, handle, now); });
}

Outcome<Released> release_address(Draft& draft, const World& world, const net::Ip& address, const net::Prefix& block,
                                  std::optional<std::uint64_t> sequence, WallTime now) {
    return all_or_nothing(draft, [&] { return release_one(draft, world, address, block, sequence, now); });
}

std::string_view describe(Choice choice) noexcept {
    switch (choice) {
        case Choice::own_block:
            return "the node's own block had room";
        case Choice::created_block:
            return "no block of the node had room and it claimed this new one";
        case Choice::adopted_block:
            return "no block of the node had room and this one had, without an owner";
        case Choice::reclaimed_block:
            return "no block was left to claim and this one stood empty with another node";
        case Choice::borrowed:
            return "no block was left to claim and another node's had room";
        case Choice::requested:
            return "it was asked for by name";
    }
    return {};
}

Outcome<PoolUsage> usage_of(Draft& draft, const World& world, const Pool& pool, WallTime now) {
    PoolUsage usage;
    usage.total = pool.address_count();
    usage.reserved_free = world.reservations.count_in(pool.cidr);
    std::set<std::string, std::less<>> nodes;
    MANUL_TRY(const auto blocks, draft.blocks_in(pool.cidr));
    for (const net::Prefix& cidr : blocks) {
        MANUL_TRY(std::shared_ptr<const Block> block, draft.block(cidr));
        if (!block) {
            continue;
        }
        if (block->cooling_count() > 0) {  // stored as resting until somebody writes the block again
            auto rested = std::make_shared<Block>(*block);
            rested->end_cooldown(now, world.settings.cooldown);
            block = std::move(rested);
        }
        usage.in_use += block->in_use_count();
        usage.cooling += block->cooling_count();
        const auto reserved =
            static_cast<std::size_t>(std::ranges::count_if(block->free_ordinals(), [&](Block::Ordinal ordinal) {
                return world.reservations.contains(block->address(ordinal));
            }));
        const bool own = block->affinity() == host_affinity(world.node);
        (own ? usage.free_in_own : usage.free_in_others) += block->free_count() - reserved;
        for (std::size_t i = 0; i < block->size(); ++i) {
            const OwnerPtr& owner = block->owner(static_cast<Block::Ordinal>(i));
            if (owner && owner->is_cooling()) {
                const WallTime rested = std::min(*owner->released_at, now) + world.settings.cooldown;
                usage.first_rested = std::min(usage.first_rested.value_or(rested), rested);
                usage.last_rested = std::max(usage.last_rested.value_or(rested), rested);
            } else if (owner && !owner->node().empty()) {
                nodes.emplace(owner->node());
            }
            usage.reserved_free -=
                owner && world.reservations.contains(block->address(static_cast<Block::Ordinal>(i))) ? 1 : 0;
        }
    }
    usage.nodes = nodes.size();
    for (const auto& [address, link] : world.unrecorded) {
        if (pool.cidr.contains(address)) {
            MANUL_TRY(const auto block, draft.block(pool.block_of(address)));
            usage.unrecorded += block && block->owner(*block->ordinal(address)) ? 0U : 1U;
        }
    }
    return usage;
}

std::string describe(const Pool& pool, const PoolUsage& usage) {
    const double taken = static_cast<double>(usage.in_use + usage.cooling + usage.unrecorded) + usage.reserved_free;
    std::string text = fmt::format("pool {} has {:.0f} free of {:.0f}: {} in use by {} node{}", pool.name,
                                   std::max(0.0, usage.total - taken), usage.total, usage.in_use, usage.nodes,
                                   usage.nodes == 1 ? "" : "s");
    if (usage.cooling > 0) {
        text += fmt::format(", {} in cool-down", usage.cooling);
        if (usage.first_rested && usage.last_rested) {
            text += " until " + print_timestamp(*usage.first_rested);
            if (*usage.last_rested > *usage.first_rested) {
                text += fmt::format(" (the last until {})", print_timestamp(*usage.last_rested));
            }
        }
    }
    if (usage.reserved_free > 0) {
        text += fmt::format(", {:.0f} reserved", usage.reserved_free);
    }
    if (usage.unrecorded > 0) {
        text += fmt::format(", {} used by pods of this node that the datastore does not know", usage.unrecorded);
    }
    if (usage.free_in_others > 0) {
        text += fmt::format(", {} free in blocks of other nodes", usage.free_in_others);
    }
    return text;
}

}  // namespace manul::ipam
