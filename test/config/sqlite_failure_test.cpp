#include <fcntl.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <sqlite3.h>

#include "config/model/kind.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/sqlite_backup.hpp"
#include "config/store/store.hpp"
#include "test/config/sqlite_fixtures.hpp"
#include "test/config/store_contract.hpp"

namespace fs = std::filesystem;
using namespace manul::test;
using manul::model::Kind;
using namespace manul::store;
using Code = StoreError::Code;

namespace {

/// Longer than a reader goes by what it knew of the path.
constexpr std::chrono::milliseconds kReadersLook{150};

std::unique_ptr<Watch> watch_sets(Store& store) {
    const auto listed = store.list({Kind::global_network_set, {}, {}});
    REQUIRE(listed);
    const std::vector<WatchStart> starts{{Kind::global_network_set, listed->revision}};
    auto watch = store.watch(starts);
    REQUIRE(watch);
    return *std::move(watch);
}

/// Changes the file as no Store would.
void run_sql(const std::string& path, const char* sql) {
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(path.c_str(), &database) == SQLITE_OK);
    REQUIRE(sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(database);
}

/// Replaces one text by another of the same length in the bytes of a file.
void overwrite(const std::string& path, const std::string& from, const std::string& to) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(file), {});
    const std::size_t at = bytes.find(from);
    REQUIRE(at != std::string::npos);
    REQUIRE(from.size() == to.size());
    file.seekp(static_cast<std::streamoff>(at));
    file.write(to.data(), static_cast<std::streamsize>(to.size()));
}

void write_file(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}

/// A small file system of its own; `mounted` is false where that is not allowed.
class SmallDisk {
public:
    explicit SmallDisk(std::string path) : path_(std::move(path)) {
        fs::create_directories(path_);
        mounted = ::mount("tmpfs", path_.c_str(), "tmpfs", 0, "size=2m") == 0;
    }
    ~SmallDisk() {
        if (mounted) {
            ::umount2(path_.c_str(), MNT_DETACH);
        }
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;

    [[nodiscard]] bool remount(unsigned long flags) const {
        return ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | flags, "size=2m") == 0;
    }

    bool mounted = false;

private:
    std::string path_;
};

}  // namespace

TEST_CASE("the store's directory and files are the owner's alone") {
    const ScratchDirectory scratch;
    const std::string path = scratch.path() + "/deep/store.db";
    const auto store = open_sqlite(path);
    const auto watch = watch_sets(*store);
    const auto mode = [](const std::string& name) { return fs::status(name).permissions(); };
    CHECK(mode(scratch.path() + "/deep") == fs::perms::owner_all);
    CHECK(mode(path + ".watch") == fs::perms::owner_all);
    for (const std::string& name : {path, path + "-wal", path + "-shm", path + ".lock"}) {
        CAPTURE(name);
        CHECK(mode(name) == (fs::perms::owner_read | fs::perms::owner_write));
    }
}

TEST_CASE("another process's write is seen, and its acknowledged writes survive its death at any moment") {
    const ScratchDirectory scratch;
    struct Acknowledged {
        std::int64_t number;
        std::int64_t revision;
    };
    constexpr std::int64_t kNames = 20;
    std::mt19937 random(7);
    std::int64_t first = 0;
    for (int round = 0; round < 30; ++round) {
        std::array<int, 2> pipe{};
        REQUIRE(::pipe(pipe.data()) == 0);
        const pid_t writer = ::fork();
        if (writer == 0) {
            const auto store = open_sqlite(scratch.database());
            for (std::int64_t number = first;; ++number) {
                const std::string name = "s" + std::to_string(number % kNames);
                const std::string text = document(set_key(name), R"({"nets":[]})",
                                                  R"(,"annotations":{"n":")" + std::to_string(number) + "\"}");
                const std::vector<Op> ops{Put{set_key(name), text, {}}};
                const auto done = store->transact(ops, Checks::own_fields_only);
                const Acknowledged ack{number, done ? std::stoll(*done) : -1};
                if (!done || ::write(pipe[1], &ack, sizeof(ack)) != sizeof(ack)) {
                    ::_exit(1);
                }
            }
        }
        ::close(pipe[1]);
        Acknowledged last{-1, 0};
        REQUIRE(::read(pipe[0], &last, sizeof(last)) == sizeof(last));  // it runs
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 20000));
        ::kill(writer, SIGKILL);
        int status = 0;
        ::waitpid(writer, &status, 0);
        CHECK(WIFSIGNALED(status));
        for (Acknowledged ack{}; ::read(pipe[0], &ack, sizeof(ack)) == sizeof(ack);) {
            last = ack;
        }
        ::close(pipe[0]);

        const auto store = open_sqlite(scratch.database());  // checks the whole file
        const auto listed = store->list({Kind::global_network_set, {}, {}});
        REQUIRE(listed);
        CHECK(listed->damaged.empty());
        CHECK(std::stoll(listed->revision) >= last.revision);
        const auto object = store->get(set_key("s" + std::to_string(last.number % kNames)));
        REQUIRE(object);
        CHECK(std::stoll(object->revision) >= last.revision);
        first = last.number + 1;
    }
}

