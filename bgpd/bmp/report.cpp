#include "bgpd/bmp/report.hpp"

#include <cstdint>
#include <variant>

#include "base/overloaded.hpp"
#include "bgpd/fsm/action.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/notification.hpp"

namespace manul::bgp::bmp {
namespace {

using Cause = fsm::SessionEnd::Cause;

/// Numbers of RFC 4271 section 8.1, for sessions that end without a NOTIFICATION.
constexpr std::uint16_t kManualStop = 2;
constexpr std::uint16_t kTcpConnectionConfirmed = 17;

PeerHeader header(const speaker::MonitoredPeer& peer, std::uint8_t flags, Timestamp time) {
    return {.type = peer.address ? PeerType::global : PeerType::loc_rib,
            .flags = flags,
            .address = peer.address,
            .as = peer.as.number(),
            .router_id = peer.router_id,
            .time = time};
}

std::uint8_t flags_of(const speaker::MonitoredRoutes& routes) {
    const std::uint8_t narrow = routes.two_octet_as ? peer_flag::kTwoOctetAs : 0;
    switch (routes.table) {
        case speaker::MonitoredTable::received:
        case speaker::MonitoredTable::selected:
            return narrow;
        case speaker::MonitoredTable::accepted:
            return static_cast<std::uint8_t>(narrow | peer_flag::kPostPolicy);
        case speaker::MonitoredTable::sent:
            return static_cast<std::uint8_t>(narrow | peer_flag::kAdjRibOut | peer_flag::kPostPolicy);
    }
    return narrow;
}

}  // namespace

DownReason down_reason(const speaker::MonitoredDown& down, Bytes& data) {
    const fsm::SessionEnd& end = down.end;
    if (!down.peer.address) {
        return DownReason::local_closed;
    }
    if (down.deconfigured) {
        return DownReason::deconfigured;
    }
    if (end.notification) {
        wire::encode_notification(*end.notification, data);
        return end.cause == Cause::notification_received ? DownReason::remote_notification
                                                         : DownReason::local_notification;
    }
    switch (end.cause) {
        case Cause::stopped:
            ByteWriter(data).u16(kManualStop);
            return DownReason::local_no_notification;
        case Cause::replaced:  // closed here, because the peer has connected anew
            ByteWriter(data).u16(kTcpConnectionConfirmed);
            return DownReason::local_no_notification;
        default:
            return DownReason::remote_no_notification;
    }
}

void append_events(std::span<const speaker::MonitorEvent> events, Timestamp time, Bytes& out) {
    for (const speaker::MonitorEvent& event : events) {
        std::visit(overloaded{
                       [&](const speaker::MonitoredUp& up) {
                           encode_peer_up(header(up.peer, 0, time), up.local.address, up.local.port, up.remote_port,
                                          up.sent_open, up.received_open, out);
                       },
                       [&](const speaker::MonitoredDown& down) {
                           Bytes data;
                           const DownReason reason = down_reason(down, data);
                           encode_peer_down(header(down.peer, 0, time), reason, data, out);
                       },
                       [&](const speaker::MonitoredRoutes& routes) {
                           const PeerHeader peer = header(routes.peer, flags_of(routes), time);
                           wire::Framer framer(routes.updates, wire::kMaxExtendedMessage);
                           for (auto frame = framer.next(); frame && *frame; frame = framer.next()) {
                               encode_route_monitoring(peer, (*frame)->message, out);
                           }
                       },
                   },
                   event);
    }
}

void append_statistics(const speaker::MonitoredSelf& self, std::span<const speaker::PeerStatus> peers, Timestamp time,
                       Bytes& out) {
    const Statistics own[] = {{Statistic::loc_rib, {}, self.selected[0] + self.selected[1]},
                              {Statistic::loc_rib_of_family, net::Family::v4, self.selected[0]},
                              {Statistic::loc_rib_of_family, net::Family::v6, self.selected[1]}};
    encode_statistics(header(self.peer, 0, time), own, out);
    for (const speaker::PeerStatus& peer : peers) {
        if (peer.state != speaker::SessionState::established) {
            continue;
        }
        const speaker::MonitoredPeer who{peer.address, peer.remote_as, peer.remote_id ? peer.remote_id->value() : 0};
        std::vector<Statistics> all{
            {Statistic::adj_rib_in, {}, std::uint64_t{peer.v4.received} + peer.v6.received},
            {Statistic::updates_as_withdraw, {}, peer.withdrawn_in},
        };
        if (peer.v4.negotiated) {
            all.push_back({Statistic::adj_rib_in_of_family, net::Family::v4, peer.v4.received});
        }
        if (peer.v6.negotiated) {
            all.push_back({Statistic::adj_rib_in_of_family, net::Family::v6, peer.v6.received});
        }
        encode_statistics(header(who, 0, time), all, out);
    }
}

}  // namespace manul::bgp::bmp
