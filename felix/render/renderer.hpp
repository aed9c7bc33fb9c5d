#pragma once

#include <array>
#include <cstdint>
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
#include "felix/model/update.hpp"
#include "felix/render/dispatch.hpp"
#include "felix/render/dscp.hpp"
#include "felix/render/groups.hpp"
#include "felix/render/host.hpp"
#include "felix/render/limits.hpp"
#include "felix/render/rule.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/sets.hpp"

/// From what a node must enforce to nftables objects.
///
/// In: batches of felix/calc. Out: changed objects only, and the link group that each touched interface belongs to.
///
/// Endpoints that have equal lists of policies and profiles in a direction share a class chain; class chains share tier
/// chains (one for each distinct list of policies of a tier), tier chains share policy chains (a policy with a Pass
/// rule has its rules in the tier chain itself, since its `return` must leave the tier). A pair of egress and ingress
/// class has a link group; an interface comes into its classes by being put into the group, so that a pod joins,
/// leaves or changes classes without a rule being touched. A list that all its endpoints leave for the same new one, as
/// when a policy is added that selects them all, is edited in place under its name; so is a class, as when a policy
/// comes to all endpoints of a namespace: no group changes.
///
/// Invariants: the result depends only on the state that the batches add up to, not on their order or grouping (numbers
/// of groups and names of tier and class chains excepted); a batch costs time in proportion to what it changes.
namespace manul::felix::render {

/// An interface and the group that it must be in; no group when no endpoint has the interface any more.
struct LinkGroup {
    std::string interface;
    std::optional<std::uint32_t> group;
    bool operator==(const LinkGroup&) const = default;
};

struct Output {
    std::vector<Change> changes;
    std::vector<LinkGroup> links;
};

/// What stands behind a rule id, for logs and counters: a rule of a resource, or the end of a tier.
struct RuleOrigin {
    std::string owner;  ///< "GlobalNetworkPolicy//name" or "Profile//name"; empty: the end of `tier`
    std::string tier;   ///< empty for profiles
    Direction direction = Direction::ingress;
    std::size_t index = 0;
    felix::Action action = felix::Action::deny;
};

class Renderer {
public:
    explicit Renderer(DispatchLimits limits = {}) : limits_(limits) {}

    /// A group that an earlier run gave to a pair of class chains. Before the first batch.
    void reserve_group(const Groups::Pair& pair, std::uint32_t group) { groups_.reserve(pair, group); }

    /// The first call gives the skeleton too.
    [[nodiscard]] Output apply(const Batch& batch);
    /// The links named by all earlier outputs are in their groups.
    void settle() { groups_.settle(); }

    /// The group that the interface's endpoint has; nothing when no endpoint has that interface.
    [[nodiscard]] std::optional<std::uint32_t> group_of(const std::string& interface) const;
    /// What stands behind each id, of every rule that the calculation gave, rendered or not.
    [[nodiscard]] std::unordered_map<std::uint64_t, RuleOrigin> origins() const;
    /// The policies of the tier that the endpoint on this interface has, in their order.
    [[nodiscard]] std::vector<PolicyId> policies_of(const std::string& interface, const std::string& tier,
                                                    Direction direction) const;
    /// Policies that apply to an endpoint of this node.
    [[nodiscard]] std::size_t policy_count() const noexcept { return policies_.size(); }
    [[nodiscard]] const Config& config() const noexcept { return *config_; }

private:
    // Tiers, classes and users are kept for each direction.
    template <class T>
    using PerDirection = std::array<T, 2>;

    struct TierState;
    using TierNode = std::pair<const std::string, TierState>;  ///< by the name of its chain; stays where it is
    struct PolicyState {
        std::optional<Shared<Policy>> policy;
        PerDirection<FlatSet<TierNode*>> users;  ///< that list it
        PerDirection<bool> inlined{};
        PerDirection<std::array<std::vector<RulePtr>, 2>> rules;  ///< by family, when they are inlined
        std::string chain;                                        ///< its name
        RulePtr jump;                                             ///< to the chain
        /// Of the rules in its chain, by family; null: it has none.
        PerDirection<std::array<std::shared_ptr<const Reach>, 2>> reach;
    };
    struct ProfileState {
        std::optional<Shared<Profile>> profile;
        PerDirection<std::set<std::string>> users;  ///< class chains that list it
    };
    struct TierHash {
        std::size_t operator()(const Shared<TierPolicies>& tier) const;  // not noexcept: tables keep what it gives
    };
    /// A policy that went out of a list, or is another now, as it was.
    struct GonePolicy {
        bool inlined = false;
        std::string chain;
        std::array<std::shared_ptr<const Reach>, 2> reach;
    };
    struct TierState {
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
    struct ClassState {
        PolicyLists lists;
        std::vector<TierNode*> tiers;  ///< of `lists`
        std::vector<std::string> profiles;
        std::string identity;       ///< of both
        std::size_t users = 0;      ///< pairs
        std::size_t endpoints = 0;  ///< of those pairs
    };
    /// Where classes with these lists and profiles are found: no copy of either, so others may be found there too.
    struct ListKey {
        ListKey(const PolicyLists& of_lists, const std::vector<std::string>& of_profiles);
        bool operator==(const ListKey&) const = default;

