#include "config/store/sqlite/connection.hpp"

#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <string>
#include <string_view>

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/try.hpp"
#include "config/store/document.hpp"
#include "config/store/store.hpp"

namespace manul::store::sqlite {

using Code = StoreError::Code;

namespace {

/// Guards against programs that do not take the store's file lock.
constexpr int kBusyTimeoutMs = 5000;

std::string_view reason(int code) {
    switch (code & 0xff) {
        case SQLITE_FULL:
            return "the store is full: no space left; free some and it goes on by itself";
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
            return "the store is locked by another program";
        case SQLITE_READONLY:
            return "the store cannot be written: read-only file, directory or file system";
        case SQLITE_CANTOPEN:
            return "the store cannot be opened: check that the directory exists and is writable";
        case SQLITE_PERM:
        case SQLITE_AUTH:
            return "access to the store is denied";
        case SQLITE_CORRUPT:
            return "the store's file is damaged; restore it from a backup";
        case SQLITE_NOTADB:
            return "the store's file is no database; restore it from a backup";
        case SQLITE_IOERR:
            return "reading or writing the store's file failed; check the disk";
        default:
            return sqlite3_errstr(code);
    }
}

/// SQLite takes a null pointer for NULL; an empty value is not NULL.
const char* not_null(std::string_view value) { return value.data() == nullptr ? "" : value.data(); }

}  // namespace

StoreError to_error(int code, std::string_view attempt, const std::string& path) {
    const int basic = code & 0xff;
    const bool damaged = basic == SQLITE_CORRUPT || basic == SQLITE_NOTADB;
    if (damaged || attempt.find('\n') != std::string_view::npos) {  // the statement explains nothing
        return error(damaged ? Code::corrupt : Code::unavailable,
                     fmt::format("{}: {} (SQLite code {})", path, reason(code), code));
    }
    return error(Code::unavailable, fmt::format("{}: {}: {} (SQLite code {})", path, attempt, reason(code), code));
}

StoreResult<Connection> Connection::open(const std::string& path) {
    sqlite3* handle = nullptr;
    const int code = sqlite3_open_v2(path.c_str(), &handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
    Connection connection(handle, path);
    if (code != SQLITE_OK) {
        const int cause = handle == nullptr ? 0 : sqlite3_system_errno(handle);
        if (cause == EACCES || cause == EPERM) {
            return std::unexpected(error(Code::unavailable, path + ": the store cannot be opened: permission denied; "
                                                                   "only root and the daemons may"));
        }
        return std::unexpected(to_error(code, "open", path));
    }
    sqlite3_busy_timeout(handle, kBusyTimeoutMs);
    return connection;
}

StoreResult<void> Connection::execute(const char* sql) {
    const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) {
        return std::unexpected(to_error(code, sql, path_));
    }
    return {};
}

StoreResult<void> Connection::run(Statement& statement) {
    MANUL_CHECK(Query(*this, statement).run());
    return {};
}

StoreResult<std::string> Connection::query_text(const char* sql) {
    Statement statement(sql);
    Query query(*this, statement);
    MANUL_TRY(const bool found, query.next());
    return found ? std::string(query.bytes_at(0)) : std::string();
}

void Connection::lengthen_log(std::int64_t bytes) {
    constexpr std::uint64_t kFreeBefore = 3;  // times as much
    struct statvfs room{};
    sqlite3_file* log = nullptr;
    if (::statvfs(path_.c_str(), &room) != 0 ||
        room.f_bavail * room.f_frsize < kFreeBefore * static_cast<std::uint64_t>(bytes) ||
        sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_JOURNAL_POINTER, static_cast<void*>(&log)) !=
            SQLITE_OK ||
        log == nullptr || log->pMethods == nullptr) {
        return;
    }
    sqlite3_int64 size = 0;
    if (log->pMethods->xFileSize(log, &size) != SQLITE_OK) {
        return;
    }
    const sqlite3_int64 before = size;
    const std::string zeros(std::size_t{64} << 10U, '\0');  // SQLite writes less than 128 KiB at a time
    while (size < bytes) {
        const auto count = std::min<sqlite3_int64>(static_cast<sqlite3_int64>(zeros.size()), bytes - size);
        if (log->pMethods->xWrite(log, zeros.data(), static_cast<int>(count), size) != SQLITE_OK) {
            log->pMethods->xTruncate(log, before);
            return;
        }
        size += count;
    }
}

void Connection::copy_log(std::chrono::milliseconds wait_for_readers) noexcept {
    const bool waits = wait_for_readers.count() > 0;
    if (waits) {
        sqlite3_busy_timeout(handle_.get(), static_cast<int>(wait_for_readers.count()));
    }
    sqlite3_wal_checkpoint_v2(handle_.get(), "main", waits ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE,
                              nullptr, nullptr);
    if (waits) {
        sqlite3_busy_timeout(handle_.get(), kBusyTimeoutMs);
    }
}

std::uint32_t Connection::data_version() noexcept {
    std::uint32_t version = 0;
    sqlite3_file_control(handle_.get(), "main", SQLITE_FCNTL_DATA_VERSION, &version);
    return version;
}

Query::Query(Connection& connection, Statement& statement) noexcept : connection_(connection), statement_(nullptr) {
    if (!statement.prepared_) {
        sqlite3_stmt* prepared = nullptr;
        code_ =
            sqlite3_prepare_v3(connection.handle(), statement.sql_, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
        statement.prepared_.reset(prepared);
    }
    statement_ = statement.prepared_.get();
}

Query::~Query() {
    sqlite3_reset(statement_);  // repeats the last error, which next() has reported
}

Query& Query::integer(std::int64_t value) noexcept {
    sqlite3_bind_int64(statement_, ++bound_, value);
    return *this;
}

Query& Query::text(std::string_view value) noexcept {
    sqlite3_bind_text64(statement_, ++bound_, not_null(value), value.size(), SQLITE_STATIC, SQLITE_UTF8);
    return *this;
}

Query& Query::blob(std::string_view value) noexcept {
    sqlite3_bind_blob64(statement_, ++bound_, not_null(value), value.size(), SQLITE_STATIC);
    return *this;
}

StoreResult<bool> Query::next() {
    if (code_ == SQLITE_OK) {
        const int code = sqlite3_step(statement_);
        if (code == SQLITE_ROW || code == SQLITE_DONE) {
            return code == SQLITE_ROW;
        }
        code_ = code;
    }
    const char* sql = statement_ != nullptr ? sqlite3_sql(statement_) : "prepare";
    return std::unexpected(to_error(code_, std::string_view(sql).substr(0, 40), connection_.path()));
}

StoreResult<std::int64_t> Query::run() {
    MANUL_CHECK(next());
    return sqlite3_changes64(connection_.handle());
}

std::int64_t Query::integer_at(int column) const noexcept { return sqlite3_column_int64(statement_, column); }

std::string_view Query::bytes_at(int column) const noexcept {
    const void* data = sqlite3_column_blob(statement_, column);
    return data == nullptr ? std::string_view{}
                           : std::string_view(static_cast<const char*>(data),
                                              static_cast<std::size_t>(sqlite3_column_bytes(statement_, column)));
}

bool Query::is_null(int column) const noexcept { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

}  // namespace manul::store::sqlite
