#include "bgpd/rib/loc_rib.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>

#include "bgpd/rib/adj_rib_in.hpp"
#include "bgpd/wire/nlri.hpp"
#include "test/bgpd/rib/routes.hpp"

namespace {

using namespace manul;
using namespace manul::bgp::rib;
using bgp::policy::Refusal;
using bgp::policy::SourceKind;
using test::key4;
using test::RouteSpec;

struct Rib {
    RibCore core;
    LocRib<net::PrefixKey4> table{core};
    std::vector<Change> changes;

    SourceId peer(const std::string& address, SourceKind kind = SourceKind::external) {
        return test::add_source(core, kind, address);
    }
    void announce(const std::string& prefix, SourceId source, const RouteSpec& spec = {},
                  Refusal refusal = Refusal::none) {
        const AttributeId id = test::intern(core, spec);
        static_cast<void>(core.next_hops.resolve(*net::Ip::parse(spec.next_hop), 0));
        table.announce(key4(prefix), source, id, PathFlags::received(refusal));
        core.attributes.release(id);
    }
    void decide() {
        changes.clear();
        table.decide(changes);
    }
    void end_turn() {
        table.end_turn([](Slot) { return false; });
        core.next_hops.end_turn();
    }
    void turn() {
        decide();
        end_turn();
    }
    std::optional<SourceId> selected(const std::string& prefix) {
        const Slot slot = table.table().find(key4(prefix));
        if (slot == net::PrefixTable<RibEntry<net::PrefixKey4>>::kNone || !table[slot].has_selected()) {
            return std::nullopt;
        }
        return table[slot].source;
    }
};

RouteSpec with_path(std::vector<std::uint32_t> path) {
    RouteSpec spec;
    spec.as_path = std::move(path);
    return spec;
}

}  // namespace

TEST_CASE("the best of several paths is selected, and the next one when it goes") {
    Rib rib;
    const SourceId a = rib.peer("192.0.2.1");
    const SourceId b = rib.peer("192.0.2.2");
    rib.announce("10.0.0.0/24", a, with_path({65001, 65009}));
    rib.announce("10.0.0.0/24", b, with_path({65002}));
    rib.turn();
    CHECK(rib.selected("10.0.0.0/24") == b);
    rib.table.withdraw(key4("10.0.0.0/24"), b);
    rib.decide();
    REQUIRE(rib.changes.size() == 1);
    CHECK(rib.changes[0].old_source == b);
    CHECK(rib.changes[0].new_source == a);
    rib.end_turn();
    rib.table.withdraw(key4("10.0.0.0/24"), a);
    rib.turn();
    CHECK(rib.table.table().size() == 0);
    CHECK(rib.core.attributes.size() == 0);
}

TEST_CASE("decisions in parts come to what one decision comes to, and tell it prefix by prefix") {
    std::mt19937 random(7);
    Rib whole;
    Rib parts;
    std::vector<SourceId> peers;
    for (const char* address : {"192.0.2.1", "192.0.2.2", "192.0.2.3"}) {
        peers.push_back(whole.peer(address));
        static_cast<void>(parts.peer(address));
    }
    std::map<std::string, SourceId> told;  // what a reader of the parts' changes knows
    const auto take_turn = [&](std::size_t most) {
        parts.changes.clear();
        parts.table.decide(parts.changes, most);
        for (const Change& change : parts.changes) {
            const std::string prefix = parts.table[change.slot].key().to_prefix().to_string();
            const auto known = told.find(prefix);
            CHECK((known != told.end()) == (change.old_attributes != kNoAttributes));
            CHECK((known == told.end() || known->second == change.old_source));
            if (change.new_attributes == kNoAttributes) {
                told.erase(prefix);
            } else {
                told[prefix] = change.new_source;
            }
        }
        parts.end_turn();
    };
    for (int round = 0; round < 300; ++round) {
        for (int i = 0; i < 20; ++i) {
            const std::string prefix = "10.0." + std::to_string(random() % 40) + ".0/24";
            const SourceId peer = peers[random() % peers.size()];
            if (random() % 3 == 0) {
                whole.table.withdraw(key4(prefix), peer);
                parts.table.withdraw(key4(prefix), peer);
            } else {
                const RouteSpec spec = with_path(std::vector<std::uint32_t>(1 + random() % 4, 65001));
                whole.announce(prefix, peer, spec);
                parts.announce(prefix, peer, spec);
            }
        }
        whole.turn();
        take_turn(random() % 8);
    }
    while (parts.table.undecided()) {
        take_turn(3);
    }
    for (int i = 0; i < 40; ++i) {
        const std::string prefix = "10.0." + std::to_string(i) + ".0/24";
        const auto known = told.find(prefix);
        CHECK(whole.selected(prefix) == parts.selected(prefix));
        CHECK(whole.selected(prefix) == (known == told.end() ? std::nullopt : std::optional(known->second)));
    }
    CHECK(whole.core.attributes.size() == parts.core.attributes.size());
}

