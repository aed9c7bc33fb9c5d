#include "ipam/core/show.hpp"

#include <catch2/catch.hpp>

#include "test/ipam/fake_source.hpp"
#include "test/ipam/now.hpp"

namespace manul::ipam {
namespace {

using test::ip;
using test::kNow;
using test::make_pool;
using test::owner;
using test::prefix;

struct Fixture {
    std::vector<Pool> pools{make_pool("b", "10.2.0.0/24", 26), make_pool("a", "10.1.0.0/24", 26)};
    std::vector<Block> blocks;

    Fixture() {
        Block one = Block::make(prefix("10.2.0.64/26"), "host:n1", kNow, 0);
        one.allocate(owner("h1", {{"node", "n1"}, {"pod", "web"}, {"namespace", "prod"}}), nullptr);
        one.allocate(owner("h2", {{"node", "n2"}, {"pod", "db"}, {"namespace", "prod"}}), nullptr);
        one.allocate(owner("h3", {}), nullptr);
        blocks.push_back(one);
        Block orphan = Block::make(prefix("10.9.0.0/30"), "", kNow, 0);
        orphan.allocate(owner("t", {{"node", "n3"}, {"type", "vxlanTunnelAddress"}}), nullptr);
        blocks.push_back(orphan);
    }
};

TEST_CASE_METHOD(Fixture, "pools show what is in use, reserved and free") {
    const auto rows = usage_rows(pools, blocks, {prefix("10.2.0.64/31"), prefix("10.2.0.64/32")}, false);
    REQUIRE(rows.size() == 2);
    CHECK(rows[0] == UsageRow{UsageRow::Grouping::pool, prefix("10.1.0.0/24"), 256, 0, 0, 256});
    CHECK(rows[1] == UsageRow{UsageRow::Grouping::pool, prefix("10.2.0.0/24"), 256, 3, 2, 253});
}

TEST_CASE_METHOD(Fixture, "blocks stand below their pool, orphans at the end") {
    const auto rows = usage_rows(pools, blocks, {}, true);
    REQUIRE(rows.size() == 4);
    CHECK(rows[2] == UsageRow{UsageRow::Grouping::block, prefix("10.2.0.64/26"), 64, 3, 0, 61});
    CHECK(rows[3] == UsageRow{UsageRow::Grouping::block, prefix("10.9.0.0/30"), 4, 1, 0, 3});
}

TEST_CASE_METHOD(Fixture, "borrowed addresses name borrower and owner") {
    const Borrowed borrowed = borrowed_rows(blocks);
    CHECK(borrowed.without_node == 1);
    REQUIRE(borrowed.rows.size() == 2);
    CHECK(borrowed.rows[0] == BorrowedRow{ip("10.2.0.65"), "n2", prefix("10.2.0.64/26"), "n1", "pod", "prod/db"});
    CHECK(borrowed.rows[1] == BorrowedRow{ip("10.9.0.0"), "n3", prefix("10.9.0.0/30"), "", "vxlanTunnelAddress", "t"});
}

TEST_CASE_METHOD(Fixture, "one address is reported with its owner") {
    const AddressReport used = report_address(pools, blocks, ip("10.2.0.64"));
    CHECK(used.state == AddressReport::State::in_use);
    CHECK(used.pool == "b");
    CHECK(used.block_owner == "n1");
    REQUIRE(used.owner);
    CHECK(used.owner->handle == "h1");
    CHECK(report_address(pools, blocks, ip("10.2.0.100")).state == AddressReport::State::free);
    CHECK_FALSE(report_address(pools, blocks, ip("172.16.0.1")).block);
}

}  // namespace
}  // namespace manul::ipam
