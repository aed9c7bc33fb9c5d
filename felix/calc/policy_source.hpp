#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/model/kind.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/selector.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix {

/// A policy of any kind, in the terms that all share.
struct PolicySource {
    PolicyId id;
    std::shared_ptr<const model::PolicySpec> spec;  ///< lives with the resource, or was converted from it
    std::string namespace_selector;                 ///< of policies without a namespace
    bool do_not_track = false;
    bool pre_dnat = false;
    bool apply_on_forward = false;
    std::vector<std::string> notes;  ///< what could not be converted

    /// Untracked and pre-DNAT policies are for host endpoints alone.
    [[nodiscard]] bool applies_to_workloads() const noexcept { return !do_not_track && !pre_dnat; }
    [[nodiscard]] bool needed_everywhere() const noexcept;
};

/// Nothing when the resource is not a policy.
[[nodiscard]] std::optional<PolicySource> policy_source(const model::ResourcePtr& resource);
[[nodiscard]] std::optional<PolicyKind> policy_kind(model::Kind kind) noexcept;
[[nodiscard]] model::Kind resource_kind(PolicyKind kind) noexcept;
[[nodiscard]] PolicyId policy_id(const model::Key& key, PolicyKind kind);

/// Which endpoints the policy covers: its selector, narrowed to its namespace, namespaceSelector and
/// serviceAccountSelector, and to host endpoints where the policy is for them alone.
[[nodiscard]] Result<model::Selector> endpoint_selector(const PolicySource& source);

/// A selector of the policy language; `where` names the field in the error.
[[nodiscard]] Result<model::Selector> parse_selector(const std::string& text, const std::string& where);

/// A selector over namespaces or service accounts as one over endpoints: every key gets the prefix of inherited labels;
/// all() asks for an endpoint that has a namespace (a service account) at all.
[[nodiscard]] model::Selector over_namespaces(const model::Selector& selector);
[[nodiscard]] model::Selector over_service_accounts(const model::Selector& selector);

}  // namespace manul::felix
