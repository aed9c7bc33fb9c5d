#include "ipam/core/allocator.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>

#include "test/ipam/fake_source.hpp"
#include "test/ipam/now.hpp"

namespace manul::ipam {
namespace {

using test::FakeSource;
using test::ip;
using test::kNow;
using test::make_pool;
using test::prefix;

World world_of(std::string node, std::vector<Pool> pools) {
    World world;
    world.node = std::move(node);
    world.pools = std::move(pools);
    return world;
}

Demand demand_of(std::string handle, const std::string& node) {
    Demand demand;
    demand.handle = std::move(handle);
    demand.attributes = {{"node", node}, {"pod", "p"}};
    return demand;
}

/// One request on its own: draft, assign, commit.
Outcome<std::vector<Assigned>> assign_now(FakeSource& source, const World& world, const Demand& demand,
                                          WallTime now = kNow) {
    for (;;) {
        Draft draft(source);
        auto result = assign(draft, world, demand, now);
        if (!result || source.commit(draft)) {
            return result;
        }
    }
}

void release_now(FakeSource& source, const World& world, const std::string& handle, WallTime now = kNow) {
    Draft draft(source);
    REQUIRE(release_handle(draft, world, handle, now));
    REQUIRE(source.commit(draft));
}

/// Every invariant that spans objects: handles count what blocks hold, affinities and blocks agree.
void check_consistent(const FakeSource& source) {
    std::map<std::string, std::map<net::Prefix, std::uint32_t>> counted;
    for (const auto& [cidr, stored] : source.blocks) {
        const auto spec = stored.value->to_model();
        CHECK(check_block(spec, kNow + std::chrono::hours{1000}).empty());
        for (std::size_t i = 0; i < stored.value->size(); ++i) {
            const auto& owner = stored.value->owner(static_cast<Block::Ordinal>(i));
            if (owner && !owner->handle.empty()) {
                ++counted[owner->handle][cidr];
            }
        }
        if (const auto node = affinity_node(stored.value->affinity())) {
            const auto affinity = source.affinities.find({std::string(*node), cidr});
            REQUIRE(affinity != source.affinities.end());
            CHECK(affinity->second.value->is_confirmed());
        } else {
            CHECK_FALSE(stored.value->is_empty());
        }
    }
    for (const auto& [id, affinity] : source.affinities) {
        REQUIRE(source.blocks.contains(id.second));
        CHECK(source.blocks.at(id.second).value->affinity() == host_affinity(id.first));
    }
    CHECK(counted.size() == source.handles.size());
    for (const auto& [id, handle] : source.handles) {
        CHECK(handle.value->blocks == counted[id]);
    }
}

TEST_CASE("a node takes addresses of its own block and claims the next when it is full") {
    FakeSource source;
    const World world = world_of("n1", {make_pool("p", "10.0.0.0/24", 30)});
    std::set<net::Prefix> blocks;
    for (int i = 0; i < 9; ++i) {
        const auto got = assign_now(source, world, demand_of("h" + std::to_string(i), "n1"));
        REQUIRE(got);
        blocks.insert(got->front().block);
        CHECK(got->front().pool == "p");
        CHECK_FALSE(got->front().borrowed);
        CHECK(blocks.size() == static_cast<std::size_t>(i) / 4 + 1);
    }
    check_consistent(source);
}

TEST_CASE("nodes start at different blocks") {
    FakeSource source;
    const std::vector<Pool> pools{make_pool("p", "10.0.0.0/16", 26)};
    std::set<net::Prefix> blocks;
    for (int i = 0; i < 50; ++i) {
        const std::string node = "node" + std::to_string(i);
        const auto got = assign_now(source, world_of(node, pools), demand_of("h" + node, node));
        REQUIRE(got);
        CHECK(blocks.insert(got->front().block).second);
    }
    check_consistent(source);
}

TEST_CASE("one address of each family, or none at all") {
    FakeSource source;
    World world = world_of("n1", {make_pool("four", "10.0.0.0/30", 30), make_pool("six", "fd00::/126", 126)});
    Demand demand = demand_of("h0", "n1");
    demand.ipv6 = true;
    const auto got = assign_now(source, world, demand);
    REQUIRE(got);
    REQUIRE(got->size() == 2);
    CHECK((*got)[0].address.is_v4());
    CHECK((*got)[1].address.is_v6());
    CHECK(source.handles.at("h0").value->blocks.size() == 2);

    world.reservations = Reservations({prefix("fd00::/126")});
    Draft draft(source);
    demand.handle = "h1";
    const auto refused = assign(draft, world, demand, kNow);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == 11);
    CHECK(draft.changed_count() == 0);
    check_consistent(source);
}

TEST_CASE("pools are chosen by name order, family, use, selectors and mode") {
    std::vector<Pool> pools{make_pool("b", "10.1.0.0/24", 26),      make_pool("a", "10.2.0.0/24", 26),
                            make_pool("manual", "10.3.0.0/24", 26), make_pool("tunnel", "10.4.0.0/24", 26),
                            make_pool("rack", "10.5.0.0/24", 26),   make_pool("off", "10.6.0.0/24", 26),
                            make_pool("ns", "10.7.0.0/24", 26)};
    pools[2].mode = model::AssignmentMode::manual;
    pools[3].uses = {model::AllowedUse::tunnel};
    pools[4].node_selector = *model::Selector::parse("rack == '7'");
    pools[5].disabled = true;
    pools[6].namespace_selector = *model::Selector::parse("team == 'x'");
    const auto names = [&](const PoolQuery& query) {
        std::string text;
        const auto found = select_pools(pools, query);
        if (!found) {
            return found.error().message;
        }
        for (const Pool* pool : *found) {
            text += pool->name + " ";
        }
        return text;
    };
    CHECK(names({}) == "a b ");
    CHECK(names({.node_labels = {{"rack", "7"}}}) == "a b rack ");
    CHECK(names({.namespace_labels = {{"team", "x"}}}) == "a b ns ");
    CHECK(names({.use = model::AllowedUse::tunnel}) == "a b tunnel ");
    CHECK(names({.wanted = {"rack", "10.3.0.0/24", "b"}}) == "rack manual b ");
    CHECK(names({.wanted = {"10.2.0.9/24", "tunnel"}}) == "a ");
    CHECK(names({.wanted = {"off"}}) == "IPPool off, which the request names, is disabled");
    CHECK(names({.wanted = {"nowhere"}}) == "there is no IPPool nowhere, which the request names");
    CHECK(names({.wanted = {"tunnel"}}) ==
          "IPPool tunnel, which the request names, does not allow this use (allowedUses)");
    pools.push_back(make_pool("going", "10.8.0.0/24", 26));
    pools.back().set_being_deleted();
    CHECK(names({}) == "a b ");
    CHECK(names({.wanted = {"going"}}) == "IPPool going, which the request names, is being deleted");
    CHECK(pool_of(pools, ip("10.8.0.1")) == nullptr);
    CHECK(names({.family = net::Family::v6}) == "there is no IPv6 IPPool; apply one with `manulctl apply`");
    CHECK(names({.family = net::Family::v6, .wanted = {"a"}}) == "IPPool a (10.2.0.0/24) was asked for IPv6 addresses");
    CHECK(names({.use = model::AllowedUse::load_balancer}).find("passed over: b (allowedUses)") != std::string::npos);
}

TEST_CASE("an exhausted pool is explained with figures") {
    FakeSource source;
    World world = world_of("n1", {make_pool("small", "10.0.0.0/30", 31)});
    world.settings.cooldown = std::chrono::seconds{60};
    const World other = world_of("n2", world.pools);
    REQUIRE(assign_now(source, world, demand_of("a", "n1")));
    REQUIRE(assign_now(source, world, demand_of("b", "n1")));
    REQUIRE(assign_now(source, other, demand_of("c", "n2")));
    REQUIRE(assign_now(source, other, demand_of("d", "n2")));
    release_now(source, world, "a");
    const auto refused = assign_now(source, world, demand_of("e", "n1"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == 11);
    CHECK(refused.error().msg ==
          "no free address: pool small has 0 free of 4: 3 in use by 2 nodes, 1 in cool-down until " +
              print_timestamp(kNow + std::chrono::seconds{60}));
    Draft draft(source);
    const auto rested = usage_of(draft, world, world.pools.front(), kNow + std::chrono::seconds{60});
    REQUIRE(rested);
    CHECK(rested->cooling == 0);
    CHECK(rested->free_in_own == 1);
    CHECK(assign_now(source, world, demand_of("e", "n1"), kNow + std::chrono::seconds{60}));
    check_consistent(source);
}

TEST_CASE("what is reserved is told, also where no block is yet") {
    FakeSource source;
    World world = world_of("n1", {make_pool("p", "10.0.0.0/24", 26)});
    REQUIRE(assign_now(source, world, demand_of("a", "n1")));
    world.reservations = Reservations({prefix("10.0.0.0/8"), prefix("10.0.0.0/25"), prefix("10.0.0.128/25")});
    const auto refused = assign_now(source, world, demand_of("b", "n1"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().msg == "no free address: pool p has 0 free of 256: 1 in use by 1 node, 255 reserved");
    world.reservations = Reservations({prefix("10.0.0.0/26"), prefix("10.0.0.8/29"), prefix("10.0.1.0/24")});
    CHECK(world.reservations.count_in(prefix("10.0.0.0/24")) == 64);
    CHECK(world.reservations.count_in(prefix("10.0.0.0/28")) == 16);
    CHECK(world.reservations.count_in(prefix("10.0.2.0/24")) == 0);
    CHECK(Reservations({prefix("fd00::/64")}).count_in(prefix("fd00::/48")) == 18446744073709551616.0);
}

TEST_CASE("the reason for every pool and block is told on request") {
    FakeSource source;
    Pool off = make_pool("off", "10.9.0.0/24", 26);
    off.disabled = true;
    World world = world_of("n1", {off, make_pool("p", "10.0.0.0/30", 31)});
    const World other = world_of("n2", world.pools);
    const auto reasons_of = [&](const World& on, const char* handle) {
        std::vector<std::string> reasons;
        Demand demand = demand_of(handle, on.node);
        demand.reasons = &reasons;
        REQUIRE(assign_now(source, on, demand));
        return reasons;
    };
    const auto first = reasons_of(world, "a");
    REQUIRE(first.size() == 3);
    CHECK(first[0] == "pool off (disabled): passed over");
    CHECK(first[1] == "pool p (10.0.0.0/30): serves this node, namespace and use");
    CHECK(first[2].ends_with("because no block of the node had room and it claimed this new one"));
    CHECK(reasons_of(world, "b").back().ends_with("because the node's own block had room"));
    CHECK(reasons_of(other, "c").back().ends_with("it claimed this new one"));
    const auto borrowed = reasons_of(world, "d");
    CHECK(std::ranges::count(borrowed, "pool p: has no block left to claim") == 1);
    CHECK(borrowed.back().ends_with("because no block was left to claim and another node's had room"));
}

TEST_CASE("strict affinity keeps a node to its own blocks, otherwise it borrows") {
    FakeSource source;
    World world = world_of("n1", {make_pool("p", "10.0.0.0/31", 31)});
    const World other = world_of("n2", world.pools);
    REQUIRE(assign_now(source, other, demand_of("a", "n2")));
    world.settings.strict_affinity = true;
    const auto refused = assign_now(source, world, demand_of("b", "n1"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().msg.find("strictAffinity is on") != std::string::npos);
    CHECK(refused.error().msg.find("1 free in blocks of other nodes") != std::string::npos);
    world.settings.strict_affinity = false;
    const auto got = assign_now(source, world, demand_of("b", "n1"));
    REQUIRE(got);
    CHECK(got->front().borrowed);
    CHECK(source.blocks.begin()->second.value->affinity() == "host:n2");
    check_consistent(source);
}

TEST_CASE("a node may own no more blocks than it is allowed to") {
    FakeSource source;
    World world = world_of("n1", {make_pool("p", "10.0.0.0/24", 31)});
    world.settings.strict_affinity = true;
    world.settings.max_blocks_per_host = 2;
    for (int i = 0; i < 4; ++i) {
        REQUIRE(assign_now(source, world, demand_of("h" + std::to_string(i), "n1")));
    }
    const auto refused = assign_now(source, world, demand_of("x", "n1"));
    REQUIRE_FALSE(refused);
    CHECK(refused.error().msg.find("may own only 2 (maxBlocksPerHost)") != std::string::npos);
    // Each family has a limit of its own, and what lies in other pools does not count.
    world.pools.push_back(make_pool("six", "fd00::/120", 127));
    world.pools.push_back(make_pool("other", "10.1.0.0/24", 31));
    world.pools.back().mode = model::AssignmentMode::manual;
    Demand other = demand_of("six", "n1");
    std::swap(other.ipv4, other.ipv6);
    CHECK(assign_now(source, world, other));
    other = demand_of("other", "n1");
    other.ipv4_pools = {"other"};
    CHECK(assign_now(source, world, other));
    CHECK_FALSE(assign_now(source, world, demand_of("x", "n1")));
    world.settings.max_blocks_per_host = 0;
    CHECK(assign_now(source, world, demand_of("x", "n1")));
    world.settings.auto_allocate_blocks = false;
    CHECK(assign_now(source, world, demand_of("y", "n1")));
    CHECK_FALSE(assign_now(source, world, demand_of("z", "n1")));
}

TEST_CASE("reserved addresses are never chosen, but may be asked for") {
    FakeSource source;
    World world = world_of("n1", {make_pool("p", "10.0.0.0/29", 30)});
    world.reservations = Reservations({prefix("10.0.0.4/30"), prefix("10.0.0.0/31")});
    std::set<net::Ip> got;
    for (int i = 0; i < 2; ++i) {
        const auto assigned = assign_now(source, world, demand_of("h" + std::to_string(i), "n1"));
        REQUIRE(assigned);
        got.insert(assigned->front().address);
    }
    CHECK(got == std::set{ip("10.0.0.2"), ip("10.0.0.3")});
    CHECK_FALSE(assign_now(source, world, demand_of("h2", "n1")));
    Demand demand = demand_of("h3", "n1");
    demand.addresses = {ip("10.0.0.5")};
    const auto named = assign_now(source, world, demand);
    REQUIRE(named);
    CHECK(named->front().address == ip("10.0.0.5"));
    check_consistent(source);
}

TEST_CASE("addresses of pods that no endpoint tells of are not given to others, also where they are asked for") {
    FakeSource source;
    World world = world_of("n1", {make_pool("p", "10.0.0.0/30", 30)});
    world.unrecorded = {{ip("10.0.0.0"), "caliaaa"}, {ip("10.0.0.2"), "calibbb"}, {ip("10.9.0.1"), "caliccc"}};
    for (const char* left : {"10.0.0.1", "10.0.0.3"}) {
        const auto assigned = assign_now(source, world, demand_of(left, "n1"));
        REQUIRE(assigned);
        CHECK(assigned->front().address == ip(left));
    }
    CHECK_THAT(assign_now(source, world, demand_of("h2", "n1")).error().msg,
               Catch::EndsWith(
                   "0 free of 4: 2 in use by 1 node, 2 used by pods of this node that the datastore does not know"));
    Demand demand = demand_of("h3", "n1");
    demand.addresses = {ip("10.0.0.2")};
    CHECK_THAT(assign_now(source, world, demand).error().msg, Catch::EndsWith("(link calibbb)"));
    world.unrecorded.erase(ip("10.0.0.2"));  // its link is gone
    CHECK(assign_now(source, world, demand));
}

TEST_CASE("an address asked for by name is given or refused with the reason") {
    FakeSource source;
    World world = world_of("n1", {make_pool("p", "10.0.0.0/28", 30)});
    const World other = world_of("n2", world.pools);
    Demand demand = demand_of("a", "n1");
    demand.ipv6 = true;  // of the family that is not named, none is given (and here, none could be)
    demand.addresses = {ip("10.0.0.9")};
    const auto given = assign_now(source, world, demand);
    REQUIRE(given);
    CHECK(given->size() == 1);
    CHECK(source.blocks.at(prefix("10.0.0.8/30")).value->affinity() == "host:n1");

    demand.handle = "b";
    const auto taken = assign_now(source, world, demand);
    REQUIRE_FALSE(taken);
    CHECK(taken.error().msg == "10.0.0.9 was asked for, but is in use (a)");

    demand.addresses = {ip("10.0.9.9")};
    CHECK(assign_now(source, world, demand).error().code == 7);

    demand.addresses = {ip("10.0.0.10")};
    const auto borrowed = assign_now(source, other, demand);
    REQUIRE(borrowed);
    CHECK(borrowed->front().borrowed);

    World strict = other;
    strict.settings.strict_affinity = true;
    demand.handle = "c";
    demand.addresses = {ip("10.0.0.11")};
    CHECK(assign_now(source, strict, demand).error().msg.find("strictAffinity") != std::string::npos);
    check_consistent(source);

    // What has no owner is claimed, or, where nobody may claim, borrowed: strictAffinity guards others' blocks only.
    Draft draft(source);
    CHECK(give_up(draft, world, prefix("10.0.0.8/30"), false, kNow) == true);
    REQUIRE(source.commit(draft));
    strict.settings.auto_allocate_blocks = false;
    const auto ownerless = assign_now(source, strict, demand);
    REQUIRE(ownerless);
    CHECK(ownerless->front().borrowed);
    strict.settings.auto_allocate_blocks = true;
    demand.handle = "d";
    demand.addresses = {ip("10.0.0.8")};
    const auto claimed = assign_now(source, strict, demand);
    REQUIRE(claimed);
    CHECK_FALSE(claimed->front().borrowed);
    CHECK(source.blocks.at(prefix("10.0.0.8/30")).value->affinity() == "host:n2");
    check_consistent(source);
}

TEST_CASE("an empty block of another node is taken over a minute after its claim") {
    FakeSource source;
    const World world = world_of("n1", {make_pool("p", "10.0.0.0/31", 31)});
    World strict = world_of("n2", world.pools);
    strict.settings.strict_affinity = true;
    REQUIRE(assign_now(source, world, demand_of("a", "n1")));
    release_now(source, world, "a");
    CHECK_FALSE(assign_now(source, strict, demand_of("b", "n2"), kNow + std::chrono::seconds{59}));
    CHECK_FALSE(assign_now(source, strict, demand_of("b", "n2"), kNow - std::chrono::seconds{59}));
    SECTION("and with a clock that was set back since, too") {
        REQUIRE(assign_now(source, strict, demand_of("b", "n2"), kNow - std::chrono::hours{1}));
    }
    SECTION("by the clock") {
        REQUIRE(assign_now(source, strict, demand_of("b", "n2"), kNow + std::chrono::seconds{60}));
    }
    CHECK(source.blocks.begin()->second.value->affinity() == "host:n2");
    check_consistent(source);
}

TEST_CASE("of two nodes that want the same empty block one gets it") {
    FakeSource source;
    const World one = world_of("n1", {make_pool("p", "10.0.0.0/31", 31)});
    const World two = world_of("n2", one.pools);
    Draft a(source);
    Draft b(source);
    REQUIRE(assign(a, one, demand_of("a", "n1"), kNow));
    REQUIRE(assign(b, two, demand_of("b", "n2"), kNow));
    CHECK(source.commit(b));
    CHECK_FALSE(source.commit(a));
    check_consistent(source);
}

TEST_CASE("a block without owner goes with its last address, and is adopted while it has some") {
    FakeSource source;
    const World world = world_of("n1", {make_pool("p", "10.0.0.0/31", 31)});
    REQUIRE(assign_now(source, world, demand_of("a", "n1")));
    {
        Draft draft(source);
        CHECK(give_up(draft, world, prefix("10.0.0.0/31"), true, kNow) == false);
        CHECK(give_up(draft, world, prefix("10.0.0.0/31"), false, kNow) == true);
        REQUIRE(source.commit(draft));
    }
    CHECK(source.affinities.empty());
    check_consistent(source);
    SECTION("adopted") {
        const auto got = assign_now(source, world_of("n2", world.pools), demand_of("b", "n2"));
        REQUIRE(got);
        CHECK_FALSE(got->front().borrowed);
        CHECK(source.blocks.begin()->second.value->affinity() == "host:n2");
    }
    SECTION("removed") {
        release_now(source, world, "a");
        CHECK(source.blocks.empty());
    }
    check_consistent(source);
}

TEST_CASE("a single address is released only while it is the allocation that was seen") {
    FakeSource source;
    const World world = world_of("n1", {make_pool("p", "10.0.0.0/32", 32)});
    REQUIRE(assign_now(source, world, demand_of("a", "n1")));
    const net::Prefix cidr = prefix("10.0.0.0/32");
    const auto seen = source.blocks.at(cidr).value->sequence_of(0);
    release_now(source, world, "a");
    REQUIRE(assign_now(source, world, demand_of("b", "n1")));
    Draft draft(source);
    CHECK(release_address(draft, world, ip("10.0.0.0"), cidr, seen, kNow) == Released::taken_over);
    const auto current = source.blocks.at(cidr).value->sequence_of(0);
    CHECK(release_address(draft, world, ip("10.0.0.0"), cidr, current, kNow) == Released::yes);
    REQUIRE(source.commit(draft));
    CHECK(source.handles.empty());
    check_consistent(source);
}

TEST_CASE("a block that cannot be understood is left alone") {
    FakeSource source;
    const World world = world_of("n1", {make_pool("p", "10.0.0.0/30", 31)});
    const auto got = assign_now(source, world, demand_of("a", "n1"));
    REQUIRE(got);
    auto& stored = source.blocks.at(got->front().block);
    stored.value = nullptr;
    stored.problem = "damaged";
    const auto next = assign_now(source, world, demand_of("b", "n1"));
    REQUIRE(next);
    CHECK(next->front().block != got->front().block);
    Draft draft(source);
    CHECK_FALSE(release_handle(draft, world, "a", kNow));
}

// A store without transactions writes one object after the other. Wherever the writer stops, the next request of the
// same node brings affinities and blocks together again, and nothing is lost for good.
TEST_CASE("every stop between two writes is repaired") {
    const std::vector<Pool> pools{make_pool("p", "10.0.0.0/29", 30)};
    const World world = world_of("n1", pools);
    for (std::size_t stop = 0; stop < 5; ++stop) {
        DYNAMIC_SECTION("claiming, after write " << stop) {
            FakeSource source;
            Draft draft(source);
            REQUIRE(assign(draft, world, demand_of("a", "n1"), kNow));
            CHECK(source.commit_some(draft, stop) == 4);
            REQUIRE(assign_now(source, world, demand_of("b", "n1")));
            release_now(source, world, "a");  // the runtime's DEL for the attachment whose ADD failed
            check_consistent(source);
            release_now(source, world, "b");
            CHECK(source.handles.empty());
            CHECK(source.blocks.size() == 1);
            CHECK(source.blocks.begin()->second.value->is_empty());
        }
        DYNAMIC_SECTION("releasing, after write " << stop) {
            FakeSource source;
            REQUIRE(assign_now(source, world, demand_of("a", "n1")));
            Draft draft(source);
            REQUIRE(release_handle(draft, world, "a", kNow));
            CHECK(source.commit_some(draft, stop) == 2);
            release_now(source, world, "a");
            check_consistent(source);
            CHECK(source.handles.empty());
        }
        DYNAMIC_SECTION("giving a block up, after write " << stop) {
            FakeSource source;
            REQUIRE(assign_now(source, world, demand_of("a", "n1")));
            release_now(source, world, "a");
            Draft draft(source);
            REQUIRE(give_up(draft, world, source.blocks.begin()->first, true, kNow));
            CHECK(source.commit_some(draft, stop) == 3);
            REQUIRE(assign_now(source, world, demand_of("b", "n1")));
            check_consistent(source);
        }
        DYNAMIC_SECTION("taking another node's empty block, after write " << stop) {
            FakeSource source;
            const World rival = world_of("n2", {make_pool("p", "10.0.0.0/30", 30)});
            const World taker = world_of("n1", rival.pools);
            REQUIRE(assign_now(source, rival, demand_of("a", "n2")));
            release_now(source, rival, "a");
            const WallTime later = kNow + std::chrono::minutes{2};
            Draft draft(source);
            REQUIRE(assign(draft, taker, demand_of("b", "n1"), later));
            source.commit_some(draft, stop);
            REQUIRE(assign_now(source, taker, demand_of("c", "n1"), later));
            REQUIRE(assign_now(source, rival, demand_of("d", "n2"), later));
            release_now(source, taker, "b", later);
            check_consistent(source);
        }
    }
}

TEST_CASE("random requests of several nodes never give an address twice and lose none") {
    std::mt19937 random(77);  // NOLINT(bugprone-random-generator-seed): a fixed seed repeats failures
    FakeSource source;
    const std::vector<Pool> pools{make_pool("p", "10.0.0.0/26", 29), make_pool("q", "10.0.1.0/28", 30),
                                  make_pool("six", "fd00::/122", 125)};
    std::vector<World> worlds;
    for (int i = 0; i < 4; ++i) {
        worlds.push_back(world_of("n" + std::to_string(i), pools));
    }
    std::map<std::string, std::vector<net::Ip>> held;
    std::set<net::Ip> used;
    int exhausted = 0;
    WallTime now = kNow;
    for (int step = 0; step < 6000; ++step) {
        now += std::chrono::seconds{random() % 20};
        World& world = worlds[random() % worlds.size()];
        world.settings.cooldown = std::chrono::seconds{step < 3000 ? 0 : 30};
        world.settings.strict_affinity = (random() % 4) == 0;
        if (random() % 100 < (step % 1000 < 500 ? 70U : 30U)) {
            Demand demand = demand_of("h" + std::to_string(step), world.node);
            demand.ipv6 = (random() % 3) == 0;
            // A rival that commits in between makes this one start again.
            Draft draft(source);
            auto got = assign(draft, world, demand, now);
            if (got && !source.commit(draft)) {
                FAIL("nobody else wrote");
            }
            if (!got) {
                ++exhausted;
                continue;
            }
            for (const Assigned& a : *got) {
                REQUIRE(used.insert(a.address).second);
                held[demand.handle].push_back(a.address);
            }
        } else if (!held.empty()) {
            auto victim = held.begin();
            std::advance(victim, static_cast<std::ptrdiff_t>(random() % held.size()));
            Draft draft(source);
            auto freed = release_handle(draft, world, victim->first, now);
            REQUIRE(freed);
            REQUIRE(source.commit(draft));
            std::ranges::sort(*freed);
            std::ranges::sort(victim->second);
            REQUIRE(*freed == victim->second);
            for (const net::Ip& address : *freed) {
                used.erase(address);
            }
            held.erase(victim);
        }
        if (step % 500 == 0) {
            check_consistent(source);
        }
    }
    check_consistent(source);
    CHECK(exhausted > 0);
    std::size_t in_blocks = 0;
    for (const auto& [cidr, block] : source.blocks) {
        in_blocks += block.value->in_use_count();
    }
    CHECK(in_blocks == used.size());
}

TEST_CASE("a full cluster uses every address once") {
    FakeSource source;
    const std::vector<Pool> pools{make_pool("p", "10.0.0.0/25", 28)};
    std::set<net::Ip> used;
    for (int i = 0; i < 128; ++i) {
        const std::string node = "n" + std::to_string(i % 5);
        const auto got = assign_now(source, world_of(node, pools), demand_of("h" + std::to_string(i), node));
        REQUIRE(got);
        CHECK(used.insert(got->front().address).second);
    }
    CHECK_FALSE(assign_now(source, world_of("n1", pools), demand_of("x", "n1")));
    check_consistent(source);
}

}  // namespace
}  // namespace manul::ipam
