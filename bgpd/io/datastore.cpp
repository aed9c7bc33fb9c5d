#include "bgpd/io/datastore.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "base/base64.hpp"
#include "base/daemon.hpp"
#include "base/log.hpp"
#include "base/try.hpp"
#include "bgpd/io/messages.hpp"
#include "bgpd/speaker/originate.hpp"
#include "bgpd/speaker/peers.hpp"
#include "config/codec/json.hpp"
#include "config/model/bgp_configuration.hpp"
#include "config/model/bgp_filter.hpp"
#include "config/model/bgp_peer.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/calico_node_status.hpp"
#include "config/model/finding.hpp"
#include "config/model/ip_pool.hpp"
#include "config/model/kind.hpp"
#include "config/model/node.hpp"
#include "config/model/node_report.hpp"
#include "config/model/referenced_secret.hpp"
#include "config/model/resource.hpp"
#include "config/model/secret.hpp"
#include "config/model/service.hpp"
#include "config/model/workload_endpoint.hpp"
#include "config/store/store.hpp"
#include "config/store_in_force.hpp"

namespace manul::bgp::io {
namespace {

using model::Kind;

constexpr std::int64_t kFirstPauseUs = 200'000;
constexpr std::int64_t kLastPauseUs = 10'000'000;
/// How often an empty store in the place of the one in force is looked at.
constexpr std::int64_t kHeldPauseUs = 2'000'000;

constexpr std::array kKinds = {Kind::node,       Kind::bgp_configuration, Kind::bgp_peer,
                               Kind::bgp_filter, Kind::ip_pool,           Kind::block_affinity,
                               Kind::service,    Kind::endpoint_slice,    Kind::workload_endpoint,
                               Kind::secret,     Kind::calico_node_status};

/// The others change by themselves all the time: reporting their tokens would make idle nodes write for ever.
bool applied_by_people(Kind kind) {
    return kind == Kind::bgp_configuration || kind == Kind::bgp_peer || kind == Kind::bgp_filter ||
           kind == Kind::ip_pool;
}

std::string errors_of(const model::Findings& findings) {
    std::string text;
    for (const model::Finding& finding : findings) {
        if (finding.severity == model::Finding::Severity::error) {
            text += (text.empty() ? "" : "; ") + finding.to_string();
        }
    }
    return text;
}

/// Values that are shown no more stay what they were: who may read a Secret decides about no session.
void keep_values(const model::ResourcePtr& before, model::ResourcePtr& now) {
    const auto known = model::as<model::Secret>(before);
    const auto shown = model::as<model::Secret>(now);
    if (!known || !shown) {
        return;
    }
    auto secret = std::make_shared<model::Secret>(*shown);
    for (auto& [key, value] : secret->data) {
        const auto kept = known->data.find(key);
        if (value == model::kSecretMask && kept != known->data.end()) {
            value = kept->second;
        }
    }
    now = std::move(secret);
}

}  // namespace

/// What a job on the worker brings back: everything that the store holds at one time, and what happens from then on.
struct Datastore::Snapshot {
    std::string uid;
    std::vector<Listed> kinds;
    std::unique_ptr<store::Watch> watch;

