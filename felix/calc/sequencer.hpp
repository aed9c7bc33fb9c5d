#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "felix/calc/address_sets.hpp"
#include "felix/model/config.hpp"
#include "felix/model/endpoint.hpp"
#include "felix/model/endpoint_key.hpp"
#include "felix/model/host_endpoint.hpp"
#include "felix/model/overlay.hpp"
#include "felix/model/policy.hpp"
#include "felix/model/policy_id.hpp"
#include "felix/model/route.hpp"
#include "felix/model/shared.hpp"
#include "felix/model/snapshot.hpp"
#include "felix/model/update.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

/// What was sent to the dataplane, and what is to be sent next. A value that is set to what it was, or set and dropped
/// again, is not sent.
template <class Key, class Value>
class DeltaMap {
public:
    void set(const Key& key, Value value) { pending_.insert_or_assign(key, std::move(value)); }
    void drop(const Key& key) { pending_.insert_or_assign(key, std::nullopt); }

    struct Delta {
        std::vector<Value> updated;
        std::vector<Key> removed;
    };
    /// Both lists in the order of keys.
    [[nodiscard]] Delta take_delta() {
        Delta delta;
        for (auto& [key, value] : pending_) {
            const auto known = sent_.find(key);
            if (!value) {
                if (known != sent_.end()) {
                    sent_.erase(known);
                    delta.removed.push_back(key);
                }
            } else if (known == sent_.end()) {
                sent_.emplace(key, *value);
                delta.updated.push_back(*std::move(value));
            } else {
                const bool differs = !(known->second == *value);
                known->second = *value;  // equal ones too: what they share may change later
                if (differs) {
                    delta.updated.push_back(*std::move(value));
                }
            }
        }
        pending_.clear();
        return delta;
    }

    [[nodiscard]] const std::map<Key, Value>& sent() const noexcept { return sent_; }

private:
    std::map<Key, Value> sent_;
    std::map<Key, std::optional<Value>> pending_;
};

/// Collects what the other parts want, and puts the differences into batches that are safe at every point
/// (felix/model/update.hpp says in which order).
class Sequencer {
public:
    void set_config(Shared<Config> config) { config_.set(0, std::move(config)); }
    void set_pools(std::vector<IpPoolInfo> pools) { pools_.set(0, std::move(pools)); }
    void set_tunnels(Tunnels tunnels) { tunnels_.set(0, std::move(tunnels)); }
    void set_policy(Shared<Policy> policy);
    void drop_policy(const PolicyId& id) { policies_.drop(id); }
    void set_profile(Shared<Profile> profile);
    void drop_profile(const std::string& name) { profiles_.drop(name); }
    /// `endpoint` comes without its lists, which it shares with others and which may change in place: whoever changes
    /// them calls replace_lists().
    void set_endpoint(Shared<Endpoint> endpoint, std::shared_ptr<const EndpointLists> lists);
    void replace_lists(ListsReplaced lists) { replaced_.push_back(std::move(lists)); }
    void drop_endpoint(const EndpointKey& key) { endpoints_.drop(key); }
    void set_host_endpoint(Shared<HostEndpoint> endpoint);
    void drop_host_endpoint(const EndpointKey& key) { host_endpoints_.drop(key); }
    void set_route(const WorkloadRoute& route) { routes_.set(route.prefix, route); }
    void drop_route(const net::Prefix& prefix) { routes_.drop(prefix); }
    void set_tunnel_device(TunnelDevice device);
    void drop_tunnel_device(TunnelKind kind) { tunnel_devices_.drop(kind); }
    void set_cluster_route(const ClusterRoute& route) { cluster_routes_.set(route.prefix, route); }
    void drop_cluster_route(const net::Prefix& prefix) { cluster_routes_.drop(prefix); }
    void set_in_sync() { in_sync_.set(0, true); }

    [[nodiscard]] Batch take_batch(AddressSets::Delta sets);
    /// What all batches so far add up to, the sets excepted.
    [[nodiscard]] Snapshot snapshot() const;

private:
    struct ListedEndpoint {
        Shared<Endpoint> endpoint;
        std::shared_ptr<const EndpointLists> lists;

        [[nodiscard]] Endpoint whole() const;
        bool operator==(const ListedEndpoint& other) const {
            return endpoint == other.endpoint && (lists == other.lists || *lists == *other.lists);
        }
    };

    DeltaMap<int, Shared<Config>> config_;
    DeltaMap<int, std::vector<IpPoolInfo>> pools_;
    DeltaMap<int, Tunnels> tunnels_;
    DeltaMap<PolicyId, Shared<Policy>> policies_;
    DeltaMap<std::string, Shared<Profile>> profiles_;
    DeltaMap<EndpointKey, ListedEndpoint> endpoints_;
    std::vector<ListsReplaced> replaced_;
    DeltaMap<EndpointKey, Shared<HostEndpoint>> host_endpoints_;
    DeltaMap<net::Prefix, WorkloadRoute> routes_;
    DeltaMap<TunnelKind, TunnelDevice> tunnel_devices_;
    DeltaMap<net::Prefix, ClusterRoute> cluster_routes_;
    DeltaMap<int, bool> in_sync_;
};

}  // namespace manul::felix
