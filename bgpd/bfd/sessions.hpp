#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/bytes.hpp"
#include "bgpd/bfd/packet.hpp"
#include "bgpd/bfd/session.hpp"
#include "net/ip.hpp"

namespace manul::bgp::bfd {

/// What BFD watches: the way to one BGP neighbour.
struct SessionConfig {
    net::Ip remote;                ///< with scope, if it is link-local
    std::optional<net::Ip> local;  ///< source address; absent: the kernel's choice
    bool single_hop = true;        ///< RFC 5881, else RFC 5883
    SessionSettings settings;

    bool operator==(const SessionConfig&) const = default;
};

/// Whether a session may go on under the other settings; else it begins anew.
[[nodiscard]] bool same_path(const SessionConfig& a, const SessionConfig& b) noexcept;

/// One datagram, as it came from the socket of a port.
struct Arrival {
    net::Ip source;  ///< with scope, if it is link-local
    std::uint8_t ttl = 0;
    bool single_hop = true;  ///< port 3784, else 4784
    ByteView data;
};

/// For `bgp peers`.
struct SessionStatus {
    net::Ip remote;
    bool single_hop = true;
    State state = State::down;
    Diagnostic diagnostic = Diagnostic::none;
    Micros transmit_interval{0};
    Micros detection_time{0};
    std::uint64_t packets_in = 0;
    std::uint64_t packets_out = 0;

    bool operator==(const SessionStatus&) const = default;
};

/// A socket that sends to this neighbour is needed, until Close.
struct Open {
    SessionConfig session;
};
struct Close {
    net::Ip remote;
};
struct Send {
    net::Ip remote;
    std::array<std::uint8_t, kPacketSize> data;
};
/// A session came up, or left Up. `failure` false: the neighbour took it down on purpose (AdminDown), which says
/// nothing about the path (RFC 5882 section 3.2).
struct Changed {
    SessionStatus status;
    bool failure = false;
};

using Action = std::variant<Open, Close, Send, Changed>;
using Actions = std::vector<Action>;

/// All BFD sessions of this node, one a neighbour's address: configuration, datagrams and time in; sockets, datagrams
/// and changes out. Datagrams without a session, with a wrong TTL or malformed are counted and dropped.
class Sessions {
public:
    explicit Sessions(std::uint32_t seed);

    /// The whole wanted set, compared with the one in force. Sessions that go away say farewell for a while.
    void configure(std::span<const SessionConfig> wanted, Time now, Actions& actions);
    void receive(const Arrival& arrival, Time now, Actions& actions);
    void tick(Time now, Actions& actions);
    /// Says farewell to every neighbour, so that none takes the end of this process for a failure of the path.
    void stop(Time now, Actions& actions);

    [[nodiscard]] std::optional<Time> next_deadline() const;
    [[nodiscard]] std::vector<SessionStatus> status() const;
    [[nodiscard]] std::uint64_t discarded() const noexcept { return discarded_; }

private:
    struct Entry {
        SessionConfig config;
        Session session;
        std::uint64_t packets_in = 0;
        std::uint64_t packets_out = 0;
    };

    /// Not wanted any more; the neighbour is being told.
    struct Leaving {
        Entry entry;
        Time until;
    };

    void dismiss(Entry entry, Time now, Actions& actions);
    [[nodiscard]] static SessionStatus status(const Entry& entry);
    [[nodiscard]] Entry* find(const Arrival& arrival, const ControlPacket& packet);
    [[nodiscard]] std::uint32_t random();
    [[nodiscard]] std::uint32_t new_discriminator();
    static void send(Entry& entry, const std::optional<ControlPacket>& packet, Actions& actions);
    static void report(const Entry& entry, State before, Actions& actions);

    std::uint32_t random_;
    std::map<net::Ip, Entry> sessions_;
    std::map<net::Ip, Leaving> leaving_;  ///< none of these is in sessions_
    std::map<std::uint32_t, net::Ip> by_discriminator_;
    std::uint64_t discarded_ = 0;
};

}  // namespace manul::bgp::bfd
