#include "felix/nft/counters.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "felix/nft/import.hpp"
#include "felix/nft/transaction.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::nft {

namespace {

/// Beyond this many chains of one table, one dump of the table is cheaper.
constexpr std::size_t kChainsOneByOne = 32;
/// A node has some tens of thousands of rules; what was kept for rules that never came back must not grow for ever.
constexpr std::size_t kMostKept = 100'000;

bool is_counted(const render::Rule& rule) {
    return rule.id != 0 && std::ranges::any_of(rule.actions, [](const render::Action& action) {
               return std::holds_alternative<render::Count>(action);
           });
}

}  // namespace

std::vector<CounterLedger::ChainName> CounterLedger::doomed(const Transaction& transaction) {
    std::map<TableKey, std::set<std::string>> chains;
    std::set<TableKey> tables;
    for (const Command& command : transaction) {
        std::visit(overloaded{
                       [&](const FlushChain& c) { chains[c.table].insert(c.name); },
                       [&](const DeleteTable& c) { tables.insert(c.table); },
                       [](const auto&) {},
                   },
                   command);
    }
    std::vector<ChainName> places;
    for (const auto& [table, names] : chains) {
        if (names.size() > kChainsOneByOne) {
            tables.insert(table);
        } else if (!tables.contains(table)) {
            std::ranges::transform(names, std::back_inserter(places),
                                   [&table](const std::string& name) { return ChainName{table, name}; });
        }
    }
    for (const TableKey& table : tables) {
        places.push_back({table, {}});
    }
    return places;
}

void CounterLedger::carry(Transaction& transaction, const std::vector<std::pair<TableKey, RuleCounter>>& read) {
    std::map<TableKey, std::set<std::string>> emptied;
    std::set<TableKey> removed;
    for (const Command& command : transaction) {
        if (const auto* flush = std::get_if<FlushChain>(&command)) {
            emptied[flush->table].insert(flush->name);
        } else if (const auto* table = std::get_if<DeleteTable>(&command)) {
            removed.insert(table->table);
        }
    }
    ByRule pool = kept_;
    for (const auto& [table, counter] : read) {
        if (!removed.contains(table) && !emptied[table].contains(counter.chain)) {
            continue;  // read with the rest of its table, and not touched
        }
        CounterValue& sum = pool[{table, counter.id}];
        sum.packets += counter.packets;
        sum.bytes += counter.bytes;
    }
    for (Command& command : transaction) {
        auto* fill = std::get_if<FillChain>(&command);
        if (fill == nullptr || pool.empty()) {
            continue;
        }
        const auto& rules = fill->chain->rules();
        for (std::size_t i = 0; i < rules.size(); ++i) {
            const auto value = is_counted(rules[i]) ? pool.find({fill->table, rules[i].id}) : pool.end();
            if (value != pool.end()) {
                fill->counters.resize(rules.size());
                fill->counters[i] = value->second;
                pool.erase(value);
            }
        }
    }
    std::erase_if(pool, [](const auto& entry) { return entry.second == CounterValue{}; });
    after_commit_ = std::move(pool);
}

void CounterLedger::committed() {
    kept_ = std::move(after_commit_);
    after_commit_.clear();
    if (kept_.size() > kMostKept) {
        kept_.clear();
    }
}

std::vector<RuleCounter> CounterLedger::kept() const {
    std::vector<RuleCounter> list;
    for (const auto& [rule, value] : kept_) {
        list.push_back({rule.second, value.packets, value.bytes, {}});
    }
    return list;
}

}  // namespace manul::felix::nft
