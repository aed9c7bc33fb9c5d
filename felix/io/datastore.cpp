#include "felix/io/datastore.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/try.hpp"
#include "config/model/node_report.hpp"
#include "config/model/workload_endpoint.hpp"
#include "felix/io/messages.hpp"
#include "felix/io/store_events.hpp"

namespace manul::felix::io {

namespace {

constexpr std::int64_t kFirstRetryUs = 200'000;
constexpr std::int64_t kLastRetryUs = 10'000'000;
/// The store confirms what was announced within a millisecond, when the processors belong to the pod that waits.
constexpr std::int64_t kConfirmLaterUs = 2'000;

/// Between looks for announcements that expire, after the first.
constexpr std::int64_t kExpireAgainUs = 250'000;

std::int64_t now_us() {
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

const model::WorkloadEndpoint* endpoint_of(const Event& event) {
    const auto* put = std::get_if<ResourcePut>(&event);
    return put == nullptr ? nullptr : model::as<model::WorkloadEndpoint>(*put->resource);
}

}  // namespace

Datastore::Datastore(boost::asio::io_context& io, std::string node, std::unique_ptr<store::Store> store,
                     OnChanges on_changes)
    : io_(io),
      node_(std::move(node)),
      store_(std::move(store)),
      on_changes_(std::move(on_changes)),
      retry_us_(kFirstRetryUs),
      retry_(io, [this] { connect(); }),
      expire_(io, [this] { expire(); }),
      read_later_(io, [this] {
          if (watch_) {
              readable_ = std::make_unique<ReadableWatch>(io_, watch_->fd(), [this] { (void)take(); });
              (void)take();
          }
      }) {}

std::size_t Datastore::count(model::Kind kind) const {
    const auto known = known_.find(kind);
    return known == known_.end() ? 0 : known->second.size();
}

std::optional<store::Revision> Datastore::revision_of(const model::Key& key) const {
    const auto known = known_.find(key.kind);
    if (known == known_.end()) {
        return std::nullopt;
    }
    const auto object = known->second.find(key);
    return object == known->second.end() ? std::nullopt : std::optional(object->second);
}

void Datastore::read_again(const std::vector<model::Key>& keys) {
    for (const model::Key& key : keys) {
        // A revision that no object has: one that is there is handed on anew, one that is not as removed.
        known_[key.kind].insert_or_assign(key, store::Revision{});
    }
    retry_.after_us(0);  // not from within the handling of an event
}

void Datastore::connect() {
    readable_.reset();
    watch_.reset();
    StoreChanges changes;
    std::vector<store::WatchStart> starts;
    for (const FollowedKind& followed : kFollowedKinds) {
        if (auto listed = list(followed.kind, changes, starts); !listed) {
            return failed(listed.error());
        }
    }
    auto watch = store_->watch(starts);
    if (!watch) {
        return failed(watch.error());
    }
    watch_ = std::move(*watch);
    readable_ = std::make_unique<ReadableWatch>(io_, watch_->fd(), [this] { (void)take(); });
    retry_us_ = kFirstRetryUs;
    if (std::exchange(reported_away_, false)) {
        log::emit(kStoreBack);
    }
    if (!std::exchange(in_sync_, true)) {
        changes.events.emplace_back(StoreInSync{});
    }
    on_changes_(changes);
    (void)take();  // what happened between list and watch
}

/// What differs from what is known, by revision.
store::StoreResult<void> Datastore::list(model::Kind kind, StoreChanges& changes,
                                         std::vector<store::WatchStart>& starts) {
    MANUL_TRY(const store::Listing listing, store_->list({kind, std::nullopt, {}}));
    auto& known = known_[kind];
    std::unordered_set<model::Key> present;
    std::vector<const store::Object*> changed;
    for (const store::Object& object : listing.items) {
        present.insert(object.key);
        const auto before = known.find(object.key);
        if (before == known.end() || before->second != object.revision || expectations_.contains(object.key)) {
            changed.push_back(&object);
        }
    }
    std::erase_if(changed, [&](const store::Object* object) { return is_confirmed(*object, changes); });
    std::vector<Event> events = events_of(changed);
    for (std::size_t i = 0; i < changed.size(); ++i) {
        put(*changed[i], std::move(events[i]), changes);
    }
    std::vector<model::Key> gone;
    for (const auto& [key, revision] : known) {
        // Where something is damaged, an object that is missing was perhaps not deleted: all of the kind stay in force.
        if (!present.contains(key) && listing.damaged.empty()) {
            gone.push_back(key);
        }
    }
    for (const model::Key& key : gone) {
        remove(key, changes);
    }
    note_token(kind, listing.revision);
    starts.push_back({kind, listing.revision});
    return {};
}

bool Datastore::take() {
    if (!watch_) {
        return false;
    }
    auto events = watch_->take();
    if (!events) {
        if (!std::exchange(reported_away_, true)) {
            log::emit(kStoreAway, 0, events.error().message);
        }
        return false;  // the watch goes on by itself
    }
    if (std::exchange(reported_away_, false)) {
        log::emit(kStoreBack);
    }
    StoreChanges changes;
    bool list_again = false;
    for (const store::Event& event : *events) {
        switch (event.type) {
            case store::Event::Type::put:
                if (!is_confirmed(event.object, changes)) {
                    put(event.object, event_of(event.object), changes);
                }
                note_token(event.object.key.kind, event.object.revision);
                break;
            case store::Event::Type::removed:
                remove(event.object.key, changes);
                note_token(event.object.key.kind, event.object.revision);
                break;
            case store::Event::Type::resync:
                list_again = true;
                break;
        }
    }
    if (!changes.events.empty()) {
        on_changes_(changes);
    }
    if (list_again) {
        connect();
    }
    return !list_again;
}

/// Whether the very version that the store shows was announced, and so handed on. One that was announced otherwise
/// goes: the calculation tells versions apart by their revision, and this one may have the same.
bool Datastore::is_confirmed(const store::Object& object, StoreChanges& changes) {
    switch (expectations_.see(object.key, object.revision, *object.document)) {
        case Expectations::Seen::not_expected:
            return false;
        case Expectations::Seen::confirmed:
            return true;
        case Expectations::Seen::overridden:
            remove(object.key, changes);
            return false;
    }
    return false;
}

void Datastore::expect(const std::vector<store::Object>& endpoints) {
    // Policy that was stored before the endpoint must be in force before it, too.
    if (!in_sync_ || !take()) {
        return;
    }
    StoreChanges changes;
    for (const store::Object& object : endpoints) {
        auto& known = known_[object.key.kind];
        if (expectations_.contains(object.key)) {
            remove(object.key, changes);  // the transaction is tried again
        }
        if (known.contains(object.key)) {
            continue;
        }
        Event event = event_of(object);
        if (const auto* endpoint = endpoint_of(event); endpoint != nullptr && endpoint->spec.node == node_) {
            expectations_.expect(*endpoint, object.document, now_us());
            put(object, std::move(event), changes);
        }
    }
    if (!changes.events.empty()) {
        on_changes_(changes);
    }
    if (expectations_.empty()) {
        return;
    }
    if (!expire_.armed()) {
        expire_.after_us(Expectations::kBoundUs);
    }
    if (readable_) {
        readable_.reset();
        read_later_.after_us(kConfirmLaterUs);
    }
}

void Datastore::withdraw(const std::vector<model::Key>& endpoints, const store::Revision& revision) {
    (void)take();  // it may be stored all the same
    std::vector<model::Key> withdrawn;
    std::ranges::copy_if(endpoints, std::back_inserter(withdrawn),
                         [&](const model::Key& key) { return expectations_.withdraw(key, revision); });
    drop(withdrawn);
}

void Datastore::expire() {
    if (take()) {  // else nothing is known, and nothing changes
        drop(expectations_.take_expired(now_us()));
    }
    if (!expectations_.empty()) {
        expire_.after_us(kExpireAgainUs);
    }
}

void Datastore::drop(const std::vector<model::Key>& expected) {
    StoreChanges changes;
    for (const model::Key& key : expected) {
        log::emit(kEndpointNotStored, key.to_string());
        remove(key, changes);
    }
    if (!changes.events.empty()) {
        on_changes_(changes);
    }
}

void Datastore::put(const store::Object& object, Event event, StoreChanges& changes) {
    if (const model::WorkloadEndpoint* endpoint = expectations_.empty() ? nullptr : endpoint_of(event)) {
        for (const model::Key& key : expectations_.override_by(*endpoint)) {
            remove(key, changes);
        }
    }
    known_[object.key.kind][object.key] = object.revision;
    if (std::holds_alternative<ResourcePut>(event)) {
        changes.documents[object.key] = object.document;
    }
    changes.events.push_back(std::move(event));
}

void Datastore::remove(const model::Key& key, StoreChanges& changes) {
    expectations_.forget(key);
    if (known_[key.kind].erase(key) != 0) {
        changes.events.emplace_back(ResourceRemoved{key});
    }
}

void Datastore::note_token(model::Kind kind, const store::Revision& revision) {
    const bool applied = std::ranges::any_of(kFollowedKinds, [kind](const FollowedKind& followed) {
        return followed.kind == kind && followed.applied_by_people;
    });
    if (applied && !revision.empty()) {
        tokens_[model::reported_kind(kind)] = revision;
    }
}

void Datastore::failed(const store::StoreError& error) {
    if (!std::exchange(reported_away_, true)) {
        log::emit(kStoreAway, retry_us_ / 1000, error.message);
    }
    retry_.after_us(retry_us_);
    retry_us_ = std::min(retry_us_ * 2, kLastRetryUs);
}

}  // namespace manul::felix::io
