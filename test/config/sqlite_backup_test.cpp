#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <thread>
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
using namespace manul::store;
using manul::model::Key;
using manul::model::Kind;
using Code = StoreError::Code;

namespace {

std::size_t count(Store& store) {
    const auto listing = store.list({Kind::global_network_set, {}, {}});
    REQUIRE(listing);
    return listing->items.size();
}

void fill(Store& store, int first, int end) {
    for (int i = first; i < end; ++i) {
        const std::string name = "s" + std::to_string(i);
        REQUIRE(store.create(set_key(name), set_document(name)));
    }
}

Key endpoint_key() { return {Kind::workload_endpoint, "default", "n1-cni-c-eth0"}; }

void put_endpoint(Store& store, const std::string& address) {
    const std::string spec =
        R"({"orchestrator":"cni","node":"n1","containerID":"c","endpoint":"eth0","ipNetworks":[")" + address +
        "/32\"]}";
    const Op put = Put{endpoint_key(), document(endpoint_key(), spec), std::nullopt};
    const auto done = store.transact(std::span(&put, 1), Checks::own_fields_only);
    INFO((done ? "" : done.error().message));
    REQUIRE(done);
}

}  // namespace

TEST_CASE("a backup is one moment of a store that is being written, for its owner alone") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    fill(*store, 0, 50);
    const std::string file = scratch.path() + "/backup.db";
    std::atomic<bool> stop{false};
    std::jthread writer([&] {
        const auto mine = open_sqlite(scratch.database());
        for (int i = 0; !stop; ++i) {  // two objects a transaction: both, or none
            const auto put = [](const std::string& name) {
                return Put{set_key(name), set_document(name), Precondition{true, {}}};
            };
            const std::vector<Op> pair{put("a" + std::to_string(i)), put("b" + std::to_string(i))};
            if (!mine->transact(pair, Checks::full)) {
                return;
            }
        }
    });
    for (int round = 0; round < 10; ++round) {
        const auto report = back_up_sqlite(scratch.database(), file);
        INFO((report ? "" : report.error().message));
        REQUIRE(report);
        CHECK(report->damaged.empty());
        CHECK(fs::status(file).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
        const auto copy = open_sqlite(file);
        const auto listing = copy->list({Kind::global_network_set, {}, {}});
        REQUIRE(listing);
        std::size_t first = 0;
        std::size_t second = 0;
        for (const Object& object : listing->items) {
            first += object.key.name.starts_with('a') ? 1U : 0U;
            second += object.key.name.starts_with('b') ? 1U : 0U;
        }
        CHECK(first == second);
        CHECK(listing->items.size() - first - second == 50);
    }
    stop = true;
    CHECK_FALSE(fs::exists(file + ".part"));
}

TEST_CASE("a restored store has the backup's objects, another identity, and everybody lists again") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    fill(*store, 0, 20);
    const std::string file = scratch.path() + "/backup.db";
    REQUIRE(back_up_sqlite(scratch.database(), file));
    fill(*store, 20, 30);
    REQUIRE(store->remove(set_key("s3"), std::nullopt));
    const auto listing = store->list({Kind::global_network_set, {}, {}});
    REQUIRE(listing);
    const std::vector<WatchStart> starts{{Kind::global_network_set, listing->revision}};
    auto watch = store->watch(starts);
    REQUIRE(watch);
    const std::string before = *store->identity();
    const auto inode = fs::hard_link_count(scratch.database());

    const auto report = restore_sqlite(scratch.database(), file, {});
    INFO((report ? "" : report.error().message));
    REQUIRE(report);
    CHECK(report->revision > std::stoll(listing->revision));
    CHECK(fs::hard_link_count(scratch.database()) == inode);
    const auto events = take(**watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events.front().type == Event::Type::resync);
    CHECK(count(*store) == 20);
    CHECK(store->get(set_key("s3")));
    CHECK(*store->identity() != before);
    fill(*store, 20, 21);  // and goes on

    const std::string fresh = scratch.path() + "/fresh/store.db";
    REQUIRE(restore_sqlite(fresh, file, {}));
    CHECK(count(*open_sqlite(fresh)) == 20);
    CHECK(*open_sqlite(fresh)->identity() != *store->identity());
}

