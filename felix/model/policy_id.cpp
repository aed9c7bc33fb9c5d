#include "felix/model/policy_id.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace manul::felix {

std::string_view to_string(Direction direction) noexcept {
    return direction == Direction::ingress ? "ingress" : "egress";
}

std::string_view to_string(PolicyKind kind) noexcept {
    switch (kind) {
        case PolicyKind::network_policy:
            return "NetworkPolicy";
        case PolicyKind::global_network_policy:
            return "GlobalNetworkPolicy";
        case PolicyKind::kubernetes_network_policy:
            return "KubernetesNetworkPolicy";
        case PolicyKind::admin_network_policy:
            return "AdminNetworkPolicy";
        case PolicyKind::baseline_admin_network_policy:
            return "BaselineAdminNetworkPolicy";
        case PolicyKind::cluster_network_policy:
            return "KubernetesClusterNetworkPolicy";
    }
    std::unreachable();
}

std::string PolicyId::to_string() const { return std::string(felix::to_string(kind)) + "/" + ns + "/" + name; }

std::string PolicyId::order_text() const { return name + "/" + ns + "/" + std::string(felix::to_string(kind)); }

}  // namespace manul::felix
