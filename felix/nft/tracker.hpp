#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "felix/nft/transaction.hpp"

namespace manul::felix::nft {

// What the kernel holds of our tables, as far as a dump tells it. Contents of plain and range sets are not read back
// (a million elements take 16 s); they are written anew instead.
struct KernelChain {
    struct Rule {
        std::uint64_t fingerprint = 0;  ///< 0: not of our making
        std::uint64_t handle = 0;       ///< the kernel's number for it; 0: not known
        bool counted = false;           ///< stands for a rule of a policy, whose packets are counted

        bool operator==(const Rule&) const = default;
    };
    std::optional<render::Hook> hook;
    std::vector<Rule> rules;
    bool written = false;  ///< by us, every rule of it: what is found may carry our comments and do something else

    [[nodiscard]] bool holds(const render::Chain& chain) const;
    bool operator==(const KernelChain&) const = default;
};
struct KernelSet {
    SetType::Shape shape = SetType::Shape::members;
    std::uint32_t key_type = 0;              ///< nft(8)'s number, see wire.hpp
    std::map<ElementKey, Verdict> verdicts;  ///< of verdict maps

    bool operator==(const KernelSet&) const = default;
};
struct KernelTable {
    bool orphan = false;  ///< it was owned by a socket that is gone, and waits for the next owner
    std::map<std::string, KernelChain, std::less<>> chains;
    std::map<std::string, KernelSet, std::less<>> sets;
};
using KernelState = std::map<TableKey, KernelTable>;

/// The link groups that the class maps of both policy tables lead to, and their pairs of class chains (egress,
/// ingress): what an earlier run gave out, or another process did.
[[nodiscard]] std::vector<std::pair<std::pair<std::string, std::string>, std::uint32_t>> class_groups(
    const KernelState& kernel);

/// What a plan may take away. A chain or set that nobody wants any more, or an element of a verdict map, may still
/// serve a link that is on its way to another class: those are removed by a second plan, after the links were moved.
enum class Scope : std::uint8_t { keep_unused, everything };

/// A chain or set of ours.
struct ObjectName {
    enum class Kind : std::uint8_t { chain, set };
    TableKey table;
    Kind kind = Kind::chain;
    std::string name;
    auto operator<=>(const ObjectName&) const = default;
};
/// "table ip manul_e, chain c_1f2e".
[[nodiscard]] std::string describe(const ObjectName& object);

/// Wanted ruleset and the kernel's, and the way from one to the other. After each commit either committed() is called,
/// or nothing: then the next plan repeats what is missing together with what changed since.
///
/// Invariants: a plan is in an order that the kernel accepts (referenced objects exist, removed ones are unreferenced);
/// planning costs time in proportion to what changed; after a committed plan of `everything` both sides are equal.
class Tracker {
public:
    /// Changes what is wanted.
    void change(const render::Change& change);
    /// Forgets what was believed about the kernel and compares everything with `kernel`.
    void adopt(const KernelState& kernel);

    /// Takes over the tables whose owner is gone. To be committed before anything else: the kernel refuses new base
    /// chains in the transaction that gives a table an owner. Empty where there is nothing to take over.
    [[nodiscard]] Transaction take_over() const;
    [[nodiscard]] Transaction plan(Scope scope) const;
    /// The kernel carried the transaction out, and gave these numbers to new rules, as far as it was asked.
    void committed(const Transaction& transaction, const std::vector<RuleHandle>& handles = {});

    /// Plain sets whose content is unknown and that are wanted with at most `most` members: worth reading.
    [[nodiscard]] std::vector<ObjectName> unread_sets(std::size_t most) const;
    /// Chains of which some rules can stay once their handles are known.
    [[nodiscard]] std::vector<ObjectName> unread_chains() const;
    /// What such a chain holds. Anything else than what was written there is left to be written anew.
    void adopt_rules(const ObjectName& chain, std::vector<KernelChain::Rule> rules);
    /// What such a set holds.
    void adopt_members(const ObjectName& set, const render::Members& members);

    /// Leaves the object as the kernel has it, until it is changed or released. A chain that the kernel does not have
    /// is made with a single drop in it: what cannot be judged does not pass. (Base chains are not made then.)
    void withhold(const ObjectName& object) { withheld_.insert(object); }
    void release(const ObjectName& object) { withheld_.erase(object); }
    [[nodiscard]] bool is_withheld(const ObjectName& object) const { return withheld_.contains(object); }
    [[nodiscard]] const std::set<ObjectName>& withheld() const noexcept { return withheld_; }

    [[nodiscard]] const render::Ruleset& wanted() const noexcept { return wanted_; }

private:
    struct AppliedSet {
        SetType::Shape shape = SetType::Shape::members;
        std::map<ElementKey, Element> elements;  ///< of maps and range sets
        std::set<ElementKey> touched;            ///< of those: where the two sides may differ
        /// Of plain sets: members that the kernel lacks (true) or has too many (false).
        std::unordered_map<ElementKey, bool, render::ElementKeyHash> pending;
        bool unknown = false;  ///< content was never read: write it anew
    };
    struct AppliedTable {
        render::ByName<KernelChain> chains;
        render::ByName<AppliedSet> sets;
        bool replace = false;  ///< holds something that cannot be changed in place
        bool orphan = false;   ///< to be taken over
    };
    struct DirtyTable {
        std::set<std::string> chains;
        std::set<std::string> sets;
    };
    struct Steps;

    /// Calls `look(table, dirty, applied, wanted)` for each table that is wanted, there, and may be changed in place.
    template <class Look>
    void each_kept(Look look) const;
    void mark_everything(const TableKey& key);
    void track_members(const render::ChangeElements& change);
    void touch_elements(const TableKey& key);
    void settle_elements(const TableKey& key, const DirtyTable& dirty);
    void forget_contents(const TableKey& key);
    static void forget_content(AppliedSet& set);
    void plan_table(const TableKey& key, const DirtyTable& dirty, Scope scope, Steps& steps) const;
    void plan_chain(const TableKey& key, const std::string& chain, Scope scope, Steps& steps) const;
    void plan_set(const TableKey& key, const std::string& set, Scope scope, Steps& steps) const;
    void clean(const TableKey& key, DirtyTable& dirty) const;
    void note(const AddTable& c);
    void note(const DeleteTable& c);
    void note(const AddChain& c);
    void note(const DeleteChain& c);
    void note(const FlushChain& c);
    void note(const FillChain& c);
    void note(const EditChain& c);
    void note(const AddSet& c);
    void note(const DeleteSet& c);
    void note(const FlushSet& c);
    void note(const AddElements& c);
    void note(const DeleteElements& c);

    [[nodiscard]] const render::Table* wanted_table(const TableKey& key) const;
    [[nodiscard]] const AppliedTable* applied_table(const TableKey& key) const;
    [[nodiscard]] KernelChain* applied_chain(const TableKey& key, const std::string& chain);
    [[nodiscard]] AppliedSet* applied_set(const TableKey& key, const std::string& set);

    render::Ruleset wanted_;
    std::map<TableKey, AppliedTable> applied_;
    std::map<TableKey, DirtyTable> dirty_;
    std::set<ObjectName> withheld_;
};

}  // namespace manul::felix::nft
