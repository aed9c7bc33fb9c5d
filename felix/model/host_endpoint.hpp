#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/policy_id.hpp"
#include "net/ip.hpp"

namespace manul::felix {

/// Where host policy judges a packet, in the order in which a packet meets the stages.
enum class HostStage : std::uint8_t {
    untracked,  ///< before connection tracking; what nothing matches goes on
    pre_dnat,   ///< before destination NAT, ingress only; what nothing matches goes on
    forward,    ///< what is routed through the node; what no tier decides goes on
    normal,     ///< what the node itself receives or sends; ends with profiles, then deny
};

/// "untracked", "preDNAT", "forward" or "normal".
[[nodiscard]] std::string_view to_string(HostStage stage) noexcept;

inline constexpr std::string_view kLoopbackInterface = "lo";

/// An interface of this node, or all that no other endpoint stands for, with its policies.
struct HostEndpoint {
    struct Lists {
        PolicyLists ingress;
        PolicyLists egress;

        bool operator==(const Lists&) const = default;
    };

    EndpointKey key;
    std::vector<std::string> interfaces;  ///< sorted; each belongs to this endpoint alone; none of a workload
    /// Stands for every interface that no endpoint names. At the stages forward and pre_dnat these are those of
    /// workloads too, at `normal` they are not; `untracked` has none. The loopback interface never is among them.
    bool wildcard = false;
    std::array<Lists, 4> stages;
    std::vector<std::string> profiles;  ///< consulted at stage `normal` when no tier decided
    std::optional<std::uint8_t> dscp;   ///< of what leaves the cluster from `addresses`
    std::vector<net::Ip> addresses;     ///< that are expected here; empty without `dscp`

    [[nodiscard]] const PolicyLists& lists(HostStage stage, Direction direction) const noexcept {
        const Lists& both = stages[static_cast<std::size_t>(stage)];
        return direction == Direction::ingress ? both.ingress : both.egress;
    }
    [[nodiscard]] bool has_interface(std::string_view name) const {
        return std::ranges::find(interfaces, name) != interfaces.end();
    }

    bool operator==(const HostEndpoint&) const = default;
};

}  // namespace manul::felix
