#include "bgpd/bfd/packet.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>

#include "base/bytes.hpp"

namespace manul::bgp::bfd {
namespace {

constexpr std::uint8_t kVersion = 1;

// Bits of the second byte, below the two of the state.
constexpr std::uint8_t kPoll = 0x20;
constexpr std::uint8_t kFinal = 0x10;
constexpr std::uint8_t kControlPlaneIndependent = 0x08;
constexpr std::uint8_t kAuthentication = 0x04;
constexpr std::uint8_t kDemand = 0x02;
constexpr std::uint8_t kMultipoint = 0x01;

std::uint32_t u32_at(ByteView data, std::size_t at) noexcept {
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        value = value << 8U | data[at + i];
    }
    return value;
}

void put_u32(std::array<std::uint8_t, kPacketSize>& out, std::size_t at, std::uint32_t value) noexcept {
    for (std::size_t i = 0; i < 4; ++i) {
        out[at + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    }
}

}  // namespace

const char* to_string(State state) noexcept {
    switch (state) {
        case State::admin_down:
            return "AdminDown";
        case State::down:
            return "Down";
        case State::init:
            return "Init";
        case State::up:
            return "Up";
    }
    return "unknown";
}

const char* to_string(Diagnostic diagnostic) noexcept {
    switch (diagnostic) {
        case Diagnostic::none:
            return "no diagnostic";
        case Diagnostic::detection_time_expired:
            return "nothing heard within the detection time";
        case Diagnostic::echo_failed:
            return "echo function failed";
        case Diagnostic::neighbour_signaled_down:
            return "the neighbour signaled session down";
        case Diagnostic::forwarding_plane_reset:
            return "forwarding plane reset";
        case Diagnostic::path_down:
            return "path down";
        case Diagnostic::concatenated_path_down:
            return "concatenated path down";
        case Diagnostic::administratively_down:
            return "administratively down";
        case Diagnostic::reverse_concatenated_path_down:
            return "reverse concatenated path down";
    }
    return "unknown diagnostic";
}

std::expected<ControlPacket, PacketError> parse(ByteView data) noexcept {
    if (data.size() < kPacketSize) {
        return std::unexpected(PacketError::too_short);
    }
    if (data[0] >> 5U != kVersion) {
        return std::unexpected(PacketError::wrong_version);
    }
    const std::uint8_t flags = data[1];
    const std::uint8_t length = data[3];
    const bool authenticated = (flags & kAuthentication) != 0;
    constexpr std::size_t kSmallestAuthentication = 2;
    if (length < kPacketSize + (authenticated ? kSmallestAuthentication : 0) || length > data.size()) {
        return std::unexpected(PacketError::wrong_length);
    }
    if (data[2] == 0) {
        return std::unexpected(PacketError::zero_multiplier);
    }
    if ((flags & kMultipoint) != 0) {
        return std::unexpected(PacketError::multipoint);
    }
    const ControlPacket packet{
        .diagnostic = static_cast<Diagnostic>(data[0] & 0x1fU),
        .state = static_cast<State>(flags >> 6U),
        .poll = (flags & kPoll) != 0,
        .final = (flags & kFinal) != 0,
        .control_plane_independent = (flags & kControlPlaneIndependent) != 0,
        .demand = (flags & kDemand) != 0,
        .detect_multiplier = data[2],
        .my_discriminator = u32_at(data, 4),
        .your_discriminator = u32_at(data, 8),
        .desired_min_tx = u32_at(data, 12),
        .required_min_rx = u32_at(data, 16),
        .required_min_echo_rx = u32_at(data, 20),
    };
    if (packet.my_discriminator == 0) {
        return std::unexpected(PacketError::zero_my_discriminator);
    }
    if (packet.your_discriminator == 0 && (packet.state == State::init || packet.state == State::up)) {
        return std::unexpected(PacketError::zero_your_discriminator);
    }
    if (authenticated) {
        return std::unexpected(PacketError::authenticated);
    }
    return packet;
}

std::array<std::uint8_t, kPacketSize> encode(const ControlPacket& packet) noexcept {
    std::array<std::uint8_t, kPacketSize> out{};
    out[0] = static_cast<std::uint8_t>(kVersion << 5U | static_cast<std::uint8_t>(packet.diagnostic));
    out[1] = static_cast<std::uint8_t>(
        static_cast<unsigned>(packet.state) << 6U | (packet.poll ? kPoll : 0U) | (packet.final ? kFinal : 0U) |
        (packet.control_plane_independent ? kControlPlaneIndependent : 0U) | (packet.demand ? kDemand : 0U));
    out[2] = packet.detect_multiplier;
    out[3] = kPacketSize;
    put_u32(out, 4, packet.my_discriminator);
    put_u32(out, 8, packet.your_discriminator);
    put_u32(out, 12, packet.desired_min_tx);
    put_u32(out, 16, packet.required_min_rx);
    put_u32(out, 20, packet.required_min_echo_rx);
    return out;
}

}  // namespace manul::bgp::bfd
