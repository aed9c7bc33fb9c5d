#include "felix/io/overlay_sync.hpp"

#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/log.hpp"
#include "base/try.hpp"
#include "config/model/tunnel_overhead.hpp"
#include "felix/io/messages.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/tunnel.hpp"

namespace manul::felix::io {

namespace {

constexpr std::uint32_t overhead(TunnelKind kind) noexcept {
    switch (kind) {
        case TunnelKind::vxlan:
            return model::kVxlanOverhead;
        case TunnelKind::vxlan_v6:
            return model::kVxlanV6Overhead;
        case TunnelKind::ip_in_ip:
            return model::kIpipOverhead;
    }
    std::unreachable();
}

std::string link_kind(TunnelKind kind) { return kind == TunnelKind::ip_in_ip ? "ipip" : "vxlan"; }

netlink::TunnelSettings settings_of(const TunnelDevice& device) {
    return {.local = device.own.node, .vni = device.vni, .port = device.port, .learning = false};
}

/// The address by which routes and neighbour entries name the other end of a VXLAN tunnel; no packet carries it. For
/// IPv6 it is the link-local address that follows from the end's MAC: the kernel refuses a gateway to which a route
/// leads over another link, and to the end's own address there may be such a route (the block's, from before there was
/// a tunnel, or a router's aggregate of all blocks).
net::Ip gateway_to(const TunnelEnd& end) {
    if (end.address.is_v4()) {
        return end.address;
    }
    const auto& mac = end.mac.bytes();
    constexpr std::uint8_t kUniversal = 2;  // RFC 4291, appendix A
    return net::Ip6({0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(mac[0] ^ kUniversal), mac[1], mac[2], 0xff,
                     0xfe, mac[3], mac[4], mac[5]});
}

std::unexpected<netlink::SocketError> missing(std::string text) {
    return std::unexpected(netlink::SocketError{netlink::SocketError::Kind::io, 0, std::move(text)});
}

}  // namespace

Result<OverlaySync> OverlaySync::open() {
    auto socket = netlink::Socket::open();
    if (!socket) {
        return fail(socket.error().message());
    }
    return OverlaySync(std::move(*socket));
}

void OverlaySync::configure(const Config& config) {
    protocol_ = config.route_protocol;
    metric_v4_ = config.route_priority_v4;
    metric_v6_ = config.route_priority_v6;
    resync_queued_ = true;
}

void OverlaySync::want(const TunnelDevice& device) {
    devices_.insert_or_assign(device.kind, device);
    dirty_devices_.insert(device.kind);
    for (const auto& [prefix, route] : wanted_) {
        if (route.tunnel == device.kind) {
            dirty_routes_.insert(prefix);  // the gateway of an end may have changed
        }
    }
}

void OverlaySync::forget(TunnelKind kind) {
    devices_.erase(kind);
    dirty_devices_.insert(kind);
}

void OverlaySync::want(const ClusterRoute& route) {
    wanted_.insert_or_assign(route.prefix, route);
    dirty_routes_.insert(route.prefix);
}

void OverlaySync::forget(const net::Prefix& prefix) {
    wanted_.erase(prefix);
    failed_.erase(prefix);
    refusals_.erase(prefix);
    dirty_routes_.insert(prefix);
}

void OverlaySync::program() {
    if (resync_queued_) {
        dirty_devices_.insert(kTunnelKinds.begin(), kTunnelKinds.end());
        resync_queued_ = !list_routes();
    }
    for (const TunnelKind kind : std::exchange(dirty_devices_, {})) {
        sync_device(kind);
    }
    sync_routes();
}

std::vector<std::string> OverlaySync::problems() const {
    std::vector<std::string> out;
    out.reserve(problems_.size());
    for (const auto& [kind, problem] : problems_) {
        out.push_back("tunnel device " + std::string(device_name(kind)) + ": " + problem);
    }
    return out;
}

// --- devices ---------------------------------------------------------------------------------------------------------

void OverlaySync::sync_device(TunnelKind kind) {
    const auto wanted = devices_.find(kind);
    const std::optional<std::uint32_t> before =
        indexes_.contains(kind) ? std::optional(indexes_.at(kind)) : std::nullopt;
    indexes_.erase(kind);
    const Done done = wanted == devices_.end() ? remove_device(kind) : make_device(wanted->second);
    unsupported_.erase(kind);
    if (done) {
        problems_.erase(kind);
    } else {
        if (done.error().is(EOPNOTSUPP)) {
            unsupported_.insert(kind);
        }
        std::string problem = done.error().is(EOPNOTSUPP) ? "this kernel has no devices of kind " + link_kind(kind)
                                                          : done.error().message();
        if (done.error().is(EEXIST)) {
            problem += " (another VXLAN device has this VNI and port, vxlan.calico for instance: remove it)";
        }
        if (std::string& known = problems_[kind]; known != problem) {
            log::emit(kTunnelFailed, device_name(kind), problem);
            known = std::move(problem);
        }
    }
    if (const auto now = indexes_.find(kind); now == indexes_.end() || now->second != before) {
        for (const auto& [prefix, route] : wanted_) {
            if (route.tunnel == kind) {
                dirty_routes_.insert(prefix);
            }
        }
    }
}

OverlaySync::Done OverlaySync::remove_device(TunnelKind kind) {
    MANUL_TRY(const auto link, socket_.link(device_name(kind)));
    if (!link || link->kind != link_kind(kind)) {
        return {};
    }
    netlink::RequestBuffer request;
    netlink::delete_link(request, link->index);
    return socket_.request(request);
}

OverlaySync::Done OverlaySync::make_device(const TunnelDevice& wanted) {
    const std::string name(device_name(wanted.kind));
    const bool vxlan = wanted.kind != TunnelKind::ip_in_ip;
    MANUL_TRY(auto link, socket_.link(name));
    auto found_out = mtu_of(wanted);
    if (!found_out && !link) {
        return std::unexpected(std::move(found_out).error());
    }
    const std::uint32_t mtu = found_out ? *found_out : link->mtu;  // the node's address may come back
    netlink::RequestBuffer requests;
    if (link && (link->kind != link_kind(wanted.kind) || link->tunnel != settings_of(wanted))) {
        netlink::delete_link(requests, link->index);
        MANUL_CHECK(socket_.request(requests));
        requests.clear();
        link.reset();
    }
    if (!link) {
        netlink::create_tunnel(requests, {.name = name,
                                          .kind = link_kind(wanted.kind),
                                          .settings = settings_of(wanted),
                                          .mac = wanted.own.mac,
                                          .mtu = mtu});
        MANUL_CHECK(socket_.request(requests));
        requests.clear();
        MANUL_TRY(link, socket_.link(name));
        if (!link) {
            return missing("it vanished as soon as it was made");
        }
        netlink::change_link(requests, {.index = link->index, .no_ipv6_auto_address = true});  // before it is up
        MANUL_CHECK(socket_.request(requests));
        requests.clear();
    }
    if (link->mtu != mtu || !link->is_up() || (vxlan && link->mac != wanted.own.mac)) {
        netlink::LinkChange change{.index = link->index, .up = true, .mtu = mtu};
        if (vxlan) {
            change.mac = wanted.own.mac;
        }
        netlink::change_link(requests, change);
        MANUL_CHECK(socket_.request(requests));
    }
    MANUL_CHECK(sync_address(wanted, link->index));
    if (vxlan) {
        MANUL_CHECK(sync_neighbours(wanted, link->index));
        MANUL_CHECK(sync_forwarding(wanted, link->index));
    }
    indexes_[wanted.kind] = link->index;
    return {};
}

/// What the link that has the node's address leaves.
netlink::SocketResult<std::uint32_t> OverlaySync::mtu_of(const TunnelDevice& wanted) {
    if (wanted.mtu != 0) {
        return wanted.mtu;
    }
    MANUL_TRY(const auto addresses, socket_.addresses());
    const auto own = std::ranges::find_if(
        addresses, [&](const netlink::Address& one) { return one.address.address == wanted.own.node; });
    if (own == addresses.end()) {
        return missing("no link has the address " + wanted.own.node.to_string() + " of this node");
    }
    MANUL_TRY(const auto link, socket_.link(own->ifindex));
    if (!link || link->mtu <= overhead(wanted.kind)) {
        return missing("the link with the address " + wanted.own.node.to_string() + " is gone");
    }
    return link->mtu - overhead(wanted.kind);
}

OverlaySync::Done OverlaySync::sync_address(const TunnelDevice& wanted, std::uint32_t ifindex) {
    const net::InterfaceAddress own{wanted.own.address, net::address_bits(wanted.own.address.family())};
    MANUL_TRY(const auto addresses, socket_.addresses(ifindex));
    netlink::RequestBuffer requests;
    bool there = false;
    for (const netlink::Address& address : addresses) {
        if (address.address == own) {
            there = true;
        } else if (address.scope == RT_SCOPE_UNIVERSE) {
            netlink::delete_address(requests, address);
        }
    }
    if (!there) {
        netlink::put_address(
            requests,
            {.ifindex = ifindex, .address = own, .flags = own.address.is_v6() ? std::uint32_t{IFA_F_NODAD} : 0U},
            netlink::Write::replace);
    }
    return send(requests);
}

OverlaySync::Done OverlaySync::sync_neighbours(const TunnelDevice& wanted, std::uint32_t ifindex) {
    std::map<net::Ip, net::Mac> left;
    for (const TunnelEnd& peer : wanted.peers) {
        left.emplace(gateway_to(peer), peer.mac);
    }
    MANUL_TRY(const auto known, socket_.neighbours(family_of(wanted.kind), ifindex));
    netlink::RequestBuffer requests;
    for (const netlink::Neighbour& neighbour : known) {
        const auto peer = left.find(neighbour.address);
        const bool permanent = (neighbour.state & NUD_PERMANENT) != 0;
        if (peer != left.end() && permanent && neighbour.mac == peer->second) {
            left.erase(peer);
        } else if (peer == left.end() && permanent) {
            netlink::delete_neighbour(requests, neighbour);
        }
    }
    for (const auto& [address, mac] : left) {
        netlink::put_neighbour(requests, {.ifindex = ifindex, .address = address, .mac = mac});
    }
    return send(requests);
}

OverlaySync::Done OverlaySync::sync_forwarding(const TunnelDevice& wanted, std::uint32_t ifindex) {
    std::map<net::Mac, net::Ip> left;
    for (const TunnelEnd& peer : wanted.peers) {
        left.emplace(peer.mac, peer.node);
    }
    netlink::RequestBuffer requests;
    netlink::dump_fdb(requests, ifindex);
    MANUL_TRY(const auto known, socket_.dump<netlink::FdbEntry>(requests));
    requests.clear();
    for (const netlink::FdbEntry& entry : known) {
        const auto peer = left.find(entry.mac);
        if (entry.ifindex != ifindex) {
            continue;
        }
        if (peer != left.end() && entry.remote == peer->second && (entry.state & NUD_PERMANENT) != 0) {
            left.erase(peer);
        } else if (peer == left.end()) {
            netlink::delete_fdb_entry(requests, entry);
        }
    }
    for (const auto& [mac, node] : left) {
        netlink::put_fdb_entry(requests, {.ifindex = ifindex, .mac = mac, .remote = node});
    }
    return send(requests);
}

/// The first refusal is the reason, except that what is to go may be gone.
OverlaySync::Done OverlaySync::send(netlink::RequestBuffer& requests) {
    if (requests.empty()) {
        return {};
    }
    MANUL_TRY(auto refused, socket_.batch(requests));
    for (netlink::RefusedRequest& one : refused) {
        if (one.code != ENOENT && one.code != EADDRNOTAVAIL) {
            return std::unexpected(
                netlink::SocketError{netlink::SocketError::Kind::refused, one.code, std::move(one.text)});
        }
    }
    return {};
}

// --- routes ----------------------------------------------------------------------------------------------------------

bool OverlaySync::list_routes() {
    std::map<net::Prefix, Held> found;
    for (const net::Family family : {net::Family::v4, net::Family::v6}) {
        const auto routes = socket_.routes({family, netlink::kMainTable, protocol_, 0});
        if (!routes) {
            log::emit(kListFailed, "routes", routes.error().message());
            return false;
        }
        for (const netlink::Route& route : *routes) {
            if (route.priority == metric(family) && route.hops.size() == 1 && route.hops.front().gateway) {
                found[route.dst] = {*route.hops.front().gateway, route.hops.front().ifindex};
            }
        }
    }
    held_ = std::move(found);
    failed_.clear();
    for (const auto& [prefix, held] : held_) {
        dirty_routes_.insert(prefix);
    }
    for (const auto& [prefix, route] : wanted_) {
        dirty_routes_.insert(prefix);
    }
    return true;
}

std::optional<OverlaySync::Held> OverlaySync::wanted_way(const ClusterRoute& route) const {
    if (!route.tunnel) {
        return Held{route.via, 0};
    }
    const auto index = indexes_.find(*route.tunnel);
    const auto device = devices_.find(*route.tunnel);
    if (index == indexes_.end() || device == devices_.end()) {
        return std::nullopt;
    }
    if (*route.tunnel == TunnelKind::ip_in_ip) {
        return Held{route.via, index->second};
    }
    const auto& peers = device->second.peers;  // by address
    const auto end = std::ranges::lower_bound(peers, route.via, {}, &TunnelEnd::address);
    return end == peers.end() || end->address != route.via ? std::nullopt
                                                           : std::optional(Held{gateway_to(*end), index->second});
}

/// The kernel finds out by which link a neighbouring node is reached.
bool OverlaySync::leads_right(const ClusterRoute& route, const Held& held) const {
    const auto way = wanted_way(route);
    return way && way->via == held.via &&
           (route.tunnel ? way->ifindex == held.ifindex
                         : std::ranges::none_of(indexes_, [&](const auto& one) { return one.second == held.ifindex; }));
}

netlink::Route OverlaySync::kernel_route(const net::Prefix& prefix, const Held& leads) const {
    netlink::Route route;
    route.dst = prefix;
    route.protocol = protocol_;
    route.priority = metric(prefix.family());
    route.hops.push_back({.ifindex = leads.ifindex, .gateway = leads.via, .onlink = leads.ifindex != 0});
    return route;
}

void OverlaySync::sync_routes() {
    struct Operation {
        net::Prefix prefix;
        std::optional<Held> now;  ///< nothing: deleted
    };
    netlink::RequestBuffer requests;
    std::vector<Operation> operations;
    for (const net::Prefix& prefix : std::exchange(dirty_routes_, {})) {
        const auto wanted = wanted_.find(prefix);
        const auto held = held_.find(prefix);
        if (wanted == wanted_.end()) {
            if (held != held_.end()) {
                netlink::delete_route(requests, kernel_route(prefix, held->second));
                operations.push_back({prefix, std::nullopt});
            }
            continue;
        }
        const auto way = wanted_way(wanted->second);
        // Without its device a route stays as it was: a way past the tunnel is better than none.
        if (!way || (held != held_.end() && leads_right(wanted->second, held->second))) {
            continue;
        }
        netlink::put_route(requests, kernel_route(prefix, *way),
                           held == held_.end() ? netlink::Write::add : netlink::Write::replace);
        operations.push_back({prefix, way});
    }
    if (operations.empty()) {
        return;
    }
    const auto refusals = socket_.batch(requests);
    if (!refusals) {
        log::emit(kListFailed, "the answers to route changes", refusals.error().message());
        resync_queued_ = true;
        for (const Operation& operation : operations) {
            failed_.insert(operation.prefix);
        }
        return;
    }
    std::map<std::size_t, const netlink::RefusedRequest*> refused;
    for (const netlink::RefusedRequest& one : *refusals) {
        refused.emplace(one.index, &one);
    }
    for (std::size_t i = 0; i < operations.size(); ++i) {
        const Operation& operation = operations[i];
        const auto why = refused.find(i);
        if (!operation.now && (why == refused.end() || why->second->code == ESRCH)) {
            held_.erase(operation.prefix);  // ESRCH: the kernel dropped it with its link
        } else if (!operation.now) {
            failed_.insert(operation.prefix);
        } else if (why == refused.end()) {
            held_[operation.prefix] = *operation.now;
            failed_.erase(operation.prefix);
            refusals_.erase(operation.prefix);
        } else {
            const int times = ++refusals_[operation.prefix];
            // The first time bgpd may still be taking its route away, when a pool has come to felix.
            if (why->second->code == EEXIST && times == 2) {
                log::emit(kClusterRouteTaken, operation.prefix.to_string(), metric(operation.prefix.family()));
            } else if (why->second->code != EEXIST && times == 1) {
                log::emit(kRouteRefused, operation.prefix.to_string(), operation.now->via.to_string(),
                          std::strerror(why->second->code));
            }
            failed_.insert(operation.prefix);
        }
    }
}

}  // namespace manul::felix::io
