// What a watch makes of a server that goes away, comes back as it was before, or refuses some of the kinds.

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <thread>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "test/config/kubernetes_watch_rig.hpp"
#include "test/config/scripted_api.hpp"
#include "test/config/store_contract.hpp"

using namespace manul::test;
using manul::model::Kind;

TEST_CASE("a stream that was cut finds out that etcd was restored from a backup meanwhile") {
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_identity(request, to, "cluster-1", "4")) {
            return true;
        }
        to.begin_chunks();
        to.chunk(bookmark("9"));
        std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // longer than a stream that does not work
        return false;
    });
    const auto watch = watch_sets(api, "3");
    CHECK(names(take(*watch, 1)) == "!@ ");
}

TEST_CASE("a kind that cannot be followed is a problem until it can, whatever becomes of the others") {
    std::atomic<bool> allowed = false;
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (answers_identity(request, to, "cluster-1")) {
            return true;
        }
        const bool pools = request.target.find("/ippools?") != std::string::npos;
        if (pools && !allowed) {
            to.answer(403, R"({"message":"no right"})");
            return true;
        }
        to.begin_chunks();
        if (!pools) {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            to.chunk(event("ADDED", item("a", "6")));
        }
        to.wait_for_close();
        return false;
    });
    const auto watch = watch_kinds(api, {{Kind::ip_pool, "5"}, {Kind::global_network_set, "5"}});
    CHECK(next(*watch) == "IPPool: not allowed (403): no right");
    std::string told;
    while ((told = next(*watch)) != "+a@6 ") {
        CHECK(told == "IPPool: not allowed (403): no right");
    }
    REQUIRE(watch->problem());
    CHECK(watch->problem()->message == "IPPool: not allowed (403): no right");
    allowed = true;
    while (watch->problem()) {
        told = next(*watch);  // the end of the problem can be read as well, though nothing happened in the store
    }
    CHECK(watch->problem() == std::nullopt);
}

TEST_CASE("when the server is back, no kind waits out its pause") {
    std::atomic<bool> away = true;
    const ScriptedApi api([&](const ScriptedRequest& request, const ScriptedConnection& to) {
        if (request.target.find("/clusternetworkpolicies?") != std::string::npos) {
            to.answer(away ? 404 : 200, "{}");
            return true;
        }
        if (away.exchange(false)) {
            return false;
        }
        if (!answers_identity(request, to, "cluster-1")) {
            to.begin_chunks();
            to.chunk(event("ADDED", item("a", "6")));
            to.wait_for_close();
            return false;
        }
        return true;
    });
    auto options = quick();
    options.first_pause = options.longest_pause = std::chrono::hours(1);
    const auto watch = watch_kinds(api, {{Kind::cluster_network_policy, ""}, {Kind::global_network_set, "5"}}, options);
    std::string told;
    while (told.find("+a@6 ") == std::string::npos) {
        told += next(*watch);
    }
    CHECK_FALSE(watch->problem());
}

TEST_CASE("a kind whose extension is removed is listed again when it stays away, and is no problem") {
    const bool comes_back = GENERATE(false, true);
    std::atomic<int> asked = 0;
    const ScriptedApi api([&](const ScriptedRequest&, const ScriptedConnection& to) {
        if (asked++ == 0 || !comes_back) {
            to.answer(404, "404 page not found\n");
            return true;
        }
        to.begin_chunks();
        to.chunk(event("ADDED", R"({"metadata":{"name":"a","resourceVersion":"6"},"spec":{}})"));
        to.wait_for_close();
        return false;
    });
    const auto watch = watch_kinds(api, {{Kind::cluster_network_policy, "5"}});
    CHECK(next(*watch) == (comes_back ? "+a@6 " : "!@ "));
    CHECK(asked == 2);
    CHECK_FALSE(watch->problem());
}
