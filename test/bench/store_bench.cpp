// What the datastores cost beside what is below them:
// `store_bench [--quick] [--endpoints N] [--only sqlite|etcd|server] [DIRECTORY]`,
// in the directory (which decides what a durable commit takes), ours and raw SQLite or raw etcd in turns, so that both
// see the same disk and processors; writes also beside raw SQLite that notes what changed. Then commit to callback in
// another process, a thousand watchers of `manulctl serve`, and the first list of a node.

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <new>  // NOLINT(misc-include-cleaner): placement new
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
#include "config/store/etcd.hpp"
#include "config/store/server.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/store.hpp"
#include "serve/io/run.hpp"
#include "test/bench/store_raw.hpp"

namespace {

using namespace manul::store;
using manul::bench::Pair;
using manul::bench::RawStore;
using manul::model::Key;
using manul::model::Kind;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kKeys = 100;  ///< of a transaction
constexpr std::size_t kWakeups = 500;

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

std::string document_of(const Key& key, std::size_t value) {
    const std::string head =
        fmt::format(R"({{"apiVersion":"projectcalico.org/v3","kind":"{}","metadata":{{"name":"{}",)",
                    manul::model::info(key.kind).name, key.name);
    if (key.kind == Kind::workload_endpoint) {
        return head + fmt::format(R"("namespace":"{}","labels":{{"app":"a{}","projectcalico.org/namespace":"{}",)"
                                  R"("projectcalico.org/orchestrator":"k8s"}}}},"spec":{{"orchestrator":"k8s","node":)"
                                  R"("node-{}","workload":"x","containerID":"c{}","pod":"pod-{}","endpoint":"eth0",)"
                                  R"("ipNetworks":["10.{}.{}.{}/32"],"profiles":["kns.{}","ksa.{}.default"],)"
                                  R"("interfaceName":"cali{:011x}"}}}})",
                                  key.ns, value % 50, key.ns, value % 1000, value, value, (value >> 16U) & 255U,
                                  (value >> 8U) & 255U, value & 255U, key.ns, key.ns, value);
    }
    return head + fmt::format(R"("annotations":{{"n":"{}"}}}},"spec":{{"tier":"default","order":{},"selector":"app == )"
                              R"('a{}'","types":["Ingress"],"ingress":[{{"action":"Allow","protocol":"TCP","source":)"
                              R"({{"selector":"app == 'b{}'"}},"destination":{{"ports":[80,443]}}}}]}}}})",
                              value, value % 1000, value % 50, value % 70);
}

double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void fail(const std::string& what) {
    fmt::print("{}: failed\n", what);
    std::exit(1);  // NOLINT(concurrency-mt-unsafe): whatever still runs may end with it
}

double quantile(std::vector<double> values, double part) {
    std::ranges::sort(values);
    return values.empty() ? 0 : values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
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

using Opener = std::function<std::unique_ptr<Store>()>;

/// Ours and raw in turns. `noting`, when there is one: raw too, but it keeps what somebody who watches needs.
void compare(const std::string& name, const Opener& open, RawStore& raw, RawStore* noting, const Sizes& sizes) {
    auto store = open();
    const auto pair_of = [](const Key& key, std::size_t value) {
        return Pair{"/raw/" + std::string(manul::model::info(key.kind).plural) + "/" + key.ns + "/" + key.name,
                    document_of(key, value)};
    };
    using Round = std::function<bool(std::size_t)>;
    const auto in_turns = [&](const std::string& what, std::size_t rounds, const Round& mine, const Round& theirs,
                              const Round& noted = {}) {
        Sample ours;
        Sample below;
        Sample beside;
        for (std::size_t i = 0; i < rounds; ++i) {
            ours.measure(what, [&] { return mine(i); });
            below.measure(what, [&] { return theirs(i); });
            if (noted) {
                beside.measure(what, [&] { return noted(i); });
            }
        }
        report(name + " " + what, ours, below);
        if (noted) {
            report("  raw that notes changes", ours, beside);
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
    const auto put_raw = [&](std::size_t i) { return raw.put(std::span(&pairs[i], 1)); };
    const Round note =
        noting == nullptr ? Round{} : [&](std::size_t i) { return noting->put(std::span(&pairs[i], 1)); };
    prepare(policy_key, 0, sizes.writes, 0);
    in_turns(
        "create, validated", sizes.writes,
        [&](std::size_t i) { return store->create(keys[i], pairs[i].value).has_value(); }, put_raw, note);
    prepare(policy_key, 0, sizes.writes, 1);
    in_turns(
        "update, validated", sizes.writes,
        [&](std::size_t i) { return store->update(keys[i], pairs[i].value, std::nullopt).has_value(); }, put_raw, note);
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
        [&](std::size_t i) { return raw.get(pairs[i].key) && put_raw(i); });
    prepare(policy_key, 0, 1, 3);
    in_turns(
        "the same object again", sizes.writes,
        [&](std::size_t i) {
            std::string text = pairs.front().value;
            text.replace(text.find(R"("n":"3)"), 6, R"("n":")" + std::to_string(i));
            return store->update(keys.front(), text, std::nullopt).has_value();
        },
        [&](std::size_t) { return put_raw(0); });
    const auto many = [&](const std::string& what, const auto& key_of, std::size_t count,
                          const std::optional<Precondition>& precondition, std::size_t salt = 0) {
        Sample ours;
        Sample below;
        Sample beside;
        for (std::size_t n = 0; n + kKeys <= count; n += kKeys) {
            prepare(key_of, n, kKeys, n + salt);
            std::vector<Op> ops;
            for (std::size_t i = 0; i < kKeys; ++i) {
                ops.emplace_back(Put{keys[i], pairs[i].value, precondition});
            }
            ours.measure(what, [&] { return store->transact(ops, Checks::own_fields_only).has_value(); });
            below.measure(what, [&] { return raw.put(pairs); });
            if (noting != nullptr) {
                beside.measure(what, [&] { return noting->put(pairs); });
            }
        }
        report(name + " " + what, ours, below);
        if (noting != nullptr) {
            report("  raw that notes changes", ours, beside);
        }
    };
    many("100 policies", policy_key, sizes.policies, std::nullopt);
    many("100 policies again", policy_key, sizes.policies, std::nullopt, 1);
    many("100 new endpoints", endpoint_key, sizes.endpoints, Precondition{true, {}});  // as ipamd makes them
    prepare(policy_key, 0, sizes.writes, 0);
    in_turns(
        "get", sizes.writes, [&](std::size_t i) { return store->get(keys[i]).has_value(); },
        [&](std::size_t i) { return raw.get(pairs[i].key); });
    in_turns(
        "list of all endpoints", 5,
        [&](std::size_t) { return store->list({Kind::workload_endpoint, {}, {}})->items.size() == sizes.endpoints; },
        [&](std::size_t) { return raw.list("/raw/workloadendpoints/").size() == sizes.endpoints; });
    prepare(policy_key, 0, sizes.writes, 4);
    in_turns(
        "update among all of them", sizes.writes,
        [&](std::size_t i) { return store->update(keys[i], pairs[i].value, std::nullopt).has_value(); }, put_raw, note);
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

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

/// Not for etcd: gRPC does not outlive a fork, and a reader in the same process would measure something else.
/// From the moment when the write is asked for, and from the one when it is done, to the event in another process.
void measure_wakeups(const std::string& name, const Opener& open) {
    struct Shared {
        std::atomic<std::size_t> seen;
        std::atomic<bool> ready;
        std::array<std::atomic<std::int64_t>, kWakeups> arrived;
    };
    void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    auto* shared = new (memory) Shared{};
    std::fflush(stdout);  // or the child prints it again
    const pid_t reader = ::fork();
    if (reader == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const auto store = open();
        const std::vector<WatchStart> starts{{Kind::profile, store->list({Kind::profile, {}, {}})->revision}};
        const auto watch = store->watch(starts);
        shared->ready = true;
        while (shared->seen < kWakeups) {
            pollfd ready{(*watch)->fd(), POLLIN, 0};
            ::poll(&ready, 1, 1000);
            const auto events = (*watch)->take();
            for (std::size_t i = 0; events && i < events->size(); ++i) {
                shared->arrived[shared->seen] = now_ns();
                ++shared->seen;
            }
        }
        ::_exit(0);
    }
    while (!shared->ready) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const auto store = open();
    std::vector<double> from_begin;
    std::vector<double> from_end;
    for (std::size_t i = 0; i < kWakeups; ++i) {
        const Key key{Kind::profile, "",
                      fmt::format("{}-{}-{}", name, ::getpid(), i)};  // the server has SQLite's objects
        const std::int64_t begin = now_ns();
        if (!store->create(key, document_of(key, 0).substr(0, document_of(key, 0).find("\"spec\"")) + "\"spec\":{}}")) {
            fail(name + " watch");
        }
        const std::int64_t end = now_ns();
        while (shared->seen <= i) {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
        from_begin.push_back(static_cast<double>(shared->arrived[i] - begin) / 1000);
        from_end.push_back(static_cast<double>(std::max<std::int64_t>(shared->arrived[i] - end, 0)) / 1000);
    }
    ::waitpid(reader, nullptr, 0);
    ::munmap(memory, sizeof(Shared));
    fmt::print(
        "{:<28} begin of write to event p50 {:.0f} us p99 {:.0f} us; end of write to event p50 {:.0f} us p99 {:.0f} "
        "us\n",
        name + " watch", quantile(from_begin, 0.5), quantile(from_begin, 0.99), quantile(from_end, 0.5),
        quantile(from_end, 0.99));
}

/// A program that runs beside, until the end.
class Program {
public:
    Program(const std::function<void()>& work, const std::string& log) {
        std::fflush(stdout);
        process_ = ::fork();
        if (process_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
            ::dup2(out, 1);
            ::dup2(out, 2);
            work();
            ::_exit(127);
        }
    }
    ~Program() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    [[nodiscard]] double memory_mb() const {
        std::ifstream status("/proc/" + std::to_string(process_) + "/status");
        for (std::string line; std::getline(status, line);) {
            if (line.starts_with("VmRSS:")) {
                return std::stod(line.substr(6)) / 1024;
            }
        }
        return 0;
    }
    [[nodiscard]] double cpu() const {
        std::ifstream file("/proc/" + std::to_string(process_) + "/stat");
        std::string field;
        std::vector<std::string> fields;
        while (file >> field) {
            fields.push_back(field);
        }
        return fields.size() < 15
                   ? 0
                   : (std::stod(fields[13]) + std::stod(fields[14])) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    }
    [[nodiscard]] std::size_t descriptors() const {
        const std::filesystem::directory_iterator all("/proc/" + std::to_string(process_) + "/fd");
        return static_cast<std::size_t>(std::distance(begin(all), end(all)));
    }

private:
    pid_t process_ = -1;
};

/// Watchers of every kind through the daemons' own client: each a connection, a thread and a descriptor of this
/// process.
void measure_watchers(Program& server, const Opener& open, const Sizes& sizes) {
    const auto store = open();
    std::vector<WatchStart> starts;
    const auto listing = store->list({Kind::profile, {}, {}});
    if (!listing) {
        fail("server: " + listing.error().message);
    }
    for (const manul::model::KindInfo& info : manul::model::all_kinds()) {
        starts.push_back({info.kind, listing->revision});
    }
    const double memory = server.memory_mb();
    const std::size_t descriptors = server.descriptors();
    std::vector<std::unique_ptr<Watch>> watches;
    std::vector<pollfd> ready;
    for (std::size_t i = 0; i < sizes.watchers; ++i) {
        auto watch = store->watch(starts);
        if (!watch) {
            fail("server watch: " + watch.error().message);
        }
        ready.push_back({(*watch)->fd(), POLLIN, 0});
        watches.push_back(*std::move(watch));
    }
    std::vector<double> first;
    std::vector<double> all;
    std::vector<double> last;
    double cpu = 0;
    for (std::size_t round = 0; round <= sizes.watched; ++round) {
        const Key key{Kind::profile, "", fmt::format("w{}", round)};
        const double cpu_before = server.cpu();
        const std::int64_t begin = now_ns();
        if (!store->create(key, document_of(key, 0).substr(0, document_of(key, 0).find("\"spec\"")) + "\"spec\":{}}")) {
            fail("server write");
        }
        const std::int64_t written = now_ns();
        std::size_t missing = watches.size();
        std::vector<double> times;
        while (missing > 0) {
            ::poll(ready.data(), ready.size(), 1000);
            for (std::size_t i = 0; i < watches.size(); ++i) {
                if (ready[i].revents == 0) {
                    continue;
                }
                const auto events = watches[i]->take();
                const auto count = events ? events->size() : 0;
                times.insert(times.end(), count, static_cast<double>(now_ns() - begin) / 1000);
                missing -= count;
            }
        }
        static_cast<void>(written);
        if (round > 0) {  // in the first some still connect
            first.push_back(times.front());
            last.push_back(times.back());
            all.insert(all.end(), times.begin(), times.end());
            cpu += server.cpu() - cpu_before;
        }
    }
    fmt::print(
        "{:<28} begin of write to event p50 {:.0f} us p99 {:.0f} us (first of a write p50 {:.0f} us, last {:.0f} us)\n",
        fmt::format("server, {} watchers", sizes.watchers), quantile(all, 0.5), quantile(all, 0.99),
        quantile(first, 0.5), quantile(last, 0.5));
    fmt::print(
        "{:<28} {} kinds each; the server has {:.1f} KB and {:.2f} descriptors more for each, and takes {:.1f} ms "
        "of processor time a write\n",
        "", starts.size(), (server.memory_mb() - memory) * 1024 / static_cast<double>(sizes.watchers),
        static_cast<double>(server.descriptors() - descriptors) / static_cast<double>(sizes.watchers),
        cpu * 1000 / static_cast<double>(sizes.watched));
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
    const Opener sqlite = [&] { return open_sqlite(path, {.node = "a", .check_on_open = false}); };
    const auto raw_sqlite = [&] { return manul::bench::open_raw_sqlite(directory + "/raw.db"); };
    const auto wanted = [&](const char* name) { return only.empty() || only == name; };
    if (wanted("sqlite")) {
        compare("sqlite", sqlite, *raw_sqlite(), manul::bench::open_raw_sqlite(directory + "/noting.db", true).get(),
                sizes);
        report_size(path);
        measure_start("sqlite", sqlite, raw_sqlite);
        measure_wakeups("sqlite", sqlite);
    }

    const int port = 20'000 + ::getpid() % 20'000;
    if (wanted("etcd")) {
        const std::string url = "http://127.0.0.1:" + std::to_string(port);
        const std::string peer = "http://127.0.0.1:" + std::to_string(port + 1);
        const std::string data = directory + "/etcd";
        const std::string members = "default=" + peer;
        const Program etcd(
            [&] {
                ::execlp("etcd", "etcd", "--data-dir", data.c_str(), "--listen-client-urls", url.c_str(),
                         "--advertise-client-urls", url.c_str(), "--listen-peer-urls", peer.c_str(),
                         "--initial-advertise-peer-urls", peer.c_str(), "--initial-cluster", members.c_str(),
                         "--log-level", "error", nullptr);
            },
            log);
        const Opener open = [&] { return open_etcd({.endpoints = {url}}); };
        const auto raw = [&] { return manul::bench::open_raw_etcd(url); };
        if (!answers(open) || !raw()) {
            fmt::print("etcd is not installed\n");
        } else {
            compare("etcd", open, *raw(), nullptr, sizes);
            measure_start("etcd", open, raw);
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
        Program server([&] { static_cast<void>(manul::serve::run(settings, {.insecure = true})); }, log);
        const Opener open = [&] { return open_server({.kubeconfig = directory + "/kubeconfig", .context = {}}); };
        if (!answers(open)) {
            fail("serve");
        }
        if (only.empty()) {  // with the objects of the store that was measured before
            measure_start("server", open, raw_sqlite);
        }
        measure_wakeups("server", open);
        measure_watchers(server, open, sizes);
    }
    std::filesystem::remove_all(directory);
    return 0;
}
