#include "ipam/service/service.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "ipam/core/names.hpp"

namespace manul::ipam {

namespace {

/// Runs `work` for each item as one change and gives each item's value, or why it has none.
template <class Value, class Item, class Work>
std::vector<Outcome<Value>> run_each(Committer& committer, std::span<const Item> items, Work work) {
    std::vector<Value> values(items.size());
    std::vector<Change> changes;
    changes.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
        changes.emplace_back([&, i](Transaction& transaction) -> Outcome<void> {
            MANUL_TRY(values[i], work(transaction, items[i]));
            return {};
        });
    }
    const auto results = committer.run(changes);
    std::vector<Outcome<Value>> out;
    out.reserve(items.size());
    for (std::size_t i = 0; i < items.size(); ++i) {
        if (results[i]) {
            out.emplace_back(std::move(values[i]));
        } else {
            out.emplace_back(std::unexpected(results[i].error()));
        }
    }
    return out;
}

/// Which of these pods has an endpoint here: endpoint names begin with node, orchestrator and pod.
std::string endpoint_prefix(const std::string& node, const std::string& pod) {
    model::WorkloadEndpointSpec spec;
    spec.node = node;
    spec.orchestrator = "k8s";
    spec.pod = pod;
    spec.endpoint = "x";
    std::string name = model::workload_endpoint_name(spec);
    if (!name.empty()) {
        name.pop_back();
    }
    return name;
}

/// "default/web", or "default/<container id>".
std::string owner_of(const model::WorkloadEndpoint& endpoint) {
    const model::WorkloadEndpointSpec& spec = endpoint.spec;
    return endpoint.metadata.ns + "/" + (spec.pod.empty() ? spec.container_id : spec.pod);
}

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

Service::Service(store::Store& store, HostIdentity host)
    : store_(store),
      host_(std::move(host)),
      knowledge_(host_.node),
      source_(store, host_.node),
      committer_(store, source_) {}

int Service::watch_fd() const noexcept { return watch_ ? watch_->fd() : -1; }

Outcome<void> Service::start() {
    former_watch_ = std::move(watch_);
    mtu_.reset();
    source_.forget_all();
    std::vector<store::WatchStart> starts;
    for (const model::Kind kind : Knowledge::kinds()) {
        const auto listing = store_.list({.kind = kind, .ns = std::nullopt, .name_prefix = {}});
        if (!listing) {
            return std::unexpected(store_failure(listing.error()));
        }
        knowledge_.replace(kind, *listing);
        starts.push_back({kind, listing->revision});
    }
    if (!host_.on_kubernetes) {
        const auto pods = store_.list({.kind = model::Kind::pod, .ns = std::nullopt, .name_prefix = {}});
        if (!pods) {
            return std::unexpected(store_failure(pods.error()));
        }
        starts.push_back({model::Kind::pod, pods->revision});
        for (const store::Object& object : pods->items) {
            note_pod(object);
        }
        MANUL_CHECK(sync_pods());
    }
    auto watch = store_.watch(starts);
    if (!watch) {
        return std::unexpected(store_failure(watch.error()));
    }
    watch_ = *std::move(watch);
    return {};
}

Outcome<Service::Changes> Service::take_changes() {
    Changes changes;
    if (!watch_) {
        return changes;
    }
    const auto events = watch_->take();
    if (!events) {
        return std::unexpected(store_failure(events.error()));
    }
    changes.any = !events->empty();
    const bool was_ready = knowledge_.datastore_ready();
    for (const store::Event& event : *events) {
        if (event.type == store::Event::Type::resync) {
            MANUL_CHECK(start());
            changes.restarted = true;
            changes.refused = std::exchange(refused_, {});
            return changes;
        }
        if (event.object.key.kind == model::Kind::pod) {
            // A Pod that disappears leaves its endpoint as it is until DEL.
            if (event.type == store::Event::Type::put) {
                note_pod(event.object);
            }
            continue;
        }
        changes.own_node_removed = changes.own_node_removed ||
                                   (event.type == store::Event::Type::removed &&
                                    event.object.key.kind == model::Kind::node && event.object.key.name == host_.node);
        const model::Kind kind = event.object.key.kind;
        changes.pools_changed = changes.pools_changed || kind == model::Kind::ip_pool ||
                                kind == model::Kind::felix_configuration ||
                                (kind == model::Kind::node && event.object.key.name == host_.node);
        knowledge_.apply(event);
        mtu_.reset();
    }
    if (!was_ready && knowledge_.datastore_ready()) {
        // While it was locked somebody else may have filled it, this node's blocks and endpoints included.
        MANUL_CHECK(start());
        changes.restarted = true;
        changes.refused = std::exchange(refused_, {});
        return changes;
    }
    if (changes.pools_changed) {
        source_.forget_odd_blocks();
    }
    MANUL_TRY(changes.endpoints_synced, sync_pods());
    changes.refused = std::exchange(refused_, {});
    return changes;
}

void Service::note_pod(const store::Object& object) {
    if (!object.document) {
        return;
    }
    const codec::Decoded decoded = codec::decode(model::Kind::pod, *object.document, codec::Mode::lenient);
    if (auto pod = decoded.ok() ? model::as<model::Pod>(decoded.resource) : nullptr) {
        unsynced_[object.key] = std::move(pod);
    }
}

Outcome<std::size_t> Service::sync_pods() {
    if (!knowledge_.datastore_ready()) {
        return 0;  // nothing is written while it is locked; the Pods wait in unsynced_
    }
    struct Item {
        model::Key key;
        std::shared_ptr<const model::Pod> pod;
    };
    std::vector<Item> items;
    MANUL_TRY(const StoreSource::Endpoints* endpoints, source_.own_endpoints());
    for (const auto& [pod_key, pod] : unsynced_) {
        const std::string prefix = endpoint_prefix(host_.node, pod->metadata.name);
        const model::Key first{model::Kind::workload_endpoint, pod->metadata.ns, prefix};
        for (auto at = endpoints->lower_bound(first);
             at != endpoints->end() && at->first.ns == first.ns && at->first.name.starts_with(prefix); ++at) {
            if (at->second->spec.pod == pod->metadata.name) {
                items.push_back({at->first, pod});
            }
        }
    }
    const auto results = run_each<bool>(committer_, std::span<const Item>(items),
                                        [](Transaction& transaction, const Item& item) -> Outcome<bool> {
                                            MANUL_TRY(const auto endpoint, transaction.endpoint(item.key));
                                            if (!endpoint) {
                                                return false;
                                            }
                                            auto synced = std::make_shared<model::WorkloadEndpoint>(*endpoint);
                                            if (!sync_with_pod(*synced, *item.pod)) {
                                                return false;
                                            }
                                            MANUL_CHECK(check_endpoint(*synced));
                                            MANUL_CHECK(transaction.put_endpoint(item.key, std::move(synced)));
                                            return true;
                                        });
    std::size_t count = 0;
    std::optional<Failure> unreachable;
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (results[i]) {
            count += *results[i] ? 1U : 0U;
        } else if (results[i].error().code == static_cast<std::uint16_t>(ErrorCode::try_again)) {
            unreachable = results[i].error();
        } else {
            // This Pod cannot be joined as it is: its endpoint stays as it was, and no other waits for it.
            refused_.push_back(fmt::format("{}: {}", items[i].pod->key().to_string(), results[i].error().msg));
        }
    }
    if (unreachable) {
        return std::unexpected(*std::move(unreachable));
    }
    unsynced_.clear();
    return count;
}

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

