#include "ipam/service/service.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/core.h>

#include "base/try.hpp"
#include "ipam/core/names.hpp"

// ADD: what a pod is given, and the endpoint that says so.

namespace manul::ipam {

namespace {

/// An address of a pool that is in use would sooner or later be given to a second pod.
Outcome<void> check_unmanaged(const World& world, const std::vector<net::Ip>& addresses) {
    for (const net::Ip& address : addresses) {
        if (const Pool* pool = pool_of(world.pools, address)) {
            return refuse(
                ErrorCode::invalid_config,
                fmt::format("annotation cni.projectcalico.org/ipAddrsNoIpam: {} lies in IPPool {}; use ipAddrs",
                            address.to_string(), pool->name));
        }
    }
    return {};
}

}  // namespace

/// An ADD between its steps.
struct Service::Add {
    const Request& request;
    std::shared_ptr<const model::Pod> pod;                    ///< null: none is known
    std::shared_ptr<const model::WorkloadEndpoint> existing;  ///< in the place of the new one
    bool same_attachment = false;                             ///< `existing` is of the same container and network
    model::WorkloadEndpoint endpoint;
    Demand demand;
    AddResult result;
};

Outcome<void> Service::check_scheduled(const Request& request, const model::Pod* pod, bool has_endpoint) const {
    if (!request.is_kubernetes() || request.attachment.ifname != "eth0") {
        return refuse(ErrorCode::invalid_config,
                      "with the Kubernetes datastore only pods get endpoints, one each, for the interface eth0");
    }
    const std::string name = fmt::format("{}/{}", request.arg("K8S_POD_NAMESPACE"), request.arg("K8S_POD_NAME"));
    if (pod == nullptr) {
        return refuse(ErrorCode::try_again, fmt::format("the API server has no Pod {}", name));
    }
    if (pod->spec.node_name != host_.node) {
        return refuse(ErrorCode::invalid_config,
                      fmt::format("Pod {} is scheduled to node \"{}\", and this is {}: check node.name", name,
                                  pod->spec.node_name, host_.node));
    }
    if (!has_endpoint) {
        return refuse(ErrorCode::invalid_config, fmt::format("Pod {} uses its host's network", name));
    }
    if (request.policy_only && request.host_interface != host_interface_name(request)) {
        return refuse(ErrorCode::invalid_config,
                      fmt::format("with the Kubernetes datastore the host interface of Pod {} must be {}, and the "
                                  "plugin before this one made {}",
                                  name, host_interface_name(request), request.host_interface));
    }
    return {};
}

Outcome<Service::Add> Service::begin_add(Transaction& transaction, const Request& request, WallTime now) const {
    StoreSource& source = transaction.source();
    Add add{.request = request};
    const std::string ns_name = endpoint_namespace(request);
    if (request.is_kubernetes()) {
        MANUL_TRY(add.pod, source.pod(ns_name, std::string(request.arg("K8S_POD_NAME"))));
    }
    MANUL_TRY(const auto ns, source.name_space(ns_name));
    MANUL_TRY(add.endpoint, make_endpoint(request, host_, add.pod.get()));
    MANUL_TRY(add.demand, make_demand(request, host_, add.pod.get(), ns.get(), now));
    MANUL_TRY(add.existing, transaction.endpoint(add.endpoint.key()));
    if (host_.on_kubernetes) {
        MANUL_CHECK(check_scheduled(request, add.pod.get(), add.existing != nullptr));
    }
    add.same_attachment = add.existing && attachment_of(*add.existing) == request.attachment &&
                          is_of_network(*add.existing, request.network);
    return add;
}

/// The answer to an earlier try was lost, or its plugin died: the addresses stay.
bool Service::keep_addresses(Add& add) const {
    if (!add.same_attachment || add.existing->spec.ip_networks.empty() || add.request.policy_only ||
        !describe(*add.existing).of_this_boot) {
        return false;
    }
    add.endpoint.spec.ip_networks = add.existing->spec.ip_networks;
    if (is_unmanaged(*add.existing)) {
        add.endpoint.metadata.annotations[kUnmanagedAnnotation] = "true";
    }
    return true;
}

Outcome<void> Service::replace_former(Transaction& transaction, Add& add, WallTime now) const {
    const World& world = knowledge_.world();
    // Addresses without endpoint are what an interrupted writer left behind.
    MANUL_CHECK(release_handle(transaction.ipam(), world, add.demand.handle, now));
    if (!add.existing || add.existing->spec.container_id.empty() || add.same_attachment) {
        return {};
    }
    const std::string network = network_of(*add.existing);
    const std::string old = handle_id(network.empty() ? add.request.network : network, attachment_of(*add.existing));
    if (!store_.transactional()) {  // the old addresses go after the endpoint was rewritten
        MANUL_TRY(const bool theirs, is_of_pod(transaction, old, pod_of(*add.existing)));
        add.result.replaced_handle = theirs ? std::optional(old) : std::nullopt;
    } else if (describe(*add.existing).of_this_boot) {
        add.result.replaced_handle = old;
    } else {
        MANUL_CHECK(release_handle(transaction.ipam(), world, old, now));
    }
    return {};
}

Outcome<void> Service::give_addresses(Transaction& transaction, Add& add, WallTime now) const {
    const World& world = knowledge_.world();
    if (add.request.policy_only) {
        return {};  // another plugin gave the pod its addresses
    }
    if (!add.demand.unmanaged.empty()) {
        MANUL_CHECK(check_unmanaged(world, add.demand.unmanaged));
        add.endpoint.metadata.annotations[kUnmanagedAnnotation] = "true";
        for (const net::Ip& address : add.demand.unmanaged) {
            add.endpoint.spec.ip_networks.push_back(net::Prefix::host(address));
        }
        return {};
    }
    MANUL_TRY(const auto assigned, assign(transaction.ipam(), world, add.demand, now));
    for (const Assigned& one : assigned) {
        add.endpoint.spec.ip_networks.push_back(net::Prefix::host(one.address));
        add.result.given.push_back({now, HistoryEntry::Event::assigned, one.address, add.demand.handle,
                                    owner_of(add.endpoint), std::string(ipam::describe(one.choice))});
    }
    return {};
}

/// Stores the endpoint unless it is there as it is, and says what the plugin needs of it.
Outcome<void> Service::finish_add(Transaction& transaction, Add& add) {
    const model::WorkloadEndpoint& endpoint = add.endpoint;
    const model::Key key = endpoint.key();
    Answer& answer = add.result.answer;
    for (const net::Prefix& network : endpoint.spec.ip_networks) {
        answer.ips.push_back(network.address());
    }
    answer.host_interface = endpoint.spec.interface_name;
    if (endpoint.spec.mac != add.request.mac) {
        answer.mac = endpoint.spec.mac;
    }
    answer.endpoint = key.ns + "/" + key.name;
    const bool unchanged = add.existing && add.existing->spec == endpoint.spec &&
                           add.existing->metadata.labels == endpoint.metadata.labels &&
                           add.existing->metadata.annotations == endpoint.metadata.annotations;
    if (unchanged) {
        const StoreSource::Stored* stored = transaction.source().stored(key);
        answer.resource_version = stored != nullptr ? stored->revision : std::string{};
        return {};
    }
    return transaction.put_endpoint(key, std::make_shared<const model::WorkloadEndpoint>(endpoint));
}

Outcome<AddResult> Service::add_one(Transaction& transaction, const Request& request, WallTime now) const {
    MANUL_TRY(Add add, begin_add(transaction, request, now));
    if (!keep_addresses(add)) {
        MANUL_CHECK(replace_former(transaction, add, now));
        MANUL_CHECK(give_addresses(transaction, add, now));
    }
    MANUL_CHECK(add_translations(add.endpoint, request, add.pod.get()));
    MANUL_CHECK(check_endpoint(add.endpoint));
    if (!request.is_kubernetes()) {
        MANUL_CHECK(transaction.create_profile(make_network_profile(request.network)));
    }
    MANUL_CHECK(finish_add(transaction, add));
    return std::move(add.result);
}

void Service::append_read_by(const Request& request, std::vector<model::Key>& keys) const {
    const std::string ns = endpoint_namespace(request);
    if (request.is_kubernetes()) {
        keys.push_back({model::Kind::pod, ns, std::string(request.arg("K8S_POD_NAME"))});
    } else {
        keys.push_back({model::Kind::profile, {}, profile_name(request.network)});
    }
    keys.push_back({model::Kind::namespace_, {}, ns});
    keys.push_back(handle_key(handle_id(request.network, request.attachment)));
    if (model::Key endpoint = endpoint_key(request, host_); !endpoint.name.empty()) {
        keys.push_back(std::move(endpoint));
    }
}

std::vector<AddResult> Service::add(std::span<const Request> requests, WallTime now) {
    std::vector<AddResult> out(requests.size());
    if (const auto why = not_ready()) {
        for (AddResult& result : out) {
            result.answer = to_answer(*why);
        }
        return out;
    }
    source_.begin(now);
    std::vector<Change> changes;
    std::vector<model::Key> keys;
    changes.reserve(requests.size());
    for (std::size_t i = 0; i < requests.size(); ++i) {
        changes.emplace_back([&, i](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY(out[i], add_one(transaction, requests[i], now));
            return {};
        });
        append_read_by(requests[i], keys);
    }
    source_.prefetch(keys);
    const auto results = committer_.run(changes);
    if (!mtu_) {
        mtu_ = pod_mtu(uplinks_, knowledge_.world().pools, knowledge_.mtu_settings());
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
        out[i].answer.mtu = *mtu_;
        if (!results[i]) {
            out[i] = AddResult{to_answer(results[i].error()), std::nullopt, {}};
            continue;
        }
        if (out[i].answer.resource_version.empty()) {
            out[i].answer.resource_version = *results[i];
        }
        std::ranges::copy(out[i].given, std::back_inserter(history_));
    }
    return out;
}

}  // namespace manul::ipam
