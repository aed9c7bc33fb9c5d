#include "config/store/sqlite/database.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/try.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/sqlite/connection.hpp"
#include "config/store/sqlite/crc32c.hpp"
#include "config/store/sqlite/file_lock.hpp"
#include "config/store/store.hpp"

namespace manul::store::sqlite {

using Code = StoreError::Code;

namespace {

/// `meta` has one row, and every schema its columns `rev`, `compacted`, `entries`, `schema` and `store_uuid`: that is
/// how an older program finds out that the file is not for it. It changes only when the log is trimmed or the store
/// restored: its revision counts while the log is empty, and `entries` is the number of those that left the log.
constexpr const char* kCreateTables = R"(
CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK(id = 1), rev INTEGER NOT NULL, compacted INTEGER NOT NULL,
                  entries INTEGER NOT NULL, schema INTEGER NOT NULL, store_uuid TEXT NOT NULL) STRICT;
CREATE TABLE object(kind TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL, rev INTEGER NOT NULL,
                    crc INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(kind, ns, name)) STRICT, WITHOUT ROWID;
)";

/// The log, and what the store is as a whole, as of the log's newest row: so a write changes no page for its revision.
/// `id` is revision × 128 + place in the transaction, `n` counts rows from the first one ever.
constexpr const char* kCreateLog = R"(
CREATE TABLE change(id INTEGER PRIMARY KEY, n INTEGER NOT NULL, op INTEGER NOT NULL, kind TEXT NOT NULL,
                    ns TEXT NOT NULL, name TEXT NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE VIEW head AS SELECT
    coalesce((SELECT max(id) >> 7 FROM change), rev) AS rev, compacted, entries AS trimmed,
    coalesce((SELECT n FROM change ORDER BY id DESC LIMIT 1), entries) AS counted, schema, store_uuid
    FROM meta WHERE id = 1;
)";

constexpr std::int64_t kFirstWithHead = 2000;

/// Schema 1 kept the revision in `meta`, and wrote it with each change. Who watches lists again: the log begins anew.
constexpr const char* kFromSchema1 = R"(
DROP TABLE change;
UPDATE meta SET compacted = rev, entries = 0;
)";

/// What a long reader made of the log beyond 32 MB is cut off when it begins anew.
constexpr const char* kSettings = R"(
PRAGMA synchronous = FULL;
PRAGMA foreign_keys = ON;
PRAGMA trusted_schema = OFF;
PRAGMA journal_size_limit = 33554432;
)";

/// Of lists a busy machine serves; a reader that is stopped takes for ever.
constexpr std::chrono::milliseconds kReadersEndWithin{100};

StoreError system_error(const std::string& path, const char* attempt) {
    return error(Code::unavailable,
                 fmt::format("{}: {}: {}", path, attempt, std::error_code(errno, std::generic_category()).message()));
}

/// Makes the file 0600 from its first moment; SQLite gives its companions the same mode. An existing file is not
/// opened: closing it would drop the locks that other connections of this process hold on it.
StoreResult<void> create_file(const std::string& path) {
    const std::filesystem::path directory = std::filesystem::path(path).parent_path();
    std::error_code failure;
    if (!directory.empty() && !std::filesystem::exists(directory, failure)) {
        std::filesystem::create_directories(directory, failure);
        if (failure || ::chmod(directory.c_str(), S_IRWXU) != 0) {
            return std::unexpected(error(Code::unavailable, fmt::format("{}: the directory cannot be created: {}",
                                                                        directory.string(), failure.message())));
        }
    }
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (fd < 0 && errno != EEXIST) {
        return std::unexpected(system_error(path, "cannot be created"));
    }
    if (fd >= 0) {
        ::close(fd);
    }
    return {};
}

}  // namespace

std::optional<FileId> file_id(const std::string& path) noexcept {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        return std::nullopt;
    }
    return FileId{status.st_dev, status.st_ino};
}

StoreResult<std::unique_ptr<Database>> Database::open(const std::string& path, const OpenOptions& options) {
    if (!file_id(path)) {
        if (!options.create || errno != ENOENT) {
            return std::unexpected(system_error(path, "the store cannot be opened"));
        }
        MANUL_CHECK(create_file(path));
    }
    const auto before = file_id(path);
    MANUL_TRY(Connection connection, Connection::open(path));
    if (!before || file_id(path) != before) {
        return std::unexpected(error(Code::unavailable, path + ": the store's file was replaced while it was opened"));
    }
    std::unique_ptr<Database> database(new Database(std::move(connection), *before));
    MANUL_CHECK(database->prepare(options));
    return database;
}

