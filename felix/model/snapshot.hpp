#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/overlay.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/route.hpp"
#include "felix/model/shared.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

/// An address set with members that can be looked up and changed one by one.
struct SetSnapshot {
    SetKind kind = SetKind::addresses;
    std::string description;
    std::set<net::Ip> addresses;
    std::set<net::Prefix> prefixes;
    std::set<PortMember> ports;

    [[nodiscard]] bool contains(const net::Ip& address) const;

    bool operator==(const SetSnapshot&) const = default;
};

/// Everything that a node must enforce at one moment: what all batches so far add up to.
struct Snapshot {
    Shared<Config> config;
    std::vector<IpPoolInfo> pools;
    Tunnels tunnels;
    std::map<SetId, SetSnapshot> sets;
    std::map<PolicyId, Shared<Policy>> policies;
    std::map<std::string, Shared<Profile>> profiles;
    std::map<EndpointKey, Shared<Endpoint>> endpoints;
    std::map<EndpointKey, Shared<HostEndpoint>> host_endpoints;
    std::map<net::Prefix, WorkloadRoute> routes;
    std::map<TunnelKind, TunnelDevice> tunnel_devices;
    std::map<net::Prefix, ClusterRoute> cluster_routes;
    bool in_sync = false;

    void apply(const Update& update);

    /// Whether the name is one of a workload's interface.
    [[nodiscard]] bool is_workload_interface(std::string_view name) const;
    /// The workload of this node that has the interface; null when none has.
    [[nodiscard]] const Endpoint* workload_at(std::string_view interface) const;
    /// The host endpoint whose policy the stage applies at the interface; null when there is none.
    [[nodiscard]] const HostEndpoint* host_endpoint_at(std::string_view interface, HostStage stage) const;

    bool operator==(const Snapshot&) const = default;

private:
    void forget_interface(const EndpointKey& key);

    std::map<std::string, EndpointKey, std::less<>> by_interface_;  ///< of `endpoints`
};

}  // namespace manul::felix