std::optional<Failure> Service::not_ready() const {
    if (!watch_) {
        return Failure{static_cast<std::uint16_t>(ErrorCode::try_again),
                       "manul-ipamd has not reached the datastore yet", "see the log of manul-ipamd"};
    }
    if (!knowledge_.datastore_ready()) {
        return Failure{static_cast<std::uint16_t>(ErrorCode::try_again),
                       "the datastore is locked (ClusterInformation default: datastoreReady is false)",
                       "unlock it with `manulctl datastore migrate unlock`"};
    }
    return std::nullopt;
}

Outcome<AddResult> Service::add_one(Transaction& transaction, const Request& request, WallTime now) {
    StoreSource& source = transaction.source();
    const World& world = knowledge_.world();
    const std::string ns_name = endpoint_namespace(request);
    std::shared_ptr<const model::Pod> pod;
    if (request.is_kubernetes()) {
        MANUL_TRY(pod, source.pod(ns_name, std::string(request.arg("K8S_POD_NAME"))));
    }
    MANUL_TRY(const auto ns, source.name_space(ns_name));
    MANUL_TRY(model::WorkloadEndpoint endpoint, make_endpoint(request, host_, pod.get()));
    MANUL_TRY(const Demand demand, make_demand(request, host_, pod.get(), ns.get(), now));
    const model::Key key = endpoint.key();
    MANUL_TRY(const auto existing, transaction.endpoint(key));
    if (host_.on_kubernetes) {
        MANUL_CHECK(check_scheduled(request, pod.get(), existing != nullptr));
    }

    AddResult result;
    const bool same_attachment =
        existing && attachment_of(*existing) == request.attachment && is_of_network(*existing, request.network);
    const bool same = same_attachment && describe(*existing).of_this_boot;
    if (same && !existing->spec.ip_networks.empty() && !request.policy_only) {
        // The answer to an earlier try was lost, or its plugin died: the addresses stay.
        endpoint.spec.ip_networks = existing->spec.ip_networks;
        if (is_unmanaged(*existing)) {
            endpoint.metadata.annotations[kUnmanagedAnnotation] = "true";
        }
    } else {
        // Addresses without endpoint are what an interrupted writer left behind.
        MANUL_CHECK(release_handle(transaction.ipam(), world, demand.handle, now));
        const bool had_container = existing && !existing->spec.container_id.empty();
        if (had_container && !same_attachment) {
            const std::string network = network_of(*existing);
            const std::string old = handle_id(network.empty() ? request.network : network, attachment_of(*existing));
            if (!store_.transactional()) {  // the old addresses go after the endpoint was rewritten
                MANUL_TRY(const bool theirs, is_of_pod(transaction, old, pod_of(*existing)));
                result.replaced_handle = theirs ? std::optional(old) : std::nullopt;
            } else if (describe(*existing).of_this_boot) {
                result.replaced_handle = old;
            } else {
                MANUL_CHECK(release_handle(transaction.ipam(), world, old, now));
            }
        }
        if (request.policy_only) {
            // Another plugin gave the pod its addresses.
        } else if (!demand.unmanaged.empty()) {
            MANUL_CHECK(check_unmanaged(world, demand.unmanaged));
            endpoint.metadata.annotations[kUnmanagedAnnotation] = "true";
            for (const net::Ip& address : demand.unmanaged) {
                endpoint.spec.ip_networks.push_back(net::Prefix::host(address));
            }
        } else {
            MANUL_TRY(const auto assigned, assign(transaction.ipam(), world, demand, now));
            for (const Assigned& one : assigned) {
                endpoint.spec.ip_networks.push_back(net::Prefix::host(one.address));
                result.given.push_back({now, HistoryEntry::Event::assigned, one.address, demand.handle,
                                        owner_of(endpoint), std::string(ipam::describe(one.choice))});
            }
        }
    }
    MANUL_CHECK(add_translations(endpoint, request, pod.get()));
    MANUL_CHECK(check_endpoint(endpoint));
    if (!request.is_kubernetes()) {
        MANUL_CHECK(transaction.create_profile(make_network_profile(request.network)));
    }
    for (const net::Prefix& network : endpoint.spec.ip_networks) {
        result.answer.ips.push_back(network.address());
    }
    result.answer.host_interface = endpoint.spec.interface_name;
    if (endpoint.spec.mac != request.mac) {
        result.answer.mac = endpoint.spec.mac;
    }
    result.answer.endpoint = key.ns + "/" + key.name;
    const bool unchanged = existing && existing->spec == endpoint.spec &&
                           existing->metadata.labels == endpoint.metadata.labels &&
                           existing->metadata.annotations == endpoint.metadata.annotations;
    if (unchanged) {
        const StoreSource::Stored* stored = source.stored(key);
        result.answer.resource_version = stored != nullptr ? stored->revision : std::string{};
    } else {
        MANUL_CHECK(transaction.put_endpoint(key, std::make_shared<const model::WorkloadEndpoint>(endpoint)));
    }
    return result;
}

