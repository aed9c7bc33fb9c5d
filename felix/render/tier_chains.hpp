#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/flat_table.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/shared.hpp"
#include "felix/render/by_family.hpp"
#include "felix/render/dispatch.hpp"
#include "felix/render/inputs.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/ruleset_writer.hpp"
#include "net/ip.hpp"

namespace manul::felix::render {

/// Tier chains of one direction (one for each distinct list of policies of a tier, shared by the class chains that call
/// it) and the policy chains below them. Rules of a policy stand in the tier chain itself when one of them is Pass,
/// since its `return` must leave the tier, and when they are few and a short list is the only one with the policy.
///
/// A list that all its endpoints leave for the same new one, as when a policy is added that selects them all, is edited
/// in place under its name. In a long list that costs time in proportion to what changed in it.
///
/// A tier chain lives while class chains retain it, a policy chain while tier chains list the policy.
class TierChains {
    struct State;

public:
    /// A tier chain, by its name: stays where it is as long as it lives.
    using Node = std::pair<const std::string, State>;

    /// `inputs` and `writer` outlive this.
    TierChains(Direction direction, const DispatchLimits& limits, const Inputs& inputs, RulesetWriter& writer)
        : direction_(direction), limits_(limits), inputs_(inputs), writer_(writer) {}

    /// The policy's rules, or the kind of a set that they name, changed.
    void touch(const PolicyId& policy);
    void touch_all_policies();
    /// The configuration changed.
    void touch_everything();
    /// The policy is gone.
    void forget(const PolicyId& policy);

    /// Endpoints that go from one list of policies to another, or away.
    struct Move {
        const std::vector<Shared<TierPolicies>>* before = nullptr;
        const std::vector<Node*>* chains = nullptr;              ///< of `before`
        const std::vector<Shared<TierPolicies>>* now = nullptr;  ///< null: away
        std::size_t endpoints = 0;
    };
    /// Edits the lists that all their endpoints leave for the same new one. With all moves of a batch, before its
    /// updates.
    void follow(const std::vector<Move>& moves);

    /// The chain for such a list, made when it is new. It goes in drop_unused() when nobody has retained it.
    [[nodiscard]] Node* chain_for(const Shared<TierPolicies>& list);
    [[nodiscard]] static const RulePtr& jump_to(const Node& chain) noexcept { return chain.second.jump; }
    /// A class chain with so many endpoints calls it, or does so no more.
    void retain(Node& chain, std::size_t endpoints);
    void release(Node& chain, std::size_t endpoints);
    /// A class chain that calls it has an endpoint more, or less.
    static void count_endpoint(Node& chain, bool added) noexcept;
    [[nodiscard]] std::vector<Shared<TierPolicies>> lists() const;

    /// All updates of the batch have been seen: values may be gone whose addresses were remembered.
    void end_updates() { chain_of_value_ = {}; }
    void render_policies();
    /// After the policies.
    void render_tiers();
    void drop_unused();

private:
    /// A policy that some list names, or named.
    struct PolicyState {
        FlatSet<Node*> users;                  ///< that list it
        bool inlined = false;                  ///< its rules stand in the tier chain
        bool has_pass = false;                 ///< as of the rules that were rendered last
        ByFamily<std::vector<RulePtr>> rules;  ///< when they are inlined
        std::string chain;                     ///< its name
        RulePtr jump;                          ///< to the chain
        /// Of the rules in its chain; null: it has none.
        ByFamily<std::shared_ptr<const Reach>> reach;
    };
    /// A policy that went out of a list, or is another now, as it was.
    struct GonePolicy {
        bool inlined = false;
        std::string chain;
        ByFamily<std::shared_ptr<const Reach>> reach;
    };
    struct State {
        Shared<TierPolicies> value;
        std::vector<PolicyState*> policies;  ///< of `value`
        RulePtr jump;                        ///< to the chain
        std::size_t users = 0;               ///< class chains
        std::size_t endpoints = 0;           ///< of those classes
        // Since it was rendered, see edit_list().
        bool whole = false;  ///< more than this has changed
        std::vector<GonePolicy> gone;
        std::vector<const PolicyState*> come;
    };
    struct ValueHash {
        std::size_t operator()(const Shared<TierPolicies>& list) const;  // not noexcept: tables keep what it gives
    };

    [[nodiscard]] Node* make(const Shared<TierPolicies>& list);
    void edit(Node& tier, const Shared<TierPolicies>& now);
    void drop(const std::string& chain);
    void touch_tier(Node& tier);
    void touch_tier(Node& tier, const PolicyState& policy, const GonePolicy& before);
    [[nodiscard]] PolicyState& listed(const PolicyId& id);

    void render_policy(const PolicyId& id);
    [[nodiscard]] bool set_rules(PolicyState& policy, net::Family family, std::vector<RulePtr> rules);
    [[nodiscard]] bool stands_alone(const PolicyState& state, const Policy& policy) const;
    [[nodiscard]] bool is_short(const TierPolicies& list) const { return list.policies.size() <= limits_.entries; }
    void render_tier(Node& tier);
    [[nodiscard]] bool edit_list(const Node& tier, net::Family family);
    void render_list(const Node& tier, net::Family family);
    [[nodiscard]] Dispatched dispatched(const Node& tier, net::Family family);
    [[nodiscard]] const std::vector<RulePtr>& end_of(const TierPolicies& list, net::Family family);

    Direction direction_;
    DispatchLimits limits_;
    const Inputs& inputs_;
    RulesetWriter& writer_;

    std::unordered_map<PolicyId, PolicyState> policies_;
    std::unordered_map<std::string, State> tiers_;
    std::unordered_map<Shared<TierPolicies>, Node*, ValueHash> tiers_by_value_;
    /// Last rules of tier chains, by all that they depend on besides the configuration.
    std::map<std::tuple<net::Family, std::string, std::optional<DenyAction>>, std::vector<RulePtr>> ends_;

    // Work of the batch at hand.
    std::unordered_map<const void*, Node*> chain_of_value_;  ///< endpoints share their lists
    std::set<PolicyId> dirty_policies_;
    std::set<std::string> dirty_tiers_;
    std::vector<Node*> edited_tiers_;  ///< in which policies came, went or changed, and nothing else
    std::set<std::string> idle_tiers_;
};

}  // namespace manul::felix::render
