#include "felix/io/datastore.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <expected>
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
#include "felix/io/messages.hpp"
#include "felix/io/store_events.hpp"

namespace manul::felix::io {

namespace {

constexpr std::int64_t kFirstRetryUs = 200'000;
constexpr std::int64_t kLastRetryUs = 10'000'000;
/// How often an empty store in the place of the one in force is looked at.
constexpr std::int64_t kHeldRetryUs = 2'000'000;

}  // namespace

Datastore::Datastore(boost::asio::io_context& io, std::unique_ptr<store::Store> store, config::StoreInForce in_force,
                     OnChanges on_changes)
    : io_(io),
      store_(std::move(store)),
      in_force_(std::move(in_force)),
      on_changes_(std::move(on_changes)),
      retry_us_(kFirstRetryUs),
      retry_(io, [this] { connect(); }) {}

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

bool Datastore::Contents::is_made_by_people() const {
    return std::ranges::any_of(kinds, [](const Listed& listed) {
        return std::ranges::any_of(listed.listing.items,
                                   [](const store::Object& object) { return io::is_made_by_people(object.key); }) ||
               std::ranges::any_of(listed.listing.damaged, [](const store::DamagedObject& object) {
                   return io::is_made_by_people(object.key);
               });
    });
}

void Datastore::connect() {
    readable_.reset();
    watch_.reset();
    auto contents = read();
    if (!contents) {
        return failed(contents.error());
    }
    if (in_force_.is_lost(contents->uid, !contents->is_made_by_people())) {
        return hold();
    }
    uid_ = std::move(contents->uid);
    watch_ = std::move(contents->watch);
    readable_ = std::make_unique<ReadableWatch>(io_, watch_->fd(), [this] { on_readable(); });
    retry_us_ = kFirstRetryUs;
    lost_ = false;
    if (std::exchange(problem_, std::nullopt)) {
        log::emit(kStoreBack);
    }
    StoreChanges changes;
    for (const Listed& listed : std::exchange(contents->kinds, {})) {
        compare(listed, changes);
    }
    if (!std::exchange(in_sync_, true)) {
        changes.events.emplace_back(StoreInSync{});
    }
    hand_on(changes);
    on_readable();  // what happened between list and watch
}

/// All of it or nothing: of a store that goes away meanwhile no part counts as read.
store::StoreResult<Datastore::Contents> Datastore::read() {
    Contents contents;
    MANUL_TRY(contents.uid, config::StoreInForce::read_uid(*store_));
    std::vector<store::WatchStart> starts;
    for (const FollowedKind& followed : kFollowedKinds) {
        if (!is_followed(followed.kind, *store_)) {
            continue;
        }
        MANUL_TRY(store::Listing listing, store_->list({followed.kind, std::nullopt, {}}));
        starts.push_back({followed.kind, listing.revision});
        contents.kinds.push_back({followed.kind, std::move(listing)});
    }
    MANUL_TRY(contents.watch, store_->watch(starts));
    MANUL_TRY(const std::string uid, config::StoreInForce::read_uid(*store_));
    if (uid != contents.uid) {
        return std::unexpected(store::StoreError{
            store::StoreError::Code::unavailable, "the datastore was replaced while it was read", {}});
    }
    return contents;
}

/// What differs from what is known, by revision.
void Datastore::compare(const Listed& listed, StoreChanges& changes) {
    const auto& [kind, listing] = listed;
    auto& known = known_[kind];
    std::unordered_set<model::Key> present;
    std::vector<const store::Object*> changed;
    for (const store::Object& object : listing.items) {
        present.insert(object.key);
        const auto before = known.find(object.key);
        if (before == known.end() || before->second != object.revision) {
            changed.push_back(&object);
        }
    }
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
}

void Datastore::hand_on(const StoreChanges& changes) {
    on_changes_(changes);
    const bool made_by_people = std::ranges::any_of(known_, [](const auto& kind) {
        return is_made_by_people(kind.first) &&
               std::ranges::any_of(kind.second, [](const auto& object) { return is_made_by_people(object.first); });
    });
    in_force_.note(uid_, !made_by_people);
}

void Datastore::hold() {
    if (!std::exchange(lost_, true)) {
        problem_ = "an empty one is in its place";
        log::emit(kStoreLost);
        on_changes_({});
    }
    retry_.after_us(kHeldRetryUs);
}

void Datastore::on_readable() {
    if (!watch_) {
        return;
    }
    auto events = watch_->take();
    if (!events) {
        return report_away(events.error());  // the watch goes on by itself
    }
    // Events of one kind do not mean that another is followed again.
    if (problem_ && !watch_->problem()) {
        problem_.reset();
        log::emit(kStoreBack);
    }
    StoreChanges changes;
    bool list_again = false;
    for (const store::Event& event : *events) {
        switch (event.type) {
            case store::Event::Type::put:
                put(event.object, event_of(event.object), changes);
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
        hand_on(changes);
    }
    if (list_again) {
        connect();
    }
}

void Datastore::put(const store::Object& object, Event event, StoreChanges& changes) {
    known_[object.key.kind][object.key] = object.revision;
    if (std::holds_alternative<ResourcePut>(event)) {
        changes.documents[object.key] = object.document;
    }
    changes.events.push_back(std::move(event));
}

void Datastore::remove(const model::Key& key, StoreChanges& changes) {
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
    report_away(error);
    retry_.after_us(retry_us_);
    retry_us_ = std::min(retry_us_ * 2, kLastRetryUs);
}

void Datastore::report_away(const store::StoreError& error) {
    if (!std::exchange(problem_, error.message)) {
        log::emit(kStoreAway, error.message);
    }
}

}  // namespace manul::felix::io
