#include "config/store/memory_backend.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <expected>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/document.hpp"
#include "config/store/memory.hpp"
#include "config/store/object_store.hpp"
#include "config/store/position.hpp"
#include "config/store/store.hpp"
#include "config/store/watched_kinds.hpp"

namespace manul::store {

using Code = StoreError::Code;

namespace {

struct StoredBody {
    std::int64_t revision;
    std::shared_ptr<const std::string> body;
};

struct LoggedChange {
    std::int64_t revision;
    Event::Type type;
    model::Key key;
    std::shared_ptr<const std::string> body;
};

}  // namespace

class MemoryDatabase {
public:
    explicit MemoryDatabase(MemoryOptions options) : options_(options), identity_(make_uid()) {}

    [[nodiscard]] const std::string& identity() const noexcept { return identity_; }

    Snapshot read(std::span<const model::Key> keys) {
        const std::lock_guard lock(mutex_);
        Snapshot snapshot{{}, std::to_string(revision_)};
        for (const model::Key& key : keys) {
            const auto found = objects_.find(key);
            snapshot.rows.push_back(found == objects_.end() ? std::nullopt : std::optional(row(*found)));
        }
        return snapshot;
    }

    Listing scan(const ListQuery& query) {
        const std::lock_guard lock(mutex_);
        Listing listing{{}, std::to_string(revision_), {}};
        const model::Key first{query.kind, query.ns.value_or(""), query.ns ? query.name_prefix : ""};
        for (auto at = objects_.lower_bound(first); at != objects_.end() && at->first.kind == query.kind; ++at) {
            if (query.ns && at->first.ns != *query.ns) {
                break;
            }
            if (at->first.name.starts_with(query.name_prefix)) {
                add_row(listing, at->first, std::to_string(at->second.revision), *at->second.body);
            }
        }
        return listing;
    }

    StoreResult<Revision> commit(std::span<const Mutation> mutations, std::span<const KindUnchanged> kinds) {
        const std::lock_guard lock(mutex_);
        for (const Mutation& mutation : mutations) {
            const auto found = objects_.find(mutation.key);
            const bool holds = mutation.precondition.absent
                                   ? found == objects_.end()
                                   : found != objects_.end() &&
                                         std::to_string(found->second.revision) == mutation.precondition.revision;
            if (!holds) {
                return std::unexpected(error(Code::conflict, "update conflict: " + mutation.key.to_string()));
            }
        }
        for (const KindUnchanged& unchanged : kinds) {
            if (changed_since(unchanged)) {
                return std::unexpected(error(Code::conflict, "update conflict: other objects of the kind changed"));
            }
        }
        ++revision_;
        for (const Mutation& mutation : mutations) {
            apply(mutation);
        }
        while (std::ssize(log_) > options_.change_log_limit) {
            compacted_ = log_.front().revision;
            log_.pop_front();
        }
        for (const int wakeup : wakeups_) {
            ::eventfd_write(wakeup, 1);
        }
        return std::to_string(revision_);
    }

    void follow(int wakeup) {
        const std::lock_guard lock(mutex_);
        wakeups_.insert(wakeup);
    }
    void unfollow(int wakeup) {
        const std::lock_guard lock(mutex_);
        wakeups_.erase(wakeup);
    }

    std::vector<Event> changes(WatchedKinds& kinds) {
        const std::lock_guard lock(mutex_);
        std::vector<Event> events;
        kinds.end_outside(compacted_, revision_, events);
        const auto first = std::ranges::upper_bound(log_, kinds.position(), {}, &LoggedChange::revision);
        for (auto at = first; at != log_.end(); ++at) {
            if (kinds.wants(at->key.kind, at->revision)) {
                events.push_back(Event{at->type, Object{at->key, std::to_string(at->revision), at->body}});
            }
        }
        kinds.advance(revision_);
        return events;
    }

private:
    static Row row(const std::pair<const model::Key, StoredBody>& object) {
        return Row{object.first, std::to_string(object.second.revision), object.second.body};
    }

