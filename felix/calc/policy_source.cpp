#include "felix/calc/policy_source.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/try.hpp"
#include "config/model/admin_policy.hpp"
#include "config/model/convert_admin_policy.hpp"
#include "config/model/convert_kubernetes.hpp"
#include "config/model/finding.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/kind.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix {

bool PolicySource::needed_everywhere() const noexcept {
    return std::ranges::find(spec->performance_hints, model::PerformanceHint::assume_needed_on_every_node) !=
           spec->performance_hints.end();
}

std::optional<PolicyKind> policy_kind(model::Kind kind) noexcept {
    switch (kind) {
        case model::Kind::network_policy:
            return PolicyKind::network_policy;
        case model::Kind::global_network_policy:
            return PolicyKind::global_network_policy;
        case model::Kind::kubernetes_network_policy:
            return PolicyKind::kubernetes_network_policy;
        case model::Kind::admin_network_policy:
            return PolicyKind::admin_network_policy;
        case model::Kind::baseline_admin_network_policy:
            return PolicyKind::baseline_admin_network_policy;
        case model::Kind::cluster_network_policy:
            return PolicyKind::cluster_network_policy;
        default:
            return std::nullopt;
    }
}

model::Kind resource_kind(PolicyKind kind) noexcept {
    switch (kind) {
        case PolicyKind::network_policy:
            return model::Kind::network_policy;
        case PolicyKind::global_network_policy:
            return model::Kind::global_network_policy;
        case PolicyKind::kubernetes_network_policy:
            return model::Kind::kubernetes_network_policy;
        case PolicyKind::admin_network_policy:
            return model::Kind::admin_network_policy;
        case PolicyKind::baseline_admin_network_policy:
            return model::Kind::baseline_admin_network_policy;
        case PolicyKind::cluster_network_policy:
            return model::Kind::cluster_network_policy;
    }
    std::unreachable();
}

PolicyId policy_id(const model::Key& key, PolicyKind kind) { return PolicyId{kind, key.ns, key.name}; }

namespace {

void note_dropped(PolicySource& source, const model::Findings& dropped) {
    for (const model::Finding& finding : dropped) {
        source.notes.push_back(finding.to_string());
    }
}

/// Of a cluster-wide policy of Kubernetes. One whose subject cannot be read selects nothing.
void take_converted(PolicySource& source, model::ConvertedGlobalPolicy converted) {
    note_dropped(source, converted.dropped);
    if (converted.spec) {
        source.namespace_selector = converted.spec->namespace_selector;
        source.spec = std::make_shared<const model::PolicySpec>(std::move(*converted.spec));
    } else {
        model::PolicySpec nothing;
        nothing.selector = "!all()";
        source.spec = std::make_shared<const model::PolicySpec>(std::move(nothing));
    }
}

}  // namespace

std::optional<PolicySource> policy_source(const model::ResourcePtr& resource) {
    const auto kind = policy_kind(resource->kind());
    if (!kind) {
        return std::nullopt;
    }
    PolicySource source;
    source.id = policy_id(resource->key(), *kind);
    if (const auto* namespaced = model::as<model::NetworkPolicy>(*resource)) {
        source.spec = {resource, &namespaced->spec};
    } else if (const auto* global = model::as<model::GlobalNetworkPolicy>(*resource)) {
        source.spec = {resource, &global->spec};
        source.namespace_selector = global->spec.namespace_selector;
        source.do_not_track = global->spec.do_not_track;
        source.pre_dnat = global->spec.pre_dnat;
        source.apply_on_forward = global->spec.apply_on_forward;
    } else if (const auto* kubernetes = model::as<model::KubernetesNetworkPolicy>(*resource)) {
        model::ConvertedPolicy converted = model::convert(*kubernetes);
        source.spec = std::make_shared<const model::PolicySpec>(std::move(converted.spec));
        note_dropped(source, converted.dropped);
    } else if (const auto* admin = model::as<model::AdminNetworkPolicy>(*resource)) {
        take_converted(source, model::convert(*admin));
    } else if (const auto* baseline = model::as<model::BaselineAdminNetworkPolicy>(*resource)) {
        take_converted(source, model::convert(*baseline));
    } else if (const auto* cluster = model::as<model::ClusterNetworkPolicy>(*resource)) {
        take_converted(source, model::convert(*cluster));
    }
    return source;
}

Result<model::Selector> parse_selector(const std::string& text, const std::string& where) {
    auto parsed = model::Selector::parse(text);
    if (!parsed) {
        return fail(where + ": " + parsed.error().message);
    }
    return *std::move(parsed);
}

model::Selector over_namespaces(const model::Selector& selector) {
    return selector.with_key_prefix(model::kNamespaceLabelPrefix).with_all_as_has(model::kLabelNamespace);
}

model::Selector over_service_accounts(const model::Selector& selector) {
    return selector.with_key_prefix(model::kServiceAccountLabelPrefix).with_all_as_has(model::kLabelServiceAccount);
}

Result<model::Selector> endpoint_selector(const PolicySource& source) {
    std::vector<model::Selector> parts;
    MANUL_TRY(model::Selector own, parse_selector(source.spec->selector, "spec.selector"));
    parts.push_back(std::move(own));
    if (!source.id.ns.empty()) {
        parts.push_back(model::Selector::equals(model::kLabelNamespace, source.id.ns));
    } else if (!source.namespace_selector.empty()) {
        MANUL_TRY(const model::Selector namespaces,
                  parse_selector(source.namespace_selector, "spec.namespaceSelector"));
        parts.push_back(over_namespaces(namespaces));
    }
    if (!source.spec->service_account_selector.empty()) {
        MANUL_TRY(const model::Selector accounts,
                  parse_selector(source.spec->service_account_selector, "spec.serviceAccountSelector"));
        parts.push_back(over_service_accounts(accounts));
    }
    if (!source.applies_to_workloads()) {
        parts.push_back(model::Selector::negate(model::Selector::has(model::kLabelNamespace)));
    }
    return model::Selector::conjunction(parts);
}

}  // namespace manul::felix
