#include <algorithm>
#include <cstddef>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/try.hpp"
#include "ipam/core/names.hpp"
#include "ipam/core/tunnels.hpp"
#include "ipam/service/service.hpp"

// What the service does without being asked: the addresses of this node's own tunnel ends, and giving back what nobody
// uses.

namespace manul::ipam {

namespace {

/// Whether a tunnel end's address is allocated to it, in one of the pools that it may use.
Outcome<bool> is_sound(Draft& draft, const World& world, const std::vector<std::string>& pools,
                       const std::string& handle, const net::Ip& address) {
    for (const Pool& pool : world.pools) {
        if (!pool.cidr.contains(address) || std::ranges::find(pools, pool.name) == pools.end()) {
            continue;
        }
        MANUL_TRY(const auto block, draft.block(pool.block_of(address)));
        const auto ordinal = block ? block->ordinal(address) : std::nullopt;
        const OwnerPtr owner = ordinal ? block->owner(*ordinal) : nullptr;
        return owner && !owner->is_cooling() && owner->handle == handle;
    }
    return false;
}

/// The address that is allocated to a tunnel end already, where it may still use it: a Node that was deleted and made
/// anew knows nothing of it.
Outcome<std::optional<net::Ip>> sound_address(Draft& draft, const World& world, const std::vector<std::string>& pools,
                                              const std::string& handle) {
    MANUL_TRY(const auto stored, draft.handle(handle));
    if (!stored) {
        return std::nullopt;
    }
    for (const auto& [cidr, count] : stored->blocks) {
        MANUL_TRY(const auto block, draft.block(cidr));
        const auto ordinals = block ? block->of_handle(handle) : std::vector<Block::Ordinal>{};
        for (const Block::Ordinal ordinal : ordinals) {
            const net::Ip address = block->address(ordinal);
            MANUL_TRY(const bool sound, is_sound(draft, world, pools, handle, address));
            if (sound) {
                return address;
            }
        }
    }
    return std::nullopt;
}

void add_handles_of(const Block& block, const std::set<PodName>& pods, std::set<std::string>& handles) {
    for (Block::Ordinal i = 0; !pods.empty() && i < block.size(); ++i) {
        if (const OwnerPtr& owner = block.owner(i)) {
            const auto ns = owner->attributes.find("namespace");
            const auto pod = owner->attributes.find("pod");
            if (ns != owner->attributes.end() && pod != owner->attributes.end() &&
                pods.contains({ns->second, pod->second})) {
                handles.insert(owner->handle);
            }
        }
    }
}

}  // namespace

/// Returns what changed, empty when nothing did.
Outcome<std::string> Service::sync_tunnel(Transaction& transaction, Tunnel tunnel, WallTime now) {
    const World& world = knowledge_.world();
    Draft& draft = transaction.ipam();
    MANUL_TRY(const auto node, transaction.node(host_.node));
    if (!node) {
        return std::string();  // it is written back first
    }
    const std::string handle = tunnel_handle(tunnel, host_.node);
    std::vector<std::string> pools = tunnel_pools(tunnel, world.pools, world.node_labels, knowledge_.tunnel_settings());
    if (tunnel == Tunnel::ipip && !(node->spec.bgp && node->spec.bgp->ipv4_address)) {
        pools.clear();  // the outer address of an IPIP tunnel is the one of BGP
    }
    const auto current = tunnel_address(node->spec, tunnel);
    auto wanted = current;
    bool sound = false;
    if (current && !pools.empty()) {
        MANUL_TRY(sound, is_sound(draft, world, pools, handle, *current));
    }
    if (!sound && !pools.empty()) {
        MANUL_TRY(wanted, sound_address(draft, world, pools, handle));
        sound = wanted.has_value();
    }
    if (!sound) {
        MANUL_TRY([[maybe_unused]] const auto freed, release_handle(draft, world, handle, now));
        wanted.reset();
        if (!pools.empty()) {
            Demand demand;
            demand.handle = handle;
            demand.attributes = {{"node", host_.node}, {"type", std::string(tunnel_type(tunnel))}};
            demand.ipv4 = tunnel_family(tunnel) == net::Family::v4;
            demand.ipv6 = !demand.ipv4;
            (demand.ipv4 ? demand.ipv4_pools : demand.ipv6_pools) = pools;
            demand.use = model::AllowedUse::tunnel;
            MANUL_TRY(const auto assigned, assign(draft, world, demand, now));
            wanted = assigned.front().address;
        }
    }
    model::NodeSpec spec = node->spec;
    if (wanted || current) {
        set_tunnel_address(spec, tunnel, wanted, host_.node);
    }
    if (spec == node->spec) {
        return std::string();
    }
    MANUL_CHECK(transaction.put_node(host_.node, spec));
    return fmt::format("{} {}", tunnel_type(tunnel), wanted ? wanted->to_string() : "(none any more)");
}

Outcome<std::vector<std::string>> Service::sync_tunnels(WallTime now) {
    std::vector<std::string> lines;
    if (not_ready()) {
        return lines;
    }
    source_.begin(now);
    std::vector<std::string> changed(kTunnels.size());
    std::vector<Change> changes;
    for (std::size_t i = 0; i < kTunnels.size(); ++i) {
        changes.emplace_back([&, i](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY(changed[i], sync_tunnel(transaction, kTunnels[i], now));
            return {};
        });
    }
    const auto results = committer_.run(changes);
    for (std::size_t i = 0; i < results.size(); ++i) {
        MANUL_CHECK(results[i]);
        if (!changed[i].empty()) {
            lines.push_back(std::move(changed[i]));
        }
    }
    return lines;
}

Outcome<Service::Blocks> Service::look_at_blocks(bool everywhere) {
    Blocks out;
    const std::string mine = host_affinity(host_.node);
    MANUL_TRY(const auto cidrs, source_.blocks_of(host_.node));
    for (const net::Prefix& cidr : cidrs) {
        MANUL_TRY(auto block, source_.block(cidr));
        if (block.value && block.value->affinity() == mine) {
            out.own.push_back(std::move(block.value));
        }
    }
    for (std::size_t i = 0; everywhere && i < knowledge_.world().pools.size(); ++i) {
        MANUL_TRY(const auto in_pool, source_.blocks_in(knowledge_.world().pools[i].cidr));
        for (const net::Prefix& cidr : in_pool) {
            MANUL_TRY(auto block, source_.block(cidr));
            if (block.value && block.value->affinity() != mine) {
                out.others.push_back(std::move(block.value));
            }
        }
    }
    return out;
}

Outcome<std::set<std::string>> Service::handles_in_use(const Blocks& blocks, const std::set<std::string>& busy) {
    std::set<std::string> in_use = busy;
    std::set<PodName> without_record;
    MANUL_TRY(const StoreSource::Endpoints* endpoints, source_.own_endpoints());
    for (const auto& [key, endpoint] : *endpoints) {
        if (endpoint->spec.container_id.empty()) {
            without_record.insert(pod_of(*endpoint));
            continue;
        }
        in_use.insert(handle_id(network_of(*endpoint), attachment_of(*endpoint)));
        in_use.insert(calico_handle_id(network_of(*endpoint), endpoint->spec.container_id));
    }
    // A Pod that was made anew while its container runs (a static pod's mirror) does not know the container.
    for (const auto* some : {&blocks.own, &blocks.others}) {
        for (const BlockPtr& block : *some) {
            add_handles_of(*block, without_record, in_use);
        }
    }
    return in_use;
}

Outcome<std::vector<std::string>> Service::leaked_handles(const Blocks& blocks, const std::set<std::string>& in_use,
                                                          const std::optional<std::set<std::string>>& containers,
                                                          bool everywhere, SteadyTime steady) {
    auto leaked = leaks_.observe(blocks.own, host_.node, in_use, containers, steady);
    if (everywhere) {
        std::ranges::copy(borrowed_leaks_.observe(blocks.others, host_.node, in_use, containers, steady),
                          std::back_inserter(leaked));
    }
    if (leaked.empty()) {
        return leaked;
    }
    MANUL_TRY(const auto used, source_.addresses_in_use());
    if (!used) {
        return std::vector<std::string>();
    }
    std::vector<BlockPtr> all = blocks.own;
    all.insert(all.end(), blocks.others.begin(), blocks.others.end());
    return without_users(leaked, all, *used);
}

std::size_t Service::give_up_empty(const Blocks& blocks, SteadyTime steady, WallTime now) {
    const World& world = knowledge_.world();
    const auto empty = empty_blocks_.observe(blocks.own, world, steady, now);
    std::vector<char> given_up(empty.size(), 0);
    std::vector<Change> changes;
    for (std::size_t i = 0; i < empty.size(); ++i) {
        changes.emplace_back([&, i](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY(const bool done, give_up(transaction.ipam(), world, empty[i], true, now));
            given_up[i] = done ? 1 : 0;
            return {};
        });
    }
    std::size_t count = 0;
    const auto results = committer_.run(changes);
    for (std::size_t i = 0; i < results.size(); ++i) {
        count += results[i] && given_up[i] != 0 ? 1U : 0U;
    }
    return count;
}

Outcome<Service::Tidied> Service::tidy(const std::set<std::string>& busy,
                                       const std::optional<std::set<std::string>>& containers, bool everywhere,
                                       SteadyTime steady, WallTime now) {
    Tidied tidied;
    if (not_ready()) {
        return tidied;
    }
    source_.begin(now);
    MANUL_TRY(const Blocks blocks, look_at_blocks(everywhere));
    if (everywhere && host_.on_kubernetes) {
        MANUL_CHECK(source_.reread_endpoints());
    }
    MANUL_TRY(const auto in_use, handles_in_use(blocks, busy));
    source_.end();
    MANUL_TRY(const auto leaked, leaked_handles(blocks, in_use, containers, everywhere, steady));
    for (const auto& freed : release_handles(leaked, now)) {
        tidied.handles += freed && *freed ? 1U : 0U;
    }
    tidied.blocks = give_up_empty(blocks, steady, now);
    return tidied;
}

}  // namespace manul::ipam
