#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "felix/model/address_set.hpp"
#include "felix/render/ruleset.hpp"

namespace manul::felix::render {

/// The address sets of the calculation as nftables sets: single addresses (and named ports) in a plain set, prefixes in
/// a set of ranges beside it. A set exists only in the tables whose chains name it.
class Sets {
public:
    /// Whether the set holds prefixes of the family; if so, rules must look them up too.
    [[nodiscard]] bool has_prefixes(const SetId& id, net::Family family) const;
    /// Whether any set holds anything of the family.
    [[nodiscard]] bool has_members(net::Family family) const noexcept {
        return (family == net::Family::v4 ? filled_v4_ : filled_v6_) != 0;
    }

    /// Both return true when has_prefixes() changed: rules that use the set must be rendered again.
    bool add(const AddressSet& set, std::vector<Change>& out);
    bool change(const SetId& id, const SetMembers& added, const SetMembers& removed, std::vector<Change>& out);
    /// Nobody names the set any more.
    void remove(const SetId& id);

    /// A chain of the table names the set (names::member_set or names::prefix_set) once more, or once less.
    void acquire(const TableKey& table, const std::string& name, std::vector<Change>& out);
    void release(const TableKey& table, const std::string& name, std::vector<Change>& out);

private:
    struct Content {
        std::shared_ptr<Members> members = std::make_shared<Members>();  ///< all tables look at it
        std::set<net::Prefix> prefixes;
        std::vector<Element> ranges;  ///< of `prefixes`

        [[nodiscard]] bool is_empty() const noexcept { return members->empty() && prefixes.empty(); }
    };
    struct State {
        Content v4;
        Content v6;
        /// How many chains name it, by table and whether as set of prefixes.
        std::map<std::pair<TableKey, bool>, std::size_t> references;

        [[nodiscard]] Content& of(net::Family family) { return family == net::Family::v4 ? v4 : v6; }
        [[nodiscard]] const Content& of(net::Family family) const { return family == net::Family::v4 ? v4 : v6; }
    };

    void count_filled(net::Family family, bool was_empty, bool is_empty) noexcept;
    bool change_family(const SetId& id, State& state, net::Family family, const FamilyMembers& added,
                       const FamilyMembers& removed, std::vector<Change>& out);

    std::unordered_map<SetId, State> sets_;
    // Sets that hold something of the family.
    std::size_t filled_v4_ = 0;
    std::size_t filled_v6_ = 0;
};

}  // namespace manul::felix::render
