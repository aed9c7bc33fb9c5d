#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/model/tier.hpp"
#include "felix/calc/interned.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/shared.hpp"

namespace manul::felix {

/// Where a policy stands.
struct PolicyPlace {
    // First what is looked at whenever lists are made: it shares a line of the cache.
    std::uint64_t rank = 0;    ///< ascending in the order of evaluation; given by PolicyOrder
    std::uint64_t number = 0;  ///< of no other place, ever; given by PolicyOrder
    bool ingress = false;      ///< takes part in this direction
    bool egress = false;
    // Classes of host endpoint policy; workloads have none with the first two.
    bool do_not_track = false;
    bool pre_dnat = false;
    bool apply_on_forward = false;
    std::string tier;
    PolicyId id;
    std::string order_text;  ///< id.order_text(), made once
    std::optional<double> order;

    [[nodiscard]] bool applies_to_workloads() const noexcept { return !do_not_track && !pre_dnat; }
    [[nodiscard]] bool applies_at(HostStage stage) const noexcept;
    [[nodiscard]] bool applies(Direction direction) const noexcept {
        return direction == Direction::ingress ? ingress : egress;
    }

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
    PolicyOrder(const PolicyOrder&) = delete;
    PolicyOrder& operator=(const PolicyOrder&) = delete;
    ~PolicyOrder() = default;

    /// Puts the policy into the order. The object stays where it is, and as it is but for its rank, until it leaves.
    void enter(PolicyPlace& place);
    void leave(PolicyPlace& place);

    /// Whether something that the evaluation depends on changed.
    bool put_tier(const std::string& name, const model::TierSpec& spec);
    bool remove_tier(const std::string& name);
    [[nodiscard]] std::optional<DenyAction> deny_action(const std::string& tier) const;

    /// The lists of a workload to which exactly these policies apply; all have been entered. Equal lists come out as
    /// the same object as long as somebody holds it.
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
    [[nodiscard]] bool comes_before(const PolicyPlace& a, const PolicyPlace& b) const;
    struct Earlier {
        const PolicyOrder* order;
        bool operator()(const PolicyPlace* a, const PolicyPlace* b) const { return order->comes_before(*a, *b); }
    };
    void number_anew();

    using Places = std::span<const PolicyPlace* const>;
    using Lists = std::vector<Shared<TierPolicies>>;
    [[nodiscard]] static std::vector<const PolicyPlace*> sorted(Places policies);
    [[nodiscard]] Lists one_direction(Places sorted, Direction direction, std::optional<TierEnd> end = std::nullopt);
    [[nodiscard]] Shared<TierPolicies> one_tier(Places policies);
    [[nodiscard]] TierPolicies make_tier(Places policies) const;

    [[nodiscard]] Shared<TierPolicies> intern(TierPolicies tier);
    [[nodiscard]] PolicyLists intern(Lists lists);

    std::map<std::string, Tier, std::less<>> tiers_;
    std::set<PolicyPlace*, Earlier> order_{Earlier{this}};
    std::uint64_t last_number_ = 0;
    Interned<TierPolicies> interned_tiers_;
    Interned<Lists> interned_lists_;
    /// The same tiers by the numbers of their policies: strings need not be looked at.
    struct NumbersHash {
        std::size_t operator()(const std::vector<std::uint64_t>& numbers) const {  // not noexcept: tables keep it
            std::size_t hash = numbers.size();
            for (const std::uint64_t number : numbers) {
                hash = (hash ^ number) * 0x9e3779b97f4a7c15ULL;
            }
            return hash;
        }
    };
    std::unordered_map<std::vector<std::uint64_t>, std::weak_ptr<const TierPolicies>, NumbersHash> tiers_by_numbers_;
    std::size_t swept_at_ = 1024;
};

}  // namespace manul::felix
