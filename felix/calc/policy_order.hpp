#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/model/tier.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"

namespace manul::felix {

/// Where a policy stands.
struct PolicyPlace {
    PolicyId id;
    std::string order_text;  ///< id.order_text(), made once
    std::string tier;
    std::optional<double> order;
    bool ingress = false;  ///< takes part in this direction
    bool egress = false;
    // Classes of host endpoint policy; workloads have none with the first two.
    bool do_not_track = false;
    bool pre_dnat = false;
    bool apply_on_forward = false;

    [[nodiscard]] bool applies_to_workloads() const noexcept { return !do_not_track && !pre_dnat; }
    [[nodiscard]] bool applies_at(HostStage stage) const noexcept;

    bool operator==(const PolicyPlace&) const = default;
};

/// Tiers, and the order of evaluation that they and the policies' own orders make.
///
/// Tiers: ascending order, none is last, ties by name; a tier that does not exist comes after all that do and denies at
/// its end. Policies of a tier: ascending order, none is last, ties by the bytes of `name/namespace/kind`.
class PolicyOrder {
public:
    /// With the tiers that exist in every store; their order and default action never change.
    PolicyOrder();

    /// Whether something that the evaluation depends on changed.
    bool put_tier(const std::string& name, const model::TierSpec& spec);
    bool remove_tier(const std::string& name);
    [[nodiscard]] std::optional<DenyAction> deny_action(const std::string& tier) const;

    /// The lists of a workload to which exactly these policies apply. Equal lists come out as the same object as long
    /// as somebody holds it.
    [[nodiscard]] EndpointLists lists(std::span<const PolicyPlace* const> policies);
    /// The same of a host endpoint, by stage. Tiers do not end untracked and preDNAT policy: what none of their rules
    /// matches goes on.
    [[nodiscard]] std::array<HostEndpoint::Lists, 4> host_lists(std::span<const PolicyPlace* const> policies);

private:
    struct Tier {
        std::optional<double> order;
        TierEnd end = TierEnd::deny;
        std::optional<DenyAction> deny_action;

        bool operator==(const Tier&) const = default;
    };

    bool set(const std::string& name, const std::optional<Tier>& tier);
    [[nodiscard]] const Tier* find(const std::string& name) const;
    struct TierRank {
        bool missing = false;
        double order = 0;
        std::string_view name;

        auto operator<=>(const TierRank&) const = default;
    };
    [[nodiscard]] TierRank rank(std::string_view name) const;
    [[nodiscard]] std::vector<const PolicyPlace*> sorted(std::span<const PolicyPlace* const> policies) const;
    [[nodiscard]] std::vector<TierPolicies> one_direction(std::span<const PolicyPlace* const> sorted,
                                                          Direction direction) const;
    PolicyLists intern(std::vector<TierPolicies> lists);

    std::map<std::string, Tier, std::less<>> tiers_;
    std::unordered_multimap<std::size_t, std::weak_ptr<const std::vector<TierPolicies>>> interned_;
};

}  // namespace manul::felix
