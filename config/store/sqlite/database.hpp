#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/model/kind.hpp"
#include "config/store/sqlite/connection.hpp"
#include "config/store/sqlite/file_lock.hpp"
#include "config/store/store.hpp"

/// The file: its schema, how it is opened and checked, what one row means.
namespace manul::store::sqlite {

/// Major × 1000 + minor. Minor steps only add; a file of a greater major is left alone, one of a lesser is migrated.
inline constexpr std::int64_t kSchema = 2000;

/// Rows of `change` have one number, which is revision × 128 + their place in the transaction: appending to a table by
/// such a number costs SQLite half of what it costs by a key of two columns.
inline constexpr int kPlaceBits = 7;
inline constexpr std::int64_t kMaxPlaces = std::int64_t{1} << kPlaceBits;
/// The first number of a revision's rows.
[[nodiscard]] constexpr std::int64_t change_id(std::int64_t revision) noexcept { return revision * kMaxPlaces; }

struct OpenOptions {
    bool create = true;   ///< when absent
    bool check = true;    ///< SQLite's quick_check
    bool migrate = true;  ///< a file of an older schema; without, its objects and head row can be read
    std::chrono::milliseconds lock_timeout{5000};
};

/// What the store is as a whole.
struct Meta {
    std::int64_t revision = 0;
    std::int64_t compacted = 0;  ///< the newest revision that left the change log
    std::string identity;
};

/// Which file a path names.
struct FileId {
    dev_t device;
    ino_t inode;

    bool operator==(const FileId&) const = default;
};
[[nodiscard]] std::optional<FileId> file_id(const std::string& path) noexcept;

/// A connection to a checked file of a known schema.
class Database {
public:
    [[nodiscard]] static StoreResult<std::unique_ptr<Database>> open(const std::string& path,
                                                                     const OpenOptions& options);

    [[nodiscard]] Connection& connection() noexcept { return connection_; }
    [[nodiscard]] FileLock& lock() noexcept { return lock_; }

    /// Whether the path still names the file that was opened.
    [[nodiscard]] bool is_current() const noexcept { return file_id(connection_.path()) == file_; }
    [[nodiscard]] const FileId& file() const noexcept { return file_; }
    /// `newer_schema` when another process migrated the file beyond this program.
    [[nodiscard]] StoreResult<Meta> meta();
    /// The store's, of a file that was not migrated too.
    [[nodiscard]] StoreResult<std::int64_t> revision();
    /// The same check, for who reads the number with something else.
    [[nodiscard]] StoreResult<void> check_schema(std::int64_t schema) const;
    [[nodiscard]] StoreError no_head_row() const;

private:
    /// Copying the write-ahead log into the file flushes both, in the middle of somebody's write: every 16 MB rather
    /// than every 4. The log stays that long, because a write that makes it grow flushes the inode too.
    static constexpr int kFullLogPages = 4096;
    /// A full log begins anew when nobody reads from it; where one reader follows the other without a gap it goes on
    /// growing. At this length a writer waits for those of the moment; those that come meanwhile read from the file.
    static constexpr int kLongLogPages = 2 * kFullLogPages;

    Database(Connection connection, FileId file)
        : connection_(std::move(connection)), lock_(connection_.path() + ".lock"), file_(file) {}

    [[nodiscard]] StoreResult<void> prepare(const OpenOptions& options);
    [[nodiscard]] StoreResult<void> create_schema(const OpenOptions& options);
    [[nodiscard]] StoreResult<std::int64_t> schema();
    [[nodiscard]] StoreResult<void> migrate(const OpenOptions& options);
    [[nodiscard]] StoreResult<void> check_strange_kinds();
    /// SQLite's, after each commit of this connection.
    static int on_commit(void* database, sqlite3* handle, const char* name, int log_pages);
    void copy_log(int log_pages);

    Connection connection_;
    FileLock lock_;
    FileId file_;
    int wait_for_readers_at_ = kLongLogPages;
    Statement select_head_{"SELECT rev, compacted, schema, store_uuid FROM head"};
};

/// A transaction that ends with the scope, rolled back unless committed.
class Transaction {
public:
    enum class Mode : std::uint8_t { read, write };

    [[nodiscard]] static StoreResult<Transaction> begin(Connection& connection, Mode mode);
    Transaction(Transaction&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)) {}
    Transaction& operator=(Transaction&&) = delete;
    ~Transaction();

    [[nodiscard]] StoreResult<void> commit();

private:
    explicit Transaction(Connection& connection) : connection_(&connection) {}

    Connection* connection_;
};

/// change.op. A put keeps no body: a reader takes the object's, or the later change that superseded it.
inline constexpr std::int64_t kLoggedPut = 1;
inline constexpr std::int64_t kLoggedRemoval = 2;

/// `plural.group` (group of core kinds: "core"), the kind's text in every row.
[[nodiscard]] const std::string& kind_text(model::Kind kind) noexcept;
/// Nothing for a kind that this version does not know.
[[nodiscard]] std::optional<model::Kind> find_kind_text(std::string_view text) noexcept;

/// Checksum of a row of `object` or `change`: SQLite does not notice a changed byte inside a value.
[[nodiscard]] std::int64_t row_checksum(std::string_view kind, std::string_view ns, std::string_view name,
                                        std::int64_t revision, std::string_view body) noexcept;

}  // namespace manul::store::sqlite
