#include "felix/nft/align.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "felix/nft/verify.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::test {

namespace {

using render::Chain;
using render::ChainPtr;
using render::Rule;
using render::Ruleset;
using render::TableId;
using render::TableKey;

constexpr TableKey kTable{net::Family::v4, TableId::ingress};

/// A tier's chain whose rules are told apart by their ids.
ChainPtr tier(const std::vector<std::uint64_t>& ids) {
    std::vector<Rule> rules;
    for (const std::uint64_t id : ids) {
        rules.push_back({.matches = {}, .actions = {render::drop()}, .id = id});
    }
    return Chain::make(kTable.family, std::move(rules));
}

/// A class chain: calls of tiers, then an end that its profiles tell apart.
ChainPtr class_of(const std::vector<std::string>& tiers, std::uint64_t end) {
    std::vector<Rule> rules;
    for (const std::string& name : tiers) {
        rules.push_back({.matches = {}, .actions = {render::jump(name)}});
    }
    rules.push_back({.matches = {}, .actions = {render::drop()}, .id = end});
    return Chain::make(kTable.family, std::move(rules));
}

Ruleset ruleset(const std::map<std::string, ChainPtr>& chains) {
    Ruleset out;
    for (const auto& [name, chain] : chains) {
        out.tables[kTable].chains.emplace(name, chain);
    }
    return out;
}

/// What a dump says of it, as far as comments go.
nft::KernelContents held(const std::map<std::string, ChainPtr>& chains) {
    nft::KernelContents out;
    for (const auto& [name, chain] : chains) {
        auto& rules = out[kTable].chains[name].rules;
        for (std::size_t i = 0; i < chain->rules().size(); ++i) {
            rules.push_back({.handle = i,
                             .mark = nft::RuleMark{chain->rules()[i].id, chain->fingerprints()[i]},
                             .expressions = {}});
        }
    }
    return out;
}

using Names = std::map<std::string, std::string>;

Names names(const Ruleset& wanted, const nft::KernelContents& kernel) {
    const nft::Aliases aliases = nft::find_aliases(wanted, kernel);
    return aliases.contains(kTable) ? aliases.at(kTable) : Names{};
}

}  // namespace

TEST_CASE("chains that the kernel has under other names are found by their rules, and calls of them follow") {
    struct Row {
        const char* what;
        std::map<std::string, ChainPtr> wanted;
        std::map<std::string, ChainPtr> kernel;
        Names names;
    };
    const ChainPtr ab = tier({1, 2});
    const ChainPtr a = tier({1});
    for (const Row& row : std::vector<Row>{
             {"equal",
              {{"t_x_1", a}, {"c_1", class_of({"t_x_1"}, 9)}},
              {{"t_x_1", a}, {"c_1", class_of({"t_x_1"}, 9)}},
              {}},
             {"a tier edited in place",
              {{"t_x_2", ab}, {"c_2", class_of({"t_x_2"}, 9)}},
              {{"t_x_1", ab}, {"c_1", class_of({"t_x_1"}, 9)}},
              {{"t_x_2", "t_x_1"}, {"c_2", "c_1"}}},
             {"a name that another list has now",
              {{"t_x_1", a}, {"t_x_2", ab}, {"c_1", class_of({"t_x_1"}, 8)}, {"c_2", class_of({"t_x_2"}, 9)}},
              {{"t_x_1", ab}, {"t_x_3", a}, {"c_1", class_of({"t_x_1"}, 9)}, {"c_3", class_of({"t_x_3"}, 8)}},
              {{"t_x_1", "t_x_3"}, {"t_x_2", "t_x_1"}, {"c_1", "c_3"}, {"c_2", "c_1"}}},
             {"two tiers of equal rules, each called by its own class",
              {{"t_x_1", a}, {"t_x_2", a}, {"c_1", class_of({"t_x_1"}, 8)}, {"c_2", class_of({"t_x_2"}, 9)}},
              {{"t_x_3", a}, {"t_x_4", a}, {"c_1", class_of({"t_x_4"}, 8)}, {"c_2", class_of({"t_x_3"}, 9)}},
              {{"t_x_1", "t_x_4"}, {"t_x_2", "t_x_3"}}},
             {"other rules are no other name",
              {{"t_x_2", ab}, {"c_2", class_of({"t_x_2"}, 9)}},
              {{"t_x_1", a}, {"c_1", class_of({"t_x_1"}, 9)}},
              {}},
             {"nothing there", {{"t_x_1", a}}, {}, {}},
         }) {
        INFO(row.what);
        Ruleset wanted = ruleset(row.wanted);
        CHECK(names(wanted, held(row.kernel)) == row.names);
        nft::rename_chains(wanted, nft::find_aliases(wanted, held(row.kernel)));
        if (!row.names.empty()) {
            CHECK(render::same(wanted, ruleset(row.kernel)));
        }
    }
}