TEST_CASE("a changed byte damages one object, which can be deleted, and no other") {
    const ScratchDirectory scratch;
    {
        const auto store = open_sqlite(scratch.database());
        REQUIRE(store->create(set_key("a"), set_document("a", "10.11.0.0/16")));
        REQUIRE(store->create(set_key("b"), set_document("b", "10.22.0.0/16")));
    }
    overwrite(scratch.database(), "10.11.0.0", "10.99.0.0");
    const auto store = open_sqlite(scratch.database());
    CHECK(store->get(set_key("a")).error().code == Code::corrupt);
    CHECK(store->get(set_key("b")));
    CHECK(store->update(set_key("a"), set_document("a"), std::nullopt).error().code == Code::corrupt);
    const auto listed = store->list({Kind::global_network_set, {}, {}});
    REQUIRE(listed);
    CHECK(listed->items.size() == 1);
    REQUIRE(listed->damaged.size() == 1);
    CHECK(listed->damaged[0].key == set_key("a"));
    CHECK(listed->damaged[0].error.code == Code::corrupt);

    const auto watch = watch_sets(*store);
    CHECK(store->remove(set_key("a"), std::nullopt));
    const auto events = take(*watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == Event::Type::removed);
    CHECK(store->create(set_key("a"), set_document("a")));
}

TEST_CASE("a damaged change ends the watch of its kind, so that it lists again") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    const auto watch = watch_sets(*store);
    REQUIRE(store->create(set_key("a"), set_document("a")));
    run_sql(scratch.database(), "UPDATE object SET crc = crc + 1 WHERE name = 'a'");
    const auto events = take(*watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == Event::Type::resync);
}

TEST_CASE("a file that is no store is refused and left alone, and the store works when it is put right") {
    const ScratchDirectory scratch;
    const auto broken = [&](const std::string& content) {
        write_file(scratch.database(), content);
        const auto store = open_sqlite(scratch.database());
        const auto got = store->get(set_key("a"));
        REQUIRE(!got);
        CHECK(got.error().code == Code::corrupt);
        CHECK(store->create(set_key("a"), set_document("a")).error().code == Code::corrupt);
        std::ifstream file(scratch.database(), std::ios::binary);
        CHECK(std::string(std::istreambuf_iterator<char>(file), {}) == content);
        fs::remove(scratch.database());
        CHECK(store->create(set_key("a"), set_document("a")));
        for (const auto& entry : fs::directory_iterator(scratch.path())) {
            fs::remove_all(entry);
        }
    };
    broken("this is no database, but long enough to have a header of a hundred bytes: " + std::string(200, 'x'));

    run_sql(scratch.path() + "/foreign.db", "CREATE TABLE people(name TEXT)");
    std::ifstream file(scratch.path() + "/foreign.db", std::ios::binary);
    broken(std::string(std::istreambuf_iterator<char>(file), {}));

    {
        const auto store = open_sqlite(scratch.path() + "/whole.db");
        for (int i = 0; i < 50; ++i) {
            const std::string name = "s" + std::to_string(i);
            REQUIRE(store->create(set_key(name), set_document(name)));
        }
    }
    std::ifstream whole(scratch.path() + "/whole.db", std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(whole), {});
    broken(bytes.substr(0, 3 * 4096));                                            // cut
    broken(bytes.substr(0, 4096) + std::string(4096, 'y') + bytes.substr(8192));  // a page overwritten
}

