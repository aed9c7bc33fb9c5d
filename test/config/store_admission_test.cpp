#include <array>
#include <catch2/catch.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "config/model/kind.hpp"
#include "config/store/backend.hpp"
#include "config/store/store.hpp"
#include "test/config/store_contract.hpp"

namespace json = boost::json;
using namespace manul::test;
using manul::model::Key;
using manul::model::Kind;
using namespace manul::store;
using Code = StoreError::Code;

namespace {

Key policy_key(const std::string& name) { return {Kind::network_policy, "prod", name}; }
Key global_key(const std::string& name) { return {Kind::global_network_policy, "", name}; }
Key tier_key(const std::string& name) { return {Kind::tier, "", name}; }
Key pool_key(const std::string& name) { return {Kind::ip_pool, "", name}; }

json::value stored(Store& store, const Key& key) {
    const auto object = store.get(key);
    REQUIRE(object);
    return json::parse(*object->document);
}

StoreResult<Object> create(Store& store, const Key& key, const std::string& spec) {
    return store.create(key, document(key, spec));
}

std::string all_text(const StoreError& error) {
    std::string text = error.message;
    for (const std::string& detail : error.details) {
        text += "\n" + detail;
    }
    return text;
}

}  // namespace

TEST_CASE("defaults that are written on create are stored, and the same file applied again changes nothing") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    struct Row {
        Key key;
        std::string spec;
        std::string stored;
    };
    const std::vector<Row> rows{
        {tier_key("security"), "{}", R"({"order":1000000})"},
        {pool_key("p"), R"({"cidr":"10.0.0.0/16"})", R"({"blockSize":26,"ipipMode":"Never","vxlanMode":"Never"})"},
        {policy_key("x"), R"({"egress":[{"action":"Allow"}]})", R"({"tier":"default","types":["Egress"]})"},
        {global_key("y"), R"({"tier":"security","order":5})", R"({"tier":"security","types":["Ingress"],"order":5})"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.key.to_string());
        const auto created = create(*store, row.key, row.spec);
        REQUIRE(created);
        const json::value object = json::parse(*created->document);
        const json::object& spec = object.at("spec").as_object();
        const json::value wanted = json::parse(row.stored);
        for (const auto& field : wanted.as_object()) {
            CAPTURE(std::string(field.key()));
            REQUIRE(spec.contains(field.key()));
            CHECK(json::serialize(spec.at(field.key())) == json::serialize(field.value()));
        }
        const auto again = store->update(row.key, document(row.key, row.spec), std::nullopt);
        REQUIRE(again);
        CHECK(again->revision == created->revision);
    }
    CHECK(stored(*store, policy_key("x")).at("metadata").at("labels").at("projectcalico.org/tier").as_string() ==
          "default");
    CHECK(stored(*store, global_key("y")).at("metadata").at("labels").at("projectcalico.org/tier").as_string() ==
          "security");
    const Key ns{Kind::namespace_, "", "prod"};
    REQUIRE(create(*store, ns, "{}"));
    CHECK(stored(*store, ns).at("metadata").at("labels").at("kubernetes.io/metadata.name").as_string() == "prod");
}

TEST_CASE("an invalid object is refused with every finding at once, and bulk writes of daemons are not looked at") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const std::vector<Op> ops{
        Put{set_key("a"), document(set_key("a"), R"({"nets":["10.0.0.0/99"],"nots":[]})"), {}},
        Put{global_key("b"), document(global_key("b"), R"({"selector":"a ==","ingress":[{"action":"Alow"}]})"), {}}};
    const auto refused = store->transact(ops, Checks::full);
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::invalid);
    const std::string text = all_text(refused.error());
    CAPTURE(text);
    for (const char* part : {"GlobalNetworkSet(a): spec.nets[0]", "spec.nots", "GlobalNetworkPolicy(b): spec.selector",
                             "spec.ingress[0].action", "did you mean"}) {
        CHECK(text.find(part) != std::string::npos);
    }
    CHECK(refused.error().details.size() == 4);
    CHECK(store->transact(ops, Checks::own_fields_only));
}

