#include "bgpd/speaker/peer.hpp"

#include <algorithm>
#include <utility>

#include "net/scoped.hpp"

namespace manul::bgp::speaker {

bool PeerConfig::same_peer(const PeerConfig& other) const noexcept {
    return interface == other.interface && any_neighbour == other.any_neighbour &&
           (any_neighbour || net::without_scope(address) == net::without_scope(other.address));
}

std::string PeerConfig::id() const {
    const std::string text = any_neighbour ? std::string() : net::without_scope(address).to_string();
    return interface.empty() ? text : text + (any_neighbour ? "" : "%") + interface;
}

bool Session::loaded() const noexcept {
    if (!sends_end_of_rib) {
        return heard_keepalive;
    }
    return std::ranges::all_of(wire::kFamilies, [&](net::Family family) {
        return !families.has(family) || end_of_rib[rib::family_index(family)];
    });
}

Peer::Peer(PeerConfig wanted, const Self& self, const RestartState& restart, std::uint32_t seed)
    : config(std::move(wanted)), machine(peer_settings(config, self, restart), seed), held_down(obstacle(config)) {}

fsm::PeerSettings peer_settings(const PeerConfig& config, const Self& self, const RestartState& restart) {
    wire::Capabilities capabilities;
    if (config.v4) {
        capabilities.multiprotocol.push_back(wire::AfiSafi::of(net::Family::v4));
    }
    if (config.v6) {
        capabilities.multiprotocol.push_back(wire::AfiSafi::of(net::Family::v6));
    }
    capabilities.route_refresh = true;
    if (config.role && config.external()) {
        capabilities.roles = {static_cast<std::uint8_t>(*config.role)};
    }
    if (config.add_path_receive || config.sends_add_path()) {
        for (const wire::AfiSafi& entry : capabilities.multiprotocol) {
            capabilities.add_path.push_back({entry, config.add_path_receive, config.sends_add_path()});
        }
    }
    if (config.v4 && config.address.is_v6()) {
        capabilities.extended_next_hop = {wire::ipv4_over_ipv6()};
    }
    capabilities.extended_message = true;
    capabilities.four_octet_as = config.local_as.number();
    capabilities.fqdn = wire::Fqdn{self.node_name, ""};
    capabilities.enhanced_route_refresh = true;
    capabilities.software_version = "manul " MANUL_VERSION;
    wire::GracefulRestart graceful{
        .restarting = restart.restarting, .notification = true, .seconds = config.restart_seconds, .families = {}};
    for (const wire::AfiSafi& entry : capabilities.multiprotocol) {
        graceful.families.push_back({entry, restart.preserved.has(*entry.family())});
    }
    capabilities.graceful_restart = std::move(graceful);
    capabilities.long_lived_restart = wire::LongLivedRestart{};  // we keep others' routes and ask nobody to keep ours

    const auto hold_time =
        static_cast<std::uint16_t>(std::clamp<std::int64_t>(config.hold_time.count(), 0, UINT16_MAX));
    fsm::PeerSettings settings{
        .open = {.as = config.local_as,
                 .identifier = self.router_id,
                 .hold_time = hold_time,
                 .capabilities = std::move(capabilities)},
        .peer_as = config.remote_as,
        .keepalive_seconds = std::nullopt,
        .needs_role = config.role_strict,
        .passive = config.passive,
        .timing = {},
    };
    if (config.keepalive_time) {
        settings.keepalive_seconds =
            static_cast<std::uint16_t>(std::clamp<std::int64_t>(config.keepalive_time->count(), 1, UINT16_MAX));
    }
    return settings;
}

SocketOptions socket_options(const PeerConfig& config) {
    SocketOptions options;
    if (config.password) {
        options.key = config.password->value;
        options.ao = config.tcp_ao;
    }
    if (config.ttl_security) {
        options.ttl = 255;
        options.minimum_ttl = static_cast<std::uint8_t>(256 - std::max<int>(1, *config.ttl_security));
    }
    return options;
}

std::string obstacle(const PeerConfig& config) {
    if (!config.problem.empty()) {
        return config.problem;
    }
    if (config.password && !config.password->value) {
        return "no password found: " + (config.password->problem.empty()
                                            ? "secret " + config.password->secret + ", key " + config.password->key
                                            : config.password->problem);
    }
    return {};
}

void Peer::remember_end() {
    const auto& end = machine.last_end();
    if (end && (end->cause != fsm::SessionEnd::Cause::connection_lost || last_error.empty())) {
        last_error = end->to_string();
    }
}

void Peer::remember_silence() {
    // Segments with a wrong signature, or without one, are dropped without a word (RFC 2385 section 2.0).
    if (config.password) {
        last_error = "no answer to attempts to connect; the peer may have another password, or none";
    } else if (last_error.empty()) {
        last_error = "no answer to attempts to connect";
    }
}

PeerStatus Peer::status(const rib::SourceTable& sources) const {
    PeerStatus status;
    status.id = config.id();
    status.address = config.address;
    status.name = config.name;
    status.origin = config.origin;
    status.remote_as = config.remote_as;
    status.local_as = config.local_as;
    status.state = machine.state();
    status.since = machine.since();
    if (!held_down.empty()) {
        status.last_error = held_down;
    } else if (shut_down) {
        status.last_error = "shut down by the operator";
    } else {
        status.last_error = last_error;
    }
    status.messages_in = messages_in;
    status.messages_out = messages_out + (session != nullptr ? session->outlet.messages_out : 0);
    status.malformed_in = malformed_in;
    status.withdrawn_in = withdrawn_in;
    status.last_malformed = last_malformed;
    status.times_up = times_up;
    status.filters = config.filters;
    status.passive = config.passive;
    if (session == nullptr) {
        for (const net::Family family : wire::kFamilies) {
            const std::size_t index = rib::family_index(family);
            if (retained && stale[index].stage != Stale::Stage::none) {
                const auto& counts = sources[*retained].counts[index];
                (family == net::Family::v4 ? status.v4 : status.v6) = {true, counts.received, counts.accepted, false,
                                                                       true};
            }
        }
        return status;
    }
    status.sent = machine.sent_capabilities();
    if (const wire::Open* open = machine.peer_open()) {
        status.received = open->capabilities;
    }
    if (const wire::Negotiated* negotiated = machine.negotiated()) {
        status.remote_id = negotiated->peer_identifier;
        status.hold_time = std::chrono::seconds(negotiated->hold_time);
    }
    for (const net::Family family : wire::kFamilies) {
        const std::size_t index = rib::family_index(family);
        const auto& counts = sources[session->outlet.source].counts[index];
        FamilyCounters& shown = family == net::Family::v4 ? status.v4 : status.v6;
        shown = {session->families.has(family), counts.received, counts.accepted, session->end_of_rib[index],
                 stale[index].stage != Stale::Stage::none};
    }
    status.updates_in = session->updates_in;
    status.bytes_out = session->outlet.bytes_out;
    status.backlog = session->outlet.backlog;
    return status;
}

}  // namespace manul::bgp::speaker