void Service::set_uplinks(std::vector<Uplink> uplinks) {
    uplinks_ = std::move(uplinks);
    mtu_.reset();
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

Answer Service::status(const Request& request, WallTime now) {
    const auto unavailable = [](Failure why) {
        why.code = static_cast<std::uint16_t>(ErrorCode::not_available);
        return to_answer(std::move(why));
    };
    if (auto why = not_ready()) {
        return unavailable(*std::move(why));
    }
    source_.begin(now);
    Request sample = request;
    sample.attachment = {"status", "eth0"};
    sample.ips.clear();
    Answer answer;
    if (auto demand = make_demand(sample, host_, nullptr, nullptr, now); !demand) {
        answer = unavailable(demand.error());
    } else {
        Draft draft(source_);  // never committed
        if (auto assigned = assign(draft, knowledge_.world(), *demand, now); !assigned) {
            answer = unavailable(assigned.error());
        }
    }
    source_.end();
    return answer;
}

bool Service::is_unknown(const Release& release) {
    const auto endpoint = source_.find(release.attachment.container_id, release.attachment.ifname);
    if (!watch_ || !endpoint || (*endpoint && is_of_network(**endpoint, release.network))) {
        return false;
    }
    bool unknown = true;
    for (const std::string& handle : {handle_id(release.network, release.attachment),
                                      calico_handle_id(release.network, release.attachment.container_id)}) {
        const auto stored = source_.handle(handle);
        unknown = unknown && stored && !stored->exists();
    }
    source_.end();
    return unknown;
}

Outcome<bool> Service::release_one(Transaction& transaction, const Release& release, WallTime now,
                                   std::vector<HistoryEntry>& given_back) {
    const World& world = knowledge_.world();
    given_back.clear();  // of an attempt that lost a race
    MANUL_TRY(const auto endpoint, transaction.find(release.attachment, release.network));
    const std::string network = !release.network.empty() || !endpoint ? release.network : network_of(*endpoint);
    bool found = false;
    if (endpoint) {
        found = true;
        MANUL_CHECK(transaction.put_endpoint(endpoint->key(), nullptr));
    }
    for (const std::string& handle :
         {handle_id(network, release.attachment), calico_handle_id(network, release.attachment.container_id)}) {
        if (!release.pod.empty()) {
            MANUL_TRY(const bool theirs, is_of_pod(transaction, handle, release.pod));
            if (!theirs) {
                continue;
            }
        }
        MANUL_TRY(const auto freed, release_handle(transaction.ipam(), world, handle, now));
        found = found || !freed.empty();
        for (const net::Ip& address : freed) {
            given_back.push_back({now, HistoryEntry::Event::released, address, handle,
                                  endpoint ? owner_of(*endpoint) : release.attachment.container_id,
                                  "its container ended"});
        }
    }
    return found;
}

std::vector<Outcome<bool>> Service::release(std::span<const Release> releases, WallTime now) {
    if (const auto why = not_ready()) {
        return std::vector<Outcome<bool>>(releases.size(), std::unexpected(*why));
    }
    source_.begin(now);
    std::vector<model::Key> keys;
    for (const Release& one : releases) {
        keys.push_back(handle_key(handle_id(one.network, one.attachment)));
        keys.push_back(handle_key(calico_handle_id(one.network, one.attachment.container_id)));
    }
    source_.prefetch(keys);
    std::vector<std::vector<HistoryEntry>> given_back(releases.size());
    auto results = run_each<bool>(committer_, releases, [&](Transaction& transaction, const Release& release) {
        const auto index = static_cast<std::size_t>(&release - releases.data());
        return release_one(transaction, release, now, given_back[index]);
    });
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (results[i]) {
            std::ranges::move(given_back[i], std::back_inserter(history_));
        }
    }
    return results;
}

std::vector<Outcome<bool>> Service::release_handles(std::span<const std::string> handles, WallTime now) {
    if (const auto why = not_ready()) {
        return std::vector<Outcome<bool>>(handles.size(), std::unexpected(*why));
    }
    source_.begin(now);
    using Freed = std::vector<net::Ip>;
    const auto freed = run_each<Freed>(committer_, handles, [&](Transaction& transaction, const std::string& handle) {
        return release_handle(transaction.ipam(), knowledge_.world(), handle, now);
    });
    std::vector<Outcome<bool>> results;
    for (std::size_t i = 0; i < handles.size(); ++i) {
        if (!freed[i]) {
            results.emplace_back(std::unexpected(freed[i].error()));
            continue;
        }
        results.emplace_back(!freed[i]->empty());
        for (const net::Ip& address : *freed[i]) {
            history_.push_back({now, HistoryEntry::Event::released, address, handles[i], "(no endpoint)",
                                "nobody used it any more, or its container was replaced"});
        }
    }
    return results;
}

}  // namespace manul::ipam