TEST_CASE("a backup that is damaged, or none, changes nothing") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    fill(*store, 0, 5);
    const std::string file = scratch.path() + "/backup.db";
    REQUIRE(back_up_sqlite(scratch.database(), file));
    const auto refused = [&](Code code, const std::string& text) {
        const auto report = restore_sqlite(scratch.database(), file, {});
        REQUIRE_FALSE(report);
        CAPTURE(report.error().message);
        CHECK(report.error().code == code);
        CHECK(report.error().message.find(text) != std::string::npos);
        CHECK(count(*store) == 5);
    };
    const std::string good = [&] {
        std::ifstream in(file, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(in), {});
    }();
    const auto write = [&](const std::string& bytes) { std::ofstream(file, std::ios::binary) << bytes; };

    std::string changed = good;
    changed.replace(changed.find("10.0.0.0/8"), 10, "10.0.0.0/9");
    write(changed);
    refused(Code::corrupt, "the backup is damaged");
    write(good.substr(0, good.size() / 2));
    refused(Code::corrupt, file);
    write("this is no database, but text that somebody put here");
    refused(Code::corrupt, "no SQLite database");
    write("");  // SQLite takes that for a database with nothing in it
    refused(Code::corrupt, "is empty");
    CHECK(fs::file_size(file) == 0);
    fs::remove(file);
    refused(Code::unavailable, file);
    write(good);
    CHECK(restore_sqlite(file, file, {}).error().code == Code::invalid);
    const auto over_itself = back_up_sqlite(scratch.database(), scratch.database());
    REQUIRE_FALSE(over_itself);
    CHECK(over_itself.error().code == Code::invalid);
    CHECK_FALSE(back_up_sqlite(scratch.database(), scratch.path() + "/absent/b.db"));
    CHECK_FALSE(back_up_sqlite(scratch.path() + "/no.db", file));
    CHECK_FALSE(fs::exists(scratch.path() + "/no.db"));
    CHECK(restore_sqlite(scratch.database(), file, {}));
}

TEST_CASE("a damaged object is named by the backup, and the backup is there nevertheless") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    fill(*store, 0, 3);
    sqlite3* database = nullptr;
    REQUIRE(sqlite3_open(scratch.database().c_str(), &database) == SQLITE_OK);
    REQUIRE(sqlite3_exec(database,
                         "UPDATE object SET body = CAST(replace(CAST(body AS TEXT), '10.0.0.0/8', '10.0.0.0/9') AS "
                         "BLOB) WHERE name = 's1'",
                         nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(database);
    const std::string file = scratch.path() + "/backup.db";
    const auto report = back_up_sqlite(scratch.database(), file);
    REQUIRE(report);
    REQUIRE(report->damaged.size() == 1);
    CHECK(report->damaged.front().find("s1") != std::string::npos);
    CHECK(fs::exists(file));
}

TEST_CASE("a backup without an endpoint that exists now is refused, unless one insists") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    put_endpoint(*store, "10.0.0.1");
    const std::string file = scratch.path() + "/backup.db";
    REQUIRE(back_up_sqlite(scratch.database(), file));
    CHECK(restore_sqlite(scratch.database(), file, {}));
    put_endpoint(*store, "10.0.0.2");  // the same pod with another address
    const auto refused = restore_sqlite(scratch.database(), file, {});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::conflict);
    CHECK(refused.error().message.find("--force") != std::string::npos);
    REQUIRE(refused.error().details.size() == 1);
    CHECK(refused.error().details.front() == "WorkloadEndpoint(default/n1-cni-c-eth0)");
    CHECK(store->get(endpoint_key())->document->find("10.0.0.2") != std::string::npos);
    CHECK(restore_sqlite(scratch.database(), file, {.force = true}));
    CHECK(store->get(endpoint_key())->document->find("10.0.0.1") != std::string::npos);
}

TEST_CASE("a restore that dies at any moment leaves the old content or the new one") {
    const ScratchDirectory scratch;
    const std::string file = scratch.path() + "/backup.db";
    {
        const auto other = open_sqlite(scratch.path() + "/other.db");
        fill(*other, 0, 300);
        REQUIRE(back_up_sqlite(scratch.path() + "/other.db", file));
    }
    const auto store = open_sqlite(scratch.database());
    fill(*store, 0, 7);
    std::mt19937 random(11);
    int unchanged = 0;
    for (int round = 0; round < 12; ++round) {
        const pid_t child = ::fork();
        if (child == 0) {
            const auto done = restore_sqlite(scratch.database(), file, {});
            ::_exit(done ? 0 : 1);
        }
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 15'000));
        ::kill(child, SIGKILL);
        ::waitpid(child, nullptr, 0);
        const std::size_t now = count(*open_sqlite(scratch.database()));
        CHECK((now == 7 || now == 300));
        unchanged += now == 7 ? 1 : 0;
    }
    INFO(unchanged);
    CHECK(restore_sqlite(scratch.database(), file, {}));
    CHECK(count(*store) == 300);
}
