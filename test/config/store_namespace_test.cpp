#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "config/store/namespaces.hpp"
#include "config/store/store.hpp"
#include "test/config/store_contract.hpp"

// The deletion of Namespaces, over every store that keeps its own objects.

using namespace manul;
using namespace manul::test;
using namespace manul::store;
using model::Key;
using model::Kind;
using Code = StoreError::Code;

namespace {

std::string object(const Key& key, const std::string& rest = R"("spec":{})", const std::string& metadata = "") {
    return R"({"apiVersion":")" + model::api_version(key.kind) + R"(","kind":")" +
           std::string(model::info(key.kind).name) + R"(","metadata":{"name":")" + key.name + "\"" +
           (key.ns.empty() ? "" : R"(,"namespace":")" + key.ns + "\"") + metadata + "}," + rest + "}";
}

constexpr std::string_view kTime = "2026-01-02T03:04:05Z";
const Key kSpace{Kind::namespace_, "", "prod"};
const Key kSet{Kind::network_set, "prod", "nets"};
const Key kPolicy{Kind::network_policy, "prod", "web"};
const Key kSecret{Kind::secret, "prod", "s"};
const Key kElsewhere{Kind::network_set, "test", "nets"};
const Key kEndpoint{Kind::workload_endpoint, "prod", "n1-k8s-web-eth0"};
const std::string kEndpointSpec =
    R"("spec":{"node":"n1","orchestrator":"k8s","pod":"web","endpoint":"eth0","interfaceName":"cali12345678901"})";

void fill(Store& store) {
    REQUIRE(store.create(kSpace, object(kSpace)));
    REQUIRE(store.create(kSet, object(kSet, R"("spec":{"nets":["10.0.0.0/8"]})")));
    REQUIRE(store.create(kElsewhere, object(kElsewhere, R"("spec":{"nets":["10.0.0.0/8"]})")));
    const std::string selects_all = R"s("spec":{"selector":"all()"})s";
    REQUIRE(store.create(kPolicy, object(kPolicy, selects_all)));
    REQUIRE(store.create(kSecret, object(kSecret, R"("data":{"a":"YQ=="})")));
}

bool is_there(Store& store, const Key& key) { return store.get(key).has_value(); }

std::string metadata_of_pod(bool runs) { return runs ? R"(,"annotations":{"manul.io/boot-id":"b"})" : std::string(); }

}  // namespace

TEST_CASE("a namespace takes what is in it along, and nothing else") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    fill(*store);
    for (int i = 0; i < 130; ++i) {  // more than a transaction takes
        const Key key{Kind::network_set, "prod", "more" + std::to_string(i)};
        REQUIRE(store->create(key, object(key)));
    }
    const auto before = store->get(kSpace);
    REQUIRE(before);
    CHECK_THAT(*before->document, Catch::Contains(R"("phase":"Active")") && Catch::Contains(R"("kubernetes")"));
    // An endpoint that no daemon made is content like everything else.
    REQUIRE(store->create(kEndpoint, object(kEndpoint, kEndpointSpec)));
    NamespaceEnd end;
    const auto removed = remove_namespace(*store, "prod", before->revision, kTime, end);
    REQUIRE(removed);
    CHECK_THAT(*removed->document, Catch::Contains(R"("phase":"Terminating")") &&
                                       Catch::Contains(R"("deletionTimestamp":"2026-01-02T03:04:05Z")"));
    CHECK(is_ending(*removed->document));
    CHECK(end.gone);
    CHECK(end.removed.size() == 134);
    for (const Key& key : {kSpace, kSet, kPolicy, kSecret, kEndpoint}) {
        CHECK_FALSE(is_there(*store, key));
    }
    CHECK(is_there(*store, kElsewhere));
    CHECK(store->create(kSet, object(kSet)));  // a namespace need not be there
    CHECK(remove_namespace(*store, "prod", {}, kTime, end).error().code == Code::not_found);
}

TEST_CASE("a namespace whose pods run stays as it is, takes nothing new, and goes with the last of them") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    fill(*store);
    REQUIRE(store->create(kEndpoint, object(kEndpoint, kEndpointSpec, metadata_of_pod(true))));
    NamespaceEnd end;
    const auto stale = remove_namespace(*store, "prod", "1", kTime, end);
    REQUIRE_FALSE(stale);
    CHECK(stale.error().code == Code::conflict);
    REQUIRE(remove_namespace(*store, "prod", {}, kTime, end));
    CHECK(end.running == 1);
    CHECK_FALSE(end.gone);
    CHECK(is_there(*store, kPolicy));

    const Key fresh{Kind::network_set, "prod", "fresh"};
    const auto refused = store->create(fresh, object(fresh));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Code::unsupported);
    CHECK(refused.error().message == "unable to create new content in namespace prod because it is being terminated");
    CHECK(store->update(kSet, object(kSet, R"("spec":{"nets":["10.1.0.0/16"]})"), std::nullopt));
    // Who writes the Namespace cannot take the deletion back.
    const auto labelled = store->update(kSpace, object(kSpace, R"("spec":{})", R"(,"labels":{"a":"b"})"), std::nullopt);
    REQUIRE(labelled);
    CHECK_THAT(*labelled->document, Catch::Contains("deletionTimestamp") && Catch::Contains("Terminating"));

    CHECK(finish_namespaces(*store)->empty());
    REQUIRE(store->remove(kEndpoint, std::nullopt));
    const auto gone = finish_namespaces(*store);
    REQUIRE(gone);
    CHECK(*gone == std::vector<Key>{kSpace});
    CHECK_FALSE(is_there(*store, kSpace));
    CHECK_FALSE(is_there(*store, kPolicy));
    CHECK(store->create(fresh, object(fresh)));
}

TEST_CASE("a namespace waits for its finalizers, and the system's own cannot be deleted") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    REQUIRE(store->create(kSpace, object(kSpace, R"("spec":{})", R"(,"finalizers":["example.com/me"])")));
    REQUIRE(store->create(kSet, object(kSet)));
    NamespaceEnd end;
    REQUIRE(remove_namespace(*store, "prod", {}, kTime, end));
    CHECK_FALSE(end.gone);
    CHECK_FALSE(is_there(*store, kSet));
    REQUIRE(store->update(kSpace, object(kSpace), std::nullopt));
    CHECK(finish_namespaces(*store)->size() == 1);
    CHECK_FALSE(is_there(*store, kSpace));

    const Key system{Kind::namespace_, "", "default"};
    REQUIRE(store->create(system, object(system)));
    CHECK(remove_namespace(*store, "default", {}, kTime, end).error().code == Code::unsupported);
    CHECK(is_there(*store, system));
}
