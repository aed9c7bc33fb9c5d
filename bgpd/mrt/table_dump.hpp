#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "bgpd/wire/update.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

/// bgpd/mrt: tables in the format that bgpdump, GoBGP and the route collectors read (RFC 6396 section 4.3,
/// TABLE_DUMP_V2). A dump is one peer index, then one record a prefix.
namespace manul::bgp::mrt {

struct Peer {
    std::uint32_t router_id = 0;
    net::Ip address;
    std::uint32_t as = 0;
};

/// One path of a prefix.
struct Route {
    std::uint16_t peer = 0;                ///< place in the peer index
    std::uint32_t originated = 0;          ///< seconds since 1970
    std::optional<std::uint32_t> path_id;  ///< of a peer that sends several paths (RFC 8050)
    ByteView attributes;                   ///< canonical (bgpd/wire/attribute.hpp)
    wire::NextHop next_hop;                ///< unspecified: the route starts here
};

/// Appends the PEER_INDEX_TABLE record; 65,535 peers at most. `time` in seconds since 1970.
void encode_peer_index(Bytes& out, std::uint32_t time, std::uint32_t collector_id, std::string_view view,
                       std::span<const Peer> peers);

/// Appends a RIB_IPV4_UNICAST or RIB_IPV6_UNICAST record, or its ADDPATH form when a route has a path identifier.
void encode_rib(Bytes& out, std::uint32_t time, std::uint32_t sequence, const net::Prefix& prefix,
                std::span<const Route> routes);

}  // namespace manul::bgp::mrt
