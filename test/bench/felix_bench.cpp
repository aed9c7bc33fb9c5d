// felix from a write into the store to the kernel: `felix_bench [node] [large] [hot] [cold] [packets] [memory]
// [--json FILE] [--only TEXT]`; everything when nothing is named. All is felix's own but the store, which
// is the one in memory, so that no disk is measured. Needs root; works in network namespaces of its own.
//
// A change is over when its rules, link groups and routes are in the kernel. "bare" is what the kernel alone takes for
// the same nftables transaction, sent to a namespace that holds the same ruleset; "calc" and "kernel" are parts of
// felix's own time. "cold": before the change more memory was written than the caches hold, and nothing was done for 20
// ms. "packets" are changes that open the way between two real pods, until the first packet came through.

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iterator>
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
#include "config/model/resource.hpp"
#include "config/store/memory.hpp"
#include "config/store/store.hpp"
#include "config/store_in_force.hpp"
#include "felix/calc/graph.hpp"
#include "felix/io/dataplane.hpp"
#include "felix/io/datastore.hpp"
#include "felix/io/nft_apply.hpp"
#include "felix/nft/tracker.hpp"
#include "felix/render/renderer.hpp"
#include "net/netlink/netns.hpp"
#include "test/bench/felix_caches.hpp"
#include "test/bench/felix_objects.hpp"
#include "test/bench/felix_probe.hpp"
#include "test/bench/felix_report.hpp"

namespace manul::felix::bench {

namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(std::chrono::nanoseconds spent) { return std::chrono::duration<double, std::milli>(spent).count(); }

[[noreturn]] void fail(const std::string& what) {
    fmt::print(stderr, "{}\n", what);
    std::exit(1);  // NOLINT(concurrency-mt-unsafe): nothing to clean up
}

// --- the node --------------------------------------------------------------------------------------------------------

/// The rules alone, in a namespace of their own, programmed without anything around it.
class Mirror {
public:
    Mirror() {
        const auto scope = netlink::NetnsScope::create();
        auto socket = io::NftSocket::open();
        if (!scope || !socket) {
            fail("no namespace");
        }
        socket_ = std::make_unique<io::NftSocket>(*std::move(socket));
    }

    /// Milliseconds of the commit alone.
    double follow(const Batch& batch) {
        for (const render::Change& change : renderer_.apply(batch).changes) {
            tracker_.change(change);
        }
        renderer_.settle();
        for (const nft::ObjectName& chain : tracker_.unread_chains()) {
            if (auto rules = socket_->rules(chain.table, chain.name); rules && *rules) {
                tracker_.adopt_rules(chain, **std::move(rules));
            }
        }
        const nft::Transaction transaction = tracker_.plan(nft::Scope::everything);
        if (transaction.empty()) {
            return 0;
        }
        const auto begin = Clock::now();
        const io::CommitResult result = socket_->commit(transaction);
        const double spent = milliseconds(Clock::now() - begin);
        if (result.outcome != io::CommitResult::Outcome::done) {
            fail(result.problems.empty() ? "bare load failed" : result.problems.front());
        }
        tracker_.committed(transaction, result.rules);
        return spent;
    }

private:
    std::unique_ptr<io::NftSocket> socket_;
    render::Renderer renderer_;
    nft::Tracker tracker_;
};

/// felix on a node with `scale.endpoints` workloads, in the namespace of the thread.
class Bench {
public:
    explicit Bench(const Scale& scale)
        : scale_(scale),
          // Marks of endpoints go to memory, as on a node, where /run is a tmpfs.
          run_dir_(fmt::format("/dev/shm/manul-felix-bench-{}", ::getpid())),
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

    /// What the start will tell the dataplane.
    [[nodiscard]] Batch everything() const {
        boost::asio::io_context io;
        Graph graph({"node1", {}});
        Batch batch;
        io::Datastore datastore(io, store::make_memory(database_),
                                config::StoreInForce(run_dir_ + "/store-in-force", false),
                                [&](const io::StoreChanges& changes) {
                                    for (const Event& event : changes.events) {
                                        graph.handle(event);
                                    }
                                    batch = graph.flush();
                                });
        datastore.start();
        return batch;
    }

