#include "test/bench/store_watching.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill
#include <sys/mman.h>
#include <sys/prctl.h>
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
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "config/model/kind.hpp"
#include "config/store/etcd.hpp"
#include "config/store/server.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/store.hpp"

namespace manul::bench {

using model::Key;
using model::Kind;
using store::Watch;
using store::WatchStart;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kWakeups = 500;

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

/// What both processes see; a file of zeros when it begins.
struct Shared {
    std::atomic<std::size_t> seen;
    std::atomic<bool> ready;
    std::array<std::atomic<std::int64_t>, kWakeups> arrived;
};

Shared* map_shared(const std::string& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ::ftruncate(fd, sizeof(Shared)) != 0) {
        fail(file);
    }
    void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (memory == MAP_FAILED) {
        fail(file);
    }
    return static_cast<Shared*>(memory);
}

/// A Profile without content.
std::string small_document(const Key& key) {
    const std::string document = document_of(key, 0);
    return document.substr(0, document.find("\"spec\"")) + "\"spec\":{}}";
}

}  // namespace

std::string document_of(const Key& key, std::size_t value) {
    const std::string head =
        fmt::format(R"({{"apiVersion":"projectcalico.org/v3","kind":"{}","metadata":{{"name":"{}",)",
                    model::info(key.kind).name, key.name);
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

void fail(const std::string& what) {
    fmt::print("{}: failed\n", what);
    std::exit(1);  // NOLINT(concurrency-mt-unsafe): whatever still runs may end with it
}

double quantile(std::vector<double> values, double part) {
    std::ranges::sort(values);
    return values.empty() ? 0 : values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1))];
}

std::unique_ptr<store::Store> open_store(const Address& address) {
    if (address.type == "etcd") {
        return store::open_etcd({.endpoints = {address.where}});
    }
    return address.type == "server" ? store::open_server({.kubeconfig = address.where, .context = {}})
                                    : store::open_sqlite(address.where, {.node = "a", .check_on_open = false});
}

void read_wakeups(const Address& address, const std::string& file) {
    Shared* shared = map_shared(file);
    const auto store = open_store(address);
    const std::vector<WatchStart> starts{{Kind::profile, store->list({Kind::profile, {}, {}})->revision}};
    const auto watch = store->watch(starts);
    shared->ready = true;
    while (shared->seen < kWakeups) {
        pollfd ready{(*watch)->fd(), POLLIN, 0};
        ::poll(&ready, 1, 1000);
        const auto events = (*watch)->take();
        for (std::size_t i = 0; events && i < events->size() && shared->seen < kWakeups; ++i) {
            shared->arrived[shared->seen] = now_ns();
            ++shared->seen;
        }
    }
}