TEST_CASE("a policy needs its tier, also when both change in one transaction") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const std::string in_security = R"({"tier":"security"})";
    const auto refused = create(*store, policy_key("a"), in_security);
    REQUIRE(!refused);
    CHECK(refused.error().code == Code::invalid);
    CHECK(refused.error().message.find("tier \"security\" does not exist") != std::string::npos);
    CHECK(create(*store, policy_key("built-in"), R"({"tier":"kube-admin"})"));

    const std::vector<Op> together{Put{policy_key("a"), document(policy_key("a"), in_security), {}},
                                   Put{tier_key("security"), document(tier_key("security"), "{}"), {}}};
    REQUIRE(store->transact(together, Checks::full));
    CHECK(create(*store, global_key("b"), in_security));

    const auto held = store->remove(tier_key("security"), std::nullopt);
    REQUIRE(!held);
    CHECK(held.error().code == Code::unsupported);
    CHECK(held.error().message.find("NetworkPolicy(prod/a)") != std::string::npos);
    CHECK(held.error().message.find("GlobalNetworkPolicy(b)") != std::string::npos);

    const std::vector<Op> moved{Remove{tier_key("security"), {}}, Remove{policy_key("a"), {}},
                                Put{global_key("b"), document(global_key("b"), R"({"tier":"default"})"), {}}};
    CHECK(store->transact(moved, Checks::full));
    CHECK(store->get(tier_key("security")).error().code == Code::not_found);
}

TEST_CASE("a staged policy needs its tier and holds it, and a staged deletion gets no rules") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const Key staged{Kind::staged_network_policy, "prod", "a"};
    const Key staged_global{Kind::staged_global_network_policy, "", "b"};
    CHECK(create(*store, staged, R"({"tier":"security"})").error().message.find("\"security\" does not exist") !=
          std::string::npos);
    REQUIRE(create(*store, tier_key("security"), "{}"));
    REQUIRE(create(*store, staged, R"({"tier":"security"})"));
    REQUIRE(create(*store, staged_global, R"({"stagedAction":"Delete"})"));
    CHECK(stored(*store, staged).at("metadata").at("labels").at("projectcalico.org/tier").as_string() == "security");
    CHECK(json::serialize(stored(*store, staged_global).at("spec")) == R"({"stagedAction":"Delete","tier":"default"})");
    CHECK(store->remove(tier_key("security"), std::nullopt).error().message.find("StagedNetworkPolicy(prod/a)") !=
          std::string::npos);
}

TEST_CASE("a BGP peer needs its filters") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const Key peer{Kind::bgp_peer, "", "p"};
    const Key filter{Kind::bgp_filter, "", "f"};
    const std::string spec = R"({"peerIP":"192.0.2.1","asNumber":65000,"filters":["f","g"]})";
    const auto refused = create(*store, peer, spec);
    REQUIRE_FALSE(refused);
    CHECK(all_text(refused.error()).find("BGPPeer(p): spec.filters[1]: BGPFilter \"g\" does not exist") !=
          std::string::npos);
    const Key other{Kind::bgp_filter, "", "g"};
    REQUIRE(create(*store, filter, R"({"exportV4":[{"action":"Accept"}]})"));
    CHECK(store->transact(std::vector<Op>{Put{peer, document(peer, spec), {}}, Put{other, document(other, "{}"), {}}},
                          Checks::full));
}

