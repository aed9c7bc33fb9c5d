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

}  // namespace

Service::Service(store::Store& store, HostIdentity host)
    : store_(store),
      host_(std::move(host)),
      knowledge_(host_.node),
      source_(store, host_.node),
      committer_(store, source_) {}

int Service::watch_fd() const noexcept { return watch_ ? watch_->fd() : -1; }

Outcome<void> Service::start() {
    watch_.reset();
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

void Service::set_uplinks(std::vector<Uplink> uplinks) {
    uplinks_ = std::move(uplinks);
    mtu_.reset();
}

Answer Service::status(const Request& request, WallTime now) {
    const auto unavailable = [](Failure why) {
        why.code = static_cast<std::uint16_t>(ErrorCode::not_available);
        return to_answer(std::move(why));
    };
    if (auto why = not_ready()) {
        return unavailable(*std::move(why));
    }
    // What is in memory would do for an address, but not for the write that gives it.
    const auto answers = store_.get({model::Kind::cluster_information, {}, "default"});
    if (!answers && answers.error().code != store::StoreError::Code::not_found) {
        return unavailable(store_failure(answers.error()));
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