TEST_CASE("what changes back within a turn is no change") {
    Rib rib;
    const SourceId a = rib.peer("192.0.2.1");
    rib.announce("10.0.0.0/24", a);
    rib.turn();
    CHECK(rib.changes.size() == 1);
    rib.table.withdraw(key4("10.0.0.0/24"), a);
    rib.announce("10.0.0.0/24", a);
    rib.turn();
    CHECK(rib.changes.empty());
    rib.announce("10.0.0.0/24", a);
    CHECK_FALSE(rib.table.pending());
}

TEST_CASE("refused paths and paths without a reachable next hop are kept but not selected") {
    Rib rib;
    const SourceId a = rib.peer("192.0.2.1");
    const SourceId b = rib.peer("192.0.2.2");
    rib.announce("10.0.0.0/24", a, {}, Refusal::as_loop);
    RouteSpec far = with_path({65002, 65003, 65004});
    far.next_hop = "198.51.100.1";
    rib.announce("10.0.0.0/24", b, far);
    rib.turn();
    CHECK(rib.selected("10.0.0.0/24") == b);
    CHECK(rib.core.sources[a].counts[0].received == 1);
    CHECK(rib.core.sources[a].counts[0].accepted == 0);

    CHECK(rib.core.next_hops.resolve(*net::Ip::parse("198.51.100.1"), std::nullopt));
    CHECK(rib.table.sweep(0, 100) == rib.table.end());
    rib.core.next_hops.clear_changed();
    rib.turn();
    CHECK_FALSE(rib.selected("10.0.0.0/24"));
    CHECK(rib.core.next_hops.resolve(*net::Ip::parse("198.51.100.1"), 7));
    CHECK(rib.table.sweep(0, 100) == rib.table.end());
    rib.turn();
    CHECK(rib.selected("10.0.0.0/24") == b);
}

TEST_CASE("a sweep removes the paths of a lost session in slices") {
    Rib rib;
    const SourceId a = rib.peer("192.0.2.1");
    const SourceId b = rib.peer("192.0.2.2");
    for (int i = 0; i < 100; ++i) {
        const std::string prefix = "10.0." + std::to_string(i) + ".0/24";
        rib.announce(prefix, a);
        if (i % 2 == 0) {
            rib.announce(prefix, b, with_path({65002, 65003}));
        }
    }
    rib.turn();
    rib.core.sources[a].lost = true;
    Slot next = 0;
    int slices = 0;
    while (next < rib.table.end()) {
        next = rib.table.sweep(next, 30);
        rib.turn();
        ++slices;
    }
    CHECK(slices == 4);
    CHECK(rib.table.table().size() == 50);
    CHECK(rib.core.sources[a].counts[0].received == 0);
    CHECK(rib.selected("10.0.4.0/24") == b);
    rib.core.sources.remove(a);
}

TEST_CASE("a sweep that has found enough goes on from there the next time") {
    Rib rib;
    const SourceId a = rib.peer("192.0.2.1");
    for (int i = 0; i < 100; ++i) {
        rib.announce("10.0." + std::to_string(i) + ".0/24", a);
    }
    rib.turn();
    rib.core.sources[a].lost = true;
    CHECK(rib.table.sweep(0, 1000, 30) == 30);
    CHECK(rib.table.sweep(30, 1000, 30) == 60);
    rib.turn();
    CHECK(rib.table.table().size() == 40);
    CHECK(rib.table.sweep(60, 1000, 60) == 100);
    rib.turn();
    CHECK(rib.table.table().size() == 0);
}

TEST_CASE("a prefix that a reader must still be told about keeps its slot") {
    Rib rib;
    const SourceId a = rib.peer("192.0.2.1");
    rib.announce("10.0.0.0/24", a);
    rib.turn();
    rib.table.withdraw(key4("10.0.0.0/24"), a);
    rib.decide();
    rib.table.end_turn([](Slot) { return true; });
    CHECK(rib.table.table().size() == 1);
    CHECK(rib.table.pending());
    rib.turn();
    CHECK(rib.table.table().size() == 0);
}

