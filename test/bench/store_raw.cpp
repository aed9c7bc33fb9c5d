#include "test/bench/store_raw.hpp"

#include <sqlite3.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/store/etcd/cluster.hpp"
#include "config/store/etcd/member.hpp"

namespace manul::bench {

namespace {

class RawSqlite final : public RawStore {
public:
    RawSqlite(const std::string& path, bool changes) {
        sqlite3_open(path.c_str(), &database_);
        run("PRAGMA journal_mode = WAL");
        run("PRAGMA synchronous = FULL");
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
            bind(put_, 1, pair.key);
            bind(put_, 2, pair.value);
            done = sqlite3_step(put_) == SQLITE_DONE && done;
            sqlite3_reset(put_);
            if (note_ != nullptr) {
                bind(note_, 1, pair.key);
                done = sqlite3_step(note_) == SQLITE_DONE && done;
                sqlite3_reset(note_);
            }
        }
        return run("COMMIT") && done;
    }
    bool get(const std::string& key) override {
        bind(get_, 1, key);
        const bool found = sqlite3_step(get_) == SQLITE_ROW;
        value_ = found ? text(get_, 0) : std::string();
        sqlite3_reset(get_);
        return found;
    }
    std::vector<Pair> list(const std::string& prefix) override {
        std::vector<Pair> out;
        bind(list_, 1, prefix);
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
    sqlite3_stmt* prepare(const char* sql) {
        sqlite3_stmt* out = nullptr;
        sqlite3_prepare_v2(database_, sql, -1, &out, nullptr);
        return out;
    }
    static void bind(sqlite3_stmt* statement, int at, const std::string& value) {
        sqlite3_bind_text(statement, at, value.data(), static_cast<int>(value.size()), SQLITE_STATIC);
    }
    static std::string text(sqlite3_stmt* statement, int column) {
        const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement, column));
        return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))};
    }

    sqlite3* database_ = nullptr;
    sqlite3_stmt* put_ = nullptr;
    sqlite3_stmt* get_ = nullptr;
    sqlite3_stmt* list_ = nullptr;
    sqlite3_stmt* note_ = nullptr;
    std::string value_;
};

class RawEtcd final : public RawStore {
public:
    explicit RawEtcd(std::unique_ptr<store::etcd::Member> member) : member_(std::move(member)) {}

    bool put(std::span<const Pair> pairs) override {
        store::etcd::Txn txn;
        for (const Pair& pair : pairs) {
            txn.operations.push_back({store::etcd::Operation::Type::put, pair.key, pair.value});
        }
        const auto answer = member_->commit(call(), txn);
        return answer && answer->succeeded;
    }
    bool get(const std::string& key) override {
        const auto answer = member_->range(call(), {.range = {key, {}}});
        return answer && answer->entries.size() == 1;
    }
    std::vector<Pair> list(const std::string& prefix) override {
        constexpr std::int64_t kPage = 1000;
        std::vector<Pair> out;
        store::etcd::RangeQuery query{.range = store::etcd::Range::of_prefix(prefix), .limit = kPage};
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
    static store::etcd::Call call() { return {std::chrono::steady_clock::now() + std::chrono::seconds(30), {}}; }

    std::unique_ptr<store::etcd::Member> member_;
};

}  // namespace

std::unique_ptr<RawStore> open_raw_sqlite(const std::string& path, bool changes) {
    return std::make_unique<RawSqlite>(path, changes);
}

std::unique_ptr<RawStore> open_raw_etcd(const std::string& endpoint) {
    const auto module = store::etcd::load_grpc_module();
    const auto parsed = store::etcd::parse_endpoints({endpoint});
    if (!module || !parsed) {
        return nullptr;
    }
    return std::make_unique<RawEtcd>((*module)->make_member(parsed->front().address, {}));
}

}  // namespace manul::bench