        const void* lists;
        std::size_t profiles;  ///< hash
    };
    struct ListKeyHash {
        std::size_t operator()(const ListKey& key) const noexcept {
            return std::hash<const void*>{}(key.lists) * 31 + key.profiles;
        }
    };
    /// Endpoints that go from one list of policies to another, or away, in a batch.
    struct ListMove {
        const std::vector<Shared<TierPolicies>>* before = nullptr;
        const std::vector<TierNode*>* tiers = nullptr;           ///< of `before`
        const std::vector<Shared<TierPolicies>>* now = nullptr;  ///< null: away
        std::size_t endpoints = 0;
    };
    struct EndpointState {
        Shared<Endpoint> endpoint;
        Groups::Pair classes;
    };
    /// What a long list needs besides its chain.
    struct ListParts {
        std::set<std::string> chains;
        std::map<std::string, std::vector<Element>> maps;
        std::size_t direct = 0;  ///< as in Dispatched
    };

    void start();
    void update(const ConfigChanged& u);
    void update(const PoolsChanged& u);
    void update(const TunnelsChanged& u);
    void update(const SetAdded& u);
    void update(const SetMembersChanged& u);
    void update(const SetRemoved& u);
    void update(const PolicyUpdated& u);
    void update(const PolicyRemoved& u);
    void update(const ProfileUpdated& u);
    void update(const ProfileRemoved& u);
    void update(const ListsReplaced& u);
    void update(const EndpointUpdated& u);
    void update(const EndpointRemoved& u);
    void update(const HostEndpointUpdated& u);
    void update(const HostEndpointRemoved& u);
    void update(const RouteUpdated& /*u*/) {}
    void update(const RouteRemoved& /*u*/) {}
    void update(const TunnelDeviceUpdated& /*u*/) {}
    void update(const TunnelDeviceRemoved& /*u*/) {}
    void update(const ClusterRouteUpdated& /*u*/) {}
    void update(const ClusterRouteRemoved& /*u*/) {}
    void update(const InSync& /*u*/) {}

    // Sharing.
    [[nodiscard]] std::vector<std::string> classes_of(const ListsReplaced& replaced) const;
    void replace_lists(Direction direction, const std::string& chain, const PolicyLists& now);
    void set_lists(Direction direction, const std::string& chain, const PolicyLists& now);
    /// The class is no longer found by its list.
    void forget_list(Direction direction, const std::string& chain, const ClassState& state);
    void leave_tier(Direction direction, TierNode& tier);
    void touch_tier(Direction direction, TierNode& tier);
    void touch_tier(Direction direction, TierNode& tier, const PolicyState& policy, const GonePolicy& before);
    [[nodiscard]] TierNode* tier_of(Direction direction, const Shared<TierPolicies>& tier);
    [[nodiscard]] TierNode* make_tier(Direction direction, const Shared<TierPolicies>& tier);
    [[nodiscard]] std::vector<ListMove> list_moves(const Batch& batch, Direction direction);
    void follow_lists(const Batch& batch, Direction direction);
    void edit_tier(Direction direction, TierNode& tier, const Shared<TierPolicies>& now);
    [[nodiscard]] const std::vector<TierNode*>& tiers_of(Direction direction, const PolicyLists& lists);
    [[nodiscard]] static std::vector<std::string> chains_of(const std::vector<TierNode*>& tiers);
    void count_endpoint(const Groups::Pair& classes, bool added);
    [[nodiscard]] std::string acquire_class(Direction direction, const Endpoint& endpoint);
    void acquire_pair(const Groups::Pair& pair);
    void release_pair(const Groups::Pair& pair);
    void drop_class(Direction direction, const std::string& chain);
    void drop_tier(Direction direction, const std::string& chain);
    void drop_unused();

