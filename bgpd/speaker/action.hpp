#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/strong_id.hpp"
#include "bgpd/bfd/sessions.hpp"
#include "bgpd/policy/filter.hpp"
#include "bgpd/rib/chunk.hpp"
#include "bgpd/speaker/event.hpp"
#include "bgpd/speaker/monitor.hpp"
#include "bgpd/speaker/status.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// Everything that a speaker asks of the world. Actions are carried out in order.
namespace manul::bgp::speaker {

/// Settings of a peer's socket, also of the listening socket for connections from that peer.
struct SocketOptions {
    std::optional<std::string> key;           ///< of TCP-AO where `ao` is there, else of TCP-MD5 (RFC 2385)
    std::optional<TcpAo> ao;                  ///< RFC 5925
    std::uint8_t ttl = 64;                    ///< of packets sent: 255 with GTSM
    std::optional<std::uint8_t> minimum_ttl;  ///< of packets received (RFC 5082): 256 - hops

    bool operator==(const SocketOptions&) const = default;
};

/// Listen on this port, on these addresses or, when empty, on all of both families. Replaces the setting before.
struct Listen {
    std::uint16_t port = 179;
    std::vector<net::Ip> addresses;
};

/// Connections from this address are welcome, with these options; replaces earlier ones for the address. Connections
/// from other addresses are closed at once by bgpd/io.
struct ExpectPeer {
    net::Ip address;
    SocketOptions options;
};
struct ForgetPeer {
    net::Ip address;
};
/// The same for every address of a prefix (listenRange); an ExpectPeer inside goes before.
struct ExpectRange {
    net::Prefix range;
    SocketOptions options;
};
struct ForgetRange {
    net::Prefix range;
};

/// Start a connection; answered by Connected or Closed.
struct Connect {
    ConnectionId connection;
    Endpoint remote;
    std::optional<net::Ip> local;
    SocketOptions options;
};

/// Send chunk->append_spans(reader) on the connection, after all that was written to it before.
struct Write {
    ConnectionId connection;
    rib::SourceId reader;
    rib::ChunkPtr chunk;
};

/// Close the connection. With `flush`, what was written (a NOTIFICATION last) is sent first, for a second at most.
struct Close {
    ConnectionId connection;
    bool flush = true;
};

/// Watch how this address is reached; answer at once and on each change with NextHopChanged. `wanted` false ends it.
struct TrackNextHop {
    net::Ip next_hop;
    bool wanted = true;
};

/// A set of gateways that routes share: one nexthop object in the kernel. 0 and 1 are fixed.
using FibGroupId = Id<struct FibGroupTag, std::uint32_t>;
inline constexpr FibGroupId kNoRoute{0};
inline constexpr FibGroupId kBlackhole{1};

struct FibMember {
    net::Ip next_hop;
    Resolution via;
    std::uint16_t weight = 1;  ///< share of the traffic

    bool operator==(const FibMember&) const = default;
};

/// Defines or changes a group before routes use it. Members are distinct and in a stable order. Empty: the group is no
/// longer used by any route and goes away.
struct FibGroup {
    FibGroupId group;
    std::vector<FibMember> members;
};

/// The kernel must send `prefix` to `group`; kNoRoute: remove our route. `slot` names the prefix for as long as it has
/// a route. `metric` is that of a route to gateways: the priority that LOCAL_PREF carries between nodes.
struct FibChange {
    net::Prefix prefix;
    std::uint32_t slot = 0;
    FibGroupId group;
    std::uint32_t metric = policy::kNormalPriority;
};

struct FibBatch {
    std::shared_ptr<const std::vector<FibChange>> changes;
};

/// The first tables of all peers are loaded (or waiting for them has ended): routes of ours in the kernel that no
/// FibChange has named are left over from an earlier run and go away. Once a life.
struct FibComplete {};

/// Keep these BFD sessions, and no others; answered by BfdChanged whenever one comes up or goes down.
struct SetBfdSessions {
    std::vector<bfd::SessionConfig> sessions;
};

/// Something worth a log line and a report happened to a peer.
struct PeerChanged {
    std::shared_ptr<const PeerStatus> status;  ///< not inside: it would make each action as large
    bool removed = false;                      ///< the peer is no longer configured
};

/// A peer comes near the number of prefixes that it may announce.
struct ManyPrefixes {
    net::Ip peer;
    net::Family family = net::Family::v4;
    std::uint32_t received = 0;
    std::uint32_t most = 0;
};

/// News for monitoring stations, in order.
struct Monitored {
    std::shared_ptr<const std::vector<MonitorEvent>> events;
};

using Action = std::variant<Write, Connect, Close, FibBatch, FibGroup, FibComplete, TrackNextHop, Listen, ExpectPeer,
                            ForgetPeer, ExpectRange, ForgetRange, PeerChanged, SetBfdSessions, ManyPrefixes, Monitored>;
static_assert(sizeof(Action) <= 128, "a turn has thousands of them, and most are a Write");

}  // namespace manul::bgp::speaker
