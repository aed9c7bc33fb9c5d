#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/strong_id.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix {

/// Names one rule in logs, counters and connection marks; the same on every node and for as long as the rule's text
/// stays the same, wherever it moves in its policy.
using RuleId = Id<struct RuleIdTag, std::uint64_t>;

/// First 64 bits of SHA-256 over `kind/namespace/name/direction/<rule as canonical JSON>/<n>`; `n` counts equal rules
/// of one policy and direction from 0.
[[nodiscard]] RuleId rule_id(const PolicyId& policy, Direction direction, std::string_view canonical_rule,
                             std::size_t n);
/// The same for a rule of a profile, as kind `Profile` without namespace.
[[nodiscard]] RuleId profile_rule_id(std::string_view profile, Direction direction, std::string_view canonical_rule,
                                     std::size_t n);

/// What ends a packet without a rule of a resource has an identity too.
[[nodiscard]] RuleId tier_end_id(std::string_view tier, Direction direction);
[[nodiscard]] RuleId missing_profile_id(std::string_view profile, Direction direction);
[[nodiscard]] RuleId no_profile_matched_id();
[[nodiscard]] RuleId unknown_interface_id();
[[nodiscard]] RuleId invalid_state_id();
/// TCP without its beginning, where connections are cut.
[[nodiscard]] RuleId mid_stream_id();
/// A workload's packet whose source address is not its own.
[[nodiscard]] RuleId spoofed_source_id();
/// More packets, or connections, than the workload's limits allow.
[[nodiscard]] RuleId packet_rate_id();
[[nodiscard]] RuleId connection_limit_id();
/// A tunnel to this node from an address that is no node's.
[[nodiscard]] RuleId foreign_tunnel_id();
/// A workload that makes VXLAN or IPIP tunnels of its own.
[[nodiscard]] RuleId workload_tunnel_id();
/// defaultEndpointToHostAction: Drop.
[[nodiscard]] RuleId endpoint_to_host_id();

/// serviceLoopPrevention.
[[nodiscard]] RuleId service_loop_id();

/// What one of the identities without an argument stands for, in words; nothing for any other.
[[nodiscard]] std::optional<std::string_view> built_in_reason(RuleId id);

}  // namespace manul::felix
