#pragma once

#include <cstdint>
#include <expected>

#include "base/bytes.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"

namespace manul::bgp::wire {

/// ROUTE-REFRESH (RFC 2918, 7313).
struct RouteRefresh {
    enum class Kind : std::uint8_t { request = 0, begin = 1, end = 2 };

    AfiSafi family;
    std::uint8_t subtype = 0;  ///< a Kind, or a value that the receiver ignores (RFC 7313 section 5)

    bool operator==(const RouteRefresh&) const = default;
};

/// `marks`: the session has begin and end marks (RFC 7313). Without them the octet of the subtype is reserved, and
/// every message a request (RFC 2918 section 3); what looks like a mark must have its length all the same. Error 7/1
/// (data: the whole message) when a mark has another length than 4 octets, 1/2 (data: the length) when anything else is
/// shorter; a request with outbound filters behind it (RFC 5291) is read as a plain one.
[[nodiscard]] std::expected<RouteRefresh, Notification> decode_route_refresh(ByteView message, bool marks);

/// Appends the whole message.
void encode_route_refresh(net::Family family, RouteRefresh::Kind kind, Bytes& out);

}  // namespace manul::bgp::wire
