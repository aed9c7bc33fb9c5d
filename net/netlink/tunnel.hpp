#pragma once

#include <cstdint>
#include <string>

#include "net/mac.hpp"
#include "net/netlink/decode.hpp"
#include "net/netlink/encode.hpp"
#include "net/netlink/message.hpp"

/// Requests about tunnel devices that one end shares with many others. Like those of encode.hpp, each function appends
/// exactly one request.
namespace manul::netlink {

/// Down at first. EEXIST: the name, or a VXLAN device with this VNI and port, is
/// there already. EOPNOTSUPP: the kernel has no devices of the kind.
struct TunnelLink {
    std::string name;
    std::string kind;  ///< "vxlan" or "ipip"
    TunnelSettings settings;
    net::Mac mac;  ///< VXLAN alone
    std::uint32_t mtu = 0;
};
void create_tunnel(RequestBuffer& out, const TunnelLink& link);

/// Permanent, and the only one of its MAC.
void put_fdb_entry(RequestBuffer& out, const FdbEntry& entry);
void delete_fdb_entry(RequestBuffer& out, const FdbEntry& entry);
void dump_fdb(RequestBuffer& out, std::uint32_t ifindex);

}  // namespace manul::netlink
