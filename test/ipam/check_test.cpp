#include "ipam/core/check.hpp"
#include "config/model/vxlan_mac.hpp"

#include <algorithm>
#include <functional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <catch2/catch.hpp>

#include "config/model/vxlan_mac.hpp"
#include "ipam/core/check_report.hpp"
#include "ipam/core/load_balancer.hpp"
#include "ipam/core/repair.hpp"
#include "ipam/core/split.hpp"
#include "ipam/core/tunnels.hpp"
#include "test/ipam/fake_source.hpp"
#include "test/ipam/now.hpp"

namespace manul::ipam {
namespace {

using test::FakeSource;
using test::ip;
using test::kNow;
using test::make_pool;
using test::pod_owner;
using test::prefix;

User user(const std::string& handle, const std::string& node = "n1") {
    return {.name = "WorkloadEndpoint(default/" + handle + ")", .node = node, .handles = {handle}};
}

/// A sound cluster: n1 owns 10.0.0.0/30 with a (.0) and b (.1), n2 owns 10.0.0.4/30 with c (.4).
struct Cluster {
    Inventory inventory;

    Cluster() {
        inventory.pools = {make_pool("p", "10.0.0.0/28", 30)};
        inventory.nodes = {"n1", "n2"};
        Block one = Block::make(prefix("10.0.0.0/30"), "host:n1", kNow, 5);
        Block two = Block::make(prefix("10.0.0.4/30"), "host:n2", kNow, 5);
        REQUIRE(one.allocate(pod_owner("a"), nullptr));
        REQUIRE(one.allocate(pod_owner("b"), nullptr));
        REQUIRE(two.allocate(pod_owner("c", "n2"), nullptr));
        inventory.blocks = {one.to_model(), two.to_model()};
        for (const auto& [node, cidr] : {std::pair{"n1", "10.0.0.0/30"}, std::pair{"n2", "10.0.0.4/30"}}) {
            inventory.affinities.push_back({{node, prefix(cidr), model::AffinityState::confirmed}, kNow});
        }
        inventory.handles = {{"a", {{prefix("10.0.0.0/30"), 1}}},
                             {"b", {{prefix("10.0.0.0/30"), 1}}},
                             {"c", {{prefix("10.0.0.4/30"), 1}}}};
        inventory.users = {{ip("10.0.0.0"), user("a")}, {ip("10.0.0.1"), user("b")}, {ip("10.0.0.4"), user("c", "n2")}};
    }
    model::IpamBlockSpec& block(std::size_t i) { return inventory.blocks[i]; }
    std::multiset<std::string> problems() const {
        std::multiset<std::string> out;
        for (const Finding& finding : check(inventory, kNow + kPendingAge).findings) {
            CHECK_FALSE(finding.text.empty());
            CHECK_FALSE(finding.subject.empty());
            out.emplace(name_of(finding.problem));
        }
        return out;
    }
};

using Names = std::multiset<std::string>;

TEST_CASE("a sound cluster has no problems") {
    const Cluster cluster;
    CHECK(cluster.problems().empty());
    const CheckResult result = check(cluster.inventory, kNow);
    CHECK(result.allocations.size() == 3);
    CHECK(result.allocations_by_node == std::map<std::string, std::size_t>{{"n1", 2}, {"n2", 1}});
}

TEST_CASE("every kind of damage is found, and called by its name") {
    struct Row {
        const char* what;
        std::function<void(Cluster&)> damage;
        Names found;
    };
    const std::vector<Row> rows{
        {"an address whose user is gone",
         [](Cluster& c) { c.inventory.users.erase(ip("10.0.0.1")); },
         {"leakedAddress"}},
        {"an address in use that nobody allocated",
         [](Cluster& c) { c.inventory.users.emplace(ip("10.0.0.9"), user("x")); },
         {"unallocatedInPool"}},
        {"an address in use outside of pools",
         [](Cluster& c) { c.inventory.users.emplace(ip("192.0.2.1"), user("x")); },
         {"unallocatedOutsidePools"}},
        {"an address outside of pools that is meant to be there",
         [](Cluster& c) {
             User outside = user("x");
             outside.managed = false;
             c.inventory.users.emplace(ip("192.0.2.1"), outside);
         },
         {}},
        {"two users of one address",
         [](Cluster& c) { c.inventory.users.emplace(ip("10.0.0.0"), user("x")); },
         {"severalUsers"}},
        {"an address allocated to somebody else",
         [](Cluster& c) {
             c.inventory.users.erase(ip("10.0.0.1"));
             c.inventory.users.emplace(ip("10.0.0.1"), user("x"));
         },
         {"wrongHandle"}},
        {"a handle without address",
         [](Cluster& c) { c.inventory.handles.push_back({"x", {}}); },
         {"handleWithoutAddress"}},
        {"a missing handle",
         [](Cluster& c) { c.inventory.handles.erase(c.inventory.handles.begin()); },
         {"handleMissing"}},
        {"a handle that counts too many",
         [](Cluster& c) { c.inventory.handles[0].blocks.begin()->second = 2; },
         {"handleCount"}},
        {"an ordinal that is twice in the queue",
         [](Cluster& c) { c.block(0).unallocated = {2, 3, 3}; },
         {"malformedBlock", "unallocatedInPool", "unallocatedInPool", "handleWithoutAddress", "handleWithoutAddress"}},
        {"an attribute that belongs to nobody",
         [](Cluster& c) { c.block(0).attributes.emplace_back(); },
         {"malformedBlock"}},
        {"a release in the future",
         [](Cluster& c) {
             c.block(0).attributes.push_back({.released_at = "2099-01-01T00:00:00Z"});
             c.block(0).allocations[2] = 2;
             c.block(0).unallocated = {3};
         },
         {"malformedBlock"}},
        {"an affinity without block",
         [](Cluster& c) {
             c.inventory.affinities.push_back({{"n1", prefix("10.0.0.8/30"), model::AffinityState::confirmed}, kNow});
         },
         {"affinityWithoutBlock"}},
        {"a block without affinity", [](Cluster& c) { c.inventory.affinities.pop_back(); }, {"blockWithoutAffinity"}},
        {"two nodes with an affinity for one block",
         [](Cluster& c) {
             c.inventory.affinities.push_back({{"n2", prefix("10.0.0.0/30"), model::AffinityState::confirmed}, kNow});
         },
         {"ownersDiffer"}},
        {"a claim that was never completed",
         [](Cluster& c) { c.inventory.affinities[0].affinity.state = model::AffinityState::pending; },
         {"pendingAffinity"}},
        {"a claim under way",
         [](Cluster& c) {
             c.inventory.affinities[0].affinity.state = model::AffinityState::pending;
             c.inventory.affinities[0].created = kNow + kPendingAge;
         },
         {}},
        {"a block that no pool holds",
         [](Cluster& c) { c.inventory.pools = {make_pool("p", "10.0.0.0/30", 30)}; },
         {"blockOutsidePools"}},
        {"blocks of another size",
         [](Cluster& c) { c.inventory.pools[0].block_size = 29; },
         {"blockSize", "blockSize"}},
        {"a block inside another",
         [](Cluster& c) { c.inventory.blocks.push_back(Block::make(prefix("10.0.0.2/31"), "", kNow, 1).to_model()); },
         {"blockSize", "overlappingBlocks"}},
        {"a block of a node that is gone", [](Cluster& c) { c.inventory.nodes.erase("n2"); }, {"unknownNode"}},
        {"a reserved address in use",
         [](Cluster& c) { c.inventory.reservations = {prefix("10.0.0.1/32")}; },
         {"reservedInUse"}},
        {"a borrowed address under strict affinity",
         [](Cluster& c) {
             c.inventory.settings.strict_affinity = true;
             c.block(0).attributes[1].secondary["node"] = "n2";
         },
         {"borrowedUnderStrictAffinity"}},
        {"more blocks than allowed",
         [](Cluster& c) {
             c.inventory.settings.max_blocks_per_host = 1;
             c.inventory.affinities.push_back({{"n1", prefix("10.0.0.8/30"), model::AffinityState::confirmed}, kNow});
             c.inventory.blocks.push_back(Block::make(prefix("10.0.0.8/30"), "host:n1", kNow, 1).to_model());
         },
         {"tooManyBlocks"}},
        {"as many blocks as allowed, of another family too",
         [](Cluster& c) {
             c.inventory.settings.max_blocks_per_host = 1;
             c.inventory.pools.push_back(make_pool("six", "fd00::/120", 122));
             c.inventory.affinities.push_back({{"n1", prefix("fd00::/122"), model::AffinityState::confirmed}, kNow});
             c.inventory.blocks.push_back(Block::make(prefix("fd00::/122"), "host:n1", kNow, 1).to_model());
         },
         {}},
        {"an object that cannot be read",
         [](Cluster& c) { c.inventory.unreadable = {"IPPool(x)"}; },
         {"unreadableObject"}},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Cluster cluster;
        row.damage(cluster);
        CHECK(cluster.problems() == row.found);
    }
}

TEST_CASE("nothing is called releasable while something cannot be read, or another address of the handle is in use") {
    const auto repairs = [](const Cluster& cluster) {
        std::size_t count = 0;
        for (const Finding& finding : check(cluster.inventory, kNow).findings) {
            count += finding.problem == Problem::leaked_address && !finding.repair.empty() ? 1U : 0U;
        }
        return count;
    };
    Cluster cluster;
    cluster.inventory.users.erase(ip("10.0.0.1"));
    CHECK(repairs(cluster) == 1);
    cluster.inventory.unreadable = {"WorkloadEndpoint(default/b)"};
    CHECK(repairs(cluster) == 0);
    cluster.inventory.unreadable.clear();
    cluster.block(0).attributes[1].handle_id = "a";  // one handle with two addresses, one of them in use
    CHECK(repairs(cluster) == 0);
    Cluster damaged;
    damaged.inventory.users.erase(ip("10.0.0.1"));
    damaged.block(1).allocations[3] = 77;  // whose handle may that be?
    CHECK(repairs(damaged) == 0);
}

TEST_CASE("addresses of Services are no leaks: while the Service exists, and where Calico's controller gave them") {
    Cluster cluster;
    Pool pool = make_pool("lb", "192.0.2.0/28", 30);
    pool.uses = {model::AllowedUse::load_balancer};
    cluster.inventory.pools.push_back(pool);
    Block block = Block::make(prefix("192.0.2.0/30"), "virtual:load-balancer", kNow, 5);
    const auto give = [&](const std::string& handle, const std::string& name) {
        Owner service;
        service.handle = handle;
        service.attributes = service_attributes("prod", name, kNow);
        const auto owner = std::make_shared<const Owner>(std::move(service));
        REQUIRE(block.allocate(owner, nullptr));
        cluster.inventory.handles.push_back({handle, {{prefix("192.0.2.0/30"), 1}}});
    };
    give(service_handle("prod", "web"), "web");
    give("lb-of-calico", "unknown");
    cluster.inventory.services = {"prod/web"};
    cluster.inventory.blocks.push_back(block.to_model());
    cluster.inventory.affinities.push_back(
        {{"load-balancer", prefix("192.0.2.0/30"), model::AffinityState::confirmed, model::AffinityType::virtual_},
         kNow});
    CHECK(cluster.problems().empty());
    cluster.inventory.services.clear();
    CHECK(cluster.problems() == Names{"leakedAddress"});  // ours, of a Service that is gone
}

TEST_CASE("what two looks do not both see is no problem") {
    Cluster cluster;
    cluster.inventory.users.erase(ip("10.0.0.1"));
    const CheckResult first = check(cluster.inventory, kNow);
    CHECK(in_both(first, check(cluster.inventory, kNow)).findings.size() == 1);
    CHECK(in_both(first, check(Cluster().inventory, kNow)).findings.empty());
    // Released and given again meanwhile: the allocation has another number.
    cluster.block(0).sequence_number_for_allocation[1] = 9;
    cluster.block(0).sequence_number = 9;
    CHECK(in_both(first, check(cluster.inventory, kNow)).findings.empty());
}

TEST_CASE("a damaged block is rebuilt with every owner that it names clearly") {
    std::mt19937 random(7);
    const auto pick = [&](std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random); };
    for (int round = 0; round < 500; ++round) {
        Block block = Block::make(prefix("10.0.0.0/28"), "host:n1", kNow, 5);
        for (std::size_t i = pick(16); i > 0; --i) {
            REQUIRE(block.allocate(pod_owner("h" + std::to_string(i)), nullptr));
        }
        model::IpamBlockSpec spec = block.to_model();
        for (int i = 0; i < 4; ++i) {
            switch (pick(6)) {
                case 0:
                    spec.unallocated.push_back(static_cast<std::uint32_t>(pick(20)));
                    break;
                case 1:
                    if (!spec.unallocated.empty()) {
                        spec.unallocated.erase(spec.unallocated.begin());
                    }
                    break;
                case 2:
                    spec.allocations[pick(16)] = static_cast<std::uint32_t>(40 + pick(9));
                    break;
                case 3:
                    spec.attributes.emplace_back();
                    break;
                case 4:
                    spec.sequence_number_for_allocation[static_cast<std::uint32_t>(pick(30))] = 1000;
                    break;
                default:
                    spec.attributes.push_back({.released_at = "2099-01-01T00:00:00Z"});
                    break;
            }
        }
        const model::IpamBlockSpec fixed = salvage(spec, kNow);
        CHECK(check_block(fixed, kNow).empty());
        const auto rebuilt = Block::from_model(fixed);
        REQUIRE(rebuilt);
        for (std::size_t i = 0; i < 16; ++i) {
            const auto index = spec.allocations[i];
            if (index && *index < spec.attributes.size() && spec.attributes[*index].handle_id) {
                REQUIRE(rebuilt->owner(static_cast<Block::Ordinal>(i)));
                CHECK(rebuilt->owner(static_cast<Block::Ordinal>(i))->handle == *spec.attributes[*index].handle_id);
            }
        }
    }
}

/// The cluster as a source of drafts, and back.
FakeSource source_of(const Inventory& inventory) {
    FakeSource source;
    for (const auto& spec : inventory.blocks) {
        source.blocks[spec.cidr] = {std::make_shared<const Block>(*Block::from_model(spec)), "1", {}};
    }
    for (const auto& stored : inventory.affinities) {
        source.affinities[{stored.affinity.node, stored.affinity.cidr}] = {
            std::make_shared<const Affinity>(stored.affinity), "1", {}};
    }
    for (const auto& handle : inventory.handles) {
        source.handles[handle.id] = {std::make_shared<const Handle>(handle), "1", {}};
    }
    return source;
}

Inventory inventory_of(const FakeSource& source, Inventory like) {
    like.blocks.clear();
    like.affinities.clear();
    like.handles.clear();
    for (const auto& [cidr, block] : source.blocks) {
        like.blocks.push_back(block.value->to_model());
    }
    for (const auto& [id, affinity] : source.affinities) {
        like.affinities.push_back({*affinity.value, kNow});
    }
    for (const auto& [id, handle] : source.handles) {
        like.handles.push_back(*handle.value);
    }
    return like;
}

TEST_CASE("repair leaves nothing to find, and frees nothing that is used") {
    Cluster cluster;
    Inventory& in = cluster.inventory;
    in.users.erase(ip("10.0.0.1"));                             // leaked
    in.users.emplace(ip("10.0.0.2"), user("d"));                // used, not allocated, in an existing block
    in.users.emplace(ip("10.0.0.12"), user("e", "n2"));         // the same in a block that does not exist
    in.handles.push_back({"x", {{prefix("10.0.0.0/30"), 3}}});  // no address
    in.handles[0].blocks.begin()->second = 4;                   // counts wrong
    in.handles.erase(in.handles.begin() + 2);                   // c: missing
    in.affinities[0].affinity.state = model::AffinityState::pending;
    in.affinities.pop_back();  // n2's block without affinity
    in.affinities.push_back({{"n1", prefix("10.0.0.8/30"), model::AffinityState::confirmed}, kNow});
    in.blocks.push_back(Block::make(prefix("10.9.0.0/30"), "", kNow, 1).to_model());  // outside of pools
    FakeSource source = source_of(in);
    const WallTime later = kNow + kPendingAge;
    const CheckResult found = check(in, later);
    CHECK(found.findings.size() == 10);
    for (const Finding& finding : found.findings) {
        INFO(finding.text);
        REQUIRE_FALSE(finding.repair.empty());
        Draft draft(source);
        const auto changed = repair(draft, in, finding, later);
        REQUIRE(changed);
        // Allocating in n1's block completes the claim on the way.
        CHECK((*changed || finding.problem == Problem::pending_affinity));
        CHECK(source.commit(draft));
    }
    const CheckResult after = check(inventory_of(source, in), later);
    for (const Finding& finding : after.findings) {
        UNSCOPED_INFO(finding.text);
    }
    CHECK(after.findings.empty());
    CHECK(after.allocations.size() == in.users.size());
    // A finding that is out of date changes nothing.
    for (const Finding& finding : found.findings) {
        if (finding.problem != Problem::unallocated_in_pool) {
            Draft draft(source);
            CHECK_FALSE(*repair(draft, in, finding, later));
            CHECK(draft.changed_count() == 0);
        }
    }
}

TEST_CASE("an affinity that names another node than the one it is stored for is written anew") {
    const Cluster cluster;
    FakeSource source = source_of(cluster.inventory);
    Affinity wrong = cluster.inventory.affinities[0].affinity;
    auto& stored = source.affinities.at({wrong.node, wrong.cidr});
    wrong.node = "n2";
    stored.value = std::make_shared<const Affinity>(wrong);
    const Inventory damaged = inventory_of(source, cluster.inventory);
    const CheckResult found = check(damaged, kNow);
    CHECK(found.findings.size() == 2);
    for (const Finding& finding : found.findings) {
        Draft draft(source);
        REQUIRE(repair(draft, damaged, finding, kNow));
        CHECK(source.commit(draft));
    }
    CHECK(check(inventory_of(source, cluster.inventory), kNow).findings.empty());
}

TEST_CASE("a report says what was found, and several have in common what all call leaked") {
    Cluster cluster;
    cluster.inventory.users.erase(ip("10.0.0.1"));
    cluster.inventory.handles.push_back({"x", {}});
    cluster.inventory.handle_revisions["x"] = "9";
    const ReportHeader header{"1.0", "guid", "77", true};
    const std::string text = print_report(header, check(cluster.inventory, kNow));
    const auto report = parse_report(text);
    REQUIRE(report);
    CHECK(report->header == header);
    CHECK(report->addresses == std::vector{LeakedAddress{ip("10.0.0.1"), "b", 5}});
    CHECK(report->handles == std::vector<LeakedHandle>{{"x", "9"}});

    cluster.inventory.users.erase(ip("10.0.0.0"));
    cluster.inventory.handles.pop_back();
    const auto second = parse_report(print_report(header, check(cluster.inventory, kNow)));
    REQUIRE(second);
    CHECK(second->addresses.size() == 2);
    const auto common = common_leaks({*second, *report});
    REQUIRE(common);
    CHECK(common->addresses == report->addresses);
    CHECK(common->handles.empty());

    auto other = *report;
    other.header.cluster_guid = "another";
    CHECK_FALSE(common_leaks({*report, other}));
    for (const char* bad : {"", "[]", "{}", R"({"clusterGUID":"x","allocations":{"nonsense":[]}})",
                            R"({"clusterGUID":"x","allocations":{"10.0.0.1":[{"handle":7}]}})"}) {
        CHECK_FALSE(parse_report(bad));
    }
}

TEST_CASE("a pool is split into equal parts that hold its blocks") {
    model::IpPool pool;
    pool.metadata.name = "p";
    pool.spec.cidr = prefix("10.0.0.0/24");
    pool.spec.block_size = 27;
    pool.spec.nat_outgoing = true;
    const auto parts = split_pool(pool, 4);
    REQUIRE(parts);
    REQUIRE(parts->size() == 4);
    CHECK((*parts)[0].metadata.name == "split-p-0");
    CHECK((*parts)[3].spec.cidr == prefix("10.0.0.192/26"));
    CHECK((*parts)[3].spec.nat_outgoing);
    CHECK((*parts)[3].spec.block_size == 27);
    CHECK(split_pool(pool, 8));
    for (const std::uint64_t bad : {0U, 1U, 3U, 16U, 4096U}) {
        CHECK_FALSE(split_pool(pool, bad));
    }
    pool.spec.cidr = prefix("fd00::/48");
    pool.spec.block_size = 122;
    CHECK((*split_pool(pool, 2))[1].spec.cidr == prefix("fd00:0:0:8000::/49"));
}

TEST_CASE("a tunnel end takes its address from pools of its kind, and its MAC follows from the node") {
    std::vector<Pool> pools{make_pool("plain", "10.0.0.0/24", 26), make_pool("vx", "10.1.0.0/24", 26),
                            make_pool("ip", "10.2.0.0/24", 26), make_pool("vx6", "fd00::/64", 122)};
    pools[1].encapsulation = pools[3].encapsulation = Pool::Encapsulation::vxlan;
    pools[2].encapsulation = Pool::Encapsulation::ipip;
    const auto names = [&](Tunnel tunnel, TunnelSettings settings = {}) {
        return tunnel_pools(tunnel, pools, {{"rack", "a"}}, settings);
    };
    CHECK(names(Tunnel::vxlan) == std::vector<std::string>{"vx"});
    pools[1].mode = model::AssignmentMode::manual;  // who names no pool gets none of its addresses; tunnels name theirs
    CHECK(names(Tunnel::vxlan) == std::vector<std::string>{"vx"});
    CHECK(names(Tunnel::vxlan_v6) == std::vector<std::string>{"vx6"});
    CHECK(names(Tunnel::ipip) == std::vector<std::string>{"ip"});
    CHECK(names(Tunnel::wireguard).empty());
    CHECK(names(Tunnel::wireguard, {.wireguard = true}).size() == 3);
    pools[1].uses = {model::AllowedUse::workload};
    CHECK(names(Tunnel::vxlan).empty());
    pools[1].uses = {model::AllowedUse::tunnel};
    pools[1].node_selector = *model::Selector::parse("rack == 'b'");
    CHECK(names(Tunnel::vxlan).empty());

    // As Calico's nodes work them out.
    CHECK(model::vxlan_mac("n1", net::Family::v4).to_string() == "66:40:b3:ea:b6:3f");
    CHECK(model::vxlan_mac("n1", net::Family::v6).to_string() == "66:46:32:55:72:28");

    model::NodeSpec spec;
    for (const Tunnel tunnel : kTunnels) {
        const net::Ip address = tunnel_family(tunnel) == net::Family::v4 ? ip("10.0.0.1") : ip("fd00::1");
        set_tunnel_address(spec, tunnel, address, "n1");
        CHECK(tunnel_address(spec, tunnel) == address);
    }
    CHECK(spec.vxlan_tunnel_mac_addr == model::vxlan_mac("n1", net::Family::v4));
    for (const Tunnel tunnel : kTunnels) {
        set_tunnel_address(spec, tunnel, std::nullopt, "n1");
    }
    CHECK(spec == model::NodeSpec{});
    // One that is known stays, also where the node had another name when it was worked out.
    spec.vxlan_tunnel_mac_addr = model::vxlan_mac("old-name", net::Family::v4);
    set_tunnel_address(spec, Tunnel::vxlan, ip("10.0.0.1"), "n1");
    CHECK(spec.vxlan_tunnel_mac_addr == model::vxlan_mac("old-name", net::Family::v4));
}

}  // namespace
}  // namespace manul::ipam
