#include "felix/calc/sequencer.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "felix/calc/address_sets.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/shared.hpp"
#include "felix/model/update.hpp"

namespace manul::felix {

namespace {

template <class As, class T>
void append(Batch& batch, std::vector<T>&& values) {
    for (T& value : values) {
        batch.emplace_back(As{std::move(value)});
    }
}

}  // namespace

void Sequencer::set_policy(Shared<Policy> policy) {
    const PolicyId id = policy->id;
    policies_.set(id, std::move(policy));
}

void Sequencer::set_profile(Shared<Profile> profile) {
    const std::string name = profile->name;
    profiles_.set(name, std::move(profile));
}

void Sequencer::set_endpoint(Shared<Endpoint> endpoint, std::shared_ptr<const EndpointLists> lists) {
    const EndpointKey key = endpoint->key;
    endpoints_.set(key, ListedEndpoint{std::move(endpoint), std::move(lists)});
}

Endpoint Sequencer::ListedEndpoint::whole() const {
    Endpoint out = *endpoint;
    out.ingress = lists->ingress;
    out.egress = lists->egress;
    return out;
}

void Sequencer::set_host_endpoint(Shared<HostEndpoint> endpoint) {
    const EndpointKey key = endpoint->key;
    host_endpoints_.set(key, std::move(endpoint));
}

void Sequencer::set_tunnel_device(TunnelDevice device) {
    const TunnelKind kind = device.kind;
    tunnel_devices_.set(kind, std::move(device));
}

Snapshot Sequencer::snapshot() const {
    Snapshot out;
    for (const auto& [unused, config] : config_.sent()) {
        out.config = config;
    }
    for (const auto& [unused, pools] : pools_.sent()) {
        out.pools = pools;
    }
    for (const auto& [unused, tunnels] : tunnels_.sent()) {
        out.tunnels = tunnels;
    }
    out.policies = policies_.sent();
    out.profiles = profiles_.sent();
    for (const auto& [key, endpoint] : endpoints_.sent()) {
        out.apply(EndpointUpdated{endpoint.whole()});
    }
    out.host_endpoints = host_endpoints_.sent();
    out.routes = routes_.sent();
    out.tunnel_devices = tunnel_devices_.sent();
    out.cluster_routes = cluster_routes_.sent();
    out.in_sync = !in_sync_.sent().empty();
    return out;
}

Batch Sequencer::take_batch(AddressSets::Delta sets) {
    auto policies = policies_.take_delta();
    auto profiles = profiles_.take_delta();
    auto endpoints = endpoints_.take_delta();
    auto host_endpoints = host_endpoints_.take_delta();
    auto routes = routes_.take_delta();
    auto tunnel_devices = tunnel_devices_.take_delta();
    auto cluster_routes = cluster_routes_.take_delta();

    Batch batch;
    append<ConfigChanged>(batch, config_.take_delta().updated);
    append<PoolsChanged>(batch, pools_.take_delta().updated);
    append<TunnelsChanged>(batch, tunnels_.take_delta().updated);
    append<RouteRemoved>(batch, std::move(routes.removed));
    append<ClusterRouteRemoved>(batch, std::move(cluster_routes.removed));
    append<TunnelDeviceRemoved>(batch, std::move(tunnel_devices.removed));
    append<EndpointRemoved>(batch, std::move(endpoints.removed));
    append<HostEndpointRemoved>(batch, std::move(host_endpoints.removed));
    append<SetAdded>(batch, std::move(sets.added));
    append<SetMembersChanged>(batch, std::move(sets.changed));
    append<ProfileUpdated>(batch, std::move(profiles.updated));
    append<PolicyUpdated>(batch, std::move(policies.updated));
    for (ListsReplaced& lists : std::exchange(replaced_, {})) {
        batch.emplace_back(std::move(lists));
    }
    for (const ListedEndpoint& endpoint : endpoints.updated) {
        batch.emplace_back(EndpointUpdated{endpoint.whole()});
    }
    append<HostEndpointUpdated>(batch, std::move(host_endpoints.updated));
    append<RouteUpdated>(batch, std::move(routes.updated));
    append<TunnelDeviceUpdated>(batch, std::move(tunnel_devices.updated));
    append<ClusterRouteUpdated>(batch, std::move(cluster_routes.updated));
    append<PolicyRemoved>(batch, std::move(policies.removed));
    append<ProfileRemoved>(batch, std::move(profiles.removed));
    append<SetRemoved>(batch, std::move(sets.removed));
    if (!in_sync_.take_delta().updated.empty()) {
        batch.emplace_back(InSync{});
    }
    return batch;
}

}  // namespace manul::felix