TEST_CASE("while another program holds the lock a write fails after a bound, and works afterwards") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database(), {.lock_timeout_ms = 50});
    REQUIRE(store->create(set_key("a"), set_document("a")));
    const int other = ::open((scratch.database() + ".lock").c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(::flock(other, LOCK_EX) == 0);
    const auto refused = store->create(set_key("b"), set_document("b"));
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::unavailable);
    CHECK(store->get(set_key("a")));  // reading goes on
    ::flock(other, LOCK_UN);
    CHECK(store->create(set_key("b"), set_document("b")));
    ::close(other);
}

TEST_CASE("a full disk refuses writes, keeps what is there, and is forgotten when space is free") {
    const ScratchDirectory scratch;
    const SmallDisk disk(scratch.path() + "/disk");
    if (!disk.mounted) {
        WARN("mounting a small file system is not allowed here");
        return;
    }
    write_file(scratch.path() + "/disk/ballast", std::string(std::size_t{800} << 10U, 'b'));
    const auto store = open_sqlite(scratch.path() + "/disk/store.db");
    const auto big = [](const std::string& name) {
        return document(set_key(name), R"({"nets":[]})", R"(,"annotations":{"x":")" + std::string(20000, 'x') + "\"}");
    };
    std::size_t written = 0;
    std::optional<StoreError> failure;
    while (!failure && written < 1000) {
        const std::string name = "s" + std::to_string(written);
        const auto created = store->create(set_key(name), big(name));
        if (created) {
            ++written;
        } else {
            failure = created.error();
        }
    }
    REQUIRE(failure);
    CHECK(failure->code == Code::unavailable);
    CHECK(failure->message.find("full") != std::string::npos);
    CHECK(written > 3);
    CHECK(store->list({Kind::global_network_set, {}, {}})->items.size() == written);
    CHECK(store->create(set_key("more"), big("more")).error().code == Code::unavailable);
    fs::remove(scratch.path() + "/disk/ballast");
    CHECK(store->create(set_key("more"), big("more")));
    CHECK(store->list({Kind::global_network_set, {}, {}})->items.size() == written + 1);
}

TEST_CASE("a read-only file system gives a clear error, and the same Store works when it is writable") {
    const ScratchDirectory scratch;
    const SmallDisk disk(scratch.path() + "/disk");
    if (!disk.mounted) {
        WARN("mounting a small file system is not allowed here");
        return;
    }
    const std::string path = scratch.path() + "/disk/store.db";
    REQUIRE(open_sqlite(path)->create(set_key("a"), set_document("a")));
    REQUIRE(disk.remount(MS_RDONLY));
    const auto store = open_sqlite(path);
    CHECK(store->create(set_key("b"), set_document("b")).error().code == Code::unavailable);
    const std::vector<WatchStart> starts{{Kind::global_network_set, "1"}};
    CHECK(store->watch(starts).error().code == Code::unavailable);
    REQUIRE(disk.remount(0));
    CHECK(store->create(set_key("b"), set_document("b")));
    CHECK(store->get(set_key("a")));
}

TEST_CASE("a directory that cannot exist is an unavailable store") {
    const ScratchDirectory scratch;
    write_file(scratch.path() + "/file", "x");
    const auto store = open_sqlite(scratch.path() + "/file/store.db");
    CHECK(store->get(set_key("a")).error().code == Code::unavailable);
    CHECK(store->identity().error().code == Code::unavailable);
    fs::remove(scratch.path() + "/file");
    CHECK(store->get(set_key("a")).error().code == Code::not_found);
}

