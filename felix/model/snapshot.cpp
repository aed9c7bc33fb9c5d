#include "felix/model/snapshot.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "base/overloaded.hpp"
#include "felix/model/address_set.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/update.hpp"
#include "net/ip.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

namespace {

void insert(SetSnapshot& set, const FamilyMembers& members) {
    set.addresses.insert(members.addresses.begin(), members.addresses.end());
    set.prefixes.insert(members.prefixes.begin(), members.prefixes.end());
    set.ports.insert(members.ports.begin(), members.ports.end());
}

void erase(SetSnapshot& set, const FamilyMembers& members) {
    for (const net::Ip& address : members.addresses) {
        set.addresses.erase(address);
    }
    for (const net::Prefix& prefix : members.prefixes) {
        set.prefixes.erase(prefix);
    }
    for (const PortMember& port : members.ports) {
        set.ports.erase(port);
    }
}

}  // namespace

bool SetSnapshot::contains(const net::Ip& address) const {
    return addresses.contains(address) ||
           std::ranges::any_of(prefixes, [&address](const net::Prefix& prefix) { return prefix.contains(address); });
}

void Snapshot::apply(const Update& update) {
    std::visit(
        overloaded{
            [this](const ConfigChanged& change) { config = change.config; },
            [this](const PoolsChanged& change) { pools = change.pools; },
            [this](const TunnelsChanged& change) { tunnels = change.tunnels; },
            [this](const SetAdded& change) {
                SetSnapshot& set = sets[change.set.id];
                set = SetSnapshot{change.set.kind, change.set.description, {}, {}, {}};
                insert(set, change.set.members.v4);
                insert(set, change.set.members.v6);
            },
            [this](const SetMembersChanged& change) {
                SetSnapshot& set = sets[change.id];
                erase(set, change.removed.v4);
                erase(set, change.removed.v6);
                insert(set, change.added.v4);
                insert(set, change.added.v6);
            },
            [this](const SetRemoved& change) { sets.erase(change.id); },
            [this](const PolicyUpdated& change) { policies.insert_or_assign(change.policy->id, change.policy); },
            [this](const PolicyRemoved& change) { policies.erase(change.id); },
            [this](const ProfileUpdated& change) { profiles.insert_or_assign(change.profile->name, change.profile); },
            [this](const ProfileRemoved& change) { profiles.erase(change.name); },
            [this](const ListsReplaced& change) {
                for (auto& [key, endpoint] : endpoints) {
                    if (endpoint->profiles == change.profiles && endpoint->lists(change.direction) == change.before) {
                        Endpoint changed = *endpoint;
                        (change.direction == Direction::ingress ? changed.ingress : changed.egress) = change.now;
                        endpoint = std::move(changed);
                    }
                }
            },
            [this](const EndpointUpdated& change) {
                forget_interface(change.endpoint->key);
                endpoints.insert_or_assign(change.endpoint->key, change.endpoint);
                by_interface_.insert_or_assign(change.endpoint->interface, change.endpoint->key);
            },
            [this](const EndpointRemoved& change) {
                forget_interface(change.key);
                endpoints.erase(change.key);
            },
            [this](const HostEndpointUpdated& change) {
                host_endpoints.insert_or_assign(change.endpoint->key, change.endpoint);
            },
            [this](const HostEndpointRemoved& change) { host_endpoints.erase(change.key); },
            [this](const RouteUpdated& change) { routes.insert_or_assign(change.route.prefix, change.route); },
            [this](const RouteRemoved& change) { routes.erase(change.prefix); },
            [this](const TunnelDeviceUpdated& change) {
                tunnel_devices.insert_or_assign(change.device.kind, change.device);
            },
            [this](const TunnelDeviceRemoved& change) { tunnel_devices.erase(change.kind); },
            [this](const ClusterRouteUpdated& change) {
                cluster_routes.insert_or_assign(change.route.prefix, change.route);
            },
            [this](const ClusterRouteRemoved& change) { cluster_routes.erase(change.prefix); },
            [this](const InSync&) { in_sync = true; },
        },
        update);
}

/// Another endpoint that has the interface by now keeps it.
void Snapshot::forget_interface(const EndpointKey& key) {
    const auto known = endpoints.find(key);
    if (known == endpoints.end()) {
        return;
    }
    if (const auto entry = by_interface_.find(known->second->interface);
        entry != by_interface_.end() && entry->second == key) {
        by_interface_.erase(entry);
    }
}

bool Snapshot::is_workload_interface(std::string_view name) const {
    return std::ranges::any_of(config->interface_prefixes,
                               [name](const std::string& prefix) { return name.starts_with(prefix); });
}

const Endpoint* Snapshot::workload_at(std::string_view interface) const {
    const auto known = by_interface_.find(interface);
    if (known == by_interface_.end()) {
        return nullptr;
    }
    const auto found = endpoints.find(known->second);
    return found == endpoints.end() ? nullptr : &*found->second;
}

const HostEndpoint* Snapshot::host_endpoint_at(std::string_view interface, HostStage stage) const {
    const HostEndpoint* wildcard = nullptr;
    for (const auto& [key, endpoint] : host_endpoints) {
        if (endpoint->has_interface(interface)) {
            return &*endpoint;
        }
        wildcard = endpoint->wildcard ? &*endpoint : wildcard;
    }
    const bool reaches = stage == HostStage::normal ? !is_workload_interface(interface) : stage != HostStage::untracked;
    return reaches && interface != kLoopbackInterface ? wildcard : nullptr;
}

}  // namespace manul::felix
