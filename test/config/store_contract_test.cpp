#include "test/config/store_contract.hpp"

#include <catch2/catch.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"

namespace json = boost::json;
using namespace manul::test;
using manul::model::Key;
using manul::model::Kind;
using namespace manul::store;
using Code = StoreError::Code;

namespace {

const json::object& metadata(const json::value& document) { return document.at("metadata").as_object(); }

json::value parse(const Object& object) { return json::parse(*object.document); }

std::string text(const json::value& value) { return std::string(value.as_string()); }

Precondition absent() { return {true, {}}; }
Precondition at(const Revision& revision) { return {false, revision}; }

}  // namespace

TEST_CASE("a created object comes back with what the store sets") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const auto created = store->create(set_key("a"), set_document("a"));
    REQUIRE(created);
    const json::value document = parse(*created);
    CHECK(text(metadata(document).at("uid")).size() == 36);
    CHECK(text(metadata(document).at("uid"))[14] == '4');
    CHECK(text(metadata(document).at("creationTimestamp")).size() == 20);
    CHECK(metadata(document).at("generation").as_int64() == 1);
    CHECK(text(metadata(document).at("resourceVersion")) == created->revision);

    const auto read = fixture.open()->get(set_key("a"));
    REQUIRE(read);
    CHECK(read->revision == created->revision);
    CHECK(*read->document == *created->document);

    CHECK(store->create(set_key("a"), set_document("a")).error().code == Code::already_exists);
    CHECK(store->get(set_key("b")).error().code == Code::not_found);
}

TEST_CASE("an update keeps identity, counts changes of spec and refuses a stale revision") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const auto created = store->create(set_key("a"), set_document("a"));
    REQUIRE(created);
    const auto updated = store->update(set_key("a"), set_document("a", "10.1.0.0/16"), created->revision);
    REQUIRE(updated);
    CHECK(updated->revision != created->revision);
    const json::value before = parse(*created);
    const json::value after = parse(*updated);
    CHECK(metadata(after).at("uid") == metadata(before).at("uid"));
    CHECK(metadata(after).at("creationTimestamp") == metadata(before).at("creationTimestamp"));
    CHECK(metadata(after).at("generation").as_int64() == 2);

    const auto labelled = store->update(
        set_key("a"), document(set_key("a"), R"({"nets":["10.1.0.0/16"]})", R"(,"labels":{"x":"y"})"), std::nullopt);
    REQUIRE(labelled);
    CHECK(metadata(parse(*labelled)).at("generation").as_int64() == 2);

    CHECK(store->update(set_key("a"), set_document("a"), created->revision).error().code == Code::conflict);
    CHECK(store->update(set_key("b"), set_document("b"), std::nullopt).error().code == Code::not_found);
    CHECK(store->update(set_key("b"), set_document("b"), created->revision).error().code == Code::not_found);
}

TEST_CASE("a write that changes nothing changes no revision") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const auto created = store->create(set_key("a"), set_document("a"));
    REQUIRE(created);
    const auto listed = store->list({Kind::global_network_set, {}, {}});
    REQUIRE(listed);

    // Without the store's own fields, with them, and with keys in another order.
    const std::string reordered =
        R"({"kind":"GlobalNetworkSet","spec":{"nets":["10.0.0.0/8"]},"metadata":{"name":"a"},)"
        R"("apiVersion":"projectcalico.org/v3"})";
    for (const std::string& same : {set_document("a"), *created->document, reordered}) {
        const auto updated = store->update(set_key("a"), same, std::nullopt);
        REQUIRE(updated);
        CHECK(updated->revision == created->revision);
    }
    const std::vector<Op> ops{Put{set_key("a"), set_document("a"), at(created->revision)}};
    const auto transacted = store->transact(ops, Checks::full);
    REQUIRE(transacted);
    CHECK(*transacted == listed->revision);
    CHECK(store->list({Kind::global_network_set, {}, {}})->revision == listed->revision);
}

