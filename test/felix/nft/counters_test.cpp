#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include <catch2/catch.hpp>

#include "felix/nft/counters.hpp"
#include "felix/render/ruleset.hpp"
#include "net/ip.hpp"

namespace manul::felix::test {

namespace {

using nft::CounterLedger;
using nft::CounterValue;
using render::Rule;
using render::TableId;
using render::TableKey;

const TableKey kEgress{net::Family::v4, TableId::egress};

render::ChainPtr chain(const std::vector<std::uint64_t>& ids) {
    std::vector<Rule> rules;
    for (const std::uint64_t id : ids) {
        rules.push_back({{}, {render::Count{}, render::drop()}, id});
    }
    return render::Chain::make(net::Family::v4, std::move(rules));
}

nft::Transaction refill(const std::string& name, const std::vector<std::uint64_t>& ids) {
    return {nft::FlushChain{kEgress, name}, nft::FillChain{kEgress, name, chain(ids)}};
}

std::vector<CounterValue> counters_of(const nft::Transaction& transaction) {
    return std::get<nft::FillChain>(transaction.back()).counters;
}

std::vector<std::pair<TableKey, nft::RuleCounter>> read(const std::vector<nft::RuleCounter>& counters) {
    std::vector<std::pair<TableKey, nft::RuleCounter>> list;
    for (const nft::RuleCounter& counter : counters) {
        list.emplace_back(kEgress, counter);
    }
    return list;
}

}  // namespace

TEST_CASE("a rule that is made again goes on counting where it was, once however often it stands in its chain") {
    CounterLedger ledger;
    nft::Transaction edit = refill("p", {7, 8, 8});
    CHECK(CounterLedger::doomed(edit) == std::vector<CounterLedger::ChainName>{{kEgress, "p"}});
    ledger.carry(edit, read({{7, 1, 60, "p"}, {8, 2, 120, "p"}, {8, 3, 180, "p"}, {9, 4, 240, "p"}}));
    CHECK(counters_of(edit) == std::vector<CounterValue>{{1, 60}, {5, 300}, {}});
    ledger.committed();
    REQUIRE(ledger.kept().size() == 1);  // rule 9 is nowhere any more
    CHECK(ledger.kept().front().packets == 4);
}

TEST_CASE("a rule that moves to another chain, the old one going later, loses nothing") {
    CounterLedger ledger;
    nft::Transaction first{nft::AddChain{kEgress, "t", chain({7})}, nft::FillChain{kEgress, "t", chain({7})}};
    CHECK(CounterLedger::doomed(first).empty());
    ledger.carry(first, {});
    ledger.committed();
    nft::Transaction second{nft::FlushChain{kEgress, "p"}, nft::DeleteChain{kEgress, "p"}};
    ledger.carry(second, read({{7, 5, 300, "p"}}));
    ledger.committed();
    REQUIRE(ledger.kept().size() == 1);
    CHECK(ledger.kept().front().packets == 5);
    nft::Transaction third = refill("t", {7});
    ledger.carry(third, read({{7, 1, 60, "t"}}));
    CHECK(counters_of(third) == std::vector<CounterValue>{{6, 360}});
    ledger.committed();
    CHECK(ledger.kept().empty());
}

TEST_CASE("of a chain that is edited only the rules that go are carried over, by the next of their id") {
    CounterLedger ledger;
    nft::Transaction edit{nft::EditChain{kEgress, "p", chain({7, 8, 9}), {41}, true, {{1, 42}, {2, 0}}, {}}};
    CHECK(CounterLedger::doomed(edit) == std::vector<CounterLedger::ChainName>{{kEgress, "p"}});
    ledger.carry(edit, read({{7, 1, 60, "p", 40}, {8, 2, 120, "p", 41}, {9, 3, 180, "p", 42}}));
    CHECK(std::get<nft::EditChain>(edit.front()).counters == std::vector<CounterValue>{{}, {2, 120}, {}});
    ledger.committed();
    CHECK(ledger.kept().empty());
}

TEST_CASE("chains that lose nothing that was counted are not read") {
    nft::Transaction edit{nft::EditChain{kEgress, "p", chain({7}), {}, false, {{0, 3}}, {}},
                          nft::FlushChain{kEgress, "c", false}};
    CHECK(CounterLedger::doomed(edit).empty());
}

TEST_CASE("a refused transaction changes no count") {
    CounterLedger ledger;
    nft::Transaction gone{nft::FlushChain{kEgress, "p"}, nft::DeleteChain{kEgress, "p"}};
    ledger.carry(gone, read({{7, 5, 300, "p"}}));
    CHECK(ledger.kept().empty());
}

TEST_CASE("chains that were only read with their table give nothing away") {
    CounterLedger ledger;
    nft::Transaction edit;
    for (int i = 0; i < 300; ++i) {
        edit.emplace_back(nft::FlushChain{kEgress, "p" + std::to_string(i)});
    }
    CHECK(CounterLedger::doomed(edit) == std::vector<CounterLedger::ChainName>{{kEgress, {}}});
    edit.emplace_back(nft::FillChain{kEgress, "p1", chain({7})});
    ledger.carry(edit, read({{7, 5, 300, "untouched"}, {7, 1, 60, "p1"}}));
    CHECK(counters_of(edit) == std::vector<CounterValue>{{1, 60}});
}

}  // namespace manul::felix::test
