#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <variant>

#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/open.hpp"

/// bgpd/fsm: the state machine of RFC 4271 section 8, without sockets and without a clock. See peer.hpp.
namespace manul::bgp::fsm {

/// Time is always an argument here.
using TimePoint = std::chrono::steady_clock::time_point;

/// Who opened a TCP connection; also names the two connections that a peer may have for a moment.
enum class Direction : std::uint8_t {
    outgoing,  ///< we connected
    incoming,  ///< the peer connected
};

[[nodiscard]] constexpr Direction other(Direction direction) noexcept {
    return direction == Direction::outgoing ? Direction::incoming : Direction::outgoing;
}

/// RFC 4271 section 8.2.2.
enum class State : std::uint8_t { idle, connect, active, open_sent, open_confirm, established };

/// "Idle", "Connect", ... as every BGP speaker prints them.
[[nodiscard]] const char* to_string(State state) noexcept;

/// Inputs of a Peer. The numbers are those of RFC 4271 section 8.1.
namespace event {

/// The operator wants the session (1, 3, 4, 5 according to the peer's settings).
struct Start {};
/// The operator does not want it any more (2, 8). With `silent` the TCP connection is closed without NOTIFICATION,
/// which a peer with graceful restart takes for a restart; what is sent otherwise is a Cease of the caller's choice.
struct Stop {
    wire::Notification why;
    bool silent = false;
};
/// A TCP connection from the peer's address was accepted by the listener (17). Answered with Adopt or Refuse.
struct Accepted {};
/// The connection that action Connect asked for stands (16).
struct Connected {};
/// The connection could not be made, or is lost (18).
struct Lost {
    Direction direction = Direction::outgoing;
    std::string reason;  ///< the system's words, for display: "Connection refused"
};
/// One whole message arrived (19, 22, 24-27). The peer reads OPEN, KEEPALIVE and NOTIFICATION; the routes in an UPDATE
/// and what a ROUTE-REFRESH asks for are the caller's affair, after this call and if the session is still established.
struct Received {
    Direction direction = Direction::outgoing;
    wire::Frame frame;
};
/// The caller found the bytes unusable: a header error (21), an UPDATE with verdict `reset` (28), a wrong
/// ROUTE-REFRESH.
struct Malformed {
    Direction direction = Direction::outgoing;
    wire::Notification notification;
};
/// The socket took some bytes but not all (`waiting`), or everything has been written. Drives the send hold timer.
struct Backlog {
    Direction direction = Direction::outgoing;
    bool waiting = false;
};
/// The time of `next_deadline` has come (9, 10, 11, 13 and the send hold timer, event 29 of RFC 9687).
struct Tick {};

}  // namespace event

using Event = std::variant<event::Start, event::Stop, event::Accepted, event::Connected, event::Lost, event::Received,
                           event::Malformed, event::Backlog, event::Tick>;

}  // namespace manul::bgp::fsm