TEST_CASE("removing gives back what was removed") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const auto created = store->create(set_key("a"), set_document("a"));
    REQUIRE(created);
    CHECK(store->remove(set_key("a"), Revision("0")).error().code == Code::conflict);
    const auto removed = store->remove(set_key("a"), created->revision);
    REQUIRE(removed);
    CHECK(*removed->document == *created->document);
    CHECK(store->get(set_key("a")).error().code == Code::not_found);
    CHECK(store->remove(set_key("a"), std::nullopt).error().code == Code::not_found);

    const auto again = store->create(set_key("a"), set_document("a"));
    REQUIRE(again);
    CHECK(metadata(parse(*again)).at("uid") != metadata(parse(*created)).at("uid"));
    // A document of the earlier object must not overwrite the new one.
    CHECK(store->update(set_key("a"), *created->document, std::nullopt).error().code == Code::conflict);
}

TEST_CASE("lists select by kind, namespace and the beginning of the name, in order") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const auto key = [](const std::string& ns, const std::string& name) { return Key{Kind::network_set, ns, name}; };
    for (const Key& each : {key("b", "ab"), key("a", "b"), key("b", "aa"), key("a", "a"), key("b", "b")}) {
        REQUIRE(store->create(each, document(each, R"({"nets":[]})")));
    }
    REQUIRE(store->create(set_key("a"), set_document("a")));
    const auto names = [&](const ListQuery& query) {
        std::vector<std::string> found;
        const auto listing = store->list(query);
        REQUIRE(listing);
        for (const Object& object : listing->items) {
            found.push_back(object.key.ns + "/" + object.key.name);
        }
        return found;
    };
    using Names = std::vector<std::string>;
    CHECK(names({Kind::network_set, {}, {}}) == Names{"a/a", "a/b", "b/aa", "b/ab", "b/b"});
    CHECK(names({Kind::network_set, "b", {}}) == Names{"b/aa", "b/ab", "b/b"});
    CHECK(names({Kind::network_set, "b", "a"}) == Names{"b/aa", "b/ab"});
    CHECK(names({Kind::network_set, {}, "a"}) == Names{"a/a", "b/aa", "b/ab"});
    CHECK(names({Kind::network_set, "c", {}}).empty());
    CHECK(names({Kind::global_network_set, {}, {}}) == Names{"/a"});
}

TEST_CASE("a document must be the object that its key names") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    struct Bad {
        Key key;
        std::string document;
    };
    const std::vector<Bad> rows{
        {set_key("a"), set_document("b")},
        {set_key("a"), document(reservation_key("a"), "{}")},
        {set_key("a"), "[]"},
        {set_key("a"), "{"},
        {set_key("a"), ""},
        {set_key("a"), R"({"apiVersion":"v1","kind":"GlobalNetworkSet","metadata":{"name":"a"}})"},
        {set_key("a"), R"({"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkSet"})"},
        {set_key("a"), R"({"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkSet","metadata":[]})"},
        {set_key(""), set_document("")},
        {{Kind::global_network_set, "ns", "a"}, set_document("a")},
        {{Kind::network_set, "", "a"}, document({Kind::network_set, "", "a"}, "{}")},
        {{Kind::network_set, "x", "a"}, document({Kind::network_set, "y", "a"}, "{}")},
        {{Kind::network_set, "x", "a"}, document({Kind::network_set, "", "a"}, "{}")},
        {set_key("a"), std::string(200, '[') + std::string(200, ']')},
    };
    for (const Bad& row : rows) {
        CAPTURE(row.key.to_string(), row.document);
        CHECK(store->create(row.key, row.document).error().code == Code::invalid);
    }
}

