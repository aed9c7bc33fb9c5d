#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "felix/render/dispatch.hpp"
#include "felix/render/ruleset.hpp"
#include "felix/render/sets.hpp"

namespace manul::felix::render {

/// From wanted chains to changes. The parts of the renderer say which chain they want, as often as they like; the
/// writer remembers the chains that it has given out, gives out those that differ, and with them what they need:
///   - address sets of the calculation: a set stands in a table from the first rule there that names it to the last;
///   - the cells and maps of a long list (felix/render/dispatch.hpp).
///
/// Changes are collected in the order of the calls. A chain must be put after those that it names, and removed before
/// them. `sets` outlives the writer.
class RulesetWriter {
public:
    explicit RulesetWriter(Sets& sets) : sets_(sets) {}

    void put_chain(const TableKey& table, const std::string& name, const ChainPtr& chain);
    /// Nothing happens when there is no such chain.
    void remove_chain(const TableKey& table, const std::string& name);
    /// The chain with these rules; no chain without any.
    void put_rules(const TableKey& table, const std::string& name, std::vector<RulePtr> rules);
    /// The chain with its cells and maps; nothing of it when it has no rules.
    void put_list(const TableKey& table, const std::string& name, Dispatched list);
    /// Policies come into such a list and go out of it. A long list whose map leads straight to policies gets or loses
    /// their elements, at a cost that does not depend on its length. False, and nothing is changed: the list is of
    /// another kind, or would be one, or has no more than `fewest` entries then. It must be put.
    [[nodiscard]] bool edit_list(const TableKey& table, const std::string& name, const std::vector<ListEntry>& gone,
                                 const std::vector<ListEntry>& come, std::size_t fewest);
    /// Content of a set of ranges; both sorted.
    void change_ranges(const TableKey& table, std::string_view set, const std::vector<Element>& before,
                       const std::vector<Element>& now);

    /// The chain as it was given out last; null when there is none.
    [[nodiscard]] ChainPtr find_chain(const TableKey& table, const std::string& name) const;

    /// For changes of objects that the writer knows nothing about, such as tables and maps of the skeleton.
    [[nodiscard]] std::vector<Change>& changes() noexcept { return changes_; }
    [[nodiscard]] std::vector<Change> take_changes() { return std::exchange(changes_, {}); }

private:
    /// What a long list needs besides its chain.
    struct ListParts {
        std::set<std::string> chains;
        std::map<std::string, std::vector<Element>> maps;
        std::size_t direct = 0;  ///< as in Dispatched
    };

    void use_sets(const TableKey& table, const Rule& rule, bool used);
    /// `before`: what the map held; null: it is new.
    void put_map(const TableKey& table, const std::string& map, const std::vector<Element>* before,
                 const std::vector<Element>& now);

    Sets& sets_;
    std::map<TableKey, std::unordered_map<std::string, ChainPtr>> chains_;
    std::map<TableKey, std::unordered_map<std::string, ListParts>> lists_;
    std::vector<Change> changes_;
};

}  // namespace manul::felix::render
