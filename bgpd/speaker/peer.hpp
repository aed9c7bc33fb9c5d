#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bgpd/bfd/sessions.hpp"
#include "bgpd/fsm/peer.hpp"
#include "bgpd/policy/import_rules.hpp"
#include "bgpd/rib/source.hpp"
#include "bgpd/speaker/action.hpp"
#include "bgpd/speaker/configuration.hpp"
#include "bgpd/speaker/status.hpp"
#include "bgpd/speaker/update_group.hpp"
#include "bgpd/wire/update.hpp"

namespace manul::bgp::speaker {

/// What exists while a session is established.
struct Session {
    fsm::Direction direction = fsm::Direction::outgoing;
    Endpoint local;
    std::uint32_t scope = 0;  ///< interface of the link that link-local next hops are on
    Outlet outlet;
    wire::FamilySet families;
    wire::UpdateContext update_context;
    std::optional<net::Prefix> shared_link;  ///< with an external peer, as its groups know it
    std::array<bool, 2> end_of_rib{};        ///< received, by family_index
    bool sends_end_of_rib = false;           ///< the peer announced graceful restart, so it will
    bool peer_restarted = false;  ///< R bit: the peer waits for us, so we do not wait for it (RFC 4724 section 4.1)
    std::optional<wire::GracefulRestart> peer_restart;        ///< if both sides announced it
    std::optional<wire::LongLivedRestart> peer_long_restart;  ///< if both sides announced it
    bool heard_keepalive = false;  ///< since the session is up: without End-of-RIB the best sign of a whole table
    std::uint64_t updates_in = 0;
    std::array<bool, 2> warned{};  ///< near the maximum of prefixes, by family_index

    /// All that the peer has to say has been said, as far as one can know.
    [[nodiscard]] bool loaded() const noexcept;
    /// Selection of routes need not wait for the peer (RFC 4724 section 4.1).
    [[nodiscard]] bool awaited() const noexcept { return sends_end_of_rib && !peer_restarted && !loaded(); }
};

/// How what a peer sent is judged: in its session, and as in the last one for as long as its routes are kept without.
struct Intake {
    policy::ImportContext context;
    policy::PeerFilters rules;
    std::optional<std::array<rib::Slot, 2>> judged_to;  ///< while kept paths are judged again, by family_index
};

/// Why routes of a peer that are not known to be current are in use, in one family.
struct Stale {
    enum class Stage : std::uint8_t {
        none,        ///< there are none
        absent,      ///< the session is gone and may come back (RFC 4724 section 4.2)
        returning,   ///< it is back; End-of-RIB has not come
        long_lived,  ///< it has been away longer than a restart takes (RFC 9494)
        refreshing,  ///< the peer sends its table again (RFC 7313)
    };
    Stage stage = Stage::none;
    Time until{};                          ///< then the stage ends
    std::uint32_t long_lived_seconds = 0;  ///< stage absent: what may follow
};

/// What is behind the graceful restart capability that we send.
struct RestartState {
    bool restarting = false;    ///< R bit
    wire::FamilySet preserved;  ///< F bits
};

/// One configured peer.
struct Peer {
    Peer(PeerConfig wanted, const Self& self, const RestartState& restart, std::uint32_t seed);

    struct Link {
        ConnectionId id;
        Endpoint local;
        bool up = false;  ///< connected, not only being tried
        std::uint16_t remote_port = 0;
        Bytes sent_open{};  ///< whole messages, for monitoring stations
        Bytes received_open{};
    };

    PeerConfig config;
    fsm::Peer machine;
    std::array<std::optional<Link>, 2> links;  ///< by fsm::Direction
    std::unique_ptr<Session> session;
    Intake intake;
    std::array<Stale, 2> stale;                   ///< by family_index
    std::optional<rib::SourceId> retained;        ///< whose routes are kept while there is no session
    bool was_up = false;                          ///< a session has been established in this life
    std::optional<bfd::SessionConfig> bfd_asked;  ///< the session that was asked for
    bool bfd_up = false;
    std::optional<BfdSettings> lingering_bfd;  ///< no longer configured, but the neighbour still relies on it
    std::string held_down;                     ///< why it is not started, if so
    bool shut_down = false;                    ///< by the operator
    std::optional<fsm::State> reported;
    std::uint64_t messages_in = 0;
    std::uint64_t messages_out = 0;  ///< but for routes of the present session, which its outlet counts
    std::uint64_t malformed_in = 0;
    std::uint64_t withdrawn_in = 0;
    std::string last_malformed;
    std::uint32_t times_up = 0;
    std::string last_error;  ///< failed attempts to connect do not replace a better reason

    /// Whose routes the peer's are in the tables; nothing: it has none there.
    [[nodiscard]] std::optional<rib::SourceId> source() const noexcept {
        return session != nullptr ? std::optional(session->outlet.source) : retained;
    }
    /// Takes what the machine says about the end of a connection.
    void remember_end();
    /// An attempt to connect was given up without an answer.
    void remember_silence();

    [[nodiscard]] std::optional<Link>& link(fsm::Direction direction) noexcept {
        return links[static_cast<std::size_t>(direction)];
    }
    /// Only the neighbour on its link is missing.
    [[nodiscard]] bool looked_for() const noexcept { return !shut_down && config.any_neighbour && !config.placed; }
    [[nodiscard]] bool wanted_up() const noexcept { return held_down.empty() && !shut_down; }
    [[nodiscard]] PeerStatus status(const rib::SourceTable& sources) const;
};

/// What the session machine must know about a peer.
[[nodiscard]] fsm::PeerSettings peer_settings(const PeerConfig& config, const Self& self, const RestartState& restart);
[[nodiscard]] SocketOptions socket_options(const PeerConfig& config);
/// Why a peer with this configuration cannot be started; empty: it can.
[[nodiscard]] std::string obstacle(const PeerConfig& config);

}  // namespace manul::bgp::speaker