TEST_CASE("a list's cells and map are found under its name") {
    const std::string born = "t_x_" + std::string(24, '1');
    const std::string now = "t_x_" + std::string(24, '2');
    const auto chains = [](const std::string& list, std::uint64_t id) {
        const Rule lookup{.matches = {}, .actions = {render::LookupVerdict{{render::Field::out_group}, "m_" + list}}};
        return std::map<std::string, ChainPtr>{{list, Chain::make(kTable.family, {lookup})},
                                               {list + "_tcp_80", tier({id})},
                                               {"c_" + list, class_of({list}, 9)}};
    };
    Ruleset wanted = ruleset(chains(now, 1));
    wanted.tables[kTable].sets["m_" + now] = {};
    CHECK(names(wanted, held(chains(born, 2))).empty());  // the same map, and another rule in its cell
    const auto kernel = held(chains(born, 1));
    CHECK(names(wanted, kernel) == Names{{now, born}, {"c_" + now, "c_" + born}});
    nft::rename_chains(wanted, nft::find_aliases(wanted, kernel));
    CHECK(wanted.tables[kTable].chains.contains(born + "_tcp_80"));
    CHECK(wanted.tables[kTable].sets.contains("m_" + born));
}

TEST_CASE("classes of equal rules are found in the pairs that the kernel's groups make of them") {
    constexpr TableKey kEgress{net::Family::v4, TableId::egress};
    using Pairs = std::map<std::uint32_t, std::pair<std::string, std::string>>;
    Ruleset wanted;
    for (const auto& [group, pair] : Pairs{{1, {"c_1", "c_1"}}, {2, {"c_2", "c_2"}}}) {
        for (const auto& [table, name] : {std::pair(kEgress, pair.first), std::pair(kTable, pair.second)}) {
            const auto key = render::ElementKey::group(group);
            wanted.tables[table].chains.emplace(name, class_of({}, 9));
            wanted.tables[table].sets["class"].elements.insert_or_assign(key,
                                                                         render::Element{key, {}, render::go_to(name)});
        }
    }
    nft::KernelContents kernel;
    const Pairs pairs{{7, {"c_3", "c_6"}}, {8, {"c_4", "c_5"}}};
    for (const auto& [group, pair] : pairs) {
        for (const auto& [table, name] : {std::pair(kEgress, pair.first), std::pair(kTable, pair.second)}) {
            kernel[table].chains[name] = held({{name, class_of({}, 9)}}).at(kTable).chains.at(name);
            kernel[table].sets["class"].elements.emplace(render::ElementKey::group(group), render::go_to(name));
        }
    }
    for (const std::uint32_t first : {7U, 8U}) {  // the group of the links that should be in 1
        const nft::Aliases aliases = nft::find_aliases(wanted, kernel, {{1, first}});
        CHECK(std::pair(aliases.at(kEgress).at("c_1"), aliases.at(kTable).at("c_1")) == pairs.at(first));
        CHECK(std::pair(aliases.at(kEgress).at("c_2"), aliases.at(kTable).at("c_2")) == pairs.at(15 - first));
    }
}

TEST_CASE("a map of classes leads to the kernel's names") {
    Ruleset wanted = ruleset({{"t_x_2", tier({1})}, {"c_2", class_of({"t_x_2"}, 9)}});
    const auto group = render::ElementKey::group(0x6d000001);
    wanted.tables[kTable].sets["class"] = {
        .type = {.fields = {render::Field::out_group}, .shape = render::SetType::Shape::verdicts},
        .members = nullptr,
        .elements = {{group, {group, {}, render::go_to("c_2")}}}};
    nft::rename_chains(wanted, {{kTable, {{"c_2", "c_1"}}}});
    CHECK(wanted.tables[kTable].sets["class"].elements.at(group).verdict.chain == "c_1");
    CHECK(wanted.tables[kTable].chains.contains("c_1"));
}

TEST_CASE("a wanted chain whose name the kernel has for another one is still missed") {
    Ruleset wanted = ruleset({{"t_x_1", tier({1})}, {"t_x_2", tier({2})}});
    const auto kernel = held({{"t_x_1", tier({2})}});
    nft::rename_chains(wanted, nft::find_aliases(wanted, kernel));
    const auto& chains = wanted.tables[kTable].chains;
    CHECK(chains.size() == 2);
    CHECK(chains.at("t_x_1")->rules().front().id == 2);
    const auto differences = nft::verify(wanted, kernel);
    CHECK(std::ranges::any_of(differences, [](const nft::Difference& d) { return d.problem == "is missing"; }));
}

}  // namespace manul::felix::test
