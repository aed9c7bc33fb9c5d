#include "bgpd/mrt/table_dump.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "bgpd/wire/attribute.hpp"
#include "bgpd/wire/update.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"
#include "net/scoped.hpp"

namespace manul::bgp::mrt {
namespace {

constexpr std::uint16_t kTableDumpV2 = 13;
constexpr std::uint16_t kPeerIndexTable = 1;
constexpr std::uint16_t kRibIpv4Unicast = 2;
constexpr std::uint16_t kRibIpv6Unicast = 4;
constexpr std::uint16_t kAddPathStep = 6;  // RFC 8050 section 4: 8 and 10

constexpr std::uint8_t kPeerIpv6 = 0x01;
constexpr std::uint8_t kPeerFourOctetAs = 0x02;

/// Writes the common header (RFC 6396 section 2) and, at the end of its life, the length into it.
class Record {
public:
    Record(Bytes& out, std::uint32_t time, std::uint16_t subtype) : out_(out), writer_(out) {
        writer_.u32(time);
        writer_.u16(kTableDumpV2);
        writer_.u16(subtype);
        length_at_ = out.size();
        writer_.u32(0);
    }
    Record(const Record&) = delete;
    Record& operator=(const Record&) = delete;
    ~Record() {
        const std::size_t length = out_.size() - length_at_ - 4;
        writer_.patch_u16(length_at_, static_cast<std::uint16_t>(length >> 16U));
        writer_.patch_u16(length_at_ + 2, static_cast<std::uint16_t>(length));
    }

    ByteWriter& operator*() noexcept { return writer_; }

private:
    Bytes& out_;
    ByteWriter writer_;
    std::size_t length_at_;
};

/// The next hop as TABLE_DUMP_V2 wants it: MP_REACH_NLRI is cut to the next hop (RFC 6396 section 4.3.4).
void write_next_hop(Bytes& out, net::Family family, const wire::NextHop& next_hop) {
    using namespace wire;
    if (family == net::Family::v4 && next_hop.address.is_v4()) {
        encode_attribute(attribute_flag::kTransitive, attribute_type::kNextHop, next_hop.address.bytes(), out);
        return;
    }
    Bytes value;
    ByteWriter writer(value);
    const net::Ip plain = net::without_scope(next_hop.address);
    const ByteView address = plain.bytes();
    const std::size_t size = address.size() + (next_hop.link_local ? std::size_t{16} : std::size_t{0});
    writer.u8(static_cast<std::uint8_t>(size));
    writer.bytes(address);
    if (next_hop.link_local) {
        const net::Ip link_local(*next_hop.link_local);
        writer.bytes(link_local.bytes());
    }
    encode_attribute(attribute_flag::kOptional, attribute_type::kMpReach, value, out);
}

void write_attributes(Bytes& out, net::Family family, const Route& route) {
    bool written = false;
    const std::uint8_t place =
        family == net::Family::v4 ? wire::attribute_type::kNextHop : wire::attribute_type::kMpReach;
    for (const wire::Attribute attribute : wire::AttributeRange(route.attributes)) {
        if (!written && attribute.type > place) {
            write_next_hop(out, family, route.next_hop);
            written = true;
        }
        out.insert(out.end(), attribute.whole.begin(), attribute.whole.end());
    }
    if (!written) {
        write_next_hop(out, family, route.next_hop);
    }
}

}  // namespace

void encode_peer_index(Bytes& out, std::uint32_t time, std::uint32_t collector_id, std::string_view view,
                       std::span<const Peer> peers) {
    Record record(out, time, kPeerIndexTable);
    (*record).u32(collector_id);
    (*record).u16(static_cast<std::uint16_t>(view.size()));
    (*record).bytes(ByteView(reinterpret_cast<const std::uint8_t*>(view.data()), view.size()));
    (*record).u16(static_cast<std::uint16_t>(peers.size()));
    for (const Peer& peer : peers) {
        (*record).u8(static_cast<std::uint8_t>(kPeerFourOctetAs | (peer.address.is_v4() ? 0U : kPeerIpv6)));
        (*record).u32(peer.router_id);
        (*record).bytes(peer.address.bytes());
        (*record).u32(peer.as);
    }
}

void encode_rib(Bytes& out, std::uint32_t time, std::uint32_t sequence, const net::Prefix& prefix,
                std::span<const Route> routes) {
    const bool add_path = std::ranges::any_of(routes, [](const Route& route) { return route.path_id.has_value(); });
    const std::uint16_t subtype = prefix.family() == net::Family::v4 ? kRibIpv4Unicast : kRibIpv6Unicast;
    Record record(out, time, static_cast<std::uint16_t>(subtype + (add_path ? kAddPathStep : 0)));
    (*record).u32(sequence);
    (*record).u8(prefix.length());
    (*record).bytes(prefix.address().bytes().first((prefix.length() + 7U) / 8U));
    (*record).u16(static_cast<std::uint16_t>(routes.size()));
    for (const Route& route : routes) {
        (*record).u16(route.peer);
        (*record).u32(route.originated);
        if (add_path) {
            (*record).u32(route.path_id.value_or(0));
        }
        const std::size_t length_at = out.size();
        (*record).u16(0);
        write_attributes(out, prefix.family(), route);
        (*record).patch_u16(length_at, static_cast<std::uint16_t>(out.size() - length_at - 2));
    }
}

}  // namespace manul::bgp::mrt
