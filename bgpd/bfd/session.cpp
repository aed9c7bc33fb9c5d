#include "bgpd/bfd/session.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

#include "bgpd/bfd/packet.hpp"

namespace manul::bgp::bfd {
namespace {

/// Section 6.8.3: while a session is not up, no more than a packet a second.
constexpr Micros kSlow{1'000'000};

std::uint32_t wire(Micros interval) noexcept {
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(interval.count(), 0, UINT32_MAX));
}

}  // namespace

Session::Session(const SessionSettings& settings, std::uint32_t discriminator, std::uint32_t seed, Time now)
    : settings_(settings),
      discriminator_(discriminator),
      random_(seed == 0 ? 0x9e3779b9U : seed),
      transmitted_(now),
      transmit_at_(now) {}

Micros Session::transmit_interval() const noexcept {
    Micros desired = kept_desired_min_tx_.value_or(settings_.desired_min_tx);
    if (state_ != State::up) {
        desired = std::max(desired, kSlow);
    }
    return std::max(desired, remote_min_rx_);
}

Micros Session::detection_time() const noexcept {
    const Micros required = kept_required_min_rx_.value_or(settings_.required_min_rx);
    return remote_multiplier_ * std::max(required, remote_desired_min_tx_);
}

bool Session::transmits_periodically() const noexcept {
    const bool demanded = remote_demand_ && state_ == State::up && remote_state_ == State::up && !polling_;
    return remote_min_rx_.count() != 0 && !demanded;
}

Micros Session::jittered(Micros interval) {
    random_ ^= random_ << 13U;  // xorshift32
    random_ ^= random_ >> 17U;
    random_ ^= random_ << 5U;
    // Section 6.8.7: 75 to 100 % of the interval, 75 to 90 % when one lost packet ends the session.
    const std::int64_t least = settings_.detect_multiplier == 1 ? 10 : 0;
    const std::int64_t percent = least + static_cast<std::int64_t>(random_ % static_cast<std::uint32_t>(26 - least));
    return interval - interval * percent / 100;
}

void Session::schedule(Time last) {
    if (transmits_periodically()) {
        transmit_at_ = last + jittered(transmit_interval());
    } else {
        transmit_at_.reset();
    }
}

ControlPacket Session::packet() const {
    return {
        .diagnostic = diagnostic_,
        .state = state_,
        .poll = polling_,
        .detect_multiplier = settings_.detect_multiplier,
        .my_discriminator = discriminator_,
        .your_discriminator = remote_discriminator_,
        .desired_min_tx =
            wire(state_ == State::up ? settings_.desired_min_tx : std::max(settings_.desired_min_tx, kSlow)),
        .required_min_rx = wire(settings_.required_min_rx),
    };
}

void Session::enter(State state, Diagnostic diagnostic) {
    state_ = state;
    diagnostic_ = diagnostic;
    kept_desired_min_tx_.reset();
    kept_required_min_rx_.reset();
    // Up changes the interval from the slow one to the configured one, which the neighbour must hear of.
    polling_ = state == State::up && settings_.desired_min_tx < kSlow;
}

std::optional<ControlPacket> Session::receive(const ControlPacket& received, Time now) {
    const Micros interval_before = transmit_interval();
    const bool periodic_before = transmits_periodically();
    remote_discriminator_ = received.my_discriminator;
    remote_state_ = received.state;
    remote_demand_ = received.demand;
    remote_min_rx_ = Micros(received.required_min_rx);
    remote_desired_min_tx_ = Micros(received.desired_min_tx);
    remote_multiplier_ = received.detect_multiplier;
    if (polling_ && received.final) {
        polling_ = false;
        kept_desired_min_tx_.reset();
        kept_required_min_rx_.reset();
    }

    const State before = state_;
    switch (received.state) {
        case State::admin_down:
            if (state_ != State::down) {
                enter(State::down, Diagnostic::neighbour_signaled_down);
            }
            break;
        case State::down:
            if (state_ == State::down) {
                enter(State::init, diagnostic_);
            } else if (state_ == State::up) {
                enter(State::down, Diagnostic::neighbour_signaled_down);
            }
            break;
        case State::init:
            if (state_ != State::up) {
                enter(State::up, Diagnostic::none);
            }
            break;
        case State::up:
            if (state_ == State::init) {
                enter(State::up, Diagnostic::none);
            }
            break;
    }
    silent_at_ = now + detection_time();

    const bool news = state_ != before;
    if (news) {
        transmitted_ = now;
        schedule(now);
    } else if (transmit_interval() != interval_before || transmits_periodically() != periodic_before) {
        schedule(transmitted_);  // a shorter interval holds at once
    }
    // The answer to a Poll may not wait, and news of the state should not.
    if (!received.poll && !news) {
        return std::nullopt;
    }
    ControlPacket answer = packet();
    if (received.poll) {
        // Both bits at once are not allowed: our own Poll goes on with the next packet, whose time an answer leaves as
        // it was (section 6.8.7), or a neighbour that polls without end would keep it back.
        answer.final = true;
        answer.poll = false;
    }
    return answer;
}

void Session::on_silence() {
    silent_at_.reset();
    remote_discriminator_ = 0;  // section 6.8.1
    remote_state_ = State::down;
    remote_min_rx_ = Micros(1);
    remote_demand_ = false;
    if (state_ == State::init || state_ == State::up) {
        enter(State::down, Diagnostic::detection_time_expired);
    }
}

std::optional<ControlPacket> Session::tick(Time now) {
    bool send = transmit_at_ && *transmit_at_ <= now;
    if (silent_at_ && *silent_at_ <= now) {
        const State before = state_;
        on_silence();
        send = send || state_ != before;
        schedule(transmitted_);
    }
    if (!send) {
        return std::nullopt;
    }
    transmitted_ = now;
    schedule(now);
    return packet();
}

Time Session::next_deadline() const noexcept {
    if (transmit_at_ && silent_at_) {
        return std::min(*transmit_at_, *silent_at_);
    }
    return transmit_at_ ? *transmit_at_ : silent_at_.value_or(Time::max());
}

void Session::set_settings(const SessionSettings& settings, Time now) {
    if (settings == settings_) {
        return;
    }
    if (state_ == State::up) {
        polling_ = true;
        if (settings.desired_min_tx > settings_.desired_min_tx && !kept_desired_min_tx_) {
            kept_desired_min_tx_ = settings_.desired_min_tx;
        }
        if (settings.required_min_rx < settings_.required_min_rx && !kept_required_min_rx_) {
            kept_required_min_rx_ = settings_.required_min_rx;
        }
    }
    settings_ = settings;
    schedule(now);
    if (transmit_at_) {
        transmit_at_ = std::min(*transmit_at_, now);
    }
}

ControlPacket Session::farewell(Time now) {
    enter(State::admin_down, Diagnostic::administratively_down);
    silent_at_.reset();
    transmitted_ = now;
    schedule(now);
    return packet();
}

}  // namespace manul::bgp::bfd
