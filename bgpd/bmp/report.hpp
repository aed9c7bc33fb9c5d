#pragma once

#include <span>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/bmp/message.hpp"
#include "bgpd/speaker/monitor.hpp"
#include "bgpd/speaker/status.hpp"

/// From what the speaker tells to BMP messages.
namespace manul::bgp::bmp {

/// Appends the messages for these events, which happened at `time`.
void append_events(std::span<const speaker::MonitorEvent> events, Timestamp time, Bytes& out);

/// Appends a Statistics Report for the Loc-RIB and one for each session.
void append_statistics(const speaker::MonitoredSelf& self, std::span<const speaker::PeerStatus> peers, Timestamp time,
                       Bytes& out);

/// How the end of a session is told (RFC 7854 section 4.9); appends the data that go with it.
[[nodiscard]] DownReason down_reason(const speaker::MonitoredDown& down, Bytes& data);

}  // namespace manul::bgp::bmp
