#include "felix/io/datastore.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/node_report.hpp"
#include "config/model/validate.hpp"
#include "felix/io/messages.hpp"

namespace manul::felix::io {

namespace {

constexpr std::int64_t kFirstRetryUs = 200'000;
constexpr std::int64_t kLastRetryUs = 10'000'000;

struct FollowedKind {
    model::Kind kind;
    bool applied_by_people;  ///< others change by themselves all the time
};
constexpr std::array kKinds{
    FollowedKind{model::Kind::felix_configuration, true},
    FollowedKind{model::Kind::node, false},
    FollowedKind{model::Kind::ip_pool, true},
    FollowedKind{model::Kind::namespace_, true},
    FollowedKind{model::Kind::service_account, true},
    FollowedKind{model::Kind::profile, true},
    FollowedKind{model::Kind::tier, true},
    FollowedKind{model::Kind::network_set, true},
    FollowedKind{model::Kind::global_network_set, true},
    FollowedKind{model::Kind::network_policy, true},
    FollowedKind{model::Kind::global_network_policy, true},
    FollowedKind{model::Kind::kubernetes_network_policy, true},
    FollowedKind{model::Kind::host_endpoint, true},
    FollowedKind{model::Kind::workload_endpoint, false},
};

bool is_policy(model::Kind kind) {
    return kind == model::Kind::network_policy || kind == model::Kind::global_network_policy ||
           kind == model::Kind::kubernetes_network_policy;
}

std::string joined(const model::Findings& findings) {
    std::string text;
    for (const model::Finding& finding : findings) {
        if (finding.severity == model::Finding::Severity::error) {
            text += text.empty() ? "" : "; ";
            text += finding.to_string();
        }
    }
    return text;
}

}  // namespace

Datastore::Datastore(boost::asio::io_context& io, std::unique_ptr<store::Store> store, OnChanges on_changes)
    : io_(io),
      store_(std::move(store)),
      on_changes_(std::move(on_changes)),
      retry_us_(kFirstRetryUs),
      retry_(io, [this] { connect(); }) {}

std::size_t Datastore::count(model::Kind kind) const {
    const auto known = known_.find(kind);
    return known == known_.end() ? 0 : known->second.size();
}

void Datastore::connect() {
    readable_.reset();
    watch_.reset();
    StoreChanges changes;
    std::vector<store::WatchStart> starts;
    for (const FollowedKind& followed : kKinds) {
        if (auto listed = list(followed.kind, changes, starts); !listed) {
            return failed(listed.error());
        }
    }
    auto watch = store_->watch(starts);
    if (!watch) {
        return failed(watch.error());
    }
    watch_ = std::move(*watch);
    readable_ = std::make_unique<ReadableWatch>(io_, watch_->fd(), [this] { on_readable(); });
    retry_us_ = kFirstRetryUs;
    if (std::exchange(reported_away_, false)) {
        log::emit(kStoreBack);
    }
    if (!std::exchange(in_sync_, true)) {
        changes.events.emplace_back(StoreInSync{});
    }
    on_changes_(changes);
    on_readable();  // what happened between list and watch
}

/// What differs from what is known, by revision.
store::StoreResult<void> Datastore::list(model::Kind kind, StoreChanges& changes,
                                         std::vector<store::WatchStart>& starts) {
    MANUL_TRY(const store::Listing listing, store_->list({kind, std::nullopt, {}}));
    auto& known = known_[kind];
    std::unordered_set<model::Key> present;
    for (const store::Object& object : listing.items) {
        present.insert(object.key);
        const auto before = known.find(object.key);
        if (before == known.end() || before->second != object.revision) {
            put(object, changes);
        }
    }
    std::vector<model::Key> gone;
    for (const auto& [key, revision] : known) {
        if (!present.contains(key)) {
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

void Datastore::on_readable() {
    if (!watch_) {
        return;
    }
    auto events = watch_->take();
    if (!events) {
        if (!std::exchange(reported_away_, true)) {
            log::emit(kStoreAway, 0, events.error().message);
        }
        return;  // the watch goes on by itself
    }
    if (std::exchange(reported_away_, false)) {
        log::emit(kStoreBack);
    }
    StoreChanges changes;
    bool list_again = false;
    for (const store::Event& event : *events) {
        switch (event.type) {
            case store::Event::Type::put:
                put(event.object, changes);
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
}

void Datastore::put(const store::Object& object, StoreChanges& changes) {
    known_[object.key.kind][object.key] = object.revision;
    codec::Decoded decoded = codec::decode_and_validate(object.key.kind, *object.document, codec::Mode::lenient);
    if (decoded.ok()) {
        changes.documents[object.key] = object.document;
        changes.events.emplace_back(ResourcePut{std::move(decoded.resource)});
        return;
    }
    ResourceRefused refused{object.key, object.revision, joined(decoded.findings), nullptr};
    if (is_policy(object.key.kind) && decoded.resource && model::policy_scope_is_readable(decoded.findings)) {
        refused.readable_scope = std::move(decoded.resource);
    }
    changes.events.emplace_back(std::move(refused));
}

void Datastore::remove(const model::Key& key, StoreChanges& changes) {
    if (known_[key.kind].erase(key) != 0) {
        changes.events.emplace_back(ResourceRemoved{key});
    }
}

void Datastore::note_token(model::Kind kind, const store::Revision& revision) {
    const bool applied = std::ranges::any_of(
        kKinds, [kind](const FollowedKind& followed) { return followed.kind == kind && followed.applied_by_people; });
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