StoreResult<void> Database::prepare(const OpenOptions& options) {
    MANUL_CHECK(connection_.execute(kSettings));
    sqlite3_wal_hook(connection_.handle(), &Database::on_commit, this);
    MANUL_TRY(const std::string has_meta, connection_.query_text("SELECT 1 FROM sqlite_schema WHERE name = 'meta'"));
    if (has_meta.empty()) {
        MANUL_CHECK(create_schema(options));
    }
    if (options.migrate) {
        MANUL_CHECK(migrate(options));
        MANUL_CHECK(meta());
    }
    if (options.check) {
        MANUL_TRY(const std::string found, connection_.query_text("PRAGMA quick_check(1)"));
        if (found != "ok") {
            return std::unexpected(
                error(Code::corrupt, fmt::format("{}: the store's file is damaged ({}); restore it from a backup",
                                                 connection_.path(), found)));
        }
        MANUL_CHECK(check_strange_kinds());
    }
    return {};
}

int Database::on_commit(void* database, sqlite3* /*handle*/, const char* /*name*/, int log_pages) {
    static_cast<Database*>(database)->copy_log(log_pages);
    return SQLITE_OK;  // the commit has succeeded, whatever becomes of the copy
}

void Database::copy_log(int log_pages) {
    if (log_pages < kFullLogPages) {
        wait_for_readers_at_ = kLongLogPages;
    } else if (log_pages < wait_for_readers_at_) {
        connection_.copy_log(std::chrono::milliseconds(0));
    } else {
        // Who never ends holds up one write in 16 MB.
        wait_for_readers_at_ = log_pages + kFullLogPages;
        connection_.copy_log(kReadersEndWithin);
    }
}

/// An object whose kind was damaged is in no list, and would pass for deleted; one of a newer version's kind is intact.
StoreResult<void> Database::check_strange_kinds() {
    std::string sql = "SELECT kind, ns, name, rev, crc, body FROM object WHERE kind NOT IN (''";
    for (const model::KindInfo& info : model::all_kinds()) {
        sql += fmt::format(",'{}'", kind_text(info.kind));
    }
    sql += ")";
    Statement select(sql.c_str());
    Query query(connection_, select);
    for (;;) {
        MANUL_TRY(const bool found, query.next());
        if (!found) {
            return {};
        }
        if (row_checksum(query.bytes_at(0), query.bytes_at(1), query.bytes_at(2), query.integer_at(3),
                         query.bytes_at(5)) != query.integer_at(4)) {
            return std::unexpected(error(
                Code::corrupt, fmt::format("{}: the store's file is damaged (an object has lost its kind: {} {}); "
                                           "restore it from a backup",
                                           connection_.path(), query.bytes_at(0), query.bytes_at(2))));
        }
    }
}

StoreResult<void> Database::create_schema(const OpenOptions& options) {
    MANUL_CHECK(lock_.acquire(options.lock_timeout));
    const HeldLock held(lock_);
    MANUL_TRY(const std::string tables, connection_.query_text("SELECT group_concat(name) FROM sqlite_schema"));
    if (tables.find("meta") != std::string::npos) {
        return {};  // another process was faster
    }
    if (!tables.empty()) {
        return std::unexpected(error(Code::corrupt, fmt::format("{}: this SQLite file is no Manul store (it has {})",
                                                                connection_.path(), tables)));
    }
    // Outside of a transaction, and before the first one: the mode stays in the file.
    MANUL_TRY(const std::string mode, connection_.query_text("PRAGMA journal_mode = WAL"));
    if (mode != "wal") {
        return std::unexpected(
            error(Code::unavailable, fmt::format("{}: the file system has no shared memory for SQLite's write-ahead "
                                                 "log (journal mode {}); put the store on a local disk",
                                                 connection_.path(), mode)));
    }
    MANUL_TRY(Transaction transaction, Transaction::begin(connection_, Transaction::Mode::write));
    MANUL_CHECK(connection_.execute(kCreateTables));
    MANUL_CHECK(connection_.execute(kCreateLog));
    const std::string identity = make_uid();
    Statement insert("INSERT INTO meta(id, rev, compacted, entries, schema, store_uuid) VALUES(1, 1, 0, 0, ?, ?)");
    MANUL_CHECK(Query(connection_, insert).integer(kSchema).text(identity).run());
    return transaction.commit();
}

