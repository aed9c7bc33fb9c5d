#include "config/rollback.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "config/store/memory.hpp"

using namespace manul;
using namespace std::chrono_literals;

namespace {

const model::Key kOld{model::Kind::global_network_policy, "", "old"};
const model::Key kNew{model::Kind::global_network_policy, "", "new"};

std::string policy(const model::Key& key, int order) {
    return R"-({"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkPolicy","metadata":{"name":")-" + key.name +
           R"-("},"spec":{"order":)-" + std::to_string(order) + R"-(,"selector":"all()","types":["Ingress"]}})-";
}

bool has_order(store::Store& store, const model::Key& key, int order) {
    const auto object = store.get(key);
    return object && object->document->find("\"order\":" + std::to_string(order)) != std::string::npos;
}

/// `old` is stored with order 1; the change makes it 2 and adds `new`.
std::unique_ptr<store::Store> changed() {
    auto store = store::make_memory();
    REQUIRE(store->create(kOld, policy(kOld, 1)));
    const auto written = config::write_revertibly(
        *store, {{kOld, policy(kOld, 2), std::nullopt}, {kNew, policy(kNew, 3), std::nullopt}}, 120s);
    REQUIRE(written);
    return store;
}

config::PendingRollback pending(store::Store& store) {
    const auto found = config::pending_rollback(store);
    REQUIRE(found);
    REQUIRE(*found);
    return **found;
}

}  // namespace

TEST_CASE("a change and the record of what was before are written together, and rolled back exactly") {
    const auto store = changed();
    CHECK(has_order(*store, kOld, 2));
    CHECK(has_order(*store, kNew, 3));
    const config::PendingRollback record = pending(*store);
    CHECK(record.within == 120s);
    CHECK(record.objects.size() == 2);
    const auto left = config::roll_back(*store, record);
    REQUIRE(left);
    CHECK(left->empty());
    CHECK(has_order(*store, kOld, 1));
    CHECK_FALSE(store->get(kNew));
    CHECK_FALSE(*config::pending_rollback(*store));
    CHECK(config::roll_back(*store, record));  // somebody else was faster
    CHECK(has_order(*store, kOld, 1));
}

TEST_CASE("a confirmed change stays, also when a rollback comes too late") {
    const auto store = changed();
    const config::PendingRollback record = pending(*store);
    CHECK(*config::confirm(*store));
    CHECK_FALSE(*config::confirm(*store));
    CHECK(config::roll_back(*store, record));
    CHECK(has_order(*store, kOld, 2));
    CHECK(has_order(*store, kNew, 3));
}

TEST_CASE("what somebody wrote or deleted since the change is left as it is") {
    const auto store = changed();
    REQUIRE(store->update(kOld, policy(kOld, 9), std::nullopt));
    REQUIRE(store->remove(kNew, std::nullopt));
    const auto left = config::roll_back(*store, pending(*store));
    REQUIRE(left);
    CHECK(*left == std::vector{kOld});
    CHECK(has_order(*store, kOld, 9));
    CHECK_FALSE(store->get(kNew));
    CHECK_FALSE(*config::pending_rollback(*store));
}

TEST_CASE("one change waits at a time, and a change that is refused leaves nothing behind") {
    const auto store = changed();
    const auto second = config::write_revertibly(*store, {{kOld, policy(kOld, 5), std::nullopt}}, 60s);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == store::StoreError::Code::already_exists);
    CHECK(has_order(*store, kOld, 2));
    CHECK(*config::confirm(*store));

    const auto invalid =
        config::write_revertibly(*store, {{kOld, policy(kOld, 6), std::nullopt}, {kNew, "{}", std::nullopt}}, 60s);
    REQUIRE_FALSE(invalid);
    CHECK(has_order(*store, kOld, 2));
    CHECK_FALSE(*config::pending_rollback(*store));
    const auto stale = config::write_revertibly(*store, {{kOld, policy(kOld, 6), store::Revision("1")}}, 60s);
    REQUIRE_FALSE(stale);
    CHECK(stale.error().code == store::StoreError::Code::conflict);
}
