#include "test/bench/store_raw.hpp"

#include <sqlite3.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/store/etcd/cluster.hpp"
#include "config/store/etcd/member.hpp"

namespace manul::bench {

namespace {

sqlite3* open_database(const std::string& path) {
    sqlite3* database = nullptr;
    sqlite3_open(path.c_str(), &database);
    for (const char* setting : {"PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL"}) {
        sqlite3_exec(database, setting, nullptr, nullptr, nullptr);
    }
    return database;
}

void bind_text(sqlite3_stmt* statement, int at, std::string_view value) {
    sqlite3_bind_text(statement, at, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
}

std::string text(sqlite3_stmt* statement, int column) {
    const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
    return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
}

sqlite3_stmt* prepare_on(sqlite3* database, const char* sql) {
    sqlite3_stmt* out = nullptr;
    sqlite3_prepare_v2(database, sql, -1, &out, nullptr);
    return out;
}

class RawSqlite final : public RawStore {
public:
    RawSqlite(const std::string& path, bool changes) {
        database_ = open_database(path);
        run("CREATE TABLE IF NOT EXISTS pair(key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID");
        if (changes) {
            run("CREATE TABLE IF NOT EXISTS change(revision INTEGER PRIMARY KEY, key TEXT NOT NULL)");
            note_ = prepare("INSERT INTO change(key) VALUES(?)");
        }
        put_ = prepare("INSERT OR REPLACE INTO pair VALUES(?, ?)");
        get_ = prepare("SELECT value FROM pair WHERE key = ?");
        list_ = prepare("SELECT key, value FROM pair WHERE key >= ? ORDER BY key");
    }
    ~RawSqlite() override {
        for (sqlite3_stmt* statement : {put_, get_, list_, note_}) {
            sqlite3_finalize(statement);
        }
        sqlite3_close(database_);
    }
    RawSqlite(const RawSqlite&) = delete;
    RawSqlite& operator=(const RawSqlite&) = delete;

    bool put(std::span<const Pair> pairs) override {
        bool done = run("BEGIN IMMEDIATE");
        for (const Pair& pair : pairs) {
            bind_text(put_, 1, pair.key);
            bind_text(put_, 2, pair.value);
            done = sqlite3_step(put_) == SQLITE_DONE && done;
            sqlite3_reset(put_);
            if (note_ != nullptr) {
                bind_text(note_, 1, pair.key);
                done = sqlite3_step(note_) == SQLITE_DONE && done;
                sqlite3_reset(note_);
            }
        }
        return run("COMMIT") && done;
    }
    bool get(const std::string& key) override {
        bind_text(get_, 1, key);
        const bool found = sqlite3_step(get_) == SQLITE_ROW;
        value_ = found ? text(get_, 0) : std::string();
        sqlite3_reset(get_);
        return found;
    }
    std::vector<Pair> list(const std::string& prefix) override {
        std::vector<Pair> out;
        bind_text(list_, 1, prefix);
        while (sqlite3_step(list_) == SQLITE_ROW) {
            Pair pair{text(list_, 0), text(list_, 1)};
            if (!pair.key.starts_with(prefix)) {
                break;
            }
            out.push_back(std::move(pair));
        }
        sqlite3_reset(list_);
        return out;
    }

private:
    bool run(const char* sql) { return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK; }
    sqlite3_stmt* prepare(const char* sql) { return prepare_on(database_, sql); }

    sqlite3* database_ = nullptr;
    sqlite3_stmt* put_ = nullptr;
    sqlite3_stmt* get_ = nullptr;
    sqlite3_stmt* list_ = nullptr;
    sqlite3_stmt* note_ = nullptr;
    std::string value_;
};

/// As long as uid, creationTimestamp and generation.
constexpr std::string_view kIdentity =
    R"(,"uid":"01234567-89ab-4cde-8f01-23456789abcd","creationTimestamp":"2026-01-01T00:00:00Z","generation":1)";

class RawRows final : public RawStore {
public:
    explicit RawRows(const std::string& path) : database_(open_database(path)) {
        run("CREATE TABLE IF NOT EXISTS object(kind TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL, rev INTEGER "
            "NOT NULL, body BLOB NOT NULL, PRIMARY KEY(kind, ns, name)) WITHOUT ROWID");
        run("CREATE TABLE IF NOT EXISTS change(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, ns TEXT NOT NULL, name TEXT "
            "NOT NULL)");
        for (std::size_t i = 0; i < kSql.size(); ++i) {
            statements_[i] = prepare_on(database_, kSql[i]);
        }
    }
    ~RawRows() override {
        for (sqlite3_stmt* statement : statements_) {
            sqlite3_finalize(statement);
        }
        sqlite3_close(database_);
    }
    RawRows(const RawRows&) = delete;
    RawRows& operator=(const RawRows&) = delete;

    bool put(std::span<const Pair> pairs) override {
        bool done = run("BEGIN IMMEDIATE");
        sqlite3_stmt* newest = statements_[kNewest];
        std::int64_t id = sqlite3_step(newest) == SQLITE_ROW ? sqlite3_column_int64(newest, 0) : 0;
        sqlite3_reset(newest);
        const std::int64_t revision = id + 1;
        for (const Pair& pair : pairs) {
            const Parts parts = parts_of(pair.key);
            sqlite3_stmt* select = statements_[kSelect];
            bind_key(select, 1, parts);
            const bool there = sqlite3_step(select) == SQLITE_ROW;
            const std::int64_t seen = there ? sqlite3_column_int64(select, 0) : 0;
            before_ = there ? text(select, 1) : std::string();
            sqlite3_reset(select);
            body_.assign(pair.value).append(kIdentity);
            sqlite3_stmt* put = statements_[there ? kUpdate : kInsert];
            sqlite3_bind_int64(put, 1, revision);
            bind_text(put, 2, body_);
            bind_key(put, 3, parts);
            if (there) {
                sqlite3_bind_int64(put, 6, seen);
            }
            done = step(put) && sqlite3_changes(database_) == 1 && done;
            sqlite3_stmt* note = statements_[kNote];
            sqlite3_bind_int64(note, 1, ++id);
            bind_key(note, 2, parts);
            done = step(note) && done;
        }
        return run("COMMIT") && done;
    }
    bool get(const std::string& key) override {
        sqlite3_stmt* select = statements_[kSelect];
        bind_key(select, 1, parts_of(key));
        const bool found = sqlite3_step(select) == SQLITE_ROW;
        before_ = found ? text(select, 1) : std::string();
        sqlite3_reset(select);
        return found;
    }
    std::vector<Pair> list(const std::string& prefix) override {
        std::vector<Pair> out;
        sqlite3_stmt* list = statements_[kList];
        bind_text(list, 1, parts_of(prefix).kind);
        while (sqlite3_step(list) == SQLITE_ROW) {
            out.push_back({text(list, 0), text(list, 1)});
        }
        sqlite3_reset(list);
        return out;
    }

private:
    /// Of "/raw/KIND/NAMESPACE/NAME".
    struct Parts {
        std::string_view kind;
        std::string_view ns;
        std::string_view name;
    };
    enum : std::size_t { kNewest, kSelect, kInsert, kUpdate, kNote, kList };
    static constexpr std::array<const char*, 6> kSql{
        "SELECT max(id) FROM change",
        "SELECT rev, body FROM object WHERE kind = ? AND ns = ? AND name = ?",
        "INSERT INTO object(rev, body, kind, ns, name) VALUES(?, ?, ?, ?, ?)",
        "UPDATE object SET rev = ?, body = ? WHERE kind = ? AND ns = ? AND name = ? AND rev = ?",
        "INSERT INTO change(id, kind, ns, name) VALUES(?, ?, ?, ?)",
        "SELECT name, body FROM object WHERE kind = ?",
    };

    static Parts parts_of(std::string_view key) {
        key.remove_prefix(std::string_view("/raw/").size());
        const std::size_t kind = key.find('/');
        const std::size_t ns = key.find('/', kind + 1);
        return ns == std::string_view::npos
                   ? Parts{key.substr(0, kind), {}, {}}
                   : Parts{key.substr(0, kind), key.substr(kind + 1, ns - kind - 1), key.substr(ns + 1)};
    }
    static void bind_key(sqlite3_stmt* statement, int at, const Parts& parts) {
        bind_text(statement, at, parts.kind);
        bind_text(statement, at + 1, parts.ns);
        bind_text(statement, at + 2, parts.name);
    }
    static bool step(sqlite3_stmt* statement) {
        const bool done = sqlite3_step(statement) == SQLITE_DONE;
        sqlite3_reset(statement);
        return done;
    }
    bool run(const char* sql) { return sqlite3_exec(database_, sql, nullptr, nullptr, nullptr) == SQLITE_OK; }

    sqlite3* database_;
    std::array<sqlite3_stmt*, kSql.size()> statements_{};
    std::string before_;
    std::string body_;
};

class RawEtcd final : public RawStore {
public:
    RawEtcd(std::unique_ptr<store::etcd::Member> member, bool compares)
        : member_(std::move(member)), compares_(compares) {}

    bool put(std::span<const Pair> pairs) override {
        store::etcd::Txn txn;
        if (compares_ && !compare_with_present(pairs, txn)) {
            return false;
        }
        for (const Pair& pair : pairs) {
            txn.operations.push_back({store::etcd::Operation::Type::put, place(pair.key), pair.value});
        }
        const auto answer = member_->commit(call(), txn);
        return answer && answer->succeeded;
    }
    bool get(const std::string& key) override {
        const auto answer = member_->range(call(), {.range = {place(key), {}}});
        return answer && answer->entries.size() == 1;
    }
    std::vector<Pair> list(const std::string& prefix) override {
        constexpr std::int64_t kPage = 1000;
        std::vector<Pair> out;
        store::etcd::RangeQuery query{.range = store::etcd::Range::of_prefix(place(prefix)), .limit = kPage};
        for (;;) {
            auto answer = member_->range(call(), query);
            if (!answer) {
                return {};
            }
            for (store::etcd::Entry& entry : answer->entries) {
                out.push_back({std::move(entry.key), std::move(entry.value)});
            }
            if (!answer->more) {
                return out;
            }
            query.revision = query.revision == 0 ? answer->revision : query.revision;
            query.range.key = out.back().key + '\0';
        }
    }

private:
    /// Both write beside each other.
    [[nodiscard]] std::string place(const std::string& key) const { return compares_ ? "/compared" + key : key; }
    bool compare_with_present(std::span<const Pair> pairs, store::etcd::Txn& txn) {
        store::etcd::Txn present;
        for (const Pair& pair : pairs) {
            present.operations.push_back({store::etcd::Operation::Type::get, place(pair.key), {}});
        }
        const auto answer = member_->commit(call(), present);
        for (std::size_t i = 0; answer && i < pairs.size(); ++i) {
            const std::optional<store::etcd::Entry>& entry = answer->read[i];
            txn.comparisons.push_back(
                {store::etcd::Comparison::Type::at, {place(pairs[i].key), {}}, entry ? entry->revision : 0});
        }
        return answer.has_value();
    }
    static store::etcd::Call call() { return {std::chrono::steady_clock::now() + std::chrono::seconds(30), {}}; }

    std::unique_ptr<store::etcd::Member> member_;
    bool compares_;
};

}  // namespace

std::unique_ptr<RawStore> open_raw_sqlite(const std::string& path, bool changes) {
    return std::make_unique<RawSqlite>(path, changes);
}

std::unique_ptr<RawStore> open_raw_rows(const std::string& path) { return std::make_unique<RawRows>(path); }

std::unique_ptr<RawStore> open_raw_etcd(const std::string& endpoint, bool compares) {
    const auto module = store::etcd::load_grpc_module();
    const auto parsed = store::etcd::parse_endpoints({endpoint});
    if (!module || !parsed) {
        return nullptr;
    }
    return std::make_unique<RawEtcd>((*module)->make_member(parsed->front().address, {}), compares);
}

}  // namespace manul::bench