    bool changed_since(const KindUnchanged& unchanged) const {
        const auto since = parse_revision(unchanged.since);
        return !since || *since < compacted_ ||
               std::ranges::any_of(
                   log_,
                   [&](const LoggedChange& change) {
                       return change.revision > *since && change.key.kind == unchanged.kind &&
                              change.type == Event::Type::put;
                   });
    }

    void apply(const Mutation& mutation) {
        switch (mutation.type) {
            case Mutation::Type::check:
                break;
            case Mutation::Type::put: {
                const StoredBody stored{revision_, std::make_shared<const std::string>(mutation.body)};
                objects_.insert_or_assign(mutation.key, stored);
                log_.push_back({revision_, Event::Type::put, mutation.key, stored.body});
                break;
            }
            case Mutation::Type::remove: {
                const auto found = objects_.find(mutation.key);
                log_.push_back({revision_, Event::Type::removed, mutation.key, found->second.body});
                objects_.erase(found);
                break;
            }
        }
    }

    std::mutex mutex_;  // guards everything below; the database is small and calls are short
    MemoryOptions options_;
    std::string identity_;
    std::int64_t revision_ = 1;
    std::int64_t compacted_ = 0;
    std::map<model::Key, StoredBody> objects_;
    std::deque<LoggedChange> log_;
    std::set<int> wakeups_;
};

namespace {

class MemoryWatch final : public Watch, public Positioned {
public:
    MemoryWatch(std::shared_ptr<MemoryDatabase> database, WatchedKinds kinds)
        : database_(std::move(database)), kinds_(std::move(kinds)), wakeup_(::eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC)) {
        database_->follow(wakeup_);
    }
    ~MemoryWatch() override {
        database_->unfollow(wakeup_);
        ::close(wakeup_);
    }
    MemoryWatch(const MemoryWatch&) = delete;
    MemoryWatch& operator=(const MemoryWatch&) = delete;

    [[nodiscard]] int fd() const noexcept override { return wakeup_; }

    [[nodiscard]] StoreResult<std::vector<Event>> take() override {
        eventfd_t count = 0;
        ::eventfd_read(wakeup_, &count);
        return database_->changes(kinds_);
    }
    [[nodiscard]] std::optional<Revision> position() override { return kinds_.revision(); }

private:
    std::shared_ptr<MemoryDatabase> database_;
    WatchedKinds kinds_;
    int wakeup_;
};

}  // namespace

MemoryBackend::MemoryBackend(std::shared_ptr<MemoryDatabase> database) : database_(std::move(database)) {}

StoreResult<Snapshot> MemoryBackend::read(std::span<const model::Key> keys) { return database_->read(keys); }

StoreResult<Listing> MemoryBackend::scan(const ListQuery& query) { return database_->scan(query); }

StoreResult<Revision> MemoryBackend::commit(std::span<const Mutation> mutations, std::span<const KindUnchanged> kinds) {
    return database_->commit(mutations, kinds);
}

StoreResult<std::string> MemoryBackend::identity() { return database_->identity(); }

StoreResult<std::unique_ptr<Watch>> MemoryBackend::watch(std::span<const WatchStart> starts) {
    MANUL_TRY(WatchedKinds kinds, WatchedKinds::make(starts));
    return std::make_unique<MemoryWatch>(database_, std::move(kinds));
}

std::shared_ptr<MemoryDatabase> make_memory_database(MemoryOptions options) {
    return std::make_shared<MemoryDatabase>(options);
}

std::unique_ptr<Store> make_memory() { return make_memory(make_memory_database()); }

std::unique_ptr<Store> make_memory(std::shared_ptr<MemoryDatabase> database) {
    return std::make_unique<ObjectStore>(std::make_unique<MemoryBackend>(std::move(database)));
}

}  // namespace manul::store
