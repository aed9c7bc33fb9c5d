#include "config/store/sqlite/sqlite_backend.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/object_store.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/sqlite/database.hpp"
#include "config/store/sqlite/log_tail.hpp"
#include "config/store/sqlite/session.hpp"
#include "config/store/store.hpp"
#include "config/store/watched_kinds.hpp"

namespace manul::store::sqlite {

using Code = StoreError::Code;

namespace {

/// How often a reader asks whether the file was replaced; who writes always asks, since a write into a file without a
/// name would be lost.
constexpr std::chrono::milliseconds kLookEach{100};

}  // namespace

SqliteBackend::SqliteBackend(std::string path, SqliteOptions options)
    : path_(std::move(path)), options_(std::move(options)), wakeup_(path_ + ".watch", options_.node) {}

StoreResult<Session*> SqliteBackend::session(Use use) {
    const auto now = std::chrono::steady_clock::now();
    if (session_ && (use == Use::write || now - looked_ >= kLookEach)) {
        looked_ = now;
        if (!session_->database().is_current()) {
            session_.reset();
        }
    }
    if (!session_) {
        // A file that vanishes under a running process is not made anew: an empty store would look like the wish to
        // delete everything.
        MANUL_TRY(std::unique_ptr<Database> database,
                  Database::open(path_, {.create = !opened_before_,
                                         .check = options_.check_on_open,
                                         .lock_timeout = std::chrono::milliseconds(options_.lock_timeout_ms)}));
        session_ = std::make_unique<Session>(std::move(database));
        opened_before_ = true;
    }
    return session_.get();
}

/// Runs `work` on the open session, and drops the session when it may be at fault.
template <class Work>
auto SqliteBackend::with_session(Use use, Work work) -> decltype(work(std::declval<Session&>())) {
    MANUL_TRY(Session* const open, session(use));
    auto result = work(*open);
    if (!result && result.error().code != Code::conflict) {
        session_.reset();
    }
    return result;
}

StoreResult<Snapshot> SqliteBackend::read(std::span<const model::Key> keys) {
    return with_session(Use::read, [&](Session& open) { return open.read(keys); });
}

StoreResult<std::optional<Row>> SqliteBackend::find(const model::Key& key) {
    return with_session(Use::read, [&](Session& open) { return open.find(key); });
}

StoreResult<Listing> SqliteBackend::scan(const ListQuery& query) {
    return with_session(Use::read, [&](Session& open) { return open.scan(query); });
}

StoreResult<Revision> SqliteBackend::commit(std::span<const Mutation> mutations, std::span<const KindUnchanged> kinds) {
    const WriteLimits limits{options_.lock_timeout_ms, options_.change_log_limit, options_.change_log_trim};
    MANUL_TRY(const std::int64_t revision,
              with_session(Use::write, [&](Session& open) { return open.write(mutations, kinds, limits); }));
    std::set<model::Kind> changed;
    for (const Mutation& mutation : mutations) {
        changed.insert(mutation.key.kind);
    }
    const bool skipped = LogTail::skip_own(path_, session_->database().file(), revision, changed);
    wakeup_.notify(revision, !skipped);
    return std::to_string(revision);
}

StoreResult<std::string> SqliteBackend::identity() {
    MANUL_TRY(Meta meta, with_session(Use::read, [](Session& open) { return open.database().meta(); }));
    return std::move(meta.identity);
}

StoreResult<std::unique_ptr<Watch>> SqliteBackend::watch(std::span<const WatchStart> starts) {
    MANUL_TRY(WatchedKinds kinds, WatchedKinds::make(starts));
    MANUL_TRY(const std::string at, identity());
    return LogTail::watch(path_, options_.patient ? patient_node(options_.node) : options_.node, at, std::move(kinds));
}

}  // namespace manul::store::sqlite

namespace manul::store {

std::unique_ptr<Store> open_sqlite(std::string path, SqliteOptions options) {
    std::string manager = options.manager;
    return std::make_unique<ObjectStore>(std::make_unique<sqlite::SqliteBackend>(std::move(path), std::move(options)),
                                         std::move(manager));
}

}  // namespace manul::store
