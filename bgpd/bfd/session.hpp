#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "bgpd/bfd/packet.hpp"

namespace manul::bgp::bfd {

/// Steady clock; only ever an argument.
using Time = std::chrono::steady_clock::time_point;
using Micros = std::chrono::microseconds;

struct SessionSettings {
    Micros desired_min_tx{300'000};
    Micros required_min_rx{300'000};
    std::uint8_t detect_multiplier = 3;

    bool operator==(const SessionSettings&) const = default;
};

/// One session of RFC 5880 section 6.8 in the active role: asynchronous mode, no echo, no authentication; a neighbour
/// that asks for demand mode gets it. Control packets in, at most one control packet out a call.
class Session {
public:
    /// `discriminator` is unique on this system and not 0. `seed` makes jitter differ between sessions. The first
    /// packet is due at once.
    Session(const SessionSettings& settings, std::uint32_t discriminator, std::uint32_t seed, Time now);

    /// A valid packet of this session arrived. The answer, if any, is to be sent at once.
    [[nodiscard]] std::optional<ControlPacket> receive(const ControlPacket& packet, Time now);
    /// next_deadline() has come.
    [[nodiscard]] std::optional<ControlPacket> tick(Time now);
    [[nodiscard]] Time next_deadline() const noexcept;

    /// Takes effect by a Poll sequence when the session is up (section 6.8.3).
    void set_settings(const SessionSettings& settings, Time now);
    /// The session is taken away on purpose: the packet that says so, which tick() repeats. The neighbour should hear
    /// it for neighbours_detection_time(), so that it does not take our silence for a failure (section 6.8.16).
    [[nodiscard]] ControlPacket farewell(Time now);

    [[nodiscard]] State state() const noexcept { return state_; }
    [[nodiscard]] State remote_state() const noexcept { return remote_state_; }
    [[nodiscard]] Diagnostic diagnostic() const noexcept { return diagnostic_; }
    [[nodiscard]] std::uint32_t discriminator() const noexcept { return discriminator_; }
    [[nodiscard]] std::uint32_t remote_discriminator() const noexcept { return remote_discriminator_; }
    /// How often packets leave, before jitter.
    [[nodiscard]] Micros transmit_interval() const noexcept;
    /// After how long a silence the session is down. 0 while nothing was heard.
    [[nodiscard]] Micros detection_time() const noexcept;
    /// After how long a silence of ours the neighbour takes the session for down.
    [[nodiscard]] Micros neighbours_detection_time() const noexcept {
        return settings_.detect_multiplier * transmit_interval();
    }

private:
    void enter(State state, Diagnostic diagnostic);
    [[nodiscard]] ControlPacket packet() const;
    [[nodiscard]] bool transmits_periodically() const noexcept;
    /// Arms the transmit timer as if the last packet had left at `last`.
    void schedule(Time last);
    [[nodiscard]] Micros jittered(Micros interval);
    void on_silence();

    SessionSettings settings_;
    std::uint32_t discriminator_;
    std::uint32_t random_;

    State state_ = State::down;                 // bfd.SessionState
    State remote_state_ = State::down;          // bfd.RemoteSessionState
    Diagnostic diagnostic_ = Diagnostic::none;  // bfd.LocalDiag
    std::uint32_t remote_discriminator_ = 0;    // bfd.RemoteDiscr
    Micros remote_min_rx_{1};                   // bfd.RemoteMinRxInterval
    Micros remote_desired_min_tx_{0};
    std::uint8_t remote_multiplier_ = 0;
    bool remote_demand_ = false;  // bfd.RemoteDemandMode
    bool polling_ = false;
    // While a Poll sequence runs, the values before it that must stay in use (section 6.8.3).
    std::optional<Micros> kept_desired_min_tx_;
    std::optional<Micros> kept_required_min_rx_;

    Time transmitted_;
    std::optional<Time> transmit_at_;
    std::optional<Time> silent_at_;  ///< the detection time ends
};

}  // namespace manul::bgp::bfd
