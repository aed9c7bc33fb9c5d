#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

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
    Outlet outlet;
    wire::FamilySet families;
    wire::UpdateContext update_context;
    policy::ImportContext import;
    policy::PeerFilters rules;
    std::optional<std::array<rib::Slot, 2>> judged_to;  ///< while kept paths are judged again, by family_index
    std::array<bool, 2> end_of_rib{};                   ///< received, by family_index
    bool sends_end_of_rib = false;                      ///< the peer announced graceful restart, so it will
    bool heard_keepalive = false;  ///< since the session is up: without End-of-RIB the best sign of a whole table
    std::uint64_t updates_in = 0;

    [[nodiscard]] bool loaded() const noexcept;
};

/// One configured peer.
struct Peer {
    Peer(PeerConfig wanted, const Self& self, std::uint32_t seed);

    struct Link {
        ConnectionId id;
        Endpoint local;
        bool up = false;  ///< connected, not only being tried
    };

    PeerConfig config;
    fsm::Peer machine;
    std::array<std::optional<Link>, 2> links;  ///< by fsm::Direction
    std::unique_ptr<Session> session;
    std::string held_down;   ///< why it is not started, if so
    bool shut_down = false;  ///< by the operator
    std::optional<fsm::State> reported;
    std::string last_error;  ///< failed attempts to connect do not replace a better reason

    /// Takes what the machine says about the end of a connection.
    void remember_end();

    [[nodiscard]] std::optional<Link>& link(fsm::Direction direction) noexcept {
        return links[static_cast<std::size_t>(direction)];
    }
    [[nodiscard]] bool wanted_up() const noexcept { return held_down.empty() && !shut_down; }
    [[nodiscard]] PeerStatus status(const rib::SourceTable& sources) const;
};

/// What the session machine must know about a peer.
[[nodiscard]] fsm::PeerSettings peer_settings(const PeerConfig& config, const Self& self);
[[nodiscard]] SocketOptions socket_options(const PeerConfig& config);
/// Why a peer with this configuration cannot be started; empty: it can.
[[nodiscard]] std::string obstacle(const PeerConfig& config);

}  // namespace manul::bgp::speaker
