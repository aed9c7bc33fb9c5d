#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
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
    std::map<SetId, SetSnapshot> sets;
    std::map<PolicyId, Shared<Policy>> policies;
    std::map<std::string, Shared<Profile>> profiles;
    std::map<EndpointKey, Shared<Endpoint>> endpoints;
    std::map<net::Prefix, WorkloadRoute> routes;
    bool in_sync = false;

    void apply(const Update& update);

    bool operator==(const Snapshot&) const = default;
};

}  // namespace manul::felix
