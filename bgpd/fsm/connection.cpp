#include "bgpd/fsm/connection.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/bytes.hpp"
#include "bgpd/fsm/action.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/fsm/jitter.hpp"
#include "bgpd/fsm/settings.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/open.hpp"

namespace manul::bgp::fsm {
namespace {

using Cause = SessionEnd::Cause;
using std::chrono::milliseconds;
using std::chrono::seconds;

/// Doubles with each failure: 1, 2, 4, ... times the base.
milliseconds backed_off(milliseconds base, milliseconds most, std::uint32_t failures) {
    return std::min(most, base * (std::int64_t{1} << std::min(failures, 16U)));
}

bool is_version_error(const wire::Notification& notification) {
    return notification.code == wire::ErrorCode::open && notification.subcode == wire::open_error::kUnsupportedVersion;
}

}  // namespace

const char* to_string(State state) noexcept {
    switch (state) {
        case State::idle:
            return "Idle";
        case State::connect:
            return "Connect";
        case State::active:
            return "Active";
        case State::open_sent:
            return "OpenSent";
        case State::open_confirm:
            return "OpenConfirm";
        case State::established:
            return "Established";
    }
    return "";
}

std::string SessionEnd::to_string() const {
    switch (cause) {
        case Cause::stopped:
            return notification ? "stopped: " + notification->to_string() : "stopped";
        case Cause::connection_lost:
            return detail.empty() ? "connection lost" : "connection lost: " + detail;
        case Cause::hold_timer_expired:
            return "hold timer expired";
        case Cause::send_hold_timer_expired:
            return "send hold timer expired";
        case Cause::notification_sent:
            return "sent " + (notification ? notification->to_string() : std::string());
        case Cause::notification_received:
            return "received " + (notification ? notification->to_string() : std::string());
        case Cause::collision:
            return "connection collision";
        case Cause::replaced:
            return "the peer restarted";
    }
    return {};
}

wire::Open Connection::offer(const PeerSettings& settings) const {
    wire::Open open = settings.open;
    if (!left_out_.none()) {
        open.capabilities = wire::without(std::move(open.capabilities), left_out_);
    }
    return open;
}

/// One call into the machine. One member function a state; its overloads are the events that mean something there, the
/// template is "any other event" (RFC 4271 section 8.2.2).
struct Connection::Machine {
    Connection& self;
    const PeerSettings& settings;
    Jitter& jitter;
    TimePoint now;
    Actions& actions;

    using StartActive = connection_event::StartActive;
    using StartPassive = connection_event::StartPassive;
    using Stop = connection_event::Stop;
    using ConnectRetryExpired = connection_event::ConnectRetryExpired;
    using HoldExpired = connection_event::HoldExpired;
    using KeepaliveExpired = connection_event::KeepaliveExpired;
    using TcpEstablished = connection_event::TcpEstablished;
    using TcpFailed = connection_event::TcpFailed;
    using OpenReceived = connection_event::OpenReceived;
    using HeaderError = connection_event::HeaderError;
    using OpenError = connection_event::OpenError;
    using CollisionDump = connection_event::CollisionDump;
    using NotificationReceived = connection_event::NotificationReceived;
    using KeepaliveReceived = connection_event::KeepaliveReceived;
    using UpdateReceived = connection_event::UpdateReceived;
    using UpdateError = connection_event::UpdateError;
    using SendHoldExpired = connection_event::SendHoldExpired;

    // ---- Idle: refuses everything but a start -------------------------------------------------------------------

    void idle(const StartActive&) {
        self.passive_ = false;
        self.connect_retry_counter_ = 0;
        connect();
    }
    void idle(const StartPassive&) {
        self.passive_ = true;
        self.connect_retry_counter_ = 0;
        self.state_ = State::active;
    }
    void idle(const auto&) {}

    // ---- Connect: waits for TCP ---------------------------------------------------------------------------------

    void connect(const StartActive&) {}
    void connect(const StartPassive&) {}
    void connect(const Stop& stop) { stopped(stop); }
    void connect(const ConnectRetryExpired&) {
        ++self.connect_retry_counter_;
        close();
        connect();
    }
    void connect(const TcpEstablished& stands) { send_open(stands); }
    void connect(const TcpFailed& failed) { wait_for_retry(failed); }
    void connect(const auto&) { end(Cause::connection_lost); }

