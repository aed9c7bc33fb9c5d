#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "bgpd/fsm/action.hpp"
#include "bgpd/fsm/connection.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/fsm/jitter.hpp"
#include "bgpd/fsm/rate_limit.hpp"
#include "bgpd/fsm/settings.hpp"
#include "bgpd/wire/capability.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/open.hpp"

namespace manul::bgp::fsm {

/// Everything about the session with one peer that is not routes: events in, actions out (event.hpp, action.hpp), one
/// deadline. Pure: time is an argument, jitter comes from a seed.
///
///   TCP, bytes (Frame), Tick, Start/Stop -> Peer -> Connect, Send, Close, SessionUp, SessionDown
///
/// Two levels: each of the two possible TCP connections is a machine of RFC 4271 section 8 (connection.hpp); this class
/// starts and stops them, keeps one of two that collide (section 6.8), holds back after errors (section 8.1,
/// DampPeerOscillations), and leaves out capabilities that the peer has just refused (RFC 5492 section 3): what one
/// connection is refused for is missing in the next one, and if that comes to anything else than a further refusal, the
/// one after it has everything again. Invariants: at most one connection is established; SessionUp and SessionDown
/// alternate; after Stop nothing happens until Start.
class Peer {
public:
    /// `seed` makes jitter differ between peers.
    Peer(PeerSettings settings, std::uint32_t seed);

    /// Appends what is to be done to `actions`.
    void handle(const Event& event, TimePoint now, Actions& actions);
    /// When to send Tick; nothing when no timer runs.
    [[nodiscard]] std::optional<TimePoint> next_deadline() const noexcept;

    /// The state to show: that of the connection that is furthest.
    [[nodiscard]] State state() const noexcept;
    [[nodiscard]] State state(Direction direction) const noexcept;
    /// The connection of the established session.
    [[nodiscard]] std::optional<Direction> established() const noexcept;
    /// Of the established session, else nullptr.
    [[nodiscard]] const wire::Negotiated* negotiated() const noexcept;
    [[nodiscard]] const wire::Open* peer_open() const noexcept;
    /// What we announced to have for it.
    [[nodiscard]] std::optional<wire::Capabilities> sent_capabilities() const;
    /// Largest message that the peer may send, as soon as it has our OPEN (RFC 8654 section 4).
    [[nodiscard]] std::size_t max_receive(Direction direction) const noexcept;
    /// When the state to show last changed.
    [[nodiscard]] TimePoint since() const noexcept { return since_; }
    /// Why the last connection or session ended; kept until the next one does.
    [[nodiscard]] const std::optional<SessionEnd>& last_end() const noexcept { return last_end_; }
    /// Started and not stopped.
    [[nodiscard]] bool running() const noexcept { return running_; }

    [[nodiscard]] const PeerSettings& settings() const noexcept { return settings_; }
    /// Takes effect with the next connection; the caller resets the session if that is needed.
    void set_settings(PeerSettings settings) { settings_ = std::move(settings); }

private:
    Connection& connection(Direction direction) noexcept {
        return direction == Direction::outgoing ? outgoing_ : incoming_;
    }
    [[nodiscard]] const Connection& connection(Direction direction) const noexcept {
        return direction == Direction::outgoing ? outgoing_ : incoming_;
    }
    void feed(Direction direction, const ConnectionEvent& event, TimePoint now, Actions& actions);
    void on(const event::Start&, TimePoint now, Actions& actions);
    void on(const event::Stop& stop, TimePoint now, Actions& actions);
    void on(const event::Accepted&, TimePoint now, Actions& actions);
    void on(const event::Connected&, TimePoint now, Actions& actions);
    void on(const event::Lost& lost, TimePoint now, Actions& actions);
    void on(const event::Received& received, TimePoint now, Actions& actions);
    void on(const event::Malformed& malformed, TimePoint now, Actions& actions);
    void on(const event::Backlog& backlog, TimePoint now, Actions& actions);
    void on(const event::Tick&, TimePoint now, Actions& actions);
    /// Closes the connection that was accepted, and says why unless that was said too often (RFC 4486 section 4).
    void refuse(wire::Notification why, TimePoint now, Actions& actions);
    void start_connections(TimePoint now, Actions& actions);
    /// A readable OPEN: collision detection, then the connection's machine.
    void on_open(Direction direction, const wire::Open& open, TimePoint now, Actions& actions);
    /// What follows for the peer when a connection's state has changed from `before`.
    void after(Direction direction, State before, TimePoint now, Actions& actions);
    /// Decides what the next OPEN leaves out, now that a connection has ended that was in state `before`.
    void note_refusal(const Connection& ended, State before);
    /// A connection has ended and no other is on its way: arranges for the next attempt.
    void hold_back(Direction direction, TimePoint now, Actions& actions);

    PeerSettings settings_;
    Jitter jitter_;
    Connection outgoing_{Direction::outgoing};
    Connection incoming_{Direction::incoming};
    bool running_ = false;
    std::optional<wire::Notification> stopped_for_;  ///< what a peer is told that connects nevertheless
    wire::Omission left_out_;                        ///< of the next OPEN
    std::optional<TimePoint> idle_hold_;             ///< event 13
    std::optional<TimePoint> deaf_until_;            ///< the peer may connect again then, before we do
    RateLimit refusals_;                             ///< with connections that were for nothing
    std::chrono::milliseconds idle_hold_length_;
    std::optional<TimePoint> established_at_;
    State shown_ = State::idle;
    TimePoint since_{};
    std::optional<SessionEnd> last_end_;
};

}  // namespace manul::bgp::fsm
