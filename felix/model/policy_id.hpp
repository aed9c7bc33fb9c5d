#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace manul::felix {

/// Seen from the endpoint: ingress is towards it.
enum class Direction : std::uint8_t { ingress, egress };

/// "ingress" or "egress".
[[nodiscard]] std::string_view to_string(Direction direction) noexcept;

enum class PolicyKind : std::uint8_t {
    network_policy,
    global_network_policy,
    kubernetes_network_policy,
    admin_network_policy,
    baseline_admin_network_policy,
    cluster_network_policy,
};

/// The name of the kind, but "KubernetesNetworkPolicy" and "KubernetesClusterNetworkPolicy" where it would not be
/// clear.
[[nodiscard]] std::string_view to_string(PolicyKind kind) noexcept;

/// Identity of a policy; `ns` is empty for global ones.
struct PolicyId {
    PolicyKind kind = PolicyKind::network_policy;
    std::string ns;
    std::string name;

    auto operator<=>(const PolicyId&) const = default;

    /// `kind/namespace/name`.
    [[nodiscard]] std::string to_string() const;
    /// `name/namespace/kind`: policies of equal order in one tier are sorted by the bytes of this text.
    [[nodiscard]] std::string order_text() const;
};

}  // namespace manul::felix

template <>
struct std::hash<manul::felix::PolicyId> {
    // Not noexcept: tables keep the hash then instead of making it again for each neighbour that they pass.
    std::size_t operator()(const manul::felix::PolicyId& id) const {
        const std::size_t ns = std::hash<std::string>{}(id.ns);
        const std::size_t name = std::hash<std::string>{}(id.name);
        return (ns * 31 + name) * 31 + static_cast<std::size_t>(id.kind);
    }
};
