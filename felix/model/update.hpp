#pragma once

#include <string>
#include <variant>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/overlay.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/route.hpp"
#include "felix/model/shared.hpp"
#include "net/prefix.hpp"

/// Minimal changes of what a node must enforce, from felix/calc to the dataplane.
///
/// A batch is one consistent step and is meant to be committed as one. Inside it the order is safe at every point:
/// configuration, pools and tunnels; removed routes, tunnel devices and endpoints; sets; profiles and policies; lists
/// of whole classes of endpoints; endpoints; tunnel devices and routes; then what nobody refers to any more: policies,
/// profiles, sets. Each object appears at most once (a set's removal and addition under one id never meet in a batch).
/// Updated carries the whole new value, of an object that is new or changed.
namespace manul::felix {

struct ConfigChanged {
    Shared<Config> config;
    bool operator==(const ConfigChanged&) const = default;
};
struct TunnelsChanged {
    Tunnels tunnels;
    bool operator==(const TunnelsChanged&) const = default;
};
struct PoolsChanged {
    std::vector<IpPoolInfo> pools;  ///< all of them, by name
    bool operator==(const PoolsChanged&) const = default;
};
struct SetAdded {
    AddressSet set;
    bool operator==(const SetAdded&) const = default;
};
struct SetMembersChanged {
    SetId id;
    SetMembers added;    ///< were no members before
    SetMembers removed;  ///< were members before
    bool operator==(const SetMembersChanged&) const = default;
};
struct SetRemoved {
    SetId id;
    bool operator==(const SetRemoved&) const = default;
};
struct PolicyUpdated {
    Shared<Policy> policy;
    bool operator==(const PolicyUpdated&) const = default;
};
struct PolicyRemoved {
    PolicyId id;
    bool operator==(const PolicyRemoved&) const = default;
};
struct ProfileUpdated {
    Shared<Profile> profile;
    bool operator==(const ProfileUpdated&) const = default;
};
struct ProfileRemoved {
    std::string name;
    bool operator==(const ProfileRemoved&) const = default;
};
/// All endpoints with these profiles that had the list `before` in this direction have `now` instead; none with these
/// profiles had `now`. Whole classes of endpoints change so, without a word about each. `before` is the object that
/// those endpoints were told with.
struct ListsReplaced {
    Direction direction = Direction::ingress;
    PolicyLists before;
    PolicyLists now;
    std::vector<std::string> profiles;
    bool operator==(const ListsReplaced&) const = default;
};
struct EndpointUpdated {
    Shared<Endpoint> endpoint;
    bool operator==(const EndpointUpdated&) const = default;
};
struct EndpointRemoved {
    EndpointKey key;
    bool operator==(const EndpointRemoved&) const = default;
};
struct HostEndpointUpdated {
    Shared<HostEndpoint> endpoint;
    bool operator==(const HostEndpointUpdated&) const = default;
};
struct HostEndpointRemoved {
    EndpointKey key;
    bool operator==(const HostEndpointRemoved&) const = default;
};
struct RouteUpdated {
    WorkloadRoute route;
    bool operator==(const RouteUpdated&) const = default;
};
struct RouteRemoved {
    net::Prefix prefix;
    bool operator==(const RouteRemoved&) const = default;
};
struct TunnelDeviceUpdated {
    TunnelDevice device;
    bool operator==(const TunnelDeviceUpdated&) const = default;
};
struct TunnelDeviceRemoved {
    TunnelKind kind = TunnelKind::vxlan;
    bool operator==(const TunnelDeviceRemoved&) const = default;
};
struct ClusterRouteUpdated {
    ClusterRoute route;
    bool operator==(const ClusterRouteUpdated&) const = default;
};
struct ClusterRouteRemoved {
    net::Prefix prefix;
    bool operator==(const ClusterRouteRemoved&) const = default;
};
/// Everything that the store held at the start is in this batch or in earlier ones.
struct InSync {
    bool operator==(const InSync&) const = default;
};

using Update =
    std::variant<ConfigChanged, PoolsChanged, TunnelsChanged, SetAdded, SetMembersChanged, SetRemoved, PolicyUpdated,
                 PolicyRemoved, ProfileUpdated, ProfileRemoved, ListsReplaced, EndpointUpdated, EndpointRemoved,
                 HostEndpointUpdated, HostEndpointRemoved, RouteUpdated, RouteRemoved, TunnelDeviceUpdated,
                 TunnelDeviceRemoved, ClusterRouteUpdated, ClusterRouteRemoved, InSync>;
using Batch = std::vector<Update>;

}  // namespace manul::felix