TEST_CASE("a reader that never reads neither stops writers nor hides changes from others") {
    const ScratchDirectory scratch;
    std::vector<std::unique_ptr<Store>> sleepers;
    std::vector<std::unique_ptr<Watch>> asleep;
    for (int i = 0; i < 30; ++i) {
        sleepers.push_back(open_sqlite(scratch.database(), {.node = "sleeper" + std::to_string(i)}));
        asleep.push_back(watch_sets(*sleepers.back()));
    }
    const auto reader = open_sqlite(scratch.database(), {.node = "reader"});
    const auto watch = watch_sets(*reader);
    const auto writer = open_sqlite(scratch.database(), {.node = "reader"});
    for (int i = 0; i < 200; ++i) {
        const std::string name = "s" + std::to_string(i);
        REQUIRE(writer->create(set_key(name), set_document(name)));
    }
    CHECK(take(*watch, 200).size() == 200);
    CHECK(take(*asleep[0], 200).size() == 200);  // late, but complete
}

TEST_CASE("two watches of one process both see everything, whichever is read first") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    const auto one = watch_sets(*store);
    const auto two = watch_sets(*store);
    constexpr std::size_t kTransactions = 60;
    constexpr std::size_t kKeys = 100;  // 6,000 changes: more than stay in memory, more than one reading takes
    for (std::size_t i = 0; i < kTransactions; ++i) {
        std::vector<Op> ops;
        for (std::size_t k = 0; k < kKeys; ++k) {
            const std::string name = "s" + std::to_string(i * kKeys + k);
            ops.emplace_back(Put{set_key(name), set_document(name), {}});
        }
        REQUIRE(store->transact(ops, Checks::own_fields_only));
        if (i == 5) {
            CHECK(take(*one, 6 * kKeys).size() == 6 * kKeys);
        }
    }
    CHECK(take(*two, kTransactions * kKeys).size() == kTransactions * kKeys);
    CHECK(take(*one, (kTransactions - 6) * kKeys).size() == (kTransactions - 6) * kKeys);
    REQUIRE(store->create(set_key("last"), set_document("last")));
    CHECK(take(*one, 1).front().object.key == set_key("last"));
    CHECK(take(*two, 1).front().object.key == set_key("last"));
}

TEST_CASE("a lost wake-up is made up for by looking again") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    const auto watch = watch_sets(*store);
    for (const auto& entry : fs::directory_iterator(scratch.database() + ".watch")) {
        fs::remove(entry);
    }
    REQUIRE(store->create(set_key("a"), set_document("a")));
    CHECK(take(*watch, 1).size() == 1);
}

TEST_CASE("a replaced file ends every watch, and both reading and writing go to the new one") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    REQUIRE(store->create(set_key("old"), set_document("old")));
    const auto watch = watch_sets(*store);
    const std::string other = scratch.path() + "/other.db";
    REQUIRE(open_sqlite(other)->create(set_key("new"), set_document("new")));
    const auto before = store->identity();
    const auto listed = store->list({Kind::profile, {}, {}});
    REQUIRE(listed);
    REQUIRE(std::rename(other.c_str(), scratch.database().c_str()) == 0);
    for (const char* companion : {"-wal", "-shm"}) {
        fs::remove(scratch.database() + companion);
    }

    const auto events = take(*watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == Event::Type::resync);
    std::this_thread::sleep_for(kReadersLook);
    CHECK(store->get(set_key("old")).error().code == Code::not_found);
    CHECK(store->get(set_key("new")));
    CHECK(*store->identity() != *before);
    // A list of the old file is no start in the new one.
    const std::vector<WatchStart> starts{{Kind::profile, listed->revision}};
    auto late = store->watch(starts);
    REQUIRE(late);
    CHECK(take(**late, 1).front().type == Event::Type::resync);
}