    /// Milliseconds from the first look at the kernel until it holds everything.
    double start() {
        const auto begin = Clock::now();
        auto opened = io::Dataplane::open(io_, {.run_dir = run_dir_});
        if (!opened) {
            fail(opened.error().message);
        }
        dataplane_ = *std::move(opened);
        if (const auto started = dataplane_->start(); !started) {
            fail(started.error().message);
        }
        datastore_ = std::make_unique<io::Datastore>(io_, store::make_memory(database_),
                                                     config::StoreInForce(run_dir_ + "/store-in-force", false),
                                                     [this](const io::StoreChanges& changes) { on_changes(changes); });
        datastore_->start();
        while (!dataplane_->status().in_sync) {
            poll();
        }
        const double spent = milliseconds(Clock::now() - begin);
        // What the kernel tells of the links that were put into groups belongs to the start.
        for (int i = 0; i < 20; ++i) {
            poll();
        }
        return spent;
    }

    /// Works until the changes of the store that were made before are in the kernel.
    void wait_for(std::size_t rounds) {
        while (rounds_ < rounds) {
            poll();
        }
        if (dataplane_->status().commit_pending) {
            fail("not committed: " + dataplane_->status().problems.front());
        }
    }
    /// Until nothing is left to do.
    void settle() {
        poll();
        poll();
    }
    [[nodiscard]] std::size_t rounds() const { return rounds_; }
    [[nodiscard]] Batch take_batch() { return std::exchange(batch_, {}); }
    [[nodiscard]] const Scale& scale() const { return scale_; }
    [[nodiscard]] double calculation_ms() const { return calc_ms_; }
    [[nodiscard]] double kernel_ms() const { return static_cast<double>(dataplane_->status().commit_us_total) / 1e3; }

private:
    void poll() {
        io_.restart();
        io_.poll();
    }

    void fill() {
        write({tier("shared", 10), tier("late", 20)});
        std::vector<model::ResourcePtr> all;
        for (std::size_t i = 0; i < kNamespaces; ++i) {
            all.push_back(name_space(fmt::format("ns{}", i), "none"));
        }
        all.push_back(policy_for_all("base", "shared", 7));
        all.push_back(policy_by_source_team("team", "shared", "blue"));
        all.push_back(policy_by_source_owner("owner", "shared", "blue"));
        all.push_back(probe_pod("a", Probe::kClient, "client"));
        all.push_back(probe_pod("b", Probe::kServer, "server"));
        all.push_back(probe_policy(9, false));
        all.push_back(probe_policy(9999, true));
        for (std::size_t i = 0; i < scale_.policies; ++i) {
            all.push_back(policy(scale_, i));
        }
        if (scale_.policies > 0) {
            for (std::size_t i = 0; i < kExtra; ++i) {
                all.push_back(policy_of_both(scale_, i));
                all.push_back(solo_policy(scale_, i));
            }
        }
        for (std::size_t i = 0; i < scale_.endpoints; ++i) {
            all.push_back(pod(i, i % scale_.classes, {}));
        }
        write(all);
        for (std::size_t i = 0; i < scale_.sets; ++i) {
            write({network_set(scale_, i)});
        }
    }

    void on_changes(const io::StoreChanges& changes) {
        const auto start = Clock::now();
        for (const Event& event : changes.events) {
            graph_.handle(event);
        }
        Batch batch = graph_.flush();
        calc_ms_ += milliseconds(Clock::now() - start);
        dataplane_->apply(batch);
        std::ranges::move(batch, std::back_inserter(batch_));
        ++rounds_;
    }

    Scale scale_;
    std::string run_dir_;
    std::shared_ptr<store::MemoryDatabase> database_;
    std::unique_ptr<store::Store> store_;
    boost::asio::io_context io_;
    Graph graph_;
    Batch batch_;
    std::unique_ptr<io::Dataplane> dataplane_;
    std::unique_ptr<io::Datastore> datastore_;
    std::size_t rounds_ = 0;
    double calc_ms_ = 0;
};

// --- what is measured ------------------------------------------------------------------------------------------------

class Measurement {
public:
    Measurement(Bench& bench, Mirror& mirror, Report& report, const Options& options)
        : bench_(bench), mirror_(mirror), report_(report), options_(options) {}