TEST_CASE("a transaction is all or nothing and has one revision") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const auto a = store->create(set_key("a"), set_document("a"));
    const auto b = store->create(set_key("b"), set_document("b"));
    REQUIRE(a);
    REQUIRE(b);
    const auto listed = store->list({Kind::global_network_set, {}, {}});

    struct Row {
        std::string name;
        Op last;
        Code code;
    };
    const std::vector<Row> rows{
        {"put of an existing key", Put{set_key("b"), set_document("b", "1.0.0.0/8"), absent()}, Code::already_exists},
        {"put at another revision", Put{set_key("b"), set_document("b"), at(a->revision)}, Code::conflict},
        {"removal at another revision", Remove{set_key("b"), at(a->revision)}, Code::conflict},
        {"removal of an absent key", Remove{set_key("x"), at(a->revision)}, Code::not_found},
        {"check of another revision", Check{set_key("b"), at(a->revision)}, Code::conflict},
        {"check of absence", Check{set_key("b"), absent()}, Code::conflict},
        {"check of presence", Check{set_key("x"), at(a->revision)}, Code::not_found},
        {"the same key again", Put{set_key("a"), set_document("a"), {}}, Code::invalid},
        {"a bad document", Put{set_key("c"), set_document("d"), {}}, Code::invalid},
    };
    for (const Row& row : rows) {
        CAPTURE(row.name);
        const std::vector<Op> ops{Put{set_key("new"), set_document("new"), absent()},
                                  Put{set_key("a"), set_document("a", "11.0.0.0/8"), at(a->revision)}, row.last};
        const auto done = store->transact(ops, Checks::full);
        REQUIRE(!done);
        CHECK(done.error().code == row.code);
        CHECK(store->get(set_key("new")).error().code == Code::not_found);
        CHECK(store->get(set_key("a"))->revision == a->revision);
        CHECK(store->list({Kind::global_network_set, {}, {}})->revision == listed->revision);
    }

    const std::vector<Op> ops{Put{set_key("new"), set_document("new"), absent()},
                              Put{set_key("a"), set_document("a", "11.0.0.0/8"), at(a->revision)},
                              Check{set_key("x"), absent()}, Remove{set_key("b"), at(b->revision)}};
    const auto done = store->transact(ops, Checks::own_fields_only);
    REQUIRE(done);
    CHECK(store->get(set_key("new"))->revision == *done);
    CHECK(store->get(set_key("a"))->revision == *done);
    CHECK(store->get(set_key("b")).error().code == Code::not_found);
    CHECK(store->transactional());
}

TEST_CASE("a transaction without preconditions writes whatever is there") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const std::vector<Op> ops{Put{set_key("a"), set_document("a"), {}}, Remove{set_key("b"), {}}};
    const auto first = store->transact(ops, Checks::full);
    REQUIRE(first);
    CHECK(store->get(set_key("a"))->revision == *first);
    const auto second = store->transact(ops, Checks::full);
    REQUIRE(second);
    CHECK(store->get(set_key("a"))->revision == *first);
}

TEST_CASE("a transaction takes 100 keys and 1 MiB") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    std::vector<Op> ops;
    for (int i = 0; i < 100; ++i) {
        const std::string name = "s" + std::to_string(i);
        ops.emplace_back(Put{set_key(name), set_document(name), absent()});
    }
    std::vector<Op> more = ops;
    more.emplace_back(Check{set_key("x"), absent()});
    CHECK(store->transact(more, Checks::full).error().code == Code::too_large);
    REQUIRE(store->transact(ops, Checks::full));
    CHECK(store->list({Kind::global_network_set, {}, {}})->items.size() == 100);

    const std::string big =
        document(set_key("big"), R"({"nets":[]})", R"(,"annotations":{"x":")" + std::string(1U << 20U, 'x') + "\"}");
    CHECK(store->create(set_key("big"), big).error().code == Code::too_large);
}

