#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "felix/render/ruleset.hpp"

/// From a wanted ruleset to the kernel's. `tracker` remembers what the kernel holds and plans the smallest ordered
/// Transaction; `encode` turns it into one netlink batch; `import` reads a dump of our tables back. All pure: the
/// socket is felix/io/nft_apply.
namespace manul::felix::nft {

using render::ChainPtr;
using render::Element;
using render::ElementKey;
using render::SetType;
using render::TableKey;
using render::Verdict;

struct AddTable {
    TableKey table;
};
struct DeleteTable {
    TableKey table;
};
/// Makes the chain (with its hook, when it has one) without rules.
struct AddChain {
    TableKey table;
    std::string name;
    ChainPtr chain;
};
struct DeleteChain {
    TableKey table;
    std::string name;
};
/// Removes all rules.
struct FlushChain {
    TableKey table;
    std::string name;
};
/// What a rule has counted.
struct CounterValue {
    std::uint64_t packets = 0;
    std::uint64_t bytes = 0;
    bool operator==(const CounterValue&) const = default;
};
/// Appends all rules of the chain. Their counters begin with `counters`, one a rule, or all at zero where it is empty.
struct FillChain {
    TableKey table;
    std::string name;
    ChainPtr chain;
    std::vector<CounterValue> counters{};
};
struct AddSet {
    TableKey table;
    std::string name;
    SetType type;
};
struct DeleteSet {
    TableKey table;
    std::string name;
};
struct FlushSet {
    TableKey table;
    std::string name;
};
struct AddElements {
    TableKey table;
    std::string set;
    SetType type;
    std::vector<Element> elements;
};
struct DeleteElements {
    TableKey table;
    std::string set;
    SetType type;
    std::vector<Element> elements;
};

using Command = std::variant<AddTable, DeleteTable, AddChain, DeleteChain, FlushChain, FillChain, AddSet, DeleteSet,
                             FlushSet, AddElements, DeleteElements>;

/// Commands that the kernel carries out together or not at all, in this order.
using Transaction = std::vector<Command>;

/// What a command works on, for messages: "table ip manul_e, chain c_1f2e".
[[nodiscard]] std::string describe(const Command& command);

}  // namespace manul::felix::nft
