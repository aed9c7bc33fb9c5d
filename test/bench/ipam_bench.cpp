// Durable allocations on a SQLite store: each answer counts only after its commit, on disk. Beside it, in the same
// run, what SQLite itself does with the same durability; then the same with etcd. Then one node with 10,000 pods, and
// 5,000 nodes that claim four blocks each.

#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "base/try.hpp"
#include "config/codec/json.hpp"
#include "config/model/block_affinity.hpp"
#include "config/model/ipam_block.hpp"
#include "config/store/sqlite.hpp"
#ifdef MANUL_WITH_ETCD
#include "config/store/etcd.hpp"
#include "config/store/etcd/cluster.hpp"
#include "test/config/etcd_server.hpp"
#endif
#include "ipam/core/pool.hpp"
#include "ipam/service/service.hpp"

namespace {

using manul::ipam::Request;
using Clock = std::chrono::steady_clock;

double seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

manul::ipam::WallTime wall_now() { return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()); }

/// A directory for one store, gone with this object.
struct Directory {
    std::filesystem::path path;
    explicit Directory(const char* name)
        : path(std::filesystem::temp_directory_path() / fmt::format("manul-ipam-bench-{}-{}", ::getpid(), name)) {
        std::filesystem::create_directories(path);
    }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    ~Directory() { std::filesystem::remove_all(path); }
    [[nodiscard]] std::string store() const { return (path / "store.db").string(); }
};

std::string pool_document(const char* cidr) {
    return fmt::format(
        R"({{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{{"name":"p"}},"spec":{{"cidr":"{}"}}}})",
        cidr);
}

Request make_request(std::size_t number) {
    Request request;
    request.op = manul::ipam::Op::add;
    request.network = "bench";
    request.attachment = {fmt::format("{:064x}", number), "eth0"};
    request.host_interface = fmt::format("cali{:011x}", number);
    request.args = {{"K8S_POD_NAMESPACE", "default"}, {"K8S_POD_NAME", fmt::format("pod-{}", number)}};
    return request;
}

/// Many callers, one worker that takes all that wait: as manul-ipamd does it.
bool callers(manul::store::Store& store, std::size_t count, std::size_t each) {
    manul::ipam::Service service(store, {"node", "boot"});
    if (!store.create({manul::model::Kind::ip_pool, "", "p"}, pool_document("10.0.0.0/16")) || !service.start()) {
        return false;
    }
    struct Call {
        Request request;
        bool done = false;
        bool failed = false;
    };
    std::mutex mutex;
    std::condition_variable arrived;
    std::condition_variable answered;
    std::vector<Call*> waiting;
    std::size_t callers_left = count;
    std::atomic<bool> failed = false;
    const auto start = Clock::now();
    const auto cpu = std::clock();
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < count; ++i) {
        threads.emplace_back([&, i] {
            for (std::size_t j = 0; j < each; ++j) {
                Call call{make_request(i * each + j)};
                std::unique_lock lock(mutex);
                waiting.push_back(&call);
                arrived.notify_one();
                answered.wait(lock, [&] { return call.done; });
                failed = failed || call.failed;
            }
            const std::lock_guard lock(mutex);
            --callers_left;
            arrived.notify_one();
        });
    }
    for (;;) {
        std::vector<Call*> batch;
        {
            std::unique_lock lock(mutex);
            arrived.wait(lock, [&] { return !waiting.empty() || callers_left == 0; });
            if (waiting.empty()) {
                break;
            }
            batch = std::exchange(waiting, {});
        }
        std::vector<Request> requests;
        for (const Call* call : batch) {
            requests.push_back(call->request);
        }
        const auto results = service.add(requests, wall_now());
        const std::lock_guard lock(mutex);
        for (std::size_t i = 0; i < batch.size(); ++i) {
            batch[i]->failed = results[i].answer.error.has_value();
            batch[i]->done = true;
        }
        answered.notify_all();
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    const double took = seconds(start);
    const auto total = static_cast<double>(count * each);
    fmt::print("{:3} callers: {:6.0f} durable allocations/s ({:.0f} us CPU each, {:.1f} in one transaction)\n", count,
               total / took, static_cast<double>(std::clock() - cpu) * 1e6 / CLOCKS_PER_SEC / total,
               total / static_cast<double>(service.committer().commits()));
    return !failed;
}

bool callers(std::size_t count, std::size_t each) {
    const Directory directory("callers");
    return callers(*manul::store::open_sqlite(directory.store()), count, each);
}

