#include "bgpd/rib/adj_rib_out.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>

#include "bgpd/wire/framer.hpp"
#include "bgpd/wire/update.hpp"
#include "test/bgpd/rib/routes.hpp"

namespace {

using namespace manul;
using namespace manul::bgp::rib;
using namespace manul::bgp;
using policy::SourceKind;
using test::key4;
using test::RouteSpec;
using Key = net::PrefixKey4;

/// What a peer knows after it has read everything: prefix -> "next hop as-path".
class ReaderModel {
public:
    void read(ByteView bytes) {
        wire::Framer framer(bytes);
        while (const auto frame = *framer.next()) {
            REQUIRE(frame->type == wire::MessageType::update);
            const wire::Update update = decoder_.decode(frame->body(), {{net::Family::v4}, true, true});
            REQUIRE(update.verdict == wire::Verdict::ok);
            ++updates;
            end_of_rib = end_of_rib || update.end_of_rib.has_value();
            update.each_withdrawn([&](const net::Prefix& prefix) { routes.erase(prefix.to_string()); });
            update.each_announced([&](const net::Prefix& prefix, const wire::NextHop& next_hop) {
                routes[prefix.to_string()] =
                    next_hop.address.to_string() + " " + wire::attribute_facts(update.attributes).as_path.to_string();
            });
        }
        REQUIRE(framer.consumed() == bytes.size());
    }
    void read(const Chunk& chunk, SourceId reader) {
        std::vector<ByteView> spans;
        chunk.append_spans(reader, spans);
        std::size_t total = 0;
        for (const ByteView span : spans) {
            read(span);
            total += span.size();
        }
        CHECK(total == chunk.size_for(reader));
    }

    std::map<std::string, std::string> routes;
    std::size_t updates = 0;
    bool end_of_rib = false;

private:
    wire::UpdateDecoder decoder_;
};

/// A reflector's group of three clients, and one more source outside of it.
struct Setup {
    RibCore core;
    LocRib<Key> table{core};
    UpdatePacker<Key> packer{core, table};
    std::vector<SourceId> readers;
    SourceId outside;
    std::optional<AdjRibOut<Key>> out;
    std::map<std::uint16_t, ReaderModel> models;

    explicit Setup(std::size_t count = 3) {
        for (std::size_t i = 0; i < count; ++i) {
            readers.push_back(test::add_source(core, SourceKind::internal, "192.0.2." + std::to_string(i + 1)));
            core.sources[readers[i]].groups[0] = 1;
            core.sources[readers[i]].traits.reflector_client = true;
            models[readers[i].value()];
        }
        outside = test::add_source(core, SourceKind::external, "203.0.113.1");
        policy::ExportTarget target;
        target.reflector_client = true;
        target.cluster_id = 9;
        target.self = *net::Ip::parse("192.0.2.100");
        target.relayable = std::make_shared<const net::PrefixRanges>(std::vector{*net::Prefix::parse("10.0.0.0/8")});
        out.emplace(core, table, packer, GroupId{1}, target, wire::WriteContext{});
    }
    void announce(const std::string& prefix, SourceId source, const RouteSpec& spec = {}) {
        const AttributeId id = test::intern(core, spec);
        static_cast<void>(core.next_hops.resolve(*net::Ip::parse(spec.next_hop), 0));
        table.announce(key4(prefix), source, id, PathFlags::received(policy::Refusal::none));
        core.attributes.release(id);
    }
    ChunkPtr turn() {
        std::vector<Change> changes;
        table.decide(changes);
        ChunkPtr chunk = out->turn(changes);
        table.end_turn([](Slot) { return false; });
        if (chunk) {
            for (const SourceId reader : readers) {
                models[reader.value()].read(*chunk, reader);
            }
        }
        return chunk;
    }
    ReaderModel& model(std::size_t reader) { return models[readers[reader].value()]; }
    /// What the reader should know, from scratch.
    std::map<std::string, std::string> expected(SourceId reader) {
        ReaderModel fresh;
        if (const ChunkPtr chunk = out->dump(0, table.end(), true)) {
            fresh.read(*chunk, reader);
        }
        return fresh.routes;
    }
};

}  // namespace