    // Rendering of what is dirty.
    void follow_families();
    void mark_users_of(const SetId& id);
    void render_dirty();
    void render_policy(Direction direction, const PolicyId& id);
    void render_profile(Direction direction, const std::string& profile);
    void render_tier(Direction direction, TierNode& tier);
    void render_tier(Direction direction, const TierNode& tier, net::Family family);
    [[nodiscard]] bool edit_list(Direction direction, const TierNode& tier, const TableKey& table);
    void render_class(Direction direction, const std::string& chain);
    void change_ranges(const TableKey& table, std::string_view set, const std::vector<Element>& before,
                       const std::vector<Element>& now);
    [[nodiscard]] bool stands_alone(Direction direction, const PolicyState& state) const;
    [[nodiscard]] bool is_short(const TierPolicies& tier) const;
    void render_skeleton();
    void leave_own_traffic(net::Family family);
    void render_spoofing();
    void render_nat();
    void render_host();
    [[nodiscard]] std::vector<Rule> rules_of(const std::vector<felix::Rule>& rules, net::Family family,
                                             Direction direction) const;
    [[nodiscard]] Dispatched tier_list(const TierNode& tier, net::Family family, Direction direction);
    [[nodiscard]] bool can_reject(Direction direction) const;
    [[nodiscard]] DenyAction denial(Direction direction, std::optional<DenyAction> own) const;
    [[nodiscard]] const std::vector<RulePtr>& tier_end(const TierPolicies& tier, net::Family family,
                                                       Direction direction);
    [[nodiscard]] std::vector<RulePtr> class_rules(const ClassState& state, net::Family family, Direction direction);
    /// The chain, null when there is none.
    [[nodiscard]] ChainPtr chain_of(const TableKey& table, const std::string& name) const;
    void use_sets(const TableKey& table, const Rule& rule, bool used);

    void put_chain(const TableKey& table, const std::string& name, const ChainPtr& chain);
    void remove_chain(const TableKey& table, const std::string& name);
    void put_or_remove(const TableKey& table, const std::string& name, std::vector<RulePtr> rules);
    /// The chain `name` with its cells and maps; nothing of it when it has no rules.
    void put_list(const TableKey& table, const std::string& name, Dispatched list);
    /// `before`: what the map held; null: it is new.
    void put_map(const TableKey& table, const std::string& map, const std::vector<Element>* before,
                 const std::vector<Element>& now);

    DispatchLimits limits_;
    bool started_ = false;
    Shared<Config> config_;
    std::vector<IpPoolInfo> pools_;
    Tunnels tunnels_;
    Sets sets_;
    std::array<bool, 2> sets_can_match_{};  ///< by family
    Groups groups_;
    HostChains host_;
    LimitChains limits_of_endpoints_;
    DscpChains dscp_;
    std::unordered_map<PolicyId, PolicyState> policies_;
    std::map<std::string, ProfileState> profiles_;
    PerDirection<std::unordered_map<std::string, TierState>> tiers_;
    PerDirection<std::unordered_map<Shared<TierPolicies>, TierNode*, TierHash>> tiers_by_value_;
    /// Last rules of tier chains, by all that they depend on.
    std::map<std::tuple<Direction, net::Family, std::string, std::optional<DenyAction>>, std::vector<RulePtr>> ends_;
    PerDirection<std::array<std::vector<RulePtr>, 2>> class_ends_;  ///< the same of class chains, by family
    PerDirection<std::unordered_map<std::string, ClassState>> classes_;
    PerDirection<std::unordered_map<std::string, std::string>> class_names_;  ///< chain, by identity
    PerDirection<std::unordered_map<ListKey, std::vector<std::string>, ListKeyHash>> classes_of_list_;  ///< chains
    std::map<EndpointKey, EndpointState> endpoints_;
    std::map<std::string, EndpointKey> interfaces_;
    std::set<EndpointKey> with_translations_;  ///< endpoints that have ports of the node or floating addresses
    std::set<EndpointKey> with_spoofing_;      ///< endpoints that may use foreign source addresses
    std::map<TableKey, std::unordered_map<std::string, ChainPtr>> chains_;
    std::map<TableKey, std::unordered_map<std::string, ListParts>> lists_;

    // Work of the batch at hand.
    std::vector<Change> changes_;
    std::set<std::string> touched_interfaces_;
    // Answers that hold for the batch: endpoints share their lists.
    PerDirection<std::unordered_map<const void*, TierNode*>> tier_of_value_;
    PerDirection<std::unordered_map<const void*, std::vector<TierNode*>>> tiers_of_list_;
    PerDirection<std::map<std::pair<const void*, std::vector<std::string>>, std::string>> class_of_list_;
    PerDirection<std::set<PolicyId>> dirty_policies_;
    PerDirection<std::set<std::string>> dirty_profiles_;
    PerDirection<std::set<std::string>> dirty_tiers_;
    PerDirection<std::vector<TierNode*>> edited_tiers_;  ///< in which policies came, went or changed, and nothing else
    PerDirection<std::set<std::string>> dirty_classes_;
    PerDirection<std::set<std::string>> idle_classes_;
    PerDirection<std::set<std::string>> idle_tiers_;
    bool nat_dirty_ = false;
    bool spoofing_dirty_ = false;
    std::set<PolicyId> gone_policies_;
    std::set<std::string> gone_profiles_;
    std::vector<SetId> gone_sets_;
};

}  // namespace manul::felix::render
