#include "bgpd/wire/route_refresh.hpp"

#include <cstddef>
#include <expected>
#include <utility>

#include "base/bytes.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"
#include "net/ip.hpp"

namespace manul::bgp::wire {

std::expected<RouteRefresh, Notification> decode_route_refresh(ByteView message, bool marks) {
    ByteReader reader(message.subspan(kHeaderSize));
    const auto afi = reader.u16();
    const auto subtype = reader.u8();
    const auto safi = reader.u8();
    const bool mark = subtype && (*subtype == std::to_underlying(RouteRefresh::Kind::begin) ||
                                  *subtype == std::to_underlying(RouteRefresh::Kind::end));
    if (mark && (!safi || !reader.empty())) {
        return std::unexpected(Notification{ErrorCode::route_refresh, route_refresh_error::kInvalidLength,
                                            Bytes(message.begin(), message.end())});
    }
    if (!safi) {
        return std::unexpected(Notification{ErrorCode::header, header_error::kBadLength,
                                            Bytes(message.begin() + kMarkerSize, message.begin() + kMarkerSize + 2)});
    }
    return RouteRefresh{{*afi, *safi}, marks ? *subtype : std::to_underlying(RouteRefresh::Kind::request)};
}

void encode_route_refresh(net::Family family, RouteRefresh::Kind kind, Bytes& out) {
    const std::size_t start = begin_message(out, MessageType::route_refresh);
    const AfiSafi entry = AfiSafi::of(family);
    ByteWriter writer(out);
    writer.u16(entry.afi);
    writer.u8(std::to_underlying(kind));
    writer.u8(entry.safi);
    finish_message(out, start);
}

}  // namespace manul::bgp::wire
