#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/fsm/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "bgpd/speaker/status.hpp"
#include "net/asn.hpp"
#include "net/ip.hpp"

/// What monitoring stations (BMP, RFC 7854) are told, in BGP's own terms: sessions that come and go, and routes of four
/// kinds of tables as UPDATE messages. While the configuration names a station, each turn's news come as actions; what
/// was there before is asked for in parts, so that a station that connects late costs sessions nothing.
namespace manul::bgp::speaker {

/// A session's far end, or this speaker itself as the owner of the Loc-RIB (without an address, RFC 9069).
struct MonitoredPeer {
    std::optional<net::Ip> address;
    net::Asn as = *net::Asn::make(1);
    std::uint32_t router_id = 0;

    bool operator==(const MonitoredPeer&) const = default;
};

enum class MonitoredTable : std::uint8_t {
    received,  ///< Adj-RIB-In before import rules
    accepted,  ///< Adj-RIB-In behind them
    selected,  ///< Loc-RIB (RFC 9069)
    sent,      ///< Adj-RIB-Out behind export rules (RFC 8671)
};

/// The session is established. For the speaker itself both messages are what it would say.
struct MonitoredUp {
    MonitoredPeer peer;
    Endpoint local;
    std::uint16_t remote_port = 0;
    Bytes sent_open;  ///< whole messages
    Bytes received_open;
};

/// The session is gone, and with it all that was told of the peer.
struct MonitoredDown {
    MonitoredPeer peer;
    fsm::SessionEnd end;
    bool deconfigured = false;
};

struct MonitoredRoutes {
    MonitoredTable table = MonitoredTable::received;
    MonitoredPeer peer;
    bool two_octet_as = false;  ///< AS numbers in the messages, as the peer wants them
    Bytes updates;              ///< whole UPDATE messages
};

using MonitorEvent = std::variant<MonitoredUp, MonitoredDown, MonitoredRoutes>;

/// The speaker itself.
struct MonitoredSelf {
    MonitoredPeer peer;
    std::array<std::uint64_t, 2> selected{};  ///< routes in the Loc-RIB, by family_index
};

/// Part of what is in the tables.
struct MonitorPart {
    std::vector<MonitorEvent> events;
    std::optional<Cursor> next;  ///< absent: that was all
};

}  // namespace manul::bgp::speaker