TEST_CASE("the built-in objects exist in every store, and built-in tiers cannot be deleted") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const auto tiers = store->list({Kind::tier, {}, {}});
    REQUIRE(tiers);
    std::map<std::string, std::pair<std::int64_t, std::string>> found;
    for (const Object& tier : tiers->items) {
        const json::value document = parse(tier);
        found[tier.key.name] = {document.at("spec").at("order").as_int64(),
                                text(document.at("spec").at("defaultAction"))};
    }
    CHECK(found == decltype(found){{"kube-admin", {1000, "Pass"}},
                                   {"default", {1000000, "Deny"}},
                                   {"kube-baseline", {10000000, "Pass"}}});
    const Key information{Kind::cluster_information, "", "default"};
    const auto guid = parse(*store->get(information)).at("spec").at("clusterGUID");
    CHECK(text(guid).size() == 32);
    CHECK(store->get({Kind::ipam_configuration, "", "default"}));
    CHECK(store->remove({Kind::tier, "", "default"}, std::nullopt).error().code == Code::unsupported);
    const auto second = fixture.open();
    CHECK(parse(*second->get(information)).at("spec").at("clusterGUID") == guid);
    CHECK(*second->identity() == *store->identity());
}

TEST_CASE("a watch from a list misses nothing, whoever writes") {
    FOR_EACH_STORE
    const auto writer = fixture.open();
    const auto reader = fixture.open();
    REQUIRE(writer->create(set_key("before"), set_document("before")));
    const auto listed = reader->list({Kind::global_network_set, {}, {}});
    REQUIRE(listed);
    REQUIRE(writer->create(set_key("between"), set_document("between")));
    REQUIRE(writer->create(reservation_key("other"), document(reservation_key("other"), "{}")));

    const std::vector<WatchStart> starts{{Kind::global_network_set, listed->revision}};
    auto watch = reader->watch(starts);
    REQUIRE(watch);
    auto events = take(**watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == Event::Type::put);
    CHECK(events[0].object.key == set_key("between"));

    const auto after = writer->create(set_key("after"), set_document("after"));
    REQUIRE(after);
    REQUIRE(writer->remove(set_key("between"), std::nullopt));
    events = take(**watch, 2);
    REQUIRE(events.size() == 2);
    CHECK(events[0].object.key == set_key("after"));
    CHECK(events[0].object.revision == after->revision);
    CHECK(*events[0].object.document == *after->document);
    CHECK(events[1].type == Event::Type::removed);
    CHECK(events[1].object.key == set_key("between"));
    REQUIRE(events[1].object.document);
    CHECK(parse(events[1].object).at("spec").at("nets").as_array().size() == 1);
    CHECK((*watch)->take()->empty());
}

TEST_CASE("a watch of several kinds starts each from its own list") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const auto old = store->list({Kind::global_network_set, {}, {}})->revision;
    REQUIRE(store->create(set_key("a"), set_document("a")));
    REQUIRE(store->create(reservation_key("p"), document(reservation_key("p"), "{}")));
    const auto fresh = store->list({Kind::ip_reservation, {}, {}})->revision;
    const std::vector<WatchStart> starts{{Kind::global_network_set, old}, {Kind::ip_reservation, fresh}};
    auto watch = store->watch(starts);
    REQUIRE(watch);
    const auto events = take(**watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].object.key == set_key("a"));
    REQUIRE(store->create(reservation_key("q"), document(reservation_key("q"), "{}")));
    CHECK(take(**watch, 1).front().object.key == reservation_key("q"));
}

