#include "bgpd/io/next_hop_watch.hpp"

#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bgpd/policy/filter.hpp"
#include "bgpd/policy/import_rules.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/prefix.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::io {
namespace {

bool same_place(const netlink::Route& a, const netlink::Route& b) {
    return a.priority == b.priority && a.protocol == b.protocol && a.type == b.type;
}

/// The network's own address and that of all its hosts are no host's, so nothing is sent to them (RFC 4271
/// section 6.3).
bool is_host_of(const net::Prefix& link, const net::Ip& address) {
    constexpr std::uint8_t kLongestWithBoth = 30;
    if (address.is_v6() || link.length() > kLongestWithBoth) {
        return true;
    }
    const std::uint32_t all = 0xffffffffU >> link.length();
    const std::uint32_t host = address.v4().value() & all;
    return host != 0 && host != all;
}

bool counts(const netlink::Route& route) {
    return route.table == netlink::kMainTable && route.protocol != kRouteProtocol && route.type == RTN_UNICAST;
}

}  // namespace

void NextHopWatch::replace(NextHopWatch&& fresh) {
    links_ = std::move(fresh.links_);
    addresses_ = std::move(fresh.addresses_);
    routes_ = std::move(fresh.routes_);
    dirty_ = true;
    addresses_changed_ = true;
    links_changed_ = true;
}

void NextHopWatch::take(const netlink::Link& link) {
    netlink::Link& known = links_[link.index];
    if (known.is_up() && !link.is_up()) {
        drop_routes_over(link.index);
    }
    links_changed_ = links_changed_ || known.name != link.name;
    known = link;
    dirty_ = true;
}

void NextHopWatch::remove(const netlink::Link& link) {
    if (const auto known = links_.find(link.index); known != links_.end() && known->second.is_up()) {
        drop_routes_over(link.index);
    }
    links_.erase(link.index);
    dirty_ = true;
    links_changed_ = true;
}

/// When a link goes down the kernel drops the IPv4 routes over it without a word.
void NextHopWatch::drop_routes_over(std::uint32_t ifindex) {
    const auto leads_there = [&](const netlink::Route& route) {
        return !route.hops.empty() &&
               std::ranges::all_of(route.hops, [&](const netlink::Hop& hop) { return hop.ifindex == ifindex; });
    };
    for (auto entry = routes_.begin(); entry != routes_.end();) {
        std::erase_if(entry->second, leads_there);
        entry = entry->second.empty() ? routes_.erase(entry) : std::next(entry);
    }
}

void NextHopWatch::take(const netlink::Address& address) {
    remove(address);
    addresses_.push_back(address);
}

void NextHopWatch::remove(const netlink::Address& address) {
    std::erase_if(addresses_, [&](const netlink::Address& one) {
        return one.ifindex == address.ifindex && one.address == address.address;
    });
    addresses_changed_ = true;
    links_changed_ = true;
}

void NextHopWatch::take(const netlink::Route& route) {
    if (!counts(route)) {
        return;
    }
    std::vector<netlink::Route>& routes = routes_[route.dst];
    // IPv6 announces each way of a multipath route as a route of its own.
    const bool adds_a_way = route.dst.address().is_v6() && route.hops.size() == 1;
    std::erase_if(routes, [&](const netlink::Route& one) {
        return same_place(one, route) && (!adds_a_way || one.hops == route.hops);
    });
    routes.push_back(route);
    dirty_ = true;
}

void NextHopWatch::remove(const netlink::Route& route) {
    const auto found = routes_.find(route.dst);
    if (!counts(route) || found == routes_.end()) {
        return;
    }
    const bool one_way = route.dst.address().is_v6() && route.hops.size() == 1;
    std::erase_if(found->second, [&](const netlink::Route& one) {
        return same_place(one, route) && (!one_way || one.hops == route.hops);
    });
    if (found->second.empty()) {
        routes_.erase(found);
    }
    dirty_ = true;
}

void NextHopWatch::track(const speaker::TrackNextHop& what) {
    if (what.wanted) {
        tracked_.try_emplace(what.next_hop);
        dirty_ = true;
    } else {
        tracked_.erase(what.next_hop);
    }
}

bool NextHopWatch::usable(std::uint32_t ifindex) const {
    const auto link = links_.find(ifindex);
    return link != links_.end() && link->second.is_running();
}

std::string NextHopWatch::name_of(std::uint32_t ifindex) const {
    const auto link = links_.find(ifindex);
    return link == links_.end() ? std::string() : link->second.name;
}

void NextHopWatch::set_gateways(std::map<net::Ip, net::Ip> gateways) {
    dirty_ = dirty_ || gateways != gateways_;
    gateways_ = std::move(gateways);
}

void NextHopWatch::want_host_routes(std::optional<std::vector<std::string>> ignored_interfaces) {
    dirty_ = dirty_ || ignored_interfaces != ignored_interfaces_;
    ignored_interfaces_ = std::move(ignored_interfaces);
}

