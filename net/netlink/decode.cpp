#include "net/netlink/decode.hpp"

#include <linux/fib_rules.h>
#include <linux/if.h>
#include <linux/if_addr.h>

#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/netlink/message.hpp"
#include "net/prefix.hpp"

namespace manul::netlink {

namespace {

/// What follows a fixed structure. rtnetlink aligns the structure to four bytes.
ByteView after(ByteView payload, std::size_t fixed) noexcept {
    return payload.subspan(std::min(aligned(fixed), payload.size()));
}

std::optional<net::Family> family_of(unsigned number) noexcept {
    if (number == AF_INET) {
        return net::Family::v4;
    }
    if (number == AF_INET6) {
        return net::Family::v6;
    }
    return std::nullopt;
}

net::Ip unspecified(net::Family family) noexcept {
    return family == net::Family::v4 ? net::Ip(net::Ip4()) : net::Ip(net::Ip6());
}

/// An address of exactly this family.
std::optional<net::Ip> address_of(net::Family family, const Attribute& attribute) noexcept {
    auto address = net::Ip::from_bytes(attribute.payload);
    if (address && address->family() != family) {
        return std::nullopt;
    }
    return address;
}

/// RTA_VIA: two bytes of address family, then the address.
std::optional<net::Ip> via_of(const Attribute& attribute) noexcept {
    const auto number = attribute.u16();
    const auto family = number ? family_of(*number) : std::nullopt;
    if (!family) {
        return std::nullopt;
    }
    return address_of(*family, Attribute{attribute.type, attribute.payload.subspan(2)});
}

std::optional<net::Mac> mac_of(const Attribute& attribute) noexcept {
    std::array<std::uint8_t, 6> bytes{};
    if (attribute.payload.size() != bytes.size()) {
        return std::nullopt;
    }
    std::ranges::copy(attribute.payload, bytes.begin());
    return net::Mac(bytes);
}

void set_hop_flags(Hop& hop, unsigned flags) noexcept {
    hop.onlink = (flags & RTNH_F_ONLINK) != 0;
    hop.dead = (flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0;
}

/// RTA_MULTIPATH: rtnexthop structures, each with attributes of its own, aligned to four bytes.
bool decode_multipath(net::Family family, ByteView bytes, std::vector<Hop>& hops) {
    while (!bytes.empty()) {
        const auto fixed = host_struct<rtnexthop>(bytes);
        if (!fixed || fixed->rtnh_len < sizeof(rtnexthop) || fixed->rtnh_len > bytes.size()) {
            return false;
        }
        Hop& hop = hops.emplace_back();
        hop.ifindex = static_cast<std::uint32_t>(fixed->rtnh_ifindex);
        hop.weight = static_cast<std::uint16_t>(fixed->rtnh_hops + 1U);
        set_hop_flags(hop, fixed->rtnh_flags);
        AttributeWalk walk(bytes.subspan(sizeof(rtnexthop), fixed->rtnh_len - sizeof(rtnexthop)));
        while (auto attribute = walk.next()) {
            if (attribute->type == RTA_GATEWAY) {
                hop.gateway = address_of(family, *attribute);
            } else if (attribute->type == RTA_VIA) {
                hop.gateway = via_of(*attribute);
            }
        }
        if (walk.damaged()) {
            return false;
        }
        bytes = bytes.subspan(std::min(aligned(fixed->rtnh_len), bytes.size()));
    }
    return true;
}

template <class T>
std::optional<Event> event_of(bool removed, std::optional<T> value) {
    if (!value) {
        return std::nullopt;
    }
    if (removed) {
        return Removed<T>{*std::move(value)};
    }
    return Changed<T>{*std::move(value)};
}

TunnelSettings tunnel_settings(const std::string& kind, ByteView data) {
    TunnelSettings out;
    AttributeWalk walk(data);
    while (auto attribute = walk.next()) {
        if (kind == "ipip") {
            if (attribute->type == IFLA_IPTUN_LOCAL) {
                out.local = net::Ip::from_bytes(attribute->payload);
            }
            continue;
        }
        switch (attribute->type) {
            case IFLA_VXLAN_ID:
                out.vni = attribute->u32().value_or(0);
                break;
            case IFLA_VXLAN_LOCAL:
            case IFLA_VXLAN_LOCAL6:
                out.local = net::Ip::from_bytes(attribute->payload);
                break;
            case IFLA_VXLAN_PORT:
                if (attribute->payload.size() == 2) {  // big endian
                    out.port = static_cast<std::uint16_t>(attribute->payload[0] << 8U | attribute->payload[1]);
                }
                break;
            case IFLA_VXLAN_LEARNING:
                out.learning = attribute->u8().value_or(0) != 0;
                break;
            default:
                break;
        }
    }
    return out;
}

}  // namespace

bool Link::is_up() const noexcept { return (flags & IFF_UP) != 0; }
bool Link::is_running() const noexcept { return (flags & IFF_UP) != 0 && (flags & IFF_RUNNING) != 0; }
bool Link::is_loopback() const noexcept { return (flags & IFF_LOOPBACK) != 0; }

std::optional<Link> decode_link(ByteView payload) {
    const auto fixed = host_struct<ifinfomsg>(payload);
    if (!fixed) {
        return std::nullopt;
    }
    Link link;
    link.index = static_cast<std::uint32_t>(fixed->ifi_index);
    link.flags = fixed->ifi_flags;
    AttributeWalk walk(after(payload, sizeof(ifinfomsg)));
    while (auto attribute = walk.next()) {
        switch (attribute->type) {
            case IFLA_IFNAME:
                link.name = attribute->text();
                break;
            case IFLA_IFALIAS:
                link.alias = attribute->text();
                break;
            case IFLA_GROUP:
                link.group = attribute->u32().value_or(0);
                break;
            case IFLA_MTU:
                link.mtu = attribute->u32().value_or(0);
                break;
            case IFLA_ADDRESS:
                link.mac = mac_of(*attribute);
                break;
            case IFLA_MASTER:
                link.master = attribute->u32().value_or(0);
                break;
            case IFLA_LINK:
                link.lower = attribute->u32().value_or(0);
                break;
            case IFLA_LINK_NETNSID:
                link.lower_netns = host_integer<std::int32_t>(attribute->payload);
                break;
            case IFLA_OPERSTATE:
                link.operstate = attribute->u8().value_or(0);
                break;
            case IFLA_LINKINFO: {
                AttributeWalk info(attribute->payload);
                while (auto inner = info.next()) {
                    if (inner->type == IFLA_INFO_KIND) {
                        link.kind = inner->text();
                    } else if (inner->type == IFLA_INFO_DATA && (link.kind == "vxlan" || link.kind == "ipip")) {
                        link.tunnel = tunnel_settings(link.kind, inner->payload);
                    }
                }
                break;
            }
            default:
                break;
        }
    }
    if (walk.damaged()) {
        return std::nullopt;
    }
    return link;
}

std::optional<Address> decode_address(ByteView payload) {
    const auto fixed = host_struct<ifaddrmsg>(payload);
    const auto family = fixed ? family_of(fixed->ifa_family) : std::nullopt;
    if (!family || fixed->ifa_prefixlen > net::address_bits(*family)) {
        return std::nullopt;
    }
    Address address;
    address.ifindex = fixed->ifa_index;
    address.scope = fixed->ifa_scope;
    address.flags = fixed->ifa_flags;
    std::optional<net::Ip> local;
    std::optional<net::Ip> prefix;
    AttributeWalk walk(after(payload, sizeof(ifaddrmsg)));
    while (auto attribute = walk.next()) {
        switch (attribute->type) {
            case IFA_LOCAL:
                local = address_of(*family, *attribute);
                break;
            case IFA_ADDRESS:
                prefix = address_of(*family, *attribute);
                break;
            case IFA_FLAGS:
                address.flags = attribute->u32().value_or(address.flags);
                break;
            case IFA_LABEL:
                address.label = attribute->text();
                break;
            default:
                break;
        }
    }
    // IFA_ADDRESS is the peer where IFA_LOCAL differs from it, and the address itself where there is no IFA_LOCAL.
    if (walk.damaged() || (!local && !prefix)) {
        return std::nullopt;
    }
    if (local && prefix && *local != *prefix) {
        address.peer = prefix;
    }
    address.address = {local ? *local : *prefix, fixed->ifa_prefixlen};
    return address;
}

std::optional<Route> decode_route(ByteView payload) {
    const auto fixed = host_struct<rtmsg>(payload);
    const auto family = fixed ? family_of(fixed->rtm_family) : std::nullopt;
    // RTM_F_CLONED: an exception (path MTU, redirect), not an entry of a table.
    if (!family || (fixed->rtm_flags & RTM_F_CLONED) != 0) {
        return std::nullopt;
    }
    Route route;
    route.table = fixed->rtm_table;
    route.protocol = fixed->rtm_protocol;
    route.type = fixed->rtm_type;
    route.scope = fixed->rtm_scope;
    net::Ip destination = unspecified(*family);
    Hop single;
    bool has_single = false;
    bool good = true;
    AttributeWalk walk(after(payload, sizeof(rtmsg)));
    while (auto attribute = walk.next()) {
        switch (attribute->type) {
            case RTA_DST: {
                const auto address = address_of(*family, *attribute);
                good = good && address.has_value();
                destination = address.value_or(destination);
                break;
            }
            case RTA_TABLE:
                route.table = attribute->u32().value_or(route.table);
                break;
            case RTA_PRIORITY:
                route.priority = attribute->u32().value_or(0);
                break;
            case RTA_PREFSRC:
                route.prefsrc = address_of(*family, *attribute);
                break;
            case RTA_OIF:
                single.ifindex = attribute->u32().value_or(0);
                has_single = true;
                break;
            case RTA_GATEWAY:
                single.gateway = address_of(*family, *attribute);
                has_single = true;
                break;
            case RTA_VIA:
                single.gateway = via_of(*attribute);
                has_single = true;
                break;
            case RTA_NH_ID:
                route.nexthop_id = attribute->u32().value_or(0);
                break;
            case RTA_MULTIPATH:
                good = decode_multipath(*family, attribute->payload, route.hops) && good;
                break;
            case RTA_METRICS: {
                AttributeWalk metrics(attribute->payload);
                while (auto metric = metrics.next()) {
                    if (metric->type == RTAX_MTU) {
                        route.mtu = metric->u32().value_or(0);
                    }
                }
                break;
            }
            default:
                break;
        }
    }
    const auto dst = net::Prefix::exact(destination, fixed->rtm_dst_len);
    if (walk.damaged() || !good || !dst) {
        return std::nullopt;
    }
    route.dst = *dst;
    if (route.hops.empty() && has_single) {
        set_hop_flags(single, fixed->rtm_flags);
        route.hops.push_back(single);
    }
    return route;
}

std::optional<Neighbour> decode_neighbour(ByteView payload) {
    const auto fixed = host_struct<ndmsg>(payload);
    const auto family = fixed ? family_of(fixed->ndm_family) : std::nullopt;
    if (!family) {
        return std::nullopt;
    }
    Neighbour neighbour;
    neighbour.ifindex = static_cast<std::uint32_t>(fixed->ndm_ifindex);
    neighbour.state = fixed->ndm_state;
    neighbour.flags = fixed->ndm_flags;
    std::optional<net::Ip> address;
    AttributeWalk walk(after(payload, sizeof(ndmsg)));
    while (auto attribute = walk.next()) {
        if (attribute->type == NDA_DST) {
            address = address_of(*family, *attribute);
        } else if (attribute->type == NDA_LLADDR) {
            neighbour.mac = mac_of(*attribute);
        }
    }
    if (walk.damaged() || !address) {
        return std::nullopt;
    }
    neighbour.address = *address;
    return neighbour;
}

std::optional<FdbEntry> decode_fdb_entry(ByteView payload) {
    const auto fixed = host_struct<ndmsg>(payload);
    if (!fixed) {
        return std::nullopt;
    }
    FdbEntry entry{.ifindex = static_cast<std::uint32_t>(fixed->ndm_ifindex), .state = fixed->ndm_state};
    std::optional<net::Mac> mac;
    std::optional<net::Ip> remote;
    AttributeWalk walk(after(payload, sizeof(ndmsg)));
    while (auto attribute = walk.next()) {
        if (attribute->type == NDA_DST) {
            remote = net::Ip::from_bytes(attribute->payload);
        } else if (attribute->type == NDA_LLADDR) {
            mac = mac_of(*attribute);
        }
    }
    if (walk.damaged() || !mac || !remote) {
        return std::nullopt;
    }
    entry.mac = *mac;
    entry.remote = *remote;
    return entry;
}

std::optional<Nexthop> decode_nexthop(ByteView payload) {
    const auto fixed = host_struct<nhmsg>(payload);
    if (!fixed) {
        return std::nullopt;
    }
    Nexthop nexthop;
    nexthop.protocol = fixed->nh_protocol;
    nexthop.family = family_of(fixed->nh_family).value_or(net::Family::v4);
    set_hop_flags(nexthop.hop, fixed->nh_flags);
    AttributeWalk walk(after(payload, sizeof(nhmsg)));
    while (auto attribute = walk.next()) {
        switch (attribute->type) {
            case NHA_ID:
                nexthop.id = attribute->u32().value_or(0);
                break;
            case NHA_OIF:
                nexthop.hop.ifindex = attribute->u32().value_or(0);
                break;
            case NHA_GATEWAY:
                nexthop.hop.gateway = net::Ip::from_bytes(attribute->payload);
                break;
            case NHA_BLACKHOLE:
                nexthop.blackhole = true;
                break;
            case NHA_GROUP:
                for (ByteView rest = attribute->payload; auto member = host_struct<nexthop_grp>(rest);
                     rest = rest.subspan(sizeof(nexthop_grp))) {
                    nexthop.group.push_back({member->id, static_cast<std::uint16_t>(member->weight + 1U)});
                }
                break;
            default:
                break;
        }
    }
    if (walk.damaged() || nexthop.id == 0) {
        return std::nullopt;
    }
    return nexthop;
}

std::optional<Rule> decode_rule(ByteView payload) {
    const auto fixed = host_struct<fib_rule_hdr>(payload);
    const auto family = fixed ? family_of(fixed->family) : std::nullopt;
    if (!family) {
        return std::nullopt;
    }
    Rule rule;
    rule.family = *family;
    rule.table = fixed->table;
    rule.action = fixed->action;
    AttributeWalk walk(after(payload, sizeof(fib_rule_hdr)));
    while (auto attribute = walk.next()) {
        switch (attribute->type) {
            case FRA_PRIORITY:
                rule.priority = attribute->u32().value_or(0);
                break;
            case FRA_TABLE:
                rule.table = attribute->u32().value_or(rule.table);
                break;
            case FRA_PROTOCOL:
                rule.protocol = attribute->u8().value_or(0);
                break;
            case FRA_SRC:
                if (const auto address = address_of(*family, *attribute)) {
                    rule.src = net::Prefix::masked(*address, fixed->src_len);
                }
                break;
            case FRA_DST:
                if (const auto address = address_of(*family, *attribute)) {
                    rule.dst = net::Prefix::masked(*address, fixed->dst_len);
                }
                break;
            case FRA_FWMARK:
                rule.mark = attribute->u32();
                break;
            case FRA_IIFNAME:
                rule.iif = attribute->text();
                break;
            case FRA_OIFNAME:
                rule.oif = attribute->text();
                break;
            default:
                break;
        }
    }
    if (walk.damaged()) {
        return std::nullopt;
    }
    return rule;
}

std::optional<Ack> decode_ack(const MessageView& message) {
    const auto code = host_integer<std::int32_t>(message.payload);
    if (!code || *code > 0 || *code < -4095) {  // the kernel's range of error numbers
        return std::nullopt;
    }
    Ack ack{-*code, {}};
    if ((message.flags & NLM_F_ACK_TLVS) != 0) {
        // After an error comes the header of the request (and its body, unless NLM_F_CAPPED); after a dump only the
        // code.
        std::size_t fixed = sizeof(std::int32_t);
        if (message.type == NLMSG_ERROR) {
            const auto request = host_struct<nlmsghdr>(message.payload.subspan(fixed));
            if (!request) {
                return std::nullopt;
            }
            fixed += (message.flags & NLM_F_CAPPED) != 0 ? sizeof(nlmsghdr) : request->nlmsg_len;
        }
        AttributeWalk walk(after(message.payload, fixed));
        while (auto attribute = walk.next()) {
            if (attribute->type == NLMSGERR_ATTR_MSG) {
                ack.text = attribute->text();
            }
        }
    }
    return ack;
}

std::optional<Event> decode_event(const MessageView& message) {
    switch (message.type) {
        case RTM_NEWLINK:
        case RTM_DELLINK: {
            // Bridges announce their ports a second time, as AF_BRIDGE, and say RTM_DELLINK when a port only leaves.
            const auto fixed = host_struct<ifinfomsg>(message.payload);
            if (fixed && fixed->ifi_family != AF_UNSPEC) {
                return std::nullopt;
            }
            return event_of(message.type == RTM_DELLINK, decode_link(message.payload));
        }
        case RTM_NEWADDR:
        case RTM_DELADDR:
            return event_of(message.type == RTM_DELADDR, decode_address(message.payload));
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
            return event_of(message.type == RTM_DELROUTE, decode_route(message.payload));
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            if (!message.payload.empty() && message.payload.front() == AF_BRIDGE) {  // ndm_family
                return event_of(message.type == RTM_DELNEIGH, decode_fdb_entry(message.payload));
            }
            return event_of(message.type == RTM_DELNEIGH, decode_neighbour(message.payload));
        case RTM_NEWNEXTHOP:
        case RTM_DELNEXTHOP:
            return event_of(message.type == RTM_DELNEXTHOP, decode_nexthop(message.payload));
        case RTM_NEWRULE:
        case RTM_DELRULE:
            return event_of(message.type == RTM_DELRULE, decode_rule(message.payload));
        default:
            return std::nullopt;
    }
}

}  // namespace manul::netlink