StoreResult<std::int64_t> Database::schema() {
    Statement select("SELECT schema FROM meta WHERE id = 1");
    Query query(connection_, select);
    MANUL_TRY(const bool found, query.next());
    if (!found) {
        return std::unexpected(no_head_row());
    }
    MANUL_CHECK(check_schema(query.integer_at(0)));
    return query.integer_at(0);
}

StoreResult<std::int64_t> Database::revision() {
    MANUL_TRY(const std::int64_t found, schema());
    Statement select(found < kFirstWithHead ? "SELECT rev FROM meta" : "SELECT rev FROM head");
    Query query(connection_, select);
    MANUL_TRY(const bool there, query.next());
    return there ? query.integer_at(0) : 0;
}

StoreResult<void> Database::migrate(const OpenOptions& options) {
    MANUL_TRY(std::int64_t found, schema());
    if (found >= kFirstWithHead) {
        return {};
    }
    MANUL_CHECK(lock_.acquire(options.lock_timeout));
    const HeldLock held(lock_);
    MANUL_TRY(Transaction transaction, Transaction::begin(connection_, Transaction::Mode::write));
    MANUL_TRY(found, schema());
    if (found >= kFirstWithHead) {
        return {};  // another process was faster
    }
    MANUL_CHECK(connection_.execute(kFromSchema1));
    MANUL_CHECK(connection_.execute(kCreateLog));
    Statement note("UPDATE meta SET schema = ?");
    MANUL_CHECK(Query(connection_, note).integer(kSchema).run());
    return transaction.commit();
}

StoreResult<Meta> Database::meta() {
    Query query(connection_, select_head_);
    MANUL_TRY(const bool found, query.next());
    if (!found) {
        return std::unexpected(no_head_row());
    }
    MANUL_CHECK(check_schema(query.integer_at(2)));
    return Meta{query.integer_at(0), query.integer_at(1), std::string(query.bytes_at(3))};
}

StoreError Database::no_head_row() const {
    return error(Code::corrupt, connection_.path() + ": the store's file has lost its head row");
}

StoreResult<void> Database::check_schema(std::int64_t schema) const {
    if (schema / 1000 > kSchema / 1000) {
        return std::unexpected(
            error(Code::newer_schema,
                  fmt::format("{}: the store needs version {} of its format, this program has {}; install the newer "
                              "version",
                              connection_.path(), schema / 1000, kSchema / 1000)));
    }
    return {};
}

StoreResult<Transaction> Transaction::begin(Connection& connection, Mode mode) {
    MANUL_CHECK(mode == Mode::write ? connection.begin_write() : connection.begin_read());
    return Transaction(connection);
}

Transaction::~Transaction() {
    if (connection_ != nullptr && connection_->in_transaction()) {  // SQLite itself rolls back when the disk is full
        const auto ignored = connection_->roll_back();              // the next call on the connection reports it
        static_cast<void>(ignored);
    }
}

StoreResult<void> Transaction::commit() { return connection_->commit(); }

const std::string& kind_text(model::Kind kind) noexcept {
    static const std::vector<std::string> texts = [] {
        std::vector<std::string> all;
        for (const model::KindInfo& info : model::all_kinds()) {
            all.push_back(fmt::format("{}.{}", info.plural, info.group.empty() ? "core" : info.group));
        }
        return all;
    }();
    return texts[static_cast<std::size_t>(kind)];
}

std::optional<model::Kind> find_kind_text(std::string_view text) noexcept {
    static const std::unordered_map<std::string_view, model::Kind> kinds = [] {
        std::unordered_map<std::string_view, model::Kind> all;
        for (const model::KindInfo& info : model::all_kinds()) {
            all.emplace(kind_text(info.kind), info.kind);
        }
        return all;
    }();
    const auto found = kinds.find(text);
    return found == kinds.end() ? std::nullopt : std::optional(found->second);
}

std::int64_t row_checksum(std::string_view kind, std::string_view ns, std::string_view name, std::int64_t revision,
                          std::string_view body) noexcept {
    // A separator that no part contains, so that moving a letter from one part to the next is seen.
    constexpr std::string_view kSeparator("\0", 1);
    std::array<char, sizeof(revision)> number{};
    for (std::size_t i = 0; i < number.size(); ++i) {
        number[i] = static_cast<char>(static_cast<std::uint64_t>(revision) >> (8 * i));
    }
    std::uint32_t sum = crc32c(kind);
    for (const std::string_view part :
         {kSeparator, ns, kSeparator, name, kSeparator, std::string_view(number.data(), number.size()), body}) {
        sum = crc32c(part, sum);
    }
    return sum;
}

}  // namespace manul::store::sqlite
