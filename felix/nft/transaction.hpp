#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
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
    bool counted = true;  ///< some of them may have counted packets
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
/// Removes some rules and adds others between those that stay, which go on counting.
struct EditChain {
    struct Insertion {
        std::size_t rule = 0;      ///< of `chain`
        std::uint64_t before = 0;  ///< handle of the rule that follows; 0: it comes last
        bool operator==(const Insertion&) const = default;
    };
    TableKey table;
    std::string name;
    ChainPtr chain;                        ///< as it is afterwards
    std::vector<std::uint64_t> remove;     ///< handles
    bool counted = true;                   ///< some of those may have counted packets
    std::vector<Insertion> insert;         ///< in the order of the rules
    std::vector<CounterValue> counters{};  ///< as in FillChain
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
/// Adds `elements`, and all of `members` where they are given: those of a plain set that was empty.
struct AddElements {
    TableKey table;
    std::string set;
    SetType type;
    std::vector<Element> elements;
    std::shared_ptr<const render::Members> members{};

    [[nodiscard]] std::size_t size() const noexcept { return elements.size() + (members ? members->size() : 0); }
};
struct DeleteElements {
    TableKey table;
    std::string set;
    SetType type;
    std::vector<Element> elements;
};

using Command = std::variant<AddTable, DeleteTable, AddChain, DeleteChain, FlushChain, FillChain, EditChain, AddSet,
                             DeleteSet, FlushSet, AddElements, DeleteElements>;

/// Commands that the kernel carries out together or not at all, in this order.
using Transaction = std::vector<Command>;

/// The number that the kernel gave to a rule of a FillChain or EditChain.
struct RuleHandle {
    std::size_t command = 0;  ///< index in the transaction
    std::size_t rule = 0;     ///< index in the chain
    std::uint64_t handle = 0;
};

/// What a command works on, for messages: "table ip manul_e, chain c_1f2e".
[[nodiscard]] std::string describe(const Command& command);

}  // namespace manul::felix::nft