TEST_CASE("a file that vanishes makes the store unavailable, not empty") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    REQUIRE(store->create(set_key("a"), set_document("a")));
    const auto watch = watch_sets(*store);
    const std::string away = scratch.path() + "/away";
    fs::create_directory(away);
    for (const char* part : {"", "-wal", "-shm"}) {
        fs::rename(scratch.database() + part, away + "/store.db" + part);
    }
    std::this_thread::sleep_for(kReadersLook);
    CHECK(store->get(set_key("a")).error().code == Code::unavailable);
    CHECK(store->create(set_key("b"), set_document("b")).error().code == Code::unavailable);
    CHECK(watch->take().error().code == Code::unavailable);
    CHECK(!fs::exists(scratch.database()));
    for (const char* part : {"", "-wal", "-shm"}) {
        if (fs::exists(away + "/store.db" + part)) {
            fs::rename(away + "/store.db" + part, scratch.database() + part);
        }
    }
    CHECK(store->get(set_key("a")));
    CHECK(store->create(set_key("b"), set_document("b")));
    CHECK(take(*watch, 1).front().object.key == set_key("b"));
}

TEST_CASE("a restored store ends every watch") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    const auto watch = watch_sets(*store);
    run_sql(scratch.database(), "UPDATE meta SET store_uuid = 'restored', rev = rev + 1000");
    REQUIRE(take(*watch, 1).front().type == Event::Type::resync);
    CHECK(*store->identity() == "restored");
    CHECK(watch->take()->empty());
}

TEST_CASE("a store of a newer format is left alone until the program is newer too") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    REQUIRE(store->create(set_key("a"), set_document("a")));
    const auto watch = watch_sets(*store);
    run_sql(scratch.database(), "UPDATE meta SET schema = 2007");  // a minor step only adds
    CHECK(store->get(set_key("a")));
    run_sql(scratch.database(), "UPDATE meta SET schema = 3000");
    CHECK(store->get(set_key("a")).error().code == Code::newer_schema);
    CHECK(store->create(set_key("b"), set_document("b")).error().code == Code::newer_schema);
    CHECK(watch->take().error().code == Code::newer_schema);
    CHECK(open_sqlite(scratch.database())->get(set_key("a")).error().code == Code::newer_schema);
    run_sql(scratch.database(), "UPDATE meta SET schema = 2000");
    CHECK(store->create(set_key("b"), set_document("b")));
    CHECK(take(*watch, 1).front().object.key == set_key("b"));
}

TEST_CASE("a store of the first format is migrated by who opens it, and its watches list again") {
    const ScratchDirectory scratch;
    std::string before;
    {
        const auto store = open_sqlite(scratch.database());
        REQUIRE(store->create(set_key("a"), set_document("a")));
        before = store->create(set_key("b"), set_document("b"))->revision;
    }
    run_sql(scratch.database(),
            "UPDATE meta SET rev = (SELECT rev FROM head), entries = 1, schema = 1000; DROP VIEW head; "
            "DROP TABLE change; CREATE TABLE change(rev INTEGER NOT NULL, seq INTEGER NOT NULL, op INTEGER NOT NULL, "
            "kind TEXT NOT NULL, ns TEXT NOT NULL, name TEXT NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL, "
            "PRIMARY KEY(rev, seq)) STRICT, WITHOUT ROWID");
    const std::string backup = scratch.path() + "/old";
    fs::copy_file(scratch.database(), backup);

    const auto store = open_sqlite(scratch.database());
    const auto listing = store->list({Kind::global_network_set, {}, {}});
    REQUIRE(listing);
    CHECK(listing->items.size() == 2);
    CHECK(listing->revision == before);
    const std::vector<WatchStart> starts{{Kind::global_network_set, std::to_string(std::stoll(before) - 1)}};
    const auto old_watch = store->watch(starts);
    REQUIRE(old_watch);
    CHECK(take(**old_watch, 1).front().type == Event::Type::resync);
    const auto created = store->create(set_key("c"), set_document("c"));
    REQUIRE(created);
    CHECK(std::stoll(created->revision) == std::stoll(before) + 1);

    // A backup of that format is read as it is.
    const auto restored = restore_sqlite(scratch.database(), backup, {});
    REQUIRE(restored);
    CHECK(restored->revision > std::stoll(created->revision));
    CHECK(store->get(set_key("c")).error().code == Code::not_found);
}