    // ---- Active: waits for the peer, or for the time to connect again -----------------------------------------------

    void active(const StartActive&) {}
    void active(const StartPassive&) {}
    void active(const Stop& stop) { stopped(stop); }
    void active(const ConnectRetryExpired&) { connect(); }
    void active(const TcpEstablished& stands) { send_open(stands); }
    void active(const auto&) { end(Cause::connection_lost); }

    // ---- OpenSent: waits for the peer's OPEN ----------------------------------------------------------------------

    void open_sent(const StartActive&) {}
    void open_sent(const StartPassive&) {}
    void open_sent(const Stop& stop) { stopped(stop); }
    void open_sent(const HoldExpired&) { hold_expired(); }
    void open_sent(const TcpEstablished&) {}
    void open_sent(const TcpFailed& failed) {
        if (failed.replaced) {
            close();
        }
        wait_for_retry(failed);
    }
    void open_sent(const OpenReceived& received) {
        const auto negotiated =
            wire::negotiate(self.offer(settings), received.open, settings.peer_as, settings.needs_role);
        if (!negotiated) {
            return send_error(negotiated.error());
        }
        self.peer_open_ = received.open;
        self.negotiated_ = *negotiated;
        self.connect_retry_.reset();
        send_keepalive();
        restart_hold();
        self.state_ = State::open_confirm;
    }
    void open_sent(const HeaderError& error) { send_error(error.notification); }
    void open_sent(const OpenError& error) { send_error(error.notification); }
    void open_sent(const CollisionDump&) { collided(); }
    // Deviation: the RFC answers a NOTIFICATION other than a version error with an FSM error here. Peers send Cease to
    // connections that they do not want, and nobody reads an answer to a NOTIFICATION.
    void open_sent(const NotificationReceived& received) { notified(received); }
    void open_sent(const auto& event) { fsm_error(wire::fsm_error::kInOpenSent, type_of(event)); }

    // ---- OpenConfirm: waits for a KEEPALIVE or NOTIFICATION
    // -----------------------------------------------------------

    void open_confirm(const StartActive&) {}
    void open_confirm(const StartPassive&) {}
    void open_confirm(const Stop& stop) { stopped(stop); }
    void open_confirm(const HoldExpired&) { hold_expired(); }
    void open_confirm(const KeepaliveExpired&) { send_keepalive(); }
    void open_confirm(const TcpEstablished&) {}
    void open_confirm(const TcpFailed& failed) { lost(failed); }
    void open_confirm(const HeaderError& error) { send_error(error.notification); }
    void open_confirm(const OpenError& error) { send_error(error.notification); }
    void open_confirm(const CollisionDump&) { collided(); }
    void open_confirm(const NotificationReceived& received) { notified(received); }
    void open_confirm(const KeepaliveReceived&) {
        restart_hold();
        self.state_ = State::established;
        actions.emplace_back(action::SessionUp{self.direction_, *self.negotiated_, *self.peer_open_});
    }
    void open_confirm(const auto& event) { fsm_error(wire::fsm_error::kInOpenConfirm, type_of(event)); }

    // ---- Established
    // -------------------------------------------------------------------------------------------------

    void established(const StartActive&) {}
    void established(const StartPassive&) {}
    void established(const Stop& stop) { stopped(stop); }
    void established(const HoldExpired&) { hold_expired(); }
    void established(const KeepaliveExpired&) { send_keepalive(); }
    void established(const TcpEstablished&) {}
    void established(const TcpFailed& failed) { lost(failed); }
    // Deviation: section 8.2.2 asks for an FSM error, section 6.1 for the header error itself, which tells more.
    void established(const HeaderError& error) { send_error(error.notification); }
    void established(const CollisionDump&) { collided(); }
    void established(const NotificationReceived& received) { notified(received); }
    void established(const KeepaliveReceived&) { restart_hold(); }
    void established(const UpdateReceived&) { restart_hold(); }
    void established(const UpdateError& error) { send_error(error.notification); }
    void established(const SendHoldExpired&) {
        const wire::Notification why{wire::ErrorCode::send_hold_timer_expired, 0, {}};
        send_notification(why);
        end(Cause::send_hold_timer_expired, why);
    }
    void established(const auto& event) { fsm_error(wire::fsm_error::kInEstablished, type_of(event)); }

