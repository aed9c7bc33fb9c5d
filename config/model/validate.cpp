#include "config/model/validate.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/ascii.hpp"
#include "config/model/checks.hpp"
#include "config/model/enum_names.hpp"
#include "config/model/finding.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/ipam_block.hpp"
#include "config/model/kind.hpp"
#include "config/model/names.hpp"
#include "config/model/node_report.hpp"
#include "config/model/profile.hpp"
#include "config/model/rbac.hpp"
#include "config/model/resource.hpp"
#include "config/model/secret.hpp"
#include "config/model/selector.hpp"
#include "config/model/selector_node.hpp"
#include "config/model/service.hpp"
#include "config/model/workload_endpoint.hpp"
#include "net/port_range.hpp"

namespace manul::model {

void Checks::selector(const Place& at, std::string_view text) {
    if (text.empty()) {
        return;
    }
    const auto parsed = parse_selector(text);
    if (!parsed) {
        error(at.text(), parsed.error().message);
    } else if (std::ranges::find(*parsed, SelectorNode::Op::global, &SelectorNode::op) != parsed->end()) {
        error(at.text(), "global() can only stand alone, in the namespaceSelector of a rule's source or destination");
    }
}

namespace {

std::string with_key(std::string_view path, const std::string& key) { return std::string(path) + "[\"" + key + "\"]"; }

/// An annotation's key may have upper-case letters in its DNS name, too.
bool is_annotation_key(const std::string& key) {
    if (is_label_key(key)) {
        return true;
    }
    return is_label_key(ascii::lowered(key));
}

}  // namespace

void Checks::labels(std::string_view path, const StringMap& labels) {
    for (const auto& [key, value] : labels) {
        if (!is_label_key(key)) {
            error(with_key(path, key),
                  "expected a label key: at most 63 letters, digits, '-', '_' and '.', after an optional DNS name and "
                  "'/'");
        }
        if (!is_label_value(value)) {
            error(with_key(path, key),
                  "expected a label value: at most 63 letters, digits, '-', '_' and '.', beginning and ending with a "
                  "letter or digit, or nothing");
        }
    }
}

void Checks::annotations(std::string_view path, const StringMap& annotations) {
    constexpr std::size_t kMaxBytes = 262'144;
    std::size_t bytes = 0;
    for (const auto& [key, value] : annotations) {
        bytes += key.size() + value.size();
        if (!is_annotation_key(key)) {
            error(
                with_key(path, key),
                "expected an annotation key: at most 63 letters, digits, '-', '_' and '.', after an optional DNS name "
                "and '/'");
        }
    }
    if (bytes > kMaxBytes) {
        error(std::string(path), "expected at most 262144 bytes of annotations in all, found " + std::to_string(bytes));
    }
}

void Checks::port_protocol(const std::string& path, net::Protocol protocol) {
    if (!protocol.has_ports()) {
        error(path, "expected TCP, UDP or SCTP, found " + protocol.to_string());
    }
}

namespace {

constexpr std::string_view kSubdomainText =
    "expected lower-case letters, digits, '-' and '.', at most 253, each part beginning and ending with a letter or "
    "digit";
constexpr std::string_view kLabelText =
    "expected lower-case letters, digits and '-', at most 63, beginning and ending with a letter or digit";

constexpr std::string_view kRoleRefFixed = "cannot change; delete the binding and make it again";

constexpr std::string_view kOfKubernetes = "knp.default.";

bool is_policy_name(std::string_view name, bool namespaced) {
    // Of the parts only all together are limited.
    return is_dns_subdomain(name) &&
           ((namespaced && (name.starts_with("ossg.default.") || name.starts_with(kOfKubernetes))) ||
            std::ranges::count(name, '.') <= 1);
}

void check_policy_name(Checks& checks, const Resource& resource) {
    const std::string& name = resource.metadata.name;
    for (const std::string_view prefix : {kOfKubernetes, std::string_view("kanp.adminnetworkpolicy."),
                                          std::string_view("kbanp.baselineadminnetworkpolicy.")}) {
        const bool is_staged = resource.kind() == Kind::staged_network_policy && prefix == kOfKubernetes;
        if (name.starts_with(prefix) && !is_staged) {
            checks.error("metadata.name", "names that begin with " + std::string(prefix) +
                                              " are reserved for policies derived from Kubernetes");
            return;
        }
    }
    checks.check(is_policy_name(name, info(resource.kind()).namespaced), "metadata.name",
                 "expected one or two parts joined by '.', each of lower-case letters, digits and '-', at most 253 in "
                 "all");
}

void check_endpoint_name(Checks& checks, const WorkloadEndpoint& endpoint) {
    const std::string expected = workload_endpoint_name(endpoint.spec);
    checks.check(!expected.empty(), "spec", "orchestrator, node, endpoint and the workload's own name must be given");
    checks.check(expected.empty() || expected == endpoint.metadata.name, "metadata.name",
                 "expected \"" + expected + "\", which follows from the spec");
}

void check_name(Checks& checks, const Resource& resource) {
    const std::string& name = resource.metadata.name;
    if (name.empty()) {
        checks.error("metadata.name", "required, but missing");
        return;
    }
    switch (resource.kind()) {
        case Kind::network_policy:
        case Kind::global_network_policy:
        case Kind::staged_network_policy:
        case Kind::staged_global_network_policy:
            return check_policy_name(checks, resource);
        case Kind::staged_kubernetes_network_policy:
            return checks.check(name.size() <= 253 && name.find('/') == std::string::npos, "metadata.name",
                                "expected at most 253 characters without '/'");
        case Kind::role:
        case Kind::cluster_role:
        case Kind::role_binding:
        case Kind::cluster_role_binding:  // "system:node" is a name there
            return checks.check(name != "." && name != ".." && name.find_first_of("/%") == std::string::npos,
                                "metadata.name", "must contain no '/' and '%', and not be '.' or '..'");
        case Kind::tier:
        case Kind::namespace_:
        case Kind::service:
            return checks.check(is_dns_label(name), "metadata.name", kLabelText);
        case Kind::ipam_configuration:
        case Kind::cluster_information:
        case Kind::kube_controllers_configuration:
        case Kind::baseline_admin_network_policy:
            return checks.check(name == "default", "metadata.name", "there is only one object, called \"default\"");
        case Kind::workload_endpoint:
            return check_endpoint_name(checks, static_cast<const WorkloadEndpoint&>(resource));
        case Kind::ipam_handle:  // container ids may have '_'
            return checks.check(name.size() <= 253 && name.find('/') == std::string::npos, "metadata.name",
                                "expected at most 253 characters without '/'");
        case Kind::node_report: {
            const auto& spec = static_cast<const NodeReport&>(resource).spec;
            const std::string expected = spec.node + "." + std::string(text_of(spec.daemon));
            return checks.check(name == expected, "metadata.name", "expected \"" + expected + "\"");
        }
        default:
            return checks.check(is_dns_subdomain(name), "metadata.name", kSubdomainText);
    }
}

}  // namespace

void check_metadata(Checks& checks, const Resource& resource) {
    const Metadata& metadata = resource.metadata;
    const KindInfo& kind = info(resource.kind());
    check_name(checks, resource);
    if (!kind.namespaced) {
        if (!metadata.ns.empty()) {
            checks.error("metadata.namespace", std::string(kind.name) + " is a global kind, it has no namespace");
        }
    } else if (metadata.ns.empty()) {
        checks.error("metadata.namespace", "required, but missing");
    } else {
        checks.check(is_dns_label(metadata.ns), "metadata.namespace", kLabelText);
    }
    checks.labels("metadata.labels", metadata.labels);
    checks.annotations("metadata.annotations", metadata.annotations);
    const bool is_set = resource.kind() == Kind::network_set || resource.kind() == Kind::global_network_set;
    if (is_set && metadata.labels.contains(kLabelNamespace)) {
        checks.error("metadata.labels",
                     std::string("the label ") + kLabelNamespace + " follows from the namespace and cannot be set");
    }
    checks.check(resource.kind() != Kind::profile || metadata.name != kDefaultAllowProfile, "metadata.name",
                 "this profile is built in");
}

Findings validate(const Resource& resource) {
    Checks checks;
    check_metadata(checks, resource);
    check_policy_kinds(checks, resource);
    check_ipam_kinds(checks, resource);
    check_bgp_kinds(checks, resource);
    check_endpoint_kinds(checks, resource);
    check_felix_configuration(checks, resource);
    check_kubernetes_kinds(checks, resource);
    check_admin_policy_kinds(checks, resource);
    check_bgp_filter(checks, resource);
    check_core_kinds(checks, resource);
    check_cluster_kinds(checks, resource);
    return checks.take();
}

bool has_update_rules(Kind kind) noexcept {
    return kind == Kind::ip_pool || kind == Kind::ipam_block || kind == Kind::role_binding ||
           kind == Kind::cluster_role_binding || kind == Kind::endpoint_slice || kind == Kind::secret;
}

Findings validate_update(const Resource& before, const Resource& after) {
    Checks checks;
    if (const auto* old_pool = as<IpPool>(before)) {
        const auto& old_spec = old_pool->spec;
        const auto& new_spec = static_cast<const IpPool&>(after).spec;
        checks.check(old_spec.cidr == new_spec.cidr, "spec.cidr",
                     "cannot change from " + old_spec.cidr.to_string() + "; make a second pool and move to it");
        checks.check(old_spec.effective_block_size() == new_spec.effective_block_size(), "spec.blockSize",
                     "cannot change from " + std::to_string(old_spec.effective_block_size()) +
                         "; make a second pool and move to it");
        checks.check(old_spec.allows(AllowedUse::load_balancer) == new_spec.allows(AllowedUse::load_balancer),
                     "spec.allowedUses", "a pool cannot change into or out of use for LoadBalancer");
    } else if (const auto* old_block = as<IpamBlock>(before)) {
        checks.check(old_block->spec.cidr == static_cast<const IpamBlock&>(after).spec.cidr, "spec.cidr",
                     "cannot change");
    } else if (const auto* binding = as<RoleBinding>(before)) {
        checks.check(binding->role_ref == static_cast<const RoleBinding&>(after).role_ref, "roleRef", kRoleRefFixed);
    } else if (const auto* cluster_binding = as<ClusterRoleBinding>(before)) {
        checks.check(cluster_binding->role_ref == static_cast<const ClusterRoleBinding&>(after).role_ref, "roleRef",
                     kRoleRefFixed);
    } else if (const auto* slice = as<EndpointSlice>(before)) {
        checks.check(slice->address_type == static_cast<const EndpointSlice&>(after).address_type, "addressType",
                     "cannot change");
    } else if (const auto* secret = as<Secret>(before)) {
        check_secret_update(checks, *secret, static_cast<const Secret&>(after));
    }
    return checks.take();
}

bool policy_scope_is_readable(const Findings& findings) noexcept {
    constexpr auto kScope = std::to_array<std::string_view>(
        {"spec.tier", "spec.order", "spec.selector", "spec.types", "spec.serviceAccountSelector",
         "spec.namespaceSelector", "spec.podSelector", "spec.policyTypes", "spec.doNotTrack", "spec.preDNAT",
         "spec.applyOnForward", "spec.subject", "spec.priority", "spec.stagedAction", "metadata"});
    return std::ranges::none_of(findings, [&](const Finding& finding) {
        const bool whole = finding.path.empty() || finding.path == "spec";
        return finding.severity == Finding::Severity::error &&
               (whole ||
                std::ranges::any_of(kScope, [&](std::string_view scope) { return finding.path.starts_with(scope); }));
    });
}

}  // namespace manul::model
