#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fmt/core.h>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <catch2/catch.hpp>

#include "base/control.hpp"
#include "config/codec/json.hpp"
#include "config/model/lease.hpp"
#include "config/store/sqlite.hpp"
#include "ctl/ipam/inventory.hpp"
#include "ipam/core/check.hpp"
#include "ipam/local/client.hpp"
#include "net/netlink/netns.hpp"

// manul-ipamd killed at random moments, and several of them on one store: no address is given twice, none is lost.
// MANUL_KILLS sets how often it is killed (the default suits every run of the tests).

namespace manul::ipam {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

bool eventually(const std::function<bool()>& wanted) {
    const auto deadline = Clock::now() + 60s;
    while (!wanted()) {
        if (Clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(2ms);
    }
    return true;
}

/// A directory with one store, for the daemons of several nodes.
class Cluster {
public:
    explicit Cluster(const std::string& cidr, int block_size) {
        static int count = 0;
        directory_ = std::filesystem::temp_directory_path() / fmt::format("manul-kill-{}-{}", ::getpid(), ++count);
        std::filesystem::create_directories(directory_);
        auto scope = netlink::NetnsScope::create();
        REQUIRE(scope);
        scope_.emplace(*std::move(scope));
        store = store::open_sqlite((directory_ / "store.db").string());
        REQUIRE(store->create(
            {model::Kind::ip_pool, "", "p"},
            fmt::format(
                R"({{"apiVersion":"projectcalico.org/v3","kind":"IPPool","metadata":{{"name":"p"}},"spec":{{"cidr":"{}","blockSize":{}}}}})",
                cidr, block_size)));
    }
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;
    ~Cluster() {
        for (const auto& [node, pid] : pids_) {
            ::kill(pid, SIGKILL);
            ::waitpid(pid, nullptr, 0);
        }
        std::filesystem::remove_all(directory_);
    }

    void start(const std::string& node) {
        const char* program = std::getenv("MANUL_IPAMD");
        REQUIRE(program != nullptr);
        const pid_t pid = ::fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            ::setenv("MANUL_NODE_NAME", node.c_str(), 1);
            ::setenv("MANUL_DATASTORE_TYPE", "sqlite", 1);
            ::setenv("MANUL_DATASTORE_PATH", (directory_ / "store.db").c_str(), 1);
            ::setenv("MANUL_RUN_DIR", (directory_ / node / "run").c_str(), 1);
            ::setenv("MANUL_STATE_DIR", (directory_ / node / "state").c_str(), 1);
            ::setenv("MANUL_NODE_ADDRESS_DETECTION_IPV4", "none", 1);
            ::setenv("MANUL_NODE_ADDRESS_DETECTION_IPV6", "none", 1);
            ::setenv("MANUL_LOG_LEVEL", "error", 1);
            std::filesystem::create_directories(directory_ / node);
            ::execl(program, program, nullptr);
            std::_Exit(127);
        }
        pids_[node] = pid;
    }
    void kill(const std::string& node) {
        const pid_t pid = pids_.at(node);
        pids_.erase(node);
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    [[nodiscard]] boost::json::value status(const std::string& node, std::string_view field) const {
        const auto answer = control::call((directory_ / node / "run" / "ipamd.sock").string(), {{"op", "status"}}, 5s);
        const auto* object = answer ? answer->if_object() : nullptr;
        const auto* value = object != nullptr ? object->if_contains(field) : nullptr;
        return value != nullptr ? *value : boost::json::value(nullptr);
    }
    /// Nothing when the daemon is away, or dies meanwhile.
    [[nodiscard]] std::optional<Answer> ask(const std::string& node, const Request& request) const {
        const auto now = Clock::now();
        auto client = Client::connect((directory_ / node / "run" / "cni.sock").string(), now + 5ms, now + 30s);
        if (!client || !client->send(request)) {
            return std::nullopt;
        }
        auto answer = client->receive();
        return answer ? std::optional(*std::move(answer)) : std::nullopt;
    }
    [[nodiscard]] Inventory inventory() const {
        auto read = ctl::read_inventory(*store);
        REQUIRE(read);
        return *std::move(read);
    }
    /// `ipam check` finds nothing, and the endpoints are exactly these.
    void verify(const std::map<std::string, std::string>& held) const {
        const Inventory now = inventory();
        const CheckResult result =
            check(now, std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
        for (const Finding& finding : result.findings) {
            UNSCOPED_INFO(finding.text);
        }
        CHECK(result.findings.empty());
        CHECK(result.allocations.size() == held.size());
        std::map<std::string, std::string> stored;
        for (const auto& [address, user] : now.users) {
            if (user.kind == User::Kind::workload) {
                stored[user.attributes.at("pod")] = address.to_string();
            }
        }
        CHECK(stored == held);
    }

    std::unique_ptr<store::Store> store;

private:
    std::filesystem::path directory_;
    std::optional<netlink::NetnsScope> scope_;
    std::map<std::string, pid_t> pids_;
};

Request request_of(Op op, const std::string& container) {
    Request request;
    request.op = op;
    request.network = "net";
    request.attachment = {container, "eth0"};
    request.host_interface = host_interface_name(request);
    return request;
}

TEST_CASE("a daemon killed at random moments loses no address and gives none twice") {
    const char* wish = std::getenv("MANUL_KILLS");
    const int kills = wish != nullptr ? std::atoi(wish) : 200;
    Cluster cluster("10.0.0.0/24", 28);
    std::mt19937 random(std::random_device{}());
    const auto below = [&](int n) { return std::uniform_int_distribution<int>(0, n - 1)(random); };

    // What the runtime knows: containers whose ADD was answered, and those of whose ADD or DEL no answer came.
    std::map<std::string, std::string> held;
    std::map<std::string, Op> unanswered;
    int next = 0;
    std::size_t answered = 0;
    const auto act = [&] {
        Op op = Op::add;
        std::string container;
        if (!unanswered.empty()) {  // the runtime tries again, or gives up and deletes
            container = unanswered.begin()->first;
            op = unanswered.begin()->second == Op::add && below(2) == 0 ? Op::add : Op::del;
        } else if (!held.empty() && (held.size() > 40 || below(2) == 0)) {
            container = std::next(held.begin(), below(static_cast<int>(held.size())))->first;
            op = Op::del;
        } else {
            // Ids come back: a DEL of the earlier life must never end the later one.
            do {
                container = fmt::format("c{}", next++ % 100);
            } while (held.contains(container));
        }
        const auto answer = cluster.ask("n1", request_of(op, container));
        if (!answer || (answer->error && op == Op::add)) {
            unanswered[container] = op == Op::del                    ? Op::del
                                    : unanswered.contains(container) ? unanswered[container]
                                                                     : op;
            return answer.has_value();
        }
        CHECK_FALSE(answer->error);
        ++answered;
        unanswered.erase(container);
        if (op == Op::add) {
            held[container] = answer->ips.front().to_string();
        } else {
            held.erase(container);
        }
        return true;
    };
    for (int kill = 0; kill < kills; ++kill) {
        cluster.start("n1");
        // Sometimes in the middle of the start, mostly in the middle of work.
        const auto end = Clock::now() + std::chrono::microseconds(below(below(4) == 0 ? 30'000 : 150'000));
        while (Clock::now() < end) {
            if (!act()) {
                std::this_thread::sleep_for(1ms);
            }
        }
        cluster.kill("n1");
        // At no moment are there two users of one address, or an address in two blocks.
        const Inventory now = cluster.inventory();
        for (auto at = now.users.begin(); at != now.users.end(); ++at) {
            REQUIRE(now.users.count(at->first) == 1);
        }
    }
    cluster.start("n1");
    REQUIRE(eventually([&] { return cluster.status("n1", "inSync") == boost::json::value(true); }));
    REQUIRE(eventually([&] {
        act();
        return unanswered.empty();
    }));
    REQUIRE(eventually([&] { return cluster.status("n1", "waitingDeletes") == boost::json::value(0); }));
    cluster.verify(held);
    CHECK(answered > static_cast<std::size_t>(kills) / 4);
    WARN(kills << " kills, " << answered << " requests answered, " << held.size() << " addresses held in the end");
}

TEST_CASE("three daemons and sixteen runtimes exhaust a pool: each address once, and one daemon does the chores") {
    const std::vector<std::string> nodes{"n1", "n2", "n3"};
    Cluster cluster("10.0.0.0/26", 29);
    for (const std::string& node : nodes) {
        cluster.start(node);
    }
    for (const std::string& node : nodes) {
        REQUIRE(eventually([&] { return cluster.status(node, "inSync") == boost::json::value(true); }));
    }
    constexpr int kRuntimes = 16;
    constexpr int kEach = 6;  // 96 pods for 64 addresses
    std::vector<std::map<std::string, std::string>> got(kRuntimes);
    std::vector<std::vector<std::string>> errors(kRuntimes);
    std::vector<std::thread> runtimes;
    for (int i = 0; i < kRuntimes; ++i) {
        runtimes.emplace_back([&, i] {
            for (int j = 0; j < kEach; ++j) {
                const std::string container = fmt::format("r{}x{}", i, j);
                const auto answer =
                    cluster.ask(nodes[static_cast<std::size_t>(i) % nodes.size()], request_of(Op::add, container));
                if (!answer || answer->error) {
                    errors[static_cast<std::size_t>(i)].push_back(answer ? answer->error->msg : "no answer");
                } else {
                    got[static_cast<std::size_t>(i)][container] = answer->ips.front().to_string();
                }
            }
        });
    }
    for (std::thread& runtime : runtimes) {
        runtime.join();
    }
    std::map<std::string, std::string> held;
    std::set<std::string> addresses;
    for (const auto& one : got) {
        for (const auto& [container, address] : one) {
            held[container] = address;
            CHECK(addresses.insert(address).second);
        }
    }
    CHECK(held.size() == 64);
    for (const auto& one : errors) {
        for (const std::string& error : one) {
            INFO(error);
            CHECK(error.starts_with("no free address: pool p has 0 free of 64: 64 in use by 3 nodes"));
        }
    }
    cluster.verify(held);

    // One of them holds the lease; a Node that is deleted while its daemon lives comes back.
    REQUIRE(eventually(
        [&] { return cluster.store->get({model::Kind::lease, "manul-system", "manul-cluster-chores"}).has_value(); }));
    REQUIRE(cluster.store->remove({model::Kind::node, "", "n2"}, std::nullopt));
    CHECK(eventually([&] { return cluster.store->get({model::Kind::node, "", "n2"}).has_value(); }));
    cluster.verify(held);
}

}  // namespace
}  // namespace manul::ipam
