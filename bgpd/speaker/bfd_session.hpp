#pragma once

#include <optional>
#include <span>

#include "bgpd/bfd/sessions.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "net/prefix.hpp"

namespace manul::bgp::speaker {

/// The BFD session that watches the way to a peer; nothing when `bfd`, mostly the peer's own settings, wants none.
/// `local` are this host's interface addresses: a peer on one of their links is a single hop away, whatever the TTL of
/// its BGP session (RFC 5881 section 1, RFC 5883 section 1). `in_use` is the session that is up, if there is one: it
/// goes on as it is when the address that made it a single hop vanishes, for a link that goes down takes its addresses
/// along, and a session that began anew would not tell that the peer is lost.
[[nodiscard]] std::optional<bfd::SessionConfig> bfd_session(const PeerConfig& peer,
                                                            const std::optional<BfdSettings>& bfd,
                                                            std::span<const net::InterfaceAddress> local,
                                                            const std::optional<bfd::SessionConfig>& in_use);

}  // namespace manul::bgp::speaker
