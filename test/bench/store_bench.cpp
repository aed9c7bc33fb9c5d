// What the datastores cost beside what is below them:
// `store_bench [--quick] [--endpoints N] [--only sqlite|etcd|server,...] [DIRECTORY]`,
// in the directory (which decides what a durable commit takes), ours and raw SQLite or raw etcd in turns, so that both
// see the same disk and processors; writes also beside raw SQLite that notes what changed. Then commit to callback in
// another process, a thousand watchers of `manulctl serve`, and the first list of a node.

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <ratio>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "config/model/kind.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"
#include "serve/io/run.hpp"
#include "test/bench/store_raw.hpp"
#include "test/bench/store_watching.hpp"

namespace {

using namespace manul::store;
using manul::bench::document_of;
using manul::bench::fail;
using manul::bench::Opener;
using manul::bench::Pair;
using manul::bench::quantile;
using manul::bench::RawStore;
using manul::model::Key;
using manul::model::Kind;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kKeys = 100;  ///< of a transaction

struct Sizes {
    std::size_t writes = 1000;
    std::size_t policies = 10'000;
    std::size_t endpoints = 100'000;
    std::size_t watchers = 1000;
    std::size_t watched = 100;  ///< writes that they see
};

Key policy_key(std::size_t number) { return {Kind::global_network_policy, "", "policy-" + std::to_string(number)}; }
Key endpoint_key(std::size_t number) {
    return {Kind::workload_endpoint, "ns-" + std::to_string(number % 100),
            "node--" + std::to_string(number % 1000) + "-k8s-pod--" + std::to_string(number) + "-eth0"};
}

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

/// Wall and processor time of repeated calls.
struct Sample {
    std::vector<double> wall;
    double cpu = 0;

