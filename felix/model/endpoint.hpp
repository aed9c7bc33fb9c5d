#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "felix/model/endpoint_key.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/shared.hpp"
#include "net/ip.hpp"
#include "net/mac.hpp"
#include "net/port_range.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

enum class TierEnd : std::uint8_t { deny, pass };

/// The policies of one tier that apply to an endpoint in one direction, in the order of evaluation; never empty.
struct TierPolicies {
    std::string tier;
    TierEnd end = TierEnd::deny;            ///< what happens to a packet that no rule of the tier decided
    std::optional<DenyAction> deny_action;  ///< of the tier, for its end (rules have theirs resolved)
    std::vector<PolicyId> policies;

    bool operator==(const TierPolicies&) const = default;
};

/// Tiers in the order of evaluation; those without a policy for the endpoint and direction are absent. Endpoints with
/// equal lists share one object, so `same_as` finds classes quickly; lists that differ share what they have in common.
using PolicyLists = Shared<std::vector<Shared<TierPolicies>>>;

/// What policies an endpoint has in each direction.
struct EndpointLists {
    PolicyLists ingress;
    PolicyLists egress;

    [[nodiscard]] PolicyLists& of(Direction direction) noexcept {
        return direction == Direction::ingress ? ingress : egress;
    }
    [[nodiscard]] const PolicyLists& of(Direction direction) const noexcept {
        return direction == Direction::ingress ? ingress : egress;
    }
    bool operator==(const EndpointLists&) const = default;
};

/// A port of the node that leads to the endpoint (portmap).
struct HostPort {
    net::Protocol protocol = net::kTcp;
    std::uint16_t host_port = 0;
    std::optional<net::Ip> host_ip;  ///< absent: any address of the node
    std::uint16_t port = 0;

    bool operator==(const HostPort&) const = default;
};

/// An address that leads to the workload besides its own.
struct FloatingAddress {
    net::Ip external;
    net::Ip internal;

    bool operator==(const FloatingAddress&) const = default;
};

/// Limits of what goes one way through a workload's interface; absent ones do not hold.
struct TrafficLimits {
    std::optional<std::uint64_t> bandwidth;    ///< bit/s
    std::optional<std::uint64_t> burst;        ///< bit
    std::optional<std::uint64_t> peak_rate;    ///< bit/s
    std::optional<std::uint64_t> min_burst;    ///< bytes that may go at the peak rate at once
    std::optional<std::uint32_t> packet_rate;  ///< packets/s, of each family
    std::uint32_t packet_burst = 5;
    std::optional<std::uint32_t> max_connections;  ///< of each family

    bool operator==(const TrafficLimits&) const = default;
};

/// Whether a link is that container's: the plugin makes the id the link's alias, and a link of an earlier container is
/// not the one that the endpoint speaks of. Stores and plugins of others do not always tell.
[[nodiscard]] inline bool is_of_container(std::string_view container_id, std::string_view alias) noexcept {
    return container_id.empty() || alias.empty() || alias == container_id;
}

/// A workload of this node. Interface names are unique among the endpoints at the end of every batch.
struct Endpoint {
    EndpointKey key;
    std::string interface;
    std::string container_id;
    std::string resource_version;    ///< opaque; with the container id what the "programmed" mark says
    std::optional<net::Mac> mac;     ///< of the workload's side
    std::vector<net::Ip> addresses;  ///< never empty; in the order of the resource
    PolicyLists ingress;
    PolicyLists egress;
    std::vector<std::string> profiles;  ///< consulted in this order when no tier decided
    std::vector<net::Prefix> allowed_source_prefixes;
    std::vector<HostPort> host_ports;
    std::vector<FloatingAddress> floating;  ///< empty unless the configuration switches them on
    std::optional<std::uint8_t> dscp;       ///< of what leaves the cluster
    TrafficLimits to_workload;
    TrafficLimits from_workload;

    [[nodiscard]] const PolicyLists& lists(Direction direction) const noexcept {
        return direction == Direction::ingress ? ingress : egress;
    }

    bool operator==(const Endpoint&) const = default;
};

}  // namespace manul::felix
