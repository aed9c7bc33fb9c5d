#include <string>
#include <utility>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "ipam/core/endpoint.hpp"
#include "ipam/core/names.hpp"
#include "ipam/service/store_source.hpp"

// What allocation reads of endpoints: this node's, kept, and who uses which address.

namespace manul::ipam {

Outcome<Versioned<model::WorkloadEndpoint>> StoreSource::endpoint(const model::Key& key) {
    if (!endpoints_) {
        MANUL_CHECK(load_own_endpoints());
    }
    MANUL_TRY(const Stored* found, read(key));
    Versioned<model::WorkloadEndpoint> out;
    if (found != nullptr) {
        out = {model::as<model::WorkloadEndpoint>(found->view), found->revision, found->problem};
        index_endpoint(key, found->view);
    } else {
        index_endpoint(key, nullptr);
    }
    return out;
}

void StoreSource::index_endpoint(const model::Key& key, const model::ResourcePtr& view) {
    const auto former = endpoints_->find(key);
    if (former != endpoints_->end()) {
        const model::WorkloadEndpointSpec& spec = former->second->spec;
        const auto at = by_attachment_.find({spec.container_id, spec.endpoint});
        if (at != by_attachment_.end() && at->second == key) {
            by_attachment_.erase(at);
        }
        endpoints_->erase(former);
    }
    const auto endpoint = model::as<model::WorkloadEndpoint>(view);
    if (endpoint && endpoint->spec.node == node_) {
        if (!endpoint->spec.container_id.empty()) {
            by_attachment_[{endpoint->spec.container_id, endpoint->spec.endpoint}] = key;
        }
        endpoints_->emplace(key, endpoint);
    }
}

Outcome<void> StoreSource::load_own_endpoints() {
    std::string prefix;  // each '-' of the node's name is doubled in the names of its endpoints
    for (const char c : node_) {
        prefix.append(c == '-' ? 2U : 1U, c);
    }
    MANUL_TRY(const auto all, read_all(model::Kind::workload_endpoint, prefix + "-"));
    endpoints_.emplace();
    by_attachment_.clear();
    for (const Stored* found : all) {
        if (found->view) {
            index_endpoint(found->view->key(), found->view);
            if (is_own(found->view->key())) {
                transient_.erase(found->view->key());
            }
        }
    }
    return {};
}

Outcome<void> StoreSource::reread_endpoints() {
    MANUL_TRY(const Endpoints* known, own_endpoints());
    std::vector<model::Key> keys;
    for (const auto& [key, view] : *known) {
        keys.push_back(key);
    }
    for (const model::Key& key : keys) {
        drop(key);
        MANUL_TRY([[maybe_unused]] const auto now, endpoint(key));
    }
    return {};
}

Outcome<const StoreSource::Endpoints*> StoreSource::own_endpoints() {
    if (!endpoints_) {
        MANUL_CHECK(load_own_endpoints());
    }
    return &*endpoints_;
}

Outcome<std::shared_ptr<const model::WorkloadEndpoint>> StoreSource::find(const std::string& container_id,
                                                                          const std::string& ifname) {
    MANUL_TRY(const Endpoints* endpoints, own_endpoints());
    const auto at = by_attachment_.find({container_id, ifname});
    if (at == by_attachment_.end()) {
        return nullptr;
    }
    const auto found = endpoints->find(at->second);
    return found == endpoints->end() ? nullptr : found->second;
}

Outcome<std::optional<std::set<net::Ip>>> StoreSource::addresses_in_use() {
    const auto listing = store_.list({.kind = model::Kind::workload_endpoint, .ns = std::nullopt, .name_prefix = {}});
    if (!listing) {
        return std::unexpected(store_failure(listing.error()));
    }
    if (!listing->damaged.empty()) {
        return std::nullopt;
    }
    std::set<net::Ip> used;
    for (const store::Object& object : listing->items) {
        const auto decoded = codec::decode(object.key.kind, *object.document, codec::Mode::lenient);
        const auto endpoint = decoded.ok() ? model::as<model::WorkloadEndpoint>(decoded.resource) : nullptr;
        if (!endpoint) {
            return std::nullopt;
        }
        for (const net::Prefix& network : endpoint->spec.ip_networks) {
            used.insert(network.address());
        }
    }
    return used;
}

Outcome<std::vector<AddressInUse>> StoreSource::in_use(const net::Prefix& range) {
    MANUL_TRY(const Endpoints* endpoints, own_endpoints());
    std::vector<AddressInUse> out;
    for (const auto& [key, endpoint] : *endpoints) {
        const model::WorkloadEndpointSpec& spec = endpoint->spec;
        const std::string network = network_of(*endpoint);
        if (network.empty() || spec.container_id.empty() || is_unmanaged(*endpoint) || is_policy_only(*endpoint)) {
            continue;  // not allocated, or nobody knows under which handle
        }
        for (const net::Prefix& one : spec.ip_networks) {
            if (range.contains(one.address())) {
                out.push_back(
                    {one.address(),
                     {handle_id(network, attachment_of(*endpoint)), calico_handle_id(network, spec.container_id)},
                     {{"node", spec.node},
                      {"namespace", key.ns},
                      {"pod", spec.pod.empty() ? spec.container_id : spec.pod}}});
            }
        }
    }
    return out;
}

}  // namespace manul::ipam