    void measure(const std::string& what, const std::function<bool()>& work) {
        const double cpu_before = cpu_seconds();
        const auto start = Clock::now();
        if (!work()) {
            fail(what);
        }
        wall.push_back(seconds(Clock::now() - start));
        cpu += cpu_seconds() - cpu_before;
    }
};

void report(const std::string& what, const Sample& ours, const Sample& raw) {
    const auto each = [](const Sample& sample) {
        return fmt::format("p50 {:9.1f} us  p99 {:9.1f} us  cpu {:8.1f} us", quantile(sample.wall, 0.5) * 1e6,
                           quantile(sample.wall, 0.99) * 1e6,
                           sample.cpu * 1e6 / static_cast<double>(sample.wall.size()));
    };
    fmt::print("{:<28} ours {}   raw {}   ratio p50 {:.2f} cpu {:.2f}\n", what, each(ours), each(raw),
               quantile(ours.wall, 0.5) / quantile(raw.wall, 0.5), ours.cpu / raw.cpu);
    std::fflush(stdout);
}

/// Raw too, but with more of what a store must do.
struct Beside {
    std::string what;
    std::unique_ptr<RawStore> raw;
};

/// Ours and raw in turns.
void compare(const std::string& name, const Opener& open, RawStore& raw, std::span<const Beside> besides,
             const Sizes& sizes) {
    auto store = open();
    const auto pair_of = [](const Key& key, std::size_t value) {
        return Pair{"/raw/" + std::string(manul::model::info(key.kind).plural) + "/" + key.ns + "/" + key.name,
                    document_of(key, value)};
    };
    using Round = std::function<bool(std::size_t)>;
    using RawRound = std::function<bool(RawStore&, std::size_t)>;
    /// `all`: those beside as well.
    const auto in_turns = [&](const std::string& what, std::size_t rounds, const Round& mine, const RawRound& theirs,
                              bool all = true) {
        Sample ours;
        Sample below;
        std::vector<Sample> others(all ? besides.size() : 0);
        for (std::size_t i = 0; i < rounds; ++i) {
            ours.measure(what, [&] { return mine(i); });
            below.measure(what, [&] { return theirs(raw, i); });
            for (std::size_t n = 0; n < others.size(); ++n) {
                others[n].measure(what, [&] { return theirs(*besides[n].raw, i); });
            }
        }
        report(name + " " + what, ours, below);
        for (std::size_t n = 0; n < others.size(); ++n) {
            report("  " + besides[n].what, ours, others[n]);
        }
    };
    // Keys and documents are made before the clock runs.
    std::vector<Key> keys;
    std::vector<Pair> pairs;
    const auto prepare = [&](const auto& key_of, std::size_t from, std::size_t count, std::size_t value) {
        keys.clear();
        pairs.clear();
        for (std::size_t n = from; n < from + count; ++n) {
            keys.push_back(key_of(n));
            pairs.push_back(pair_of(keys.back(), value));
        }
    };
    const RawRound put_raw = [&](RawStore& to, std::size_t i) { return to.put(std::span(&pairs[i], 1)); };
    prepare(policy_key, 0, sizes.writes, 0);
    in_turns(
        "create, validated", sizes.writes,
        [&](std::size_t i) { return store->create(keys[i], pairs[i].value).has_value(); }, put_raw);
    prepare(policy_key, 0, sizes.writes, 1);
    in_turns(
        "update, validated", sizes.writes,
        [&](std::size_t i) { return store->update(keys[i], pairs[i].value, std::nullopt).has_value(); }, put_raw);
    prepare(policy_key, 0, sizes.writes, 9);
    store = open();
    in_turns(
        "update, never read", sizes.writes,
        [&](std::size_t i) { return store->update(keys[i], pairs[i].value, std::nullopt).has_value(); }, put_raw);
    prepare(policy_key, 0, sizes.writes, 2);
    in_turns(
        "read, then update that", sizes.writes,
        [&](std::size_t i) {
            const auto read = store->get(keys[i]);
            return read && store->update(keys[i], pairs[i].value, read->revision).has_value();
        },
        [&](RawStore& from, std::size_t i) { return from.get(pairs[i].key) && put_raw(from, i); });
    prepare(policy_key, 0, 1, 3);
    in_turns(
        "the same object again", sizes.writes,
        [&](std::size_t i) {
            std::string text = pairs.front().value;
            text.replace(text.find(R"("n":"3)"), 6, R"("n":")" + std::to_string(i));
            return store->update(keys.front(), text, std::nullopt).has_value();
        },
        [&](RawStore& to, std::size_t) { return put_raw(to, 0); });
    const auto many = [&](const std::string& what, const auto& key_of, std::size_t count,
                          const std::optional<Precondition>& precondition, std::size_t salt = 0) {
        Sample ours;
        Sample below;
        std::vector<Sample> others(besides.size());
        for (std::size_t n = 0; n + kKeys <= count; n += kKeys) {
            prepare(key_of, n, kKeys, n + salt);
            std::vector<Op> ops;
            for (std::size_t i = 0; i < kKeys; ++i) {
                ops.emplace_back(Put{keys[i], pairs[i].value, precondition});
            }
            ours.measure(what, [&] { return store->transact(ops, Checks::own_fields_only).has_value(); });
            below.measure(what, [&] { return raw.put(pairs); });
            for (std::size_t k = 0; k < others.size(); ++k) {
                others[k].measure(what, [&] { return besides[k].raw->put(pairs); });
            }
        }
        report(name + " " + what, ours, below);
        for (std::size_t k = 0; k < others.size(); ++k) {
            report("  " + besides[k].what, ours, others[k]);
        }
    };
    many("100 policies", policy_key, sizes.policies, std::nullopt);
    many("100 policies again", policy_key, sizes.policies, std::nullopt, 1);
    many("100 new endpoints", endpoint_key, sizes.endpoints, Precondition{true, {}});  // as ipamd makes them
    prepare(policy_key, 0, sizes.writes, 0);
    in_turns(
        "get", sizes.writes, [&](std::size_t i) { return store->get(keys[i]).has_value(); },
        [&](RawStore& from, std::size_t i) { return from.get(pairs[i].key); });
    in_turns(
        "list of all endpoints", 5,
        [&](std::size_t) { return store->list({Kind::workload_endpoint, {}, {}})->items.size() == sizes.endpoints; },
        [&](RawStore& from, std::size_t) { return from.list("/raw/workloadendpoints/").size() == sizes.endpoints; });
    prepare(policy_key, 0, sizes.writes, 4);
    in_turns(
        "update among all of them", sizes.writes,
        [&](std::size_t i) { return store->update(keys[i], pairs[i].value, std::nullopt).has_value(); }, put_raw);
}

/// Of the embedded store, with its log.
void report_size(const std::string& path) {
    const auto mb = [&](const char* suffix) {
        std::error_code absent;
        const auto bytes = std::filesystem::file_size(path + suffix, absent);
        return absent ? 0.0 : static_cast<double>(bytes) / 1e6;
    };
    fmt::print("{:<28} {:.0f} MB, write-ahead log {:.0f} MB\n", "sqlite files", mb(""), mb("-wal"));
}

long peak_kib() {
    struct rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/// In a process of its own: memory that was given back stays with a process for a while.
void in_child(const std::function<void()>& work) {
    std::fflush(stdout);
    ::malloc_trim(0);  // or it fills what its parent left
    const pid_t child = ::fork();
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        work();
        std::fflush(stdout);
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
}

/// What a daemon does before it can act: opens the store, lists policies and endpoints, begins to watch.
void measure_start(const std::string& name, const Opener& open, const std::function<std::unique_ptr<RawStore>()>& raw) {
    in_child([&] {
        const long before = peak_kib();
        const double cpu = cpu_seconds();
        const auto start = Clock::now();
        const auto store = open();
        std::vector<Listing> held;
        std::vector<WatchStart> starts;
        std::size_t count = 0;
        for (const Kind kind : {Kind::global_network_policy, Kind::workload_endpoint}) {
            auto listing = store->list({kind, {}, {}});
            if (!listing) {
                fail(name + " start: " + listing.error().message);
            }
            starts.push_back({kind, listing->revision});
            count += listing->items.size();
            held.push_back(*std::move(listing));
        }
        const auto watch = store->watch(starts);
        if (!watch) {
            fail(name + " start");
        }
        fmt::print("{:<28} ours {:.3f} s, cpu {:.3f} s, {} objects, {:.0f} MB\n", name + " start-up",
                   seconds(Clock::now() - start), cpu_seconds() - cpu, count,
                   static_cast<double>(peak_kib() - before) / 1024);
    });
    in_child([&] {
        const long before = peak_kib();
        const double cpu = cpu_seconds();
        const auto start = Clock::now();
        const auto store = raw();
        const auto policies = store->list("/raw/globalnetworkpolicies/");
        const auto endpoints = store->list("/raw/workloadendpoints/");
        fmt::print("{:<28} raw  {:.3f} s, cpu {:.3f} s, {} objects, {:.0f} MB\n", "", seconds(Clock::now() - start),
                   cpu_seconds() - cpu, policies.size() + endpoints.size(),
                   static_cast<double>(peak_kib() - before) / 1024);
    });
}

/// Waits until the store answers.
bool answers(const Opener& open) {
    for (int i = 0; i < 100; ++i) {
        if (open()->identity()) {
            return true;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 5 && std::string(argv[1]) == "--read-for") {
        manul::bench::read_wakeups({argv[2], argv[3]}, argv[4]);
        return 0;
    }
    Sizes sizes;
    std::string directory = ".";
    std::string only;
    for (int i = 1; i < argc; ++i) {
        if (std::string(argv[i]) == "--only" && i + 1 < argc) {
            only = argv[++i];
        } else if (std::string(argv[i]) == "--endpoints" && i + 1 < argc) {
            sizes.endpoints = std::stoul(argv[++i]);
        } else if (std::string(argv[i]) == "--quick") {
            sizes = {.writes = 200, .policies = 1000, .endpoints = 10'000, .watchers = 100, .watched = 20};
        } else {
            directory = argv[i];
        }
    }
    struct rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    directory = std::filesystem::absolute(directory).string() + "/store-bench-" + std::to_string(::getpid());
    std::filesystem::create_directories(directory);
    const std::string log = directory + "/log";

    const std::string path = directory + "/store.db";
    const auto opener_of = [](const manul::bench::Address& address) -> Opener {
        return [address] { return manul::bench::open_store(address); };
    };
    const manul::bench::Address embedded{"sqlite", path};
    const auto raw_sqlite = [&] { return manul::bench::open_raw_sqlite(directory + "/raw.db"); };
    const auto wanted = [&](const char* name) { return only.empty() || only.find(name) != std::string::npos; };
    if (wanted("sqlite")) {
        std::vector<Beside> besides;
        besides.push_back({"raw that notes changes", manul::bench::open_raw_sqlite(directory + "/noting.db", true)});
        besides.push_back({"raw with the same rows", manul::bench::open_raw_rows(directory + "/rows.db")});
        compare("sqlite", opener_of(embedded), *raw_sqlite(), besides, sizes);
        report_size(path);
        measure_start("sqlite", opener_of(embedded), raw_sqlite);
        manul::bench::measure_wakeups(embedded, directory);
    }

    const int port = 20'000 + ::getpid() % 20'000;
    if (wanted("etcd")) {
        const std::string url = "http://127.0.0.1:" + std::to_string(port);
        const std::string peer = "http://127.0.0.1:" + std::to_string(port + 1);
        const std::string data = directory + "/etcd";
        const std::string members = "default=" + peer;
        const manul::bench::Program etcd(
            [&] {
                ::execlp("etcd", "etcd", "--data-dir", data.c_str(), "--listen-client-urls", url.c_str(),
                         "--advertise-client-urls", url.c_str(), "--listen-peer-urls", peer.c_str(),
                         "--initial-advertise-peer-urls", peer.c_str(), "--initial-cluster", members.c_str(),
                         "--log-level", "error", nullptr);
            },
            log);
        const manul::bench::Address member{"etcd", url};
        const Opener open = opener_of(member);
        const auto raw = [&] { return manul::bench::open_raw_etcd(url); };
        if (!answers(open) || !raw()) {
            fmt::print("etcd is not installed\n");
        } else {
            {
                std::vector<Beside> besides;  // gone before a child is made: gRPC does not outlive that
                besides.push_back({"raw that reads and compares", manul::bench::open_raw_etcd(url, true)});
                compare("etcd", open, *raw(), besides, sizes);
            }
            measure_start("etcd", open, raw);
            manul::bench::measure_wakeups(member, directory);
        }
    }
    manul::config::Settings settings;
    settings.datastore.type = manul::config::DatastoreType::sqlite;
    settings.datastore.path = path;
    settings.log_dir = directory;
    settings.serve.listen = "127.0.0.1:" + std::to_string(port + 2);
    std::ofstream(directory + "/kubeconfig")
        << "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: "
           "\"http://127.0.0.1:"
        << port + 2 << "\"}}], contexts: [{name: c, context: {cluster: c, user: u}}], users: [{name: u, user: {}}]}\n";
    if (wanted("server")) {
        const manul::bench::Program server([&] { static_cast<void>(manul::serve::run(settings, {.insecure = true})); },
                                           log);
        const manul::bench::Address api{"server", directory + "/kubeconfig"};
        const Opener open = opener_of(api);
        if (!answers(open)) {
            fail("serve");
        }
        if (wanted("sqlite")) {  // with the objects of the store that was measured before
            measure_start("server", open, raw_sqlite);
        }
        manul::bench::measure_wakeups(api, directory);
        manul::bench::measure_watchers(server, open, sizes.watchers, sizes.watched);
    }
    std::filesystem::remove_all(directory);
    return 0;
}
