#include <dlfcn.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill
#include <sys/wait.h>
#include <time.h>  // NOLINT(modernize-deprecated-headers): clock_gettime
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <fmt/core.h>

#include "config/model/kind.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/store.hpp"
#include "test/config/sqlite_fixtures.hpp"
#include "test/config/store_contract.hpp"

// The embedded store beyond what tests of single features reach. In CI each case takes seconds; with MANUL_STRESS=1, as
// `./dev bench store-stress` sets it, sizes are those that are promised.

namespace {

std::atomic<std::int64_t> wall_clock_offset{0};  // seconds

}  // namespace

/// The wall clock of this program, which a test lets jump. The other clocks are the machine's.
extern "C" int clock_gettime(clockid_t clock, timespec* time) noexcept {
    using Function = int (*)(clockid_t, timespec*);
    static const auto real = reinterpret_cast<Function>(::dlsym(RTLD_NEXT, "clock_gettime"));
    const int result = real(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        time->tv_sec += wall_clock_offset.load();
    }
    return result;
}

namespace fs = std::filesystem;
using namespace manul::test;
using namespace manul::store;
using manul::model::Key;
using manul::model::Kind;
using Code = StoreError::Code;

namespace {

bool full_size() { return std::getenv("MANUL_STRESS") != nullptr; }

std::string numbered(const std::string& name, std::int64_t number) {
    return document(set_key(name), "{}", fmt::format(R"(,"annotations":{{"n":"{}"}})", number));
}

std::int64_t number_of(const Object& object) {
    const std::size_t at = object.document->find(R"("n":")");
    return at == std::string::npos ? -1 : std::stoll(object.document->substr(at + 5));
}

std::string printable(std::string bytes) {
    std::ranges::replace_if(bytes, [](char c) { return c < ' ' || c > '~'; }, '.');
    return bytes;
}

/// Adds one to an own object and to the shared one, in one transaction each time, and tells `pipe` afterwards.
[[noreturn]] void write_for_ever(const std::string& path, const std::string& own, int pipe) {
    const auto store = open_sqlite(path);
    for (;;) {
        const auto shared = store->get(set_key("shared"));
        const auto mine = store->get(set_key(own));
        if (!shared || !mine) {
            continue;
        }
        const std::int64_t next = number_of(*mine) + 1;
        const std::vector<Op> both{
            Put{set_key("shared"), numbered("shared", number_of(*shared) + 1), Precondition{false, shared->revision}},
            Put{set_key(own), numbered(own, next), Precondition{false, mine->revision}}};
        if (store->transact(both, Checks::own_fields_only) &&
            ::write(pipe, &next, sizeof next) != static_cast<ssize_t>(sizeof next)) {
            ::_exit(1);
        }
    }
}

struct Writer {
    pid_t process = -1;
    int pipe = -1;
    std::int64_t acknowledged = 0;

    void start(const std::string& path, const std::string& own) {
        std::array<int, 2> ends{};
        REQUIRE(::pipe(ends.data()) == 0);
        process = ::fork();
        if (process == 0) {
            ::close(ends[0]);
            write_for_ever(path, own, ends[1]);
        }
        ::close(ends[1]);
        pipe = ends[0];
    }
    /// SIGKILL; takes what was acknowledged until then.
    void kill() {
        ::kill(process, SIGKILL);
        ::waitpid(process, nullptr, 0);
        std::int64_t number = 0;
        while (::read(pipe, &number, sizeof number) == static_cast<ssize_t>(sizeof number)) {
            acknowledged = number;
        }
        ::close(pipe);
    }
};

}  // namespace

TEST_CASE("four writers of which one is killed again and again lose nothing that was acknowledged") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    std::array<Writer, 4> writers;
    REQUIRE(store->create(set_key("shared"), numbered("shared", 0)));
    const auto own = [](std::size_t i) { return "own" + std::to_string(i); };
    for (std::size_t i = 0; i < writers.size(); ++i) {
        REQUIRE(store->create(set_key(own(i)), numbered(own(i), 0)));
    }
    for (std::size_t i = 0; i < writers.size(); ++i) {
        writers[i].start(scratch.database(), own(i));
    }
    std::mt19937 random(5);
    const int rounds = full_size() ? 300 : 25;
    for (int round = 0; round < rounds; ++round) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10 + random() % 60));
        const std::size_t victim = random() % writers.size();
        writers[victim].kill();
        writers[victim].start(scratch.database(), own(victim));
    }
    std::int64_t sum = 0;
    for (Writer& writer : writers) {
        writer.kill();
    }
    const auto listing = open_sqlite(scratch.database())->list({Kind::global_network_set, {}, {}});
    REQUIRE(listing);
    CHECK(listing->damaged.empty());
    std::map<std::string, std::int64_t> numbers;
    for (const Object& object : listing->items) {
        numbers[object.key.name] = number_of(object);
    }
    for (std::size_t i = 0; i < writers.size(); ++i) {
        CAPTURE(i);
        CHECK(numbers[own(i)] >= writers[i].acknowledged);
        CHECK(numbers[own(i)] <= writers[i].acknowledged + 1);  // committed, and killed before it could say so
        CHECK(writers[i].acknowledged > 0);
        sum += numbers[own(i)];
    }
    CHECK(numbers["shared"] == sum);
}

