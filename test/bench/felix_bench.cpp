// felix from a write into the store to the kernel: `felix_bench [large] [node] [memory]`, both sizes when nothing is
// named. Everything is felix's own but the store, which is the one in memory, so that no disk is measured. A change is
// over when its rules, link groups and routes are in the kernel (the next packet is judged by them). Needs root; works
// in network namespaces of its own.
//
// "bare" is the same ruleset sent once to an empty namespace: what the kernel alone takes for it.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <boost/asio/io_context.hpp>

#include "config/codec/json.hpp"
#include "config/model/global_network_policy.hpp"
#include "config/model/kubernetes.hpp"
#include "config/model/network_policy.hpp"
#include "config/model/network_set.hpp"
#include "config/model/policy.hpp"
#include "config/model/resource.hpp"
#include "config/model/tier.hpp"
#include "config/model/workload_endpoint.hpp"
#include "config/store/memory.hpp"
#include "config/store/store.hpp"
#include "felix/calc/graph.hpp"
#include "felix/io/dataplane.hpp"
#include "felix/io/datastore.hpp"
#include "felix/io/nft_apply.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/render/renderer.hpp"
#include "net/ip.hpp"
#include "net/netlink/netns.hpp"
#include "net/prefix.hpp"

namespace manul::felix {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration spent) { return std::chrono::duration<double, std::milli>(spent).count(); }

/// Of this process, the kernel's work for it included: on a busy machine the figure to compare.
double cpu_ms() {
    timespec spent{};
    (void)::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return static_cast<double>(spent.tv_sec) * 1e3 + static_cast<double>(spent.tv_nsec) / 1e6;
}

