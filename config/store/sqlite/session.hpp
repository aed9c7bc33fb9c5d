#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/sqlite/connection.hpp"
#include "config/store/sqlite/database.hpp"
#include "config/store/store.hpp"

namespace manul::store::sqlite {

struct WriteLimits {
    std::int64_t lock_timeout_ms;
    std::int64_t change_log_limit;
    std::int64_t change_log_trim;
};

/// The statements that read and write objects, prepared once per connection.
///
/// A write: writers' lock, BEGIN IMMEDIATE, one new revision, compare-and-swap per key, one row of the change log per
/// key, COMMIT (durable: synchronous=FULL), lock released. Revisions are in commit order because there is one writer at
/// a time.
class Session {
public:
    explicit Session(std::unique_ptr<Database> database) : database_(std::move(database)) {}

    [[nodiscard]] Database& database() noexcept { return *database_; }

    [[nodiscard]] StoreResult<Snapshot> read(std::span<const model::Key> keys);
    [[nodiscard]] StoreResult<std::optional<Row>> find(const model::Key& key);
    [[nodiscard]] StoreResult<Listing> scan(const ListQuery& wanted);
    /// Returns the new revision. `unknown_result` when the disk failed during COMMIT.
    [[nodiscard]] StoreResult<std::int64_t> write(std::span<const Mutation> mutations,
                                                  std::span<const KindUnchanged> kinds, const WriteLimits& limits);

private:
    /// The end of the change log.
    struct Head {
        std::int64_t revision;
        std::int64_t compacted;
        std::int64_t counted;  ///< rows that were ever written
        std::int64_t logged;   ///< rows that are there
    };
    /// The end as this connection's last write left it. Who writes often need not look it up, unless others wrote too.
    struct KnownHead {
        std::uint32_t data_version;
        Head head;
    };
    /// Where the next row of the change log goes.
    struct LogPlace {
        std::int64_t revision;
        std::int64_t id;
        std::int64_t number;
    };

    [[nodiscard]] StoreResult<Head> read_head();
    [[nodiscard]] StoreResult<Snapshot> read_one(const model::Key& key);
    [[nodiscard]] StoreResult<std::optional<Row>> read_row(const model::Key& key);
    [[nodiscard]] StoreResult<void> check_kinds(std::span<const KindUnchanged> kinds, std::int64_t compacted);
    [[nodiscard]] StoreResult<void> check(const Mutation& mutation);
    [[nodiscard]] StoreResult<void> put(const Mutation& mutation, LogPlace& place);
    [[nodiscard]] StoreResult<void> remove(const Mutation& mutation, LogPlace& place);
    [[nodiscard]] StoreResult<void> log_change(const model::Key& key, std::int64_t op, std::string_view body,
                                               LogPlace& place);
    [[nodiscard]] StoreResult<void> trim_log(std::int64_t count);

    std::unique_ptr<Database> database_;
    int writes_ = 0;  ///< up to kBusyAfter
    std::optional<KnownHead> known_head_;
    /// Object and revision of the store as of one moment, without a transaction around two statements.
    Statement select_one_{
        "SELECT head.rev, head.schema, object.rev, object.crc, object.body FROM head LEFT JOIN object "
        "ON object.kind = ? AND object.ns = ? AND object.name = ?"};
    Statement find_one_{
        "SELECT meta.schema, object.rev, object.crc, object.body FROM meta LEFT JOIN object "
        "ON object.kind = ? AND object.ns = ? AND object.name = ? WHERE meta.id = 1"};
    Statement select_object_{"SELECT rev, crc, body FROM object WHERE kind = ? AND ns = ? AND name = ?"};
    Statement select_kind_{"SELECT ns, name, rev, crc, body FROM object WHERE kind = ?"};
    Statement select_names_{"SELECT ns, name, rev, crc, body FROM object WHERE kind = ? AND ns = ? AND name >= ?"};
    Statement select_head_{"SELECT rev, schema, compacted, counted, counted - trimmed FROM head"};
    Statement select_revision_{"SELECT rev FROM object WHERE kind = ? AND ns = ? AND name = ?"};
    Statement insert_object_{
        "INSERT INTO object(rev, crc, body, kind, ns, name) VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"};
    Statement update_object_{
        "UPDATE object SET rev = ?, crc = ?, body = ? WHERE kind = ? AND ns = ? AND name = ? AND rev = ?"};
    Statement delete_object_{
        "DELETE FROM object WHERE kind = ? AND ns = ? AND name = ? AND rev = ? RETURNING crc, body"};
    Statement insert_change_{"INSERT INTO change(id, n, op, kind, ns, name, crc, body) VALUES(?, ?, ?, ?, ?, ?, ?, ?)"};
    Statement changed_since_{"SELECT 1 FROM change WHERE id >= ? AND kind = ? AND op = 1 LIMIT 1"};
    Statement select_trim_{"SELECT id >> 7 FROM change ORDER BY id LIMIT 1 OFFSET ?"};
    Statement delete_changes_{"DELETE FROM change WHERE id < ?"};
    Statement note_trimmed_{"UPDATE meta SET rev = ?1, compacted = ?1, entries = entries + ?2 WHERE id = 1"};
};

}  // namespace manul::store::sqlite
