#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bgpd/policy/export_rules.hpp"
#include "bgpd/policy/filter.hpp"
#include "bgpd/wire/capability.hpp"
#include "bgpd/wire/community.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// What the speaker is told to do, as plain values. peers.hpp makes a Configuration and originate.hpp LocalRoutes out
/// of resources; the speaker compares each with the one before and changes only what differs.
namespace manul::bgp::speaker {

/// A password is referred to in resources and looked up by bgpd/io, which fills in `value`. Without a value the peer
/// stays down and says so.
struct Password {
    std::string secret;  ///< name of the Secret
    std::string key;
    std::optional<std::string> value;
    std::string problem;  ///< why there is no value

    bool operator==(const Password&) const = default;
};

using policy::NextHopMode;

/// Where a peer was defined, as `node status` prints it.
enum class PeerOrigin : std::uint8_t { node_mesh, node_specific, global };

/// How BFD watches the way to a peer (RFC 5880).
struct BfdSettings {
    enum class Hops : std::uint8_t { automatic, single, multiple };

    std::chrono::milliseconds interval{300};  ///< of packets, both ways
    std::uint8_t multiplier = 3;              ///< so many packets missing: the peer is down
    Hops hops = Hops::automatic;              ///< automatic: single when the peer's address is on a link of ours
    bool graceful = false;                    ///< keep stale routes after a failure, as after a lost connection

    bool operator==(const BfdSettings&) const = default;
};

/// TCP-AO (RFC 5925) with the password as master key.
struct TcpAo {
    enum class Algorithm : std::uint8_t { hmac_sha1, aes_128_cmac };

    std::uint8_t send_id = 1;
    std::uint8_t receive_id = 1;
    Algorithm algorithm = Algorithm::hmac_sha1;

    bool operator==(const TcpAo&) const = default;
};

/// One wanted session. Its identity is the remote address, or the interface that the peer is the neighbour on.
struct PeerConfig {
    std::string name;  ///< the resource that defines it: "BGPPeer(rack-router)", "Node(node-2)" for the mesh
    PeerOrigin origin = PeerOrigin::node_mesh;
    net::Ip address;
    std::string interface;       ///< name; the peer is on this link, and `address` is link-local
    bool any_neighbour = false;  ///< whichever router is there; `address` is unspecified until it is known
    bool placed = true;          ///< `address` can be used: with its scope if it is link-local (neighbours.hpp)
    std::uint16_t port = 179;
    net::Asn remote_as = *net::Asn::make(64512);
    net::Asn local_as = *net::Asn::make(64512);
    std::optional<net::Ip> local_address;  ///< source address of the session
    bool v4 = false;                       ///< families to negotiate
    bool v6 = false;
    bool passive = false;
    bool is_node = false;                 ///< the remote end is a Node of this cluster
    bool local_workload = false;          ///< a workload of this node
    std::optional<net::Prefix> range;     ///< not one peer, but whoever connects from here
    std::optional<net::Ip> reachable_by;  ///< the gateway that the peer's address is reached through
    bool reflector_client = false;        ///< RFC 4456: this node reflects for it
    NextHopMode next_hop_mode = NextHopMode::automatic;
    std::chrono::seconds hold_time{90};
    std::optional<std::chrono::seconds> keepalive_time;  ///< absent: a third of the hold time
    std::uint16_t restart_seconds = 120;                 ///< graceful restart time that we announce
    std::uint32_t allowed_own_as = 0;                    ///< how often our AS number may be in a received path
    std::optional<std::uint8_t> ttl_security;            ///< GTSM hop count (RFC 5082)
    std::optional<Password> password;
    std::optional<TcpAo> tcp_ao;     ///< absent: a password means TCP-MD5
    std::optional<BfdSettings> bfd;  ///< absent: no BFD
    std::optional<std::uint32_t> max_prefixes;
    std::uint8_t max_prefixes_warning = 80;  ///< percent
    std::optional<wire::Role> role;          ///< ours towards an external peer (RFC 9234)
    bool role_strict = false;                ///< a peer without a role is refused
    bool add_path_receive = true;            ///< of one prefix (RFC 7911)
    std::optional<bool> add_path_send;       ///< absent: to reflector clients alone
    std::vector<std::string> filters;        ///< names of BGPFilters, in order
    policy::PeerFilters rules;               ///< what they say
    std::string problem;                     ///< why the session cannot be started as defined; empty: it can

