#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/try.hpp"
#include "base/unique_fd.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/sqlite/connection.hpp"
#include "config/store/sqlite/database.hpp"
#include "config/store/sqlite/wakeup.hpp"
#include "config/store/sqlite_backup.hpp"
#include "config/store/store.hpp"

namespace manul::store {

using Code = StoreError::Code;
using namespace sqlite;

namespace {

constexpr std::chrono::milliseconds kLockTimeout{5000};
constexpr std::size_t kNamedAtMost = 10;

StoreError system_error(const std::string& path, const char* attempt) {
    return error(Code::unavailable,
                 fmt::format("{}: {}: {}", path, attempt, std::error_code(errno, std::generic_category()).message()));
}

/// A file that goes away again unless kept.
class Unfinished {
public:
    explicit Unfinished(std::string path) : path_(std::move(path)) { remove(); }
    ~Unfinished() { remove(); }
    Unfinished(const Unfinished&) = delete;
    Unfinished& operator=(const Unfinished&) = delete;

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

private:
    void remove() const noexcept {
        for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
            ::unlink((path_ + suffix).c_str());
        }
    }

    std::string path_;
};

/// Copies the pages, all in one step: a read transaction holds one moment of the source, and its writers go on.
StoreResult<void> copy_pages(Connection& from, Connection& to) {
    sqlite3_backup* copy = sqlite3_backup_init(to.handle(), "main", from.handle(), "main");
    if (copy == nullptr) {
        return std::unexpected(to_error(sqlite3_extended_errcode(to.handle()), "the copy cannot be begun", to.path()));
    }
    const int stepped = sqlite3_backup_step(copy, -1);
    const int finished = sqlite3_backup_finish(copy);
    if (stepped != SQLITE_DONE || finished != SQLITE_OK) {
        return std::unexpected(to_error(finished != SQLITE_OK ? finished : stepped, "the copy failed", to.path()));
    }
    return {};
}

struct Rows {
    std::size_t count = 0;
    std::vector<std::string> damaged;
};

StoreResult<Rows> check_rows(Connection& connection) {
    Rows rows;
    Statement select("SELECT kind, ns, name, rev, crc, body FROM object ORDER BY kind, ns, name");
    Query query(connection, select);
    for (;;) {
        MANUL_TRY(const bool found, query.next());
        if (!found) {
            return rows;
        }
        ++rows.count;
        const std::string_view kind = query.bytes_at(0);
        const std::string_view ns = query.bytes_at(1);
        const std::string_view name = query.bytes_at(2);
        if (row_checksum(kind, ns, name, query.integer_at(3), query.bytes_at(5)) != query.integer_at(4)) {
            rows.damaged.push_back(fmt::format("{} {}{}{}", kind, ns, ns.empty() ? "" : "/", name));
        }
    }
}

StoreError damaged_backup(const std::string& file, std::vector<std::string> names) {
    StoreError failure = error(Code::corrupt, file + ": the backup is damaged; nothing was changed");
    failure.details = std::move(names);
    return failure;
}

/// Names of endpoints that the store has and the backup, attached as `saved`, has not. The same attachment: another
/// container of the same pod holds another address.
StoreResult<std::vector<std::string>> missing_endpoints(Connection& connection) {
    std::vector<std::string> missing;
    // A damaged row is not JSON perhaps; it then counts as an endpoint without addresses.
    Statement select(
        "SELECT now.ns, now.name FROM main.object AS now WHERE now.kind = ? AND NOT EXISTS (SELECT 1 FROM saved.object "
        "AS old WHERE old.kind = now.kind AND old.ns = now.ns AND old.name = now.name AND "
        "CASE WHEN json_valid(CAST(old.body AS TEXT)) THEN json_extract(CAST(old.body AS TEXT), '$.spec.ipNetworks') "
        "END IS CASE WHEN json_valid(CAST(now.body AS TEXT)) THEN "
        "json_extract(CAST(now.body AS TEXT), '$.spec.ipNetworks') END) ORDER BY now.ns, now.name");
    Query query(connection, select);
    query.text(kind_text(model::Kind::workload_endpoint));
    for (;;) {
        MANUL_TRY(const bool found, query.next());
        if (!found) {
            return missing;
        }
        missing.push_back(fmt::format("WorkloadEndpoint({}/{})", query.bytes_at(0), query.bytes_at(1)));
    }
}

StoreResult<void> check_endpoints(Connection& connection) {
    MANUL_TRY(std::vector<std::string> missing, missing_endpoints(connection));
    if (missing.empty()) {
        return {};
    }
    StoreError refusal = error(
        Code::conflict,
        fmt::format("nothing was changed: {} workload endpoints that exist now are not in the backup; their pods would "
                    "be without policy, and their addresses given out again. End them first, or give --force",
                    missing.size()));
    missing.resize(std::min(missing.size(), kNamedAtMost));
    refusal.details = std::move(missing);
    return std::unexpected(std::move(refusal));
}

/// All rows of `saved`, each with the new revision, and so with a new checksum.
StoreResult<std::size_t> copy_objects(Connection& connection, std::int64_t revision) {
    std::size_t count = 0;
    Statement select("SELECT kind, ns, name, body FROM saved.object");
    Statement insert("INSERT INTO main.object(kind, ns, name, rev, crc, body) VALUES(?, ?, ?, ?, ?, ?)");
    Query rows(connection, select);
    for (;;) {
        MANUL_TRY(const bool found, rows.next());
        if (!found) {
            return count;
        }
        const std::string_view kind = rows.bytes_at(0);
        const std::string_view ns = rows.bytes_at(1);
        const std::string_view name = rows.bytes_at(2);
        const std::string_view body = rows.bytes_at(3);
        MANUL_CHECK(Query(connection, insert)
                        .text(kind)
                        .text(ns)
                        .text(name)
                        .integer(revision)
                        .integer(row_checksum(kind, ns, name, revision, body))
                        .blob(body)
                        .run());
        ++count;
    }
}

/// SQLite takes an empty file for an empty database.
StoreResult<void> check_beginning(const std::string& file) {
    constexpr std::string_view kMagic("SQLite format 3\0", 16);
    const UniqueFd opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened) {
        return std::unexpected(system_error(file, "the backup cannot be opened"));
    }
    std::array<char, kMagic.size()> beginning{};
    const ssize_t size = ::read(opened.get(), beginning.data(), beginning.size());
    if (size == 0 || std::string_view(beginning.data(), beginning.size()) != kMagic) {
        return std::unexpected(error(Code::corrupt, fmt::format("{} is {}, and so no backup; nothing was changed", file,
                                                                size == 0 ? "empty" : "no SQLite database")));
    }
    return {};
}

