#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/error.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "net/prefix.hpp"

/// TCP-AO (RFC 5925) as Linux has it since 6.7, where it is compiled in. Nothing falls back to a connection without
/// keys: a peer that asks for them on a kernel without stays down and says so.
namespace manul::bgp::io {

/// `struct tcp_ao_add` and `struct tcp_ao_del` of linux/tcp.h, which the headers of older systems lack.
struct alignas(8) TcpAoAdd {
    std::array<std::uint8_t, 128> address{};  ///< sockaddr_storage of the peers
    std::array<char, 64> algorithm{};         ///< as the kernel's crypto interface calls it
    std::int32_t interface = 0;
    std::uint32_t flags = 0;  ///< bit 0: send with this key at once; bit 1: ask the peer for it
    std::uint16_t reserved = 0;
    std::uint8_t prefix = 0;  ///< length, of peers that are a prefix
    std::uint8_t send_id = 0;
    std::uint8_t receive_id = 0;
    std::uint8_t mac_length = 0;  ///< 0: that of RFC 5926, 96 bits
    std::uint8_t key_flags = 0;
    std::uint8_t key_length = 0;
    std::array<std::uint8_t, 80> key{};
};
struct alignas(8) TcpAoDel {
    std::array<std::uint8_t, 128> address{};
    std::int32_t interface = 0;
    std::uint32_t flags = 0;
    std::uint16_t reserved = 0;
    std::uint8_t prefix = 0;
    std::uint8_t send_id = 0;
    std::uint8_t receive_id = 0;
    std::uint8_t current_key = 0;
    std::uint8_t next_key = 0;
    std::uint8_t key_flags = 0;
};

/// The key for connections with `remotes` (one address or a prefix); an error when it is empty or too long.
[[nodiscard]] Result<TcpAoAdd> make_ao_key(const net::Prefix& remotes, const speaker::TcpAo& how,
                                           const std::string& key);
/// Before connecting, or on a listening socket, which from then on refuses segments of these peers without the key.
[[nodiscard]] Result<void> add_ao_key(int fd, const net::Prefix& remotes, const speaker::TcpAo& how,
                                      const std::string& key);
/// Takes the key away again; none there is fine.
void remove_ao_key(int fd, const net::Prefix& remotes, const speaker::TcpAo& how);

/// Why this kernel cannot do TCP-AO; empty: it can. Asks by giving a socket a key.
[[nodiscard]] std::string ao_obstacle();
/// The same from the errno that the kernel answered, 0 = none.
[[nodiscard]] std::string ao_obstacle(int error);
/// Holds down every peer that asks for TCP-AO where there is an obstacle.
void require_ao(speaker::Configuration& configuration, const std::string& obstacle);

}  // namespace manul::bgp::io
