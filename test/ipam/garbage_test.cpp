#include "ipam/core/garbage.hpp"

#include <catch2/catch.hpp>

#include "test/ipam/fake_source.hpp"
#include "test/ipam/now.hpp"

namespace manul::ipam {
namespace {

using test::kNow;
using test::make_pool;
using test::owner;
using test::prefix;

constexpr SteadyTime kStart{};

BlockPtr empty_block(std::string_view cidr) {
    return std::make_shared<const Block>(Block::make(prefix(cidr), "host:n1", kNow, 0));
}

World world() {
    World out;
    out.node = "n1";
    out.pools = {make_pool("p", "10.0.0.0/24", 30)};
    return out;
}

TEST_CASE("empty blocks go after two observations a grace period apart, but one of each pool stays") {
    EmptyBlocks blocks;
    const std::vector<BlockPtr> own{empty_block("10.0.0.0/30"), empty_block("10.0.0.4/30")};
    CHECK(blocks.observe(own, world(), kStart, kNow).empty());
    CHECK(blocks.observe(own, world(), kStart + EmptyBlocks::kGrace - std::chrono::seconds{1}, kNow).empty());
    CHECK(blocks.observe(own, world(), kStart + EmptyBlocks::kGrace, kNow) ==
          std::vector<net::Prefix>{prefix("10.0.0.0/30")});
    CHECK(blocks.observe({own[1]}, world(), kStart + 3 * EmptyBlocks::kGrace, kNow).empty());
}

TEST_CASE("a block that was used in between starts its grace period anew") {
    EmptyBlocks blocks;
    Block used = *empty_block("10.0.0.0/30");
    REQUIRE(used.allocate(owner("h", {}), nullptr));
    const std::vector<BlockPtr> empty{empty_block("10.0.0.0/30"), empty_block("10.0.0.4/30")};
    const std::vector<BlockPtr> busy{std::make_shared<const Block>(used), std::make_shared<const Block>(used)};
    CHECK(blocks.observe(empty, world(), kStart, kNow).empty());
    CHECK(blocks.observe(busy, world(), kStart + std::chrono::seconds{1}, kNow).empty());
    CHECK(blocks.observe(empty, world(), kStart + EmptyBlocks::kGrace, kNow).empty());
}

TEST_CASE("a block whose pool no longer serves the node goes as soon as it is empty") {
    EmptyBlocks blocks;
    World without = world();
    without.pools[0].node_selector = *model::Selector::parse("has(gpu)");
    CHECK(blocks.observe({empty_block("10.0.0.0/30")}, without, kStart, kNow).size() == 1);
    Block used = *empty_block("10.0.0.0/30");
    REQUIRE(used.allocate(owner("h", {}), nullptr));
    CHECK(blocks.observe({std::make_shared<const Block>(used)}, without, kStart, kNow).empty());
}

TEST_CASE("an address without endpoint is a leak after the grace period, a tunnel's never") {
    Block block = *empty_block("10.0.0.0/29");
    REQUIRE(block.allocate(owner("alive", {{"node", "n1"}, {"pod", "a"}}), nullptr));
    REQUIRE(block.allocate(owner("gone", {{"node", "n1"}, {"pod", "b"}}), nullptr));
    REQUIRE(block.allocate(owner("vxlan-tunnel-addr-n1", {{"node", "n1"}, {"type", "vxlanTunnelAddress"}}), nullptr));
    REQUIRE(block.allocate(owner("other-node", {{"node", "n2"}, {"pod", "c"}}), nullptr));
    REQUIRE(block.allocate(owner("by-hand", {}), nullptr));
    const std::vector<BlockPtr> blocks{std::make_shared<const Block>(block)};
    Leaks leaks;
    CHECK(leaks.observe(blocks, "n1", {"alive"}, std::nullopt, kStart).empty());
    CHECK(leaks.suspected() == 1);
    CHECK(leaks.observe(blocks, "n1", {"alive"}, std::nullopt, kStart + Leaks::kGrace) ==
          std::vector<std::string>{"gone"});
    CHECK(leaks.observe(blocks, "n1", {"alive", "gone"}, std::nullopt, kStart + 2 * Leaks::kGrace).empty());
    CHECK(leaks.suspected() == 0);
}

TEST_CASE("a handle goes sooner when its container is known to have no link here") {
    Block block = *empty_block("10.0.0.0/29");
    REQUIRE(block.allocate(owner("net.ab12.eth0", {{"node", "n1"}, {"pod", "web-0"}}), nullptr));
    const std::vector<BlockPtr> blocks{std::make_shared<const Block>(block)};
    using Containers = std::optional<std::set<std::string>>;
    const auto [containers, soon] = GENERATE(table<Containers, bool>({
        {std::nullopt, false},  // the links could not be listed
        {std::set<std::string>{"ffff"}, true},
        {std::set<std::string>{}, true},
        {std::set<std::string>{"AB12"}, false},
        {std::set<std::string>{"ffff", "ab12"}, false},
    }));
    Leaks leaks;
    CHECK(leaks.observe(blocks, "n1", {}, containers, kStart).empty());
    CHECK(leaks.observe(blocks, "n1", {}, containers, kStart + Leaks::kGraceWithoutLink).size() == (soon ? 1 : 0));
    CHECK(leaks.observe(blocks, "n1", {}, containers, kStart + Leaks::kGrace).size() == 1);
}

}  // namespace
}  // namespace manul::ipam