std::size_t resident_bytes() {
    std::ifstream file("/proc/self/statm");
    std::size_t total = 0;
    std::size_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

[[noreturn]] void fail(const std::string& what) {
    fmt::print(stderr, "{}\n", what);
    std::exit(1);  // NOLINT(concurrency-mt-unsafe): one thread
}

struct Scale {
    const char* name;
    std::size_t endpoints;
    std::size_t classes;
    std::size_t policies;
    std::size_t members;
    std::size_t sets;
    int rounds;
};
constexpr Scale kLarge{"large", 10'000, 1'000, 10'000, 1'000'000, 500, 100};
constexpr Scale kNode{"node", 250, 50, 2'000, 100'000, 100, 200};

constexpr std::size_t kNamespaces = 10;

std::string ns_name(std::size_t app) { return "ns" + std::to_string(app % kNamespaces); }

model::ResourcePtr pod(std::size_t i, std::size_t app, const std::string& team = "none") {
    auto out = std::make_shared<model::WorkloadEndpoint>();
    out->metadata.ns = ns_name(app);
    out->metadata.name = fmt::format("node1-k8s-pod{}-eth0", i);
    out->metadata.labels = {{"app", fmt::format("app{}", app)},
                            {"team", team},
                            {"projectcalico.org/orchestrator", "k8s"},
                            {"pod-template-hash", std::to_string(i * 7919)}};
    out->spec.orchestrator = "k8s";
    out->spec.node = "node1";
    out->spec.pod = fmt::format("pod{}", i);
    out->spec.endpoint = "eth0";
    out->spec.container_id = fmt::format("c{}", i);
    out->spec.interface_name = fmt::format("cali{}", i);
    out->spec.profiles = {"kns." + ns_name(app)};
    out->spec.ip_networks = {net::Prefix::host(net::Ip4(0x0a000000U + static_cast<std::uint32_t>(i) + 1))};
    return out;
}

/// One direction, two rules with a port and a selector each.
model::ResourcePtr policy(const Scale& scale, std::size_t i, std::size_t salt = 0, bool both = false) {
    auto out = std::make_shared<model::NetworkPolicy>();
    const std::size_t app = i % scale.classes;
    out->metadata.ns = ns_name(app);
    out->metadata.name = fmt::format("policy{}", i);
    out->spec.selector = fmt::format("app == 'app{}'", app);
    std::vector<model::Rule> rules;
    for (std::size_t r = 0; r < 2; ++r) {
        model::Rule rule;
        rule.action = model::Action::allow;
        rule.protocol = net::kTcp;
        auto& peer = i % 2 == 0 || both ? rule.source : rule.destination;
        peer.selector = fmt::format("set == 's{}'", (i * 2 + r) % scale.sets);
        peer.namespace_selector = "global()";
        rule.destination.ports = {
            model::Port(*net::PortRange::make(static_cast<std::uint16_t>(1000 + (i * 7 + r + salt) % 60000),
                                              static_cast<std::uint16_t>(1000 + (i * 7 + r + salt) % 60000)))};
        rules.push_back(std::move(rule));
    }
    if (i % 2 == 0 || both) {
        out->spec.types.push_back(model::PolicyType::ingress);
        out->spec.ingress = rules;
    }
    if (i % 2 == 1 || both) {
        out->spec.types.push_back(model::PolicyType::egress);
        out->spec.egress = rules;
    }
    return out;
}

model::ResourcePtr all_endpoints_policy(const std::string& name, const std::string& tier, std::uint16_t port) {
    auto out = std::make_shared<model::GlobalNetworkPolicy>();
    out->metadata.name = tier + "." + name;
    out->spec.tier = tier;
    out->spec.selector = "has(app)";
    out->spec.types = {model::PolicyType::ingress};
    model::Rule rule;
    rule.action = model::Action::deny;
    rule.protocol = net::kTcp;
    rule.destination.ports = {model::Port(*net::PortRange::make(port, port))};
    out->spec.ingress = {rule};
    return out;
}

model::ResourcePtr set_of(const Scale& scale, std::size_t i, std::size_t extra = 0) {
    auto out = std::make_shared<model::GlobalNetworkSet>();
    out->metadata.name = fmt::format("s{}", i);
    out->metadata.labels = {{"set", fmt::format("s{}", i)}};
    const std::size_t per_set = scale.members / scale.sets;
    for (std::size_t n = 0; n < per_set + extra; ++n) {
        out->spec.nets.push_back(
            net::Prefix::host(net::Ip4(0x64000000U + static_cast<std::uint32_t>(i * (per_set + 8) + n))));
    }
    return out;
}

model::ResourcePtr tier(const std::string& name, double order) {
    auto out = std::make_shared<model::Tier>();
    out->metadata.name = name;
    out->spec.order = order;
    out->spec.default_action = model::TierDefaultAction::pass;
    return out;
}

model::ResourcePtr name_space(const std::string& name, const std::string& team) {
    auto out = std::make_shared<model::Namespace>();
    out->metadata.name = name;
    out->metadata.labels = {{"owner", team}};
    return out;
}

/// felix on a node with `scale.endpoints` workloads.
class Bench {
public:
    explicit Bench(const Scale& scale)
        : scale_(scale),
          run_dir_(fmt::format("/tmp/manul-felix-bench-{}", ::getpid())),
          database_(store::make_memory_database()),
          store_(store::make_memory(database_)),
          graph_({"node1", {}}) {
        std::filesystem::create_directories(run_dir_);
        fill();
    }
    ~Bench() {
        std::error_code ignored;
        std::filesystem::remove_all(run_dir_, ignored);
    }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    void write(const std::vector<model::ResourcePtr>& puts, const std::vector<model::Key>& removals = {}) {
        std::vector<store::Op> ops;
        for (const model::ResourcePtr& resource : puts) {
            ops.emplace_back(store::Put{resource->key(), codec::encode(*resource), std::nullopt});
        }
        for (const model::Key& key : removals) {
            ops.emplace_back(store::Remove{key, std::nullopt});
        }
        constexpr std::size_t kMost = 100;  // keys of one transaction
        const std::span<const store::Op> all(ops);
        for (std::size_t at = 0; at < all.size(); at += kMost) {
            const auto written =
                store_->transact(all.subspan(at, std::min(kMost, all.size() - at)), store::Checks::own_fields_only);
            if (!written) {
                fail(written.error().message);
            }
        }
    }

    void start() {
        // A node has an address and a route; a namespace without any has no routing table either.
        if (std::system(
                "ip link set lo up && ip route add 192.0.2.0/24 dev lo && ip -6 route add 2001:db8::/64 dev lo") != 0) {
            fail("the namespace cannot be set up");
        }
        const auto begin = Clock::now();
        const double cpu = cpu_ms();
        auto opened = io::Dataplane::open(io_, {.run_dir = run_dir_});
        if (!opened) {
            fail(opened.error().message);
        }
        dataplane_ = *std::move(opened);
        if (const auto started = dataplane_->start(); !started) {
            fail(started.error().message);
        }
        datastore_ = std::make_unique<io::Datastore>(io_, store::make_memory(database_),
                                                     [this](const io::StoreChanges& changes) { on_changes(changes); });
        datastore_->start();
        while (!dataplane_->status().in_sync) {
            io_.restart();
            io_.poll();
        }
        cold_ms_ = milliseconds(Clock::now() - begin);
        cold_cpu_ms_ = cpu_ms() - cpu;
        fmt::print(
            "{:<6} {:<46} {:9.0f} ms  ({:.0f} ms CPU; calculation {:.0f} ms, rules {:.0f} ms, kernel {:.0f} ms)\n",
            scale_.name, "cold start", cold_ms_, cold_cpu_ms_, calc_ms_, apply_ms_ - commit_ms(), commit_ms());
    }

    /// The same rules by one bare commit.
    void bare() {
        const auto scope = netlink::NetnsScope::create();
        auto socket = io::NftSocket::open();
        if (!scope || !socket) {
            fail("no namespace");
        }
        render::Renderer renderer;
        nft::Tracker tracker;
        for (const render::Change& change : renderer.apply(first_batch_).changes) {
            tracker.change(change);
        }
        first_batch_ = {};
        const nft::Transaction transaction = tracker.plan(nft::Scope::everything);
        const auto begin = Clock::now();
        const io::CommitResult result = socket->commit(transaction);
        const double ms = milliseconds(Clock::now() - begin);
        if (result.outcome != io::CommitResult::Outcome::done) {
            fail(result.problems.empty() ? "bare load failed" : result.problems.front());
        }
        fmt::print("{:<6} {:<46} {:9.0f} ms  ({} bytes); cold start / bare {:.2f}\n", scale_.name,
                   "bare load of the same rules", ms, result.bytes, cold_ms_ / ms);
    }

    void measure(const char* what, int rounds, const std::function<void(int)>& change) {
        std::vector<double> times;
        std::vector<double> calc;
        std::vector<double> commits;
        std::vector<double> cpu;
        for (int round = 0; round < rounds; ++round) {
            calc_ms_ = 0;
            commits_us_ = 0;
            const std::size_t before = rounds_;
            const double cpu_before = cpu_ms();
            const auto start = Clock::now();
            change(round);
            while (rounds_ == before) {
                io_.restart();
                io_.poll();
            }
            times.push_back(milliseconds(Clock::now() - start));
            cpu.push_back(cpu_ms() - cpu_before);
            calc.push_back(calc_ms_);
            commits.push_back(commit_ms());
            if (dataplane_->status().commit_pending) {
                fail("not committed: " + dataplane_->status().problems.front());
            }
            io_.restart();
            io_.poll();
        }
        const auto at = [](std::vector<double>& list, std::size_t percent) {
            std::ranges::sort(list);
            return list[std::min(list.size() - 1, list.size() * percent / 100)];
        };
        fmt::print(
            "{:<6} {:<40} p50 {:7.2f} p99 {:7.2f} ms   CPU p50 {:6.2f} p99 {:6.2f}   calculation {:6.2f}   "
            "kernel {:6.2f}\n",
            scale_.name, what, at(times, 50), at(times, 99), at(cpu, 50), at(cpu, 99), at(calc, 50), at(commits, 50));
        (void)std::fflush(stdout);
    }

    [[nodiscard]] const Scale& scale() const { return scale_; }

private:
    void fill() {
        write({tier("shared", 10), tier("late", 20)});
        std::vector<model::ResourcePtr> all;
        for (std::size_t i = 0; i < kNamespaces; ++i) {
            all.push_back(name_space(fmt::format("ns{}", i), "none"));
        }
        all.push_back(all_endpoints_policy("base", "shared", 7));
        for (std::size_t i = 0; i < scale_.policies; ++i) {
            all.push_back(policy(scale_, i));
        }
        for (std::size_t i = 0; i < scale_.endpoints; ++i) {
            all.push_back(pod(i, i % scale_.classes));
        }
        write(all);
        for (std::size_t i = 0; i < scale_.sets; ++i) {
            write({set_of(scale_, i)});
        }
    }

    void on_changes(const io::StoreChanges& changes) {
        const auto start = Clock::now();
        for (const Event& event : changes.events) {
            graph_.handle(event);
        }
        const Batch batch = graph_.flush();
        const auto calculated = Clock::now();
        calc_ms_ += milliseconds(calculated - start);
        if (!dataplane_->status().in_sync) {
            first_batch_ = batch;
        }
        const std::uint64_t commit_us_before = dataplane_->status().commit_us_total;
        dataplane_->apply(batch);
        apply_ms_ += milliseconds(Clock::now() - calculated);
        commits_us_ += dataplane_->status().commit_us_total - commit_us_before;
        ++rounds_;
    }
    [[nodiscard]] double commit_ms() const { return static_cast<double>(commits_us_) / 1e3; }

    Scale scale_;
    std::string run_dir_;
    std::shared_ptr<store::MemoryDatabase> database_;
    std::unique_ptr<store::Store> store_;
    boost::asio::io_context io_;
    Graph graph_;
    Batch first_batch_;
    std::unique_ptr<io::Dataplane> dataplane_;
    std::unique_ptr<io::Datastore> datastore_;
    std::size_t rounds_ = 0;
    double calc_ms_ = 0;
    double apply_ms_ = 0;
    std::uint64_t commits_us_ = 0;
    double cold_ms_ = 0;
    double cold_cpu_ms_ = 0;
};

void measure_changes(const Scale& scale) {
    const auto scope = netlink::NetnsScope::create();
    if (!scope) {
        fail(scope.error().message);
    }
    Bench bench(scale);
    bench.start();
    bench.bare();
    const int rounds = scale.rounds;
    const auto number = [](int round) { return static_cast<std::size_t>(round); };
    bench.measure("pod into an existing class", rounds, [&](int round) {
        const std::size_t i = scale.endpoints + number(round);
        bench.write({pod(i, i % scale.classes)});
    });
    bench.measure("pod removed", rounds, [&](int round) {
        const std::size_t i = scale.endpoints + number(round);
        bench.write({}, {pod(i, i % scale.classes)->key()});
    });
    bench.measure("label of a pod, in no policy", rounds,
                  [&](int round) { bench.write({pod(number(round), number(round) % scale.classes, "blue")}); });
    bench.measure("label of a pod: another class", rounds, [&](int round) {
        bench.write({pod(number(round), (number(round) + kNamespaces) % scale.classes, "blue")});
    });
    bench.measure("member of a set added", rounds, [&](int round) {
        bench.write({set_of(scale, number(round) % scale.sets, 1 + number(round) / scale.sets)});
    });
    bench.measure("rule edited, one direction", rounds,
                  [&](int round) { bench.write({policy(scale, number(round) * 3 + 1, 1)}); });
    bench.measure("policy to both directions", rounds,
                  [&](int round) { bench.write({policy(scale, number(round) * 3 + 1, 2, true)}); });
    bench.measure("rule edited in a policy for all", rounds, [&](int round) {
        bench.write({all_endpoints_policy("base", "shared", static_cast<std::uint16_t>(8 + round))});
    });
    bench.measure("new class (a policy for one pod)", rounds, [&](int round) {
        auto own = std::make_shared<model::NetworkPolicy>(
            *model::as<model::NetworkPolicy>(*policy(scale, number(round) % scale.classes)));
        own->metadata.name = fmt::format("own{}", round);
        own->spec.selector = fmt::format("pod-template-hash == '{}'", number(round) * 7919);
        bench.write({own});
    });
    bench.measure("policy for all added, shared tier", std::min(rounds, 20),
                  [&](int round) { bench.write({all_endpoints_policy(fmt::format("more{}", round), "shared", 9)}); });
    bench.measure("policy for all added, new tier", 1,
                  [&](int /*round*/) { bench.write({all_endpoints_policy("first", "late", 9)}); });
    auto by_owner = std::make_shared<model::GlobalNetworkPolicy>(
        *model::as<model::GlobalNetworkPolicy>(*all_endpoints_policy("owned", "shared", 10)));
    by_owner->spec.ingress.front().source.namespace_selector = "owner == 'blue'";
    bench.measure("policy for all with a namespace selector", 1, [&](int /*round*/) { bench.write({by_owner}); });
    bench.measure("label of a namespace", kNamespaces,
                  [&](int round) { bench.write({name_space(fmt::format("ns{}", round), "blue")}); });
}

/// Resident memory of felix for a scale, in a process of its own.
std::size_t memory_of(const Scale& scale) {
    int ends[2];
    if (::pipe(ends) != 0) {
        fail("no pipe");
    }
    const pid_t child = ::fork();
    if (child == 0) {
        const auto scope = netlink::NetnsScope::create();
        Bench bench(scale);
        const std::size_t before = resident_bytes();
        bench.start();
        const std::size_t used = resident_bytes() - before;
        (void)!::write(ends[1], &used, sizeof(used));
        ::_exit(0);
    }
    std::size_t used = 0;
    (void)!::read(ends[0], &used, sizeof(used));
    ::close(ends[0]);
    ::close(ends[1]);
    ::waitpid(child, nullptr, 0);
    return used;
}

void measure_memory() {
    Scale base{"memory", 10, 10, 0, 0, 1, 0};
    const std::size_t nothing = memory_of(base);
    const auto per = [&](const char* what, const Scale& scale, std::size_t without, std::size_t count) {
        const std::size_t used = memory_of(scale);
        fmt::print("memory {:<46} {:9.0f} bytes\n", what,
                   (static_cast<double>(used) - static_cast<double>(without)) / static_cast<double>(count));
        return used;
    };
    Scale endpoints = base;
    endpoints.endpoints = 10'000;
    endpoints.classes = 1'000;
    const std::size_t with_endpoints = per("an endpoint", endpoints, nothing, 10'000);
    Scale policies = endpoints;
    policies.policies = 10'000;
    policies.sets = 500;
    const std::size_t with_policies = per("a policy of two rules", policies, with_endpoints, 10'000);
    Scale members = policies;
    members.members = 500'000;
    (void)per("a member", members, with_policies, 500'000);
}

}  // namespace

}  // namespace manul::felix

int main(int count, char** names) {
    using namespace manul::felix;
    const std::vector<std::string_view> wanted(names + 1, names + count);
    const auto is_wanted = [&](std::string_view name) {
        return wanted.empty() || std::ranges::find(wanted, name) != wanted.end();
    };
    if (is_wanted("node")) {
        measure_changes(kNode);
    }
    if (is_wanted("large")) {
        measure_changes(kLarge);
    }
    if (is_wanted("memory")) {
        measure_memory();
    }
    return 0;
}
