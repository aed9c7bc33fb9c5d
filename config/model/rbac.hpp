#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model/kubernetes.hpp"
#include "config/model/resource.hpp"

/// Who may do what through the API server (rbac.authorization.k8s.io/v1).
namespace manul::model {

/// Allows the verbs on the resources; "*" stands for all.
struct PolicyRule {
    std::vector<std::string> verbs;
    std::vector<std::string> api_groups;      ///< "" is the core group
    std::vector<std::string> resources;       ///< plurals, with "/<subresource>" where one is meant
    std::vector<std::string> resource_names;  ///< empty: all objects
    std::vector<std::string> non_resource_urls;

    bool operator==(const PolicyRule&) const = default;
};

struct AggregationRule {
    std::vector<LabelSelector> cluster_role_selectors;

    bool operator==(const AggregationRule&) const = default;
};

enum class RbacSubjectKind : std::uint8_t { user, group, service_account };
enum class RoleRefKind : std::uint8_t { role, cluster_role };

struct RbacSubject {
    RbacSubjectKind kind = RbacSubjectKind::user;
    std::string api_group;
    std::string name;
    std::string ns;  ///< of a service account

    bool operator==(const RbacSubject&) const = default;
};

struct RoleRef {
    std::string api_group;
    RoleRefKind kind = RoleRefKind::role;
    std::string name;

    bool operator==(const RoleRef&) const = default;
};

struct Role final : ResourceOf<Kind::role> {
    std::vector<PolicyRule> rules;
};

struct ClusterRole final : ResourceOf<Kind::cluster_role> {
    std::vector<PolicyRule> rules;
    std::optional<AggregationRule> aggregation_rule;
};

struct RoleBinding final : ResourceOf<Kind::role_binding> {
    std::vector<RbacSubject> subjects;
    RoleRef role_ref;
};

struct ClusterRoleBinding final : ResourceOf<Kind::cluster_role_binding> {
    std::vector<RbacSubject> subjects;
    RoleRef role_ref;
};

}  // namespace manul::model