/// What BIRD would learn: connected prefixes, and the main table's routes of other programs.
std::vector<speaker::HostRoute> NextHopWatch::host_routes() const {
    std::vector<speaker::HostRoute> out;
    const auto ignored = [&](const std::string& interface) {
        return policy::glob_matches("cali*", interface) || policy::glob_matches("kube-ipvs*", interface) ||
               std::ranges::any_of(*ignored_interfaces_,
                                   [&](const std::string& glob) { return policy::glob_matches(glob, interface); });
    };
    for (const auto& [prefix, routes] : routes_) {
        const bool martian = prefix.family() == net::Family::v4 ? policy::is_martian(net::PrefixKey4::from(prefix))
                                                                : policy::is_martian(net::PrefixKey6::from(prefix));
        for (const netlink::Route& route : routes) {
            const std::string interface = route.hops.empty() ? std::string() : name_of(route.hops.front().ifindex);
            const bool connected = route.protocol == RTPROT_KERNEL;
            if (martian || (connected && ignored(interface))) {
                continue;
            }
            out.push_back(
                {prefix, connected, connected ? 0 : route.priority, interface, route.protocol == kFelixProtocol});
        }
    }
    std::ranges::sort(out);
    return out;
}

speaker::Links NextHopWatch::links() const {
    speaker::Links out;
    for (const auto& [index, link] : links_) {
        out[link.name].index = index;
    }
    for (const netlink::Address& address : addresses_) {
        if (const auto link = links_.find(address.ifindex); link != links_.end()) {
            out[link->second.name].addresses.push_back(address.address.address);
        }
    }
    return out;
}

std::optional<speaker::Resolution> NextHopWatch::resolve(const net::Ip& next_hop) const {
    if (const std::uint32_t link = net::scope_of(next_hop); link != 0) {
        return usable(link) || always_reachable_
                   ? std::optional(speaker::Resolution{link, std::nullopt, 0, name_of(link)})
                   : std::nullopt;
    }
    if (const auto given = gateways_.find(next_hop); given != gateways_.end()) {
        auto way = resolve(given->second);
        if (way && !way->gateway) {
            way->gateway = given->second;
        }
        return way;
    }
    auto unresolved = always_reachable_ ? std::optional(speaker::Resolution{}) : std::nullopt;
    for (int length = net::address_bits(next_hop.family()); length >= 0; --length) {
        const auto found = routes_.find(*net::Prefix::masked(next_hop, static_cast<std::uint8_t>(length)));
        if (found == routes_.end()) {
            continue;
        }
        std::optional<speaker::Resolution> best;
        for (const netlink::Route& route : found->second) {
            if (route.protocol == RTPROT_KERNEL && !is_host_of(route.dst, next_hop)) {
                return unresolved;
            }
            for (const netlink::Hop& hop : route.hops) {
                // Connected prefixes are at distance 0; the kernel gives those of IPv6 a metric of 256.
                const std::uint32_t metric = route.protocol == RTPROT_KERNEL ? 0 : route.priority;
                if (!usable(hop.ifindex)) {
                    continue;
                }
                if (next_hop.is_link_local() && best && best->interface != hop.ifindex) {
                    return unresolved;  // on any of several links, and nobody says on which
                }
                if (!best || metric < best->metric) {
                    best = speaker::Resolution{hop.ifindex, hop.gateway, metric, name_of(hop.ifindex)};
                }
            }
        }
        if (best) {
            return best;
        }
    }
    return unresolved;
}

void NextHopWatch::changes(std::vector<speaker::Event>& events) {
    if (addresses_changed_) {
        addresses_changed_ = false;
        speaker::LocalAddresses local;
        for (const netlink::Address& address : addresses_) {
            local.addresses.push_back(
                {net::with_scope(address.address.address, address.ifindex), address.address.length});
        }
        events.emplace_back(std::move(local));
    }
    if (!dirty_) {
        return;
    }
    dirty_ = false;
    if (ignored_interfaces_ || !told_host_routes_.empty()) {
        auto routes = ignored_interfaces_ ? host_routes() : std::vector<speaker::HostRoute>{};
        if (routes != told_host_routes_) {
            told_host_routes_ = std::move(routes);
            events.emplace_back(
                speaker::HostRoutes{std::make_shared<const std::vector<speaker::HostRoute>>(told_host_routes_)});
        }
    }
    for (auto& [next_hop, tracked] : tracked_) {
        auto resolution = resolve(next_hop);
        if (!tracked.answered || resolution != tracked.resolution) {
            tracked.answered = true;
            tracked.resolution = resolution;
            events.emplace_back(speaker::NextHopChanged{next_hop, resolution});
        }
    }
}

}  // namespace manul::bgp::io