TEST_CASE("following a watch gives the same state as listing, for random writes of two writers") {
    FOR_EACH_STORE
    const auto reader = fixture.open();
    const auto listed = reader->list({Kind::global_network_set, {}, {}});
    REQUIRE(listed);
    const std::vector<WatchStart> starts{{Kind::global_network_set, listed->revision}};
    auto watch = reader->watch(starts);
    REQUIRE(watch);
    const auto write = [&](unsigned seed) {
        const auto store = fixture.open();
        std::mt19937 random(seed);
        for (int i = 0; i < 150; ++i) {
            const std::string name = "s" + std::to_string(random() % 8);
            if (random() % 3 == 0) {
                const auto removed = store->remove(set_key(name), std::nullopt);  // may be absent
                static_cast<void>(removed);
            } else {
                const std::vector<Op> ops{
                    Put{set_key(name), set_document(name, "10." + std::to_string(random() % 250) + ".0.0/16"), {}}};
                const auto written = store->transact(ops, Checks::full);  // may lose against the other writer
                static_cast<void>(written);
            }
        }
    };
    std::map<std::string, Revision> followed;
    std::int64_t newest = 0;
    const auto follow = [&](const std::vector<Event>& events) {
        for (const Event& event : events) {
            const std::int64_t revision = std::stoll(event.object.revision);
            CHECK(revision > newest);  // one key a transaction here, so strictly growing
            newest = revision;
            if (event.type == Event::Type::put) {
                followed[event.object.key.name] = event.object.revision;
            } else {
                followed.erase(event.object.key.name);
            }
        }
    };
    {
        const std::jthread one(write, 1U);
        const std::jthread two(write, 2U);
        for (int i = 0; i < 20; ++i) {
            follow(*(*watch)->take());
            std::this_thread::yield();
        }
    }
    // A last object tells when everything before it was seen.
    const auto last = reader->create(set_key("last"), set_document("last"));
    REQUIRE(last);
    while (!followed.contains("last")) {
        const auto events = take(**watch, 1);
        REQUIRE(!events.empty());
        follow(events);
    }
    std::map<std::string, Revision> expected;
    const auto final_listing = reader->list({Kind::global_network_set, {}, {}});
    REQUIRE(final_listing);
    for (const Object& object : final_listing->items) {
        expected[object.key.name] = object.revision;
    }
    CHECK(followed == expected);
}

TEST_CASE("who falls behind the change log lists again, kind by kind") {
    FOR_EACH_STORE
    const auto store = fixture.open_small_log();
    const auto old = store->list({Kind::global_network_set, {}, {}})->revision;
    for (int i = 0; i < 60; ++i) {
        const std::string name = "s" + std::to_string(i);
        REQUIRE(store->create(set_key(name), set_document(name)));
    }
    const auto fresh = store->list({Kind::ip_reservation, {}, {}})->revision;
    const std::vector<WatchStart> starts{{Kind::global_network_set, old}, {Kind::ip_reservation, fresh}};
    auto watch = store->watch(starts);
    REQUIRE(watch);
    auto events = take(**watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].type == Event::Type::resync);
    CHECK(events[0].object.key.kind == Kind::global_network_set);

    // The other kind goes on, the ended one is silent.
    REQUIRE(store->create(set_key("more"), set_document("more")));
    REQUIRE(store->create(reservation_key("p"), document(reservation_key("p"), "{}")));
    events = take(**watch, 1);
    REQUIRE(events.size() == 1);
    CHECK(events[0].object.key == reservation_key("p"));

    // A token from the future belongs to another store.
    const std::vector<WatchStart> future{{Kind::ip_reservation, "999999999"}};
    auto lost = store->watch(future);
    REQUIRE(lost);
    CHECK(take(**lost, 1).front().type == Event::Type::resync);
    const std::vector<WatchStart> nonsense{{Kind::ip_reservation, "x"}};
    CHECK(store->watch(nonsense).error().code == Code::invalid);
}

TEST_CASE("of many writers that read and add one, none overwrites another") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const auto counter = [](int value) {
        return document(set_key("counter"), "{}", R"(,"annotations":{"n":")" + std::to_string(value) + "\"}");
    };
    REQUIRE(store->create(set_key("counter"), counter(0)));
    constexpr int kWriters = 3;
    constexpr int kRounds = 20;
    {
        std::vector<std::jthread> writers;
        writers.reserve(kWriters);
        for (int i = 0; i < kWriters; ++i) {
            writers.emplace_back([&] {
                const auto mine = fixture.open();
                for (int round = 0; round < kRounds;) {
                    const auto read = mine->get(set_key("counter"));
                    const int value = read ? std::stoi(text(metadata(parse(*read)).at("annotations").at("n"))) : 0;
                    if (read && mine->update(set_key("counter"), counter(value + 1), read->revision)) {
                        ++round;
                    }
                }
            });
        }
    }
    const auto end = store->get(set_key("counter"));
    REQUIRE(end);
    CHECK(text(metadata(parse(*end)).at("annotations").at("n")) == std::to_string(kWriters * kRounds));
}