#ifdef MANUL_WITH_ETCD
/// What a lone etcd does with the same writes in one transaction, through the client alone.
bool raw_etcd(const manul::store::EtcdOptions& options, std::size_t transactions, std::size_t allocations_each) {
    using namespace manul::store::etcd;
    Cluster cluster(options,
                    [](const MemberAddress& address, const TlsMaterial& tls) -> manul::Result<std::unique_ptr<Member>> {
                        MANUL_TRY(const GrpcModule* const module, load_grpc_module());
                        return module->make_member(address, tls);
                    });
    const std::string block(4000, 'b');
    const std::string small(600, 's');
    const auto start = Clock::now();
    for (std::size_t i = 0; i < transactions; ++i) {
        Txn txn;
        txn.operations.push_back({Operation::Type::put, options.prefix + "/block", block});
        for (std::size_t j = 0; j < allocations_each; ++j) {
            for (const char* kind : {"handle", "endpoint"}) {
                txn.operations.push_back({Operation::Type::put,
                                          fmt::format("{}/{}{}", options.prefix, kind, i * allocations_each + j),
                                          small});
            }
        }
        if (const auto done = cluster.commit(txn); !done) {
            fmt::print(stderr, "{}\n", done.error().message);
            return false;
        }
    }
    const double took = seconds(start);
    fmt::print("raw etcd, {:2} in one transaction: {:6.0f} allocations/s ({:.0f} transactions/s)\n", allocations_each,
               static_cast<double>(transactions * allocations_each) / took, static_cast<double>(transactions) / took);
    return true;
}

bool on_etcd() {
    const Directory directory("etcd");
    const manul::test::EtcdCluster server({.directory = directory.path.string()});
    const auto options = [&](const char* prefix) {
        return manul::store::EtcdOptions{.endpoints = server.endpoints(), .prefix = prefix};
    };
    return raw_etcd(options("/raw1"), 300, 1) && raw_etcd(options("/raw16"), 100, 16) &&
           callers(*manul::store::open_etcd(options("/one")), 1, 300) &&
           callers(*manul::store::open_etcd(options("/many")), 16, 150) && raw_etcd(options("/raw"), 100, 16);
}
#else
bool on_etcd() { return true; }
#endif

/// What SQLite does with three rows of the size of an allocation's (block, handle, endpoint) in one durable
/// transaction: nothing of ours in it.
bool raw_sqlite(std::size_t transactions, std::size_t allocations_each) {
    const Directory directory("raw");
    sqlite3* database = nullptr;
    const auto run = [&](const std::string& sql) {
        return sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
    };
    bool good = sqlite3_open(directory.store().c_str(), &database) == SQLITE_OK && run("PRAGMA journal_mode = WAL") &&
                run("PRAGMA synchronous = FULL") &&
                run("CREATE TABLE object(name TEXT PRIMARY KEY, body BLOB) WITHOUT ROWID");
    sqlite3_stmt* put = nullptr;
    good = good &&
           sqlite3_prepare_v2(database, "INSERT OR REPLACE INTO object VALUES(?, ?)", -1, &put, nullptr) == SQLITE_OK;
    const std::string block(4000, 'b');
    const std::string small(600, 's');
    const auto start = Clock::now();
    for (std::size_t i = 0; good && i < transactions; ++i) {
        good = run("BEGIN IMMEDIATE");
        const auto write = [&](const std::string& name, const std::string& body) {
            sqlite3_bind_text(put, 1, name.data(), static_cast<int>(name.size()), nullptr);
            sqlite3_bind_blob(put, 2, body.data(), static_cast<int>(body.size()), nullptr);
            good = good && sqlite3_step(put) == SQLITE_DONE;
            sqlite3_reset(put);
        };
        write("block", block);
        for (std::size_t j = 0; j < allocations_each; ++j) {
            write(fmt::format("handle{}", i * allocations_each + j), small);
            write(fmt::format("endpoint{}", i * allocations_each + j), small);
        }
        good = good && run("COMMIT");
    }
    const double took = seconds(start);
    fmt::print("raw SQLite, {:2} in one transaction: {:6.0f} allocations/s ({:.0f} transactions/s)\n", allocations_each,
               static_cast<double>(transactions * allocations_each) / took, static_cast<double>(transactions) / took);
    sqlite3_finalize(put);
    sqlite3_close(database);
    return good;
}

/// The first and the last thousand of many pods on one node.
bool many_pods(std::size_t pods) {
    const Directory directory("pods");
    const auto store = manul::store::open_sqlite(directory.store());
    manul::ipam::Service service(*store, {"node", "boot"});
    if (!store->create({manul::model::Kind::ip_pool, "", "p"}, pool_document("10.0.0.0/16")) || !service.start()) {
        return false;
    }
    constexpr std::size_t kBatch = 16;
    constexpr std::size_t kPart = 1000;
    std::vector<double> rates;
    auto start = Clock::now();
    for (std::size_t i = 0; i < pods; i += kBatch) {
        std::vector<Request> requests;
        for (std::size_t j = i; j < i + kBatch && j < pods; ++j) {
            requests.push_back(make_request(j));
        }
        for (const auto& result : service.add(requests, wall_now())) {
            if (result.answer.error) {
                fmt::print(stderr, "{}\n", result.answer.error->msg);
                return false;
            }
        }
        if ((i + kBatch) / kPart > i / kPart) {
            rates.push_back(kPart / seconds(start));
            start = Clock::now();
        }
    }
    std::vector<manul::ipam::Release> releases;
    for (std::size_t i = 0; i < pods; ++i) {
        releases.push_back({"bench", make_request(i).attachment});
    }
    start = Clock::now();
    for (const auto& done : service.release(releases, wall_now())) {
        if (!done || !*done) {
            return false;
        }
    }
    fmt::print("{} pods on one node: the first thousand at {:.0f}/s, the last at {:.0f}/s; all released at {:.0f}/s\n",
               pods, rates.front(), rates.back(), static_cast<double>(pods) / seconds(start));
    return true;
}

