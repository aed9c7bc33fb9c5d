#include <sys/socket.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.hpp"
#include "config/model/kind.hpp"
#include "config/rollback.hpp"
#include "config/store/server.hpp"
#include "config/store/sqlite.hpp"
#include "config/store/store.hpp"
#include "test/config/store_contract.hpp"
#include "test/serve/server_process.hpp"
#include "test/serve/slow_link.hpp"
#ifdef MANUL_WITH_ETCD
#include "test/config/etcd_server.hpp"
#endif

namespace manul::test {

namespace {

std::unique_ptr<store::Store> open(const std::string& kubeconfig, int timeout_ms = 15'000) {
    return store::open_server(
        {.kubeconfig = kubeconfig, .context = {}, .timeout = std::chrono::milliseconds(timeout_ms)});
}

const store::ListQuery kAllSets{.kind = model::Kind::global_network_set, .ns = {}, .name_prefix = {}};

/// Every kind from the store's present revision, of which there is one for all.
std::vector<store::WatchStart> all_kinds_from_now(store::Store& store) {
    const auto listing = store.list(kAllSets);
    REQUIRE(listing);
    std::vector<store::WatchStart> starts;
    for (const model::KindInfo& info : model::all_kinds()) {
        starts.push_back({info.kind, listing->revision});
    }
    return starts;
}

std::string large_document(const std::string& name) {
    return document(set_key(name), R"({"nets":["10.0.0.0/8"]})",
                    R"(,"annotations":{"fill":")" + std::string(50'000, 'x') + "\"}");
}

}  // namespace

TEST_CASE("a hundred watchers of every kind cost the server a connection each, and no more memory than that",
          "[server]") {
    constexpr std::size_t kWatchers = 100;
    ServerProcess server;
    const auto store = open(server.kubeconfig());
    const auto starts = all_kinds_from_now(*store);
    std::vector<std::unique_ptr<store::Watch>> watches;
    const auto add = [&] {
        auto watch = store->watch(starts);
        REQUIRE(watch);
        watches.push_back(*std::move(watch));
    };
    add();
    REQUIRE(store->create(set_key("first"), set_document("first")));
    REQUIRE(take(*watches.front(), 1).size() == 1);
    const std::size_t descriptors = server.descriptors();
    const std::size_t memory = server.memory_kib();
    while (watches.size() < kWatchers) {
        add();
    }
    REQUIRE(store->create(set_key("second"), set_document("second")));
    REQUIRE(take(*watches.front(), 1).size() == 1);
    for (std::size_t i = 1; i < kWatchers; ++i) {
        CHECK(take(*watches[i], 2).size() == 2);  // also what was before it came
    }
    CHECK(server.descriptors() <=
          descriptors + kWatchers + 3 * starts.size());  // besides what feeds were still to come
    CHECK(server.memory_kib() < memory + kWatchers * 200);
}