/// Opens and checks a backup, which is only read, also one of an older schema; returns its revision.
StoreResult<std::int64_t> check_backup(const std::string& file) {
    MANUL_CHECK(check_beginning(file));
    MANUL_TRY(std::unique_ptr<Database> backup,
              Database::open(file, {.create = false, .check = true, .migrate = false}));
    MANUL_TRY(Rows rows, check_rows(backup->connection()));
    if (!rows.damaged.empty()) {
        return std::unexpected(damaged_backup(file, std::move(rows.damaged)));
    }
    return backup->revision();
}

StoreResult<void> attach(Connection& connection, const std::string& file) {
    Statement statement("ATTACH DATABASE ? AS saved");
    MANUL_CHECK(Query(connection, statement).text(file).run());
    return {};
}

}  // namespace

StoreResult<BackupReport> back_up_sqlite(const std::string& store, const std::string& file) {
    MANUL_TRY(std::unique_ptr<Database> source, Database::open(store, {.create = false, .check = false}));
    if (source->file() == file_id(file)) {
        return std::unexpected(error(Code::invalid, file + " is the store itself"));
    }
    const Unfinished unfinished(file + ".part");
    {
        const UniqueFd created(
            ::open(unfinished.path().c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR));
        if (!created) {
            return std::unexpected(system_error(unfinished.path(), "cannot be created"));
        }
    }
    BackupReport report;
    {
        MANUL_TRY(Connection copy, Connection::open(unfinished.path()));
        MANUL_CHECK(copy_pages(source->connection(), copy));
        // One file, without companions: a backup is moved about.
        MANUL_TRY(const std::string mode, copy.query_text("PRAGMA journal_mode = DELETE"));
        if (mode != "delete") {
            return std::unexpected(error(Code::unavailable, file + ": the copy cannot be closed (" + mode + ")"));
        }
        MANUL_TRY(const std::string found, copy.query_text("PRAGMA quick_check(1)"));
        if (found != "ok") {
            return std::unexpected(
                error(Code::corrupt, fmt::format("{}: the store's file is damaged ({})", store, found)));
        }
        MANUL_TRY(Rows rows, check_rows(copy));
        Statement select("SELECT rev FROM head");
        Query meta(copy, select);
        MANUL_TRY(const bool there, meta.next());
        report = {rows.count, there ? meta.integer_at(0) : 0, std::move(rows.damaged)};
    }
    const UniqueFd written(::open(unfinished.path().c_str(), O_RDONLY | O_CLOEXEC));
    if (!written || ::fsync(written.get()) != 0) {
        return std::unexpected(system_error(unfinished.path(), "cannot be flushed"));
    }
    if (::rename(unfinished.path().c_str(), file.c_str()) != 0) {
        return std::unexpected(system_error(file, "cannot be put in place"));
    }
    return report;
}

StoreResult<RestoreReport> restore_sqlite(const std::string& store, const std::string& file,
                                          const RestoreOptions& options) {
    if (const auto id = file_id(file); id && id == file_id(store)) {
        return std::unexpected(error(Code::invalid, file + " is the store itself"));
    }
    MANUL_TRY(const std::int64_t saved, check_backup(file));
    MANUL_TRY(std::unique_ptr<Database> target,
              Database::open(store, {.create = true, .check = true, .lock_timeout = kLockTimeout}));
    Connection& connection = target->connection();
    MANUL_CHECK(attach(connection, file));
    MANUL_CHECK(target->lock().acquire(kLockTimeout));
    const HeldLock held(target->lock());
    RestoreReport report;
    {
        MANUL_TRY(Transaction transaction, Transaction::begin(connection, Transaction::Mode::write));
        if (!options.force) {
            MANUL_CHECK(check_endpoints(connection));
        }
        MANUL_TRY(const Meta now, target->meta());
        report.revision = std::max(now.revision, saved) + 1;
        MANUL_CHECK(connection.execute("DELETE FROM main.object; DELETE FROM main.change"));
        MANUL_TRY(report.objects, copy_objects(connection, report.revision));
        Statement update("UPDATE main.meta SET rev = ?, compacted = ?, entries = 0, store_uuid = ? WHERE id = 1");
        const std::string identity = make_uid();
        MANUL_CHECK(Query(connection, update).integer(report.revision).integer(report.revision).text(identity).run());
        MANUL_CHECK(transaction.commit());
    }
    WakeupSender(store + ".watch", "").notify(report.revision);
    return report;
}

}  // namespace manul::store
