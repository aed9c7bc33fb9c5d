#include "felix/model/rule_id.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/sha256.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix {

namespace {

RuleId hashed(std::string_view text) { return RuleId(sha256_first64(text)); }

std::string rule_text(std::string owner, Direction direction, std::string_view canonical_rule, std::size_t n) {
    owner += '/';
    owner += to_string(direction);
    owner += '/';
    owner += canonical_rule;
    owner += '/';
    owner += std::to_string(n);
    return owner;
}

}  // namespace

RuleId rule_id(const PolicyId& policy, Direction direction, std::string_view canonical_rule, std::size_t n) {
    return hashed(rule_text(policy.to_string(), direction, canonical_rule, n));
}

RuleId profile_rule_id(std::string_view profile, Direction direction, std::string_view canonical_rule, std::size_t n) {
    return hashed(rule_text("Profile//" + std::string(profile), direction, canonical_rule, n));
}

RuleId tier_end_id(std::string_view tier, Direction direction) {
    return hashed("tier/" + std::string(tier) + "/" + std::string(to_string(direction)) + "/end");
}

RuleId missing_profile_id(std::string_view profile, Direction direction) {
    return hashed("profile/" + std::string(profile) + "/" + std::string(to_string(direction)) + "/missing");
}

RuleId no_profile_matched_id() {
    static const RuleId kId = hashed("profile/none");  // every class has it
    return kId;
}
RuleId unknown_interface_id() { return hashed("interface/unknown"); }
RuleId invalid_state_id() { return hashed("state/invalid"); }
RuleId mid_stream_id() { return hashed("state/mid-stream"); }
RuleId spoofed_source_id() { return hashed("source/spoofed"); }
RuleId workload_tunnel_id() { return hashed("workload/tunnel"); }
RuleId packet_rate_id() { return hashed("limit/packets"); }
RuleId connection_limit_id() { return hashed("limit/connections"); }
RuleId foreign_tunnel_id() { return hashed("tunnel/foreign"); }
RuleId service_loop_id() { return hashed("service/loop"); }
RuleId endpoint_to_host_id() { return hashed("workload/own-node"); }

std::optional<std::string_view> built_in_reason(RuleId id) {
    struct BuiltIn {
        RuleId id;
        std::string_view reason;
    };
    static const std::array kAll{
        BuiltIn{packet_rate_id(), "more packets than the workload's packet rate allows"},
        BuiltIn{connection_limit_id(), "more connections than the workload may have"},
        BuiltIn{foreign_tunnel_id(), "tunnels end here for the cluster's nodes alone"},
        BuiltIn{service_loop_id(),
                "no service translated the address, which is one of services' "
                "(serviceLoopPrevention)"},
        BuiltIn{no_profile_matched_id(), "no policy applies and no profile allows"},
        BuiltIn{unknown_interface_id(), "the interface is no endpoint's that is programmed"},
        BuiltIn{invalid_state_id(), "the packet belongs to no connection (conntrack: invalid)"},
        BuiltIn{mid_stream_id(), "the packet does not begin a connection, and there is none (cutDeniedConnections)"},
        BuiltIn{spoofed_source_id(), "the source address is not the workload's"},
        BuiltIn{workload_tunnel_id(), "workloads may not make VXLAN or IPIP tunnels"},
        BuiltIn{endpoint_to_host_id(), "workloads may not reach their node (defaultEndpointToHostAction: Drop)"},
    };
    const auto* found = std::ranges::find(kAll, id, &BuiltIn::id);
    return found == kAll.end() ? std::nullopt : std::optional(found->reason);
}

}  // namespace manul::felix
