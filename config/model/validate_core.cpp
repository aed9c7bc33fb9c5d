#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ascii.hpp"
#include "base/base64.hpp"
#include "config/model/checks.hpp"
#include "config/model/names.hpp"
#include "config/model/rbac.hpp"
#include "config/model/resource.hpp"
#include "config/model/secret.hpp"
#include "config/model/service.hpp"
#include "net/ip.hpp"
#include "net/port_range.hpp"

namespace manul::model {

namespace {

constexpr std::string_view kRbacGroup = "rbac.authorization.k8s.io";

bool is_secret_key(std::string_view text) {
    return !text.empty() && text.size() <= 253 && text != "." && text != ".." && std::ranges::all_of(text, [](char c) {
        return ascii::is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
    });
}

void check_secret(Checks& checks, const Secret& secret) {
    for (const StringMap* values : {&secret.data, &secret.string_data}) {
        const std::string list = values == &secret.data ? "data" : "stringData";
        for (const auto& [key, value] : *values) {
            std::string at = list;
            at.append("[\"").append(key).append("\"]");
            checks.check(is_secret_key(key), at, "expected a key of letters, digits, '-', '_' and '.'");
            checks.check(values != &secret.data || base64_decode(value), at,
                         "expected base64; plain text belongs into stringData");
        }
    }
}

void check_service(Checks& checks, const ServiceSpec& spec) {
    std::set<std::string> names;
    for (std::size_t i = 0; i < spec.ports.size(); ++i) {
        const ServicePort& port = spec.ports[i];
        const std::string at = indexed("spec.ports", i);
        checks.port_protocol(at + ".protocol", port.protocol.value_or(net::kTcp));
        checks.check(spec.ports.size() < 2 || !port.name.empty(), at + ".name", "required where there are several");
        checks.check(port.name.empty() || is_dns_label(port.name), at + ".name",
                     "expected lower-case letters, digits and '-', at most 63");
        checks.check(names.insert(port.name).second || port.name.empty(), at + ".name", "is given twice");
    }
    const auto address = [&](const std::string& text, const std::string& path) {
        checks.check(text.empty() || text == kHeadless || net::Ip::parse(text), path,
                     "expected an address, None or nothing");
    };
    address(spec.cluster_ip, "spec.clusterIP");
    for (std::size_t i = 0; i < spec.cluster_ips.size(); ++i) {
        address(spec.cluster_ips[i], indexed("spec.clusterIPs", i));
    }
    checks.labels("spec.selector", spec.selector);
}

void check_slice(Checks& checks, const EndpointSlice& slice) {
    const bool names = slice.address_type == SliceAddressType::fqdn;
    const bool v6 = slice.address_type == SliceAddressType::ipv6;
    for (std::size_t i = 0; i < slice.endpoints.size(); ++i) {
        const std::string at = indexed("endpoints", i) + ".addresses";
        const auto& addresses = slice.endpoints[i].addresses;
        checks.check(!addresses.empty() && addresses.size() <= 100, at, "expected 1 to 100 addresses");
        for (std::size_t k = 0; k < addresses.size(); ++k) {
            const auto ip = net::Ip::parse(addresses[k]);
            checks.check(names ? is_dns_subdomain(addresses[k]) : ip && ip->is_v6() == v6, indexed(at, k),
                         names ? "expected a host name"
                         : v6  ? "expected an IPv6 address"
                               : "expected an IPv4 address");
        }
    }
    for (std::size_t i = 0; i < slice.ports.size(); ++i) {
        checks.port_protocol(indexed("ports", i) + ".protocol", slice.ports[i].protocol.value_or(net::kTcp));
    }
}

void check_roles(Checks& checks, const std::vector<PolicyRule>& rules, bool cluster) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
        const PolicyRule& rule = rules[i];
        const std::string at = indexed("rules", i);
        checks.check(!rule.verbs.empty(), at + ".verbs", "expected at least one verb");
        if (!rule.non_resource_urls.empty()) {
            checks.check(cluster, at + ".nonResourceURLs", "only in a ClusterRole: they belong to no namespace");
            checks.check(rule.api_groups.empty() && rule.resources.empty() && rule.resource_names.empty(), at,
                         "a rule is either about resources or about nonResourceURLs");
            continue;
        }
        checks.check(!rule.api_groups.empty(), at + ".apiGroups", "expected at least one group; \"\" is that of v1");
        checks.check(!rule.resources.empty(), at + ".resources", "expected at least one resource");
    }
}

void check_binding(Checks& checks, const std::vector<RbacSubject>& subjects, const RoleRef& ref, bool cluster) {
    checks.check(ref.api_group.empty() || ref.api_group == kRbacGroup, "roleRef.apiGroup",
                 "expected rbac.authorization.k8s.io");
    checks.check(!cluster || ref.kind == RoleRefKind::cluster_role, "roleRef.kind",
                 "expected ClusterRole: a Role gives rights in its own namespace only");
    checks.check(!ref.name.empty(), "roleRef.name", "required, but empty");
    for (std::size_t i = 0; i < subjects.size(); ++i) {
        const RbacSubject& subject = subjects[i];
        const std::string at = indexed("subjects", i);
        checks.check(!subject.name.empty(), at + ".name", "required, but empty");
        if (subject.kind == RbacSubjectKind::service_account) {
            checks.check(subject.api_group.empty(), at + ".apiGroup", "must be empty for a ServiceAccount");
            // A RoleBinding means those of its own namespace.
            checks.check(!subject.ns.empty() || !cluster, at + ".namespace", "required for a ServiceAccount");
        } else {
            checks.check(subject.api_group.empty() || subject.api_group == kRbacGroup, at + ".apiGroup",
                         "expected rbac.authorization.k8s.io");
            checks.check(subject.ns.empty(), at + ".namespace", "only for a ServiceAccount");
        }
    }
}

}  // namespace

void check_secret_update(Checks& checks, const Secret& before, const Secret& after) {
    constexpr std::string_view kOpaque = "Opaque";  // which nothing means, too
    const auto type = [&](const Secret& secret) {
        return secret.type.empty() ? kOpaque : std::string_view(secret.type);
    };
    checks.check(type(before) == type(after), "type", "cannot change");
    if (before.immutable) {
        checks.check(after.immutable, "immutable", "cannot change");
        checks.check(before.data == after.data, "data", "cannot change: the secret is immutable; make another one");
    }
}

void check_core_kinds(Checks& checks, const Resource& resource) {
    if (const auto* secret = as<Secret>(resource)) {
        check_secret(checks, *secret);
    } else if (const auto* service = as<Service>(resource)) {
        check_service(checks, service->spec);
    } else if (const auto* slice = as<EndpointSlice>(resource)) {
        check_slice(checks, *slice);
    } else if (const auto* role = as<Role>(resource)) {
        check_roles(checks, role->rules, false);
    } else if (const auto* cluster_role = as<ClusterRole>(resource)) {
        check_roles(checks, cluster_role->rules, true);
        if (cluster_role->aggregation_rule) {
            const auto& selectors = cluster_role->aggregation_rule->cluster_role_selectors;
            for (std::size_t i = 0; i < selectors.size(); ++i) {
                check_label_selector(checks, selectors[i], indexed("aggregationRule.clusterRoleSelectors", i));
            }
        }
    } else if (const auto* binding = as<RoleBinding>(resource)) {
        check_binding(checks, binding->subjects, binding->role_ref, false);
    } else if (const auto* cluster_binding = as<ClusterRoleBinding>(resource)) {
        check_binding(checks, cluster_binding->subjects, cluster_binding->role_ref, true);
    }
}

}  // namespace manul::model
