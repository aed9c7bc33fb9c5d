#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model/bgp_configuration.hpp"
#include "config/model/duration.hpp"
#include "config/model/resource.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::model {

/// "192.0.2.1", "192.0.2.1:1790", "2001:db8::1" or "[2001:db8::1]:1790".
struct PeerAddress {
    net::Ip ip;
    std::optional<std::uint16_t> port;

    [[nodiscard]] static std::optional<PeerAddress> parse(std::string_view text) noexcept;
    [[nodiscard]] std::string to_string() const;

    bool operator==(const PeerAddress&) const = default;
};

enum class NextHopMode : std::uint8_t { auto_, self, keep };
enum class SourceAddressMode : std::uint8_t { use_node_ip, none };
enum class ReversePeering : std::uint8_t { auto_, manual };
enum class BfdMode : std::uint8_t { auto_, single_hop, multi_hop };
enum class AddPathMode : std::uint8_t { disabled, receive, send, both };
enum class BgpRole : std::uint8_t { provider, customer, peer, rs, rs_client };  ///< RFC 9234
enum class TcpAoAlgorithm : std::uint8_t { hmac_sha1, aes_128_cmac };           ///< RFC 5926
enum class AddressFamily : std::uint8_t { ipv4, ipv6 };

struct Bfd {
    std::uint32_t interval_ms = 300;
    std::uint8_t multiplier = 3;
    BfdMode mode = BfdMode::auto_;
    bool graceful = false;  ///< keep stale routes when BFD goes down, as after a lost TCP connection

    bool operator==(const Bfd&) const = default;
};

struct MaxPrefixes {
    std::uint32_t count = 0;
    std::uint8_t warn_percent = 80;

    bool operator==(const MaxPrefixes&) const = default;
};

/// Authentication of TCP by keys of RFC 5925 in place of MD5 signatures; the master key is the peer's password.
struct TcpAo {
    std::uint8_t send_id = 1;     ///< KeyID of segments sent
    std::uint8_t receive_id = 1;  ///< KeyID of segments received
    TcpAoAlgorithm algorithm = TcpAoAlgorithm::hmac_sha1;

    bool operator==(const TcpAo&) const = default;
};

struct BgpPeerSpec {
    std::string node;  ///< excludes node_selector; neither: every node
    std::string node_selector;
    std::optional<PeerAddress> peer_ip;
    std::string peer_selector;  ///< peers with matching nodes
    std::optional<net::Asn> as_number;
    std::optional<net::Asn> local_as_number;
    std::string local_workload_selector;
    NextHopMode next_hop_mode = NextHopMode::auto_;
    bool keep_original_next_hop = false;
    std::optional<BgpPassword> password;
    SourceAddressMode source_address = SourceAddressMode::use_node_ip;
    std::optional<Duration> max_restart_time;  ///< absent: 120 s
    std::optional<Duration> keepalive_time;    ///< absent: one third of the hold time
    std::uint32_t num_allowed_local_as_numbers = 0;
    std::optional<std::uint8_t> ttl_security;  ///< hops
    std::optional<net::Ip> reachable_by;
    std::vector<std::string> filters;
    ReversePeering reverse_peering = ReversePeering::auto_;
    // Manul's own.
    std::optional<Bfd> bfd;               ///< absent: no BFD
    std::optional<AddPathMode> add_path;  ///< absent: receive
    std::optional<BgpRole> role;
    bool role_strict = false;  ///< the peer must announce its role, too (RFC 9234 section 4.2)
    std::optional<MaxPrefixes> max_prefixes;
    std::optional<net::Prefix> listen_range;
    std::string interface;  ///< peer_ip, if given, is a link-local address on it; else whichever router is there
    std::vector<AddressFamily> families;  ///< empty: the family of the session's addresses
    std::optional<Duration> hold_time;    ///< absent: 3 × keepalive_time where given, else 90 s
    bool passive = false;
    std::optional<TcpAo> tcp_ao;  ///< absent: the password makes TCP-MD5 signatures

    bool operator==(const BgpPeerSpec&) const = default;
};

struct BgpPeer final : ResourceOf<Kind::bgp_peer> {
    BgpPeerSpec spec;
};

}  // namespace manul::model
