#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bgpd/speaker/status.hpp"
#include "net/ip.hpp"

namespace manul::bgp::io {

/// Addresses as people write them: link-local ones with the name of their interface, "fe80::1%eth0".
[[nodiscard]] std::string address_text(const net::Ip& address);
/// A peer's address, or the interface that its address is still looked for on.
[[nodiscard]] std::string address_text(const speaker::PeerStatus& peer);
/// The reverse of the first; nothing when there is no such interface.
[[nodiscard]] std::optional<net::Ip> to_address(std::string_view text);

}  // namespace manul::bgp::io
