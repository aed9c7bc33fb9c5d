#include "felix/io/datastore.hpp"

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "config/model/kind.hpp"
#include "config/store/document.hpp"
#include "config/store/store.hpp"
#include "config/store_in_force.hpp"
#include "felix/calc/event.hpp"
#include "felix/io/store_events.hpp"
#include "test/config/replaceable_store.hpp"

namespace {

using namespace manul;
using model::Kind;
using test::Object;
using test::Place;
using test::RunDir;
using test::StoreAt;

const Object kPool = test::object(Kind::ip_pool, "p", R"({"cidr":"10.1.0.0/16"})");
const Object kHost = test::object(Kind::host_endpoint, "h", R"({"node":"n1","interfaceName":"eth0"})");
const Object kTier = test::object(Kind::tier, "security", R"({"order":10})");
const Object kProfile = test::object(Kind::profile, "pods", R"({"labelsToApply":{"a":"b"}})");
const Object kNode = test::object(Kind::node, "n1", "{}");

/// One life of felix, as far as the store is concerned.
struct Life {
    boost::asio::io_context io;
    std::set<std::string> in_force;  ///< what people made, by key
    bool in_sync = false;
    felix::io::Datastore datastore;

    Life(Place& place, const RunDir& run_dir, bool rules)
        : datastore(io, std::make_unique<StoreAt>(place), config::StoreInForce(run_dir.path + "/in-force", rules),
                    [this](const felix::io::StoreChanges& changes) { take(changes); }) {
        datastore.start();
        poll();
    }

    void take(const felix::io::StoreChanges& changes) {
        for (const felix::Event& event : changes.events) {
            if (const auto* put = std::get_if<felix::ResourcePut>(&event);
                put != nullptr && felix::io::is_made_by_people(put->resource->key())) {
                in_force.insert(put->resource->key().to_string());
            } else if (const auto* removed = std::get_if<felix::ResourceRemoved>(&event)) {
                in_force.erase(removed->key.to_string());
            }
            in_sync = in_sync || std::holds_alternative<felix::StoreInSync>(event);
        }
    }
    /// Reads the store anew, as after a failure.
    void look_again() {
        datastore.read_again({});
        while (io.run_one() == 0) {
            io.restart();
        }
        poll();
    }
    void poll() {
        io.restart();
        io.poll();
    }
};

using Names = std::set<std::string>;

}  // namespace

TEST_CASE("a store that goes away while it is listed loses nothing") {
    const RunDir run_dir;
    Place place;
    place.put(kPool);
    place.put(kHost);
    place.fails_at = Kind::workload_endpoint;
    Life life(place, run_dir, false);
    CHECK_FALSE(life.in_sync);
    CHECK(life.in_force.empty());
    life.look_again();
    CHECK(life.in_sync);
    CHECK(life.in_force == Names{"IPPool(p)", "HostEndpoint(h)"});
}

TEST_CASE("a store is connected while every kind is followed, whatever comes of some") {
    const RunDir run_dir;
    Place place;
    place.put(kHost);
    Life life(place, run_dir, false);
    CHECK(life.datastore.connected());
    place.unfollowed = place.watch_fails = manul::store::error(manul::store::StoreError::Code::unavailable, "no right");
    place.put(kPool);
    life.poll();
    place.put(kTier);
    life.poll();
    CHECK(life.in_force == Names{"HostEndpoint(h)", "IPPool(p)", "Tier(security)"});
    CHECK_FALSE(life.datastore.connected());
    CHECK(life.datastore.problem() == "no right");
    place.unfollowed.reset();
    place.put(kProfile);
    life.poll();
    CHECK(life.datastore.connected());
    CHECK(life.datastore.problem().empty());
}

TEST_CASE("an empty store in the place of the one in force changes nothing") {
    const RunDir run_dir;
    Place place;
    place.put(kHost);
    auto life = std::make_unique<Life>(place, run_dir, false);
    REQUIRE(life->in_force == Names{"HostEndpoint(h)"});

    place.replace();
    place.put(kNode);     // each daemon writes its Node,
    place.put(kProfile);  // and ipamd what pods need
    bool restarted = false;
    SECTION("under the running daemon") { life->look_again(); }
    SECTION("after a restart") {
        life = std::make_unique<Life>(place, run_dir, true);
        restarted = true;
    }
    CHECK(life->datastore.is_lost());
    CHECK_FALSE(life->datastore.connected());
    CHECK(life->in_sync == !restarted);
    CHECK(life->in_force == (restarted ? Names{} : Names{"HostEndpoint(h)"}));

    place.put(kPool);
    life->look_again();
    CHECK_FALSE(life->datastore.is_lost());
    CHECK(life->in_sync);
    CHECK(life->in_force == Names{"IPPool(p)"});
    // It is the one in force from now on.
    CHECK_FALSE(Life(place, run_dir, true).datastore.is_lost());
}

TEST_CASE("a store is taken as it is") {
    const RunDir run_dir;
    Place place;
    SECTION("when it is the first one") {}
    SECTION("when there are no rules any more") {
        place.put(kHost);
        REQUIRE(Life(place, run_dir, false).in_sync);
        place.replace();
        CHECK(Life(place, run_dir, false).in_sync);
    }
    SECTION("when everything in it was deleted") {
        place.put(kHost);
        Life life(place, run_dir, false);
        REQUIRE(life.in_force == Names{"HostEndpoint(h)"});
        place.remove(kHost);
        SECTION("under the running daemon") {
            life.look_again();
            CHECK(life.in_force.empty());
        }
        SECTION("while it was away") { CHECK(Life(place, run_dir, true).in_sync); }
    }
    SECTION("when the one before had nothing in it") {
        REQUIRE(Life(place, run_dir, false).in_sync);
        place.replace();
    }
    SECTION("when it is another one with objects") {
        place.put(kHost);
        REQUIRE(Life(place, run_dir, false).in_sync);
        place.replace();
        place.put(kTier);
        CHECK(Life(place, run_dir, true).in_force == Names{"Tier(security)"});
    }
    CHECK(Life(place, run_dir, true).in_sync);
}