TEST_CASE("secrets are stored with their values, and a mask that is written keeps the value") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const Key key{Kind::secret, "prod", "s"};
    const auto secret = [](const std::string& rest) {
        return R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"prod"},)" + rest + "}";
    };
    CHECK(store->create(key, secret(R"("data":{"a":"Kioq"})")).error().code == Code::invalid);
    REQUIRE(store->create(key, secret(R"("stringData":{"a":"secret"})")));
    CHECK(json::serialize(stored(*store, key).at("data")) == R"({"a":"c2VjcmV0"})");
    const auto before = store->get(key);
    const auto same = store->update(key, secret(R"("data":{"a":"Kioq"})"), std::nullopt);
    REQUIRE(same);
    CHECK(same->revision == before->revision);
    REQUIRE(store->update(key, secret(R"("data":{"a":"Kioq","b":"eA=="})"), std::nullopt));
    CHECK(json::serialize(stored(*store, key).at("data")) == R"({"a":"c2VjcmV0","b":"eA=="})");
}

TEST_CASE("built-in tiers keep their order and action") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    CHECK(store->update(tier_key("default"), document(tier_key("default"), R"({"order":5})"), {}).error().code ==
          Code::invalid);
    CHECK(store->update(tier_key("kube-admin"), document(tier_key("kube-admin"), R"({"defaultAction":"Deny"})"), {})
              .error()
              .code == Code::invalid);
    const auto before = store->get(tier_key("default"));
    const auto same = store->update(tier_key("default"), document(tier_key("default"), "{}"), {});
    REQUIRE(same);
    CHECK(same->revision == before->revision);
}

TEST_CASE("pools do not overlap and do not change their range") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    REQUIRE(create(*store, pool_key("a"), R"({"cidr":"10.0.0.0/16"})"));
    struct Row {
        std::string cidr;
        bool accepted;
    };
    const std::vector<Row> rows{{"10.0.0.0/16", false}, {"10.0.128.0/20", false}, {"10.0.0.0/8", false},
                                {"10.1.0.0/16", true},  {"fd00::/48", true},      {"fd00:0:0:1::/64", false}};
    for (const Row& row : rows) {
        CAPTURE(row.cidr);
        std::string name = "p";
        for (const char c : row.cidr) {
            name += c == '.' || c == '/' || c == ':' ? '-' : c;
        }
        name += 'x';
        const auto created = create(*store, pool_key(name), R"({"cidr":")" + row.cidr + "\"}");
        CHECK(created.has_value() == row.accepted);
        if (!created) {
            CHECK(created.error().code == Code::invalid);
            CHECK(created.error().message.find("overlaps") != std::string::npos);
        }
    }
    const std::vector<Op> two{Put{pool_key("x"), document(pool_key("x"), R"({"cidr":"10.9.0.0/16"})"), {}},
                              Put{pool_key("y"), document(pool_key("y"), R"({"cidr":"10.9.0.0/20"})"), {}}};
    const auto refused = store->transact(two, Checks::full);
    REQUIRE(!refused);
    CHECK(refused.error().details.empty());  // one finding, not one for each of the two

    const auto update = [&](const std::string& spec) {
        return store->update(pool_key("a"), document(pool_key("a"), spec), std::nullopt);
    };
    CHECK(update(R"({"cidr":"10.0.0.0/17"})").error().code == Code::invalid);
    CHECK(update(R"({"cidr":"10.0.0.0/16","blockSize":28})").error().code == Code::invalid);
    CHECK(update(R"({"cidr":"10.0.0.0/16","natOutgoing":true})"));
}

TEST_CASE("a new pool must fit the blocks that are in use in its range") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const Key block{Kind::ipam_block, "", "10-0-0-0-28"};
    const std::vector<Op> ops{Put{block, document(block, R"({"cidr":"10.0.0.0/28"})"), {}}};
    REQUIRE(store->transact(ops, Checks::own_fields_only));
    const auto refused = create(*store, pool_key("a"), R"({"cidr":"10.0.0.0/16"})");
    REQUIRE(!refused);
    CHECK(refused.error().message.find("10.0.0.0/28") != std::string::npos);
    CHECK(create(*store, pool_key("a"), R"({"cidr":"10.0.0.0/16","blockSize":28})"));
}

