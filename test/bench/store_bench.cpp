// Speed of the SQLite store: `store_bench [directory]`. The directory decides what a durable commit costs; its default
// is the working directory. Prints one line a figure.

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>  // NOLINT(misc-include-cleaner): placement new
#include <optional>
#include <ratio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "config/model/kind.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/store.hpp"

namespace {

using namespace manul::store;
using manul::model::Key;
using manul::model::Kind;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kWrites = 2000;
constexpr std::size_t kObjects = 100'000;
constexpr std::size_t kKeys = 100;
constexpr std::size_t kWakeups = 500;

Key key_of(std::size_t number) { return {Kind::global_network_set, "", "set-" + std::to_string(number)}; }

std::string document_of(const Key& key, std::size_t value) {
    return fmt::format(R"({{"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkSet","metadata":{{"name":"{}",)"
                       R"("annotations":{{"n":"{}","fill":"{}"}}}},"spec":{{"nets":["10.0.0.0/8"]}}}})",
                       key.name, value, std::string(350, 'x'));
}

double microseconds(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

void print(const char* what, std::vector<double> times, double total, std::size_t per_time) {
    std::ranges::sort(times);
    const auto at = [&](double part) {
        return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
    };
    fmt::print("{:<34} p50 {:8.0f} us   p99 {:8.0f} us   {:9.0f} objects/s\n", what, at(0.5), at(0.99),
               static_cast<double>(times.size() * per_time) * 1e6 / total);
}

template <class Work>
void measure(const char* what, std::size_t rounds, std::size_t per_round, Work work) {
    std::vector<double> times;
    const auto begin = Clock::now();
    for (std::size_t i = 0; i < rounds; ++i) {
        const auto start = Clock::now();
        if (!work(i)) {
            fmt::print("{}: failed\n", what);
            std::exit(1);  // NOLINT(concurrency-mt-unsafe): one thread
        }
        times.push_back(microseconds(Clock::now() - start));
    }
    print(what, std::move(times), microseconds(Clock::now() - begin), per_round);
}

bool write_many(Store& store, std::size_t first, std::size_t value) {
    std::vector<Op> ops;
    for (std::size_t i = first; i < first + kKeys; ++i) {
        ops.emplace_back(Put{key_of(i), document_of(key_of(i), value), {}});
    }
    return store.transact(ops, Checks::own_fields_only).has_value();
}

/// Commit in this process to event in another.
void measure_wakeups(const std::string& path) {
    struct Shared {
        std::atomic<std::int64_t> committed;  ///< when the newest write began and ended, in nanoseconds
        std::atomic<std::size_t> seen;
        std::atomic<bool> ready;
    };
    void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* shared = new (memory) Shared{};
    const auto now = [] {
        return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
    };
    std::fflush(stdout);  // or the child prints it again
    const pid_t reader = ::fork();
    if (reader == 0) {
        const auto store = open_sqlite(path, {.node = "a", .check_on_open = false});
        const std::vector<WatchStart> starts{{Kind::profile, store->list({Kind::profile, {}, {}})->revision}};
        const auto watch = store->watch(starts);
        std::vector<double> times;
        shared->ready = true;
        while (times.size() < kWakeups) {
            pollfd ready{(*watch)->fd(), POLLIN, 0};
            ::poll(&ready, 1, 1000);
            const auto events = (*watch)->take();
            for (std::size_t i = 0; events && i < events->size(); ++i) {
                times.push_back(static_cast<double>(now() - shared->committed) / 1000);
                ++shared->seen;
            }
        }
        print("begin of write -> event elsewhere", std::move(times), 1e6, 1);
        std::fflush(stdout);
        ::_exit(0);
    }
    while (!shared->ready) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const auto store = open_sqlite(path, {.node = "a", .check_on_open = false});
    for (std::size_t i = 0; i < kWakeups; ++i) {
        const Key key{Kind::profile, "", "p" + std::to_string(i)};
        shared->committed = now();
        const auto created = store->create(key, fmt::format(R"({{"apiVersion":"projectcalico.org/v3","kind":"Profile",)"
                                                            R"("metadata":{{"name":"{}"}},"spec":{{}}}})",
                                                            key.name));
        if (!created) {
            fmt::print("creating {}: {}\n", key.name, created.error().message);
            std::exit(1);  // NOLINT(concurrency-mt-unsafe): one thread
        }
        while (shared->seen <= i) {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
    }
    ::waitpid(reader, nullptr, 0);
    ::munmap(memory, sizeof(Shared));
}

}  // namespace

int main(int argc, char** argv) {
    const std::string directory = std::string(argc > 1 ? argv[1] : ".") + "/store-bench-" + std::to_string(::getpid());
    const std::string path = directory + "/store.db";
    {
        const auto store = open_sqlite(path, {.node = "a"});
        measure("create, validated", kWrites, 1,
                [&](std::size_t i) { return store->create(key_of(i), document_of(key_of(i), 0)).has_value(); });
        measure("update, validated", kWrites, 1, [&](std::size_t i) {
            return store->update(key_of(i), document_of(key_of(i), 1), std::nullopt).has_value();
        });
        measure("100 keys a transaction", kObjects / kKeys, kKeys,
                [&](std::size_t i) { return write_many(*store, i * kKeys, 2); });
        measure("get", kWrites, 1, [&](std::size_t i) { return store->get(key_of(i * 7)).has_value(); });
        measure("list 100,000", 3, kObjects,
                [&](std::size_t) { return store->list({Kind::global_network_set, {}, {}})->items.size() == kObjects; });
    }
    measure("open, check the file, get", 3, 1,
            [&](std::size_t) { return open_sqlite(path)->get(key_of(1)).has_value(); });
    measure("open without check, get", 20, 1,
            [&](std::size_t) { return open_sqlite(path, {.check_on_open = false})->get(key_of(1)).has_value(); });
    measure_wakeups(path);
    std::filesystem::remove_all(directory);
    return 0;
}
