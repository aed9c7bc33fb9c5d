#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace manul::model {

/// Every kind that the store can hold. Numbers are process-local: stored objects name their kind in text.
enum class Kind : std::uint8_t {
    ip_pool,
    ip_reservation,
    block_affinity,
    ipam_block,
    ipam_handle,
    ipam_configuration,
    node,
    bgp_configuration,
    bgp_peer,
    network_policy,
    global_network_policy,
    tier,
    network_set,
    global_network_set,
    profile,
    workload_endpoint,
    host_endpoint,
    felix_configuration,
    cluster_information,
    node_report,
    kubernetes_network_policy,
    namespace_,
    service_account,
    pod,
    bgp_filter,
    staged_network_policy,
    staged_global_network_policy,
    staged_kubernetes_network_policy,
    calico_node_status,
    kube_controllers_configuration,
    admin_network_policy,
    baseline_admin_network_policy,
    cluster_network_policy,
    service,
    secret,
    endpoint_slice,
    lease,
    role,
    cluster_role,
    role_binding,
    cluster_role_binding,
};

inline constexpr std::size_t kKindCount = static_cast<std::size_t>(Kind::cluster_role_binding) + 1;

/// Names of a kind. `group` is empty for core `v1`.
struct KindInfo {
    Kind kind;
    std::string_view name;         ///< "IPPool"
    std::string_view group;        ///< "projectcalico.org"
    std::string_view version;      ///< "v3"
    std::string_view plural;       ///< "ippools"
    std::string_view singular;     ///< "ippool"
    std::string_view short_names;  ///< comma-separated further names that manulctl accepts
    bool namespaced;
};

[[nodiscard]] std::span<const KindInfo> all_kinds() noexcept;
[[nodiscard]] const KindInfo& info(Kind kind) noexcept;
/// By apiVersion ("projectcalico.org/v3", "v1") and kind name ("IPPool").
[[nodiscard]] std::optional<Kind> find_kind(std::string_view api_version, std::string_view name) noexcept;
/// By what a person types: name, singular, plural, short name, `plural.group`; letter case is ignored.
[[nodiscard]] std::optional<Kind> find_kind_by_alias(std::string_view text) noexcept;
/// "projectcalico.org/v3" or "v1".
[[nodiscard]] std::string api_version(Kind kind);

/// Identity of one object. `ns` is empty for global kinds.
struct Key {
    Kind kind;
    std::string ns;
    std::string name;

    auto operator<=>(const Key&) const = default;

    /// "NetworkPolicy(production/allow-api)" or "Tier(default)", as error texts name it.
    [[nodiscard]] std::string to_string() const;
};

}  // namespace manul::model

template <>
struct std::hash<manul::model::Key> {
    std::size_t operator()(const manul::model::Key& key) const noexcept {
        const std::size_t ns = std::hash<std::string>{}(key.ns);
        const std::size_t name = std::hash<std::string>{}(key.name);
        return (ns * 31 + name) * 31 + static_cast<std::size_t>(key.kind);
    }
};