    // ---- what the states do
    // ------------------------------------------------------------------------------------------

    void send(Bytes bytes) { actions.emplace_back(action::Send{self.direction_, std::move(bytes)}); }

    void send_notification(const wire::Notification& notification) {
        Bytes bytes;
        wire::encode_notification(notification, bytes);
        send(std::move(bytes));
    }

    void close() { actions.emplace_back(action::Close{self.direction_}); }

    void connect() {
        start_connect_retry();
        self.state_ = State::connect;
        actions.emplace_back(action::Connect{});
    }

    void start_connect_retry() {
        const Timing& timing = settings.timing;
        const std::uint32_t failures = self.connect_retry_counter_;
        self.connect_retry_ = now + jitter.apply(backed_off(timing.connect_retry, timing.connect_retry_max,
                                                            failures == 0 ? 0 : failures - 1));
    }

    void send_open(const TcpEstablished& stands) {
        self.connect_retry_.reset();
        self.left_out_ = stands.left_out;
        Bytes bytes;
        wire::encode_open(self.offer(settings), bytes);
        send(std::move(bytes));
        self.hold_ = now + settings.timing.open_wait;
        self.state_ = State::open_sent;
    }

    void send_keepalive() {
        Bytes bytes;
        wire::encode_keepalive(bytes);
        send(std::move(bytes));
        restart_keepalive();
    }

    void restart_keepalive() {
        self.keepalive_.reset();
        const std::uint16_t hold_time = self.negotiated_->hold_time;
        if (hold_time == 0) {
            return;
        }
        milliseconds interval = milliseconds(seconds(hold_time)) / 3;
        if (const auto wanted = settings.keepalive_seconds; wanted && *wanted > 0) {
            interval = std::min<milliseconds>(interval, seconds(*wanted));
        }
        // RFC 4271 section 4.4: not more than one a second.
        self.keepalive_ = now + std::max<milliseconds>(jitter.apply(interval), seconds(1));
    }

    void restart_hold() {
        self.hold_.reset();
        if (self.negotiated_->hold_time != 0) {
            self.hold_ = now + seconds(self.negotiated_->hold_time);
        }
    }

    /// Whether the peer's routes may be kept: after a lost connection when it announced graceful restart (RFC 4724),
    /// after a NOTIFICATION only when both sides announced that (RFC 8538), and never after a Hard Reset.
    [[nodiscard]] bool graceful(Cause cause, const std::optional<wire::Notification>& notification) const {
        if (self.state_ != State::established || !self.negotiated_->peer_graceful_restart) {
            return false;
        }
        switch (cause) {
            case Cause::connection_lost:
            case Cause::replaced:
                return true;
            case Cause::hold_timer_expired:
            case Cause::send_hold_timer_expired:
            case Cause::notification_sent:
            case Cause::notification_received:
            case Cause::stopped:
                return notification && self.negotiated_->notification_restart &&
                       !(notification->code == wire::ErrorCode::cease &&
                         notification->subcode == wire::cease::kHardReset);
            case Cause::collision:
                return false;
        }
        return false;
    }

    /// To Idle: timers off, connection closed if there is one, the session reported as gone if there was one.
    void end(Cause cause, std::optional<wire::Notification> notification = std::nullopt, std::string detail = {},
             bool tcp_is_gone = false) {
        const bool was_established = self.state_ == State::established;
        const bool keep_routes = graceful(cause, notification);
        if (!tcp_is_gone && self.state_ != State::active) {
            close();
        }
        self.last_end_ = SessionEnd{cause, std::move(notification), keep_routes, std::move(detail)};
        self.state_ = State::idle;
        ++self.connect_retry_counter_;
        self.connect_retry_.reset();
        self.hold_.reset();
        self.keepalive_.reset();
        self.send_hold_.reset();
        self.peer_open_.reset();
        self.negotiated_.reset();
        if (was_established) {
            actions.emplace_back(action::SessionDown{*self.last_end_});
        }
    }

    void stopped(const Stop& stop) {
        const bool peer_listens = self.state_ >= State::open_sent && !stop.silent;
        if (peer_listens) {
            send_notification(stop.why);
        }
        end(Cause::stopped, peer_listens ? std::optional(stop.why) : std::nullopt);
        self.connect_retry_counter_ = 0;
    }