    /// `change` writes into the store and may give what undoes it, which is not measured.
    using Change = std::function<std::function<void()>(std::size_t round)>;

    void line(const std::string& what, bool cold, std::size_t rounds, double target, const Change& change) {
        if (what.find(options_.only) == std::string::npos) {
            return;
        }
        std::vector<double> ours;
        std::vector<double> calculation;
        std::vector<double> kernel;
        std::vector<double> bare;
        std::vector<std::pair<Batch, bool>> batches;  // and whether the round is measured
        for (std::size_t round = 0; round < rounds; ++round) {
            if (cold) {
                caches_.run();
            }
            const std::size_t before = bench_.rounds();
            const double calculated = bench_.calculation_ms();
            const double committed = bench_.kernel_ms();
            const auto begin = Clock::now();
            const auto undo = change(round);
            bench_.wait_for(before + 1);
            ours.push_back(milliseconds(Clock::now() - begin));
            calculation.push_back(bench_.calculation_ms() - calculated);
            kernel.push_back(bench_.kernel_ms() - committed);
            batches.emplace_back(bench_.take_batch(), true);
            bench_.settle();
            if (undo) {
                const std::size_t done = bench_.rounds();
                undo();
                bench_.wait_for(done + 1);
                batches.emplace_back(bench_.take_batch(), false);
                bench_.settle();
            }
        }
        // Apart, since either ruleset drives the other one out of the caches.
        for (const auto& [batch, measured] : batches) {
            if (cold && measured) {
                caches_.run();
            }
            const double spent = mirror_.follow(batch);
            if (measured) {
                bare.push_back(spent);
            }
        }
        report_.times(bench_.scale().name, what, cold, {std::move(ours), std::move(bare), calculation, kernel}, target);
    }

private:
    Bench& bench_;
    Mirror& mirror_;
    Report& report_;
    const Options& options_;
    CacheEvictor caches_;
};

/// Milliseconds that the issue of each size allows at the 99th percentile.
struct Targets {
    double simple;  ///< a pod into a class, a label, a rule of one direction, a policy for all in a list that all share
    double broad;   ///< a new class, a rule of both directions
    double own_lists;
};

void measure_changes(Bench& bench, Mirror& mirror, Report& report, const Options& options, bool cold) {
    const Scale& scale = bench.scale();
    const bool large = scale.endpoints > 1000;
    const Targets target = large ? Targets{5, 15, 50} : Targets{2, 2, 2};
    const std::size_t rounds = static_cast<std::size_t>(cold ? 20 : scale.rounds);
    // Each pass of this function takes other rounds, so that no change is one already made.
    const std::size_t salt = cold ? 100'000 : 0;
    Measurement measure(bench, mirror, report, options);
    const auto app_of = [&scale](std::size_t i) { return i % scale.classes; };
    const auto home = [&](std::size_t i, const PodLabels& labels = {}) { return pod(i, app_of(i), labels); };
    using Undo = std::function<void()>;

    measure.line("pod into an existing class", cold, rounds, target.simple, [&](std::size_t round) -> Undo {
        const model::ResourcePtr added = home(scale.endpoints + round);
        bench.write({added});
        return [&bench, added] { bench.write({}, {added->key()}); };
    });
    measure.line("pod into a new class", cold, rounds, target.broad, [&](std::size_t round) -> Undo {
        const model::ResourcePtr added = home(scale.endpoints + round, {.solo = fmt::format("solo{}", round)});
        bench.write({added});
        return [&bench, added] { bench.write({}, {added->key()}); };
    });
    measure.line("label of a pod: into a set of a rule for all", cold, rounds, target.simple,
                 [&](std::size_t round) -> Undo {
                     bench.write({home(round, {.team = "blue"})});
                     return [&bench, back = home(round)] { bench.write({back}); };
                 });
    measure.line("label of a pod: another class", cold, rounds, target.simple, [&](std::size_t round) -> Undo {
        bench.write({pod(round, app_of(round + kNamespaces), {})});
        return [&bench, back = home(round)] { bench.write({back}); };
    });
    // Some of these policies get their one pod for a while.
    constexpr std::size_t kAlone = 20;
    const auto write_pods = [&](bool alone) {
        std::vector<model::ResourcePtr> pods;
        for (std::size_t i = 0; i < kAlone; ++i) {
            pods.push_back(home(i, {.solo = alone ? fmt::format("solo{}", i) : "none"}));
        }
        const std::size_t before = bench.rounds();
        bench.write(pods);
        bench.wait_for(before + 1);
        bench.settle();
        (void)mirror.follow(bench.take_batch());
    };
    write_pods(true);
    measure.line("rule edited, policy of one endpoint", cold, rounds, target.simple, [&](std::size_t round) -> Undo {
        bench.write({solo_policy(scale, round % kAlone, salt + 1 + round)});
        return {};
    });
    write_pods(false);
    measure.line("rule edited, policy of one class", cold, rounds, target.simple, [&](std::size_t round) -> Undo {
        bench.write({policy(scale, round * 3 + 1, salt + 1)});
        return {};
    });
    measure.line("rule edited, both directions", cold, rounds, target.broad, [&](std::size_t round) -> Undo {
        bench.write({policy_of_both(scale, round, salt + 1)});
        return {};
    });
    measure.line("rule edited, policy for all", cold, rounds, target.simple, [&](std::size_t round) -> Undo {
        bench.write({policy_for_all("base", "shared", static_cast<std::uint16_t>((cold ? 1000 : 8) + round))});
        return {};
    });
    measure.line(fmt::format("namespace of {} pods into a set of a rule", scale.endpoints / kNamespaces), cold,
                 kNamespaces, target.simple, [&](std::size_t round) -> Undo {
                     const std::string name = fmt::format("ns{}", round);
                     bench.write({name_space(name, "blue")});
                     return [&bench, back = name_space(name, "none")] { bench.write({back}); };
                 });
    const model::ResourcePtr owned = policy_for_owned("owned", "late", "red");
    bench.write({owned});
    measure.line(fmt::format("namespace of {} pods under a policy", scale.endpoints / kNamespaces), cold, kNamespaces,
                 target.broad, [&](std::size_t round) -> Undo {
                     const std::string name = fmt::format("ns{}", round);
                     bench.write({name_space(name, "red")});
                     return [&bench, back = name_space(name, "none")] { bench.write({back}); };
                 });
    const auto added = [&](const char* what, const char* tier_name, std::size_t times, double limit) {
        measure.line(what, cold, times, limit, [&bench, tier_name](std::size_t /*round*/) -> Undo {
            const model::ResourcePtr more = policy_for_all("more", tier_name, 9);
            bench.write({more});
            return [&bench, more] { bench.write({}, {more->key()}); };
        });
    };
    const std::size_t few = large ? 20 : 100;
    added("policy for all added, list shared by all", "shared", few, target.simple);
    added("policy for all added, each class its own list", "default", few / 2, target.own_lists);
    added("policy for all added, in a new tier", "late", few / 2, target.own_lists);
}

void measure_packets(Bench& bench, Mirror& mirror, Probe& probe, Report& report) {
    const Scale& scale = bench.scale();
    const double target = scale.endpoints > 1000 ? 5 : 2;
    const auto change = [&](const std::function<void()>& write) {
        const std::size_t before = bench.rounds();
        write();
        bench.wait_for(before + 1);
        (void)mirror.follow(bench.take_batch());
        bench.settle();
    };
    const auto line = [&](const std::string& what, std::uint16_t first_port, std::uint16_t step,
                          const std::function<void(std::uint16_t)>& close,
                          const std::function<void(std::uint16_t)>& open) {
        std::vector<double> times;
        for (std::size_t round = 0; round < 50; ++round) {
            const auto port = static_cast<std::uint16_t>(first_port + step * round);
            change([&] { close(port); });
            probe.send_to(port);
            const std::size_t before = bench.rounds();
            const auto begin = Probe::now();
            open(port);
            bench.wait_for(before + 1);
            times.push_back(milliseconds(probe.first_arrival() - begin));
            (void)mirror.follow(bench.take_batch());
            bench.settle();
        }
        report.times(scale.name, what, false, {std::move(times), {}, {}, {}}, target);
    };
    // Open to begin with: the store tells nothing of a document that is written again as it is.
    change([&] { bench.write({probe_policy(19999, false)}); });
    line(
        "first packet: rule edited", 20000, 1, [&](std::uint16_t /*port*/) { bench.write({probe_policy(9, false)}); },
        [&](std::uint16_t port) { bench.write({probe_policy(port, false)}); });
    change([&] { bench.write({probe_pod("a", Probe::kClient, "client", "yes")}); });
    line(
        "first packet: label of the sender", 9999, 0,
        [&](std::uint16_t /*port*/) { bench.write({probe_pod("a", Probe::kClient, "client", "no")}); },
        [&](std::uint16_t /*port*/) { bench.write({probe_pod("a", Probe::kClient, "client", "yes")}); });
    const model::ResourcePtr server = probe_pod("b", Probe::kServer, "server");
    line(
        "first packet: pod added", 9999, 0, [&](std::uint16_t /*port*/) { bench.write({}, {server->key()}); },
        [&](std::uint16_t /*port*/) { bench.write({server}); });
}

void measure(const Scale& scale, const Options& options, Report& report) {
    const auto scope = netlink::NetnsScope::create();
    if (!scope) {
        fail(scope.error().message);
    }
    if (!make_links(scale.endpoints + kExtra)) {
        fail("the namespace cannot be set up");
    }
    Probe probe;
    Bench bench(scale);
    Mirror mirror;
    // First, while nobody listens to nf_tables: listeners in any namespace cost every commit.
    const double bare_ms = mirror.follow(bench.everything());
    const std::size_t before = resident_bytes();
    const double cold_ms = bench.start();
    const double used = static_cast<double>(resident_bytes()) - static_cast<double>(before);
    (void)bench.take_batch();
    report.figure(scale.name, "cold start", cold_ms, "ms", 0);
    report.figure(scale.name, "  of it calculation", bench.calculation_ms(), "ms", 0);
    report.figure(scale.name, "  of it kernel", bench.kernel_ms(), "ms", 0);
    report.figure(scale.name, "bare load of the same rules", bare_ms, "ms", 0);
    report.figure(scale.name, "cold start / bare load", cold_ms / bare_ms, "", 1.5);
    report.figure(scale.name, "resident memory added by the start", used / 1e6, "MB", 0);
    report.heading();
    if (options.includes("hot", {"hot", "cold", "packets"})) {
        measure_changes(bench, mirror, report, options, false);
    }
    if (options.includes("packets", {"hot", "cold", "packets"})) {
        measure_packets(bench, mirror, probe, report);
    }
    if (options.includes("cold", {"hot", "cold", "packets"})) {
        measure_changes(bench, mirror, report, options, true);
    }
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
        if (!scope) {
            fail("no network namespace");
        }
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

void measure_memory(Report& report) {
    const Scale base{"memory", 10, 10, 0, 0, 1, 0};
    const std::size_t nothing = memory_of(base);
    const auto per = [&](const char* what, const Scale& scale, std::size_t without, std::size_t count) {
        const std::size_t used = memory_of(scale);
        report.figure("memory", what,
                      (static_cast<double>(used) - static_cast<double>(without)) / static_cast<double>(count), "bytes",
                      0);
        return used;
    };
    Scale endpoints = base;
    endpoints.endpoints = 10'000;
    endpoints.classes = 1'000;
    const std::size_t with_endpoints = per("an endpoint", endpoints, nothing, 10'000);
    Scale policies = endpoints;
    policies.policies = 10'000;
    policies.sets = 500;
    const std::size_t with_policies = per("a policy of two rules", policies, with_endpoints, 10'000 + 2 * kExtra);
    Scale members = policies;
    members.members = 500'000;
    (void)per("a member", members, with_policies, 500'000);
}

void run(const Options& options) {
    Report report;
    // First: a process that forks later gives its children memory that it has had and left.
    if (options.includes("memory", {"node", "large", "memory"})) {
        measure_memory(report);
    }
    for (const Scale& scale : {kNode, kLarge}) {
        if (options.includes(scale.name, {"node", "large", "memory"})) {
            measure(scale, options, report);
        }
    }
    if (options.json) {
        report.write(*options.json);
    }
}

}  // namespace

}  // namespace manul::felix::bench

int main(int count, char** words) {
    manul::felix::bench::run(manul::felix::bench::parse(count, words));
    return 0;
}
