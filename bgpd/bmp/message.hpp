#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "base/bytes.hpp"
#include "net/ip.hpp"

/// bgpd/bmp: messages of the BGP Monitoring Protocol (RFC 7854, with RFC 8671 for Adj-RIB-Out and RFC 9069 for the
/// Loc-RIB), written for stations that listen. Pure: values in, bytes out; nothing is ever read, for stations do not
/// answer. What is sent when: io/bmp_sender.hpp.
///
///   Initiation, then for each session Peer Up, its routes (Route Monitoring), Statistics Reports, Peer Down;
///   Termination
namespace manul::bgp::bmp {

inline constexpr std::uint8_t kVersion = 3;

enum class MessageType : std::uint8_t {
    route_monitoring = 0,
    statistics_report = 1,
    peer_down = 2,
    peer_up = 3,
    initiation = 4,
    termination = 5,
    route_mirroring = 6,
};

/// RFC 7854 section 4.2, RFC 9069 section 4.1.
enum class PeerType : std::uint8_t { global = 0, loc_rib = 3 };

/// RFC 7854 section 4.2, RFC 8671 section 4.
namespace peer_flag {
inline constexpr std::uint8_t kIpv6 = 0x80;
inline constexpr std::uint8_t kPostPolicy = 0x40;
inline constexpr std::uint8_t kTwoOctetAs = 0x20;
inline constexpr std::uint8_t kAdjRibOut = 0x10;
}  // namespace peer_flag

/// Since 1970, UTC.
struct Timestamp {
    std::uint32_t seconds = 0;
    std::uint32_t microseconds = 0;
};

/// Whom a message is about. The Loc-RIB has no address.
struct PeerHeader {
    PeerType type = PeerType::global;
    std::uint8_t flags = 0;  ///< without kIpv6, which the address gives
    std::optional<net::Ip> address;
    std::uint32_t as = 0;
    std::uint32_t router_id = 0;
    Timestamp time;
};

/// RFC 7854 section 4.9, RFC 9069 section 5.3.
enum class DownReason : std::uint8_t {
    local_notification = 1,     ///< data: the NOTIFICATION message
    local_no_notification = 2,  ///< data: the number of the event (RFC 4271 section 8.1), two octets
    remote_notification = 3,    ///< data: the NOTIFICATION message
    remote_no_notification = 4,
    deconfigured = 5,  ///< monitoring has ended; nothing is said about the session
    local_closed = 6,  ///< the Loc-RIB alone
};

/// RFC 7854 section 4.8, RFC 8671 section 6.2. Gauges of 64 bits but where a comment says counter.
enum class Statistic : std::uint16_t {
    adj_rib_in = 7,
    loc_rib = 8,
    adj_rib_in_of_family = 9,
    loc_rib_of_family = 10,
    updates_as_withdraw = 11,  ///< counter of 32 bits
    adj_rib_out = 15,
    adj_rib_out_of_family = 17,
};
struct Statistics {
    Statistic type;
    std::optional<net::Family> family;  ///< for those of a family
    std::uint64_t value = 0;
};

/// All append one whole message.
void encode_initiation(std::string_view system_name, std::string_view description, Bytes& out);
/// Reason 0: administratively closed (RFC 7854 section 4.5).
void encode_termination(std::string_view text, Bytes& out);
/// `sent` and `received` are whole OPEN messages. `local` is unspecified for the Loc-RIB. No name of its table is sent:
/// RFC 9069 section 5.3 leaves that free for the default one, and older decoders (Wireshark 4.0) stumble over it.
void encode_peer_up(const PeerHeader& peer, const net::Ip& local, std::uint16_t local_port, std::uint16_t remote_port,
                    ByteView sent, ByteView received, Bytes& out);
void encode_peer_down(const PeerHeader& peer, DownReason reason, ByteView data, Bytes& out);
/// `update` is one whole UPDATE message.
void encode_route_monitoring(const PeerHeader& peer, ByteView update, Bytes& out);
void encode_statistics(const PeerHeader& peer, std::span<const Statistics> statistics, Bytes& out);

}  // namespace manul::bgp::bmp