TEST_CASE("many objects are written, listed, watched and found again") {
    const ScratchDirectory scratch;
    const std::size_t total = full_size() ? 200'000 : 10'000;
    const auto store = open_sqlite(scratch.database());
    const auto empty = store->list({Kind::workload_endpoint, {}, {}});
    REQUIRE(empty);
    const std::vector<WatchStart> starts{{Kind::workload_endpoint, empty->revision}};
    const auto reader = open_sqlite(scratch.database(), {.node = "reader"});
    auto watch = reader->watch(starts);
    REQUIRE(watch);
    const auto begun = std::chrono::steady_clock::now();
    std::vector<Op> batch;
    for (std::size_t i = 0; i < total; ++i) {
        const Key key{Kind::workload_endpoint, fmt::format("ns{}", i % 50), fmt::format("n1-k8s-pod{}-eth0", i)};
        batch.emplace_back(
            Put{key,
                document(key, fmt::format(R"({{"node":"n1","pod":"pod{}","ipNetworks":["10.{}.{}.{}/32"]}})", i,
                                          i >> 16U, (i >> 8U) & 255U, i & 255U)),
                Precondition{true, {}}});
        if (batch.size() == 100 || i + 1 == total) {
            const auto done = store->transact(batch, Checks::own_fields_only);
            INFO((done ? "" : done.error().message));
            REQUIRE(done);
            batch.clear();
        }
    }
    const auto written = std::chrono::steady_clock::now();
    const auto listing = store->list({Kind::workload_endpoint, {}, {}});
    const auto listed = std::chrono::steady_clock::now();
    REQUIRE(listing);
    CHECK(listing->items.size() == total);
    CHECK(listing->damaged.empty());
    CHECK(store->list({Kind::workload_endpoint, "ns7", {}})->items.size() == total / 50);
    CHECK(store->get(
        {Kind::workload_endpoint, fmt::format("ns{}", (total - 1) % 50), fmt::format("n1-k8s-pod{}-eth0", total - 1)}));
    // The watch was never read meanwhile: it has everything, or says that it fell behind the log.
    const auto events = take(**watch, total > 100'000 ? 1 : total);
    REQUIRE_FALSE(events.empty());
    if (events.front().type == Event::Type::resync) {
        CHECK(total > 100'000);
    } else {
        CHECK(events.size() == total);
    }
    const auto reopened = open_sqlite(scratch.database());
    CHECK(reopened->list({Kind::workload_endpoint, {}, {}})->items.size() == total);
    const auto seconds = [](auto from, auto to) { return std::chrono::duration<double>(to - from).count(); };
    std::printf("%zu objects: written in %.2f s, listed in %.2f s, %.0f MB\n", total, seconds(begun, written),
                seconds(written, listed), static_cast<double>(fs::file_size(scratch.database())) / 1e6);
}

TEST_CASE("a reader that never reads costs neither memory nor disk beyond the log's limit") {
    const ScratchDirectory scratch;
    const SqliteOptions options{.change_log_limit = 500, .change_log_trim = 50};
    const auto store = open_sqlite(scratch.database(), options);
    REQUIRE(store->create(set_key("a"), numbered("a", 0)));
    const auto listing = store->list({Kind::global_network_set, {}, {}});
    const std::vector<WatchStart> starts{{Kind::global_network_set, listing->revision}};
    auto asleep = store->watch(starts);
    REQUIRE(asleep);
    const auto write = [&](int rounds) {
        for (int i = 1; i <= rounds; ++i) {
            REQUIRE(store->update(set_key("a"), numbered("a", i), std::nullopt));
        }
    };
    write(1500);
    const auto before = fs::file_size(scratch.database());
    write(full_size() ? 100'000 : 3000);
    CHECK(fs::file_size(scratch.database()) <= before + before / 4 + 65536);
    const auto events = take(**asleep, 1);
    REQUIRE(events.size() == 1);
    CHECK(events.front().type == Event::Type::resync);
}

TEST_CASE("the write-ahead log stays bounded beside four writers, and readers that list without a pause") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    REQUIRE(store->create(set_key("shared"), numbered("shared", 0)));
    std::array<Writer, 4> writers;
    for (std::size_t i = 0; i < writers.size(); ++i) {
        const std::string own = "own" + std::to_string(i);
        REQUIRE(store->create(set_key(own), numbered(own, 0)));
        writers[i].start(scratch.database(), own);
    }
    std::array<pid_t, 3> readers{};
    for (pid_t& reader : readers) {
        reader = ::fork();
        if (reader == 0) {
            const auto reads = open_sqlite(scratch.database());
            for (;;) {
                static_cast<void>(reads->list({Kind::global_network_set, {}, {}}));
            }
        }
    }
    const std::string log = scratch.database() + "-wal";
    constexpr std::uintmax_t kBound = std::uintmax_t{64} << 20U;
    std::uintmax_t largest = 0;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(full_size() ? 60 : 3);
    while (std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        std::error_code absent;
        const std::uintmax_t size = fs::file_size(log, absent);
        largest = absent ? largest : std::max(largest, size);
    }
    for (const pid_t reader : readers) {
        ::kill(reader, SIGKILL);
        ::waitpid(reader, nullptr, 0);
    }
    std::int64_t written = 0;
    for (Writer& writer : writers) {
        writer.kill();
        written += writer.acknowledged;
    }
    std::printf("%lld transactions, longest log %.0f MB\n", static_cast<long long>(written),
                static_cast<double>(largest) / 1e6);
    CHECK(written > 0);
    CHECK(largest < kBound);
}

TEST_CASE("a clock that jumps changes time stamps, and nothing else") {
    const ScratchDirectory scratch;
    const auto store = open_sqlite(scratch.database());
    const auto listing = store->list({Kind::global_network_set, {}, {}});
    REQUIRE(listing);
    const std::vector<WatchStart> starts{{Kind::global_network_set, listing->revision}};
    auto watch = store->watch(starts);
    REQUIRE(watch);
    constexpr std::int64_t kYear = 365LL * 24 * 3600;
    std::int64_t revision = std::stoll(listing->revision);
    int number = 0;
    for (const std::int64_t offset :
         {std::int64_t{0}, 10 * kYear, -40 * kYear, std::int64_t{3600}, -kYear, std::int64_t{0}}) {
        wall_clock_offset = offset;
        const std::string name = "s" + std::to_string(number++);
        const auto created = store->create(set_key(name), set_document(name));
        INFO((created ? "" : created.error().message));
        REQUIRE(created);
        CHECK(std::stoll(created->revision) == ++revision);
        const auto changed = store->update(set_key(name), set_document(name, "192.0.2.0/24"), created->revision);
        REQUIRE(changed);
        CHECK(std::stoll(changed->revision) == ++revision);
        const auto stamp = [](const Object& object) {
            return object.document->substr(object.document->find("creationTimestamp") + 20, 4);
        };
        CHECK(stamp(*created) == stamp(*changed));
    }
    wall_clock_offset = 10 * kYear;
    CHECK(store->get(set_key("s1"))->document->find("20") != std::string::npos);
    CHECK(take(**watch, 6).size() == 6);  // of each object the last state
    wall_clock_offset = -40 * kYear;
    const auto second = open_sqlite(scratch.database(), {.lock_timeout_ms = 200});
    REQUIRE(second->remove(set_key("s0"), std::nullopt));  // waits for locks by another clock
    wall_clock_offset = 0;
    CHECK(take(**watch, 1).size() == 1);
}

TEST_CASE("whichever bit of the file turns over, no object is told other than it was written") {
    const ScratchDirectory scratch;
    constexpr std::size_t kObjects = 60;
    std::map<std::string, std::string> originals;
    {
        const auto store = open_sqlite(scratch.database());
        for (std::size_t i = 0; i < kObjects; ++i) {
            const std::string name = fmt::format("set{}", i);
            REQUIRE(store->create(set_key(name), set_document(name, fmt::format("10.{}.0.0/16", i))));
        }
        const auto listing = store->list({Kind::global_network_set, {}, {}});
        for (const Object& object : listing->items) {
            originals[object.key.name] = *object.document;
        }
    }
    std::ifstream in(scratch.database(), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(in), {});
    std::mt19937 random(3);
    const std::string path = scratch.path() + "/flipped.db";
    std::size_t refused = 0;
    std::size_t reported = 0;
    std::size_t harmless = 0;
    std::size_t silent = 0;
    const int rounds = full_size() ? 20'000 : 400;
    for (int round = 0; round < rounds; ++round) {
        std::string flipped = bytes;
        const std::size_t at = random() % flipped.size();
        flipped[at] = static_cast<char>(static_cast<unsigned char>(flipped[at]) ^ (1U << (random() % 8)));
        for (const char* suffix : {"", "-wal", "-shm"}) {
            fs::remove(path + suffix);
        }
        std::ofstream(path, std::ios::binary) << flipped;
        const auto store = open_sqlite(path);
        const auto listing = store->list({Kind::global_network_set, {}, {}});
        if (!listing) {
            ++refused;
            CHECK(listing.error().message.find(path) != std::string::npos);
            continue;
        }
        for (const Object& object : listing->items) {
            CAPTURE(at, object.key.name);
            REQUIRE(originals.contains(object.key.name));
            // A revision above the store's own would be a flipped one: it is covered by the checksum too.
            REQUIRE(*object.document == originals.at(object.key.name));
        }
        if (!listing->damaged.empty()) {
            ++reported;
        } else if (listing->items.size() == kObjects) {
            ++harmless;
        } else {
            ++silent;
            std::printf("silent: byte %zu of page %zu, near \"%s\"\n", at % 4096, at / 4096 + 1,
                        printable(flipped.substr(at < 40 ? 0 : at - 40, 80)).c_str());
        }
    }
    std::printf("%d flipped bits: %zu refused, %zu reported, %zu harmless\n", rounds, refused, reported, harmless);
    CHECK(silent == 0);
    CHECK(reported > 0);
}
