#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "config/model/profile.hpp"
#include "config/model/selector.hpp"
#include "felix/calc/policy_source.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/policy.hpp"
#include "net/port_range.hpp"

/// From rules as people write them to rules as packets meet them: selectors become address sets, names of ports become
/// sets of (address, protocol, port). What a selector of a rule covers depends on the policy that it stands in: in a
/// namespaced policy it means its own namespace unless a namespaceSelector says otherwise.
namespace manul::felix {

/// A set that some rule looks addresses up in.
struct SetSpec {
    SetId id;
    SetKind kind = SetKind::addresses;
    model::Selector selector;               ///< whose addresses (and ports) are members
    std::string port_name;                  ///< of kind ports
    std::optional<net::Protocol> protocol;  ///< of kind ports; absent: every protocol that has ports
    bool of_service = false;                ///< members are the endpoints of a service; the selector names it

    [[nodiscard]] std::string description() const;
};

[[nodiscard]] SetSpec address_set(model::Selector selector);
[[nodiscard]] SetSpec named_port_set(model::Selector selector, std::string port_name,
                                     std::optional<net::Protocol> protocol);

/// The endpoints of a service, with their ports or without.
[[nodiscard]] SetSpec service_set(const std::string& ns, const std::string& name, SetKind kind);

struct ScannedPolicy {
    Policy policy;
    std::vector<SetSpec> sets;       ///< each id once
    std::vector<std::string> notes;  ///< rules that are not enforced as written, and why
};

/// `tier_deny_action` fills in what neither the rule nor the policy says. Fails when a selector does not parse.
[[nodiscard]] Result<ScannedPolicy> scan_policy(const PolicySource& source, std::optional<DenyAction> tier_deny_action);

struct ScannedProfile {
    Profile profile;
    std::vector<SetSpec> sets;
    std::vector<std::string> notes;
};

[[nodiscard]] Result<ScannedProfile> scan_profile(const std::string& name, const model::ProfileSpec& spec);

/// A profile that allows everything, one without rules, and what stands for one that does not exist.
[[nodiscard]] Profile allow_all_profile(const std::string& name);
[[nodiscard]] Profile empty_profile(const std::string& name);
[[nodiscard]] Profile missing_profile(const std::string& name);

}  // namespace manul::felix