TEST_CASE("over a slow link everything arrives, later", "[server]") {
    ServerProcess server;
    const auto near = open(server.kubeconfig());
    for (int i = 0; i < 8; ++i) {
        REQUIRE(near->create(set_key("a" + std::to_string(i)), large_document("a" + std::to_string(i))));
    }
    // Some 6 s for the list, and never 3 s without a byte.
    const SlowLink link(server.port(), 256, 4000);
    const auto far = open(server.kubeconfig_of("admin", "ca", "127.0.0.1:" + std::to_string(link.port())), 3000);
    const auto listing = far->list(kAllSets);
    REQUIRE(listing);
    CHECK(listing->items.size() == 8);
    const std::vector<store::WatchStart> starts{{model::Kind::global_network_set, listing->revision}};
    const auto watch = far->watch(starts);
    REQUIRE(watch);
    REQUIRE(near->create(set_key("b"), large_document("b")));
    REQUIRE(near->remove(set_key("a0"), std::nullopt));
    const auto events = take(**watch, 2);
    REQUIRE(events.size() == 2);
    CHECK(events[0].object.document->find(std::string(50'000, 'x')) != std::string::npos);
    CHECK(events[1].type == store::Event::Type::removed);
}

TEST_CASE("a watcher that never reads keeps nobody waiting", "[server]") {
    ServerProcess server;
    const auto store = open(server.kubeconfig());
    const auto listing = store->list(kAllSets);
    REQUIRE(listing);
    const std::vector<store::WatchStart> starts{{model::Kind::global_network_set, listing->revision}};
    const auto watch = store->watch(starts);
    REQUIRE(watch);
    const UniqueFd silent = connect_to(server.port());
    const std::string request =
        "GET /apis/projectcalico.org/v3/globalnetworksets?watch=1 HTTP/1.1\r\nHost: x\r\nAccept: "
        "application/json\r\n\r\n";
    REQUIRE(::send(silent.get(), request.data(), request.size(), MSG_NOSIGNAL) == std::ssize(request));
    const std::size_t memory = server.memory_kib();
    constexpr std::size_t kObjects = 100;
    for (std::size_t i = 0; i < kObjects; ++i) {
        const std::string name = "a" + std::to_string(i);
        REQUIRE(store->create(set_key(name), large_document(name)));
    }
    CHECK(take(**watch, kObjects).size() == kObjects);
    CHECK(server.memory_kib() < memory + 64 * 1024);
}

TEST_CASE("who is not who he should be is told so, on either side", "[server]") {
    ServerProcess server({.tls = true});
    struct Row {
        std::string client;
        std::string authority;
        std::string host;
        std::string message;
    };
    const std::vector<Row> rows{
        {"admin", "ca", "127.0.0.1", ""},
        {"ann", "ca", "127.0.0.1", "not allowed (403)"},
        {"", "ca", "127.0.0.1", "does not accept the credentials"},
        {"stranger", "ca", "127.0.0.1", "127.0.0.1"},
        {"admin", "other", "127.0.0.1", "is not trusted"},
        {"admin", "ca", "localhost", "is not trusted: "},
    };
    for (const Row& row : rows) {
        CAPTURE(row.client, row.authority, row.host);
        const auto store =
            open(server.kubeconfig_of(row.client, row.authority, row.host + ":" + std::to_string(server.port())));
        const auto listing = store->list(kAllSets);
        CHECK(listing.has_value() == row.message.empty());
        if (!listing) {
            CHECK(listing.error().code == store::StoreError::Code::unavailable);
            CHECK_THAT(listing.error().message, Catch::Contains(row.message));
        }
    }
}

TEST_CASE("a change that nobody confirms is undone by the server itself", "[server]") {
    ServerProcess server;
    const auto store = open(server.kubeconfig());
    REQUIRE(store->create(set_key("a"), set_document("a", "10.0.0.0/8")));
    const auto before = store->get(set_key("a"));
    REQUIRE(before);
    const std::vector<store::WatchStart> starts{{model::Kind::global_network_set, before->revision}};
    const auto watch = store->watch(starts);
    REQUIRE(watch);
    REQUIRE(config::write_revertibly(*store,
                                     {{set_key("a"), set_document("a", "11.0.0.0/8"), std::nullopt},
                                      {set_key("b"), set_document("b"), std::nullopt}},
                                     std::chrono::seconds(1)));
    const auto events = take(**watch, 4);  // there, and back
    REQUIRE(events.size() == 4);
    const auto after = store->get(set_key("a"));
    REQUIRE(after);
    CHECK_THAT(*after->document, Catch::Contains("10.0.0.0/8"));
    CHECK_FALSE(store->get(set_key("b")));
    const auto waits = config::pending_rollback(*store);
    REQUIRE(waits);
    CHECK_FALSE(*waits);
}

#ifdef MANUL_WITH_ETCD
TEST_CASE("servers of one etcd bring each other's changes, also those made while one was away", "[server]") {
    if (!has_etcd()) {
        WARN("etcd is not installed");
        return;
    }
    const EtcdCluster etcd;
    const std::string datastore = "{type: etcd, etcd: {endpoints: [\"" + etcd.endpoint(0) + "\"]}}";
    ServerProcess first({.datastore = datastore});
    ServerProcess second({.datastore = datastore});
    const auto reader = open(first.kubeconfig());
    const auto writer = open(second.kubeconfig());
    const auto starts = all_kinds_from_now(*reader);
    const auto watch = reader->watch(starts);
    REQUIRE(watch);
    const auto write = [&](const std::string& name) {
        REQUIRE(writer->create(set_key(name), set_document(name)));
        REQUIRE(writer->create({model::Kind::namespace_, "", name},
                               R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":")" + name + "\"}}"));
    };
    write("a");
    CHECK(take(**watch, 2).size() == 2);
    first.kill();
    write("b");
    write("c");
    first.start();
    std::map<std::string, int> seen;
    for (const store::Event& event : take(**watch, 4)) {
        ++seen[event.object.key.to_string()];
    }
    CHECK(seen.size() == 4);
    for (const auto& [name, count] : seen) {
        CAPTURE(name);
        CHECK(count == 1);
    }

    // What etcd has forgotten meanwhile ends each kind: list again.
    first.kill();
    write("d");
    const auto listing = writer->list(kAllSets);
    REQUIRE(listing);
    REQUIRE(etcd.control("compact " + listing->revision));
    first.start();
    const auto ended = take(**watch, starts.size());
    CHECK(ended.size() == starts.size());
    CHECK(std::ranges::all_of(ended, [](const store::Event& e) { return e.type == store::Event::Type::resync; }));
    REQUIRE(reader->list(kAllSets));
    CHECK(reader->list(kAllSets)->items.size() == 4);
}
#endif

TEST_CASE("a server that is killed while writes go on loses no event and repeats none", "[server]") {
    ServerProcess server;
    const auto reader = open(server.kubeconfig());
    const auto writer = open(server.kubeconfig());
    const auto listing = reader->list({.kind = model::Kind::global_network_set, .ns = {}, .name_prefix = {}});
    REQUIRE(listing);
    const std::vector<store::WatchStart> starts{{model::Kind::global_network_set, listing->revision}};
    auto watch = reader->watch(starts);
    REQUIRE(watch);
    constexpr int kRounds = 4;
    constexpr int kEach = 25;
    int written = 0;
    for (int round = 0; round < kRounds; ++round) {
        for (int i = 0; i < kEach; ++i) {
            // Two objects in one transaction: both, or none, also for who was cut off between them.
            const auto put = [&](const std::string& name) {
                return store::Put{set_key(name), set_document(name), store::Precondition{true, {}}};
            };
            const std::string number = std::to_string(written);
            const std::vector<store::Op> ops{put("a" + number), put("b" + number)};
            REQUIRE(writer->transact(ops, store::Checks::full));
            ++written;
        }
        server.kill();
        CHECK_FALSE(writer->get(set_key("a0")));
        server.start();
    }
    std::map<std::string, int> seen;
    for (const store::Event& event : take(**watch, static_cast<std::size_t>(written) * 2)) {
        REQUIRE(event.type == store::Event::Type::put);
        ++seen[event.object.key.name];
    }
    CHECK(seen.size() == static_cast<std::size_t>(written) * 2);
    for (const auto& [name, count] : seen) {
        CAPTURE(name);
        CHECK(count == 1);
    }
}

TEST_CASE("a server that is away is an error that says so, not an empty store", "[server]") {
    ServerProcess server;
    const auto store = store::open_server({.kubeconfig = server.kubeconfig(), .context = {}});
    REQUIRE(store->identity());
    server.kill();
    const auto listed = store->list({.kind = model::Kind::tier, .ns = {}, .name_prefix = {}});
    REQUIRE_FALSE(listed);
    CHECK(listed.error().code == store::StoreError::Code::unavailable);
    CHECK(listed.error().message.find("127.0.0.1") != std::string::npos);
    server.start();
    CHECK(store->list({.kind = model::Kind::tier, .ns = {}, .name_prefix = {}}));
}

TEST_CASE("a program's changes of an object with owners are recorded as its own", "[server]") {
    const ServerProcess server;
    const std::string config = server.kubeconfig();
    // What clients of this kind do not show is in the server's own store.
    const auto below = store::open_sqlite(config.substr(0, config.rfind('/')) + "/store.db");
    std::string text = set_document("owned");
    text.insert(text.find(R"("name")"),
                R"("managedFields":[{"apiVersion":"projectcalico.org/v3","fieldsType":"FieldsV1",)"
                R"("fieldsV1":{"f:spec":{"f:nets":{}}},"manager":"people","operation":"Apply"}],)");
    REQUIRE(below->create(set_key("owned"), text));
    const auto store = store::open_server({.kubeconfig = config, .context = {}, .manager = "manul-felix"});
    REQUIRE(store->update(set_key("owned"), set_document("owned", "10.1.0.0/16"), std::nullopt));
    CHECK_THAT(*below->get(set_key("owned"))->document, Catch::Contains(R"("manager":"manul-felix")"));
}

TEST_CASE("without a file that names the server nothing is guessed", "[server]") {
    const auto store = store::open_server({.kubeconfig = "/nonexistent/kubeconfig", .context = {}});
    const auto listed = store->identity();
    REQUIRE_FALSE(listed);
    CHECK(listed.error().message.find("/nonexistent/kubeconfig") != std::string::npos);
}

}  // namespace manul::test
