#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>

#include "base/error.hpp"
#include "base/unique_fd.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/event.hpp"
#include "net/ip.hpp"

/// bgpd/io: descriptors into events, actions into system calls. No decisions about routes or sessions are made here.
/// This file: sockets as BGP needs them.
namespace manul::bgp::io {

/// A socket address as the kernel takes it.
struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    [[nodiscard]] const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    [[nodiscard]] sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
};

/// Both ways a link-local address has its scope (net/scoped.hpp).
[[nodiscard]] SocketAddress to_socket_address(const speaker::Endpoint& endpoint);
[[nodiscard]] speaker::Endpoint to_endpoint(const SocketAddress& address);
/// Of a connected or bound socket; 0.0.0.0:0 when the kernel does not know.
[[nodiscard]] speaker::Endpoint local_endpoint(int fd);

/// A listening socket, never blocking. IPv6 sockets take IPv6 alone.
[[nodiscard]] Result<UniqueFd> listen_on(const speaker::Endpoint& endpoint);
/// A connection under way (or already made), never blocking. The error is the system's words.
[[nodiscard]] Result<UniqueFd> connect_to(const speaker::Connect& how);

/// TTL sent and accepted (RFC 5082), on one connection.
[[nodiscard]] Result<void> set_ttl(int fd, net::Family family, const speaker::SocketOptions& options);
/// TTL of a listening socket, which its SYN-ACKs have: a peer that checks it wants 255.
void set_listener_ttl(int fd, net::Family family, std::uint8_t ttl);
/// Lets the kernel keep the SYN of each connection that is accepted, for syn_ttl.
void keep_syns(int fd);
/// The TTL that the SYN of an accepted connection came with, unless the kernel did not keep it (SYN cookies).
[[nodiscard]] std::optional<std::uint8_t> syn_ttl(int fd);
/// The key of these options: TCP-AO or TCP-MD5.
[[nodiscard]] Result<void> set_key(int fd, const net::Prefix& remotes, const speaker::SocketOptions& options);
/// TCP-MD5 (RFC 2385) for one remote address, on a listening socket or before connecting; an empty key removes it.
[[nodiscard]] Result<void> set_md5_key(int fd, const net::Prefix& remotes, const std::optional<std::string>& key);

}  // namespace manul::bgp::io
