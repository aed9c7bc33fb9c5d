#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <sqlite3.h>

#include "config/store/store.hpp"

/// SQLite's C interface as values: a connection, statements prepared once, errors in the store's terms.
namespace manul::store::sqlite {

/// What SQLite's (extended) result code means for a caller: `corrupt` for a damaged file, else `unavailable`.
[[nodiscard]] StoreError to_error(int code, std::string_view attempt, const std::string& path);

struct CloseConnection {
    void operator()(sqlite3* connection) const noexcept { sqlite3_close_v2(connection); }
};

struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};

/// SQL that is prepared at its first use and kept. `sql` is a literal.
class Statement {
public:
    explicit Statement(const char* sql) noexcept : sql_(sql) {}

private:
    friend class Query;
    const char* sql_;
    std::unique_ptr<sqlite3_stmt, FinalizeStatement> prepared_;
};

class Connection {
public:
    /// The file must exist; nothing is read yet.
    [[nodiscard]] static StoreResult<Connection> open(const std::string& path);

    [[nodiscard]] StoreResult<void> execute(const char* sql);
    /// First column of the first row, as text; empty without a row.
    [[nodiscard]] StoreResult<std::string> query_text(const char* sql);

    // Of transactions; each is prepared once.
    [[nodiscard]] StoreResult<void> begin_read() { return run(begin_read_); }
    [[nodiscard]] StoreResult<void> begin_write() { return run(begin_write_); }
    [[nodiscard]] StoreResult<void> commit() { return run(commit_); }
    [[nodiscard]] StoreResult<void> roll_back() { return run(roll_back_); }

    /// Differs from what it was when anybody has changed the file since. Inside of a transaction: as of its snapshot.
    [[nodiscard]] std::uint32_t data_version() noexcept;

    /// Copies the write-ahead log into the file, as far as readers let it; what fails is tried again with the next
    /// commit. With a time to wait, until they have ended, so that the log begins anew with the next write.
    void copy_log(std::chrono::milliseconds wait_for_readers) noexcept;

    /// Makes the write-ahead log `bytes` long with zeros behind what is in it, which SQLite takes for the end of it.
    /// Within a write transaction. Where that does not work (no room) the log grows as it is written.
    void lengthen_log(std::int64_t bytes);

    [[nodiscard]] sqlite3* handle() const noexcept { return handle_.get(); }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] bool in_transaction() const noexcept { return sqlite3_get_autocommit(handle_.get()) == 0; }

private:
    Connection(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}

    [[nodiscard]] StoreResult<void> run(Statement& statement);

    std::unique_ptr<sqlite3, CloseConnection> handle_;
    std::string path_;
    Statement begin_read_{"BEGIN"};
    Statement begin_write_{"BEGIN IMMEDIATE"};
    Statement commit_{"COMMIT"};
    Statement roll_back_{"ROLLBACK"};
};

/// One execution of a statement; the statement is free for the next one when this ends. Arguments are bound in order
/// and must outlive the query; so must nothing else: columns are views until the next row.
class Query {
public:
    Query(Connection& connection, Statement& statement) noexcept;
    ~Query();
    Query(const Query&) = delete;
    Query& operator=(const Query&) = delete;

    Query& integer(std::int64_t value) noexcept;
    Query& text(std::string_view value) noexcept;
    Query& blob(std::string_view value) noexcept;

    /// True: a row is there.
    [[nodiscard]] StoreResult<bool> next();
    /// Runs a statement that gives no rows; returns how many rows it changed.
    [[nodiscard]] StoreResult<std::int64_t> run();

    [[nodiscard]] std::int64_t integer_at(int column) const noexcept;
    [[nodiscard]] std::string_view bytes_at(int column) const noexcept;
    [[nodiscard]] bool is_null(int column) const noexcept;

private:
    Connection& connection_;
    sqlite3_stmt* statement_;
    int code_ = SQLITE_OK;
    int bound_ = 0;
};

}  // namespace manul::store::sqlite
