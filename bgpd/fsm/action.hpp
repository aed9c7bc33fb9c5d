#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/open.hpp"

namespace manul::bgp::fsm {

/// Why a connection or a session ended.
struct SessionEnd {
    enum class Cause : std::uint8_t {
        stopped,                  ///< by the operator or the configuration
        connection_lost,          ///< TCP closed or failed
        hold_timer_expired,       ///< the peer said nothing
        send_hold_timer_expired,  ///< the peer read nothing (RFC 9687)
        notification_sent,        ///< we found an error
        notification_received,    ///< the peer found one, or was stopped
        collision,                ///< the other of two connections was kept (RFC 4271 section 6.8)
        replaced,                 ///< the peer restarted and connected anew (RFC 4724 section 4.2)
    };

    Cause cause = Cause::connection_lost;
    std::optional<wire::Notification> notification;  ///< sent or received
    /// The peer's routes may be kept as stale ones for the time that it announced (RFC 4724, 8538).
    bool graceful = false;
    std::string detail;  ///< the system's words for a lost connection

    /// For people: "hold timer expired", "received Cease/Administrative Shutdown: maintenance", ...
    [[nodiscard]] std::string to_string() const;
    bool operator==(const SessionEnd&) const = default;
};

/// Outputs of a Peer, in the order in which they must happen.
namespace action {

/// Open a TCP connection to the peer; answered by Connected or Lost{outgoing}.
struct Connect {};
/// The connection that Accepted was about becomes the incoming one.
struct Adopt {};
/// The connection that Accepted was about is closed, with this NOTIFICATION if there is one.
struct Refuse {
    std::optional<wire::Notification> why;
};
/// Write these bytes (OPEN, KEEPALIVE, NOTIFICATION) behind everything handed over before.
struct Send {
    Direction direction = Direction::outgoing;
    Bytes bytes;
};
/// Close the connection, or stop trying to make it, after what was handed over has been written as far as it can be
/// without waiting. No event about it comes back.
struct Close {
    Direction direction = Direction::outgoing;
};
/// The session is established: send the table, expect routes.
struct SessionUp {
    Direction direction = Direction::outgoing;
    wire::Negotiated negotiated;
    wire::Open peer_open;
};
/// The session that was up is gone.
struct SessionDown {
    SessionEnd end;
};

}  // namespace action

using Action = std::variant<action::Connect, action::Adopt, action::Refuse, action::Send, action::Close,
                            action::SessionUp, action::SessionDown>;
using Actions = std::vector<Action>;

}  // namespace manul::bgp::fsm