/// What `nodes` nodes have claimed before, as stored: written in bulk, because it is not what is measured.
bool fill_with_claims(manul::store::Store& store, const manul::ipam::Pool& pool, std::size_t nodes, std::size_t each) {
    using namespace manul;
    std::vector<store::Op> ops;
    const auto flush = [&] {
        const bool good = ops.empty() || store.transact(ops, store::Checks::own_fields_only).has_value();
        ops.clear();
        return good;
    };
    const auto put = [&](const auto& resource) {
        ops.emplace_back(store::Put{resource.key(), codec::encode(resource), store::Precondition{true, {}}});
    };
    for (std::size_t i = 0; i < nodes * each; ++i) {
        const std::string node = fmt::format("node-{}", i / each);
        const net::Prefix cidr = pool.block(i * 13 % pool.block_count());  // scattered, each once: 13 is odd
        model::BlockAffinity affinity;
        affinity.metadata.name = ipam::affinity_key(node, cidr).name;
        affinity.spec = {model::AffinityState::confirmed, node, model::AffinityType::host, cidr, false};
        put(affinity);
        model::IpamBlock block;
        block.metadata.name = ipam::block_key(cidr).name;
        block.spec = ipam::Block::make(cidr, ipam::host_affinity(node), wall_now(), 1).to_model();
        put(block);
        if (ops.size() + 2 > 90 && !flush()) {
            return false;
        }
    }
    return flush();
}

/// The last hundred nodes of a big cluster claim their blocks, one durable transaction each. The first claim of a
/// daemon looks once at all affinities, for blocks of other sizes.
bool many_nodes(std::size_t nodes, std::size_t blocks_each) {
    using namespace manul;
    constexpr std::size_t kMeasured = 100;
    const Directory directory("nodes");
    const auto store = store::open_sqlite(directory.store());
    model::IpPool pool;
    pool.metadata.name = "p";
    pool.spec.cidr = *net::Prefix::parse("10.0.0.0/8");
    ipam::World world;
    world.pools = {*ipam::Pool::from_model(pool)};
    if (!fill_with_claims(*store, world.pools.front(), nodes - kMeasured, blocks_each)) {
        return false;
    }
    std::vector<double> first;
    std::vector<double> later;
    for (std::size_t i = nodes - kMeasured; i < nodes; ++i) {
        world.node = fmt::format("node-{}", i);
        ipam::StoreSource source(*store, world.node);
        ipam::Committer committer(*store, source);
        source.begin(wall_now());
        for (std::size_t j = 0; j < blocks_each; ++j) {
            const auto at = Clock::now();
            const ipam::Change change = [&](ipam::Transaction& transaction) -> ipam::Outcome<void> {
                MANUL_TRY(const auto claim, claim_block(transaction.ipam(), world, world.pools.front(), wall_now()));
                return claim ? ipam::Outcome<void>() : ipam::refuse(ipam::ErrorCode::try_again, "no block left");
            };
            if (const auto done = committer.run(std::span(&change, 1)).front(); !done) {
                fmt::print(stderr, "{}\n", done.error().msg);
                return false;
            }
            (j == 0 ? first : later).push_back(seconds(at) * 1e3);
        }
    }
    const auto middle = [](std::vector<double>& values) {
        std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2));
        return values[values.size() / 2];
    };
    const auto bytes = [&](model::Kind kind) {
        std::size_t sum = 0;
        const auto listing = store->list({.kind = kind, .ns = std::nullopt, .name_prefix = {}});
        for (const auto& object : listing->items) {
            sum += object.document->size();
        }
        return static_cast<double>(sum) / 1e6;
    };
    fmt::print("{} nodes x {} blocks: the first claim of a daemon {:.1f} ms, each later one {:.2f} ms (p50)\n", nodes,
               blocks_each, middle(first), middle(later));
    fmt::print("  bgpd of each node watches the affinities: {:.1f} MB; the blocks, {:.1f} MB, are watched by nobody\n",
               bytes(model::Kind::block_affinity), bytes(model::Kind::ipam_block));
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string only = argc > 1 ? argv[1] : "";
    const auto wanted = [&](const char* name) { return only.empty() || only == name; };
    bool good = true;
    if (wanted("rate")) {
        good = raw_sqlite(500, 1) && raw_sqlite(200, 16) && callers(1, 500) && callers(16, 250) && callers(64, 60);
        good = good && raw_sqlite(200, 16);
    }
    if (good && wanted("etcd")) {
        good = on_etcd();
    }
    if (good && wanted("pods")) {
        good = many_pods(10'000);
    }
    if (good && wanted("nodes")) {
        good = many_nodes(5'000, 4);
    }
    return good ? 0 : 1;
}