    [[nodiscard]] bool is_made_by_people() const {
        return std::ranges::any_of(
            kinds, [](const Listed& listed) { return applied_by_people(listed.kind) && !listed.keys.empty(); });
    }
};

Datastore::Datastore(boost::asio::io_context& io, Worker& worker, std::unique_ptr<store::Store> store,
                     config::StoreInForce in_force, std::string node_name, std::function<void()> on_change)
    : io_(io),
      worker_(worker),
      store_(std::move(store)),
      in_force_(std::move(in_force)),
      node_name_(std::move(node_name)),
      on_change_(std::move(on_change)),
      pause_us_(kFirstPauseUs),
      retry_(io, [this] { connect(); }) {}

void Datastore::connect() {
    readable_.reset();
    watch_.reset();
    // From here to the answer the store belongs to the worker's thread.
    worker_.submit([this, store = store_]() -> std::move_only_function<void()> {
        auto snapshot = read(*store);
        if (!snapshot) {
            return [this, error = snapshot.error()] { failed(error); };
        }
        return [this, result = *std::move(snapshot)]() mutable { take(std::move(result)); };
    });
}

store::StoreResult<Datastore::Snapshot> Datastore::read(store::Store& store) {
    Snapshot snapshot;
    MANUL_TRY(snapshot.uid, config::StoreInForce::read_uid(store));
    std::vector<store::WatchStart> starts;
    for (const Kind kind : kKinds) {
        MANUL_TRY(const store::Listing listing, store.list({kind, std::nullopt, {}}));
        Listed& listed = snapshot.kinds.emplace_back(Listed{kind, listing.revision, {}, {}, !listing.damaged.empty()});
        for (const store::Object& object : listing.items) {
            listed.keys.push_back(object.key);
            listed.items.emplace_back(object.key, decode(object));
        }
        for (const store::DamagedObject& object : listing.damaged) {
            listed.keys.push_back(object.key);
            listed.items.emplace_back(object.key, Followed{object.revision, {}, nullptr, object.error.message});
        }
        starts.push_back({kind, listing.revision});
    }
    MANUL_TRY(snapshot.watch, store.watch(starts));
    MANUL_TRY(const std::string uid, config::StoreInForce::read_uid(store));
    if (uid != snapshot.uid) {
        return std::unexpected(store::StoreError{
            store::StoreError::Code::unavailable, "the datastore was replaced while it was read", {}});
    }
    return snapshot;
}

Datastore::Followed Datastore::decode(const store::Object& object) {
    codec::Decoded decoded = codec::decode_and_validate(object.key.kind, *object.document, codec::Mode::lenient);
    if (!decoded.ok()) {
        return {object.revision, {}, nullptr, errors_of(decoded.findings)};
    }
    return {object.revision, object.revision, std::move(decoded.resource), {}};
}

void Datastore::take(Snapshot snapshot) {
    if (in_force_.is_lost(snapshot.uid, !snapshot.is_made_by_people())) {
        return hold();
    }
    uid_ = std::move(snapshot.uid);
    lost_ = false;
    watch_ = std::move(snapshot.watch);
    readable_ = std::make_unique<ReadableWatch>(io_, watch_->fd(), [this] { on_readable(); });
    pause_us_ = kFirstPauseUs;
    if (std::exchange(problem_, std::nullopt)) {
        log::emit(kStoreBack);
    }
    for (Listed& listed : snapshot.kinds) {
        const std::unordered_set<model::Key> stored(listed.keys.begin(), listed.keys.end());
        if (!listed.damaged) {  // else what is missing was perhaps not deleted
            std::erase_if(objects_[listed.kind], [&](const auto& one) { return !stored.contains(one.first); });
        }
        for (auto& [key, next] : listed.items) {
            put(key, std::move(next));
        }
        note_token(listed.kind, listed.revision);
    }
    in_sync_ = true;
    changed();
    on_readable();  // what happened between list and watch
}

void Datastore::changed() {
    on_change_();
    const bool made_by_people = std::ranges::any_of(
        objects_, [](const auto& kind) { return applied_by_people(kind.first) && !kind.second.empty(); });
    in_force_.note(uid_, !made_by_people);
}

void Datastore::hold() {
    if (!std::exchange(lost_, true)) {
        problem_ = "an empty one is in its place";
        log::emit(kStoreLost);
        on_change_();
    }
    retry_.after_us(kHeldPauseUs);
}

void Datastore::on_readable() {
    auto events = watch_->take();
    if (!events) {
        return report_away(events.error());  // the watch goes on by itself
    }
    // Events of one kind do not mean that another is followed again.
    if (problem_ && !watch_->problem()) {
        problem_.reset();
        log::emit(kStoreBack);
    }
    bool list_again = false;
    for (const store::Event& event : *events) {
        const model::Key& key = event.object.key;
        switch (event.type) {
            case store::Event::Type::put:
                put(key, decode(event.object));
                note_token(key.kind, event.object.revision);
                break;
            case store::Event::Type::removed:
                objects_[key.kind].erase(key);
                note_token(key.kind, event.object.revision);
                break;
            case store::Event::Type::resync:
                list_again = true;
                break;
        }
    }
    if (!events->empty()) {
        changed();
    }
    if (list_again) {
        connect();
    }
}

bool Datastore::concerns(const model::Resource& resource) const {
    if (const auto* endpoint = model::as<model::WorkloadEndpoint>(resource)) {
        return endpoint->spec.node == node_name_;
    }
    if (const auto* affinity = model::as<model::BlockAffinity>(resource)) {
        return affinity->spec.node == node_name_;
    }
    if (const auto* status = model::as<model::CalicoNodeStatus>(resource)) {
        return status->spec.node == node_name_;
    }
    if (model::as<model::Secret>(resource) != nullptr) {
        return resource.metadata.ns == model::kSecretsNamespace;
    }
    return true;
}

void Datastore::put(const model::Key& key, Followed next) {
    auto& objects = objects_[key.kind];
    if (next.resource && !concerns(*next.resource)) {
        objects.erase(key);
        return;
    }
    const auto before = objects.find(key);
    if (before != objects.end() && next.resource) {
        keep_values(before->second.resource, next.resource);
    }
    if (!next.resource) {
        if (before != objects.end()) {
            next.resource = before->second.resource;
            next.in_force_revision = before->second.in_force_revision;
        }
        if (before == objects.end() || before->second.revision != next.revision) {
            log::emit(kBadResource, model::info(key.kind).name, key.name, next.refused);
        }
    }
    objects.insert_or_assign(key, std::move(next));
}

void Datastore::note_token(Kind kind, const store::Revision& revision) {
    if (applied_by_people(kind) && !revision.empty()) {
        tokens_[model::reported_kind(kind)] = revision;
    }
}

void Datastore::failed(const store::StoreError& error) {
    report_away(error);
    retry_.after_us(pause_us_);
    pause_us_ = std::min(pause_us_ * 2, kLastPauseUs);
}

void Datastore::report_away(const store::StoreError& error) {
    if (!std::exchange(problem_, error.message)) {
        log::emit(kStoreFailed, error.message);
    }
}

template <class T>
std::vector<std::shared_ptr<const T>> Datastore::all() const {
    std::vector<std::shared_ptr<const T>> result;
    if (const auto objects = objects_.find(T::kKind); objects != objects_.end()) {
        for (const auto& [key, followed] : objects->second) {
            if (auto resource = model::as<T>(followed.resource)) {
                result.push_back(std::move(resource));
            }
        }
    }
    return result;
}

speaker::PeerResources Datastore::peer_resources() const {
    return {.node_name = node_name_,
            .nodes = all<model::Node>(),
            .peers = all<model::BgpPeer>(),
            .configurations = all<model::BgpConfiguration>(),
            .pools = all<model::IpPool>(),
            .filters = all<model::BgpFilter>(),
            .endpoints = all<model::WorkloadEndpoint>()};
}

speaker::OriginResources Datastore::origin_resources() const {
    speaker::OriginResources resources{.node_name = node_name_,
                                       .affinities = all<model::BlockAffinity>(),
                                       .endpoints = all<model::WorkloadEndpoint>(),
                                       .pools = all<model::IpPool>(),
                                       .configuration = nullptr,
                                       .services = {.node_name = node_name_,
                                                    .node = nullptr,
                                                    .services = all<model::Service>(),
                                                    .slices = all<model::EndpointSlice>()}};
    for (const auto& node : all<model::Node>()) {
        if (node->metadata.name == node_name_) {
            resources.services.node = node;
        }
    }
    for (const auto& configuration : all<model::BgpConfiguration>()) {
        if (configuration->metadata.name == "default") {
            resources.configuration = configuration;
        }
    }
    return resources;
}

StoredSecrets Datastore::secrets() const {
    StoredSecrets out;
    for (const auto& secret : all<model::Secret>()) {
        for (const auto& [key, text] : secret->data) {
            if (text == model::kSecretMask) {
                out.unreadable[secret->metadata.name] = "its values are not shown to this host (role manul-node)";
            } else if (auto value = base64_decode(text)) {
                out.values.emplace(std::pair(secret->metadata.name, key), *std::move(value));
            }
        }
        for (const auto& [key, text] : secret->string_data) {
            out.values.insert_or_assign(std::pair(secret->metadata.name, key), text);
        }
    }
    if (const auto stored = objects_.find(Kind::secret); stored != objects_.end()) {
        for (const auto& [key, followed] : stored->second) {
            if (!followed.refused.empty()) {
                out.unreadable[key.name] = followed.refused;
            }
        }
    }
    return out;
}

std::vector<std::shared_ptr<const model::CalicoNodeStatus>> Datastore::status_requests() const {
    return all<model::CalicoNodeStatus>();
}

std::size_t Datastore::node_count() const {
    const auto nodes = objects_.find(Kind::node);
    return nodes == objects_.end() ? 0 : nodes->second.size();
}

std::vector<model::NotInForce> Datastore::not_in_force() const {
    std::vector<model::NotInForce> result;
    for (const auto& [kind, objects] : objects_) {
        for (const auto& [key, followed] : objects) {
            if (!followed.refused.empty()) {
                result.push_back({model::reported_kind(kind), key.ns, key.name, followed.refused, followed.revision,
                                  followed.in_force_revision});
            }
        }
    }
    std::ranges::sort(result, {}, [](const model::NotInForce& one) { return std::tie(one.kind, one.ns, one.name); });
    return result;
}

}  // namespace manul::bgp::io
