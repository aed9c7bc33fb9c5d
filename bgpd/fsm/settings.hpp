#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "bgpd/wire/capability.hpp"
#include "bgpd/wire/open.hpp"
#include "net/asn.hpp"

namespace manul::bgp::fsm {

/// Lengths of timers. RFC 4271 section 10 where the comment names no other source.
struct Timing {
    /// Between attempts to connect; doubles with each failure up to the maximum (the RFC suggests 120 s flat, which
    /// makes a network slow to start). Jittered.
    std::chrono::milliseconds connect_retry{10'000};
    std::chrono::milliseconds connect_retry_max{120'000};
    /// How long a connection may stand without an OPEN (the RFC's "large value").
    std::chrono::milliseconds open_wait{240'000};
    /// Between the end of a session or an error and our next attempt; doubles while errors follow one another up to the
    /// maximum (DampPeerOscillations, event 13). Jittered. The peer's attempts are refused but for a moment.
    std::chrono::milliseconds idle_hold{1'000};
    std::chrono::milliseconds idle_hold_max{60'000};
    /// A session that lasted so long makes idle hold start from its first value again.
    std::chrono::milliseconds stable_after{120'000};
    /// A connection that the peer opens so soon after a session is up belongs to the simultaneous start of both sides,
    /// not to a restart of the peer.
    std::chrono::milliseconds collision_window{5'000};
    /// A peer that reads nothing for so long, or twice the hold time if that is more, is given up (RFC 9687).
    std::chrono::milliseconds send_hold{480'000};
};

/// What a peer's machine must know. `open` is sent as it is; its `as` is the local AS towards this peer.
struct PeerSettings {
    wire::Open open;
    std::optional<net::Asn> peer_as;                 ///< empty: any (dynamic peers)
    std::optional<std::uint16_t> keepalive_seconds;  ///< shorter than a third of the hold time
    bool needs_role = false;                         ///< the peer must announce a role (RFC 9234, strict mode)
    bool passive = false;                            ///< never connect, only accept (event 4)
    Timing timing;
};

}  // namespace manul::bgp::fsm