TEST_CASE("a next hop is watched while routes use it, and one that is fresh needs no walk") {
    NextHopTable table;
    const bgp::wire::NextHop hop{*net::Ip::parse("192.0.2.1"), std::nullopt};
    const NextHopId id = table.acquire(hop);
    CHECK(table.acquire(hop) == id);
    auto watches = table.take_watches();
    REQUIRE(watches.size() == 1);
    CHECK(watches[0].wanted);
    CHECK_FALSE(table.reachable(id));
    CHECK_FALSE(table.resolve(hop.address, 5));
    CHECK(table.reachable(id));
    table.end_turn();
    CHECK_FALSE(table.resolve(hop.address, 5));
    CHECK(table.resolve(hop.address, 6));
    table.release(id);
    table.release(id);
    watches = table.take_watches();
    REQUIRE(watches.size() == 1);
    CHECK_FALSE(watches[0].wanted);
    const NextHopId again = table.acquire(hop);
    CHECK_FALSE(table.reachable(again));
}

TEST_CASE("equal attributes with equal next hops are one set, with others two") {
    RibCore core;
    RouteSpec spec;
    const AttributeId first = test::intern(core, spec);
    CHECK(test::intern(core, spec) == first);
    spec.next_hop = "192.0.2.2";
    CHECK(test::intern(core, spec) != first);
    spec.next_hop = "192.0.2.1";
    spec.med = 1;
    const AttributeId other = test::intern(core, spec);
    CHECK(other != first);
    CHECK(core.attributes[other].med == 1);
    CHECK(core.attributes[first].neighbour_as == 65001);
    core.attributes.release(other);
    CHECK(core.attributes.size() == 2);
}

TEST_CASE("prefixes of an UPDATE become keys with clean host bits") {
    const Bytes bytes{0, 32, 10, 1, 2, 3, 20, 10, 1, 0xff, 8, 10};
    bgp::wire::NlriView view;
    REQUIRE(bgp::wire::NlriView::check(bytes, net::Family::v4, view));
    RibCore core;
    const LocRib<net::PrefixKey4> rib(core);
    std::string text;
    each_key<net::PrefixKey4>(
        view, rib, [&](const net::PrefixKey4& key, const auto&) { text += key.to_prefix().to_string() + " "; });
    CHECK(text == "0.0.0.0/0 10.1.2.3/32 10.1.240.0/20 10.0.0.0/8 ");

    const Bytes six{45, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x0f};
    REQUIRE(bgp::wire::NlriView::check(six, net::Family::v6, view));
    CHECK(read_key(six.data(), net::PrefixKey6{}).to_prefix().to_string() == "2001:db8:8::/45");
}

TEST_CASE("whatever happened, the selected paths are those of a table made anew") {
    std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): a fixed seed, so that a failure repeats
    Rib rib;
    std::vector<SourceId> peers;
    for (int i = 0; i < 6; ++i) {
        peers.push_back(
            rib.peer("192.0.2." + std::to_string(i + 1), i < 3 ? SourceKind::external : SourceKind::internal));
    }
    std::map<std::pair<std::size_t, std::size_t>, RouteSpec> model;  // by peer and prefix
    const auto prefix = [](std::size_t i) { return "10.0." + std::to_string(i) + ".0/24"; };
    for (int step = 0; step < 4000; ++step) {
        const std::size_t peer = random() % peers.size();
        const std::size_t which = random() % 20;
        if (random() % 3 == 0) {
            rib.table.withdraw(key4(prefix(which)), peers[peer]);
            model.erase({peer, which});
        } else {
            RouteSpec spec;
            spec.as_path.assign(1 + random() % 3, static_cast<std::uint32_t>(65001 + random() % 3));
            spec.med = static_cast<std::uint32_t>(random() % 3);
            spec.next_hop = "198.51.100." + std::to_string(1 + random() % 3);
            rib.announce(prefix(which), peers[peer], spec);
            model[{peer, which}] = spec;
        }
        if (random() % 10 != 0) {
            continue;
        }
        rib.turn();
        Rib anew;
        for (const SourceId id : peers) {
            static_cast<void>(anew.core.sources.add(rib.core.sources[id]));
        }
        std::vector<std::pair<std::pair<std::size_t, std::size_t>, RouteSpec>> all(model.begin(), model.end());
        std::shuffle(all.begin(), all.end(), random);
        for (const auto& [where, spec] : all) {
            anew.announce(prefix(where.second), peers[where.first], spec);
        }
        anew.turn();
        for (std::size_t i = 0; i < 20; ++i) {
            REQUIRE(rib.selected(prefix(i)) == anew.selected(prefix(i)));
        }
        REQUIRE(rib.table.table().size() == anew.table.table().size());
        REQUIRE(rib.core.attributes.size() == anew.core.attributes.size());
    }
}
