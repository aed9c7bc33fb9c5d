#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/shared.hpp"
#include "felix/model/update.hpp"
#include "felix/render/class_chains.hpp"
#include "felix/render/dispatch.hpp"
#include "felix/render/dscp.hpp"
#include "felix/render/groups.hpp"
#include "felix/render/host.hpp"
#include "felix/render/inputs.hpp"
#include "felix/render/limits.hpp"
#include "felix/render/nat.hpp"
#include "felix/render/raw.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/ruleset_writer.hpp"

/// From what a node must enforce to nftables objects.
///
/// In: batches of felix/calc. Out: changed objects only, and the link group that each touched interface belongs to.
///
///   Batch --> Renderer --> Inputs                     what chains are made of
///                |           |
///                |           v
///                +--> ClassChains --> TierChains      policy of workloads, one of these for each direction
///                +--> HostChains                      policy of host endpoints and of the node
///                +--> RawChains, NatChains, LimitChains, DscpChains
///                |           |
///                |           v
///                |    RulesetWriter --> changes       what differs from what was given out before
///                v
///             Groups --> link groups
///
/// A pair of egress and ingress class has a link group; an interface comes into its classes by being put into the
/// group, so that a pod joins, leaves or changes classes without a rule being touched.
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
    explicit Renderer(DispatchLimits limits = {});
    Renderer(const Renderer&) = delete;
    Renderer& operator=(const Renderer&) = delete;

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
    [[nodiscard]] std::size_t policy_count() const noexcept { return inputs_.policies.size(); }
    [[nodiscard]] const Config& config() const noexcept { return *inputs_.config; }

private:
    struct EndpointState {
        Shared<Endpoint> endpoint;
        Groups::Pair classes;
    };

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
    // Routes and devices are none of nftables' business.
    void update(const RouteUpdated& /*u*/) {}
    void update(const RouteRemoved& /*u*/) {}
    void update(const TunnelDeviceUpdated& /*u*/) {}
    void update(const TunnelDeviceRemoved& /*u*/) {}
    void update(const ClusterRouteUpdated& /*u*/) {}
    void update(const ClusterRouteRemoved& /*u*/) {}
    void update(const InSync& /*u*/) {}

    void start();
    void follow_lists(const Batch& batch);
    void follow_families();
    void render_skeleton();
    void leave_own_traffic(net::Family family);
    void render();
    void drop_unused();

    [[nodiscard]] ClassChains& chains(Direction direction) noexcept {
        return direction == Direction::egress ? egress_ : ingress_;
    }
    [[nodiscard]] const ClassChains& chains(Direction direction) const noexcept {
        return direction == Direction::egress ? egress_ : ingress_;
    }
    void touch_users_of(const SetId& id);
    void count_endpoint(const Groups::Pair& classes, bool added);
    void acquire_pair(const Groups::Pair& pair);
    void release_pair(const Groups::Pair& pair);
    void leave_interface(const EndpointState& endpoint);

    bool started_ = false;
    Inputs inputs_;
    RulesetWriter writer_;
    ClassChains ingress_;
    ClassChains egress_;
    HostChains host_;
    RawChains raw_;
    NatChains nat_;
    LimitChains limits_;
    DscpChains dscp_;
    Groups groups_;
    std::map<EndpointKey, EndpointState> endpoints_;
    std::map<std::string, EndpointKey> interfaces_;

    // Work of the batch at hand.
    std::set<std::string> touched_interfaces_;
    std::set<PolicyId> gone_policies_;
    std::set<std::string> gone_profiles_;
    std::vector<SetId> gone_sets_;
};

}  // namespace manul::felix::render
