#include "felix/nft/counters.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "base/overloaded.hpp"
#include "felix/nft/import.hpp"
#include "felix/nft/transaction.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::nft {

namespace {

/// Beyond this many chains of one table, one dump of the table is cheaper: a dump costs some ten microseconds, and two
/// or three for each rule.
constexpr std::size_t kChainsOneByOne = 256;
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
    const auto add = [&chains](const auto& c) {
        if (c.counted) {
            chains[c.table].insert(c.name);
        }
    };
    for (const Command& command : transaction) {
        std::visit(overloaded{
                       [&](const FlushChain& c) { add(c); },
                       [&](const EditChain& c) { add(c); },
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
    std::map<TableKey, std::unordered_set<std::uint64_t>> handles;  // the kernel numbers them by table
    std::set<TableKey> removed;
    for (const Command& command : transaction) {
        if (const auto* flush = std::get_if<FlushChain>(&command)) {
            emptied[flush->table].insert(flush->name);
        } else if (const auto* edit = std::get_if<EditChain>(&command)) {
            handles[edit->table].insert(edit->remove.begin(), edit->remove.end());
        } else if (const auto* table = std::get_if<DeleteTable>(&command)) {
            removed.insert(table->table);
        }
    }
    ByRule pool = kept_;
    for (const auto& [table, counter] : read) {
        if (!removed.contains(table) && !emptied[table].contains(counter.chain) &&
            !handles[table].contains(counter.handle)) {
            continue;  // read with the rest of its chain or table, and stays
        }
        CounterValue& sum = pool[{table, counter.id}];
        sum.packets += counter.packets;
        sum.bytes += counter.bytes;
    }
    const auto give = [&pool](auto& command, std::size_t i) {
        const render::Rule& rule = command.chain->rules()[i];
        const auto value = is_counted(rule) ? pool.find({command.table, rule.id}) : pool.end();
        if (value != pool.end()) {
            command.counters.resize(command.chain->rules().size());
            command.counters[i] = value->second;
            pool.erase(value);
        }
    };
    for (Command& command : transaction) {
        if (pool.empty()) {
            break;
        }
        if (auto* fill = std::get_if<FillChain>(&command)) {
            for (std::size_t i = 0; i < fill->chain->rules().size(); ++i) {
                give(*fill, i);
            }
        } else if (auto* edit = std::get_if<EditChain>(&command)) {
            for (const EditChain::Insertion& added : edit->insert) {
                give(*edit, added.rule);
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
        list.push_back({rule.second, value.packets, value.bytes, {}, 0});
    }
    return list;
}

}  // namespace manul::felix::nft
