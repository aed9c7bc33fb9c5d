#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.hpp"
#include "net/ip.hpp"

/// The two ICMPv6 messages by which routers and hosts of a link find each other (RFC 4861 section 4.1, 4.2), as far as
/// routers without numbered addresses need them: who is there, and nothing about prefixes or default routes.
namespace manul::net {

enum class RouterMessage : std::uint8_t { solicitation = 133, advertisement = 134 };

/// What a datagram is, if it passes the checks of RFC 4861 section 6.1: hop limit 255 (so it comes from this link),
/// code 0, sound options, and for advertisements a link-local sender.
[[nodiscard]] std::optional<RouterMessage> parse_router_message(ByteView data, std::uint8_t hop_limit,
                                                                const Ip6& source) noexcept;

/// The message, with a checksum of 0 that the kernel fills in. An advertisement has a router lifetime of 0: its sender
/// is a router, but nobody's default router.
[[nodiscard]] Bytes encode_router_message(RouterMessage message);

}  // namespace manul::net