void measure_wakeups(const Address& address, const std::string& directory) {
    const std::string file = directory + "/wakeups-" + address.type;
    Shared* shared = map_shared(file);
    std::fflush(stdout);  // or the child prints it again
    const pid_t reader = ::fork();
    if (reader == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::execl("/proc/self/exe", "store_bench", "--read-for", address.type.c_str(), address.where.c_str(),
                file.c_str(), nullptr);
        ::_exit(127);
    }
    while (!shared->ready) {
        if (::waitpid(reader, nullptr, WNOHANG) != 0) {
            fail(address.type + " reader");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const auto store = open_store(address);
    std::vector<double> from_begin;
    std::vector<double> from_end;
    for (std::size_t i = 0; i < kWakeups; ++i) {
        const Key key{Kind::profile, "",
                      fmt::format("{}-{}-{}", address.type, ::getpid(), i)};  // the server has SQLite's objects
        const std::string document = small_document(key);
        const std::int64_t begin = now_ns();
        if (!store->create(key, document)) {
            fail(address.type + " watch");
        }
        const std::int64_t end = now_ns();
        while (shared->seen <= i) {
            std::this_thread::sleep_for(std::chrono::microseconds(50));
        }
        from_begin.push_back(static_cast<double>(shared->arrived[i] - begin) / 1000);
        from_end.push_back(static_cast<double>(std::max<std::int64_t>(shared->arrived[i] - end, 0)) / 1000);
    }
    ::waitpid(reader, nullptr, 0);
    ::munmap(shared, sizeof(Shared));
    fmt::print(
        "{:<28} begin of write to event p50 {:.0f} us p99 {:.0f} us; end of write to event p50 {:.0f} us p99 {:.0f} "
        "us\n",
        address.type + " watch", quantile(from_begin, 0.5), quantile(from_begin, 0.99), quantile(from_end, 0.5),
        quantile(from_end, 0.99));
}

Program::Program(const std::function<void()>& work, const std::string& log) {
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

Program::~Program() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
}

double Program::memory_mb() const {
    std::ifstream status("/proc/" + std::to_string(process_) + "/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) {
            return std::stod(line.substr(6)) / 1024;
        }
    }
    return 0;
}

double Program::cpu() const {
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

std::size_t Program::descriptors() const {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(process_) + "/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

void measure_watchers(const Program& server, const Opener& open, std::size_t watchers, std::size_t writes) {
    const auto store = open();
    std::vector<WatchStart> starts;
    const auto start_now = [&] {
        const auto listing = store->list({Kind::profile, {}, {}});
        if (!listing) {
            fail("server: " + listing.error().message);
        }
        starts.clear();
        for (const model::KindInfo& info : model::all_kinds()) {
            starts.push_back({info.kind, listing->revision});
        }
    };
    std::vector<std::unique_ptr<Watch>> watches;
    std::vector<pollfd> ready;
    const auto add_watch = [&] {
        auto watch = store->watch(starts);
        if (!watch) {
            fail("server watch: " + watch.error().message);
        }
        ready.push_back({(*watch)->fd(), POLLIN, 0});
        watches.push_back(*std::move(watch));
    };
    /// Until every watcher has seen the write; when each did, in microseconds since `begin`.
    const auto see = [&](std::int64_t begin) {
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
                missing -= std::min(count, missing);
            }
        }
        return times;
    };
    const auto write = [&](const std::string& name) {
        const Key key{Kind::profile, "", name};
        if (!store->create(key, small_document(key))) {
            fail("server write");
        }
    };
    start_now();
    const double unwatched = server.memory_mb();
    add_watch();
    for (const char* name : {"w-first", "w-second"}) {  // by the second one it is followed in all its kinds
        write(name);
        static_cast<void>(see(now_ns()));
    }
    const double memory = server.memory_mb();
    const std::size_t descriptors = server.descriptors();
    start_now();  // so that nobody sees the first write again
    while (watches.size() < watchers) {
        add_watch();
    }
    std::vector<double> first;
    std::vector<double> all;
    std::vector<double> last;
    double cpu = 0;
    for (std::size_t round = 0; round <= writes; ++round) {
        const double cpu_before = server.cpu();
        const std::int64_t begin = now_ns();
        write(fmt::format("w{}", round));
        const std::vector<double> times = see(begin);
        if (round > 0) {  // in the first some still connect
            first.push_back(times.front());
            last.push_back(times.back());
            all.insert(all.end(), times.begin(), times.end());
            cpu += server.cpu() - cpu_before;
        }
    }
    fmt::print(
        "{:<28} begin of write to event p50 {:.0f} us p99 {:.0f} us (first of a write p50 {:.0f} us, last {:.0f} us)\n",
        fmt::format("server, {} watchers", watchers), quantile(all, 0.5), quantile(all, 0.99), quantile(first, 0.5),
        quantile(last, 0.5));
    fmt::print(
        "{:<28} {} kinds each; the server has {:.0f} MB for what is watched, {:.1f} KB and {:.2f} descriptors more for "
        "each watcher, and takes {:.1f} ms of processor time a write\n",
        "", starts.size(), memory - unwatched, (server.memory_mb() - memory) * 1024 / static_cast<double>(watchers - 1),
        static_cast<double>(server.descriptors() - descriptors) / static_cast<double>(watchers - 1),
        cpu * 1000 / static_cast<double>(writes));
}

}  // namespace manul::bench
