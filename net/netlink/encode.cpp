#include "net/netlink/encode.hpp"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <vector>

#include "base/bytes.hpp"
#include "net/ip.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"

namespace manul::netlink {

namespace {

std::uint8_t family_number(net::Family family) noexcept { return family == net::Family::v4 ? AF_INET : AF_INET6; }

std::uint16_t creation_flags(Write how) noexcept {
    return how == Write::add ? NLM_F_CREATE | NLM_F_EXCL : NLM_F_CREATE | NLM_F_REPLACE;
}

void put_ip(RequestBuffer& out, std::uint16_t type, const net::Ip& ip) { out.bytes(type, ip.bytes()); }

/// A gateway of the route's own family is RTA_GATEWAY, of the other one RTA_VIA (RFC 8950: IPv4 over an IPv6 next hop).
void put_gateway(RequestBuffer& out, net::Family route, const net::Ip& gateway) {
    if (gateway.family() == route) {
        put_ip(out, RTA_GATEWAY, gateway);
        return;
    }
    std::array<std::uint8_t, 18> via{};
    const std::uint16_t family = family_number(gateway.family());
    std::memcpy(via.data(), &family, sizeof family);
    const auto bytes = gateway.bytes();
    std::memcpy(via.data() + sizeof family, bytes.data(), bytes.size());
    out.bytes(RTA_VIA, ByteView(via).first(sizeof family + bytes.size()));
}

void put_hops(RequestBuffer& out, const Route& route) {
    const auto nest = out.open(RTA_MULTIPATH);
    for (const Hop& hop : route.hops) {
        rtnexthop fixed{};
        fixed.rtnh_ifindex = static_cast<int>(hop.ifindex);
        fixed.rtnh_hops = static_cast<std::uint8_t>(hop.weight - 1U);
        fixed.rtnh_flags = hop.onlink ? RTNH_F_ONLINK : 0;
        const std::size_t at = out.raw(fixed);
        if (hop.gateway) {
            put_gateway(out, route.family(), *hop.gateway);
        }
        out.patch_length(at);
    }
    out.close(nest);
}

void put_route_message(RequestBuffer& out, std::uint16_t type, std::uint16_t flags, const Route& route) {
    rtmsg fixed{};
    fixed.rtm_family = family_number(route.family());
    fixed.rtm_dst_len = route.dst.length();
    fixed.rtm_table = route.table < 256 ? static_cast<std::uint8_t>(route.table) : std::uint8_t{RT_TABLE_UNSPEC};
    fixed.rtm_protocol = route.protocol;
    fixed.rtm_type = route.type;
    fixed.rtm_scope = route.scope;
    if (route.hops.size() == 1 && route.hops.front().onlink) {
        fixed.rtm_flags = RTNH_F_ONLINK;
    }
    out.begin(type, flags, fixed);
    if (route.dst.length() != 0) {
        put_ip(out, RTA_DST, route.dst.address());
    }
    if (route.table >= 256) {
        out.u32(RTA_TABLE, route.table);
    }
    if (route.priority != 0) {
        out.u32(RTA_PRIORITY, route.priority);
    }
    if (route.prefsrc) {
        put_ip(out, RTA_PREFSRC, *route.prefsrc);
    }
    if (route.mtu != 0) {
        const auto metrics = out.open(RTA_METRICS);
        out.u32(RTAX_MTU, route.mtu);
        out.close(metrics);
    }
    if (route.nexthop_id != 0) {
        out.u32(RTA_NH_ID, route.nexthop_id);
    } else if (route.hops.size() == 1) {
        const Hop& hop = route.hops.front();
        if (hop.gateway) {
            put_gateway(out, route.family(), *hop.gateway);
        }
        if (hop.ifindex != 0) {
            out.u32(RTA_OIF, hop.ifindex);
        }
    } else if (!route.hops.empty()) {
        put_hops(out, route);
    }
    out.end();
}

void put_neighbour_message(RequestBuffer& out, std::uint16_t type, std::uint16_t flags, const Neighbour& neighbour) {
    ndmsg fixed{};
    fixed.ndm_family = family_number(neighbour.address.family());
    fixed.ndm_ifindex = static_cast<int>(neighbour.ifindex);
    fixed.ndm_state = neighbour.state != 0 ? neighbour.state : std::uint16_t{NUD_PERMANENT};
    fixed.ndm_flags = neighbour.flags;
    out.begin(type, flags, fixed);
    put_ip(out, NDA_DST, neighbour.address);
    if (neighbour.mac) {
        out.bytes(NDA_LLADDR, neighbour.mac->bytes());
    }
    out.end();
}

void put_address_message(RequestBuffer& out, std::uint16_t type, std::uint16_t flags, const Address& address) {
    ifaddrmsg fixed{};
    fixed.ifa_family = family_number(address.address.address.family());
    fixed.ifa_prefixlen = address.address.length;
    fixed.ifa_scope = address.scope;
    fixed.ifa_index = address.ifindex;
    out.begin(type, flags, fixed);
    put_ip(out, IFA_LOCAL, address.address.address);
    put_ip(out, IFA_ADDRESS, address.peer.value_or(address.address.address));
    if (address.flags != 0) {
        out.u32(IFA_FLAGS, address.flags);
    }
    if ((address.flags & IFA_F_DEPRECATED) != 0) {  // which the kernel takes as a lifetime alone
        ifa_cacheinfo lifetimes{};
        lifetimes.ifa_valid = std::numeric_limits<std::uint32_t>::max();
        out.bytes(IFA_CACHEINFO, ByteView(reinterpret_cast<const std::uint8_t*>(&lifetimes), sizeof lifetimes));
    }
    if (!address.label.empty()) {
        out.text(IFA_LABEL, address.label);
    }
    out.end();
}

void put_veth_end(RequestBuffer& out, const VethEnd& end, std::uint32_t mtu) {
    out.text(IFLA_IFNAME, end.name);
    if (mtu != 0) {
        out.u32(IFLA_MTU, mtu);
    }
    if (end.mac) {
        out.bytes(IFLA_ADDRESS, end.mac->bytes());
    }
    if (end.group != 0) {
        out.u32(IFLA_GROUP, end.group);
    }
    if (end.netns_fd) {
        out.i32(IFLA_NET_NS_FD, *end.netns_fd);
    }
    // Unasked, the kernel makes a queue for each processor and takes all but one away from the finished device, which
    // waits for a grace period at each end: a third of the time that a pair takes, with the lock of all links held.
    out.u32(IFLA_NUM_TX_QUEUES, 1);
    out.u32(IFLA_NUM_RX_QUEUES, 1);
}

ifinfomsg of_link(std::uint32_t index) noexcept {
    ifinfomsg fixed{};
    fixed.ifi_index = static_cast<int>(index);
    return fixed;
}

/// Settings of one link live in IFLA_AF_SPEC, one nest a family.
void put_af_spec(RequestBuffer& out, const LinkChange& change) {
    if (change.ipv4.empty() && !change.no_ipv6_auto_address) {
        return;
    }
    const auto spec = out.open(IFLA_AF_SPEC);
    if (!change.ipv4.empty()) {
        const auto family = out.open(AF_INET);
        const auto settings = out.open(IFLA_INET_CONF);
        for (const Ipv4Setting& setting : change.ipv4) {
            out.u32(setting.id, setting.value);
        }
        out.close(settings);
        out.close(family);
    }
    if (change.no_ipv6_auto_address) {
        const auto family = out.open(AF_INET6);
        out.u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
        out.close(family);
    }
    out.close(spec);
}

}  // namespace

void create_veth(RequestBuffer& out, const VethPair& pair) {
    std::uint16_t flags = NLM_F_CREATE | NLM_F_EXCL;
    if (pair.echo) {
        flags |= NLM_F_ECHO;
    }
    ifinfomsg fixed{};
    if (pair.up) {
        fixed.ifi_flags = IFF_UP;
        fixed.ifi_change = IFF_UP;
    }
    out.begin(RTM_NEWLINK, flags, fixed);
    put_veth_end(out, pair.local, pair.mtu);
    const auto info = out.open(IFLA_LINKINFO);
    out.text(IFLA_INFO_KIND, "veth");
    const auto data = out.open(IFLA_INFO_DATA);
    const auto peer = out.open(VETH_INFO_PEER);
    out.raw(ifinfomsg{});
    put_veth_end(out, pair.peer, pair.mtu);
    out.close(peer);
    out.close(data);
    out.close(info);
    out.end();
}

void change_link(RequestBuffer& out, const LinkChange& change) {
    ifinfomsg fixed = of_link(change.index);
    if (change.up) {
        fixed.ifi_flags = *change.up ? unsigned{IFF_UP} : 0U;
        fixed.ifi_change = IFF_UP;
    }
    out.begin(RTM_SETLINK, 0, fixed);
    if (change.name) {
        out.text(IFLA_IFNAME, *change.name);
    }
    if (change.alias) {
        // An empty payload removes the alias; a lone NUL would be stored as text.
        out.bytes(IFLA_IFALIAS,
                  ByteView(reinterpret_cast<const std::uint8_t*>(change.alias->data()), change.alias->size()));
    }
    if (change.group) {
        out.u32(IFLA_GROUP, *change.group);
    }
    if (change.mtu) {
        out.u32(IFLA_MTU, *change.mtu);
    }
    if (change.master) {
        out.u32(IFLA_MASTER, *change.master);
    }
    if (change.mac) {
        out.bytes(IFLA_ADDRESS, change.mac->bytes());
    }
    put_af_spec(out, change);
    out.end();
}

void delete_link(RequestBuffer& out, std::uint32_t index) {
    out.begin(RTM_DELLINK, 0, of_link(index));
    out.end();
}

void delete_link_group(RequestBuffer& out, std::uint32_t group) {
    out.begin(RTM_DELLINK, 0, ifinfomsg{});
    out.u32(IFLA_GROUP, group);
    out.end();
}

void get_link(RequestBuffer& out, std::uint32_t index) {
    out.begin(RTM_GETLINK, 0, of_link(index));
    out.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    out.end();
}

void get_link(RequestBuffer& out, std::string_view name) {
    out.begin(RTM_GETLINK, 0, ifinfomsg{});
    out.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    out.text(IFLA_IFNAME, name);
    out.end();
}

void put_address(RequestBuffer& out, const Address& address, Write how) {
    put_address_message(out, RTM_NEWADDR, creation_flags(how), address);
}

void delete_address(RequestBuffer& out, const Address& address) { put_address_message(out, RTM_DELADDR, 0, address); }

void put_neighbour(RequestBuffer& out, const Neighbour& neighbour, Write how) {
    put_neighbour_message(out, RTM_NEWNEIGH, creation_flags(how), neighbour);
}

void delete_neighbour(RequestBuffer& out, const Neighbour& neighbour) {
    put_neighbour_message(out, RTM_DELNEIGH, 0, neighbour);
}

void put_route(RequestBuffer& out, const Route& route, Write how) {
    put_route_message(out, RTM_NEWROUTE, creation_flags(how), route);
}

void delete_route(RequestBuffer& out, const Route& route) {
    Route match = route;
    match.prefsrc.reset();
    match.mtu = 0;
    put_route_message(out, RTM_DELROUTE, 0, match);
}

void lookup_route(RequestBuffer& out, const net::Ip& destination) {
    rtmsg fixed{};
    fixed.rtm_family = family_number(destination.family());
    fixed.rtm_dst_len = net::address_bits(destination.family());
    fixed.rtm_flags = RTM_F_FIB_MATCH;
    out.begin(RTM_GETROUTE, 0, fixed);
    put_ip(out, RTA_DST, destination);
    out.end();
}

void put_nexthop(RequestBuffer& out, const Nexthop& nexthop, Write how) {
    nhmsg fixed{};
    fixed.nh_protocol = nexthop.protocol;
    if (nexthop.group.empty()) {
        // The object's family is that of its gateway: IPv4 routes may use one with an IPv6 gateway.
        fixed.nh_family = family_number(nexthop.hop.gateway ? nexthop.hop.gateway->family() : nexthop.family);
        fixed.nh_flags = nexthop.hop.onlink ? unsigned{RTNH_F_ONLINK} : 0U;
    }
    out.begin(RTM_NEWNEXTHOP, creation_flags(how), fixed);
    out.u32(NHA_ID, nexthop.id);
    if (!nexthop.group.empty()) {
        std::vector<nexthop_grp> members;
        members.reserve(nexthop.group.size());
        for (const NexthopMember& member : nexthop.group) {
            nexthop_grp& fixed_member = members.emplace_back();
            fixed_member.id = member.id;
            fixed_member.weight = static_cast<std::uint8_t>(member.weight - 1U);
        }
        out.bytes(NHA_GROUP, ByteView(reinterpret_cast<const std::uint8_t*>(members.data()),
                                      members.size() * sizeof(nexthop_grp)));
    } else if (nexthop.blackhole) {
        out.flag(NHA_BLACKHOLE);
    } else {
        out.u32(NHA_OIF, nexthop.hop.ifindex);
        if (nexthop.hop.gateway) {
            put_ip(out, NHA_GATEWAY, *nexthop.hop.gateway);
        }
    }
    out.end();
}

void delete_nexthop(RequestBuffer& out, std::uint32_t id) {
    out.begin(RTM_DELNEXTHOP, 0, nhmsg{});
    out.u32(NHA_ID, id);
    out.end();
}

void dump_links(RequestBuffer& out) {
    out.begin(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
    out.u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
    out.end();
}

void dump_addresses(RequestBuffer& out, std::uint32_t ifindex) {
    ifaddrmsg fixed{};
    fixed.ifa_index = ifindex;
    out.begin(RTM_GETADDR, NLM_F_DUMP, fixed);
    out.end();
}

void dump_routes(RequestBuffer& out, const RouteFilter& filter) {
    rtmsg fixed{};
    fixed.rtm_family = family_number(filter.family);
    fixed.rtm_protocol = filter.protocol;
    fixed.rtm_table = filter.table < 256 ? static_cast<std::uint8_t>(filter.table) : std::uint8_t{RT_TABLE_UNSPEC};
    out.begin(RTM_GETROUTE, NLM_F_DUMP, fixed);
    if (filter.table >= 256) {
        out.u32(RTA_TABLE, filter.table);
    }
    if (filter.ifindex != 0) {
        out.u32(RTA_OIF, filter.ifindex);
    }
    out.end();
}

void dump_neighbours(RequestBuffer& out, net::Family family, std::uint32_t ifindex) {
    ndmsg fixed{};
    fixed.ndm_family = family_number(family);
    out.begin(RTM_GETNEIGH, NLM_F_DUMP, fixed);
    if (ifindex != 0) {
        out.u32(NDA_IFINDEX, ifindex);
    }
    out.end();
}

void dump_nexthops(RequestBuffer& out) {
    out.begin(RTM_GETNEXTHOP, NLM_F_DUMP, nhmsg{});
    out.end();
}

}  // namespace manul::netlink