TEST_CASE("the change log is trimmed in steps") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database(), {.change_log_limit = 50, .change_log_trim = 10});
    for (int i = 0; i < 200; ++i) {
        const std::string name = "s" + std::to_string(i);
        REQUIRE(store->create(set_key(name), set_document(name)));
    }
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(scratch.database().c_str(), &database) == SQLITE_OK);
    sqlite3_stmt* statement = nullptr;
    REQUIRE(sqlite3_prepare_v2(
                database,
                "SELECT (SELECT count(*) FROM change), (SELECT min(id) >> 7 FROM change), counted - trimmed, "
                "compacted, rev, (SELECT max(id) >> 7 FROM change) FROM head",
                -1, &statement, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(statement) == SQLITE_ROW);
    const auto value = [&](int column) { return sqlite3_column_int64(statement, column); };
    CHECK(value(0) >= 50);
    CHECK(value(0) < 60);
    CHECK(value(2) == value(0));
    CHECK(value(3) == value(1) - 1);
    CHECK(value(4) == value(5));
    sqlite3_finalize(statement);
    sqlite3_close(database);
}

TEST_CASE("a process that writes often gets a log of full length, of which a copy after a crash loses nothing") {
    constexpr std::uintmax_t kFull = 16U << 20U;
    const ScratchDirectory scratch;
    const std::string log = scratch.database() + "-wal";
    const auto store = open_sqlite(scratch.database());
    REQUIRE(store->create(set_key("first"), set_document("first")));
    const auto seldom = open_sqlite(scratch.database());
    REQUIRE(seldom->create(set_key("second"), set_document("second")));
    CHECK(fs::file_size(log) < kFull);
    std::vector<std::string> names{"first", "second"};
    for (int i = 0; i < 30; ++i) {
        names.push_back("set-" + std::to_string(i));
        REQUIRE((i % 3 == 0 ? seldom : store)->create(set_key(names.back()), set_document(names.back())));
    }
    REQUIRE(fs::file_size(log) >= kFull);
    const ScratchDirectory copy;  // what a machine finds that stopped at this moment
    for (const char* part : {"", "-wal"}) {
        fs::copy_file(scratch.database() + part, copy.database() + part);
    }
    const auto after = open_sqlite(copy.database());
    for (const std::string& name : names) {
        CHECK(after->get(set_key(name)));
    }
    REQUIRE(after->create(set_key("later"), set_document("later")));
    CHECK(open_sqlite(copy.database())->get(set_key("later")));
}

TEST_CASE("a watch passes over its own process's writes of other kinds, and over nothing else") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    const auto other = open_sqlite(scratch.database());
    const auto watch = watch_sets(*store);
    const auto is_own = [](int i) { return i % 3 != 0; };
    const auto put_profile = [](Store& by, int i) {
        const std::string name = "p" + std::to_string(i);
        const std::string document =
            R"({"apiVersion":"projectcalico.org/v3","kind":"Profile","metadata":{"name":")" + name + R"("},"spec":{}})";
        REQUIRE(by.create({Kind::profile, "", name}, document));
    };
    std::vector<std::string> wanted;
    std::vector<std::string> told;
    for (int i = 0; i < 60; ++i) {
        put_profile(is_own(i) ? *store : *other, i);
        if (i % 5 == 0) {
            run_sql(scratch.database(), "UPDATE meta SET rev = rev + 1");  // somebody who is not this process
        }
        if (i % 4 == 0) {
            wanted.push_back("s" + std::to_string(i));
            REQUIRE((is_own(i + 1) ? store : other)->create(set_key(wanted.back()), set_document(wanted.back())));
        }
        if (i % 7 == 0) {
            for (const Event& event : take(*watch, wanted.size() - told.size())) {
                CHECK(event.type == Event::Type::put);
                told.push_back(event.object.key.name);
            }
        }
    }
    for (const Event& event : take(*watch, wanted.size() - told.size())) {
        told.push_back(event.object.key.name);
    }
    CHECK(told == wanted);
    CHECK(watch->take()->empty());
}
