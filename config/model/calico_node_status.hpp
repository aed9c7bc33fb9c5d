#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/resource.hpp"

/// What a node's BGP speaker knows, written there for people who ask for it.
namespace manul::model {

enum class NodeStatusClass : std::uint8_t { agent, bgp, routes };
enum class SpeakerState : std::uint8_t { ready, not_ready };
enum class BgpPeerType : std::uint8_t { node_mesh, node_peer, global_peer };
enum class BgpSessionState : std::uint8_t { idle, connect, active, open_sent, open_confirm, established, close };
enum class RouteKind : std::uint8_t { fib, rib };
enum class RouteSourceType : std::uint8_t { kernel, static_, direct, node_mesh, bgp_peer };

struct CalicoNodeStatusSpec {
    std::string node;
    std::vector<NodeStatusClass> classes;
    std::uint32_t update_period_seconds = 0;  ///< 0: written once

    bool operator==(const CalicoNodeStatusSpec&) const = default;
};

struct SpeakerStatus {
    std::optional<SpeakerState> state;
    std::string version;
    std::string router_id;
    std::string last_boot_time;
    std::string last_reconfiguration_time;

    bool operator==(const SpeakerStatus&) const = default;
};

/// One speaker each family, as Calico has them.
struct AgentStatus {
    std::optional<SpeakerStatus> bird_v4;
    std::optional<SpeakerStatus> bird_v6;

    bool operator==(const AgentStatus&) const = default;
};

struct NodePeerStatus {
    std::string peer_ip;
    std::optional<BgpPeerType> type;
    std::optional<BgpSessionState> state;
    std::string since;

    bool operator==(const NodePeerStatus&) const = default;
};

struct NodeBgpStatus {
    std::uint32_t number_established_v4 = 0;
    std::uint32_t number_not_established_v4 = 0;
    std::uint32_t number_established_v6 = 0;
    std::uint32_t number_not_established_v6 = 0;
    std::vector<NodePeerStatus> peers_v4;
    std::vector<NodePeerStatus> peers_v6;

    bool operator==(const NodeBgpStatus&) const = default;
};

struct RouteLearnedFrom {
    std::optional<RouteSourceType> source_type;
    std::string peer_ip;

    bool operator==(const RouteLearnedFrom&) const = default;
};

struct NodeRoute {
    std::optional<RouteKind> type;
    std::string destination;
    std::string gateway;
    std::string interface;
    std::optional<RouteLearnedFrom> learned_from;

    bool operator==(const NodeRoute&) const = default;
};

struct NodeRoutesStatus {
    std::vector<NodeRoute> routes_v4;
    std::vector<NodeRoute> routes_v6;

    bool operator==(const NodeRoutesStatus&) const = default;
};

struct CalicoNodeStatusStatus {
    std::string last_updated;
    std::optional<AgentStatus> agent;
    std::optional<NodeBgpStatus> bgp;
    std::optional<NodeRoutesStatus> routes;

    bool operator==(const CalicoNodeStatusStatus&) const = default;
};

struct CalicoNodeStatus final : ResourceOf<Kind::calico_node_status> {
    CalicoNodeStatusSpec spec;
    CalicoNodeStatusStatus status;
};

}  // namespace manul::model
