#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "felix/nft/import.hpp"
#include "felix/nft/transaction.hpp"

namespace manul::felix::nft {

/// Preserves the packets and bytes of rules that are replaced, which would otherwise restart at zero: the counts of the
/// rules that a transaction removes are read first, and new rules with the same id start from them. Counts of rules
/// that were removed and not created again are kept here (a policy's rules may move to another chain, and the old chain
/// is removed in a later transaction).
///
/// What a rule counts between being read and being replaced, some tens of microseconds, is lost.
class CounterLedger {
public:
    struct ChainName {
        TableKey table;
        std::string chain;  ///< empty: all chains of the table
        auto operator<=>(const ChainName&) const = default;
    };
    /// Where the transaction removes rules, each place once.
    [[nodiscard]] static std::vector<ChainName> doomed(const Transaction& transaction);

    /// Gives the transaction's new rules their first counts. `read`: counters in the chains that doomed() named.
    void carry(Transaction& transaction, const std::vector<std::pair<TableKey, RuleCounter>>& read);
    /// The transaction that carry() saw last is in force.
    void committed();

    /// Counts that no rule in the kernel has.
    [[nodiscard]] std::vector<RuleCounter> kept() const;

private:
    using ByRule = std::map<std::pair<TableKey, std::uint64_t>, CounterValue>;
    ByRule kept_;
    ByRule after_commit_;
};

}  // namespace manul::felix::nft
