#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "bgpd/fsm/action.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/fsm/jitter.hpp"
#include "bgpd/fsm/settings.hpp"
#include "bgpd/wire/capability.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/open.hpp"

namespace manul::bgp::fsm {

/// Inputs of one connection's machine: exactly the events of RFC 4271 section 8.1 that apply here. Not offered, because
/// optional and without use for us: DelayOpen (12, 20) and Tcp_CR_Invalid (15, the listener closes such connections
/// itself); IdleHoldTimer_Expires (13) is the peer's.
namespace connection_event {

struct StartActive {};   // 1, 3: connect
struct StartPassive {};  // 4, 5: wait for the peer to connect
struct Stop {            // 2, 8
    wire::Notification why;
    bool silent = false;
};
struct ConnectRetryExpired {};  // 9
struct HoldExpired {};          // 10
struct KeepaliveExpired {};     // 11
struct TcpEstablished {         // 16, 17
    wire::Omission left_out;    ///< what the OPEN does without
};
struct TcpFailed {  // 18
    std::string reason;
    bool replaced = false;  ///< not lost yet, but the peer has connected anew: it must be closed
};
struct OpenReceived {  // 19, or 22 when negotiation finds fault with it
    wire::Open open;
};
struct HeaderError {  // 21
    wire::Notification notification;
};
struct OpenError {  // 22
    wire::Notification notification;
};
struct CollisionDump {};       // 23
struct NotificationReceived {  // 24 (version error) and 25
    wire::Notification notification;
};
struct KeepaliveReceived {};                             // 26
struct UpdateReceived {                                  // 27
    wire::MessageType type = wire::MessageType::update;  ///< or ROUTE-REFRESH, where it is as unexpected
};
struct UpdateError {  // 28
    wire::Notification notification;
};
struct SendHoldExpired {};  // 29 (RFC 9687)

}  // namespace connection_event

using ConnectionEvent =
    std::variant<connection_event::StartActive, connection_event::StartPassive, connection_event::Stop,
                 connection_event::ConnectRetryExpired, connection_event::HoldExpired,
                 connection_event::KeepaliveExpired, connection_event::TcpEstablished, connection_event::TcpFailed,
                 connection_event::OpenReceived, connection_event::HeaderError, connection_event::OpenError,
                 connection_event::CollisionDump, connection_event::NotificationReceived,
                 connection_event::KeepaliveReceived, connection_event::UpdateReceived, connection_event::UpdateError,
                 connection_event::SendHoldExpired>;

/// The machine of RFC 4271 section 8.2.2 for one TCP connection. A Peer has two: one that connects, one that waits to
/// be connected to. Both are this class; they differ in how they are started.
///
/// Deviation: in Connect, a connection that fails leads to Active, not to Idle (the RFC does so only with DelayOpen): a
/// peer that is not up yet is no error to back off from. Deviation: a passively started machine runs no
/// ConnectRetryTimer, whose expiry would connect.
class Connection {
public:
    explicit Connection(Direction direction) noexcept : direction_(direction) {}

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] Direction direction() const noexcept { return direction_; }
    /// The peer's OPEN and the result; set from OpenConfirm on.
    [[nodiscard]] const std::optional<wire::Open>& peer_open() const noexcept { return peer_open_; }
    [[nodiscard]] const std::optional<wire::Negotiated>& negotiated() const noexcept { return negotiated_; }
    /// The OPEN that is sent, or will be, on this connection.
    [[nodiscard]] wire::Open offer(const PeerSettings& settings) const;
    [[nodiscard]] const wire::Omission& left_out() const noexcept { return left_out_; }
    /// Why the machine last went to Idle, or from Connect or OpenSent to Active.
    [[nodiscard]] const std::optional<SessionEnd>& last_end() const noexcept { return last_end_; }

    void handle(const ConnectionEvent& event, const PeerSettings& settings, Jitter& jitter, TimePoint now,
                Actions& actions);
    /// The socket's backlog: starts, restarts or stops the send hold timer.
    void backlog(bool waiting, const PeerSettings& settings, TimePoint now) noexcept;
    /// Handles the expiry of every timer that is due.
    void tick(const PeerSettings& settings, Jitter& jitter, TimePoint now, Actions& actions);
    /// When `tick` has something to do.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const noexcept;

private:
    struct Machine;  // one call's view of everything; connection.cpp

    Direction direction_;
    State state_ = State::idle;
    bool passive_ = false;
    std::uint32_t connect_retry_counter_ = 0;  ///< failed attempts in a row
    wire::Omission left_out_;
    std::optional<TimePoint> connect_retry_;
    std::optional<TimePoint> hold_;
    std::optional<TimePoint> keepalive_;
    std::optional<TimePoint> send_hold_;
    std::optional<wire::Open> peer_open_;
    std::optional<wire::Negotiated> negotiated_;
    std::optional<SessionEnd> last_end_;
};

}  // namespace manul::bgp::fsm
