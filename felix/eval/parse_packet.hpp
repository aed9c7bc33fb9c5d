#pragma once

#include <optional>
#include <string>

#include "base/bytes.hpp"
#include "felix/eval/packet.hpp"

namespace manul::felix {

/// What policy sees of a packet, from its first bytes (IP header on, may be cut off). Nothing for what is no IP packet.
/// IPv6 extension headers are passed over (RFC 8200 4); later fragments have no ports.
[[nodiscard]] std::optional<Packet> parse_packet(ByteView bytes);

/// "SRC=10.65.0.2 DST=10.65.0.3 PROTO=TCP SPT=40000 DPT=80": as the kernel's own log lines put it.
[[nodiscard]] std::string describe(const Packet& packet);

}  // namespace manul::felix
