#include "net/netlink/tunnel.hpp"

#include <linux/if_link.h>
#include <linux/if_tunnel.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <bit>
#include <cstdint>

namespace manul::netlink {

namespace {

void put_vxlan(RequestBuffer& out, const TunnelSettings& settings) {
    out.u32(IFLA_VXLAN_ID, settings.vni);
    // Big endian, unlike most of netlink.
    out.u16(IFLA_VXLAN_PORT, std::endian::native == std::endian::little ? std::byteswap(settings.port) : settings.port);
    out.u8(IFLA_VXLAN_LEARNING, settings.learning ? 1 : 0);
    if (!settings.local) {
        return;
    }
    const bool v6 = settings.local->is_v6();
    out.bytes(v6 ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, settings.local->bytes());
    if (v6) {
        // The frames inside have checksums of their own (RFC 6936); what other ends send without one is taken, too.
        out.u8(IFLA_VXLAN_UDP_ZERO_CSUM6_TX, 1);
        out.u8(IFLA_VXLAN_UDP_ZERO_CSUM6_RX, 1);
    }
}

void put_fdb_message(RequestBuffer& out, std::uint16_t type, std::uint16_t flags, const FdbEntry& entry) {
    ndmsg fixed{};
    fixed.ndm_family = AF_BRIDGE;
    fixed.ndm_ifindex = static_cast<int>(entry.ifindex);
    fixed.ndm_state = NUD_PERMANENT;
    fixed.ndm_flags = NTF_SELF;
    out.begin(type, flags, fixed);
    out.bytes(NDA_LLADDR, entry.mac.bytes());
    out.bytes(NDA_DST, entry.remote.bytes());
    out.end();
}

}  // namespace

void create_tunnel(RequestBuffer& out, const TunnelLink& link) {
    out.begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg{});
    out.text(IFLA_IFNAME, link.name);
    if (link.mtu != 0) {
        out.u32(IFLA_MTU, link.mtu);
    }
    const bool vxlan = link.kind == "vxlan";
    if (vxlan) {
        out.bytes(IFLA_ADDRESS, link.mac.bytes());
    }
    const auto info = out.open(IFLA_LINKINFO);
    out.text(IFLA_INFO_KIND, link.kind);
    const auto data = out.open(IFLA_INFO_DATA);
    if (vxlan) {
        put_vxlan(out, link.settings);
    } else if (link.settings.local) {
        out.bytes(IFLA_IPTUN_LOCAL, link.settings.local->bytes());
        out.u8(IFLA_IPTUN_PMTUDISC, 1);
    }
    out.close(data);
    out.close(info);
    out.end();
}

void put_fdb_entry(RequestBuffer& out, const FdbEntry& entry) {
    put_fdb_message(out, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, entry);
}

void delete_fdb_entry(RequestBuffer& out, const FdbEntry& entry) { put_fdb_message(out, RTM_DELNEIGH, 0, entry); }

void dump_fdb(RequestBuffer& out, std::uint32_t ifindex) {
    ndmsg fixed{};
    fixed.ndm_family = AF_BRIDGE;
    fixed.ndm_ifindex = static_cast<int>(ifindex);
    out.begin(RTM_GETNEIGH, NLM_F_DUMP, fixed);
    out.end();
}

}  // namespace manul::netlink
