#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "config/model/kind.hpp"
#include "config/store/server.hpp"
#include "config/store/store.hpp"
#include "test/config/store_contract.hpp"
#include "test/serve/server_process.hpp"

namespace manul::test {

TEST_CASE("a server that is killed while writes go on loses no event and repeats none", "[server]") {
    ServerProcess server;
    const auto open = [&] { return store::open_server({.kubeconfig = server.kubeconfig(), .context = {}}); };
    const auto reader = open();
    const auto writer = open();
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

TEST_CASE("without a file that names the server nothing is guessed", "[server]") {
    const auto store = store::open_server({.kubeconfig = "/nonexistent/kubeconfig", .context = {}});
    const auto listed = store->identity();
    REQUIRE_FALSE(listed);
    CHECK(listed.error().message.find("/nonexistent/kubeconfig") != std::string::npos);
}

}  // namespace manul::test
