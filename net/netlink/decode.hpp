#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/netlink/message.hpp"
#include "net/prefix.hpp"

/// What the kernel holds, as plain values. They are what decode() gives and what encode.hpp takes.
namespace manul::netlink {

/// How a tunnel device was made ("vxlan", "ipip").
struct TunnelSettings {
    std::optional<net::Ip> local;  ///< outer address
    std::uint32_t vni = 0;         ///< VXLAN alone, as the others
    std::uint16_t port = 0;        ///< UDP
    bool learning = false;         ///< from packets which node has which MAC

    bool operator==(const TunnelSettings&) const = default;
};

struct Link {
    std::uint32_t index = 0;
    std::string name;
    std::uint32_t flags = 0;  ///< IFF_*
    std::uint32_t group = 0;
    std::string alias;
    std::uint32_t mtu = 0;
    std::optional<net::Mac> mac;
    std::uint32_t master = 0;                 ///< index of the bridge or bond, 0 = none
    std::uint32_t lower = 0;                  ///< IFLA_LINK: the other end of a veth, the device under a vlan; 0 = none
    std::optional<std::int32_t> lower_netns;  ///< id of the namespace that `lower` lives in, when it is another one
    std::string kind;                         ///< "veth", "bridge", ...; empty for hardware and loopback
    std::uint8_t operstate = 0;               ///< RFC 2863, IF_OPER_*
    std::optional<TunnelSettings> tunnel;     ///< of kinds "vxlan" and "ipip"

    [[nodiscard]] bool is_up() const noexcept;       ///< set up by an administrator (IFF_UP)
    [[nodiscard]] bool is_running() const noexcept;  ///< up and with carrier (IFF_RUNNING)
    [[nodiscard]] bool is_loopback() const noexcept;

    bool operator==(const Link&) const = default;
};

struct Address {
    std::uint32_t ifindex = 0;
    net::InterfaceAddress address;
    std::optional<net::Ip> peer;  ///< of a point-to-point address
    std::uint8_t scope = 0;       ///< RT_SCOPE_*
    std::uint32_t flags = 0;      ///< IFA_F_*
    std::string label;

    bool operator==(const Address&) const = default;
};

/// One way out of a route or nexthop group member. Either of the two may be absent, not both.
struct Hop {
    std::uint32_t ifindex = 0;
    std::optional<net::Ip> gateway;  ///< may be IPv6 under an IPv4 route (RTA_VIA, RFC 8950)
    std::uint16_t weight = 1;        ///< 1..256
    bool onlink = false;             ///< the gateway is taken as reachable without a route to it
    bool dead = false;               ///< read only: the kernel does not use it (link down)

    bool operator==(const Hop&) const = default;
};

inline constexpr std::uint32_t kMainTable = 254;

struct Route {
    net::Prefix dst;
    std::uint32_t table = kMainTable;
    std::uint8_t protocol = 0;   ///< RTPROT_*
    std::uint8_t type = 1;       ///< RTN_*: 1 unicast, 6 blackhole, 7 unreachable, 8 prohibit
    std::uint8_t scope = 0;      ///< RT_SCOPE_*: 0 universe, 253 link
    std::uint32_t priority = 0;  ///< metric; IPv6 writes 0 as 1024
    std::vector<Hop> hops;       ///< empty for blackholes and when `nexthop_id` is used in a request
    std::uint32_t nexthop_id = 0;
    std::optional<net::Ip> prefsrc;
    std::uint32_t mtu = 0;  ///< RTAX_MTU, 0 = the link's

    [[nodiscard]] net::Family family() const noexcept { return dst.family(); }
    bool operator==(const Route&) const = default;
};

struct Neighbour {
    std::uint32_t ifindex = 0;
    net::Ip address;
    std::optional<net::Mac> mac;
    std::uint16_t state = 0;  ///< NUD_*
    std::uint8_t flags = 0;   ///< NTF_*

    bool operator==(const Neighbour&) const = default;
};

/// Where a VXLAN device sends frames for a MAC.
struct FdbEntry {
    std::uint32_t ifindex = 0;
    net::Mac mac;
    net::Ip remote;
    std::uint16_t state = 0;  ///< NUD_*

    bool operator==(const FdbEntry&) const = default;
};

struct NexthopMember {
    std::uint32_t id = 0;
    std::uint16_t weight = 1;  ///< 1..256

    bool operator==(const NexthopMember&) const = default;
};

/// A nexthop object: one hop, a blackhole, or a group of other objects.
struct Nexthop {
    std::uint32_t id = 0;
    std::uint8_t protocol = 0;
    net::Family family = net::Family::v4;  ///< of the routes that may use it; a group has none
    bool blackhole = false;
    Hop hop;                           ///< weight unused
    std::vector<NexthopMember> group;  ///< not empty: a group, and `hop` is unused

    bool operator==(const Nexthop&) const = default;
};

struct Rule {
    net::Family family = net::Family::v4;
    std::uint32_t priority = 0;
    std::uint32_t table = 0;
    std::uint8_t action = 0;  ///< FR_ACT_*
    std::uint8_t protocol = 0;
    std::optional<net::Prefix> src;
    std::optional<net::Prefix> dst;
    std::optional<std::uint32_t> mark;
    std::string iif;
    std::string oif;

    bool operator==(const Rule&) const = default;
};

template <class T>
struct Changed {  ///< new, or its fields changed
    T value;
    bool operator==(const Changed&) const = default;
};
template <class T>
struct Removed {
    T value;
    bool operator==(const Removed&) const = default;
};
/// The kernel had to drop events: what was learned from events is no longer complete, list again.
struct Overrun {
    bool operator==(const Overrun&) const = default;
};

using Event = std::variant<Overrun, Changed<Link>, Removed<Link>, Changed<Address>, Removed<Address>, Changed<Route>,
                           Removed<Route>, Changed<Neighbour>, Removed<Neighbour>, Changed<Nexthop>, Removed<Nexthop>,
                           Changed<Rule>, Removed<Rule>, Changed<FdbEntry>, Removed<FdbEntry>>;

/// The kernel's answer to one request (NLMSG_ERROR) or the end of a dump (NLMSG_DONE). `code` is an errno value, 0 =
/// done; `text` is the kernel's own explanation when it gave one.
struct Ack {
    int code = 0;
    std::string text;

    bool operator==(const Ack&) const = default;
};

// Each takes the payload of one message. Nothing when it is damaged, too short, of a family that is neither IPv4 nor
// IPv6, or (routes) of a kind that is no forwarding entry we can hold. Attributes that are not known are skipped.
[[nodiscard]] std::optional<Link> decode_link(ByteView payload);
[[nodiscard]] std::optional<Address> decode_address(ByteView payload);
[[nodiscard]] std::optional<Route> decode_route(ByteView payload);
[[nodiscard]] std::optional<Neighbour> decode_neighbour(ByteView payload);
/// An entry of a bridge's own list has no remote end, and is nothing.
[[nodiscard]] std::optional<FdbEntry> decode_fdb_entry(ByteView payload);
[[nodiscard]] std::optional<Nexthop> decode_nexthop(ByteView payload);
[[nodiscard]] std::optional<Rule> decode_rule(ByteView payload);
/// Of an NLMSG_ERROR or NLMSG_DONE message.
[[nodiscard]] std::optional<Ack> decode_ack(const MessageView& message);

/// A message of a dump, an echo or a multicast group as event; nothing for types that have no value here.
[[nodiscard]] std::optional<Event> decode_event(const MessageView& message);

}  // namespace manul::netlink
