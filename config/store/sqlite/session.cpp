#include "config/store/sqlite/session.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/document.hpp"
#include "config/store/sqlite/connection.hpp"
#include "config/store/sqlite/database.hpp"
#include "config/store/sqlite/file_lock.hpp"
#include "config/store/store.hpp"
#include "config/store/watched_kinds.hpp"

namespace manul::store::sqlite {

using Code = StoreError::Code;

namespace {

/// A commit that makes the write-ahead log longer waits twice as long as one that writes over an older part of it,
/// because the file system has to note length and blocks. Whoever has written this often is likely to go on, and
/// gets the log at the length at which it is copied into the file and begun anew: some milliseconds once.
constexpr int kBusyAfter = 16;
constexpr std::int64_t kLogBytes = std::int64_t{17} << 20U;  // of a full log, with the heads of its pages

std::unexpected<StoreError> conflict(const model::Key& key) {
    return std::unexpected(error(Code::conflict, "update conflict: " + key.to_string()));
}

/// The revision that a precondition names; none can be negative.
std::int64_t wanted_revision(const Mutation& mutation) {
    return mutation.precondition.absent ? -1 : parse_revision(mutation.precondition.revision).value_or(-1);
}

Row make_row(const model::Key& key, std::int64_t revision, std::int64_t checksum, std::string_view body) {
    const bool intact = row_checksum(kind_text(key.kind), key.ns, key.name, revision, body) == checksum;
    return Row{key, std::to_string(revision), intact ? std::make_shared<const std::string>(body) : nullptr};
}

}  // namespace

StoreResult<Snapshot> Session::read(std::span<const model::Key> keys) {
    if (keys.size() == 1) {
        return read_one(keys.front());
    }
    MANUL_TRY(const Transaction transaction, Transaction::begin(database_->connection(), Transaction::Mode::read));
    MANUL_TRY(const Meta meta, database_->meta());
    Snapshot snapshot{{}, std::to_string(meta.revision)};
    snapshot.rows.reserve(keys.size());
    for (const model::Key& key : keys) {
        MANUL_TRY(snapshot.rows.emplace_back(), read_row(key));
    }
    return snapshot;
}

StoreResult<Snapshot> Session::read_one(const model::Key& key) {
    Query query(database_->connection(), select_one_);
    MANUL_TRY(const bool found, query.text(kind_text(key.kind)).text(key.ns).text(key.name).next());
    if (!found) {
        return std::unexpected(database_->no_head_row());
    }
    MANUL_CHECK(database_->check_schema(query.integer_at(1)));
    Snapshot snapshot{{}, std::to_string(query.integer_at(0))};
    snapshot.rows.push_back(
        query.is_null(2) ? std::nullopt
                         : std::optional(make_row(key, query.integer_at(2), query.integer_at(3), query.bytes_at(4))));
    return snapshot;
}

StoreResult<std::optional<Row>> Session::find(const model::Key& key) {
    Query query(database_->connection(), find_one_);
    MANUL_TRY(const bool found, query.text(kind_text(key.kind)).text(key.ns).text(key.name).next());
    if (!found) {
        return std::unexpected(database_->no_head_row());
    }
    MANUL_CHECK(database_->check_schema(query.integer_at(0)));
    if (query.is_null(1)) {
        return std::nullopt;
    }
    return make_row(key, query.integer_at(1), query.integer_at(2), query.bytes_at(3));
}

StoreResult<std::optional<Row>> Session::read_row(const model::Key& key) {
    Query query(database_->connection(), select_object_);
    MANUL_TRY(const bool found, query.text(kind_text(key.kind)).text(key.ns).text(key.name).next());
    if (!found) {
        return std::nullopt;
    }
    return make_row(key, query.integer_at(0), query.integer_at(1), query.bytes_at(2));
}

StoreResult<Listing> Session::scan(const ListQuery& wanted) {
    MANUL_TRY(const Transaction transaction, Transaction::begin(database_->connection(), Transaction::Mode::read));
    MANUL_TRY(const Meta meta, database_->meta());
    Listing listing{{}, std::to_string(meta.revision), {}};
    const std::string& kind = kind_text(wanted.kind);
    const bool one_namespace = wanted.ns || !model::info(wanted.kind).namespaced;
    const std::string ns = wanted.ns.value_or("");
    Query query(database_->connection(), one_namespace ? select_names_ : select_kind_);
    query.text(kind);
    if (one_namespace) {
        query.text(ns).text(wanted.name_prefix);
    }
    for (;;) {
        MANUL_TRY(const bool found, query.next());
        if (!found) {
            return listing;
        }
        const std::string_view name = query.bytes_at(1);
        if (name.starts_with(wanted.name_prefix)) {
            const std::string_view found_ns = query.bytes_at(0);
            const std::int64_t revision = query.integer_at(2);
            const std::string_view body = query.bytes_at(4);
            const bool intact = row_checksum(kind, found_ns, name, revision, body) == query.integer_at(3);
            add_row(listing, {wanted.kind, std::string(found_ns), std::string(name)}, std::to_string(revision),
                    intact ? std::optional(body) : std::nullopt);
        } else if (one_namespace) {
            return listing;  // names are in order: nothing behind this one begins so
        }
    }
}

StoreResult<std::int64_t> Session::write(std::span<const Mutation> mutations, std::span<const KindUnchanged> kinds,
                                         const WriteLimits& limits) {
    MANUL_CHECK(database_->lock().acquire(std::chrono::milliseconds(limits.lock_timeout_ms)));
    const HeldLock held(database_->lock());
    MANUL_TRY(Transaction transaction, Transaction::begin(database_->connection(), Transaction::Mode::write));
    if (writes_ < kBusyAfter && ++writes_ == kBusyAfter) {
        database_->connection().lengthen_log(kLogBytes);
    }
    // Forgotten until the commit has succeeded.
    const auto known = std::exchange(known_head_, std::nullopt);
    Head head{};
    if (known && known->data_version == database_->connection().data_version()) {
        head = known->head;
    } else {
        MANUL_TRY(head, read_head());
    }
    const std::int64_t revision = head.revision + 1;
    LogPlace place{revision, change_id(revision), head.counted + 1};
    const std::int64_t first = place.id;
    MANUL_CHECK(check_kinds(kinds, head.compacted));
    for (const Mutation& mutation : mutations) {
        switch (mutation.type) {
            case Mutation::Type::check:
                MANUL_CHECK(check(mutation));
                break;
            case Mutation::Type::put:
                MANUL_CHECK(put(mutation, place));
                break;
            case Mutation::Type::remove:
                MANUL_CHECK(remove(mutation, place));
                break;
        }
    }
    if (place.id == first) {
        return revision - 1;  // nothing but checks
    }
    const std::int64_t written = place.id - first;
    head = {revision, head.compacted, head.counted + written, head.logged + written};
    const bool trims = head.logged >= limits.change_log_limit + limits.change_log_trim;
    if (trims) {
        MANUL_CHECK(trim_log(head.logged - limits.change_log_limit));
    }
    auto committed = transaction.commit();
    if (!committed) {
        if ((sqlite3_extended_errcode(database_->connection().handle()) & 0xff) == SQLITE_IOERR) {
            committed.error().code = Code::unknown_result;
        }
        return std::unexpected(std::move(committed).error());
    }
    if (!trims) {
        known_head_ = {database_->connection().data_version(), head};
    }
    return revision;
}

StoreResult<Session::Head> Session::read_head() {
    Query head(database_->connection(), select_head_);
    MANUL_TRY(const bool found, head.next());
    if (!found) {
        return std::unexpected(database_->no_head_row());
    }
    MANUL_CHECK(database_->check_schema(head.integer_at(1)));
    return Head{head.integer_at(0), head.integer_at(2), head.integer_at(3), head.integer_at(4)};
}

StoreResult<void> Session::check_kinds(std::span<const KindUnchanged> kinds, std::int64_t compacted) {
    for (const KindUnchanged& unchanged : kinds) {
        const auto since = parse_revision(unchanged.since);
        bool changed = !since || *since < compacted;
        if (!changed) {
            Query query(database_->connection(), changed_since_);
            MANUL_TRY(changed, query.integer(change_id(*since + 1)).text(kind_text(unchanged.kind)).next());
        }
        if (changed) {
            return std::unexpected(
                error(Code::conflict, fmt::format("update conflict: other objects of kind {} changed meanwhile",
                                                  model::info(unchanged.kind).name)));
        }
    }
    return {};
}

StoreResult<void> Session::check(const Mutation& mutation) {
    const model::Key& key = mutation.key;
    Query query(database_->connection(), select_revision_);
    MANUL_TRY(const bool found, query.text(kind_text(key.kind)).text(key.ns).text(key.name).next());
    const bool holds =
        mutation.precondition.absent ? !found : found && query.integer_at(0) == wanted_revision(mutation);
    if (!holds) {
        return conflict(key);
    }
    return {};
}

StoreResult<void> Session::put(const Mutation& mutation, LogPlace& place) {
    const model::Key& key = mutation.key;
    const std::string& kind = kind_text(key.kind);
    Query query(database_->connection(), mutation.precondition.absent ? insert_object_ : update_object_);
    query.integer(place.revision)
        .integer(row_checksum(kind, key.ns, key.name, place.revision, mutation.body))
        .blob(mutation.body)
        .text(kind)
        .text(key.ns)
        .text(key.name);
    if (!mutation.precondition.absent) {
        query.integer(wanted_revision(mutation));
    }
    MANUL_TRY(const std::int64_t rows, query.run());
    if (rows == 0) {
        return conflict(key);
    }
    return log_change(key, kLoggedPut, {}, place);  // the body is the object's
}

StoreResult<void> Session::remove(const Mutation& mutation, LogPlace& place) {
    const model::Key& key = mutation.key;
    const std::string& kind = kind_text(key.kind);
    const std::int64_t old_revision = wanted_revision(mutation);
    Query query(database_->connection(), delete_object_);
    MANUL_TRY(const bool found, query.text(kind).text(key.ns).text(key.name).integer(old_revision).next());
    if (!found) {
        return conflict(key);
    }
    const std::string_view body = query.bytes_at(1);
    const bool intact = row_checksum(kind, key.ns, key.name, old_revision, body) == query.integer_at(0);
    return log_change(key, kLoggedRemoval, intact ? body : std::string_view{}, place);
}

StoreResult<void> Session::log_change(const model::Key& key, std::int64_t op, std::string_view body, LogPlace& place) {
    if (place.id == change_id(place.revision + 1)) {
        return std::unexpected(error(Code::too_large, "too many changes in one transaction"));
    }
    const std::string& kind = kind_text(key.kind);
    Query query(database_->connection(), insert_change_);
    MANUL_CHECK(query.integer(place.id++)
                    .integer(place.number++)
                    .integer(op)
                    .text(kind)
                    .text(key.ns)
                    .text(key.name)
                    .integer(row_checksum(kind, key.ns, key.name, place.revision, body))
                    .blob(body)
                    .run());
    return {};
}

StoreResult<void> Session::trim_log(std::int64_t count) {
    std::int64_t newest_removed = 0;
    {
        Query query(database_->connection(), select_trim_);
        MANUL_TRY(const bool found, query.integer(count - 1).next());
        if (!found) {
            return {};
        }
        newest_removed = query.integer_at(0);
    }
    Query removal(database_->connection(), delete_changes_);
    MANUL_TRY(const std::int64_t removed, removal.integer(change_id(newest_removed + 1)).run());
    Query note(database_->connection(), note_trimmed_);
    MANUL_CHECK(note.integer(newest_removed).integer(removed).run());
    return {};
}

}  // namespace manul::store::sqlite
