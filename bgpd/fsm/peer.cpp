#include "bgpd/fsm/peer.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <variant>

#include "base/bytes.hpp"
#include "bgpd/fsm/action.hpp"
#include "bgpd/fsm/connection.hpp"
#include "bgpd/fsm/event.hpp"
#include "bgpd/fsm/settings.hpp"
#include "bgpd/wire/capability.hpp"
#include "bgpd/wire/error.hpp"
#include "bgpd/wire/message.hpp"
#include "bgpd/wire/notification.hpp"
#include "bgpd/wire/open.hpp"

namespace manul::bgp::fsm {
namespace {

using Cause = SessionEnd::Cause;

bool is_cease(const std::optional<wire::Notification>& notification) {
    return notification && notification->code == wire::ErrorCode::cease;
}

/// The two sides do not agree about the protocol or the configuration: trying again soon will end the same way.
bool is_disagreement(const SessionEnd& end) {
    return (end.cause == Cause::notification_sent || end.cause == Cause::notification_received) &&
           !is_cease(end.notification);
}

/// We sent the peer away because it announced too much: it will again (RFC 4486 section 4).
bool is_too_many(const SessionEnd& end) {
    if (end.cause != Cause::notification_sent || !is_cease(end.notification)) {
        return false;
    }
    const auto inner = wire::hard_reset_reason(*end.notification);
    const wire::Notification& why = inner ? *inner : *end.notification;
    return why.code == wire::ErrorCode::cease && why.subcode == wire::cease::kMaxPrefixes;
}

/// What the peer's NOTIFICATION asks to be left out of an OPEN: after "unsupported optional parameter" all
/// capabilities, after "unsupported capability" those that it names (RFC 5492 section 5), or all when it names none.
wire::Omission refused(const SessionEnd& end) {
    if (end.cause != Cause::notification_received || end.notification->code != wire::ErrorCode::open) {
        return {};
    }
    switch (end.notification->subcode) {
        case wire::open_error::kUnsupportedParameter:
            return wire::Omission::everything();
        case wire::open_error::kUnsupportedCapability:
            return end.notification->data.empty() ? wire::Omission::everything()
                                                  : wire::Omission::of(end.notification->data);
        default:
            return {};
    }
}

/// Of two connections, the one opened by the side with the larger identifier is kept; the AS decides between equal
/// identifiers (RFC 4271 section 6.8, RFC 6286).
Direction kept_of_two(const wire::Open& ours, const wire::Open& peers) {
    const bool we_dominate =
        ours.identifier != peers.identifier ? ours.identifier > peers.identifier : ours.as > peers.as;
    return we_dominate ? Direction::outgoing : Direction::incoming;
}

}  // namespace

Peer::Peer(PeerSettings settings, std::uint32_t seed)
    : settings_(std::move(settings)), jitter_(seed), idle_hold_length_(settings_.timing.idle_hold) {}

void Peer::handle(const Event& event, TimePoint now, Actions& actions) {
    std::visit([&](const auto& what) { on(what, now, actions); }, event);
    if (const State shown = state(); shown != shown_) {
        shown_ = shown;
        since_ = now;
    }
}

std::optional<TimePoint> Peer::next_deadline() const noexcept {
    std::optional<TimePoint> next = idle_hold_;
    for (const auto& timer : {deaf_until_, outgoing_.next_deadline(), incoming_.next_deadline()}) {
        if (timer && (!next || *timer < *next)) {
            next = timer;
        }
    }
    return next;
}

State Peer::state() const noexcept {
    if (incoming_.state() == State::active && outgoing_.state() != State::idle) {
        return outgoing_.state();  // we listen all the time; what we do besides says more
    }
    return std::max(outgoing_.state(), incoming_.state());
}

State Peer::state(Direction direction) const noexcept { return connection(direction).state(); }

std::optional<Direction> Peer::established() const noexcept {
    for (const Connection* one : {&outgoing_, &incoming_}) {
        if (one->state() == State::established) {
            return one->direction();
        }
    }
    return std::nullopt;
}

const wire::Negotiated* Peer::negotiated() const noexcept {
    const auto up = established();
    return up ? &*connection(*up).negotiated() : nullptr;
}

const wire::Open* Peer::peer_open() const noexcept {
    const auto up = established();
    return up ? &*connection(*up).peer_open() : nullptr;
}

std::optional<wire::Capabilities> Peer::sent_capabilities() const {
    const auto up = established();
    return up ? std::optional(connection(*up).offer(settings_).capabilities) : std::nullopt;
}

std::size_t Peer::max_receive(Direction direction) const noexcept {
    const bool large = settings_.open.capabilities.extended_message &&
                       !connection(direction).left_out().codes[wire::capability_code::kExtendedMessage];
    return large ? wire::kMaxExtendedMessage : wire::kMaxMessage;
}

void Peer::feed(Direction direction, const ConnectionEvent& event, TimePoint now, Actions& actions) {
    const State before = connection(direction).state();
    connection(direction).handle(event, settings_, jitter_, now, actions);
    after(direction, before, now, actions);
}

void Peer::on(const event::Start&, TimePoint now, Actions& actions) {
    if (running_) {
        return;
    }
    running_ = true;
    idle_hold_length_ = settings_.timing.idle_hold;
    start_connections(now, actions);
}

void Peer::on(const event::Stop& stop, TimePoint now, Actions& actions) {
    running_ = false;
    const auto inner = wire::hard_reset_reason(stop.why);
    stopped_for_ = inner ? *inner : stop.why;
    idle_hold_.reset();
    deaf_until_.reset();
    for (const Direction direction : {Direction::outgoing, Direction::incoming}) {
        feed(direction, connection_event::Stop{stop.why, stop.silent}, now, actions);
    }
}

void Peer::on(const event::Accepted&, TimePoint now, Actions& actions) {
    if (!running_) {
        return refuse(stopped_for_.value_or(wire::make_cease(wire::cease::kConnectionRejected)), now, actions);
    }
    if (const auto up = established()) {
        // RFC 4724 section 4.2: a peer with graceful restart that connects has restarted. Just after the session came
        // up it may as well be the second of two simultaneous connections.
        const bool simultaneous =
            *up == Direction::outgoing && now - *established_at_ < settings_.timing.collision_window;
        if (!negotiated()->peer_graceful_restart ||
            simultaneous) {  // RFC 4271 section 6.8: the established one is kept
            return refuse(wire::make_cease(wire::cease::kCollision), now, actions);
        }
        feed(*up, connection_event::TcpFailed{{}, true}, now, actions);
    }
    if (incoming_.state() == State::open_sent) {  // the peer has given up the connection that it opened before
        feed(Direction::incoming, connection_event::TcpFailed{{}, true}, now, actions);
    }
    const bool other_is_ahead = outgoing_.state() == State::open_sent || outgoing_.state() == State::open_confirm;
    if (incoming_.state() == State::idle && other_is_ahead) {
        feed(Direction::incoming, connection_event::StartPassive{}, now, actions);
    }
    if (incoming_.state() != State::active) {
        const bool has_one = incoming_.state() != State::idle;
        return refuse(wire::make_cease(has_one ? wire::cease::kCollision : wire::cease::kConnectionRejected), now,
                      actions);
    }
    actions.emplace_back(action::Adopt{});
    feed(Direction::incoming, connection_event::TcpEstablished{left_out_}, now, actions);
}

void Peer::refuse(wire::Notification why, TimePoint now, Actions& actions) {
    action::Refuse refuse;
    if (refusals_.take(now)) {
        refuse.why = std::move(why);
    }
    actions.emplace_back(std::move(refuse));
}

void Peer::on(const event::Connected&, TimePoint now, Actions& actions) {
    feed(Direction::outgoing, connection_event::TcpEstablished{left_out_}, now, actions);
}

void Peer::on(const event::Lost& lost, TimePoint now, Actions& actions) {
    feed(lost.direction, connection_event::TcpFailed{lost.reason, false}, now, actions);
}

void Peer::on(const event::Received& received, TimePoint now, Actions& actions) {
    const Direction direction = received.direction;
    if (state(direction) < State::open_sent) {
        return;
    }
    switch (received.frame.type) {
        case wire::MessageType::open: {
            const auto open = wire::decode_open(received.frame.body());
            if (!open) {
                return feed(direction, connection_event::OpenError{open.error()}, now, actions);
            }
            return on_open(direction, *open, now, actions);
        }
        case wire::MessageType::update:
            return feed(direction, connection_event::UpdateReceived{}, now, actions);
        case wire::MessageType::notification:
            return feed(direction,
                        connection_event::NotificationReceived{wire::decode_notification(received.frame.body())}, now,
                        actions);
        case wire::MessageType::keepalive:
            return feed(direction, connection_event::KeepaliveReceived{}, now, actions);
        case wire::MessageType::route_refresh:
            if (state(direction) != State::established) {
                feed(direction, connection_event::UpdateReceived{received.frame.type}, now, actions);
            }
            return;
    }
}

void Peer::on(const event::Malformed& malformed, TimePoint now, Actions& actions) {
    switch (malformed.notification.code) {
        case wire::ErrorCode::header:
            return feed(malformed.direction, connection_event::HeaderError{malformed.notification}, now, actions);
        case wire::ErrorCode::open:
            return feed(malformed.direction, connection_event::OpenError{malformed.notification}, now, actions);
        default:
            return feed(malformed.direction, connection_event::UpdateError{malformed.notification}, now, actions);
    }
}

void Peer::on(const event::Backlog& backlog, TimePoint now, Actions& /*actions*/) {
    connection(backlog.direction).backlog(backlog.waiting, settings_, now);
}

void Peer::on(const event::Tick&, TimePoint now, Actions& actions) {
    for (const Direction direction : {Direction::outgoing, Direction::incoming}) {
        const State before = connection(direction).state();
        connection(direction).tick(settings_, jitter_, now, actions);
        after(direction, before, now, actions);
    }
    if (deaf_until_ && *deaf_until_ <= now) {
        deaf_until_.reset();
        if (incoming_.state() == State::idle) {
            feed(Direction::incoming, connection_event::StartPassive{}, now, actions);
        }
    }
    if (idle_hold_ && *idle_hold_ <= now) {  // event 13
        idle_hold_.reset();
        start_connections(now, actions);
    }
}

void Peer::on_open(Direction direction, const wire::Open& open, TimePoint now, Actions& actions) {
    const Direction rival = other(direction);
    const bool acceptable =
        wire::negotiate(connection(direction).offer(settings_), open, settings_.peer_as, settings_.needs_role)
            .has_value();
    if (acceptable && state(direction) == State::open_sent) {
        switch (state(rival)) {
            case State::established:  // RFC 4271 section 6.8: the established one is kept
                return feed(direction, connection_event::CollisionDump{}, now, actions);
            case State::open_confirm:
                if (kept_of_two(settings_.open, open) != direction) {
                    return feed(direction, connection_event::CollisionDump{}, now, actions);
                }
                feed(rival, connection_event::CollisionDump{}, now, actions);
                break;
            case State::connect:  // this one will do
                feed(rival, connection_event::Stop{{}, true}, now, actions);
                break;
            case State::idle:
            case State::active:
            case State::open_sent:  // decided when its OPEN comes
                break;
        }
    }
    feed(direction, connection_event::OpenReceived{open}, now, actions);
}

void Peer::start_connections(TimePoint now, Actions& actions) {
    deaf_until_.reset();
    const bool peer_is_first = incoming_.state() >= State::open_sent;  // a second connection would only collide
    if (!settings_.passive && !peer_is_first && outgoing_.state() == State::idle) {
        feed(Direction::outgoing, connection_event::StartActive{}, now, actions);
    }
    if (incoming_.state() == State::idle) {
        feed(Direction::incoming, connection_event::StartPassive{}, now, actions);
    }
}

void Peer::after(Direction direction, State before, TimePoint now, Actions& actions) {
    const Connection& one = connection(direction);
    const Direction rival = other(direction);
    if (before != State::established && one.state() == State::established) {
        established_at_ = now;
        idle_hold_.reset();
        if (state(rival) == State::connect || state(rival) == State::active) {
            feed(rival, connection_event::Stop{{}, true}, now, actions);
        }
        return;
    }
    const bool connects_again = before == State::active && one.state() == State::connect;
    if (one.state() == before || one.state() > State::active || before == State::idle || connects_again) {
        return;
    }
    if (one.last_end() && !(one.last_end()->cause == Cause::stopped && running_)) {
        last_end_ = one.last_end();
    }
    note_refusal(one, before);
    if (before == State::established) {
        if (now - *established_at_ >= settings_.timing.stable_after) {
            idle_hold_length_ = settings_.timing.idle_hold;
        }
        established_at_.reset();
    }
    if (one.state() == State::idle && running_ && one.last_end()->cause != Cause::stopped) {
        hold_back(direction, now, actions);
    }
}

void Peer::note_refusal(const Connection& ended, State before) {
    if (before < State::open_sent) {
        return;
    }
    const SessionEnd& end = *ended.last_end();
    const bool other_goes_on = end.cause == Cause::collision || end.cause == Cause::stopped;
    if (other_goes_on && before != State::established) {
        return;
    }
    const wire::Omission unwanted = before == State::established ? wire::Omission{} : refused(end);
    Bytes sent;
    wire::encode_capabilities(ended.offer(settings_).capabilities, sent);
    left_out_ = {};
    if ((unwanted & wire::Omission::of(sent)).none()) {
        return;  // another error, or it misses what we do not have
    }
    const wire::Omission all = ended.left_out() | unwanted;
    const wire::Capabilities rest = wire::without(settings_.open.capabilities, all);
    // What is left must still be worth a session, and able to name the peer's AS.
    const bool worth_it = !(rest.families() & settings_.open.capabilities.families()).empty();
    const bool names_as = rest.four_octet_as || !settings_.peer_as || settings_.peer_as->number() <= 0xffff;
    if (worth_it && names_as) {
        left_out_ = all;
    }
}

void Peer::hold_back(Direction direction, TimePoint now, Actions& actions) {
    const Direction rival = other(direction);
    if (state(rival) >= State::open_sent) {
        return;  // the other connection goes on; both start again when it ends, too
    }
    const bool too_many = is_too_many(*connection(direction).last_end());
    if (too_many) {
        idle_hold_ = now + settings_.timing.idle_hold_max;
    }
    if (too_many || is_disagreement(*connection(direction).last_end())) {
        feed(rival, connection_event::Stop{{}, true}, now, actions);
        // A peer that was sent away for an error is heard again at once: it may have mended it, and should not wait for
        // our own attempts to come round.
        if (!too_many && !refusals_.take(now)) {
            deaf_until_ = now + RateLimit::kInterval;
        }
    }
    if (!too_many && !deaf_until_ && incoming_.state() == State::idle) {
        // Only what we do ourselves is held back: a peer that restarted should find us listening.
        feed(Direction::incoming, connection_event::StartPassive{}, now, actions);
    }
    if (outgoing_.state() == State::idle && !idle_hold_) {
        idle_hold_ = now + jitter_.apply(idle_hold_length_);
        idle_hold_length_ = std::min(settings_.timing.idle_hold_max, 2 * idle_hold_length_);
    }
}

}  // namespace manul::bgp::fsm
