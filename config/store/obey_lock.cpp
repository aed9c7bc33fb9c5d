#include "config/store/obey_lock.hpp"

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/cluster_information.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/store.hpp"

namespace manul::store {

namespace {

using Code = StoreError::Code;
constexpr model::Kind kKind = model::Kind::cluster_information;
constexpr std::string_view kName = "default";

StoreError locked_error() {
    return error(Code::unavailable,
                 "the datastore is locked (ClusterInformation default: datastoreReady is false); what is in force "
                 "stays until `manulctl datastore migrate unlock`");
}

bool says_locked(const Object& object) {
    const auto decoded = codec::decode(kKind, *object.document, codec::Mode::lenient);
    const auto cluster = model::as<model::ClusterInformation>(decoded.resource);
    return cluster && !cluster->spec.datastore_ready;
}

class ObedientWatch final : public Watch {
public:
    ObedientWatch(std::unique_ptr<Watch> watch, std::vector<model::Kind> kinds)
        : watch_(std::move(watch)), kinds_(std::move(kinds)) {}

    [[nodiscard]] int fd() const noexcept override { return watch_->fd(); }

    [[nodiscard]] StoreResult<std::vector<Event>> take() override {
        MANUL_TRY(std::vector<Event> events, watch_->take());
        std::vector<Event> told;
        for (Event& event : events) {
            const Object& object = event.object;
            if (object.key.kind == kKind) {
                if (event.type == Event::Type::resync) {
                    missed_ = true;  // a lock may have come and gone: everything is looked at again
                } else if (object.key.name == kName) {
                    locked_ = event.type == Event::Type::put && object.document && says_locked(object);
                    missed_ = missed_ || locked_;
                }
            } else if (!missed_) {
                told.push_back(std::move(event));
            }
        }
        if (!missed_) {
            return told;
        }
        if (locked_) {
            // What came before the lock is listed again when it ends.
            return std::unexpected(locked_error());
        }
        for (const model::Kind kind : std::exchange(kinds_, {})) {
            told.push_back(Event{Event::Type::resync, Object{model::Key{kind, {}, {}}, {}, nullptr}});
        }
        return told;
    }

    [[nodiscard]] std::optional<StoreError> problem() override {
        return missed_ && locked_ ? std::optional(locked_error()) : watch_->problem();
    }

private:
    std::unique_ptr<Watch> watch_;
    std::vector<model::Kind> kinds_;  ///< that the owner follows
    bool locked_ = false;
    bool missed_ = false;  ///< events of them were thrown away
};

class ObedientStore final : public Store {
public:
    explicit ObedientStore(std::unique_ptr<Store> store) : store_(std::move(store)) {}

    [[nodiscard]] StoreResult<Object> get(const model::Key& key) override { return store_->get(key); }

    [[nodiscard]] StoreResult<Listing> list(const ListQuery& query) override {
        // Once for all lists before a watch, which asks again: else each list would be two requests.
        if (!has_asked_) {
            MANUL_TRY(const bool locked, is_locked(*store_));
            if (locked) {
                return std::unexpected(locked_error());
            }
            has_asked_ = true;
        }
        return store_->list(query);
    }

    [[nodiscard]] StoreResult<Object> create(const model::Key& key, std::string_view document) override {
        return store_->create(key, document);
    }
    [[nodiscard]] StoreResult<Object> update(const model::Key& key, std::string_view document,
                                             const std::optional<Revision>& expected) override {
        return store_->update(key, document, expected);
    }
    [[nodiscard]] StoreResult<Object> remove(const model::Key& key, const std::optional<Revision>& expected) override {
        return store_->remove(key, expected);
    }
    [[nodiscard]] StoreResult<Revision> transact(std::span<const Op> ops, Checks checks) override {
        return store_->transact(ops, checks);
    }
    [[nodiscard]] bool transactional() const noexcept override { return store_->transactional(); }
    [[nodiscard]] StoreResult<std::string> identity() override { return store_->identity(); }

    [[nodiscard]] StoreResult<std::unique_ptr<Watch>> watch(std::span<const WatchStart> starts) override {
        has_asked_ = false;
        MANUL_TRY(const Listing listing, store_->list({.kind = kKind, .ns = std::nullopt, .name_prefix = {}}));
        for (const Object& object : listing.items) {
            if (object.key.name == kName && says_locked(object)) {  // and the lists before it count for nothing
                return std::unexpected(locked_error());
            }
        }
        std::vector<WatchStart> all(starts.begin(), starts.end());
        std::vector<model::Kind> kinds;
        for (const WatchStart& start : starts) {
            kinds.push_back(start.kind);
        }
        all.push_back({kKind, listing.revision});
        MANUL_TRY(std::unique_ptr<Watch> watch, store_->watch(all));
        return std::make_unique<ObedientWatch>(std::move(watch), std::move(kinds));
    }

private:
    std::unique_ptr<Store> store_;
    bool has_asked_ = false;  ///< since the last watch
};

}  // namespace

StoreResult<bool> is_locked(Store& store) {
    const auto cluster = store.get({kKind, {}, std::string(kName)});
    if (!cluster && cluster.error().code != Code::not_found) {
        return std::unexpected(cluster.error());
    }
    return cluster && says_locked(*cluster);
}

std::unique_ptr<Store> obey_lock(std::unique_ptr<Store> store) {
    return std::make_unique<ObedientStore>(std::move(store));
}

}  // namespace manul::store