TEST_CASE("a route goes to all readers but the one that it came from") {
    Setup setup;
    setup.announce("10.1.0.0/24", setup.readers[0]);
    setup.turn();
    CHECK(setup.model(0).routes.empty());
    CHECK(setup.model(1).routes.size() == 1);
    CHECK(setup.model(2).routes.size() == 1);
}

TEST_CASE("a reader whose own path becomes the best is told that the one before is gone") {
    Setup setup;
    RouteSpec longer;
    longer.as_path = {65001, 65002};
    setup.announce("10.1.0.0/24", setup.readers[0], longer);
    setup.turn();
    CHECK(setup.model(1).routes.size() == 1);
    setup.announce("10.1.0.0/24", setup.readers[1]);
    setup.turn();
    CHECK(setup.model(0).routes.size() == 1);
    CHECK(setup.model(1).routes.empty());
    CHECK(setup.model(2).routes.size() == 1);
    setup.table.withdraw(key4("10.1.0.0/24"), setup.readers[1]);
    setup.turn();
    CHECK(setup.model(0).routes.empty());
    CHECK(setup.model(1).routes.size() == 1);
}

TEST_CASE("routes outside the ranges that may be relayed go to nobody, and are never withdrawn") {
    Setup setup;
    setup.announce("0.0.0.0/0", setup.outside);
    CHECK(setup.turn() == nullptr);
    setup.table.withdraw(key4("0.0.0.0/0"), setup.outside);
    CHECK(setup.turn() == nullptr);
    setup.announce("10.1.0.0/24", setup.outside);
    CHECK(setup.turn() != nullptr);
}

TEST_CASE("prefixes with one attribute set share messages however shuffled they came") {
    Setup setup;
    RouteSpec other;
    other.as_path = {65001, 65002};
    for (int i = 0; i < 200; ++i) {
        setup.announce("10.1." + std::to_string(i) + ".0/24", setup.outside, i % 2 == 0 ? RouteSpec{} : other);
    }
    const ChunkPtr chunk = setup.turn();
    REQUIRE(chunk);
    CHECK(setup.model(0).updates == 2);
    CHECK(setup.model(0).routes.size() == 200);
    CHECK(chunk->parts.empty());
}

TEST_CASE("withdrawals share one message and stand before announcements") {
    Setup setup;
    for (int i = 0; i < 100; ++i) {
        setup.announce("10.1." + std::to_string(i) + ".0/24", setup.outside);
    }
    setup.turn();
    setup.model(0).updates = 0;
    for (int i = 0; i < 100; ++i) {
        if (i % 2 == 0) {
            setup.table.withdraw(key4("10.1." + std::to_string(i) + ".0/24"), setup.outside);
        } else {
            setup.announce("10.2." + std::to_string(i) + ".0/24", setup.outside);
        }
    }
    setup.turn();
    CHECK(setup.model(0).updates == 2);
    CHECK(setup.model(0).routes.size() == 100);
}