    /// The same peer, whatever else is said about it.
    [[nodiscard]] bool same_peer(const PeerConfig& other) const noexcept;
    /// The address, or for peers on an interface its name, behind the address where that was given.
    [[nodiscard]] std::string id() const;
    [[nodiscard]] bool external() const noexcept { return remote_as != local_as; }
    [[nodiscard]] bool sends_add_path() const noexcept { return add_path_send.value_or(reflector_client); }
    bool operator==(const PeerConfig&) const = default;
};

/// Where and how often the whole table is written in MRT format (RFC 6396).
struct TableDump {
    std::string path;
    std::chrono::seconds interval{3600};

    bool operator==(const TableDump&) const = default;
};

/// A monitoring station that listens for BMP (RFC 7854).
struct Station {
    net::Ip address;
    std::uint16_t port = 0;

    auto operator<=>(const Station&) const = default;
};

struct Multipath {
    std::uint16_t max = 64;
    bool relax = true;  ///< AS paths of equal length count as equal, whatever their content

    bool operator==(const Multipath&) const = default;
};

/// Own identity, from this node's Node object and the global BGPConfiguration.
struct Self {
    std::string node_name;
    net::Asn as = *net::Asn::make(64512);
    net::RouterId router_id = *net::RouterId::make(1);
    std::optional<net::InterfaceAddress> v4;
    std::optional<net::InterfaceAddress> v6;
    std::optional<std::uint32_t> cluster_id;  ///< routeReflectorClusterID

    bool operator==(const Self&) const = default;
};

/// Communities for what this node announces inside a prefix (BGPConfiguration prefixAdvertisements).
struct Tagging {
    net::Prefix within;
    std::vector<wire::Community> communities;
    std::vector<wire::LargeCommunity> large_communities;

    bool operator==(const Tagging&) const = default;
};

struct Configuration {
    Self self;
    std::vector<PeerConfig> peers;   ///< in order of definition, each address once
    std::vector<PeerConfig> ranges;  ///< templates for peers that are known when they connect
    Multipath multipath;
    std::uint16_t listen_port = 179;
    bool listen_on_node_address = false;  ///< bindMode NodeIP
    std::uint32_t local_preference_v4 = 100;
    std::uint32_t local_preference_v6 = 100;
    std::vector<net::Prefix> relayable;         ///< learned routes inside may be passed on: pools, service ranges
    std::vector<net::Prefix> kept_from_kernel;  ///< service ranges, and pools whose routes felix programs
    std::vector<Tagging> tagging;
    std::vector<std::string> ignored_interfaces;  ///< globs; their prefixes are no host routes
    bool program_kernel = true;                   ///< false: a pure reflector, no FibBatch at all
    std::optional<TableDump> table_dump;
    std::vector<Station> stations;
    std::vector<std::string> findings;  ///< definitions without effect, and why

    bool operator==(const Configuration&) const = default;
};

/// A route of the kernel's main table that bgpd did not make.
struct HostRoute {
    net::Prefix prefix;
    bool connected = false;  ///< the prefix of an interface
    std::uint32_t metric = 0;
    std::string interface;  ///< name; empty: none
    bool workload = false;  ///< felix's route to a workload: of normal priority whatever its metric

    auto operator<=>(const HostRoute&) const = default;
};

/// A route that starts at this node.
struct LocalRoute {
    net::Prefix prefix;
    bool blackhole = false;          ///< own block: the kernel must drop what no workload route takes
    bool advertise = true;           ///< false: in a pool with disableBGPExport, known here alone
    std::optional<net::Ip> gateway;  ///< of a static route in the kernel (reachableBy); absent: none is made

    auto operator<=>(const LocalRoute&) const = default;
};

}  // namespace manul::bgp::speaker
