#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "base/strong_id.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "bgpd/wire/message.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// Everything that can happen to a speaker.
namespace manul::bgp::speaker {

/// Steady clock; only ever an argument.
using Time = std::chrono::steady_clock::time_point;

/// One TCP connection. Numbers below kFirstAcceptedConnection are given by the speaker (action Connect), the others by
/// bgpd/io for connections that it accepted. A number is not used again while either side may still refer to it.
using ConnectionId = Id<struct ConnectionTag, std::uint32_t>;
inline constexpr std::uint32_t kFirstAcceptedConnection = 0x8000'0000;

struct Endpoint {
    net::Ip address;
    std::uint16_t port = 0;

    auto operator<=>(const Endpoint&) const = default;
};

/// A connection attempt asked for by action Connect succeeded.
struct Connected {
    ConnectionId connection;
    Endpoint local;
};

/// A peer connected to our listening socket. MD5 and TTL were already checked by the kernel.
struct Accepted {
    ConnectionId connection;
    Endpoint local;
    Endpoint remote;
};

/// The connection ended or never came up; nothing more will come from it. Not sent after action Close.
struct Closed {
    ConnectionId connection;
    std::string reason;  ///< for people: "connection refused", "reset by peer", "end of file"
};

/// Bytes of a connection, starting where the last call's consumed bytes ended. The answer says how many bytes the
/// speaker has consumed: whole messages only; the caller keeps the rest and offers it again with what follows. The
/// span need not outlive the call.
struct Received {
    ConnectionId connection;
    ByteView data;
};

/// All connections that were ready have been read: decide, encode and send what changed, and do one slice of pending
/// work. Send it after each batch of Received events, and again without blocking while busy().
struct TurnEnd {};

/// next_deadline() has come.
struct Tick {};

/// How many bytes of this connection the kernel has not taken yet. Sent before TurnEnd for each connection whose value
/// changed, last of all with 0.
struct Backlog {
    ConnectionId connection;
    std::size_t bytes = 0;
};

/// The whole wanted configuration; compared with the one in force.
struct Configure {
    std::shared_ptr<const Configuration> configuration;
};

/// All routes that start at this node; compared with those in force.
struct Originate {
    std::shared_ptr<const std::vector<LocalRoute>> routes;
};

/// All routes of the host that export filters may ask for; compared with those before.
struct HostRoutes {
    std::shared_ptr<const std::vector<HostRoute>> routes;
};

/// Where packets for a next hop leave this node. `gateway` is absent when the next hop itself is on the link.
struct Resolution {
    std::uint32_t interface = 0;  ///< index
    std::optional<net::Ip> gateway;
    std::uint32_t metric = 0;  ///< of the route used; decision step "IGP metric"
    std::string interface_name;

    bool operator==(const Resolution&) const = default;
};

/// Answer to action TrackNextHop, and again whenever it changes. Without a resolution the next hop is unreachable.
struct NextHopChanged {
    net::Ip next_hop;
    std::optional<Resolution> resolution;
};

/// All addresses of this host's interfaces, with prefix lengths: own addresses are never accepted as routes or next
/// hops, and the prefixes say which next hops share a link with a peer (RFC 4271 section 5.1.3).
struct LocalAddresses {
    std::vector<net::InterfaceAddress> addresses;
};

/// An operator's request through the control socket.
struct PeerCommand {
    enum class What : std::uint8_t {
        reset,        ///< Cease/administrative reset, then connect again
        shutdown,     ///< Cease/administrative shutdown, stays down until `enable`
        enable,       ///< ends a shutdown
        refresh_in,   ///< ask the peer for its routes again (RFC 2918)
        refresh_out,  ///< send all our routes again
        leave,        ///< Cease/administrative shutdown to all, all kernel routes go; until `enable` for all
    };
    What what;
    std::optional<net::Ip> peer;  ///< absent: all peers
    std::string text;             ///< shutdown communication (RFC 9003)
};

/// The families of which the kernel holds routes of ours. The first one, before the first Configure, tells what an
/// earlier run left in force: with any, this start is a restart (RFC 4724 section 4.1).
struct KernelRoutes {
    wire::FamilySet families;
};

/// What BFD (RFC 5880) says about the way to a peer.
struct BfdChanged {
    net::Ip peer;
    bool up = false;
    bool on_purpose = false;  ///< not up because the neighbour said so (AdminDown): nothing is known about the way
};

/// The process is about to end and will be started again: peers and kernel keep our routes. Nothing is done after this
/// event.
struct Finish {};

using Event = std::variant<Received, TurnEnd, Tick, Backlog, Connected, Accepted, Closed, Configure, Originate,
                           HostRoutes, NextHopChanged, LocalAddresses, PeerCommand, KernelRoutes, BfdChanged, Finish>;

}  // namespace manul::bgp::speaker