TEST_CASE("a message never gets longer than the peer takes") {
    Setup setup;
    for (int i = 0; i < 5000; ++i) {
        setup.announce("10." + std::to_string(i / 250) + "." + std::to_string(i % 250) + ".0/24", setup.outside);
    }
    const ChunkPtr chunk = setup.turn();
    REQUIRE(chunk);
    CHECK(chunk->bytes.size() > 20'000);
    CHECK(setup.model(0).updates == 5);  // and none shorter than it need be
    CHECK(setup.model(0).routes.size() == 5000);
}

TEST_CASE("attributes that leave room for a few prefixes take as many messages as it needs") {
    Setup setup;
    RouteSpec long_one;
    for (std::uint32_t i = 0; i < 1000; ++i) {
        long_one.communities.push_back({i});
    }
    for (int i = 0; i < 50; ++i) {
        setup.announce("10.1." + std::to_string(i) + ".0/24", setup.outside, long_one);
    }
    setup.turn();
    CHECK(setup.model(0).routes.size() == 50);
    CHECK(setup.model(0).updates > 1);
}

TEST_CASE("attributes too long for any message withdraw the route in place of announcing it") {
    Setup setup;
    setup.announce("10.1.0.0/24", setup.outside);
    setup.turn();
    CHECK(setup.model(0).routes.size() == 1);
    RouteSpec huge;
    for (std::uint32_t i = 0; i < 1100; ++i) {
        huge.communities.push_back({i});
    }
    setup.announce("10.1.0.0/24", setup.outside, huge);
    setup.turn();
    CHECK(setup.model(0).routes.empty());
}

TEST_CASE("End-of-RIB follows a dump, also of an empty table") {
    Setup setup;
    const ChunkPtr chunk = setup.out->dump(0, 100, true);
    REQUIRE(chunk);
    ReaderModel model;
    model.read(*chunk, setup.readers[0]);
    CHECK(model.end_of_rib);
    CHECK(model.updates == 1);
}

TEST_CASE("a reader that fell behind is brought up to date from the slots that it missed") {
    Setup setup;
    setup.announce("10.1.0.0/24", setup.outside);
    setup.announce("10.2.0.0/24", setup.outside);
    setup.turn();
    ReaderModel behind = setup.model(0);
    setup.table.withdraw(key4("10.1.0.0/24"), setup.outside);
    setup.announce("10.3.0.0/24", setup.outside);
    setup.announce("10.2.0.0/24", setup.readers[0]);
    std::vector<Change> changes;
    setup.table.decide(changes);
    std::vector<Slot> missed;
    for (const Change& change : changes) {
        missed.push_back(change.slot);
    }
    missed.push_back(setup.table.table().find(key4("10.2.0.0/24")));
    setup.table.end_turn([](Slot) { return true; });
    behind.read(*setup.out->state(setup.readers[0], missed, false), setup.readers[0]);
    CHECK(behind.routes == setup.expected(setup.readers[0]));
    CHECK(behind.routes.size() == 2);
}

TEST_CASE("other ranges to relay withdraw what they exclude and announce what they add") {
    Setup setup;
    setup.announce("10.1.0.0/24", setup.outside);
    setup.announce("172.16.1.0/24", setup.outside);
    setup.turn();
    setup.out->retarget(std::make_shared<const net::PrefixRanges>(std::vector{*net::Prefix::parse("172.16.0.0/12")}),
                        nullptr, nullptr);
    SECTION("with the walk") {
        const ChunkPtr chunk = setup.out->retargeted(0, setup.table.end());
        REQUIRE(chunk);
        setup.model(0).read(*chunk, setup.readers[0]);
        setup.out->finish_retarget();
        CHECK(setup.model(0).routes == setup.expected(setup.readers[0]));
        CHECK(setup.model(0).routes.size() == 1);
    }
    SECTION("a route that goes away before the walk is still withdrawn") {
        setup.table.withdraw(key4("10.1.0.0/24"), setup.outside);
        setup.turn();
        CHECK(setup.model(0).routes.empty());
    }
}

TEST_CASE("after any series of changes each reader knows what a dump would tell it") {
    std::mt19937 random(5);  // NOLINT(cert-msc51-cpp): a fixed seed, so that a failure repeats
    Setup setup(5);
    std::vector<SourceId> sources = setup.readers;
    sources.push_back(setup.outside);
    sources.push_back(test::add_source(setup.core, SourceKind::internal, "192.0.2.50"));
    for (int step = 0; step < 3000; ++step) {
        const std::string prefix = (random() % 4 == 0 ? "172.16." : "10.0.") + std::to_string(random() % 15) + ".0/24";
        const SourceId source = sources[random() % sources.size()];
        if (random() % 3 == 0) {
            setup.table.withdraw(key4(prefix), source);
        } else {
            RouteSpec spec;
            spec.as_path.assign(1 + random() % 3, 65001);
            if (random() % 8 == 0) {
                spec.communities = {wire::kNoAdvertise};
            }
            setup.announce(prefix, source, spec);
        }
        if (random() % 8 != 0) {
            continue;
        }
        setup.turn();
        for (const SourceId reader : setup.readers) {
            REQUIRE(setup.models[reader.value()].routes == setup.expected(reader));
        }
    }
}
