#include "felix/calc/overlay_plan.hpp"

#include <algorithm>
#include <utility>

#include "config/model/vxlan_mac.hpp"

namespace manul::felix {

namespace {

template <class Map>
void erase_from(Map& map, const typename Map::key_type& key, const typename Map::mapped_type::key_type& member) {
    const auto found = map.find(key);
    if (found == map.end()) {
        return;
    }
    found->second.erase(member);
    if (found->second.empty()) {
        map.erase(found);
    }
}

/// Of a node's tunnel end, which claims its address like a workload does.
model::Key end_key(const std::string& node) { return {model::Kind::node, {}, node}; }

}  // namespace

// --- what there is ---------------------------------------------------------------------------------------------------

OverlayPlan::Node OverlayPlan::node_of(const model::Node& node) {
    const model::NodeSpec& spec = node.spec;
    Node out;
    if (spec.bgp) {
        out.address_v4 = spec.bgp->ipv4_address;
        out.address_v6 = spec.bgp->ipv6_address;
    }
    const auto mac = [&node](const std::optional<net::Mac>& written, net::Family family) {
        return written ? *written : model::vxlan_mac(node.metadata.name, family);
    };
    if (out.address_v4 && spec.ipv4_vxlan_tunnel_addr) {
        out.ends.emplace(TunnelKind::vxlan, TunnelEnd{out.address_v4->address, *spec.ipv4_vxlan_tunnel_addr,
                                                      mac(spec.vxlan_tunnel_mac_addr, net::Family::v4)});
    }
    if (out.address_v6 && spec.ipv6_vxlan_tunnel_addr) {
        out.ends.emplace(TunnelKind::vxlan_v6, TunnelEnd{out.address_v6->address, *spec.ipv6_vxlan_tunnel_addr,
                                                         mac(spec.vxlan_tunnel_mac_addr_v6, net::Family::v6)});
    }
    if (out.address_v4 && spec.bgp->ipv4_ipip_tunnel_addr) {
        out.ends.emplace(TunnelKind::ip_in_ip,
                         TunnelEnd{out.address_v4->address, *spec.bgp->ipv4_ipip_tunnel_addr, {}});
    }
    return out;
}

void OverlayPlan::put(const model::Node& node) { set_node(node.metadata.name, node_of(node)); }

void OverlayPlan::remove_node(const std::string& name) { set_node(name, std::nullopt); }

void OverlayPlan::set_node(const std::string& name, std::optional<Node> node) {
    const auto known = nodes_.find(name);
    if (node ? known != nodes_.end() && known->second == *node : known == nodes_.end()) {
        return;
    }
    devices_dirty_ = true;
    all_dirty_ = all_dirty_ || name == node_name_;
    if (!node) {
        nodes_.erase(known);
        drop_claim(end_key(name));
    } else {
        std::vector<net::Ip> addresses;
        addresses.reserve(node->ends.size());
        for (const auto& [kind, end] : node->ends) {
            addresses.push_back(end.address);
        }
        set_claim(end_key(name), name, std::move(addresses));
        nodes_.insert_or_assign(name, *std::move(node));
    }
    if (const auto blocks = blocks_of_.find(name); blocks != blocks_of_.end()) {
        dirty_.insert(blocks->second.begin(), blocks->second.end());
    }
    if (const auto addresses = apart_of_.find(name); addresses != apart_of_.end()) {
        for (const net::Ip& address : addresses->second) {
            dirty_.insert(net::Prefix::host(address));
        }
    }
}

void OverlayPlan::put(const model::IpPool& pool) {
    const model::IpPoolSpec& spec = pool.spec;
    Pool out{.cidr = spec.cidr};
    if (spec.vxlan_mode != model::EncapMode::never) {
        out.tunnel = spec.cidr.family() == net::Family::v4 ? TunnelKind::vxlan : TunnelKind::vxlan_v6;
        out.across_subnets_only = spec.vxlan_mode == model::EncapMode::cross_subnet;
    } else if (spec.ipip_mode != model::EncapMode::never) {
        out.tunnel = TunnelKind::ip_in_ip;
        out.across_subnets_only = spec.ipip_mode == model::EncapMode::cross_subnet;
    }
    set_pool(pool.metadata.name, out);
}

void OverlayPlan::remove_pool(const std::string& name) { set_pool(name, std::nullopt); }

void OverlayPlan::set_pool(const std::string& name, std::optional<Pool> pool) {
    const auto known = pools_.find(name);
    if (pool ? known != pools_.end() && known->second == *pool : known == pools_.end()) {
        return;
    }
    if (pool) {
        pools_.insert_or_assign(name, *pool);
    } else {
        pools_.erase(known);
    }
    devices_dirty_ = true;
    all_dirty_ = true;
}

void OverlayPlan::put(const model::BlockAffinity& affinity) {
    const model::BlockAffinitySpec& spec = affinity.spec;
    const bool leads = spec.is_confirmed() && spec.type == model::AffinityType::host;
    set_block(affinity.metadata.name, leads ? std::optional(std::pair(spec.cidr, spec.node)) : std::nullopt);
}

void OverlayPlan::remove_affinity(const std::string& name) { set_block(name, std::nullopt); }

void OverlayPlan::set_block(const std::string& affinity, std::optional<std::pair<net::Prefix, std::string>> block) {
    const auto known = affinities_.find(affinity);
    if (block ? known != affinities_.end() && known->second == *block : known == affinities_.end()) {
        return;
    }
    std::set<net::Prefix> changed;
    if (known != affinities_.end()) {
        const auto& [prefix, node] = known->second;
        changed.insert(prefix);
        erase_from(blocks_, prefix, node);
        erase_from(blocks_of_, node, prefix);
        affinities_.erase(known);
    }
    if (block) {
        changed.insert(block->first);
        blocks_[block->first].insert(block->second);
        blocks_of_[block->second].insert(block->first);
        affinities_.emplace(affinity, *std::move(block));
    }
    for (const net::Prefix& prefix : changed) {
        dirty_.insert(prefix);
        const auto end = claimants_.upper_bound(prefix.last());
        for (auto claim = claimants_.lower_bound(prefix.address()); claim != end; ++claim) {
            check_owner(claim->first);
        }
    }
}

void OverlayPlan::put(const model::WorkloadEndpoint& workload) {
    if (workload.spec.node.empty() || workload.spec.node == node_name_) {
        drop_claim(workload.key());  // the route to it leads to its interface
        return;
    }
    std::vector<net::Ip> addresses;
    addresses.reserve(workload.spec.ip_networks.size());
    for (const net::Prefix& network : workload.spec.ip_networks) {
        addresses.push_back(network.address());
    }
    set_claim(workload.key(), workload.spec.node, std::move(addresses));
}

void OverlayPlan::remove_workload(const model::Key& key) { drop_claim(key); }

void OverlayPlan::set_claim(const model::Key& key, const std::string& node, std::vector<net::Ip> addresses) {
    Claim claim{&*node_names_.insert(node).first, std::move(addresses)};
    if (const auto known = claims_.find(key); known != claims_.end() && known->second == claim) {
        return;
    }
    drop_claim(key);
    if (claim.addresses.empty()) {
        return;
    }
    for (const net::Ip& address : claim.addresses) {
        claimants_.emplace(address, claim.node);
        check_owner(address);
    }
    claims_.emplace(key, std::move(claim));
}

void OverlayPlan::drop_claim(const model::Key& key) {
    const auto known = claims_.find(key);
    if (known == claims_.end()) {
        return;
    }
    for (const net::Ip& address : known->second.addresses) {
        const auto [first, last] = claimants_.equal_range(address);
        const auto own = std::find_if(first, last, [&](const auto& one) { return one.second == known->second.node; });
        claimants_.erase(own);
        check_owner(address);
    }
    claims_.erase(known);
}

/// Another node may have the address now, or the block that it is in.
void OverlayPlan::check_owner(const net::Ip& address) {
    const std::string* now = claimant(address);
    const std::string* owner = owner_of_block(address);
    if (now != nullptr && owner != nullptr && *owner == *now) {
        now = nullptr;
    }
    const auto known = apart_.find(address);
    const std::string* before = known == apart_.end() ? nullptr : known->second;
    if (before == now) {
        return;
    }
    dirty_.insert(net::Prefix::host(address));
    if (before != nullptr) {
        erase_from(apart_of_, *before, address);
        apart_.erase(known);
    }
    if (now != nullptr) {
        apart_of_[*now].insert(address);
        apart_.emplace(address, now);
    }
}

// --- what follows from it --------------------------------------------------------------------------------------------

const std::string* OverlayPlan::owner_of_block(const net::Ip& address) const {
    auto after = blocks_.upper_bound(net::Prefix::host(address));
    if (after == blocks_.begin()) {
        return nullptr;
    }
    const auto& [block, nodes] = *std::prev(after);
    return block.contains(address) ? &*nodes.begin() : nullptr;
}

/// Of several the first by name, on every node.
const std::string* OverlayPlan::claimant(const net::Ip& address) const {
    const auto [first, last] = claimants_.equal_range(address);
    const auto least =
        std::min_element(first, last, [](const auto& a, const auto& b) { return *a.second < *b.second; });
    return least == last ? nullptr : least->second;
}

const OverlayPlan::Pool* OverlayPlan::pool_of(const net::Prefix& prefix) const {
    const Pool* best = nullptr;
    for (const auto& [name, pool] : pools_) {
        if (pool.cidr.contains(prefix) && (best == nullptr || pool.cidr.length() > best->cidr.length())) {
            best = &pool;
        }
    }
    return best;
}

bool OverlayPlan::is_on(TunnelKind kind) const {
    const bool used = std::ranges::any_of(pools_, [kind](const auto& pool) { return pool.second.tunnel == kind; });
    switch (kind) {
        case TunnelKind::vxlan:
            return switches_.vxlan.value_or(used);
        case TunnelKind::vxlan_v6:
            return used && switches_.vxlan.value_or(true);
        case TunnelKind::ip_in_ip:
            return switches_.ip_in_ip.value_or(used) && switches_.routes_ip_in_ip;
    }
    std::unreachable();
}

/// Of a block, or of an address out of another node's block.
const std::string* OverlayPlan::holder(const net::Prefix& prefix) const {
    if (prefix.is_host() && apart_.contains(prefix.address())) {
        return claimant(prefix.address());
    }
    const auto block = blocks_.find(prefix);
    return block == blocks_.end() ? nullptr : &*block->second.begin();
}

std::optional<ClusterRoute> OverlayPlan::route_to(const net::Prefix& prefix) const {
    const std::string* name = holder(prefix);
    if (name == nullptr || *name == node_name_) {
        return std::nullopt;
    }
    const Pool* pool = pool_of(prefix);
    const auto node = nodes_.find(*name);
    const auto own = nodes_.find(node_name_);
    if (pool == nullptr || node == nodes_.end() || own == nodes_.end()) {
        return std::nullopt;
    }
    const auto& far = node->second.address(prefix.family());
    const auto& near = own->second.address(prefix.family());
    if (!far || !near || (pool->tunnel == TunnelKind::ip_in_ip && !switches_.routes_ip_in_ip) ||
        (!pool->tunnel && !switches_.routes_plain)) {
        return std::nullopt;
    }
    const bool neighbour = near->network().contains(far->address);
    if (!pool->tunnel || (pool->across_subnets_only && neighbour)) {
        return neighbour ? std::optional(ClusterRoute{prefix, std::nullopt, far->address}) : std::nullopt;
    }
    const auto end = node->second.ends.find(*pool->tunnel);
    if (!is_on(*pool->tunnel) || !own->second.ends.contains(*pool->tunnel)) {
        return std::nullopt;
    }
    if (*pool->tunnel == TunnelKind::ip_in_ip) {
        return ClusterRoute{prefix, pool->tunnel, far->address};
    }
    return end == node->second.ends.end() ? std::nullopt
                                          : std::optional(ClusterRoute{prefix, pool->tunnel, end->second.address});
}

std::optional<TunnelDevice> OverlayPlan::device(TunnelKind kind) const {
    const auto own = nodes_.find(node_name_);
    if (!is_on(kind) || own == nodes_.end() || !own->second.ends.contains(kind)) {
        return std::nullopt;
    }
    TunnelDevice out{.kind = kind, .own = own->second.ends.at(kind), .peers = {}};
    if (kind == TunnelKind::ip_in_ip) {
        out.mtu = switches_.mtu_ip_in_ip;
        return out;
    }
    out.vni = switches_.vni;
    out.port = switches_.port;
    out.mtu = kind == TunnelKind::vxlan ? switches_.mtu_v4 : switches_.mtu_v6;
    for (const auto& [name, node] : nodes_) {
        if (const auto end = node.ends.find(kind); end != node.ends.end() && name != node_name_) {
            out.peers.push_back(end->second);
        }
    }
    std::ranges::sort(out.peers, {}, &TunnelEnd::address);
    return out;
}

void OverlayPlan::flush(const Config& config, Sequencer& sequencer) {
    const Switches now{.vni = config.vxlan_vni,
                       .port = config.vxlan_port,
                       .mtu_v4 = config.vxlan_mtu_v4,
                       .mtu_v6 = config.vxlan_mtu_v6,
                       .mtu_ip_in_ip = config.ip_in_ip_mtu,
                       .vxlan = config.vxlan_enabled,
                       .ip_in_ip = config.ip_in_ip_enabled,
                       .routes_ip_in_ip = config.route_ip_in_ip_pools,
                       .routes_plain = config.route_plain_pools};
    if (now != switches_) {
        switches_ = now;
        devices_dirty_ = true;
        all_dirty_ = true;
    }
    if (std::exchange(devices_dirty_, false)) {
        for (const TunnelKind kind : kTunnelKinds) {
            if (auto wanted = device(kind)) {
                sequencer.set_tunnel_device(*std::move(wanted));
            } else {
                sequencer.drop_tunnel_device(kind);
            }
        }
    }
    if (std::exchange(all_dirty_, false)) {
        for (const auto& [block, nodes] : blocks_) {
            dirty_.insert(block);
        }
        for (const auto& [address, node] : apart_) {
            dirty_.insert(net::Prefix::host(address));
        }
    }
    for (const net::Prefix& prefix : std::exchange(dirty_, {})) {
        if (auto route = route_to(prefix)) {
            sequencer.set_cluster_route(*std::move(route));
        } else {
            sequencer.drop_cluster_route(prefix);
        }
    }
}

}  // namespace manul::felix
