#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "base/bytes.hpp"

/// bgpd/bfd: Bidirectional Forwarding Detection (RFC 5880, 5881 single hop, 5883 multihop), asynchronous mode, without
/// sockets and without a clock. See sessions.hpp.
namespace manul::bgp::bfd {

/// RFC 5880 section 4.1; also the order in which states are shown.
enum class State : std::uint8_t { admin_down = 0, down = 1, init = 2, up = 3 };

/// "AdminDown", "Down", "Init", "Up".
[[nodiscard]] const char* to_string(State state) noexcept;

/// Why a session last left Up (RFC 5880 section 4.1). Values above 8 are kept as they came.
enum class Diagnostic : std::uint8_t {
    none = 0,
    detection_time_expired = 1,
    echo_failed = 2,
    neighbour_signaled_down = 3,
    forwarding_plane_reset = 4,
    path_down = 5,
    concatenated_path_down = 6,
    administratively_down = 7,
    reverse_concatenated_path_down = 8,
};

/// In words, for people.
[[nodiscard]] const char* to_string(Diagnostic diagnostic) noexcept;

/// The mandatory section of a BFD control packet. Intervals are in microseconds.
struct ControlPacket {
    Diagnostic diagnostic = Diagnostic::none;
    State state = State::down;
    bool poll = false;
    bool final = false;
    bool control_plane_independent = false;
    bool demand = false;
    std::uint8_t detect_multiplier = 3;
    std::uint32_t my_discriminator = 0;
    std::uint32_t your_discriminator = 0;
    std::uint32_t desired_min_tx = 0;
    std::uint32_t required_min_rx = 0;
    std::uint32_t required_min_echo_rx = 0;

    bool operator==(const ControlPacket&) const = default;
};

inline constexpr std::size_t kPacketSize = 24;

/// Why a packet is discarded (RFC 5880 section 6.8.6).
enum class PacketError : std::uint8_t {
    too_short,
    wrong_version,
    wrong_length,
    zero_multiplier,
    multipoint,
    zero_my_discriminator,
    zero_your_discriminator,  ///< although the state says that the session exists
    authenticated,            ///< we use no authentication, so such a packet is not for us
};

/// All checks of section 6.8.6 that need no session.
[[nodiscard]] std::expected<ControlPacket, PacketError> parse(ByteView data) noexcept;

[[nodiscard]] std::array<std::uint8_t, kPacketSize> encode(const ControlPacket& packet) noexcept;

}  // namespace manul::bgp::bfd
