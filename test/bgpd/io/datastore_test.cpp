#include "bgpd/io/datastore.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "base/daemon.hpp"
#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/store.hpp"
#include "config/store_in_force.hpp"
#include "test/config/replaceable_store.hpp"

namespace {

using namespace manul;
using model::Kind;
using test::Object;
using test::Place;
using test::RunDir;
using test::StoreAt;

const Object kPool = test::object(Kind::ip_pool, "p", R"({"cidr":"10.1.0.0/16"})");
const Object kRouter = test::object(Kind::bgp_peer, "router", R"({"peerIP":"10.0.0.2","asNumber":65000})");
const Object kNode = test::object(Kind::node, "n1", R"({"bgp":{"ipv4Address":"10.0.0.1/24"}})");

/// One life of bgpd, as far as the store is concerned.
struct Life {
    boost::asio::io_context io;
    Worker worker{io};
    std::size_t changes = 0;
    bgp::io::Datastore datastore;

    Life(Place& place, const RunDir& run_dir)
        : datastore(io, worker, std::make_unique<StoreAt>(place),
                    config::StoreInForce(run_dir.path + "/in-force", true), "n1", [this] { ++changes; }) {
        look();
    }

    /// Reads the store, at first or as after a failure.
    void look() {
        bool done = false;
        datastore.start();
        worker.submit([&done]() -> std::move_only_function<void()> { return [&done] { done = true; }; });
        while (!done) {
            io.restart();
            io.run_one_for(std::chrono::seconds(10));
        }
    }
    /// What has happened in the store meanwhile.
    void poll() {
        io.restart();
        io.poll();
    }
    [[nodiscard]] std::size_t peers() const { return datastore.peer_resources().peers.size(); }
    [[nodiscard]] std::size_t pools() const { return datastore.peer_resources().pools.size(); }
};

}  // namespace

TEST_CASE("sessions and routes stay when an empty store is in the place of the one they come from") {
    const RunDir run_dir;
    Place place;
    place.put(kRouter);
    auto life = std::make_unique<Life>(place, run_dir);
    REQUIRE(life->peers() == 1);
    REQUIRE(life->changes == 1);

    place.replace();
    place.put(kNode);  // each daemon writes its Node
    bool restarted = false;
    SECTION("under the running daemon") { life->look(); }
    SECTION("after a restart") {
        life = std::make_unique<Life>(place, run_dir);
        restarted = true;
    }
    CHECK(life->datastore.is_lost());
    CHECK_FALSE(life->datastore.connected());
    CHECK(life->datastore.in_sync() == !restarted);
    CHECK(life->peers() == (restarted ? 0 : 1));
    const std::size_t told = life->changes;
    life->look();
    CHECK(life->changes == told);

    place.put(kPool);
    life->look();
    CHECK_FALSE(life->datastore.is_lost());
    CHECK(life->datastore.in_sync());
    CHECK(life->peers() == 0);
    CHECK(life->pools() == 1);
    // It is the one in force from now on.
    CHECK_FALSE(Life(place, run_dir).datastore.is_lost());
}

TEST_CASE("bgpd's store is connected while every kind is followed, whatever comes of some") {
    const RunDir run_dir;
    Place place;
    Life life(place, run_dir);
    CHECK(life.datastore.connected());
    place.unfollowed = place.watch_fails = store::error(store::StoreError::Code::unavailable, "no right");
    place.put(kRouter);
    life.poll();
    CHECK(life.peers() == 1);
    CHECK_FALSE(life.datastore.connected());
    CHECK(life.datastore.problem() == "no right");
    place.unfollowed.reset();
    place.put(kPool);
    life.poll();
    CHECK(life.datastore.connected());
}

TEST_CASE("a password stays known when its secret can no longer be read") {
    const RunDir run_dir;
    Place place;
    place.put(kRouter);
    place.put({model::Key{Kind::secret, "manul-system", "s"},
               R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"manul-system"},)"
               R"("data":{"old":"b2xk","gone":"Z29uZQ=="}})"});
    Life life(place, run_dir);
    const std::pair<std::string, std::string> key("s", "old");
    REQUIRE(life.datastore.secrets().values.at(key) == "old");
    REQUIRE(life.datastore.secrets().unreadable.empty());

    const bool masked = GENERATE(true, false);
    place.shows = [&](Kind kind, store::Listing& listing) {
        if (kind != Kind::secret) {
            return;
        }
        store::Object& secret = listing.items.at(0);
        if (masked) {
            secret.document = std::make_shared<const std::string>(
                R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"manul-system"},)"
                R"("data":{"old":"Kioq","new":"Kioq"}})");
        } else {
            listing.damaged.push_back(
                {secret.key, {}, {store::StoreError::Code::unavailable, "not allowed (403)", {}}});
            listing.items.clear();
        }
    };
    life.look();
    CHECK(life.datastore.secrets().values.at(key) == "old");
    CHECK_FALSE(life.datastore.secrets().values.contains({"s", "new"}));
    CHECK(life.datastore.secrets().values.contains({"s", "gone"}) == !masked);
    CHECK(life.datastore.secrets().unreadable.at("s").find(masked ? "manul-node" : "403") != std::string::npos);

    place.shows = [](Kind, store::Listing&) {};
    life.look();
    CHECK(life.datastore.secrets().unreadable.empty());
}

TEST_CASE("a store without peers is taken as it is") {
    const RunDir run_dir;
    Place place;
    SECTION("when it is the first one") {}
    SECTION("when everything in it was deleted") {
        place.put(kRouter);
        Life life(place, run_dir);
        REQUIRE(life.peers() == 1);
        place.remove(kRouter);
        SECTION("under the running daemon") {
            life.poll();
            life.look();
            CHECK(life.peers() == 0);
        }
        SECTION("while it was away") {}
    }
    SECTION("when the one before had nothing in it") {
        REQUIRE(Life(place, run_dir).datastore.in_sync());
        place.replace();
    }
    SECTION("when it is another one with objects") {
        place.put(kRouter);
        REQUIRE(Life(place, run_dir).peers() == 1);
        place.replace();
        place.put(kPool);
    }
    CHECK(Life(place, run_dir).datastore.in_sync());
    CHECK(Life(place, run_dir).peers() == 0);
}

TEST_CASE("of a store that goes away while bgpd reads it no part counts as read") {
    const RunDir run_dir;
    Place place;
    place.put(kRouter);
    place.fails_at = Kind::calico_node_status;
    Life life(place, run_dir);
    CHECK_FALSE(life.datastore.in_sync());
    CHECK(life.peers() == 0);
    life.look();
    CHECK(life.peers() == 1);
}
