#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/message.hpp"

/// Values -> requests. Each function appends exactly one request to the buffer, so the index of an error in a batch is
/// the index of the call.
namespace manul::netlink {

enum class Write : std::uint8_t {
    add,      ///< fails with EEXIST when there is one (NLM_F_EXCL)
    replace,  ///< creates or replaces; a route of equal prefix, table and metric is taken over from whoever owns it
};

// ---- links

struct VethEnd {
    std::string name;
    std::optional<net::Mac> mac;  ///< the kernel chooses one otherwise
    std::optional<int> netns_fd;  ///< where it is created; the socket's namespace otherwise
    std::uint32_t group = 0;
};
/// Both ends in their namespaces in one message (moving one later waits for a grace period). Fails with EEXIST when
/// either name is taken. With `echo` the answer carries `local` as a link, whose `lower` is the index of `peer`.
struct VethPair {
    VethEnd local;
    VethEnd peer;
    std::uint32_t mtu = 0;  ///< 0 = the kernel's 1500
    bool up = false;        ///< takes `local` up; `peer` cannot be before it has its other end
    bool echo = true;
};
void create_veth(RequestBuffer& out, const VethPair& pair);

/// Per-link IPv4 setting, a number of IPV4_DEVCONF_* (linux/ip.h).
struct Ipv4Setting {
    std::uint16_t id = 0;
    std::uint32_t value = 0;
};
/// What is set is changed, all in one message. The kernel applies MTU, MAC, name, alias and group before up or down.
/// Before Linux 6.2 a link that is up cannot be renamed (EBUSY): send the `up = false` as a request of its own first.
struct LinkChange {
    std::uint32_t index = 0;
    std::optional<bool> up;
    std::optional<std::string> name;
    std::optional<std::string> alias;  ///< empty text removes it
    std::optional<std::uint32_t> group;
    std::optional<std::uint32_t> mtu;
    std::optional<std::uint32_t> master;  ///< 0 releases it
    std::optional<net::Mac> mac;
    std::vector<Ipv4Setting> ipv4;
    bool no_ipv6_auto_address = false;  ///< addr_gen_mode none: no link-local address by itself when the link goes up
};
void change_link(RequestBuffer& out, const LinkChange& change);
void delete_link(RequestBuffer& out, std::uint32_t index);
/// All links of the group in one message: one grace period instead of one a link.
void delete_link_group(RequestBuffer& out, std::uint32_t group);
void get_link(RequestBuffer& out, std::uint32_t index);
void get_link(RequestBuffer& out, std::string_view name);

// ---- addresses, neighbours

void put_address(RequestBuffer& out, const Address& address, Write how);
void delete_address(RequestBuffer& out, const Address& address);
/// State 0 is written as permanent.
void put_neighbour(RequestBuffer& out, const Neighbour& neighbour, Write how = Write::replace);
void delete_neighbour(RequestBuffer& out, const Neighbour& neighbour);

// ---- routes, nexthop objects

void put_route(RequestBuffer& out, const Route& route, Write how);
/// Deletes only what equals it in prefix, table, metric, protocol and type, and in hops or nexthop id where given.
void delete_route(RequestBuffer& out, const Route& route);
/// Asks for the table entry by which the kernel would reach `destination` (answer: one route message).
void lookup_route(RequestBuffer& out, const net::Ip& destination);
void put_nexthop(RequestBuffer& out, const Nexthop& nexthop, Write how);
void delete_nexthop(RequestBuffer& out, std::uint32_t id);

// ---- dumps (strict: the kernel filters)

void dump_links(RequestBuffer& out);
void dump_addresses(RequestBuffer& out, std::uint32_t ifindex = 0);  ///< 0 = of all links
struct RouteFilter {
    net::Family family = net::Family::v4;
    std::uint32_t table = 0;    ///< 0 = all
    std::uint8_t protocol = 0;  ///< 0 = all
    std::uint32_t ifindex = 0;  ///< 0 = all
};
void dump_routes(RequestBuffer& out, const RouteFilter& filter);
void dump_neighbours(RequestBuffer& out, net::Family family, std::uint32_t ifindex = 0);
void dump_nexthops(RequestBuffer& out);

}  // namespace manul::netlink
