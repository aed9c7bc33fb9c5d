// What only a real API server can show, beside the contract: see kubernetes_fixtures.cpp.

#include <catch2/catch.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"
#include "test/config/store_contract.hpp"

namespace json = boost::json;
using namespace manul::test;
using namespace manul::store;
using manul::model::Key;
using manul::model::Kind;

namespace {

const Key kPod{Kind::pod, "a", "web-1"};
const Key kEndpoint{Kind::workload_endpoint, "a", "node--a-k8s-web--1-eth0"};

json::value view(const Object& object) { return json::parse(*object.document); }

/// The endpoint's addresses as text; "none" without.
std::string addresses(const Object& endpoint) {
    const json::value document = view(endpoint);
    const json::object& spec = document.at("spec").as_object();
    return spec.contains("ipNetworks") ? json::serialize(spec.at("ipNetworks")) : "none";
}

std::string with_addresses(const Object& endpoint, const std::string& container, json::array networks) {
    json::value document = view(endpoint);
    document.at("spec").as_object()["containerID"] = container;
    document.at("spec").as_object()["ipNetworks"] = std::move(networks);
    return json::serialize(document);
}

/// A pod bound to a node that no kubelet runs.
void make_pod(Store& store) {
    static_cast<void>(store.remove(kPod, std::nullopt));
    for (int i = 0; i < 100 && store.get(kPod); ++i) {
        static_cast<void>(store.remove(kPod, std::nullopt));
    }
    REQUIRE(store.create(kPod, R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"web-1","namespace":"a"},
        "spec":{"nodeName":"node-a","terminationGracePeriodSeconds":0,"containers":[{"name":"c","image":"i"}]}})"));
}

}  // namespace

TEST_CASE("ipamd records a pod's addresses, watchers see them, and an earlier pod's document is refused") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    make_pod(*store);
    const auto listed = store->list({Kind::workload_endpoint, {}, {}});
    REQUIRE(listed);
    const WatchStart start{Kind::workload_endpoint, listed->revision};
    auto watch = fixture.open()->watch(std::span(&start, 1));
    REQUIRE(watch);
    const auto endpoint = store->get(kEndpoint);
    REQUIRE(endpoint);
    CHECK(addresses(*endpoint) == "none");

    const std::vector<Op> put{
        Put{kEndpoint, with_addresses(*endpoint, "c1", {"10.0.0.1/32"}), Precondition{false, endpoint->revision}}};
    CHECK(store->transact(put, Checks::full).error().code == StoreError::Code::unsupported);
    REQUIRE(store->transact(put, Checks::own_fields_only));
    const auto events = take(**watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].object.key == kEndpoint);
    CHECK(addresses(events[0].object) == R"(["10.0.0.1/32"])");
    const auto recorded = store->get(kEndpoint);
    REQUIRE(recorded);
    CHECK(recorded->revision == events[0].object.revision);
    CHECK(store->transact(put, Checks::own_fields_only).error().code == StoreError::Code::conflict);

    REQUIRE(store->transact(std::vector<Op>{Remove{kEndpoint, Precondition{false, recorded->revision}}},
                            Checks::own_fields_only));
    const auto emptied = store->get(kEndpoint);
    REQUIRE(emptied);
    CHECK(addresses(*emptied) == "none");
    CHECK(view(*emptied).at("spec").at("containerID").as_string() == "c1");

    make_pod(*store);  // of the same name, with another uid
    const auto refused =
        store->transact(std::vector<Op>{Put{kEndpoint, with_addresses(*recorded, "c1", {"10.0.0.1/32"}), std::nullopt}},
                        Checks::own_fields_only);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == StoreError::Code::conflict);
    static_cast<void>(store->remove(kPod, std::nullopt));
}

TEST_CASE("a list of more than one page is whole") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    constexpr int kObjects = 620;  // a page has 500
    for (int i = 0; i < kObjects; ++i) {
        const std::string name = "s" + std::to_string(i);
        REQUIRE(store->create(set_key(name), set_document(name)));
    }
    const auto listing = store->list({Kind::global_network_set, {}, {}});
    REQUIRE(listing);
    CHECK(listing->items.size() == kObjects);
}

TEST_CASE("the identity is that of the cluster") {
    FOR_EACH_STORE
    const auto identity = fixture.open()->identity();
    REQUIRE(identity);
    CHECK(identity->size() == 36);
    CHECK(*fixture.open()->identity() == *identity);
}