    void lost(const TcpFailed& failed) {
        end(failed.replaced ? Cause::replaced : Cause::connection_lost, std::nullopt, failed.reason, !failed.replaced);
    }

    /// To Active: the peer may connect, and we shall try again.
    void wait_for_retry(const TcpFailed& failed) {
        self.last_end_ =
            SessionEnd{failed.replaced ? Cause::replaced : Cause::connection_lost, std::nullopt, false, failed.reason};
        self.hold_.reset();
        ++self.connect_retry_counter_;
        if (!self.passive_) {
            start_connect_retry();
        }
        self.state_ = State::active;
    }

    void send_error(const wire::Notification& notification) {
        send_notification(notification);
        end(Cause::notification_sent, notification);
    }

    /// RFC 6608 section 4: with the type of the message that was not expected, if it was one.
    void fsm_error(std::uint8_t subcode, std::optional<wire::MessageType> type) {
        send_error({wire::ErrorCode::fsm, subcode, type ? Bytes{std::to_underlying(*type)} : Bytes()});
    }
    static std::optional<wire::MessageType> type_of(const OpenReceived&) { return wire::MessageType::open; }
    static std::optional<wire::MessageType> type_of(const OpenError&) { return wire::MessageType::open; }
    static std::optional<wire::MessageType> type_of(const UpdateReceived& received) { return received.type; }
    static std::optional<wire::MessageType> type_of(const UpdateError&) { return wire::MessageType::update; }
    static std::optional<wire::MessageType> type_of(const KeepaliveReceived&) { return wire::MessageType::keepalive; }
    static std::optional<wire::MessageType> type_of(const auto&) { return std::nullopt; }

    void hold_expired() {
        const wire::Notification why{wire::ErrorCode::hold_timer_expired, 0, {}};
        send_notification(why);
        end(Cause::hold_timer_expired, why);
    }

    void collided() {
        const wire::Notification why = wire::make_cease(wire::cease::kCollision);
        send_notification(why);
        end(Cause::collision, why);
    }

    void notified(const NotificationReceived& received) {
        const std::uint32_t failures = self.connect_retry_counter_;
        end(Cause::notification_received, received.notification);
        if (is_version_error(received.notification)) {  // event 24 does not count as a failure
            self.connect_retry_counter_ = failures;
        }
    }
};

void Connection::handle(const ConnectionEvent& event, const PeerSettings& settings, Jitter& jitter, TimePoint now,
                        Actions& actions) {
    Machine machine{*this, settings, jitter, now, actions};
    std::visit(
        [&](const auto& what) {
            switch (state_) {
                case State::idle:
                    return machine.idle(what);
                case State::connect:
                    return machine.connect(what);
                case State::active:
                    return machine.active(what);
                case State::open_sent:
                    return machine.open_sent(what);
                case State::open_confirm:
                    return machine.open_confirm(what);
                case State::established:
                    return machine.established(what);
            }
        },
        event);
}

void Connection::backlog(bool waiting, const PeerSettings& settings, TimePoint now) noexcept {
    send_hold_.reset();
    if (waiting && state_ == State::established) {
        const milliseconds twice = 2 * milliseconds(seconds(negotiated_->hold_time));
        send_hold_ = now + std::max(settings.timing.send_hold, twice);
    }
}

void Connection::tick(const PeerSettings& settings, Jitter& jitter, TimePoint now, Actions& actions) {
    const auto fire = [&](std::optional<TimePoint>& timer, const ConnectionEvent& event) {
        if (timer && *timer <= now) {
            timer.reset();
            handle(event, settings, jitter, now, actions);
        }
    };
    fire(connect_retry_, connection_event::ConnectRetryExpired{});
    fire(hold_, connection_event::HoldExpired{});
    fire(keepalive_, connection_event::KeepaliveExpired{});
    fire(send_hold_, connection_event::SendHoldExpired{});
}

std::optional<TimePoint> Connection::next_deadline() const noexcept {
    std::optional<TimePoint> next;
    for (const auto& timer : {connect_retry_, hold_, keepalive_, send_hold_}) {
        if (timer && (!next || *timer < *next)) {
            next = timer;
        }
    }
    return next;
}

}  // namespace manul::bgp::fsm