TEST_CASE("a commit proves that no object of a kind came or changed since it was read") {
    FOR_EACH_STORE
    const auto backend = fixture.backend();
    const auto put = [&](const Key& key, const Precondition& precondition, const std::vector<KindUnchanged>& kinds) {
        const std::vector<Mutation> mutations{{Mutation::Type::put, key, "{}", precondition}};
        return backend->commit(mutations, kinds);
    };
    const auto first = put(policy_key("a"), {true, {}}, {});
    REQUIRE(first);
    const std::vector<KindUnchanged> unchanged{{Kind::network_policy, *first}};
    REQUIRE(put(tier_key("t"), {true, {}}, unchanged));  // another kind
    const auto updated = put(policy_key("a"), {false, *first}, {});
    REQUIRE(updated);
    CHECK(put(tier_key("u"), {true, {}}, unchanged).error().code == Code::conflict);
    const auto snapshot = backend->read(std::vector{tier_key("u")});
    REQUIRE(snapshot);
    CHECK(!snapshot->rows.front());
    CHECK(snapshot->revision == *updated);  // a refused commit leaves no trace
    CHECK(put(tier_key("u"), {true, {}}, {{Kind::network_policy, *updated}}));
    // What the log no longer knows cannot be proved.
    CHECK(put(tier_key("v"), {true, {}}, {{Kind::network_policy, "x"}}).error().code == Code::conflict);
}

TEST_CASE("fields of a newer version stay through every write that leaves them alone, and nobody makes new ones") {
    FOR_EACH_STORE
    const auto store = fixture.open();
    const Key key = global_key("newer");
    const std::string spec = R"("order":1,"selector":"a == 'b'","ingress":[{"action":"Allow","future":{"x":[1,25]}}])";
    const auto text = [&](const std::string& metadata, const std::string& fields, const std::string& beside = "") {
        return R"({"apiVersion":"projectcalico.org/v3","kind":"GlobalNetworkPolicy","metadata":{"name":"newer")" +
               metadata + R"(},"spec":{)" + fields + "}" + beside + "}";
    };
    const std::string future = R"(,"tomorrow":{"a":null})";
    const std::vector<Op> ops{Put{key, text(R"(,"managedBy":"newer")", spec + R"(,"later":[true])", future), {}}};
    REQUIRE(store->transact(ops, Checks::own_fields_only));
    const auto kept = [&] {
        const auto object = store->get(key);
        return object && object->document->find(R"("later":[true])") != std::string::npos &&
               object->document->find(R"("future":{"x":[1,25]})") != std::string::npos &&
               object->document->find(R"("managedBy":"newer")") != std::string::npos &&
               object->document->find(future.substr(1)) != std::string::npos;
    };
    CHECK(kept());
    const auto replaced = [&](const std::string& from, const std::string& to) {
        std::string changed = *store->get(key)->document;
        const auto at = changed.find(from);
        REQUIRE(at != std::string::npos);
        return changed.replace(at, from.size(), to);
    };
    // What a reader writes back with its own change, and what it writes back unchanged.
    REQUIRE(store->update(key, replaced(R"("order":1)", R"("order":2)"), std::nullopt));
    CHECK(kept());
    const auto before = store->get(key)->revision;
    REQUIRE(store->update(key, *store->get(key)->document, std::nullopt));
    CHECK(store->get(key)->revision == before);
    // Another value of such a field, or another such field, is refused with its path.
    for (const auto& [from, to, path] : {std::array{R"("later":[true])", R"("later":[false])", "spec.later"},
                                         std::array{R"([1,25])", R"([1,26])", "spec.ingress[0].future"},
                                         std::array{R"("order":2)", R"("order":2,"latr":1)", "spec.latr"}}) {
        CAPTURE(to);
        const auto refused = store->update(key, replaced(from, to), std::nullopt);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Code::invalid);
        CHECK(all_text(refused.error()).find(path) != std::string::npos);
    }
    CHECK(kept());
    CHECK_FALSE(store->create(global_key("other"), replaced(R"("name":"newer")", R"("name":"other")")));
}
